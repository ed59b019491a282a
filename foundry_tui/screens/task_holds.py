"""What an open task screen holds on to: its topics, and the texts that were written and not sent."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from foundry_tui.contract.events import Topic
from foundry_tui.contract.requests import CreateTask

if TYPE_CHECKING:
    from foundry_tui.client.commands import Commands, Drafts


class Holds:
    """Topics subscribed to, each once."""

    def __init__(self, commands: "Commands") -> None:
        self._commands = commands
        self._held: dict[Topic, Callable[[], None]] = {}

    def hold(self, topic: Topic) -> None:
        """Subscribe, if that is not so already."""
        if topic not in self._held:
            self._held[topic] = self._commands.hold(topic)

    def release(self, topic: Topic) -> None:
        """Leave a topic, if it is held."""
        release = self._held.pop(topic, None)
        if release is not None:
            release()

    def release_all(self) -> None:
        """Leave all of them."""
        for topic in tuple(self._held):
            self.release(topic)


class Unsent:
    """What was written in a task's sessions and not sent; it outlives the app."""

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
