"""What is to be known of turns that were waited for, and that no answer says: the notices of the transcript."""

from collections.abc import Sequence
from contextlib import suppress

from foundry_tui.cli import problems
from foundry_tui.cli.output import tell
from foundry_tui.client.blocking import BlockingClient, segment
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import SessionDetail, TaskDetail
from foundry_tui.contract.transcript import TranscriptKind

OVER = frozenset({problems.DONE, problems.TASK_ERROR})
"""The exit codes with which there is something to look back on; with any other it goes on, or never was."""


def tell_notices(client: BlockingClient, task: TaskDetail | None, code: int) -> None:
    """Say on standard error what was noted in the last turn of each session, now that the waiting is over.

    A backend that does not answer is no reason to fail: what was waited for has come.
    """
    for session in task.sessions if task is not None and code in OVER else ():
        with suppress(RequestError):
            path = f"/v1/sessions/{segment(session.session_id)}"
            say_notices(of_last_turn(client.call("GET", path, SessionDetail)))


def of_last_turn(session: SessionDetail) -> list[str]:
    """The notices of the last turn; those from before the first belong to that, for they are of its preparation.

    A prompt that was said into a turn begins none.
    """
    from foundry_tui.view.transcript import prompts_by_item

    transcript = session.transcript
    placed, _ = prompts_by_item(transcript, session.prompts)
    steers = {item_id for item_id, prompt in placed.items() if prompt.steer}
    turns = [
        place
        for place, item in enumerate(transcript)
        if item.kind is TranscriptKind.PROMPT and item.item_id not in steers
    ]
    turn = transcript[turns[-1] :] if len(turns) > 1 else transcript
    return [str(item.body) for item in turn if item.kind is TranscriptKind.NOTICE]


def say_notices(notices: Sequence[str]) -> None:
    for notice in notices:
        tell(f"foundry: {harmless(notice)}")
