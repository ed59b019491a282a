"""Git folders of our own, so that git compares files by our configuration and not by one that somebody else wrote.

Configuration names programs that git runs, filters above all, and that of a submodule is its agent's to write.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.providers.local.sandbox_record import COMPARING, Record


@asynccontextmanager
async def room_beside(record: Record) -> AsyncIterator[str]:
    """A folder beside the worktree, removed in the end; what a killed backend left of it goes with the task."""
    room = await anyio.to_thread.run_sync(_make_room, record)
    try:
        yield room
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(room, ignore_errors=True))


def _make_room(record: Record) -> str:
    place = Path(record.worktree).parents[1] / COMPARING
    place.mkdir(mode=0o700, exist_ok=True)
    return tempfile.mkdtemp(dir=place)


def make_git_folder(
    place: Path, hash_length: int, *, head: str = "ref: refs/heads/main", attributes: str = "", exclude: str = ""
) -> None:
    """Make a git folder without any object in `place`; touches the disk.

    `head` is the text of HEAD; `attributes` outweigh those of the work tree, `exclude` ignores more than it does.
    """
    for name in ("objects", "refs", "info"):
        (place / name).mkdir(parents=True)
    (place / "HEAD").write_text(f"{head}\n")
    (place / "info" / "attributes").write_text(attributes)
    (place / "info" / "exclude").write_text(exclude, "utf-8", "surrogateescape")
    version = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
    (place / "config").write_text(version if hash_length == 64 else "[core]\n\trepositoryformatversion = 0\n")
