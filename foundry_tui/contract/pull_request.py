"""A task's pull request as its forge tells of it; field names are the wire's."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record


class PullRequestState(OpenEnum):
    DRAFT = "draft"
    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class ChecksState(OpenEnum):
    NONE = "none"
    PENDING = "pending"
    PASSING = "passing"
    FAILING = "failing"


class Review(OpenEnum):
    NONE = "none"
    REQUIRED = "required"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"


class Mergeable(OpenEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


IN_PROGRESS = frozenset({PullRequestState.DRAFT, PullRequestState.OPEN})
"""States of a pull request that may still change."""


class Checks(Record, frozen=True, kw_only=True):
    """What the forge's checks say of the newest commit; `names` are those of the failed."""

    state: ChecksState = ChecksState.NONE
    passed: int = 0
    failed: int = 0
    pending: int = 0
    names: tuple[str, ...] = ()


class PullRequest(Record, frozen=True, kw_only=True):
    """What the forge said at the time `at`; `comments` counts the unresolved ones."""

    number: int
    url: str
    title: str
    state: PullRequestState
    at: int
    checks: Checks = Checks()
    review: Review = Review.NONE
    mergeable: Mergeable = Mergeable.UNKNOWN
    comments: int = 0


class Comment(Record, frozen=True, kw_only=True):
    """A comment of a review; `line` is one of the file as the pull request has it, and `code` what it said then.
    `outdated`: by the forge's word its lines were changed since.
    """

    comment_id: str
    author: str
    body: str
    at: int
    resolved: bool = False
    path: str | None = None
    line: int | None = None
    code: str | None = None
    outdated: bool = False


class CommentList(Record, frozen=True, kw_only=True):
    """What `GET /v1/tasks/{id}/comments` answers, oldest first."""

    comments: tuple[Comment, ...] = ()
