"""The topics that an open task screen is subscribed to."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from foundry_tui.contract.events import Topic

if TYPE_CHECKING:
    from foundry_tui.client.commands import Commands


class HeldTopics:
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
