"""What can be done with a task's work to bring it home: bodies of requests, one for each kind of operation."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

LONGEST_TEXT = 65_536
"""Characters of a message or a description; what a task tells of its last operations has them too."""
MOST_CHECKS = 100
"""Checks that are named at once."""
Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Name = Annotated[str, Meta(max_length=1_000)]


class OperationRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"
):
    """`wait`: an operation that is asked for while a turn runs is queued behind it."""

    operation_id: str | None = None
    wait: bool = False


class Commit(OperationRequest, frozen=True, kw_only=True, tag="commit"):
    """Commit all changes but ignored files, with the repository's hooks."""

    message: Text | None = None


class Update(OperationRequest, frozen=True, kw_only=True, tag="update"):
    """Bring the base into the branch. `resolve`: what to do about conflicts. `how` is always said."""

    how: Literal["rebase", "merge"] = field(default_factory=lambda: "rebase")
    resolve: Literal["abort", "agent"] = "abort"


class Push(OperationRequest, frozen=True, kw_only=True, tag="push"):
    """Push the branch to its upstream, or to `origin`."""

    force_with_lease: bool = False


class PullRequest(OperationRequest, frozen=True, kw_only=True, tag="pull_request"):
    """Commit if wanted, push, and open a pull request or refresh the one that is open.

    `draft`: whether it is one from now on. Not said, one that is open stays what it is, and a new one is none.
    """

    title: Name | None = None
    body: Text | None = None
    draft: bool | None = None


class Land(OperationRequest, frozen=True, kw_only=True, tag="land"):
    """Bring the branch into the local base branch, or into `into`; `archive` the task after that. `how` is always
    said.
    """

    how: Literal["merge", "squash", "rebase"] = field(default_factory=lambda: "merge")
    into: Name | None = None
    archive: bool = False


class Apply(OperationRequest, frozen=True, kw_only=True, tag="apply"):
    """Make the task's changes in the person's own checkout, uncommitted, whole or not at all."""


class Undo(OperationRequest, frozen=True, kw_only=True, tag="undo"):
    """Make the sandbox's files those of a checkpoint; default: before the last prompt."""

    checkpoint_id: Name | None = None


class HandOver(OperationRequest, frozen=True, kw_only=True, tag="hand_over"):
    """Give the agent, as a prompt, the logs of the pull request's failed checks or what reviewers commented on lines.

    `checks` names those that are meant, all that failed if empty. What the agent was given once it is not given again.
    """

    what: Literal["checks", "comments"]
    checks: Annotated[tuple[Name, ...], Meta(max_length=MOST_CHECKS)] = ()


StartOperation: TypeAlias = Commit | Update | Push | PullRequest | Land | Apply | Undo | HandOver
"""`POST /v1/tasks/{id}/operations`."""

OPERATIONS: Mapping[str, type[StartOperation]] = {
    "commit": Commit,
    "update": Update,
    "push": Push,
    "pull_request": PullRequest,
    "land": Land,
    "apply": Apply,
    "undo": Undo,
    "hand_over": HandOver,
}
"""By the value of `kind`."""
