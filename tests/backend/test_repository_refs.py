"""Branches read from a repository's files, held against what git says."""

import os
from pathlib import Path

import pytest

from backend_stub.repository.location import find_folders
from backend_stub.repository.refs import Branches, known_branches, remote_names, split_refs
from tests.git import git, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Path:
    for name in ("feat/one", "feat/two", "ünï/コード"):
        git(repository, "branch", name)
    git(tmp_path, "clone", "-q", str(repository), "clone")
    return tmp_path / "clone"


def test_loose_and_packed_branches_are_known(repository: Path) -> None:
    git(repository, "branch", "feat/packed")
    git(repository, "tag", "v1")
    git(repository, "pack-refs", "--all")
    git(repository, "branch", "feat/loose")
    git(repository, "branch", "$(id)")
    known = known_branches(str(repository))
    assert known == Branches(frozenset({"main", "feat/packed", "feat/loose", "$(id)"}), frozenset(), "main")


def test_remote_branches_are_known_without_their_remote(clone: Path) -> None:
    git(clone, "branch", "Zeta")
    known = known_branches(str(clone))
    assert known.local == {"main", "Zeta"}
    assert known.remote == {"main", "feat/one", "feat/two", "ünï/コード"}
    assert known.names == known.local | known.remote
    assert known.sorted() == ("main", "feat/one", "feat/two", "Zeta", "ünï/コード")
    git(clone, "pack-refs", "--all")
    assert known_branches(str(clone)) == known


def test_a_remote_may_have_a_slash_in_its_name(clone: Path) -> None:
    git(clone, "remote", "rename", "origin", "team/upstream")
    assert set(remote_names(Path(find_folders(str(clone)).common))) == {"team/upstream"}
    assert known_branches(str(clone)).remote == {"main", "feat/one", "feat/two", "ünï/コード"}


def test_a_worktree_knows_the_branches_of_its_repository(repository: Path, tmp_path: Path) -> None:
    git(repository, "branch", "other")
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert known_branches(str(tmp_path / "side")).local == {"main", "other", "side"}


def test_agrees_with_git_over_many_branches(repository: Path) -> None:
    for number in range(40):
        git(repository, "branch", f"group-{number % 5}/branch-{number}")
        if number == 20:
            git(repository, "pack-refs", "--all")
    git(repository, "branch", "-D", "group-0/branch-0")
    expected = git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n")
    assert known_branches(str(repository)).local == set(expected)


def test_broken_files_do_no_harm(repository: Path) -> None:
    heads = repository / ".git" / "refs" / "heads"
    (heads / "broken").write_bytes(b"\xff\x00 not a commit")
    (heads / "held.lock").write_text("")
    (heads / ".DS_Store").write_text("")
    (heads / "gone").symlink_to("/nowhere")
    (heads / "around").symlink_to(heads)
    (heads / "empty").mkdir()
    os.mkfifo(heads / "pipe")
    (repository / ".git" / "packed-refs").write_bytes(
        b"# pack-refs with: peeled fully-peeled sorted\n"
        + b"garbage\nrefs/heads/no-commit\n"
        + b"a" * 40
        + b" refs/heads/\xff\xfe\n"
        + b"b" * 40
        + b" refs/heads/fine\r\n^"
        + b"c" * 40
        + b"\n"
        + b"d" * 40
        + b" refs/heads/a..b\n"
        + b"e" * 40
        + b" refs/tags/v1"
    )
    known = known_branches(str(repository))
    assert known.local == {"main", "broken", "gone", "around", "pipe", "fine"}


def test_a_pipe_or_a_folder_for_packed_refs_is_passed_over(repository: Path) -> None:
    packed = repository / ".git" / "packed-refs"
    os.mkfifo(packed)
    assert known_branches(str(repository)).local == {"main"}
    packed.unlink()
    packed.mkdir()
    assert known_branches(str(repository)).local == {"main"}


def test_ten_thousand_packed_branches_are_all_known(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    lines = [f"{commit} refs/heads/group/b{number}" for number in range(10_000)]
    (repository / ".git" / "packed-refs").write_text("# pack-refs with: sorted\n" + "\n".join(lines) + "\n")
    assert len(known_branches(str(repository)).local) == 10_001


def test_refs_are_split_by_the_longest_remote() -> None:
    refs = [
        "refs/heads/a",
        "refs/remotes/x/y/b",
        "refs/remotes/x/c",
        "refs/remotes/x/HEAD",
        "refs/remotes/z/d",
        "refs/tags/t",
    ]
    assert split_refs(refs, ["x", "x/y", ""]) == Branches(frozenset({"a"}), frozenset({"b", "c", "d"}))
