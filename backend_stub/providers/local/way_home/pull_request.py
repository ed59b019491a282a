"""Commits what is to be committed, pushes, and opens a pull request, or refreshes the one that is open."""

import re

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import Forge, Proposal
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.way_home import commit, push
from backend_stub.providers.local.way_home.place import Place
from foundry_tui.contract.operations import PullRequest
from foundry_tui.contract.pull_request import Checks, ChecksState
from foundry_tui.contract.replace import replace
from foundry_tui.contract.starts import StartedFrom

PUSHING = "pushing"
MOST_BODY = 20_000
"""Characters of a text that nobody has written for it."""


async def open_pull_request(place: Place, call: Call, progress: Progress, forge: Forge, request: PullRequest) -> Done:
    """Raises `GitError` and `ForgeError`; what was committed and pushed by then stays, and is found the next time."""
    await progress.step("commit")
    branch = await place.branch()
    base = place.record.base_branch
    if branch == base:
        raise GitError(f"The task works on {base} itself: there is nothing to propose.", retryable=False)
    remote = await remote_of(place, branch)
    await forge.expect_usable(remote)
    if PUSHING not in progress.notes:
        await commit.commit(place, call, progress, None)
        await progress.note(PUSHING, "")
    pushed, is_new = await push.push(place, progress, force_with_lease=False)
    await progress.step("pull_request")
    title = request.title or call.task.title or call.task.prompt.strip().splitlines()[0][:72]
    body = request.body if request.body is not None else (await progress.last_words() or "").strip()[:MOST_BODY]
    body = closing(body, call.task.started_from)
    given = {"title": request.title, "body": request.body}
    opened = await forge.propose(
        remote,
        Proposal(
            head=pushed["branch"],
            base=base,
            title=title,
            body=body,
            draft=request.draft,
            said=frozenset(name for name, value in given.items() if value is not None),
        ),
    )
    # A forge takes a moment to see what was pushed: checks that have ended by now are of the commit before.
    has_ended = opened.checks.state in (ChecksState.PASSING, ChecksState.FAILING)
    seen = replace(opened, checks=Checks()) if is_new and has_ended else opened
    return Done(result={"number": opened.number, "url": opened.url}, pull_request=seen)


def closing(body: str, start: StartedFrom | None) -> str:
    """The text, which names the issue that the task started from, so that the forge closes it with the merge."""
    if start is None or start.issue is None or re.search(rf"#{start.issue}(?!\d)", body):
        return body
    return f"{body}\n\nCloses #{start.issue}".lstrip("\n")


async def remote_of(place: Place, branch: str) -> str:
    """The URL that the branch is pushed to; raises `GitError` when there is none."""
    remote, _ = await push.upstream(place, branch)
    return await place.text("remote", "get-url", "--push", remote)


async def take_back(place: Place, progress: Progress) -> None:
    """What was committed is taken back; once it may be pushed, it stays."""
    if PUSHING in progress.notes:
        await place.take_over()
    else:
        await commit.take_back(place, progress)
