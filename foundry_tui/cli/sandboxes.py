"""What the local provider keeps in the data folder, looked at from outside: room used, and what belongs to no task."""

import os
from collections.abc import Iterator, Set
from pathlib import Path
from typing import NamedTuple

from foundry_tui.contract.ids import is_task_id


class SandboxFolder(NamedTuple):
    """The folder of one task's sandbox, and the bytes that its files take on the disk."""

    task_id: str
    folder: Path
    bytes: int


class Clone(NamedTuple):
    """A repository that was cloned into the data folder, and the bytes that its files take on the disk."""

    folder: Path
    bytes: int


def held(data_dir: Path) -> Iterator[SandboxFolder]:
    """The sandboxes in the data folder, in the order of their making; reads every folder below."""
    root = data_dir / "sandboxes"
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        if is_task_id(folder.name) and folder.is_dir() and not folder.is_symlink():
            yield SandboxFolder(folder.name, folder, _size(folder))


def clones(data_dir: Path) -> Iterator[Clone]:
    """The clones of repositories that are known by URL; reads every folder below."""
    root = data_dir / "repositories"
    if not root.is_dir():
        return
    for folder in sorted(root.glob("*/*")):
        if folder.is_dir() and not folder.is_symlink():
            yield Clone(folder, _size(folder))


def orphans(sandboxes: list[SandboxFolder], known: Set[str]) -> list[SandboxFolder]:
    """Those that belong to no task that the backend knows; nothing removes them by itself."""
    return [sandbox for sandbox in sandboxes if sandbox.task_id not in known]


def room(count: int) -> str:
    """Bytes in words, as `12 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _size(folder: Path) -> int:
    """Blocks of all files below, links not followed; what vanishes meanwhile counts nothing."""
    total = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total
