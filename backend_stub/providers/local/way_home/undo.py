"""Makes a worktree's files those of a checkpoint; HEAD, the branch and the index stay as they are.

The agent's session is not set back: ACP's `session/fork` copies a session whole, and none of the agents offers a way to
an earlier message of one. The notice says so.
"""

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress, undone
from backend_stub.providers.local.checkpoints import LocalCheckpoints, TaskCheckpoints
from backend_stub.providers.local.way_home.place import Place, listed
from foundry_tui.contract.checkpoint_words import moment_of

NONE = "No turn has changed anything yet"
NAMED = 3
"""Repositories inside that the notice names."""
MADE, TO = "made", "to"
"""The notes of the checkpoint that was made before anything was touched, and of the one to go to."""


async def undo(
    place: Place, call: Call, checkpoints: LocalCheckpoints, progress: Progress, checkpoint_id: str | None
) -> Done:
    """Raises `GitError` with what is in the way; then nothing was touched."""
    await progress.step("checkpoint")
    of = await _of(call, checkpoints)
    if MADE in progress.notes:
        await place.take_over()
    ended = () if MADE in progress.notes else await of.end(None)
    target = of.target(progress.notes.get(TO, checkpoint_id))
    if target is None:
        why = f"There is no checkpoint {checkpoint_id}" if checkpoint_id else NONE
        raise GitError(f"{why}: there is nothing to go back to.", retryable=False)
    made = of.target(progress.notes[MADE]) if MADE in progress.notes else None
    if made is None:
        made = await of.keep_before_undo(place.operation_id, target)
        await progress.note(TO, target.id)
        await progress.note(MADE, made.id)
    await progress.step("undo")
    prompt = await progress.prompt(target.checkpoint.prompt_id)
    await progress.tell(f"back to {moment_of(target.checkpoint, prompt)}")
    now = await of.become(target.tree, made)
    files, _, _ = await of.count(made.tree, now)
    inside = await of.left_alone(target.tree, now)
    commits = await of.commits_since(target)
    result = {"checkpoint_id": made.id, "to": target.id, "files": files, "commits": list(commits)}
    changed = f"{files} {'file was' if files == 1 else 'files were'} changed back."
    stay = "1 commit made since stays." if len(commits) == 1 else f"{len(commits)} commits made since stay."
    what = "is a repository of its own" if len(inside) == 1 else "are repositories of their own"
    alone = f"{listed(inside, NAMED)} {what}, which an undo leaves alone."
    notice = undone(target.checkpoint, prompt, changed, *([alone] if inside else []), *([stay] if commits else []))
    return Done(result=result, notice=notice, checkpoints=(*ended, made.checkpoint))


async def take_back(place: Place, call: Call, checkpoints: LocalCheckpoints, progress: Progress) -> None:
    """Have the files be what they were before."""
    await place.take_over()
    of = await _of(call, checkpoints)
    made = of.target(progress.notes[MADE]) if MADE in progress.notes else None
    if made is not None:
        await of.become(made.tree)
    await place.clear()


async def _of(call: Call, checkpoints: LocalCheckpoints) -> TaskCheckpoints:
    of = await checkpoints.open(call)
    if of is None:
        raise GitError("The task has no worktree any more.", retryable=False)
    return of
