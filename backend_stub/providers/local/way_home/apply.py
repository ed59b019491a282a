"""Makes a task's changes in the person's own checkout, uncommitted: whole, or not at all."""

from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.comparison import write_patch_of_names
from backend_stub.providers.local.way_home import checkout
from backend_stub.providers.local.way_home.journal import AFTER, BEFORE, Journal, keep_before
from backend_stub.providers.local.way_home.place import Place, listed, said_by

APPLYING = "applying"
"""The note that what is to be changed is on the disk."""


async def apply(place: Place, progress: Progress) -> Done:
    """Raises `GitError` with what does not fit; then the checkout is as it was."""
    folder = Path(place.record.repository)
    await progress.step("compare")
    journal = await anyio.to_thread.run_sync(Journal.read, place.own) if APPLYING in progress.notes else None
    if journal is None:
        journal = await _prepared(place, folder)
        await progress.note(APPLYING, "")
    await progress.step("apply")
    await progress.tell(str(folder))
    changed = await anyio.to_thread.run_sync(journal.make)
    if changed:
        raise GitError(
            f"{listed(changed)} in {folder} changed while the task's changes were being made. They were taken back "
            "again from all other files, and yours are as you left them. Look there with git status, then apply again.",
            retryable=False,
        )
    return Done(result={"checkout": str(folder)})


async def _prepared(place: Place, folder: Path) -> Journal:
    """The changes as git makes them, made apart from the checkout."""
    await checkout.expect_whole(place, folder)
    patch = place.own / "changes.patch"
    await anyio.to_thread.run_sync(lambda: place.own.mkdir(mode=0o700, exist_ok=True))
    with await anyio.to_thread.run_sync(lambda: patch.open("w+b")) as into:
        names, submodules = await write_patch_of_names(place.record, into)
    if not names:
        raise GitError("The task has changed nothing: there is nothing to apply.", retryable=False)
    if submodules:
        raise GitError(
            f"The task has put submodules on other commits ({listed(sorted(submodules), 3)}), which no uncommitted "
            "change says. Commit and land, or push. Nothing was changed in your checkout.",
            retryable=False,
        )
    words = ("apply", "--binary", "--whitespace=nowarn", str(patch))
    done = await place.git(*words, "--check", accept=(0, 1, 128), folder=folder)
    if done.exit_code == 0:
        await anyio.to_thread.run_sync(keep_before, place.own, folder, names, (BEFORE, AFTER))
        git_dir = await place.text("rev-parse", "--absolute-git-dir", folder=folder)
        apart = place.own / AFTER
        variables = {"GIT_DIR": git_dir, "GIT_WORK_TREE": str(apart)}
        done = await place.git(*words, accept=(0, 1, 128), folder=apart, variables=variables)
    if done.exit_code != 0:
        raise GitError(
            f"The changes do not fit {folder}: {said_by(done)}. Nothing was changed there. Commit or stash what you "
            "have changed there, or update the task if its base has moved; then apply again.",
            retryable=False,
        )
    return await anyio.to_thread.run_sync(Journal.write, place.own, folder, names, {})


async def take_back(place: Place, progress: Progress) -> None:
    """What was made is taken out again, but for what a person has changed since."""
    journal = await anyio.to_thread.run_sync(Journal.read, place.own)
    if journal is not None:
        await checkout.take_back(place, journal)
    await place.clear()
