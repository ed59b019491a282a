"""A backend at random: tasks come, move and go, sessions and transcripts grow, what is heard of it comes and goes."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.creations import CreationState
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.attachments import NewAttachment
from foundry_tui.contract.events import TASKS, EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.moves import TASK_MOVES
from foundry_tui.contract.problems import FieldError, Problem
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import (
    HistoryEvent,
    HistoryKind,
    LogLine,
    Prompt,
    PromptState,
    SessionDetail,
    SessionState,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskSummary,
    summary_of,
)
from foundry_tui.contract.requests import (
    CreateTask,
    LogSnapshot,
    SessionSnapshot,
    TaskSnapshot,
    TasksSnapshot,
)
from foundry_tui.contract.status import LOG_STAGES, StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from tests.app.factories import NOW, SECOND, make_detail, make_error, make_repo, make_session, task_id
from tests.app.harness import FakeCommands
from tests.app.list_scenes import REPOS
from tests.app.task_scenes import a_history, a_permission, a_transcript
from tests.fixed_clock import FixedClock

TEXTS = (
    "",
    "plain words",
    "日本語の題名 mit Umlauten äöü",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈",
    "e\u0301 combining \u200b\u202e right to left",
    "[bold]no markup[/bold] [/] [link=x]",
    "\x1b[31mcolour\x1b[0m \x07 \t tab",
    "one\ntwo\r\nthree\n\n```python\ndef f():\n\tpass\n```\n| a | b |\n|---|---|\n| 1 | 2 |",
    "word" * 400,
    "line\n" * 120,
)
"""What agents and people write, awkward ones among them."""


STATUSES = (*TaskStatus, TaskStatus("init_review_plan"))
SESSION_STATUSES = (*SessionStatus, SessionStatus("moving"))
HISTORY_KINDS = (*HistoryKind, HistoryKind("plan.reviewed"))
FAILS_AT = (None, StageName("review_plan"))
PERMISSION_STATES = (PermissionState.CANCELLED, PermissionState("delegated"))
PIECES = (TranscriptKind.MESSAGE, TranscriptKind.THOUGHT, TranscriptKind.NOTICE, TranscriptKind("verse"))
"""What a backend tells, and with it a word of one that is newer than the app."""


class ActingCommands(FakeCommands):
    """Commands of which the store shows at once what was asked, as it does of the client's."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.tokens: list[tuple[str, int]] = []
        """Edits that the backend has not answered."""

    def create(self, request: CreateTask, defaults: TaskDefaults | None = None) -> str:
        made = replace(request, task_id=request.task_id or self._id(), session_id=request.session_id or self._id())
        self._store.create(made, defaults)
        return super().create(made, defaults)

    def retry_creation(self, task_id: str) -> None:
        super().retry_creation(task_id)
        self._store.retry_creation(task_id)

    def discard_creation(self, task_id: str) -> None:
        super().discard_creation(task_id)
        self._store.discard_creation(task_id)

    def rename(self, task_id: str, title: str) -> None:
        super().rename(task_id, title)
        self.tokens.append((task_id, self._store.edit(task_id, title=title)))

    def mark(self, task_id: str, unread: bool) -> None:
        super().mark(task_id, unread)
        self.tokens.append((task_id, self._store.edit(task_id, unread=unread)))

    def add_session(self, task_id: str, name: str | None = None, agent: str | None = None) -> str:
        session_id = super().add_session(task_id, name, agent)
        session = make_session(session_id=session_id, task_id=task_id, name=name or "another", revision=0)
        self.tokens.append((task_id, self._store.edit(task_id, session=session)))
        return session_id

    def prompt(self, session_id: str, text: str, steer: bool = False, attachments: Sequence[NewAttachment] = ()) -> str:
        prompt_id = super().prompt(session_id, text, steer, attachments)
        prompt = Prompt(prompt_id=prompt_id, session_id=session_id, text=text, state=PromptState.QUEUED, at=NOW)
        self._store.put_prompt(replace(prompt, steer=steer))
        return prompt_id

    def discard_prompt(self, session_id: str, prompt_id: str) -> None:
        super().discard_prompt(session_id, prompt_id)
        self._store.drop_prompt(session_id, prompt_id)


def _fields(type_: type[TaskSummary] | type[SessionSummary], record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in type_.__struct_fields__}


class RandomBackend:
    """The backend and its line to the app. Every change takes numbers that mean something however the world stands."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOW)
        self.store = Store(now_ms=self.clock.now_ms)
        self.commands = ActingCommands(self.store)
        self._database = "first"
        self._seq = 0
        self._made = 0
        self.details: dict[str, TaskDetail] = {}
        self.sessions: dict[str, SessionDetail] = {}
        self.logs: dict[str, list[LogLine]] = {}
        self.freshness = Freshness(FreshnessState.LIVE, NOW)
        self._open: set[Topic] = set()
        for status in STATUSES:
            self._make(status)

    # What the app hears of.

    def connect(self) -> None:
        """The list is read anew, and nothing else is connected."""
        for topic in self._open - {TASKS}:
            self.store.forget(topic)
        self._open.clear()
        self._read(TASKS)

    def answer(self) -> None:
        """All that was asked is answered: topics held are read, those left are forgotten, edits are settled."""
        held = set(self.commands.held)
        for topic in self._open - held - {TASKS}:
            self._open.discard(topic)
            self.store.forget(topic)
        for topic in sorted(held - self._open, key=str):
            self._read(topic)
        for id_, token in self.commands.tokens:
            self.store.settle(id_, token)
        self.commands.tokens.clear()

    def begin_anew(self) -> None:
        """The backend has lost its database and begins with another one."""
        self._database += "x"
        self._seq = 0
        for id_ in list(self.details)[::2]:
            self._drop(id_)
        self.connect()

    def say_freshness(self, state: int) -> None:
        """What is heard of the backend is as fresh as this."""
        now = self.clock.now_ms()
        chosen = tuple(FreshnessState)[state % len(FreshnessState)]
        live = chosen is FreshnessState.LIVE
        self.freshness = Freshness(
            chosen, now, retry_at=None if live else now + 3 * SECOND, reason=None if live else "nobody answers"
        )
        for topic in (TASKS, *self._open):
            self.store.set_freshness(topic, self.freshness)

    # What happens there.

    def create(self, status: int) -> None:
        """Another task, in this status."""
        id_ = self._make(STATUSES[status % len(STATUSES)])
        self._tell_task(self.details[id_])

    def move(self, task: int, to: int) -> None:
        """A task goes on to one of the statuses that may follow."""
        found = self._pick(task)
        if found is None:
            return
        following = [*sorted(TASK_MOVES.get(found.status, ())), STATUSES[-1]]
        number = int(found.task_id[-12:])
        moved = make_detail(number, following[to % len(following)])
        kept = {"revision", "sessions", "repo_id", "repo_label", "task_id", "permissions", "needs_input", "prompt"}
        if to % 7 == 0 and moved.error is not None:
            moved = replace(
                moved, error=make_error("[/] failed with\n" + TEXTS[to % len(TEXTS)], stage=FAILS_AT[to % 2])
            )
        self._change(found, **{name: getattr(moved, name) for name in moved.__struct_fields__ if name not in kept})

    def rename(self, task: int, text: int) -> None:
        """A task has another title, branch and prompt."""
        found = self._pick(task)
        if found is not None:
            words = TEXTS[text % len(TEXTS)]
            self._change(found, title=words or None, branch=words[:40] or None, prompt=words, unread=text % 2 == 0)

    def remove(self, task: int) -> None:
        """A task is gone."""
        found = self._pick(task)
        if found is None:
            return
        self._drop(found.task_id)
        for topic in (TASKS, Topic(TopicKind.TASK, found.task_id)):
            self._tell(topic, EventName.TASK_REMOVED, TaskRemoved(task_id=found.task_id))

    def add_session(self, task: int, status: int) -> None:
        """A task has another session, or its last one another status."""
        found = self._pick(task)
        if found is None:
            return
        chosen = SESSION_STATUSES[status % len(SESSION_STATUSES)]
        if status % 2 or not found.sessions:
            self._made += 1
            made = make_session(
                session_id=f"session-{self._made}", task_id=found.task_id, name=TEXTS[status % 5], status=chosen
            )
            sessions: tuple[SessionSummary, ...] = (*found.sessions, made)
        else:
            last = found.sessions[-1]
            changed = replace(last, status=chosen, revision=last.revision + 1, unread=status % 3 == 0)
            sessions = (*found.sessions[:-1], changed)
        self._change(found, sessions=sessions)
        self._keep_session(sessions[-1])

    def ask(self, task: int, options: int) -> None:
        """An agent asks something, or its open questions are answered elsewhere."""
        found = self._pick(task)
        if found is None or not found.sessions:
            return
        if found.needs_input:
            closed = tuple(replace(asked, state=PERMISSION_STATES[options % 2]) for asked in found.permissions)
            self._change(found, permissions=closed, needs_input=0)
            return
        plain = a_permission()
        asked = tuple(
            replace(
                plain,
                permission_id=f"permission-{found.task_id}-{number}",
                task_id=found.task_id,
                session_id=found.sessions[number % len(found.sessions)].session_id,
                title=TEXTS[options % len(TEXTS)],
                options=plain.options[: options % 4],
            )
            for number in range(1 + options % 2)
        )
        asked_by: tuple[Permission, ...] = (*found.permissions, *asked)
        self._change(found, permissions=asked_by, needs_input=len(asked))

    def say(self, session: int, text: int) -> None:
        """A conversation has another piece, or its last piece grows."""
        if not self.sessions:
            return
        chosen = self.sessions[sorted(self.sessions)[session % len(self.sessions)]]
        transcript, words = chosen.transcript, TEXTS[text % len(TEXTS)]
        if transcript and text % 2 and isinstance(body := transcript[-1].body, str):
            last = transcript[-1]
            said = replace(last, body=body + words, revision=last.revision + 1)
            transcript = (*transcript[:-1], said)
        else:
            said = self._piece(chosen, len(transcript), text)
            transcript = (*transcript, said)
        self.sessions[chosen.session_id] = replace(chosen, transcript=transcript)
        self._tell(Topic(TopicKind.SESSION, chosen.session_id), EventName.TRANSCRIPT, said)

    def print(self, task: int, text: int) -> None:
        """A provider prints a line."""
        found = self._pick(task)
        if found is None:
            return
        lines = self.logs.setdefault(found.task_id, [])
        stage = LOG_STAGES[text % len(LOG_STAGES)]
        line = LogLine(index=len(lines), stage=stage, at=self.clock.now_ms(), text=TEXTS[text % len(TEXTS)])
        lines.append(line)
        self._tell(Topic(TopicKind.LOG, found.task_id), EventName.LOG, line)

    def note(self, task: int, kind: int) -> None:
        """A task's history has another event."""
        found = self._pick(task)
        if found is not None:
            chosen = HISTORY_KINDS[kind % len(HISTORY_KINDS)]
            payload = {"stage": "create_sandbox", "attempt": 1, "message": TEXTS[kind % len(TEXTS)]}
            event = HistoryEvent(
                seq=self._seq + 1, task_id=found.task_id, kind=chosen, at=self.clock.now_ms(), payload=payload
            )
            self._tell(Topic(TopicKind.TASK, found.task_id), EventName.HISTORY, event)

    def settle_creation(self, creation: int) -> None:
        """A creation is confirmed, or refused."""
        pending = [made for made in self.store.creations.values() if made.state is CreationState.PENDING]
        if not pending:
            return
        made = pending[creation % len(pending)]
        if creation % 3 == 0:
            errors = (FieldError(field=("branch", "repo", "prompt", "agent")[creation % 4], message="it is taken"),)
            problem = Problem(status=422, title="Unprocessable", detail="It was refused.", errors=errors)
            self.store.refused(made.task_id, problem)
            return
        self._made += 1
        task = make_detail(self._made, TaskStatus.QUEUED, task_id=made.task_id, prompt=made.request.prompt, revision=1)
        session = make_session(session_id=made.session_id, task_id=made.task_id)
        task = replace(task, sessions=(session,))
        self.details[made.task_id] = task
        self._keep_session(session)
        self.store.created(task)
        self._tell_task(task)

    def fail(self, task: int, action: int) -> None:
        """Something that was asked for did not succeed."""
        found = self._pick(task)
        chosen = ("archive", "kill", "rename", "add_session", "prompt")[action % 5]
        loses = ("3 commits that are nowhere else",) if action % 2 else ()
        problem = Problem(status=409, title="Conflict", detail="[/] it would lose work", would_lose=loses)
        id_ = found.task_id if found is not None else task_id(0)
        told = CommandProblem(action=chosen, message=f"{problem.detail}.", task_id=id_, problem=problem)
        self.commands.fail(told)

    # Inside.

    def _pick(self, number: int) -> TaskDetail | None:
        return self.details[sorted(self.details)[number % len(self.details)]] if self.details else None

    def _make(self, status: TaskStatus) -> str:
        self._made += 1
        label = REPOS[self._made % len(REPOS)]
        task = make_detail(
            self._made, status, history=a_history(), repo_id=f"repo-{label}", repo_label=label, revision=1
        )
        self.details[task.task_id] = task
        for session in task.sessions:
            self._keep_session(session)
        return task.task_id

    def _drop(self, id_: str) -> None:
        for session in self.details.pop(id_).sessions:
            self.sessions.pop(session.session_id, None)

    def _keep_session(self, session: SessionSummary) -> None:
        known = self.sessions.get(session.session_id)
        fields = _fields(SessionSummary, session)
        kept = replace(known, **fields) if known is not None else SessionDetail(**fields, transcript=a_transcript())
        self.sessions[session.session_id] = kept
        state = SessionState(**{name: getattr(kept, name) for name in SessionState.__struct_fields__})
        self._tell(Topic(TopicKind.SESSION, session.session_id), EventName.SESSION, state)

    def _piece(self, session: SessionDetail, index: int, text: int) -> TranscriptItem:
        kinds = (*PIECES, TranscriptKind.TOOL_CALL)
        kind = kinds[text // 3 % len(kinds)]
        words = TEXTS[text % len(TEXTS)]
        edit = {"path": words[:60], "old": words[:400], "new": words[::-1][:400]}
        call = {"title": words, "kind": "edit", "status": "completed", "content": words, "edits": [edit]}
        return TranscriptItem(
            item_id=f"{session.session_id}-{index}",
            session_id=session.session_id,
            index=index,
            kind=kind,
            body=call if kind is TranscriptKind.TOOL_CALL else words,
            at=self.clock.now_ms(),
            revision=1,
        )

    def _change(self, task: TaskDetail, **changes: Any) -> None:
        self.details[task.task_id] = changed = replace(task, revision=task.revision + 1, **changes)
        self._tell_task(changed)

    def _tell_task(self, task: TaskDetail) -> None:
        self._tell(TASKS, EventName.TASK, summary_of(task))
        self._tell(Topic(TopicKind.TASK, task.task_id), EventName.TASK, replace(task, history=()))

    def _tell(self, topic: Topic, name: EventName, record: Any) -> None:
        if topic in self._open:
            self._seq += 1
            self.store.apply(topic, name, record, self._seq, self._database)

    def _read(self, topic: Topic) -> None:
        """Have a topic's snapshot told, or that there is none."""
        self._seq += 1
        seq = self._seq
        snapshot: Any = None
        if topic == TASKS:
            tasks = tuple(summary_of(task) for task in self.details.values())
            snapshot = TasksSnapshot(seq=seq, repos=tuple(make_repo(label) for label in REPOS), tasks=tasks)
        elif topic.kind is TopicKind.TASK and topic.id in self.details:
            snapshot = TaskSnapshot(**_fields(TaskDetail, self.details[topic.id]), seq=seq)
        elif topic.kind is TopicKind.SESSION and topic.id in self.sessions:
            snapshot = SessionSnapshot(**_fields(SessionDetail, self.sessions[topic.id]), seq=seq)
        elif topic.kind is TopicKind.LOG and topic.id in self.details:
            snapshot = LogSnapshot(lines=tuple(self.logs.get(topic.id, ())), seq=seq)
        if snapshot is None:
            if not self.store.is_expected(topic):
                self.store.absent(topic)
            return
        self._open.add(topic)
        self.store.open(topic)
        self.store.apply(topic, EventName.SNAPSHOT, snapshot, seq, self._database)
        self.store.set_freshness(topic, self.freshness)
