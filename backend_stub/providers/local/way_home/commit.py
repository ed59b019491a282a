"""Commits all changes of a worktree but ignored files."""

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Progress
from backend_stub.providers.local.way_home.place import Place, refused

HEAD = "head"
"""The note of where the branch stood before."""
BODY_LIMIT = 2_000
"""Characters of the agent's last words that a message has."""


async def commit(place: Place, call: Call, progress: Progress, message: str | None) -> str | None:
    """The new commit, or None when there was nothing to commit. Raises `GitError`; then the index is as it was."""
    await progress.step("commit")
    head = await place.commit_of("HEAD")
    if HEAD in progress.notes:
        await place.take_over()
        if head != progress.notes[HEAD] and await place.commit_of("HEAD^") == progress.notes[HEAD]:
            return head
    await place.expect_nothing_in_progress()
    await place.branch()
    files = await place.dirty()
    if not files:
        return None
    await place.save_index()
    await progress.note(HEAD, head)
    await progress.tell(f"{len(files)} {'file' if len(files) == 1 else 'files'}")
    try:
        # What was made outside of the part that is checked out is a change as well.
        sparse = ("--sparse",) if await place.is_sparse() else ()
        await place.git("add", "--all", *sparse, "--", ".")
        words = message or await _default_message(call, progress)
        done = await place.git(
            "commit", "--quiet", "--file=-", accept=(0, 1, 128), given=words.encode("utf-8", "surrogateescape")
        )
        if done.exit_code != 0:
            raise refused("The commit was refused, by a hook or by git itself", done)
    except GitError:
        await place.restore_index()
        raise
    return await place.commit_of("HEAD")


async def take_back(place: Place, progress: Progress) -> None:
    """Have the branch and the index be what they were before."""
    await place.take_over()
    before, head = progress.notes.get(HEAD), await place.commit_of("HEAD")
    if before is not None and head != before and await place.commit_of("HEAD^") == before:
        await place.git("update-ref", "-m", "foundry: commit cancelled", "HEAD", before, head)
    await place.restore_index()
    await place.clear()


async def _default_message(call: Call, progress: Progress) -> str:
    title = call.task.title or call.task.prompt.strip().splitlines()[0][:72]
    body = (await progress.last_words() or "").strip()[:BODY_LIMIT]
    return f"{title}\n\n{body}\n" if body else f"{title}\n"
