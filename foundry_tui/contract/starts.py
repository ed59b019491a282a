"""What a task starts from where that is something that exists: a branch, a pull request or an issue."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from foundry_tui.contract.branches import check_branch
from foundry_tui.contract.record import Record

Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""A number of a pull request or an issue."""


class StartFrom(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`from` of `CreateTask`, exactly one of the three: the task works on the branch itself, works on the branch of the
    pull request, or has title and text of the issue before its prompt.
    """

    branch: str | None = None
    pull_request: Number | None = None
    issue: Number | None = None


class StartedFrom(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The same of a task; `title` and `url` once the forge has told of the pull request or the issue."""

    branch: str | None = None
    pull_request: int | None = None
    issue: int | None = None
    title: str | None = None
    url: str | None = None

    @property
    def on_its_branch(self) -> bool:
        """Whether the task works on a branch that was there before it."""
        return self.issue is None


def wrong_start(start: StartFrom | None, *, branch: str | None, base_branch: str | None) -> Sequence[tuple[str, str]]:
    """The fields of a request that are wrong because of what it starts from, each with why; none if all is well.

    `branch` and `base_branch` are those that the request asks for beside it.
    """
    if start is None:
        return ()
    given = [each for each in (start.branch, start.pull_request, start.issue) if each is not None]
    if len(given) != 1:
        return (("from", "Say exactly one of branch, pull_request and issue."),)
    if start.branch is not None and (why := check_branch(start.branch)):
        return (("from.branch", why),)
    wrong = []
    if start.issue is None and branch is not None:
        what = "the branch that it starts from" if start.branch is not None else "the branch of the pull request"
        wrong.append(("branch", f"The task works on {what}: leave branch out."))
    if start.pull_request is not None and base_branch is not None:
        wrong.append(("base_branch", "The base is the pull request's own: leave base_branch out."))
    return wrong
