"""What gh prints, by its shape, and what that means in the contract's words. Pure.

What has another shape is no answer of GitHub's: decoding it raises `msgspec.DecodeError`.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from foundry_tui.contract.pull_request import (
    Checks,
    ChecksState,
    Comment,
    Mergeable,
    PullRequest,
    PullRequestState,
    Review,
)

_LONGEST_LINE = 300
"""Characters of a title or a name."""
_PASSED = frozenset({"SUCCESS", "NEUTRAL", "SKIPPED"})
_WAITS = frozenset({"PENDING", "EXPECTED", "STALE", ""})
_OK, _WAITING, _FAILED = "ok", "waiting", "failed"
_STATES = {"MERGED": PullRequestState.MERGED, "CLOSED": PullRequestState.CLOSED}
_REVIEWS = {
    "REVIEW_REQUIRED": Review.REQUIRED,
    "APPROVED": Review.APPROVED,
    "CHANGES_REQUESTED": Review.CHANGES_REQUESTED,
}
_MERGEABLE = {"MERGEABLE": Mergeable.YES, "CONFLICTING": Mergeable.NO}


class Check(Struct, frozen=True, kw_only=True, rename="camel"):
    """A check run, which has a name and a conclusion, or a commit status, which has a context and a state."""

    name: str | None = None
    workflow_name: str | None = None
    context: str | None = None
    status: str | None = None
    conclusion: str | None = None
    state: str | None = None
    started_at: str | None = None
    details_url: str | None = None
    target_url: str | None = None

    @property
    def called(self) -> str:
        return one_line(self.name or self.context) or "check"

    @property
    def url(self) -> str:
        return self.details_url or self.target_url or ""

    @property
    def failed(self) -> bool:
        return self.outcome == _FAILED

    @property
    def outcome(self) -> str:
        """How it stands: `_OK`, `_WAITING` or `_FAILED`."""
        # A check run says its conclusion once it is completed; a commit status has a state alone.
        ended = self.status in (None, "", "COMPLETED")
        said = (self.conclusion or self.state or "") if ended else ""
        return _WAITING if said in _WAITS else _OK if said in _PASSED else _FAILED


class Rollup(Struct, frozen=True, kw_only=True, rename="camel"):
    """The checks of a pull request's newest commit, as `gh pr view` tells them."""

    status_check_rollup: tuple[Check, ...] | None = None

    def newest(self) -> Sequence[Check]:
        """The checks without those that were run again since: of these the forge tells both."""
        checks = self.status_check_rollup or ()
        runs = sorted(checks, key=lambda check: check.started_at or "")
        newest = {(check.name, check.workflow_name, check.context): check for check in runs}
        return [check for check in checks if any(check is each for each in newest.values())]

    def told(self) -> Checks:
        checks = self.newest()
        outcomes = [check.outcome for check in checks]
        passed, pending = outcomes.count(_OK), outcomes.count(_WAITING)
        failed = [check.called for check in checks if check.failed]
        state = ChecksState.PASSING if passed else ChecksState.NONE
        if pending:
            state = ChecksState.PENDING
        if failed:
            state = ChecksState.FAILING
        return Checks(state=state, passed=passed, failed=len(failed), pending=pending, names=tuple(failed))


class User(Struct, frozen=True, kw_only=True):
    """Who wrote or owns something; null is somebody who is gone."""

    login: str | None = None


class Pull(Rollup, frozen=True, kw_only=True, rename="camel"):
    """What `gh pr view` tells of a pull request; what says where it comes from is there when it is asked for."""

    url: str
    title: str
    state: str
    is_draft: bool = False
    review_decision: str | None = None
    mergeable: str | None = None
    head_ref_name: str | None = None
    base_ref_name: str | None = None
    is_cross_repository: bool = False
    head_repository_owner: User | None = None

    def record(self, number: int, comments: Sequence[Comment], at: int) -> PullRequest:
        draft = PullRequestState.DRAFT if self.is_draft else PullRequestState.OPEN
        return PullRequest(
            number=number,
            url=self.url,
            title=one_line(self.title),
            state=_STATES.get(self.state, draft),
            checks=self.told(),
            review=_REVIEWS.get(self.review_decision or "", Review.NONE),
            mergeable=_MERGEABLE.get(self.mergeable or "", Mergeable.UNKNOWN),
            comments=sum(not comment.resolved for comment in comments),
            at=at,
        )


class Listed(Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of `gh pr list`."""

    number: int
    is_draft: bool = False
    is_cross_repository: bool = False


class Reported(Struct, frozen=True, kw_only=True):
    """What `gh issue view` tells."""

    title: str
    url: str
    body: str | None = None


class _Said(Struct, frozen=True, kw_only=True, rename="camel"):
    database_id: int | None = None
    author: User | None = None
    body: str | None = None
    created_at: str | None = None
    diff_hunk: str | None = None


class _AllSaid(Struct, frozen=True, kw_only=True):
    nodes: tuple[_Said, ...] | None = None


class _Thread(Struct, frozen=True, kw_only=True, rename="camel"):
    is_resolved: bool = False
    is_outdated: bool = False
    path: str | None = None
    line: int | None = None
    comments: _AllSaid | None = None


class _AllThreads(Struct, frozen=True, kw_only=True):
    nodes: tuple[_Thread, ...] | None = None


class _Talked(Struct, frozen=True, kw_only=True, rename="camel"):
    review_threads: _AllThreads | None = None


class _Repository(Struct, frozen=True, kw_only=True, rename="camel"):
    pull_request: _Talked | None = None


class _Data(Struct, frozen=True, kw_only=True):
    repository: _Repository | None = None


class Threads(Struct, frozen=True, kw_only=True):
    """What was said about lines of a pull request, in the threads that GitHub keeps it in."""

    data: _Data | None = None

    def comments(self) -> Sequence[Comment]:
        """The comments, oldest first."""
        pull = self.data and self.data.repository and self.data.repository.pull_request
        found = [
            Comment(
                comment_id=str(said.database_id),
                author=(said.author and said.author.login) or "ghost",
                body=said.body or "",
                at=_milliseconds(said.created_at or ""),
                resolved=thread.is_resolved,
                path=thread.path,
                line=thread.line,
                code=_commented(said.diff_hunk or ""),
                outdated=thread.is_outdated,
            )
            for thread in (pull and pull.review_threads and pull.review_threads.nodes) or ()
            for said in (thread.comments and thread.comments.nodes) or ()
        ]
        return sorted(found, key=lambda comment: comment.at)


def one_line(said: str | None) -> str:
    """What the forge calls something, as one line of a length that every list can bear; GitHub's own are shorter."""
    words = " ".join((said or "")[: 4 * _LONGEST_LINE].split())
    return words if len(words) <= _LONGEST_LINE else f"{words[: _LONGEST_LINE - 1]}…"


def _commented(hunk: str) -> str | None:
    """The line that a comment is on: the last one of the hunk that is shown with it."""
    last = hunk.rstrip("\n").rpartition("\n")[2]
    return last[1:] if last[:1] in ("+", " ") else None


def _milliseconds(stamp: str) -> int:
    try:
        return round(datetime.fromisoformat(stamp).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
