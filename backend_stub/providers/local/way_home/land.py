"""Brings a worktree's branch into a local branch: made apart first, then taken over in one move."""

import shutil
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.way_home import checkout as checkouts
from backend_stub.providers.local.way_home.journal import Journal
from backend_stub.providers.local.way_home.place import HEADS, Place, base_of, listed, refused, short
from backend_stub.providers.local.way_home.submodules import expect_landable
from backend_stub.repository.checkouts import LISTING, checkout_in

NEW, OLD = "new", "old"


async def land(place: Place, call: Call, progress: Progress, *, how: str, into: str | None, archive: bool) -> Done:
    """Raises `GitError`; then no branch and no checkout was touched."""
    await progress.step("check")
    meant = into or place.record.base_branch
    if meant is None:
        raise GitError(
            f"The task began from the commit {place.record.base_name[:10]}, which is no branch. Say which one it is to "
            "land on (land --into BRANCH).",
            retryable=False,
        )
    target = await _branch_behind(place, meant)
    if NEW in progress.notes:
        await place.take_over()
        await place.free_refs(f"{HEADS}{target}")
        journal = await anyio.to_thread.run_sync(Journal.read, place.own)
        if journal is not None and not await place.holds(progress.notes[NEW], f"{HEADS}{target}"):
            await checkouts.go_on(place, journal)
        await checkouts.settle(place)
        if await place.holds(progress.notes[NEW], f"{HEADS}{target}"):
            return Done(result={"sha": progress.notes[NEW], "into": target}, archive=archive)
    branch = await _ready_branch(place, target)
    old = await place.commit_of(f"{HEADS}{target}")
    if not old:
        raise GitError(
            f"There is no local branch {target} to land on. Make one (git branch {target} origin/{target}), or push "
            "and open a pull request.",
            retryable=False,
        )
    await _expect_clean(place, target)
    await expect_landable(place, branch, old, squash=how == "squash")
    await progress.step(how)
    new = await _made(place, call, progress, how, branch, target, old)
    await progress.note(OLD, old)
    await progress.note(NEW, new)
    await _take_over(place, progress, target)
    return Done(result={"sha": new, "into": target}, archive=archive)


async def take_back(place: Place, progress: Progress) -> None:
    """What was made apart is thrown away; what a branch has already stays."""
    await place.take_over()
    await checkouts.settle(place)
    await _remove_apart(place)
    await place.clear()


async def _ready_branch(place: Place, target: str) -> str:
    await place.expect_nothing_in_progress()
    branch = await place.branch()
    if branch == target:
        raise GitError(f"The task works on {target} itself: there is nothing to land.", retryable=False)
    files = await place.dirty()
    if files:
        raise GitError(
            f"{len(files)} {'file is' if len(files) == 1 else 'files are'} not committed ({listed(files, 3)}). "
            "Commit first, then land.",
            retryable=False,
        )
    if await place.text("rev-list", "--count", f"{HEADS}{target}..HEAD", "--", accept=(0, 128)) == "0":
        raise GitError(f"The branch {branch} has no commit that {target} does not have.", retryable=False)
    return branch


async def _made(place: Place, call: Call, progress: Progress, how: str, branch: str, target: str, old: str) -> str:
    """The commit that the target is to have, made in a worktree of its own with the person's hooks and signing."""
    if how == "merge" and await place.text("merge-base", "--", old, "HEAD", accept=(0, 1)) == old:
        return await place.commit_of("HEAD")
    apart = place.own / "apart"
    await _remove_apart(place)
    await anyio.to_thread.run_sync(lambda: place.own.mkdir(mode=0o700, exist_ok=True))
    tip = await place.commit_of("HEAD")
    await place.git("worktree", "add", "--quiet", "--detach", "--", str(apart), old)
    try:
        theirs = await _of_the_base(place, target, old) if how != "merge" else ""
        if theirs:
            # What others did comes as they made it, and is no part of what the task lands.
            title = f"Merge {short(await base_of(place) or theirs)}"
            await _brought(place, apart, how, "merge", "--quiet", "-m", title, theirs)
        if how == "rebase":
            onto = await place.text("rev-parse", "HEAD", folder=apart)
            await place.git("checkout", "--quiet", "--detach", tip, folder=apart)
            await _brought(place, apart, how, "rebase", "--quiet", onto)
        elif how == "squash":
            await _brought(place, apart, how, "merge", "--quiet", "--squash", tip)
            staged = await place.git("diff", "--cached", "--quiet", accept=(0, 1), folder=apart)
            if staged.exit_code == 0:
                raise GitError(f"{target} has all that the branch {branch} changes: it has landed.", retryable=False)
        else:
            words = ("merge", "--quiet", "--no-ff", "-m", f"Merge branch '{branch}'", tip)
            await _brought(place, apart, how, *words)
        if how == "squash":
            title = call.task.title or branch
            body = (await progress.last_words() or "").strip()[:2_000]
            message = f"{title}\n\n{body}\n" if body else f"{title}\n"
            done = await place.git(
                "commit", "--quiet", "--file=-", accept=(0, 1, 128), given=message.encode(), folder=apart
            )
            if done.exit_code != 0:
                raise refused("The commit was refused, by a hook or by git itself", done)
        return await place.text("rev-parse", "HEAD", folder=apart)
    finally:
        with anyio.CancelScope(shield=True):
            await _remove_apart(place)


async def _brought(place: Place, apart: Path, how: str, *words: str) -> None:
    """Run what brings commits together; raises `GitError` with the files in conflict."""
    done = await place.git(*words, accept=(0, 1, 2, 128), folder=apart)
    if done.exit_code == 0:
        return
    names = (await place.text("diff", "--name-only", "-z", "--diff-filter=U", folder=apart)).split("\0")
    conflicts = [name for name in names if name]
    if conflicts:
        raise GitError(
            f"Landing meets conflicts in {listed(conflicts)}. Update the task's branch first; nothing was changed.",
            retryable=False,
        )
    raise refused(f"The {how} was refused", done)


async def _of_the_base(place: Place, target: str, old: str) -> str:
    """The commit of the remote's base that the branch has and its local base, at `old`, lacks; "" without one."""
    base = await base_of(place) if target == place.record.base_name else None
    found = await place.text("merge-base", "--", base, "HEAD", accept=(0, 1)) if base is not None else ""
    return "" if not found or await place.holds(found, old) else found


async def _remove_apart(place: Place) -> None:
    """Remove the worktree in which a commit is made, also what git alone still knows of it: a kill may fall anywhere.

    Other worktrees that are away, on a disk that is not there, are left alone.
    """
    apart = place.own / "apart"
    await place.git("worktree", "remove", "--force", "--force", "--", str(apart), accept=(0, 128))
    await anyio.to_thread.run_sync(lambda: shutil.rmtree(apart, ignore_errors=True))


async def _branch_behind(place: Place, name: str) -> str:
    """The branch that is meant: one may be but another name of it, and checkouts are on that one."""
    ref = await place.text("symbolic-ref", "--quiet", f"{HEADS}{name}", accept=(0, 1, 128))
    return ref.removeprefix(HEADS) or name


async def _checkout_of(place: Place, target: str) -> Path | None:
    """The worktree, the person's own or another task's, that has the branch checked out."""
    found = checkout_in(await place.text(*LISTING), target)
    return None if found is None else Path(found)


async def _expect_clean(place: Place, target: str) -> None:
    checkout = await _checkout_of(place, target)
    if checkout is None:
        return
    await checkouts.expect_whole(place, checkout)
    files = await place.dirty(checkout)
    if files:
        raise GitError(
            f"{checkout} has {target} checked out, with changes that are not committed ({listed(files, 3)}). Commit or "
            "stash them there, then land.",
            retryable=False,
        )


async def _take_over(place: Place, progress: Progress, target: str) -> None:
    """Have the target, and the checkout that is on it, be at the new commit."""
    await progress.step("land")
    new, old = progress.notes[NEW], progress.notes[OLD]
    checkout = await _checkout_of(place, target)
    if checkout is not None:
        await _expect_clean(place, target)
        await checkouts.bring(place, checkout, target, old, new)
    elif await place.commit_of(f"{HEADS}{target}") != new:
        await checkouts.move_branch(place, target, old, new)
