"""The replicas of topics about one task, one session or one log: what a screen of its own shows."""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.client.changes import Dirt
from foundry_tui.client.replica import Life, Replica, only
from foundry_tui.contract.events import EventName, TaskRemoved, Topic
from foundry_tui.contract.records import HistoryEvent, LogLine, SessionState, TaskDetail, TaskSummary
from foundry_tui.contract.requests import LogSnapshot, SessionSnapshot, TaskSnapshot
from foundry_tui.contract.transcript import TranscriptItem

HISTORY_WINDOW = 200
"""How many history events a snapshot carries at most; fewer mean that it carries all."""


class One(Replica):
    """A topic about one thing, which ends when that is removed. `gone`: it has ended, and was not seen again since."""

    def end(self) -> bool:
        """Hold nothing of it any more; whether that is news."""
        if self.gone:
            return False
        self.gone = True
        # Should it come back, then as something that was never seen.
        self.forget_position()
        self.clear()
        return True

    def clear(self) -> None:
        """Drop what is held."""
        raise NotImplementedError


class TaskReplica(One):
    """Topic `task:{id}`: one task whole. `detail` is held without its history, which `history` keeps by seq."""

    def __init__(self, topic: Topic, dirty: Callable[[], Dirt], life: Life) -> None:
        super().__init__(topic, dirty, life)
        self.detail: TaskDetail | None = None
        self.history: list[HistoryEvent] = []

    def apply(self, name: EventName, record: Struct, seq: int) -> bool:
        if isinstance(record, HistoryEvent):
            if self.gone or not self.add_history((record,)):
                return False
            self._note_commit(record.at)
            return True
        if isinstance(record, TaskDetail):
            return not self.gone and self.put(record)
        if isinstance(record, TaskRemoved):
            return self.end()
        return False

    def put(self, task: TaskDetail) -> bool:
        """Hold the task if its revision is higher than that held, and add its history to what is held of that."""
        added = self.add_history(task.history)
        if self.detail is not None and task.revision <= self.detail.revision:
            return added
        self.detail = only(TaskDetail, task) if type(task) is not TaskDetail else task
        self._note_commit(task.updated_at)
        self.dirty().details.add(self.topic.id)
        return True

    def add_history(self, events: Iterable[HistoryEvent]) -> bool:
        """Each event once, in the order of seq."""
        history, added = self.history, False
        for event in events:
            if not history or event.seq > history[-1].seq:
                history.append(event)
                added = True
                continue
            at = bisect_left(history, event.seq, key=_seq_of)
            if history[at].seq != event.seq:
                history.insert(at, event)
                added = True
        if added:
            self.dirty().details.add(self.topic.id)
        return added

    def clear(self) -> None:
        self.detail = None
        self.history = []
        self.dirty().details.add(self.topic.id)

    def replace(self, snapshot: Struct, seq: int, afresh: bool) -> None:
        assert isinstance(snapshot, TaskSnapshot)
        events = snapshot.history
        gap = len(events) >= HISTORY_WINDOW and bool(self.history) and events[0].seq > self.history[-1].seq
        if afresh or gap:
            # Events between what was held and what came are missing: better a shorter history than one with a hole.
            self.history = []
        if afresh:
            self.detail = None
        self.put(snapshot)


class SessionReplica(One):
    """Topic `session:{id}`: one conversation. `transcript` has no gaps; items behind one wait in `_beyond_gap`."""

    def __init__(self, topic: Topic, dirty: Callable[[], Dirt], life: Life) -> None:
        super().__init__(topic, dirty, life)
        self.state: SessionState | None = None
        self.transcript: list[TranscriptItem] = []
        self._beyond_gap: dict[int, TranscriptItem] = {}

    def apply(self, name: EventName, record: Struct, seq: int) -> bool:
        if isinstance(record, TranscriptItem):
            if self.gone or not self.put_item(record):
                return False
            self._note_commit(record.at)
            return True
        if isinstance(record, SessionState):
            return not self.gone and self.put(record)
        if isinstance(record, TaskRemoved):
            return self.end()
        return False

    def put(self, session: SessionState) -> bool:
        """Hold the session, with its prompts, if its revision is higher than that held; whether it was."""
        if self.state is not None and session.revision <= self.state.revision:
            return False
        self.state = only(SessionState, session) if type(session) is not SessionState else session
        self._note_commit(session.updated_at)
        self.dirty().sessions.add(self.topic.id)
        return True

    def put_item(self, item: TranscriptItem) -> bool:
        """Hold one piece of the transcript if it is new or its revision is higher; whether it was."""
        transcript, index = self.transcript, item.index
        length = len(transcript)
        if index < length:
            if item.revision <= transcript[index].revision:
                return False
            transcript[index] = item
        elif index == length:
            transcript.append(item)
            while (following := self._beyond_gap.pop(len(transcript), None)) is not None:
                transcript.append(following)
        else:
            waiting = self._beyond_gap.get(index)
            if waiting is not None and item.revision <= waiting.revision:
                return False
            self._beyond_gap[index] = item
            return True
        self.dirty().transcript(self.topic.id, index)
        return True

    def clear(self) -> None:
        self.state = None
        self.transcript = []
        self._beyond_gap.clear()
        self.dirty().transcript(self.topic.id, 0)

    def replace(self, snapshot: Struct, seq: int, afresh: bool) -> None:
        assert isinstance(snapshot, SessionSnapshot)
        held, beyond_gap = self.transcript, self._beyond_gap
        if afresh:
            held, beyond_gap = [], {}
            self.state = None
        # A transcript only grows, so what lies beyond the snapshot's end is newer than the snapshot.
        self.transcript = list(snapshot.transcript) + held[len(snapshot.transcript) :]
        self._beyond_gap = {}
        first_change = len(self.transcript)
        for item in self.transcript:
            index = item.index
            if index < len(held) and held[index].revision >= item.revision:
                self.transcript[index] = held[index]
                continue
            first_change = min(first_change, index)
        if first_change < len(self.transcript) or len(self.transcript) != len(held) or afresh:
            self.dirty().transcript(self.topic.id, first_change)
        for item in beyond_gap.values():
            self.put_item(item)
        self.put(snapshot)


class LogReplica(One):
    """Topic `log:{id}`: what providers printed, by index; a line never changes."""

    def __init__(self, topic: Topic, dirty: Callable[[], Dirt], life: Life) -> None:
        super().__init__(topic, dirty, life)
        self.lines: list[LogLine] = []

    def apply(self, name: EventName, record: Struct, seq: int) -> bool:
        if isinstance(record, LogLine):
            if self.gone or not self.put_line(record):
                return False
            self._note_commit(record.at)
            return True
        if isinstance(record, TaskRemoved):
            return self.end()
        return False

    def put_line(self, line: LogLine) -> bool:
        """Each line once, in the order of its index."""
        lines = self.lines
        if not lines or line.index > lines[-1].index:
            lines.append(line)
        else:
            at = bisect_left(lines, line.index, key=_index_of)
            if lines[at].index == line.index:
                return False
            lines.insert(at, line)
        self.dirty().logs.add(self.topic.id)
        return True

    def clear(self) -> None:
        self.lines = []
        self.dirty().logs.add(self.topic.id)

    def replace(self, snapshot: Struct, seq: int, afresh: bool) -> None:
        assert isinstance(snapshot, LogSnapshot)
        last = snapshot.lines[-1].index if snapshot.lines else -1
        # A log only grows, so what lies beyond the snapshot's end is newer than the snapshot.
        newer = [] if afresh else self.lines[bisect_left(self.lines, last + 1, key=_index_of) :]
        self.lines = [*snapshot.lines, *newer]
        self.dirty().logs.add(self.topic.id)


def _seq_of(event: HistoryEvent) -> int:
    return event.seq


def _index_of(line: LogLine) -> int:
    return line.index


def as_listed(task: TaskDetail, listed: TaskSummary) -> TaskDetail:
    """The task with what the list says of it, except for the prompt, which it has cut, and the revision."""
    fields = {
        name: getattr(listed, name) for name in TaskSummary.__struct_fields__ if name not in ("prompt", "revision")
    }
    return replace(task, **fields)
