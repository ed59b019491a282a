"""What was written in a task's sessions and not sent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foundry_tui.contract.attachments import FileAttachment
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

    def files(self, session_id: str) -> tuple[str, ...]:
        """The paths of the files that are attached to it."""
        draft = self._drafts.get(_key(session_id))
        return local_files(draft) if draft is not None else ()

    def write(self, session_id: str, text: str, files: Sequence[str] = ()) -> None:
        """Keep the text as it is now, and the paths of its files, for when the task is opened again, also later."""
        if text.strip() or files:
            self._drafts.put(
                _key(session_id), CreateTask(repo=self._task_id, prompt=text, attachments=draft_attachments(files))
            )
        else:
            self._drafts.discard(_key(session_id))


def draft_attachments(files: Sequence[str]) -> tuple[FileAttachment, ...]:
    """How a draft keeps what is attached: not what the files say, which is read when it is sent, but where they are."""
    return tuple(FileAttachment(path=file) for file in files)


def local_files(draft: CreateTask) -> tuple[str, ...]:
    """The paths on this machine that a draft has kept so."""
    return tuple(each.path for each in draft.attachments if isinstance(each, FileAttachment))


def _key(session_id: str) -> str:
    """Where the unsent text of a session is kept among the drafts of dialogs."""
    return f"session:{session_id}"
