"""Patch, checkpoint and undo are equal to the byte in whatever state the index, the repository and the files are."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from anyio import to_thread

from tests.git import ENVIRONMENT, git
from tests.local.hostile_trees import seen
from tests.local.test_checkpoints import operation, sandbox
from tests.local.test_patch import applied, patch_of
from tests.local.test_way_home import Told
from tests.local.world import LocalWorld

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Step = Callable[[Path], None]


def tried(folder: Path, *words: str) -> None:
    """Run git, which may stop on the way, as at a conflict."""
    subprocess.run(["git", *words], cwd=folder, env={**ENVIRONMENT, "GIT_EDITOR": "true"}, capture_output=True)


def conflict(folder: Path) -> None:
    """Two branches that changed the same line; the other one is `side`."""
    git(folder, "checkout", "--quiet", "-b", "side")
    (folder / "a.txt").write_text("side\n")
    git(folder, "commit", "--quiet", "--all", "--message=side")
    git(folder, "checkout", "--quiet", "fix/it")
    (folder / "a.txt").write_text("ours\n")
    git(folder, "commit", "--quiet", "--all", "--message=ours")


def stopped(*words: str) -> Step:
    def act(folder: Path) -> None:
        conflict(folder)
        tried(folder, *words)
        assert "<<<<" in (folder / "a.txt").read_text()

    return act


def indexed(*words: str) -> Step:
    def act(folder: Path) -> None:
        git(folder, "update-index", *words)

    return act


def intent(folder: Path) -> None:
    (folder / "meant.txt").write_text("meant\n")
    git(folder, "add", "--intent-to-add", "meant.txt")


def sparse(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    (folder / "in/x").write_text("in\n")
    (folder / "out/x").write_text("out\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=folders")
    git(folder, "sparse-checkout", "set", "in")
    assert not (folder / "out").exists()


def large_files(folder: Path) -> None:
    """A filter as LFS has one: what git knows is a pointer, what lies there is the file."""
    git(folder, "config", "filter.lfs.clean", "sha256sum")
    git(folder, "config", "filter.lfs.smudge", "cat")
    git(folder, "config", "filter.lfs.required", "true")
    (folder / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (folder / "big.bin").write_bytes(b"\0\1" * 900)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=large")


def line_ends(folder: Path) -> None:
    git(folder, "config", "core.autocrlf", "true")
    git(folder, "config", "core.eol", "crlf")
    (folder / ".gitattributes").write_text(
        "*.bat eol=crlf\n*.sh text eol=lf\n*.raw -text\n*.u16 working-tree-encoding=UTF-16\n"
    )
    for name in ("x.bat", "x.sh", "x.raw", "x.txt"):
        (folder / name).write_bytes(b"one\r\ntwo\nthree")
    (folder / "x.u16").write_bytes("zwölf\r\n".encode("utf-16"))
    tried(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=ends")


def case_only(folder: Path) -> None:
    (folder / "README").write_text("one\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=case")


def submodule(folder: Path) -> None:
    library = folder.parent / "library"
    if not library.exists():
        library.mkdir()
        git(library, "init", "--quiet")
        (library / "l.txt").write_text("library\n")
        git(library, "add", "--all")
        git(library, "commit", "--quiet", "--message=library")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(folder, "commit", "--quiet", "--message=submodule")


def nested(folder: Path) -> None:
    git(folder, "init", "--quiet", "own")
    (folder / "own/file").write_text("1\n")
    git(folder / "own", "add", "--all")
    git(folder / "own", "commit", "--quiet", "--message=1")


def nothing(folder: Path) -> None:
    pass


def edited(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"changed\r\nby the turn")
    (folder / "empty").write_bytes(b"")
    (folder / "b.txt").unlink(missing_ok=True)


def each_edited(folder: Path) -> None:
    """All that are there, and what is not."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts:
            path.write_bytes(b"turned\r\n" + path.read_bytes().replace(b"\r\n", b"\n"))
            path.chmod(path.stat().st_mode ^ stat.S_IXUSR)
    (folder / "more").mkdir()
    (folder / "more/x.bin").write_bytes(b"\0" * 10)


def other_case(folder: Path) -> None:
    (folder / "README").rename(folder / "Readme")


def into_sparse(folder: Path) -> None:
    edited(folder)
    (folder / "out").mkdir()
    (folder / "out/x").write_text("written there all the same\n")


def pipes(folder: Path) -> None:
    os.mkfifo(folder / "new pipe")
    os.mknod(folder / "new socket", 0o600 | stat.S_IFSOCK)
    (folder / "a.txt").unlink()
    os.mkfifo(folder / "a.txt")
    (folder / "b.txt").unlink()
    (folder / "b.txt").mkdir()
    os.mknod(folder / "b.txt/socket", 0o600 | stat.S_IFSOCK)


def huge(folder: Path) -> None:
    with (folder / "huge").open("wb") as file:
        file.truncate(65 << 20)
        file.seek(40 << 20)
        file.write(b"here")


def moved(folder: Path) -> None:
    git(folder, "mv", "lib", "elsewhere")


def removed(folder: Path) -> None:
    git(folder, "rm", "--quiet", "lib")


def removed_by_hand(folder: Path) -> None:
    shutil.rmtree(folder / "lib")
    (folder / "lib").write_text("a file by now\n")


def committed_inside(folder: Path) -> None:
    (folder / "lib/l.txt").write_text("2\n")
    git(folder / "lib", "commit", "--quiet", "--all", "--message=2")


STATES: dict[str, tuple[Step, Step]] = {
    "a file that is to be added": (intent, each_edited),
    "files assumed unchanged": (indexed("--assume-unchanged", "a.txt", "b.txt"), edited),
    "a file that git skips": (indexed("--skip-worktree", "a.txt"), edited),
    "a split index": (indexed("--split-index"), edited),
    "an index of version 4": (indexed("--index-version", "4"), edited),
    "in the middle of a merge": (stopped("merge", "side"), edited),
    "in the middle of a rebase": (stopped("rebase", "side"), edited),
    "in the middle of a cherry-pick": (stopped("cherry-pick", "side"), edited),
    "a turn that begins a merge": (conflict, lambda folder: tried(folder, "merge", "side")),
    "a turn that begins a rebase": (conflict, lambda folder: tried(folder, "rebase", "side")),
    "a sparse checkout": (sparse, edited),
    "a sparse checkout that was written outside of": (sparse, into_sparse),
    "a turn that makes it sparse": (nothing, sparse),
    "large files behind a filter": (large_files, each_edited),
    "ends of lines and encodings": (line_ends, each_edited),
    "a name in another case": (case_only, other_case),
    "pipes and sockets": (nothing, pipes),
    "a huge file": (nothing, huge),
    "a submodule added": (nothing, submodule),
    "a submodule moved": (submodule, moved),
    "a submodule removed": (submodule, removed),
    "a submodule that became a file": (submodule, removed_by_hand),
    "a submodule on another commit": (submodule, committed_inside),
    "a repository inside": (nothing, nested),
    "an index that is gone": (nothing, lambda folder: Path(git(folder, "rev-parse", "--git-path", "index")).unlink()),
}  # fmt: skip


UNKNOWN_TO_GIT = ("pipe", "socket")
CONVERTED = ("large files behind a filter", "ends of lines and encodings")
"""What git has of a file is what a filter makes of it, and so a patch has that."""


def stands(folder: Path) -> list[bytes | str | None]:
    """Where git stands, which nothing of this may change."""
    git_dir = Path(git(folder, "rev-parse", "--absolute-git-dir"))
    places = [git_dir / name for name in ("index", "HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge/done")]
    states = [place.read_bytes() if place.exists() else None for place in places]
    return [*states, git(folder, "for-each-ref", "refs/heads", "refs/stash", "refs/tags"), git(folder, "config", "-l")]


def outer(folder: Path) -> dict[bytes, tuple[str, bytes]]:
    """The files but for those of repositories inside, which are left alone."""
    found = seen(os.fsencode(folder))
    return {
        name: each
        for name, each in found.items()
        if not (folder / os.fsdecode(name).partition("/")[0] / ".git").exists()
    }


@pytest.mark.parametrize("state", STATES)
async def test_all_comes_back_and_the_state_stays(git_world: LocalWorld, state: str) -> None:
    prepare, turn = STATES[state]
    async with sandbox(git_world) as (provider, task, folder):
        call = git_world.call(task)
        base = git(git_world.repository, "rev-parse", "main")
        await to_thread.run_sync(prepare, folder)
        (folder / "kept.txt").write_text("before\n")
        first = await to_thread.run_sync(outer, folder)
        await provider.checkpoints.begin(call, "p1")
        await to_thread.run_sync(turn, folder)
        (folder / "kept.txt").write_text("after\n")
        second = await to_thread.run_sync(outer, folder)
        inside = await to_thread.run_sync(seen, os.fsencode(folder))
        standing = stands(folder)
        await provider.checkpoints.end(call, ["p1"])
        patch = await patch_of(git_world, provider, task)
        made = await to_thread.run_sync(outer, applied(git_world, patch, base))
        if state not in CONVERTED:
            files = {name: each for name, each in second.items() if each[0] not in UNKNOWN_TO_GIT}
            # A sparse checkout has not all that is committed.
            assert {name: each for name, each in made.items() if name in files or name != b"out/x"} == files
        undone = await provider.way_home.operate(call, operation("1"), Told())
        left = {name: each for name, each in second.items() if each[0] in UNKNOWN_TO_GIT and b"new" in name}
        assert await to_thread.run_sync(outer, folder) == {**first, **left}
        again = operation("2", checkpoint_id=undone.result["checkpoint_id"])
        await provider.way_home.operate(call, again, Told())
        # A pipe or a socket that stood where a file was is in no tree.
        lost = {name for name, each in second.items() if each[0] in UNKNOWN_TO_GIT and b"new" not in name}
        assert await to_thread.run_sync(outer, folder) == {
            name: each for name, each in second.items() if name not in lost
        }
        assert lost or await to_thread.run_sync(seen, os.fsencode(folder)) == inside
        assert stands(folder) == standing
