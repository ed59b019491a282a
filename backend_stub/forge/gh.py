"""GitHub by its own command `gh`, with the login that the person has there; it never asks anything."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO

import anyio
import msgspec
from anyio.abc import Process

from backend_stub.domain.forge import FailedCheck, ForgeError, ForgeLimitedError, Head, Issue, Proposal
from backend_stub.forge.check_logs import end_of_log
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
_HEAD_FIELDS = "headRefName,baseRefName,isCrossRepository,headRepositoryOwner"
_JOB = re.compile(r"/actions/runs/\d+/jobs?/(?P<id>\d+)")
_NO_LOG = re.compile(r"HTTP (?:404|410)", re.IGNORECASE)
_LONGEST_LINE = 300
"""Characters of a title or a name."""
_LOG_BYTES = 1024 * 1024
"""Of a log so many bytes are read, from its end."""
_THREADS = (
    "query($o:String!,$n:String!,$p:Int!){repository(owner:$o,name:$n){pullRequest(number:$p)"
    "{reviewThreads(first:50){nodes{isResolved isOutdated path line comments(first:20)"
    "{nodes{databaseId author{login} body createdAt diffHunk}}}}}}}"
)
_PASSED = frozenset({"SUCCESS", "NEUTRAL", "SKIPPED"})
_WAITS = frozenset({"PENDING", "EXPECTED", "STALE", ""})
_OK, _WAITING, _FAILED = "ok", "waiting", "failed"
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
        return await self._pull_request(remote, number, await self._view(repository, number, _FIELDS))

    async def head(self, remote: str, number: int) -> Head:
        repository = _repository(remote)
        told = await self._view(repository, number, f"{_FIELDS},{_HEAD_FIELDS}")
        owner = (told.get("headRepositoryOwner") or {}).get("login") or "ghost"
        return Head(
            pull_request=await self._pull_request(remote, number, told),
            branch=str(told.get("headRefName") or ""),
            base=str(told.get("baseRefName") or ""),
            fork=str(owner) if told.get("isCrossRepository") else None,
        )

    async def find(self, remote: str, head: str) -> PullRequest | None:
        number = await self._open_one(_repository(remote), head)
        return None if number is None else await self.look(remote, number)

    async def issue(self, remote: str, number: int) -> Issue:
        repository = _repository(remote)
        said = await self._gh(
            repository, "issue", "view", str(number), "--repo", repository.full, "--json", "title,body,url"
        )
        told = _object(said)
        url = str(told.get("url") or "")
        if "/pull/" in url:
            raise ForgeError(
                f"#{number} of {repository.owner}/{repository.name} is a pull request, no issue. Create the task from "
                "it as such (--pr).",
                retryable=False,
            )
        return Issue(title=_line(told.get("title")), text=str(told.get("body") or ""), url=url)

    async def failed_checks(
        self, remote: str, number: int, names: Collection[str], logs: int, most: int
    ) -> Sequence[FailedCheck]:
        repository = _repository(remote)
        told = await self._view(repository, number, "statusCheckRollup")
        failed = [
            FailedCheck(_name_of(check), str(check.get("detailsUrl") or check.get("targetUrl") or ""))
            for check in _newest(told.get("statusCheckRollup") or ())
            if _outcome(check) == _FAILED and (not names or _name_of(check) in names)
        ]
        return [*[await self._with_log(repository, check, most) for check in failed[:logs]], *failed[logs:]]

    async def _with_log(self, repository: _Repository, check: FailedCheck, most: int) -> FailedCheck:
        """The check with its log, which only GitHub's own runner leaves there, and only for some time."""
        job = _JOB.search(check.url)
        log, cut = "", False
        if job is not None:
            path = f"repos/{repository.owner}/{repository.name}/actions/jobs/{job['id']}/logs"
            whole = await self._end_of_output(repository, "api", "--hostname", repository.host, path)
            log, cut = end_of_log(whole.decode("utf-8", "replace"), most)
            cut = cut or len(whole) == _LOG_BYTES
        return replace(check, log=log, cut=cut)

    async def _view(self, repository: _Repository, number: int, fields: str) -> dict[str, Any]:
        """These fields of a pull request."""
        said = await self._gh(repository, "pr", "view", str(number), "--repo", repository.full, "--json", fields)
        return _object(said)

    async def _pull_request(self, remote: str, number: int, told: Mapping[str, Any]) -> PullRequest:
        comments = await self.comments(remote, number)
        state = str(told.get("state"))
        draft = PullRequestState.DRAFT if told.get("isDraft") else PullRequestState.OPEN
        states = {"MERGED": PullRequestState.MERGED, "CLOSED": PullRequestState.CLOSED}
        return PullRequest(
            number=number,
            url=str(told.get("url")),
            title=_line(told.get("title")),
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
        raise await self._refused(repository, done.returncode, errors)

    async def _refused(self, repository: _Repository, exit_code: int, errors: str) -> ForgeError:
        """Why gh did not do it."""
        refusal = refused(repository.host, f"{repository.owner}/{repository.name}", exit_code, errors)
        if isinstance(refusal, ForgeLimitedError):
            # What gh prints of it does not say how long.
            asked = await self._run(repository, "api", "--hostname", repository.host, "--include", "rate_limit")
            refusal = limited(repository.host, asked.stdout.decode("utf-8", "replace"), self._now())
        return refusal

    async def _end_of_output(self, repository: _Repository, *arguments: str) -> bytes:
        """The end of what gh prints, however long that is; nothing where GitHub has none of it any more."""
        with tempfile.TemporaryFile() as file:
            done = await self._run(repository, *arguments, into=file.fileno())
            if done.returncode != 0:
                errors = done.stderr.decode("utf-8", "replace")
                if _NO_LOG.search(errors):
                    return b""
                raise await self._refused(repository, done.returncode, errors)
            return await anyio.to_thread.run_sync(_end_of, file)

    async def _run(
        self, repository: _Repository, *arguments: str, into: int = subprocess.PIPE
    ) -> "subprocess.CompletedProcess[bytes]":
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
                    stdout=into,
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


def _end_of(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LOG_BYTES))
    return file.read()


def _repository(remote: str) -> _Repository:
    """The repository that a remote's URL names; raises `ForgeError`."""
    found = _REMOTE.match(remote)
    if found is None:
        raise ForgeError(
            f"The remote {without_credentials(remote)} is no repository of GitHub, the forge that is known here: there "
            "is no pull request and no issue to be had of it. Push, and open one by hand; or land the task.",
            retryable=False,
        )
    return _Repository(found["host"].lower(), found["owner"], found["name"])


def checks_of(rollup: Sequence[Mapping[str, Any]]) -> Checks:
    """The checks of the newest commit, from what gh calls `statusCheckRollup`."""
    checks = _newest(rollup)
    outcomes = [_outcome(check) for check in checks]
    passed, pending = outcomes.count(_OK), outcomes.count(_WAITING)
    failed = [_name_of(check) for check, outcome in zip(checks, outcomes, strict=True) if outcome == _FAILED]
    state = ChecksState.PASSING if passed else ChecksState.NONE
    if pending:
        state = ChecksState.PENDING
    if failed:
        state = ChecksState.FAILING
    return Checks(state=state, passed=passed, failed=len(failed), pending=pending, names=tuple(failed))


def _newest(rollup: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The checks without those that were run again since: of these the forge tells both."""
    runs = sorted(rollup, key=lambda check: str(check.get("startedAt") or ""))
    newest = {(check.get("name"), check.get("workflowName"), check.get("context")): check for check in runs}
    return [check for check in rollup if any(check is each for each in newest.values())]


def _outcome(check: Mapping[str, Any]) -> str:
    """How a check stands: `_OK`, `_WAITING` or `_FAILED`."""
    # A check run says its conclusion once it is completed; a commit status has a state alone.
    ended = check.get("status") in (None, "", "COMPLETED")
    said = str(check.get("conclusion") or check.get("state") or "") if ended else ""
    return _WAITING if said in _WAITS else _OK if said in _PASSED else _FAILED


def _name_of(check: Mapping[str, Any]) -> str:
    return _line(check.get("name") or check.get("context")) or "check"


def _line(said: object) -> str:
    """What the forge calls something, as one line of a length that every list can bear; GitHub's own are shorter."""
    words = " ".join(str(said or "")[: 4 * _LONGEST_LINE].split())
    return words if len(words) <= _LONGEST_LINE else f"{words[: _LONGEST_LINE - 1]}…"


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
