"""Reads what a task changed. The backend answers with the last comparison and begins a new one, which is waited for."""

from foundry_tui.cli.context import PATCH_SECONDS, Context, task_path
from foundry_tui.cli.problems import CommandError, asking_about
from foundry_tui.client.errors import ProblemError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.requests import Diff


def changes_since(context: Context, task_id: str, given: str, since: str) -> tuple[bytes, Diff]:
    """The JSON of what differs now, compared while we wait, and its record."""
    known = _read(context, task_id, given, since)[1]
    return _read(context, task_id, given, since, str(known.computed_at or 0))


def _read(context: Context, task_id: str, given: str, since: str, newer: str = "") -> tuple[bytes, Diff]:
    query = {"since": since, "newer": newer}
    try:
        with asking_about(given):
            return context.client.read("GET", task_path(task_id, "/diff"), Diff, query=query, at_work=PATCH_SECONDS)
    except ProblemError as error:
        if error.problem.status == 422:
            why = "; ".join(each.message for each in error.problem.errors or ())
            raise CommandError(
                harmless(why).removesuffix("."), hint=f"there are: foundry checkpoints {given}"
            ) from None
        raise
