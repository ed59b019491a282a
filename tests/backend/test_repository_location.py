"""Which repository a path or a URL means, judged without running git."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_stub.repository.location import NotARepositoryError, find_folders, find_repository, is_repo_id
from foundry_tui.contract.repositories import is_remote
from tests.git import git, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "work" / "Mein Projekt ✨")


def refusal(place: str) -> str:
    with pytest.raises(NotARepositoryError) as caught:
        find_repository(place)
    message = caught.value.message
    assert message.endswith(".")
    assert message[0].isupper() or message.startswith("/")
    return message


def test_a_folder_is_found_with_its_label_and_default_branch(repository: Path) -> None:
    repo = find_repository(str(repository))
    assert repo.path == str(repository)
    assert repo.remote is None
    assert repo.label == "Mein Projekt ✨"
    assert repo.default_branch == "main"
    assert repo.task_count == 0
    assert is_repo_id(repo.repo_id)


def test_git_is_never_run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "posix_spawn", refuse, raising=False)
    assert find_repository(str(repository)).path == str(repository)


def test_all_spellings_of_a_path_are_one_repository(repository: Path, tmp_path: Path) -> None:
    inside = repository / "src" / "deep"
    inside.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(repository)
    spellings = [
        str(repository),
        f"{repository}/",
        f"{repository}//.//",
        f"{repository}/src/../",
        str(inside),
        str(link),
        f"{link}/src/deep/..",
        f"{repository}/.git",
        f"{repository}/.git/refs/heads",
    ]
    assert {find_repository(spelling) for spelling in spellings} == {find_repository(str(repository))}


def test_agrees_with_git_on_the_top_level(repository: Path) -> None:
    inside = repository / "a" / "b"
    inside.mkdir(parents=True)
    assert find_repository(str(inside)).path == git(inside, "rev-parse", "--show-toplevel")


def test_a_repository_inside_another_is_its_own(repository: Path) -> None:
    inner = make_repository(repository / "vendor" / "inner")
    assert find_repository(str(inner)).path == str(inner)
    (inner / "x").mkdir()
    assert find_repository(str(inner / "x")).path == str(inner)


def test_a_linked_worktree_shares_the_refs_of_its_repository(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    folders = find_folders(str(tmp_path / "side"))
    assert folders.top == str(tmp_path.resolve() / "side")
    assert folders.common == str(repository / ".git")
    assert folders.git_dir == str(repository / ".git" / "worktrees" / "side")
    assert find_repository(folders.top).default_branch == "side"


def test_a_submodule_is_a_repository(repository: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "sub")
    assert find_repository(str(repository / "sub")).path == str(repository / "sub")


def test_a_bare_repository_is_found_from_inside_too(repository: Path, tmp_path: Path) -> None:
    bare = tmp_path.resolve() / "store.git"
    git(repository, "clone", "-q", "--bare", str(repository), str(bare))
    repo = find_repository(str(bare / "refs" / "heads"))
    assert (repo.path, repo.label, repo.default_branch) == (str(bare), "store", "main")


def test_a_repository_without_commits_has_the_branch_it_will_begin_with(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    assert find_repository(str(tmp_path)).default_branch == "trunk"


def test_the_default_branch_is_that_of_origin(repository: Path, tmp_path: Path) -> None:
    git(repository, "clone", "-q", str(repository), str(tmp_path / "clone"))
    git(tmp_path / "clone", "switch", "-q", "-c", "elsewhere")
    assert find_repository(str(tmp_path / "clone")).default_branch == "main"


def test_a_detached_head_is_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert find_repository(str(repository)).default_branch is None


def test_what_is_no_repository_is_refused_in_a_sentence(tmp_path: Path) -> None:
    assert "git init" in refusal(str(tmp_path))
    assert "There is no folder" in refusal(str(tmp_path / "missing"))
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(str(tmp_path / "file"))
    assert "is a file" in refusal(str(tmp_path / "file" / "below"))
    assert "in full" in refusal("~/project")
    assert "in full" in refusal("~someone/project")
    for relative in ("project", "./project", "../project", "a/b", "github.com/owner/name"):
        assert "absolute path" in refusal(relative)
    assert "Name a repository" in refusal("  ")
    assert "null" in refusal("/a\x00b")
    assert "null" in refusal("/a\ud800b")
    refusal("/" + "x" * 300)
    refusal("/" + "x" * 10_000)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "circle" in refusal(str(tmp_path / "loop"))


def test_a_damaged_repository_is_refused_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    assert "damaged" in refusal(str(tmp_path / "empty"))
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / ".git").write_text("gitdir: /nowhere/at/all\n")
    assert "/nowhere/at/all" in refusal(str(tmp_path / "lost"))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / ".git").write_text("what?")
    assert ".git" in refusal(str(tmp_path / "odd"))
    fifo = tmp_path / "pipe" / ".git"
    fifo.mkdir(parents=True)
    os.mkfifo(fifo / "HEAD")
    (fifo / "objects").mkdir()
    (fifo / "refs").mkdir()
    refusal(str(tmp_path / "pipe"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused(repository: Path) -> None:
    (repository / ".git").chmod(0)
    try:
        assert "permission denied" in refusal(str(repository))
    finally:
        (repository / ".git").chmod(0o755)


def test_a_refusal_by_the_system_is_said_as_such(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", deny)
    assert "permission denied" in refusal(str(repository))


@pytest.mark.parametrize(
    ("url", "remote", "label"),
    [
        ("https://GitHub.com/owner/name.git/", "https://github.com/owner/name.git", "owner/name"),
        ("HTTPS://github.com:443/owner/name", "https://github.com/owner/name", "owner/name"),
        ("https://someone@host.example/owner/name", "https://host.example/owner/name", "owner/name"),
        ("ssh://git@Host.example:22/~me/name.git", "ssh://git@host.example/~me/name.git", "~me/name"),
        ("ssh://git@host:2222/a/b/c", "ssh://git@host:2222/a/b/c", "b/c"),
        ("git://host/name", "git://host/name", "name"),
        ("git@GitHub.com:owner/name.git", "git@github.com:owner/name.git", "owner/name"),
        ("github.com:owner/name/", "github.com:owner/name", "owner/name"),
        ("file:///srv/git/name.git", "file:///srv/git/name.git", "name"),
        ("file://localhost/srv/name", "file:///srv/name", "name"),
        ("https://[::1]:8443/owner/name", "https://[::1]:8443/owner/name", "owner/name"),
        ("https://host/所有者/名前", "https://host/所有者/名前", "所有者/名前"),
    ],
)
def test_a_url_is_a_remote_repository(url: str, remote: str, label: str) -> None:
    repo = find_repository(url)
    assert (repo.remote, repo.label, repo.path) == (remote, label, None)
    assert is_repo_id(repo.repo_id)


def test_spellings_of_a_url_have_one_id() -> None:
    spellings = [
        "https://host.example/o/n",
        "https://HOST.example/o/n.git",
        "https://host.example:443/o/n.git/",
        " https://me@host.example/o/n// ",
    ]
    assert len({find_repository(spelling).repo_id for spelling in spellings}) == 1
    assert len({find_repository(f"https://host.example/o/{name}").repo_id for name in "abc"}) == 3


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret@host.example/o/n",
        "https://:s3cret@host.example/o/n",
        "ssh://git:s3cret@host.example/o/n",
        "https://host.example/o/n?token=s3cret",
        "https://host.example/o/n#s3cret",
        "https://a@b:s3cret@host.example/o/n",
        "me:s3cret@host.example:o/n",
        "me@x:s3cret@host.example/o/n",
        "svn://me:s3cret@host.example/o/n",
    ],
)
def test_a_secret_in_a_url_is_refused_and_never_shown(url: str) -> None:
    assert "s3cret" not in refusal(url)


def test_a_token_as_user_of_a_web_url_is_left_out() -> None:
    assert "s3cret" not in repr(find_repository("https://s3cret@host.example/o/n"))


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "ext::id@host:x",
        "ssh://-oProxyCommand=id/x",
        "-oProxyCommand=id@host.example:x",
        "ssh://-o@host/x",
        "https:///o/n",
        "https://host.example",
        "https://host.example/",
        "https://host.example/a b",
        "https://host.example/a\nb",
        "ftp://host/o/n",
        "file://otherhost/x",
        "file:///",
        "git@host:",
        "git@host::x",
    ],
)
def test_what_git_could_not_or_should_not_reach_is_refused(url: str) -> None:
    refusal(url)


def test_paths_and_urls_are_told_apart() -> None:
    assert not is_remote("/srv/a@b:c")
    assert not is_remote("./a:b")
    assert not is_remote("~/a@b:c")
    assert not is_remote("C:\\x")
    assert is_remote("git@host:x")


@given(st.text(max_size=60) | st.text("/~.:@-ahtps\\ \x00#?[]é", max_size=30))
def test_nothing_but_a_refusal_or_a_repository_comes_back(place: str) -> None:
    try:
        repo = find_repository(place)
    except NotARepositoryError as error:
        assert error.message
    else:
        assert (repo.path is None) != (repo.remote is None)
