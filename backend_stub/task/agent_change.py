"""What can happen to the agents of a task's sessions beside what is said to them: a part of a `TaskChange`."""

from backend_stub.domain.settings import SILENCE_MS
from backend_stub.task.rows import TaskRows
from foundry_tui.contract.replace import replace


class AgentChange:
    """Each method raises `KeyError` when the task has no session of this id."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    def mark_unloaded(self, session_id: str) -> None:
        """The session's agent had nothing to do for long: it is ended until the next prompt. Nothing has happened."""
        self._rows.put_session(replace(self._rows.session(session_id), unloaded_since=self._rows.now), news=False)

    def need(self, session_id: str) -> None:
        """The session's agent is about to be asked something; one that was ended comes back for that."""
        session = self._rows.session(session_id)
        if session.unloaded_since is not None:
            self._rows.put_session(replace(session, unloaded_since=None))

    def begin_turn(self, session_id: str) -> None:
        """The session's agent has just been given a prompt, and has said nothing yet."""
        offer = self._rows.offer(session_id)
        self._rows.put_offer(session_id, replace(offer, turn_silent_since=self._rows.now))

    def tell_silence(self, session_id: str, off_by: int = SILENCE_MS) -> None:
        """If the session's record is off by so much about since when its agent is silent, it is written anew."""
        told, since = self._rows.offer(session_id).turn_silent_since, self._rows.silent_since(session_id)
        if since is not None and since - (told or 0) >= off_by:
            self._rows.put_silence(session_id)
