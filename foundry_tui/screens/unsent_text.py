"""What was written in a task's sessions and not sent."""

from typing import TYPE_CHECKING

from foundry_tui.contract.requests import CreateTask

if TYPE_CHECKING:
    from foundry_tui.client.commands import Drafts


class UnsentText:
    """The unsent texts of one task, by session. They are kept among the client's drafts, so they outlive the app."""

    def __init__(self, drafts: "Drafts", task_id: str) -> None:
        self._drafts = drafts
        self._task_id = task_id

    def text(self, session_id: str) -> str:
        """The text of a session, from now or from an earlier time."""
        draft = self._drafts.get(_key(session_id))
        return draft.prompt if draft is not None else ""

    def write(self, session_id: str, text: str) -> None:
        """Keep the text as it is now, for when the task is opened again, also after a restart."""
        if text.strip():
            self._drafts.put(_key(session_id), CreateTask(repo=self._task_id, prompt=text))
        else:
            self._drafts.discard(_key(session_id))


def _key(session_id: str) -> str:
    """Where the unsent text of a session is kept among the drafts of dialogs."""
    return f"session:{session_id}"
