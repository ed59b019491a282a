"""What the files of a worktree are on the disk, as far as a comparison has to know that before git looks. All of these
read the disk, and so belong into a thread.
"""

import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

TOO_LATE = 2_000_000_000
"""Nanoseconds for which a file that was changed may be changed again without another time of change."""


def stamps_of(paths: Iterable[Path]) -> Sequence[tuple[int, ...] | None] | None:
    """By what it is told that each was changed; None when one was so lately that the next change may have the same."""
    lately = time.time_ns() - TOO_LATE
    found: list[tuple[int, ...] | None] = []
    for path in paths:
        try:
            held = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            found.append(None)
            continue
        if max(held.st_ctime_ns, held.st_mtime_ns) > lately:
            return None
        found.append((held.st_mode, held.st_size, held.st_mtime_ns, held.st_ctime_ns, held.st_ino))
    return found


def not_looked_at(folder: Path, marked: bytes) -> tuple[list[str], list[str], list[str]]:
    """Of `ls-files -v -z`: the files that git takes to be unchanged without looking; those that are there though it is
    not to look for them; and those in folders that it cannot look into, which it would take to be gone.
    """
    tagged = [(line[:1], os.fsdecode(line[2:])) for line in marked.split(b"\0") if line]
    skipped = [name for tag, name in tagged if tag in b"Ss" and os.path.lexists(folder / name)]
    folders = {name.rpartition("/")[0] for _, name in tagged}
    shut = {each for each in folders if _is_closed(f"{folder}/{each}/.")}
    closed = [name for _, name in tagged if name.rpartition("/")[0] in shut]
    return [name for tag, name in tagged if tag.islower()], skipped, closed


def unlike_files(folder: Path, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of them that are pipes and the like, and those that cannot be read."""
    no_files: list[str] = []
    closed: list[str] = []
    for name in names:
        if _is_closed(f"{folder}/{name}"):
            closed.append(name)
            continue
        with suppress(OSError):
            mode = os.lstat(folder / name).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
                no_files.append(name)
    return no_files, closed


def _is_closed(path: str) -> bool:
    """Whether it is a file that cannot be read, or lies in a folder into which nobody can look."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode) and not os.access(path, os.R_OK)
    except PermissionError:
        return True
    except OSError:
        return False


def within(
    folder: Path, names: Sequence[str], most_files: int | None, most_bytes: int | None
) -> tuple[Sequence[str], Sequence[str]]:
    """The names as far as the limits go, and the rest, with those that cannot be read."""
    closed = [name for name in names if _is_closed(f"{folder}/{name}")]
    if closed:
        names = sorted(frozenset(names) - frozenset(closed))
    if most_files is None or most_bytes is None:
        return names, closed
    size = 0
    for number, name in enumerate(names[:most_files]):
        try:
            size += os.lstat(folder / name).st_size
        except OSError:
            continue
        if size > most_bytes:
            return names[:number], [*closed, *names[number:]]
    return names[:most_files], [*closed, *names[most_files:]]
