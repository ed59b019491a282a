"""Copying a person's own untracked files into a new worktree: those that a list in .gitignore's language means.

git itself says which files these are. Each is then reached folder by folder without following a link, on both sides,
so that nothing outside of the repository is read and nothing outside of the worktree is written.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.repository.git import TREE_TIMEOUT, Told, run_git
from backend_stub.repository.nofollow import UnusableError, file_in, folder_below
from backend_stub.repository.setup_files import read_list

LIST = "copy"
"""The list's name in `.foundry/`, one pattern a line."""
MOST_FILES = 10_000
MOST_BYTES = 1024 * 1024 * 1024
NAMED_FILES = 50
"""Files that the log names one by one."""
_PIECE = 1024 * 1024
_PART = ".foundry-part"
"""The name of a file while it is copied."""
_PATTERN = re.compile(r"[*?\[\\!]|/\s*$")


async def copy_files(
    source: str, target: Path, configured: Iterable[str], scratch: Path, log: Callable[[str], None], told: Told
) -> None:
    """Copy what `configured` and the new worktree's `.foundry/copy` list from the repository's folder `source`.

    `scratch` is a file that git is shown the list in. What is there already is left. At most `MOST_FILES` files of
    together `MOST_BYTES` bytes are copied. Whatever is refused or left out is said in the log; the task goes on.
    """
    try:
        listed = await anyio.to_thread.run_sync(read_list, target, LIST) or b""
    except UnusableError as error:
        log(f"{error}, so nothing that it lists is copied")
        listed = b""
    lines = [*(name.encode("utf-8", "surrogateescape") for name in configured), *listed.splitlines()]
    patterns = [line for line in lines if line.strip() and not line.startswith(b"#")]
    wanted = []
    for pattern in patterns:
        if _leads_out(pattern):
            log(f"copy {_shown(pattern)}: refused, since it leads out of the repository")
        else:
            wanted.append(pattern)
    if not wanted:
        return
    try:
        names = await _names(source, wanted, scratch, told)
    except GitError as error:
        log(f"nothing is copied: {error.message}")
        return
    for pattern in wanted:
        name = _shown(pattern).strip().strip("/")
        if not _PATTERN.search(_shown(pattern)) and not any(_means(name, found) for found in names):
            there = await anyio.to_thread.run_sync(os.path.lexists, target / name)
            log(f"copy {name}: {'there already' if there else 'not there'}")
    await _copy_all(source, target, names, log)


async def _names(source: str, patterns: list[bytes], scratch: Path, told: Told) -> list[str]:
    """The untracked files that the patterns mean; a name that ends in a slash is a repository of its own."""
    try:
        await anyio.to_thread.run_sync(scratch.write_bytes, b"\n".join(patterns) + b"\n")
        listed = await run_git(
            source,
            "ls-files",
            "--others",
            "--ignored",
            f"--exclude-from={scratch}",
            "-z",
            told=told,
            timeout=TREE_TIMEOUT,
        )
    finally:
        await anyio.to_thread.run_sync(lambda: scratch.unlink(missing_ok=True))
    return [name for name in listed.text.split("\0") if name]


async def _copy_all(source: str, target: Path, names: list[str], log: Callable[[str], None]) -> None:
    copied = room = 0
    room = MOST_BYTES
    for number, name in enumerate(names):
        if copied >= MOST_FILES:
            log(f"the other {len(names) - number} files are not copied: {MOST_FILES} are the most")
            break
        size, outcome = await anyio.to_thread.run_sync(_copy_file, source, target, name, room)
        if size is not None:
            copied += 1
            room -= size
        if number < NAMED_FILES or size is None:
            log(f"copy {name}: {outcome}")
    if copied:
        log(f"copied {copied} {'file' if copied == 1 else 'files'}, {(MOST_BYTES - room + 1023) // 1024} KiB")


def _copy_file(source: str, target: Path, name: str, room: int) -> tuple[int | None, str]:
    """The bytes that were copied, or None, and what came of it in words; `room` is how many there may be."""
    if name.endswith("/"):
        return None, "not copied: it is a repository of its own"
    path = PurePosixPath(name)
    try:
        with folder_below(source, path.parent.parts) as old, file_in(old, path.name) as file:
            if os.fstat(file).st_size > room:
                return None, f"not copied: all together would be more than {MOST_BYTES >> 20} MiB"
            mode = stat.S_IMODE(os.fstat(old).st_mode) | stat.S_IRWXU
            with folder_below(target, path.parent.parts, mode=mode) as new:
                if _is_there(new, path.name):
                    return None, "there already"
                return _copy_bytes(file, new, path.name, room), "done"
    except FileNotFoundError:
        return None, "not there"
    except UnusableError as error:
        return None, f"not copied: it, or a folder on the way, {error}"
    except OSError as error:
        return None, f"not copied: {error.strerror}"


def _copy_bytes(file: int, folder: int, name: str, room: int) -> int:
    """Copy an open file to a new one, which is there whole or not at all; the bytes that were copied."""
    found = os.fstat(file)
    if _is_there(folder, _PART):
        os.unlink(_PART, dir_fd=folder)
    made = os.open(_PART, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        size = 0
        while piece := os.read(file, _PIECE):
            size += len(piece)
            if size > room:
                raise UnusableError("grows while it is copied")
            while piece:
                piece = piece[os.write(made, piece) :]
        os.fchmod(made, stat.S_IMODE(found.st_mode) & 0o777)
        os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.rename(_PART, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(_PART, dir_fd=folder)
        raise
    finally:
        os.close(made)
    return size


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _means(name: str, found: str) -> bool:
    """Whether a pattern without wildcards means this file, or a folder that it is in."""
    if "/" in name:
        return found == name or found.startswith(f"{name}/")
    return name in found.split("/")


def _leads_out(pattern: bytes) -> bool:
    parts = pattern.strip().lstrip(b"!").strip(b"/").split(b"/")
    return b".." in parts or parts[0] == b".git"


def _shown(pattern: bytes) -> str:
    return pattern.decode("utf-8", "replace")
