"""Where repositories are on this machine: in a folder of their own, or cloned into the data folder by their URL."""

import os
import shutil
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.machine import privacy
from backend_stub.repository.git import TREE_TIMEOUT, Told, run_git
from foundry_tui.contract.records import Repo


class Clones:
    """`repositories/REPO_ID/NAME` in the data folder, one for each repository that is known by its URL only."""

    def __init__(self, data_dir: Path) -> None:
        # What git says of paths has no symbolic links in it, and is compared with ours.
        self._root = data_dir.resolve() / "repositories"

    def place(self, repo: Repo) -> str | None:
        """The real path of the repository's folder; None for a URL that is not cloned yet.

        Touches the disk; safe to run in a thread.
        """
        if repo.path is not None:
            return os.path.realpath(repo.path)
        clone = self._folder(repo)
        return str(clone) if clone.is_dir() else None

    async def make(self, repo: Repo, remote: str, told: Told, *, name: str) -> str:
        """Clone it; the folder. `name` tells this attempt from others at the same time, of which one wins.

        The clone has branches of the remote only, so that tasks start from what was fetched last. Raises `GitError`.
        """
        target = self._folder(repo)
        partial = target.parent / f"{name}.part"
        await anyio.to_thread.run_sync(_make_room, partial)
        try:
            await run_git(
                str(target.parent),
                "clone",
                "--quiet",
                "--no-checkout",
                "--config=core.sharedRepository=0600",
                "--",
                remote,
                str(partial),
                told=told,
                timeout=TREE_TIMEOUT,
            )
            head = await run_git(str(partial), "symbolic-ref", "--quiet", "HEAD", told=told, accept=(0, 1))
            if head.exit_code == 0:
                await run_git(str(partial), "update-ref", "-d", head.text.strip(), told=told)
            # What git made before it knew that the clone is its user's alone.
            await anyio.to_thread.run_sync(privacy.close_tree, partial)
            # Moved there when it is whole.
            await anyio.to_thread.run_sync(_move_unless_there, partial, target)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: shutil.rmtree(partial, ignore_errors=True))
        return str(target)

    def _folder(self, repo: Repo) -> Path:
        name = Path(repo.label).name.removesuffix(".git") or "repository"
        return self._root / repo.repo_id / name


def _make_room(partial: Path) -> None:
    partial.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(partial, ignore_errors=True)


def _move_unless_there(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir():
            raise
