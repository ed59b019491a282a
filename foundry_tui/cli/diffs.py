"""Reads what a task changed. The backend answers with the last comparison and begins a new one: it is asked again
until that is done."""

import time
from typing import TYPE_CHECKING

from foundry_tui.cli.context import PATCH_SECONDS, Context, task_path
from foundry_tui.cli.output import printable
from foundry_tui.cli.problems import CommandError, NoTaskError
from foundry_tui.client.errors import ProblemError
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import ENDED, TaskStatus

if TYPE_CHECKING:
    from foundry_tui.contract.records import TaskDetail

PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds after which the changes are asked for again; then what is known has to do."""


def known_changes(context: Context, task: "TaskDetail", given: str) -> bytes:
    """The JSON of the task's diff, computed after this was called wherever that can be waited for."""
    path = task_path(task.task_id, "/diff")
    document, diff = context.read(path, Diff, given)
    before = diff.computed_at
    settled = task.status is TaskStatus.KILLED or (task.status in ENDED and before is not None)
    if settled or task.sandbox is None:
        return document
    for seconds in PATIENCE:
        time.sleep(seconds)
        document, diff = context.read(path, Diff, given)
        if diff.computed_at != before:
            break
    return document


def changes_since(context: Context, task_id: str, given: str, since: str) -> tuple[bytes, Diff]:
    """The JSON of what differs now from a checkpoint, compared while we wait, and its record."""
    try:
        return context.client.read(
            "GET", task_path(task_id, "/diff"), Diff, query={"since": since}, timeout=PATCH_SECONDS
        )
    except ProblemError as error:
        if error.problem.status == 404:
            raise NoTaskError(given) from None
        if error.problem.status == 422:
            why = "; ".join(each.message for each in error.problem.errors or ())
            raise CommandError(
                printable(why).removesuffix("."), hint=f"there are: foundry checkpoints {given}"
            ) from None
        raise
