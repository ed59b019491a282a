"""How long an agent has said nothing in its turn.

What it sends is noted in memory alone, and goes into its session's record with commits that are made anyway. One is
made for it when a silence has become long, and is over with the next words.
"""

from backend_stub.domain.settings import SILENCE_MS
from backend_stub.task.actor import TaskActor
from backend_stub.task.alarms import Alarms
from backend_stub.task.services import Services
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import SessionStatus


class Silences:
    """Listens to all turns."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._armed: set[str] = set()
        """The sessions whose silence is looked at when it may have become long."""
        queue = services.dispatcher.queue("silence", self._look)
        self.alarms = Alarms(services.runtime.now, queue.wake)

    def heard(self, actor: TaskActor, session_id: str) -> None:
        """The agent of this session has sent something just now. Cheap."""
        actor.heard[session_id] = self._services.runtime.now()
        self.listen(session_id)

    def listen(self, session_id: str) -> None:
        """A turn goes on in this session."""
        if session_id not in self._armed:
            self._armed.add(session_id)
            self.alarms.set(session_id, self._services.runtime.now() + SILENCE_MS)

    async def _look(self, session_id: str) -> None:
        """Tell of a silence that has become long, else look again when it may have."""
        self._armed.discard(session_id)
        task_id = await self._services.storage.task_of_session(session_id)
        if task_id is None:
            return
        actor = self._services.actors.of(task_id)
        state = await actor.state()
        session = next((each for each in state.task.sessions if each.session_id == session_id), None)
        if session is None or session.status is not SessionStatus.RUNNING:
            return
        now = self._services.runtime.now()
        asks = any(
            each.session_id == session_id and each.state is PermissionState.OPEN for each in state.task.permissions
        )
        since = actor.heard.get(session_id) or state.offers[session_id].turn_silent_since or now
        if asks or now < since + SILENCE_MS:
            # Who waits for a person's answer is not silent.
            self._armed.add(session_id)
            self.alarms.set(session_id, now + SILENCE_MS if asks else since + SILENCE_MS)
            return
        await actor.commit(lambda draft: draft.agents.tell_silence(session_id, off_by=1))
