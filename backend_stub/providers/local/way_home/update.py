"""Brings the base into a worktree's branch, by rebase or merge; conflicts leave all as it was."""

from collections.abc import Sequence

from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.way_home.place import HEADS, Place, listed, said_by

HEAD = "head"
_ORIGIN = "refs/remotes/origin/"


async def update(place: Place, progress: Progress, *, how: str, resolve: str) -> Done:
    """Raises `GitError`, with the files in conflict unless these are for the agent."""
    await progress.step("fetch")
    branch = await place.branch() if HEAD not in progress.notes else ""
    if HEAD not in progress.notes:
        await place.expect_nothing_in_progress()
        files = await place.dirty()
        if files:
            raise GitError(
                f"{len(files)} {'file is' if len(files) == 1 else 'files are'} not committed ({listed(files, 3)}). "
                "Commit first, then update.",
                retryable=False,
            )
    base = await _fetched_base(place, progress)
    await progress.step(how)
    if HEAD in progress.notes:
        await _end_half(place)
        head = await place.commit_of("HEAD")
        if await place.holds(base, "HEAD"):
            return Done(result={"sha": head, "base": _short(base), "before": progress.notes[HEAD]})
        if await place.holds(progress.notes[HEAD], "HEAD"):
            # Whatever came since is somebody's work.
            await progress.note(HEAD, head)
        else:
            await take_back(place, progress)
    else:
        await progress.note(HEAD, await place.commit_of("HEAD"))
        await progress.tell(f"{branch} on {_short(base)}")
    before = progress.notes[HEAD]
    words = ("rebase", "--quiet", base) if how == "rebase" else ("merge", "--quiet", "--no-edit", base)
    done = await place.git(*words, accept=(0, 1, 2, 128))
    if done.exit_code == 0:
        return Done(result={"sha": await place.commit_of("HEAD"), "base": _short(base), "before": before})
    conflicts = await _conflicts(place)
    said = said_by(done)
    await take_back(place, progress)
    if not conflicts:
        raise GitError(f"The {how} was refused: {said}", retryable=False)
    if resolve == "agent":
        return Done(result={"conflicts": conflicts, "handed_over": True}, prompt=_prompt(how, base, conflicts))
    raise GitError(
        f"The {how} on {_short(base)} meets conflicts in {listed(conflicts)}. Nothing was changed. Have the agent "
        "resolve them (resolve: agent), or do it in the sandbox.",
        retryable=False,
    )


async def take_back(place: Place, progress: Progress) -> None:
    """End a rebase or merge that is half-way, so that the branch is where it was."""
    await _end_half(place)
    before = progress.notes.get(HEAD)
    if before is not None and await place.commit_of("HEAD") != before:
        # It was clean as this began; what somebody has changed since is rather left than lost.
        await place.git("reset", "--quiet", "--keep", before)


async def _end_half(place: Place) -> None:
    await place.take_over()
    what = await place.in_progress()
    if what in ("rebase", "merge"):
        await place.git(what, "--abort", accept=(0, 1, 128))


async def _fetched_base(place: Place, progress: Progress) -> str:
    """The ref to bring in, as the remote has it now."""
    base = place.record.base
    name = base.removeprefix(HEADS).removeprefix(_ORIGIN)
    remotes = (await place.text("remote")).split("\n")
    if base.startswith("refs/") and "origin" in remotes:
        remote = f"{_ORIGIN}{name}"
        if base.startswith(_ORIGIN) or await place.commit_of(remote):
            await progress.tell(f"origin/{name}")
            await place.git("fetch", "--quiet", "origin", f"+{HEADS}{name}:{remote}")
            return remote
    if not await place.commit_of(base):
        raise GitError(f"The base {name} that the task began from is gone.", retryable=False)
    return base


async def _conflicts(place: Place) -> Sequence[str]:
    names = await place.text("diff", "--name-only", "-z", "--diff-filter=U")
    return list(dict.fromkeys(name for name in names.split("\0") if name))


def _short(ref: str) -> str:
    return ref.removeprefix(HEADS).removeprefix("refs/remotes/")


def _prompt(how: str, base: str, conflicts: Sequence[str]) -> str:
    names = "\n".join(f"- {name}" for name in conflicts)
    command = f"git rebase {_short(base)}" if how == "rebase" else f"git merge {_short(base)}"
    return (
        f"The branch has to be brought up to date with {_short(base)}, and that meets conflicts in:\n{names}\n\n"
        f"Run `{command}`, resolve the conflicts so that both sides' intentions are kept, run the tests, and finish "
        f"the {how}."
    )
