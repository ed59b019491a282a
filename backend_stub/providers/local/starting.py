"""What a task starts from, asked of git and of the forge before its sandbox is made."""

from collections.abc import Callable

import anyio.to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import Forge, ForgeError
from backend_stub.domain.start import Start
from backend_stub.providers.local.branch_start import HEADS
from backend_stub.providers.local.remotes import fetch, main_remote
from backend_stub.repository.checkouts import commit_of, expect_free, no_such_branch
from backend_stub.repository.clones import Clones
from backend_stub.repository.git import Told, branches_of_remote, run_git
from foundry_tui.contract.branches import check_branch
from foundry_tui.contract.pull_request import IN_PROGRESS, PullRequest
from foundry_tui.contract.starts import StartedFrom


class Starts:
    """Finds out what tasks start from. `patience` tells how many seconds a remote may take in the stage that runs."""

    def __init__(self, clones: Clones, forge: Forge, patience: Callable[[Call], float]) -> None:
        self._clones = clones
        self._forge = forge
        self._patience = patience

    async def find(self, call: Call, asked: StartedFrom, told: Told) -> Start:
        """See `backend_stub.domain.provider.Provider.find_start`. Raises `GitError` and `ForgeError`."""
        place = await anyio.to_thread.run_sync(self._clones.place, call.repo)
        if asked.branch is not None:
            return await self._on_branch(place, call, asked.branch, told)
        remote = await self._remote(place, call, told)
        call.detail("asking the forge")
        if asked.issue is not None:
            issue = await self._forge.issue(remote, asked.issue)
            return Start(title=issue.title, text=issue.text, url=issue.url)
        return await self._on_pull_request(place, call, remote, asked.pull_request or 0, told)

    async def _on_branch(self, place: str | None, call: Call, branch: str, told: Told) -> Start:
        if place is None:
            call.detail("asking the remote")
            remote = call.repo.remote or ""
            if branch not in await branches_of_remote(remote, told=told, timeout=self._patience(call)):
                raise no_such_branch(branch, remote)
            return Start(branch=branch, pull_request=await self._known_pull_request(remote, branch, call))
        await fetch(place, call, told, self._patience(call))
        name = await main_remote(place, told)
        there = name is not None and await commit_of(place, f"refs/remotes/{name}/{branch}", told) is not None
        if not there and await commit_of(place, HEADS + branch, told) is None:
            raise no_such_branch(branch, place)
        await self._expect_free(place, call, branch, told)
        if not there:
            return Start(branch=branch)
        remote = await self._remote(place, call, told)
        return Start(branch=branch, pull_request=await self._known_pull_request(remote, branch, call))

    async def _on_pull_request(self, place: str | None, call: Call, remote: str, number: int, told: Told) -> Start:
        head = await self._forge.head(remote, number)
        found = head.pull_request
        if found.state not in IN_PROGRESS:
            raise ForgeError(
                f"#{number} is {found.state}: there is nothing to go on with. Start from the branch {head.base}, or "
                "reopen it.",
                retryable=False,
            )
        if head.fork is not None:
            raise ForgeError(
                f"#{number} comes from a fork, {head.fork}'s, which Foundry does not push to. Get it into a branch of "
                f"yours (gh pr checkout {number}), switch away from that, and create the task on it (--on BRANCH).",
                retryable=False,
            )
        if check_branch(head.branch) is not None or check_branch(head.base) is not None:
            raise ForgeError(f"#{number} is of a branch whose name git does not take.", retryable=False)
        if place is not None:
            await self._fetch_head(place, call, head.branch, told)
            await self._expect_free(place, call, head.branch, told)
        return Start(branch=head.branch, base=head.base, title=found.title, url=found.url, pull_request=found)

    async def _fetch_head(self, place: str, call: Call, branch: str, told: Told) -> None:
        """Have the branch of a pull request here as the remote has it now."""
        name = await main_remote(place, told) or "origin"
        await fetch(place, call, told, self._patience(call))
        theirs = f"+{HEADS}{branch}:refs/remotes/{name}/{branch}"
        if not await fetch(place, call, told, self._patience(call), theirs, remote=name):
            raise GitError(
                f"The branch {branch} of the pull request cannot be fetched from {name}: the log says why. Try `git "
                f"fetch {name} {branch}` by hand, then retry."
            )

    async def _expect_free(self, place: str, call: Call, branch: str, told: Told) -> None:
        """In a clone of ours nobody but tasks has branches checked out."""
        await expect_free(place, branch, told, but_for=place if call.repo.path is None else None)

    async def _known_pull_request(self, remote: str, branch: str, call: Call) -> PullRequest | None:
        """The branch's open pull request; that the forge cannot tell is no failure."""
        call.detail("asking the forge")
        try:
            return await self._forge.find(remote, branch)
        except ForgeError as error:
            call.log(f"whether {branch} has a pull request is not known: {error.message}")
            return None

    async def _remote(self, place: str | None, call: Call, told: Told) -> str:
        """The URL of the repository that the forge is asked about."""
        if place is None:
            return call.repo.remote or ""
        name = await main_remote(place, told)
        if name is None:
            raise GitError(
                f"{place} has no remote called origin, so it is not known which forge to ask. Add it: git remote add "
                "origin URL.",
                retryable=False,
            )
        done = await run_git(place, "remote", "get-url", "--push", name, told=told, bare=True)
        return done.text.strip()
