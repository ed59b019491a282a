"""GitHub by its own command `gh`, with the login that the person has there; it never asks anything."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import msgspec
from anyio.abc import Process

from backend_stub.domain.forge import ForgeError, ForgeLimitedError, Proposal
from backend_stub.forge.refusals import limited, refused
from backend_stub.repository.git import end_group, exchange, without_credentials
from foundry_tui.contract.codec import decode
from foundry_tui.contract.pull_request import (
    Checks,
    ChecksState,
    Comment,
    Mergeable,
    PullRequest,
    PullRequestState,
    Review,
)

LIMIT = 60.0
"""Seconds that one command may take."""
_SILENT = {
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GH_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "NO_COLOR": "1",
    "LC_ALL": "C",
}
_FORGOTTEN = frozenset({"GH_REPO", "GH_FORCE_TTY", "GH_DEBUG", "DEBUG", "GIT_DIR", "GIT_WORK_TREE"})
"""Variables that would have gh speak of another repository, or print something else."""
_REMOTE = re.compile(
    r"^(?:(?:https?|ssh|git)://(?:[^/@]*@)?|(?:[^/@:]+@))(?P<host>[^/:]+)(?::\d+(?=/))?[/:]"
    r"(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/?$"
)
_FIELDS = "number,url,title,state,isDraft,statusCheckRollup,reviewDecision,mergeable"
_THREADS = (
    "query($o:String!,$n:String!,$p:Int!){repository(owner:$o,name:$n){pullRequest(number:$p)"
    "{reviewThreads(first:50){nodes{isResolved isOutdated path line comments(first:20)"
    "{nodes{databaseId author{login} body createdAt diffHunk}}}}}}}"
)
_PASSED = frozenset({"SUCCESS", "NEUTRAL", "SKIPPED"})
_WAITS = frozenset({"PENDING", "EXPECTED", "STALE", ""})
_REVIEWS = {
    "REVIEW_REQUIRED": Review.REQUIRED,
    "APPROVED": Review.APPROVED,
    "CHANGES_REQUESTED": Review.CHANGES_REQUESTED,
}
_MERGEABLE = {"MERGEABLE": Mergeable.YES, "CONFLICTING": Mergeable.NO}


@dataclass(frozen=True)
class _Repository:
    host: str
    owner: str
    name: str

    @property
    def full(self) -> str:
        """As `--repo` takes it."""
        return f"{self.host}/{self.owner}/{self.name}"


class GitHubCli:
    """See `backend_stub.domain.forge.Forge`. `now` tells the time in milliseconds since the epoch."""

    def __init__(self, now: Callable[[], int], environ: Mapping[str, str] | None = None) -> None:
        self._now = now
        self._environ = environ

    async def expect_usable(self, remote: str) -> None:
        repository = _repository(remote)
        await self._run(repository, "--version")

    async def propose(self, remote: str, proposal: Proposal) -> PullRequest:
        repository = _repository(remote)
        number = await self._open_one(repository, proposal.head)
        if number is not None:
            await self._refresh(repository, number, proposal)
            return await self.look(remote, number)
        done = await self._gh(
            repository,
            *("pr", "create", "--repo", repository.full, "--head", proposal.head, "--base", proposal.base),
            *("--title", proposal.title, "--body", proposal.body, *(("--draft",) if proposal.draft else ())),
            accept_existing=True,
        )
        found = re.search(r"/pull/(\d+)\s*$", done)
        number = int(found[1]) if found is not None else await self._open_one(repository, proposal.head)
        if number is None:
            raise ForgeError(f"gh has opened a pull request in {repository.full} and does not say which.")
        return await self.look(remote, number)

    async def look(self, remote: str, number: int) -> PullRequest:
        repository = _repository(remote)
        said = await self._gh(repository, "pr", "view", str(number), "--repo", repository.full, "--json", _FIELDS)
        told = _object(said)
        comments = await self.comments(remote, number)
        state = str(told.get("state"))
        draft = PullRequestState.DRAFT if told.get("isDraft") else PullRequestState.OPEN
        states = {"MERGED": PullRequestState.MERGED, "CLOSED": PullRequestState.CLOSED}
        return PullRequest(
            number=number,
            url=str(told.get("url")),
            title=str(told.get("title")),
            state=states.get(state, draft),
            checks=checks_of(told.get("statusCheckRollup") or ()),
            review=_REVIEWS.get(str(told.get("reviewDecision")), Review.NONE),
            mergeable=_MERGEABLE.get(str(told.get("mergeable")), Mergeable.UNKNOWN),
            comments=sum(not comment.resolved for comment in comments),
            at=self._now(),
        )

    async def comments(self, remote: str, number: int) -> Sequence[Comment]:
        repository = _repository(remote)
        said = await self._gh(
            repository,
            *("api", "graphql", "--hostname", repository.host, "-f", f"query={_THREADS}"),
            *("-f", f"o={repository.owner}", "-f", f"n={repository.name}", "-F", f"p={number}"),
        )
        return comments_of(_object(said))

    async def _open_one(self, repository: _Repository, head: str) -> int | None:
        """The pull request of this repository's own branch that is open."""
        said = await self._gh(
            repository,
            *("pr", "list", "--repo", repository.full, "--head", head, "--state", "open"),
            *("--json", "number,isCrossRepository"),
        )
        found = _decoded(said)
        own = [each for each in found if not each.get("isCrossRepository")] if isinstance(found, list) else []
        return int(own[0]["number"]) if own else None

    async def _refresh(self, repository: _Repository, number: int, proposal: Proposal) -> None:
        """Give it the title and text that a person said; `gh pr edit` asks for what GitHub has no more."""
        fields = {"title": proposal.title, "body": proposal.body}
        said = [word for name in sorted(proposal.said) for word in ("-f", f"{name}={fields[name]}")]
        if said:
            path = f"repos/{repository.owner}/{repository.name}/pulls/{number}"
            await self._gh(repository, "api", "--hostname", repository.host, "-X", "PATCH", path, *said)

    async def _gh(self, repository: _Repository, *arguments: str, accept_existing: bool = False) -> str:
        """What gh prints; raises `ForgeError`. `accept_existing`: that one is there already is no failure."""
        done = await self._run(repository, *arguments)
        said = done.stdout.decode("utf-8", "replace")
        if done.returncode == 0:
            return said
        errors = done.stderr.decode("utf-8", "replace")
        if accept_existing and "already exists" in errors:
            return ""
        refusal = refused(repository.host, f"{repository.owner}/{repository.name}", done.returncode, errors)
        if isinstance(refusal, ForgeLimitedError):
            # What gh prints of it does not say how long.
            asked = await self._run(repository, "api", "--hostname", repository.host, "--include", "rate_limit")
            refusal = limited(repository.host, asked.stdout.decode("utf-8", "replace"), self._now())
        raise refusal

    async def _run(self, repository: _Repository, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        environ = self._environ if self._environ is not None else os.environ
        kept = {name: value for name, value in environ.items() if name not in _FORGOTTEN}
        words = ["gh", *arguments]
        code: int | None = None
        process: Process | None = None
        try:
            with anyio.CancelScope(shield=True):
                # Cancelled half-way, it would leave a process that nobody ends.
                process = await anyio.open_process(
                    words,
                    stdin=subprocess.DEVNULL,
                    cwd=os.sep,
                    env={**kept, **_SILENT, "GH_HOST": repository.host},
                    start_new_session=True,
                )
            assert process is not None
            with anyio.fail_after(LIMIT):
                stdout, stderr = await exchange(process, b"")
                code = await process.wait()
            return subprocess.CompletedProcess(words, code, stdout, stderr)
        except FileNotFoundError:
            raise ForgeError(
                "gh, GitHub's own command, is not installed, or not on the backend's PATH. Install it (apt install gh, "
                "brew install gh), log in with gh auth login, then do this again.",
                retryable=False,
            ) from None
        except TimeoutError:
            raise ForgeError(f"{repository.host} did not answer gh within {LIMIT:g} s. Check the network.") from None
        except OSError as error:
            raise ForgeError(f"gh cannot be started: {error.strerror}.", retryable=False) from error
        finally:
            if process is not None:
                with anyio.CancelScope(shield=True):
                    if code is None:
                        await end_group(process)
                    await process.aclose()


def _repository(remote: str) -> _Repository:
    """The repository that a remote's URL names; raises `ForgeError`."""
    found = _REMOTE.match(remote)
    if found is None:
        raise ForgeError(
            f"The remote {without_credentials(remote)} is no repository of GitHub, where a pull request could be "
            "opened. Push, and open it by hand; or land the task.",
            retryable=False,
        )
    return _Repository(found["host"].lower(), found["owner"], found["name"])


def checks_of(rollup: Sequence[Mapping[str, Any]]) -> Checks:
    """The checks of the newest commit, from what gh calls `statusCheckRollup`."""
    passed, pending, failed = 0, 0, []
    # Of one that was run again both are told.
    runs = sorted(rollup, key=lambda check: str(check.get("startedAt") or ""))
    newest = {(check.get("name"), check.get("workflowName"), check.get("context")): check for check in runs}
    for check in (check for check in rollup if any(check is each for each in newest.values())):
        # A check run says its conclusion once it is completed; a commit status has a state alone.
        ended = check.get("status") in (None, "", "COMPLETED")
        outcome = str(check.get("conclusion") or check.get("state") or "") if ended else ""
        if outcome in _WAITS:
            pending += 1
        elif outcome in _PASSED:
            passed += 1
        else:
            failed.append(str(check.get("name") or check.get("context") or "check"))
    state = ChecksState.PASSING if passed else ChecksState.NONE
    if pending:
        state = ChecksState.PENDING
    if failed:
        state = ChecksState.FAILING
    return Checks(state=state, passed=passed, failed=len(failed), pending=pending, names=tuple(failed))


def comments_of(answer: Mapping[str, Any]) -> Sequence[Comment]:
    """The comments on lines, from the threads that GitHub keeps them in."""
    pull = ((answer.get("data") or {}).get("repository") or {}).get("pullRequest") or {}
    found = [
        Comment(
            comment_id=str(comment.get("databaseId")),
            author=str((comment.get("author") or {}).get("login") or "ghost"),
            body=str(comment.get("body") or ""),
            at=_milliseconds(str(comment.get("createdAt") or "")),
            resolved=bool(thread.get("isResolved")),
            path=thread.get("path"),
            line=thread.get("line"),
            code=_commented(str(comment.get("diffHunk") or "")),
            outdated=bool(thread.get("isOutdated")),
        )
        for thread in (pull.get("reviewThreads") or {}).get("nodes") or ()
        for comment in (thread.get("comments") or {}).get("nodes") or ()
    ]
    return sorted(found, key=lambda comment: comment.at)


def _commented(hunk: str) -> str | None:
    """The line that a comment is on: the last one of the hunk that is shown with it."""
    last = hunk.rstrip("\n").rpartition("\n")[2]
    return last[1:] if last[:1] in ("+", " ") else None


def _milliseconds(stamp: str) -> int:
    try:
        return round(datetime.fromisoformat(stamp).timestamp() * 1000)
    except ValueError:
        return 0


def _decoded(said: str) -> Any:
    try:
        return decode(said, object)
    except msgspec.DecodeError:
        raise ForgeError(
            f"gh answered something that is no JSON: {said[:100]!r}. Check the proxy, then do this again."
        ) from None


def _object(said: str) -> dict[str, Any]:
    found = _decoded(said)
    if not isinstance(found, dict):
        raise ForgeError(f"gh answered something else than was asked for: {said[:100]!r}.")
    return found
