"""What is to be known of turns that were waited for, and that no answer says: the notices of the transcript."""

from collections.abc import Sequence
from contextlib import suppress

from foundry_tui.cli import problems
from foundry_tui.cli.output import printable, tell
from foundry_tui.client.blocking import BlockingClient, segment
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.records import SessionDetail, TaskDetail
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind

OVER = frozenset({problems.DONE, problems.TASK_ERROR})
"""The exit codes with which there is something to look back on; with any other it goes on, or never was."""


def tell_notices(client: BlockingClient, task: TaskDetail | None, code: int) -> None:
    """Say on standard error what was noted in the last turn of each session, now that the waiting is over.

    A backend that does not answer is no reason to fail: what was waited for has come.
    """
    for session in task.sessions if task is not None and code in OVER else ():
        with suppress(RequestError):
            path = f"/v1/sessions/{segment(session.session_id)}"
            say_notices(of_last_turn(client.call("GET", path, SessionDetail).transcript))


def of_last_turn(transcript: Sequence[TranscriptItem]) -> list[str]:
    """The notices of the last turn; those from before the first belong to that, for they are of its preparation."""
    prompts = [place for place, item in enumerate(transcript) if item.kind is TranscriptKind.PROMPT]
    turn = transcript[prompts[-1] :] if len(prompts) > 1 else transcript
    return [str(item.body) for item in turn if item.kind is TranscriptKind.NOTICE]


def say_notices(notices: Sequence[str]) -> None:
    for notice in notices:
        tell(f"foundry: {printable(notice)}")
