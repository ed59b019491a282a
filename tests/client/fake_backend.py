"""A small backend made of dicts: it commits, streams, resumes and forgets as the contract says, and can be copied.

Tests drive it directly, or over HTTP through `transport.py`.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as copy_of
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.contract import codec
from foundry_tui.contract.events import (
    TASKS,
    EventName,
    Resumed,
    TaskRemoved,
    Topic,
    TopicKind,
    event_id,
    parse_event_id,
)
from foundry_tui.contract.moves import TASK_MOVES
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import (
    HistoryEvent,
    HistoryKind,
    LogLine,
    Operation,
    OperationKind,
    OperationState,
    Prompt,
    PromptState,
    Repo,
    SessionOption,
    SessionState,
    SessionStatus,
    SessionSummary,
    StageRecord,
    TaskDetail,
    TaskSummary,
    summary_of,
)
from foundry_tui.contract.requests import (
    NEWEST_ENDED,
    CreateTask,
    LogSnapshot,
    SessionSnapshot,
    TaskSnapshot,
    TasksSnapshot,
)
from foundry_tui.contract.status import ENDED, STAGES, TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind

__all__ = ["Event", "FakeBackend", "Refused", "detail_of", "task_topic"]

HISTORY_WINDOW = 200


@dataclass(frozen=True)
class Event:
    """One event as it leaves the backend."""

    topic: Topic
    name: EventName
    record: Struct
    seq: int
    database: str

    @property
    def id(self) -> str:
        return event_id(self.database, self.seq)


class Refused(Exception):  # noqa: N818
    """The backend refuses a request."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(status=status, title="Refused", detail=detail)


def task_topic(task_id: str) -> Topic:
    return Topic(TopicKind.TASK, task_id)


def session_topic(session_id: str) -> Topic:
    return Topic(TopicKind.SESSION, session_id)


def log_topic(task_id: str) -> Topic:
    return Topic(TopicKind.LOG, task_id)


def detail_of(task: TaskDetail, history: Iterable[HistoryEvent]) -> TaskDetail:
    return replace(task, history=tuple(history)[-HISTORY_WINDOW:])


@dataclass
class FakeBackend:
    """What is committed, and the log of events that streams are fed from.

    `listeners` are called with each event as it is committed; up to `known_from` the log was forgotten.
    """

    database: str = "db1"
    seq: int = 0
    now: int = 1_000_000
    known_from: int = 0
    newest_ended: int = NEWEST_ENDED
    tasks: dict[str, TaskDetail] = field(default_factory=dict)
    history: dict[str, list[HistoryEvent]] = field(default_factory=dict)
    sessions: dict[str, SessionState] = field(default_factory=dict)
    transcripts: dict[str, list[TranscriptItem]] = field(default_factory=dict)
    logs: dict[str, list[LogLine]] = field(default_factory=dict)
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: dict[str, bytes] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    pruned: set[str] = field(default_factory=set)
    log: list[Event] = field(default_factory=list)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)

    def copy(self) -> "FakeBackend":
        """The database as a backup has it."""
        return copy_of(
            self,
            tasks=dict(self.tasks),
            history={key: list(events) for key, events in self.history.items()},
            sessions=dict(self.sessions),
            transcripts={key: list(items) for key, items in self.transcripts.items()},
            logs={key: list(lines) for key, lines in self.logs.items()},
            repos=dict(self.repos),
            requests=dict(self.requests),
            operations=dict(self.operations),
            pruned=set(self.pruned),
            log=list(self.log),
            listeners=[],
        )

    # Commands.

    def create(self, request: CreateTask) -> TaskDetail:
        assert request.task_id is not None
        assert request.session_id is not None
        task_id, session_id = request.task_id, request.session_id
        document = codec.encode(request)
        if task_id in self.pruned:
            raise Refused(409, "this task was pruned")
        if task_id in self.requests:
            if self.requests[task_id] != document:
                raise Refused(409, "this id made another task")
            return self.detail(task_id)
        if request.branch is not None and ".." in request.branch:
            raise Refused(422, "not a branch name")
        self.requests[task_id] = document
        self._tick()
        session = SessionState(
            session_id=session_id,
            task_id=task_id,
            name="main",
            agent="demo",
            status=SessionStatus.PENDING_PROVISION,
            created_at=self.now,
            updated_at=self.now,
            revision=1,
            prompts=(
                Prompt(
                    prompt_id=f"p-{task_id}",
                    session_id=session_id,
                    text=request.prompt,
                    state=PromptState.QUEUED,
                    at=self.now,
                ),
            ),
        )
        repo = self.repos.get(request.repo) or Repo(repo_id=f"r-{request.repo}", label=request.repo, path=request.repo)
        self.repos[repo.repo_id] = replace(repo, task_count=repo.task_count + 1, latest_activity=self.now)
        self.sessions[session_id] = session
        self.transcripts[session_id] = []
        self.logs[task_id] = []
        self.history[task_id] = []
        self.tasks[task_id] = TaskDetail(
            task_id=task_id,
            repo_id=repo.repo_id,
            repo_label=repo.label,
            prompt=request.prompt,
            agent="demo",
            provider="demo",
            status=TaskStatus.QUEUED,
            status_since=self.now,
            created_at=self.now,
            updated_at=self.now,
            revision=1,
            title=request.title,
            branch=request.branch,
            stages=tuple(StageRecord(name=name) for name in STAGES),
            sessions=(_summary(session),),
        )
        self._emit(TASKS, EventName.REPO, self.repos[repo.repo_id])
        self._emit_task(task_id, HistoryKind.TASK_CREATED, HistoryKind.PROVISION_QUEUED)
        self._emit(session_topic(session_id), EventName.SESSION, session)
        return self.detail(task_id)

    def move(self, task_id: str, status: TaskStatus) -> None:
        """Make a legal move of the state machine."""
        task = self._known(task_id)
        assert status in TASK_MOVES[task.status]
        self._tick()
        ended = status in ENDED
        for summary in task.sessions if ended else ():
            self._change_session(summary.session_id, status=SessionStatus.CLOSED)
        task = self.tasks[task_id]
        self.tasks[task_id] = replace(
            task, status=status, status_since=self.now, updated_at=self.now, revision=task.revision + 1
        )
        self._emit_task(task_id, HistoryKind.STAGE_COMPLETED)

    def rename(self, task_id: str, title: str) -> TaskDetail:
        task = self._known(task_id)
        self._tick()
        self.tasks[task_id] = replace(task, title=title, updated_at=self.now, revision=task.revision + 1)
        self._emit_task(task_id, HistoryKind.TASK_RENAMED)
        return self.detail(task_id)

    def mark(self, task_id: str, unread: bool) -> TaskDetail:
        task = self._known(task_id)
        self._tick()
        self.tasks[task_id] = replace(task, unread=unread, updated_at=self.now, revision=task.revision + 1)
        self._emit_task(task_id)
        return self.detail(task_id)

    def prune(self, task_id: str) -> None:
        task = self._known(task_id)
        if task.status not in ENDED:
            raise Refused(409, "only an archived or killed task can be pruned")
        self._tick()
        for summary in task.sessions:
            del self.sessions[summary.session_id], self.transcripts[summary.session_id]
            self._emit(session_topic(summary.session_id), EventName.TASK_REMOVED, TaskRemoved(task_id=task_id))
        del self.tasks[task_id], self.history[task_id], self.logs[task_id]
        self.pruned.add(task_id)
        repo = self.repos[task.repo_id]
        self.repos[task.repo_id] = replace(repo, task_count=repo.task_count - 1)
        self._emit(TASKS, EventName.REPO, self.repos[task.repo_id])
        for topic in (TASKS, task_topic(task_id), log_topic(task_id)):
            self._emit(topic, EventName.TASK_REMOVED, TaskRemoved(task_id=task_id))

    def add_session(self, task_id: str, session_id: str) -> SessionSummary:
        task = self._known(task_id)
        known = self.sessions.get(session_id)
        if known is not None:
            return _summary(known)
        if task.status in ENDED:
            raise Refused(409, "the task has ended")
        self._tick()
        session = SessionState(
            session_id=session_id,
            task_id=task_id,
            name="another",
            agent="demo",
            status=SessionStatus.PENDING_CREATE,
            created_at=self.now,
            updated_at=self.now,
            revision=1,
        )
        self.sessions[session_id] = session
        self.transcripts[session_id] = []
        self.tasks[task_id] = replace(
            task, sessions=(*task.sessions, _summary(session)), updated_at=self.now, revision=task.revision + 1
        )
        self._emit(session_topic(session_id), EventName.SESSION, session)
        self._emit_task(task_id, HistoryKind.SESSION_REQUESTED)
        return _summary(session)

    def prompt(self, session_id: str, prompt_id: str, text: str, steer: bool = False) -> Prompt:
        session = self.sessions.get(session_id)
        if session is None:
            raise Refused(404, "no such session")
        for known in session.prompts:
            if known.prompt_id == prompt_id:
                return known
        if session.status is SessionStatus.CLOSED:
            raise Refused(409, "the session is closed")
        self._tick()
        state = PromptState.QUEUED
        prompt = Prompt(prompt_id=prompt_id, session_id=session_id, text=text, state=state, at=self.now, steer=steer)
        self._change_session(session_id, prompts=(*session.prompts, prompt))
        self._emit_task(session.task_id, HistoryKind.PROMPT_QUEUED)
        return prompt

    def change_prompt(
        self, session_id: str, prompt_id: str, *, text: str | None = None, state: PromptState = PromptState.QUEUED
    ) -> Prompt:
        """Another text or state for a prompt that is queued."""
        session = self.sessions[session_id]
        known = next((prompt for prompt in session.prompts if prompt.prompt_id == prompt_id), None)
        if known is None:
            raise Refused(404, "no such prompt")
        if known.state is not PromptState.QUEUED:
            raise Refused(409, f"the prompt is {known.state} already")
        self._tick()
        changed = replace(known, text=known.text if text is None else text, state=state)
        prompts = tuple(changed if prompt is known else prompt for prompt in session.prompts)
        self._change_session(session_id, prompts=prompts)
        return changed

    def operate(self, task_id: str, request: StartOperation) -> Operation:
        """Kept and never begun; the same operation_id again changes nothing."""
        assert request.operation_id is not None
        held = self.operations.get(request.operation_id)
        if held is None:
            held = self.operations[request.operation_id] = Operation(
                operation_id=request.operation_id,
                task_id=task_id,
                kind=OperationKind(str(type(request).__struct_config__.tag)),
                request={},
                state=OperationState.QUEUED,
                at=self.now,
                revision=1,
            )
        return held

    def set_option(self, session_id: str, option_id: str, value: str | bool) -> SessionSummary:
        session = self.sessions[session_id]
        if option_id not in [option.option_id for option in session.options]:
            raise Refused(404, "no such option")
        if value == "refused":
            raise Refused(422, "choose another value")
        self._tick()
        self._change_session(
            session_id,
            options=tuple(
                replace(each, value=value) if each.option_id == option_id else each for each in session.options
            ),
        )
        return _summary(self.sessions[session_id])

    def say(self, session_id: str, text: str) -> None:
        """A new item of the transcript."""
        self._tick()
        items = self.transcripts[session_id]
        item = TranscriptItem(
            item_id=f"{session_id}-{len(items)}",
            session_id=session_id,
            index=len(items),
            kind=TranscriptKind.MESSAGE,
            body=text,
            at=self.now,
            revision=1,
        )
        items.append(item)
        self._emit(session_topic(session_id), EventName.TRANSCRIPT, item)

    def grow(self, session_id: str, index: int, text: str) -> None:
        """An item of the transcript grows in place."""
        self._tick()
        item = self.transcripts[session_id][index]
        item = replace(item, body=f"{item.body}{text}", revision=item.revision + 1)
        self.transcripts[session_id][index] = item
        self._emit(session_topic(session_id), EventName.TRANSCRIPT, item)

    def print(self, task_id: str, text: str) -> None:
        """A line of the stage log."""
        self._tick()
        lines = self.logs[task_id]
        line = LogLine(index=len(lines), stage="create_sandbox", at=self.now, text=text)
        lines.append(line)
        self._emit(log_topic(task_id), EventName.LOG, line)

    # Reading.

    def detail(self, task_id: str) -> TaskDetail:
        return detail_of(self._known(task_id), self.history[task_id])

    def exists(self, topic: Topic) -> bool:
        if topic.kind is TopicKind.TASKS:
            return True
        if topic.kind is TopicKind.SESSION:
            return topic.id in self.sessions
        return topic.id in self.tasks

    def snapshot(self, topic: Topic) -> Event:
        """The topic whole, as of now."""
        record: Struct
        if topic.kind is TopicKind.TASKS:
            ended = self._ended()
            living = tuple(summary_of(task) for task in self.tasks.values() if task.status not in ENDED)
            record = TasksSnapshot(
                seq=self.seq,
                repos=tuple(self.repos.values()),
                tasks=(*living, *ended[: self.newest_ended]),
                older=len(ended[self.newest_ended :]),
            )
        elif topic.kind is TopicKind.TASK:
            record = TaskSnapshot(**_fields(self.detail(topic.id)), seq=self.seq)
        elif topic.kind is TopicKind.SESSION:
            session = self.sessions[topic.id]
            record = SessionSnapshot(**_fields(session), transcript=tuple(self.transcripts[topic.id]), seq=self.seq)
        else:
            record = LogSnapshot(lines=tuple(self.logs[topic.id]), seq=self.seq)
        return Event(topic, EventName.SNAPSHOT, record, self.seq, self.database)

    def ended_before(self, task_id: str, limit: int) -> TasksSnapshot:
        """A page of what the snapshot of the list leaves out."""
        asked = _age(self._known(task_id))
        older = [task for task in self._ended() if _age(task) < asked]
        return self._page(older[:limit], len(older[limit:]))

    def find(self, holds: Callable[[TaskSummary], bool], limit: int, before: str | None = None) -> TasksSnapshot:
        """The newest of all tasks that a filter holds for, of those older than `before` if it is given."""
        asked = None if before is None else _age(self._known(before))
        tasks = sorted((summary_of(task) for task in self.tasks.values()), key=_age, reverse=True)
        tasks = [task for task in tasks if asked is None or _age(task) < asked]
        found = [task for task in tasks if holds(task)][:limit]
        more = len(found) == limit
        return self._page(found, len([task for task in tasks if _age(task) < _age(found[-1])]) if more else 0)

    def begin(self, topic: Topic, cursor: str | None, rng: random.Random | None = None) -> list[Event]:
        """What a new connection of the topic is sent first; with `rng` what was missed is coalesced at times."""
        if cursor is None:
            return [self.snapshot(topic)]
        database, seq = parse_event_id(cursor)
        if database != self.database or seq > self.seq or seq < self.known_from:
            return [self.snapshot(topic)]
        missed = [event for event in self.log if event.topic == topic and event.seq > seq]
        if rng is not None and rng.random() < 0.5:
            newest = {_identity(event): event.seq for event in missed}
            missed = [event for event in missed if newest[_identity(event)] == event.seq]
        return [Event(topic, EventName.RESUMED, Resumed(seq=seq), seq, self.database), *missed]

    def forget_log(self) -> None:
        """What was missed up to now can no longer be resumed."""
        self.known_from = self.seq
        self.log.clear()

    # Inside.

    def _known(self, task_id: str) -> TaskDetail:
        task = self.tasks.get(task_id)
        if task is None:
            raise Refused(404, "no such task")
        return task

    def _ended(self) -> list[TaskSummary]:
        """Newest first."""
        ended = (summary_of(task) for task in self.tasks.values() if task.status in ENDED)
        return sorted(ended, key=_age, reverse=True)

    def _page(self, tasks: Sequence[TaskSummary], older: int) -> TasksSnapshot:
        return TasksSnapshot(seq=self.seq, repos=tuple(self.repos.values()), tasks=tuple(tasks), older=older)

    def _tick(self) -> None:
        self.now += 7

    def _change_session(
        self,
        session_id: str,
        status: SessionStatus | None = None,
        prompts: tuple[Prompt, ...] | None = None,
        options: tuple[SessionOption, ...] | None = None,
    ) -> None:
        session = self.sessions[session_id]
        session = replace(
            session,
            status=session.status if status is None else status,
            prompts=session.prompts if prompts is None else prompts,
            options=session.options if options is None else options,
            updated_at=self.now,
            revision=session.revision + 1,
        )
        self.sessions[session_id] = session
        task = self.tasks[session.task_id]
        sessions = tuple(_summary(session) if one.session_id == session_id else one for one in task.sessions)
        self.tasks[session.task_id] = replace(task, sessions=sessions, updated_at=self.now, revision=task.revision + 1)
        self._emit(session_topic(session_id), EventName.SESSION, session)

    def _emit_task(self, task_id: str, *kinds: HistoryKind) -> None:
        for kind in kinds:
            event = HistoryEvent(seq=self.seq + 1, task_id=task_id, kind=kind, at=self.now, payload={})
            self.history[task_id].append(event)
            self._emit(task_topic(task_id), EventName.HISTORY, event)
        self._emit(task_topic(task_id), EventName.TASK, self.tasks[task_id])
        self._emit(TASKS, EventName.TASK, summary_of(self.tasks[task_id]))

    def _emit(self, topic: Topic, name: EventName, record: Struct) -> None:
        self.seq += 1
        event = Event(topic, name, record, self.seq, self.database)
        self.log.append(event)
        for listener in list(self.listeners):
            listener(event)


def _age(task: TaskSummary | TaskDetail) -> tuple[int, str]:
    return task.created_at, task.task_id


def _fields(record: Struct) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _summary(session: SessionSummary) -> SessionSummary:
    return SessionSummary(**{name: getattr(session, name) for name in SessionSummary.__struct_fields__})


def _identity(event: Event) -> tuple[str, object]:
    record = event.record
    if isinstance(record, HistoryEvent):
        return "history", record.seq
    if isinstance(record, TranscriptItem):
        return "transcript", record.item_id
    if isinstance(record, LogLine):
        return "log", record.index
    if isinstance(record, Repo):
        return "repo", record.repo_id
    if isinstance(record, SessionState):
        return "session", record.session_id
    if isinstance(record, TaskDetail):
        return "task", record.task_id
    return "task", getattr(record, "task_id", "")
