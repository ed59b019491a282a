"""Makes a task's changes in the person's own checkout, uncommitted: whole, or not at all."""

from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.comparison import write_patch
from backend_stub.providers.local.way_home.place import LEFT_ALONE, Place, said_by

APPLYING = "applying"


async def apply(place: Place, progress: Progress) -> Done:
    """Raises `GitError` with what does not fit; then the checkout is as it was."""
    await progress.step("compare")
    patch = place.own / "changes.patch"
    checkout = Path(place.record.repository)
    if APPLYING in progress.notes:
        await place.take_over(after=LEFT_ALONE)
        if await _fits(place, patch, checkout, "--reverse") is None:
            return Done(result={"checkout": str(checkout)})
    else:
        await anyio.to_thread.run_sync(lambda: place.own.mkdir(mode=0o700, exist_ok=True))
        with await anyio.to_thread.run_sync(lambda: patch.open("wb")) as into:
            await write_patch(place.record, into)
        if not (await anyio.to_thread.run_sync(patch.stat)).st_size:
            raise GitError("The task has changed nothing: there is nothing to apply.", retryable=False)
    await progress.step("apply")
    await progress.tell(str(checkout))
    why = await _fits(place, patch, checkout)
    if why is not None and APPLYING in progress.notes:
        raise GitError(
            f"The changes were being made in {checkout} as the backend ended, and it is not known how many of them "
            f"are. Look there with git status and git diff ({why}).",
            retryable=False,
        )
    if why is not None:
        raise GitError(f"The changes do not fit {checkout}: {why}. Nothing was changed there.", retryable=False)
    await progress.note(APPLYING, "")
    words = ("apply", "--binary", "--whitespace=nowarn", str(patch))
    done = await place.git(*words, accept=(0, 1, 128), folder=checkout, whole=True)
    if done.exit_code != 0:
        raise GitError(f"The changes could not be made in {checkout}: {said_by(done)}", retryable=False)
    return Done(result={"checkout": str(checkout)})


async def take_back(place: Place, progress: Progress) -> None:
    """Git makes all changes or none; what was made whole is taken out again."""
    await place.take_over(after=LEFT_ALONE)
    patch, checkout = place.own / "changes.patch", Path(place.record.repository)
    if APPLYING in progress.notes and await _fits(place, patch, checkout, "--reverse") is None:
        words = ("apply", "--binary", "--reverse", "--whitespace=nowarn", str(patch))
        await place.git(*words, folder=checkout, whole=True)
    await place.clear()


async def _fits(place: Place, patch: Path, checkout: Path, *options: str) -> str | None:
    """Why the patch cannot be applied, None when it can."""
    done = await place.git("apply", "--check", "--binary", *options, str(patch), accept=(0, 1, 128), folder=checkout)
    return None if done.exit_code == 0 else said_by(done)
