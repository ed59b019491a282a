"""The patch of a task is git's own: applied to the base it makes the sandbox's files, to the byte."""

import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from tests.git import git
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio

NAMES = (
    "plain.txt", "with space", "tab\there", 'quo"te', "new\nline", "back\\slash", "ünï/コード.txt", "deep/er/file.py",
    "-dash", ":colon", "*star?", "[a]", "trailing ", ".hidden/x",
    "a b/c d", "ends with /x", "it's", "$(id)", "emoji🎉", "latin\udce9.txt",
)  # fmt: skip
CONTENTS: tuple[bytes, ...] = (
    b"",
    b"one\n",
    b"no newline at the end",
    b"crlf\r\nlines\r\n",
    b"mixed\r\nlines\nand\rreturns\n",
    "caf\xe9 latin-1\n".encode("latin-1"),
    b"\0binary\0\xff\xfe" * 50,
    b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
    b"$Id$ and trailing space \n\n\n",
    ("line of some length to be found again\n" * 12_000).encode(),
    b"\xef\xbb\xbfwith a byte order mark\n",
    "utf-16 text\n".encode("utf-16"),
)
CONFIGURATION = {
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.external": "false",
    "diff.renames": "copies",
    "diff.context": "0",
    "diff.interHunkContext": "9",
    "diff.algorithm": "patience",
    "diff.submodule": "log",
    "diff.suppressBlankEmpty": "true",
    "diff.wsErrorHighlight": "all",
    "diff.orderFile": os.devnull,
    "diff.relative": "true",
    "diff.mad.textconv": "tr a-z A-Z <",
    "diff.mad.command": "false",
    "diff.mad.binary": "true",
    "color.ui": "always",
    "color.diff": "always",
    "core.pager": "false",
    "core.quotePath": "false",
    "core.autocrlf": "input",
    "core.safecrlf": "true",
    "core.splitIndex": "true",
    "core.ignoreStat": "true",
    "core.fsmonitor": "false",
}


def snapshot(folder: Path) -> dict[bytes, tuple[str, bytes]]:
    """Every file of a tree with its kind and its bytes, git's own left out."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for where, folders, names in os.walk(os.fsencode(folder)):
        if os.path.basename(where) == b".git":
            folders.clear()
            continue
        for name in (*names, *(name for name in folders if os.path.islink(os.path.join(where, name)))):
            path = os.path.join(where, name)
            if name == b".git":
                continue
            relative = os.path.relpath(path, os.fsencode(folder))
            if os.path.islink(path):
                found[relative] = "link", os.readlink(path)
            else:
                mode = "executable" if os.stat(path).st_mode & 0o100 else "file"
                found[relative] = mode, Path(os.fsdecode(path)).read_bytes()
    return found


async def patch_of(world: LocalWorld, provider: LocalProvider, task: TaskDetail) -> bytes:
    with tempfile.TemporaryFile() as file:
        assert await provider.write_patch(world.call(task), file)
        file.seek(0)
        return file.read()


def applied(world: LocalWorld, patch: bytes, base: str) -> Path:
    """A copy of the base, away from the repository and its configuration, with the patch applied to it."""
    copy = world.folder / f"applied-{len(list(world.folder.iterdir()))}"
    git(world.folder, "clone", "--quiet", "--no-checkout", str(world.repository), str(copy))
    git(copy, "checkout", "--quiet", "--detach", base)
    if patch:
        done = subprocess.run(
            ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"],
            cwd=copy,
            input=patch,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": str(world.folder / "nobody"), "GIT_CONFIG_NOSYSTEM": "1"},
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
    return copy


def write(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    if any((folder / parent).is_file() or (folder / parent).is_symlink() for parent in Path(name).parents):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def change(chance: random.Random, folder: Path) -> None:
    """One change as an agent may make it."""
    name = chance.choice(NAMES)
    path = folder / name
    kind = chance.randrange(10)
    if kind < 4:
        write(folder, name, chance.choice(CONTENTS))
    elif kind == 4 and path.is_file():
        path.write_bytes(path.read_bytes() + chance.choice(CONTENTS))
    elif kind == 5 and (path.is_file() or path.is_symlink()):
        path.unlink()
    elif kind == 6 and path.is_file() and not path.is_symlink():
        path.chmod(path.stat().st_mode ^ 0o111)
    elif kind == 7 and not path.exists() and not path.is_symlink() and path.parent.is_dir():
        path.symlink_to(chance.choice(("plain.txt", "nowhere", "/etc/passwd", "li\nnk")))
    elif kind == 8 and path.is_file() and not path.is_symlink():
        other = folder / chance.choice(NAMES)
        if not other.exists() and not other.is_symlink() and other.parent.is_dir():
            path.rename(other)
    else:
        write(folder, f"{name}.more/{chance.randrange(3)}", chance.choice(CONTENTS))


@pytest.mark.parametrize("seed", range(25))
async def test_a_hostile_tree_comes_out_equal_to_the_byte(git_world: LocalWorld, seed: int) -> None:
    chance = random.Random(seed)
    for name in chance.sample(NAMES, 9):
        write(git_world.repository, name, chance.choice(CONTENTS))
    git(git_world.repository, "add", "--all")
    git(git_world.repository, "commit", "--quiet", "--message=hostile")
    if seed % 2:
        for name, value in CONFIGURATION.items():
            git(git_world.repository, "config", name, value)
        (git_world.repository / ".git" / "info").mkdir(exist_ok=True)
        (git_world.repository / ".git" / "info" / "attributes").write_text("* diff=mad\n*.txt -diff ident\n")
    base = git(git_world.repository, "rev-parse", "HEAD").strip()
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        for number in range(chance.randrange(1, 25)):
            change(chance, folder)
            if chance.random() < 0.2:
                git(folder, "-c", "core.safecrlf=false", "-c", "core.autocrlf=false", "add", "--all")
            if chance.random() < 0.1:
                git(folder, "-c", "core.safecrlf=false", "commit", "--quiet", "--allow-empty", f"--message={number}")
        before = {name: (folder / name).lstat().st_mtime_ns for name in (".git",)}
        index = git(folder, "rev-parse", "--absolute-git-dir").strip() + "/index"
        heads, names = ("rev-parse", "HEAD", "HEAD^{tree}"), set(os.listdir(Path(index).parent))
        marks = Path(index).read_bytes(), git(folder, *heads), names
        patch = await patch_of(git_world, provider, task)
        assert marks == (Path(index).read_bytes(), git(folder, *heads), set(os.listdir(Path(index).parent)))
        assert before == {name: (folder / name).lstat().st_mtime_ns for name in (".git",)}
        assert snapshot(applied(git_world, patch, base)) == snapshot(folder)


async def test_much_is_never_cut(git_world: LocalWorld) -> None:
    base = git(git_world.repository, "rev-parse", "HEAD").strip()
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        (folder / "long.txt").write_text("".join(f"{number} of many lines\n" for number in range(20_000)))
        (folder / "a.txt").write_text("x" * 400_000)
        for number in range(600):
            write(folder, f"many/{number}.txt", f"{number}\n".encode())
        patch = await patch_of(git_world, provider, task)
        assert snapshot(applied(git_world, patch, base)) == snapshot(folder)
        await provider.changes.settled()
        provider.changes.refresh(task.task_id)
        await provider.changes.settled()
        diff = provider.changes.diff(task.task_id)
        assert diff is not None
        files = {file.path: file for file in diff.files}
        assert len(files) == 602
        assert (files["long.txt"].added, files["long.txt"].cut) == (20_000, True)
        assert files["long.txt"].patch.endswith("lines\n")
        assert (files["a.txt"].added, files["a.txt"].removed, files["a.txt"].cut) == (1, 2, True)


async def test_a_file_that_became_a_link_and_one_with_conflicts(git_world: LocalWorld) -> None:
    base = git(git_world.repository, "rev-parse", "HEAD").strip()
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        (folder / "b.txt").unlink()
        (folder / "b.txt").symlink_to("a.txt")
        git(folder, "checkout", "--quiet", "-b", "side")
        (folder / "a.txt").write_text("side\n")
        git(folder, "commit", "--quiet", "--all", "--message=side")
        git(folder, "checkout", "--quiet", "fix/it")
        (folder / "a.txt").write_text("ours\n")
        git(folder, "commit", "--quiet", "--all", "--message=ours")
        with pytest.raises(subprocess.CalledProcessError):
            git(folder, "merge", "side")
        git(folder, "rm", "--quiet", "--cached", ".gitignore")
        assert "<<<<" in (folder / "a.txt").read_text()
        patch = await patch_of(git_world, provider, task)
        assert snapshot(applied(git_world, patch, base)) == snapshot(folder)


async def test_the_patch_of_an_archived_task_is_kept_whole(git_world: LocalWorld) -> None:
    from backend_stub.domain.provider import Release

    base = git(git_world.repository, "rev-parse", "HEAD").strip()
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        (folder / "new.bin").write_bytes(b"\0\1\2")
        (folder / "a.txt").write_text("committed\n")
        git(folder, "commit", "--quiet", "--all", "--message=work")
        was = snapshot(folder)
        await provider.release_sandbox(git_world.call(task), Release(force=True))
        assert not folder.exists()
        assert snapshot(applied(git_world, await patch_of(git_world, provider, task), base)) == was
