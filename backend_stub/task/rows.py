"""The rows of one task as a change would leave them: every move is checked where it is written, and all is sealed into
one commit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from backend_stub.domain.storage import Change, ItemKey, LeftoverRow, Private, SessionOffer, TaskState
from backend_stub.task.activity import STILL, Pace, Said, asks_of, heard, paced, question_of, tell
from foundry_tui.contract.activity import ActivityKind
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.moves import check_move
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import (
    UNDER_WAY,
    HistoryKind,
    LogLine,
    Operation,
    Prompt,
    PromptState,
    SessionState,
    SessionStatus,
    SessionSummary,
    StageProgress,
    StageRecord,
    StageState,
    TaskDetail,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import STAGE_OF_STATUS, StageName, TaskStatus
from foundry_tui.contract.task_words import waits_for_host
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind

MAX_LINES = 5_000
"""Stage log lines kept of a task; the oldest go first."""
MAX_LINE = 4_000
"""Characters kept of a stage log line."""
KEPT_OPERATIONS = 20
"""Operations that stand in a task's record; all are kept."""
KEPT_PERMISSIONS = 50
"""Questions that have ended and are kept in a task's record: of all its sessions, and of each whose turn goes on."""


class TaskRows:
    """Begins with the rows as they were read. Each `put_…` takes a record as it is from now on.

    It raises `IllegalMoveError` when the record cannot go from the state it had to the one it has.
    """

    def __init__(
        self,
        state: TaskState,
        now: int,
        item_keys: Mapping[str, Mapping[str, ItemKey]],
        sent: Mapping[str, int] | None = None,
        pace: Pace = STILL,
    ) -> None:
        """`sent` says when the agent of a session sent something last, by session_id, as far as that is known."""
        self.now = now
        self.pace = pace
        """How fast the task's line may say something new, and what it owes."""
        self.private: Private = state.private
        self.hold_branch: str | None = None
        self.free_branch = False
        self.leftover: LeftoverRow | None = None
        self.leftover_gone = False
        self.new_keys: dict[str, dict[str, ItemKey]] = {}
        """What must be known to go on with the transcript items that were said, by session_id and item_id."""
        self._before = state
        self._task = state.task
        self._said = Said()
        """What this change has to say for the task's line."""
        self._turn_ended = False
        self._sessions: dict[str, SessionSummary] = {}
        """The task's sessions by id; empty until one of them is asked for."""
        self._sessions_differ = False
        """Whether the task's record lacks what changed in its sessions: it is made anew once, however many did."""
        self._prompts: dict[str, tuple[Prompt, ...]] = dict(state.prompts)
        self._offers: dict[str, SessionOffer] = dict(state.offers)
        self._keys = item_keys
        self._heard = sent or {}
        self._added: Counter[str] = Counter()
        """How many transcript items are new, by session_id."""
        self._log_count = state.log_count
        self._has_news = False
        """Whether something happened to the task so far that raises its `updated_at`."""
        self._changed_sessions: dict[str, bool] = {}
        """Which have changed, and whether by something that raises their `updated_at`."""
        self._changed_prompts: dict[str, Prompt] = {}
        self.attachments: dict[str, NewAttachments] = {}
        """Those of new prompts, by prompt_id."""
        self.handed_on: dict[str, str] = {}
        """The prompts whose attachments new ones take over, by the prompt_id of these."""
        self._new_questions: list[Permission] = []
        self._before_operations = {each.operation_id: each for each in state.task.operations}
        self._changed_operations: dict[str, Operation] = {}
        self._items: dict[tuple[str, str], TranscriptItem] = {}
        self._history: list[tuple[HistoryKind, dict[str, object]]] = []
        self._lines: list[LogLine] = []

    # What they say

    @property
    def task(self) -> TaskDetail:
        if self._sessions_differ:
            self._task = replace(self._task, sessions=tuple(self._sessions.values()))
            self._sessions_differ = False
        return self._task

    @property
    def status(self) -> TaskStatus:
        return self._task.status

    def stage(self, name: StageName) -> StageRecord:
        return next(stage for stage in self._task.stages if stage.name is name)

    def is_prepared(self) -> bool:
        """Whether every stage of provisioning is done."""
        return all(stage.state is StageState.DONE for stage in self._task.stages)

    def session(self, session_id: str) -> SessionSummary:
        """Raises `KeyError` when the task has no such session."""
        return self._by_id[session_id]

    def prompts(self, session_id: str) -> Sequence[Prompt]:
        """The session's prompts, oldest first."""
        return self._prompts.get(session_id, ())

    def prompt(self, session_id: str, prompt_id: str) -> Prompt | None:
        held = self.prompts(session_id)
        place = _last_place(held, prompt_id)
        return None if place is None else held[place]

    def delivering(self, session_id: str) -> Prompt | None:
        """The prompt of this session that waits, and that the agent may have already."""
        marked = self.private.delivering
        return next((each for each in self.prompts(session_id) if each.prompt_id in marked), None) if marked else None

    def offer(self, session_id: str) -> SessionOffer:
        """What the agent of a session offers, as far as it has told."""
        return self._offers.get(session_id, SessionOffer())

    def silent_since(self, session_id: str) -> int | None:
        """Since when the agent has sent nothing in the turn in progress; None when there is none."""
        if self.session(session_id).status is not SessionStatus.RUNNING:
            return None
        return max(self.offer(session_id).turn_silent_since or 0, self._heard.get(session_id, 0)) or self.now

    def question(self, permission_id: str) -> Permission | None:
        return next((each for each in self._task.permissions if each.permission_id == permission_id), None)

    # What they are to say

    def put_task(self, task: TaskDetail, *, news: bool = True) -> None:
        """With `news` something has happened to it, and its `updated_at` is raised; being read, for one, is no news."""
        check_move(self._task.status, task.status)
        self._has_news = self._has_news or news
        self._task = task

    def put_stage(self, stage: StageRecord) -> None:
        check_move(self.stage(stage.name).state, stage.state)
        stages = tuple(stage if each.name is stage.name else each for each in self._task.stages)
        self.put_task(replace(self._task, stages=stages))

    def put_session(self, session: SessionSummary, *, news: bool = True) -> None:
        """Also a new one; `news` as with the task: something happened in it."""
        held = self._by_id.get(session.session_id)
        if held is not None:
            check_move(held.status, session.status)
        self._by_id[session.session_id] = session
        self._sessions_differ = True
        self._note_session(session.session_id, news=news)

    def put_offer(self, session_id: str, offer: SessionOffer) -> None:
        """What the agent of a session offers."""
        self._offers[session_id] = offer
        self._note_session(session_id)

    def put_silence(self, session_id: str) -> None:
        """Have the session's record say since when its agent is silent, as it is now."""
        self._note_session(session_id, news=False)

    def put_prompt(self, prompt: Prompt) -> None:
        """Also a new one, at the end of its session's."""
        held = self.prompts(prompt.session_id)
        place = _last_place(held, prompt.prompt_id)
        if place is None:
            place = len(held)
        else:
            check_move(held[place].state, prompt.state)
        self._prompts[prompt.session_id] = (*held[:place], prompt, *held[place + 1 :])
        self._changed_prompts[prompt.prompt_id] = prompt
        self._note_session(prompt.session_id)
        if prompt.state is not PromptState.QUEUED:
            self._forget_waiting(prompt.prompt_id)

    def put_questions(self, questions: Sequence[Permission]) -> None:
        """All questions of the task, new ones at their end."""
        held = {each.permission_id: each for each in self._task.permissions}
        for each in questions:
            if each.permission_id in held:
                check_move(held[each.permission_id].state, each.state)
            else:
                self._new_questions.append(each)
        self.put_task(replace(self._task, permissions=tuple(questions)))

    def put_operation(self, operation: Operation) -> None:
        """Also a new one. The last `KEPT_OPERATIONS` stand in the task, and the one under way in its summary."""
        held = {each.operation_id: each for each in self._task.operations}
        if (before := held.get(operation.operation_id)) is not None:
            check_move(before.state, operation.state)
        committed = self._before_operations.get(operation.operation_id)
        operation = replace(operation, revision=1 if committed is None else committed.revision + 1)
        held[operation.operation_id] = operation
        self._changed_operations[operation.operation_id] = operation
        self.put_task(
            replace(
                self._task,
                operations=tuple(held.values())[-KEPT_OPERATIONS:],
                operation=operation if operation.state in UNDER_WAY else None,
            )
        )

    def tell(self, kind: ActivityKind, text: str) -> None:
        """The task's line says this, as soon as its pace allows."""
        self._said = tell(self._said, kind, text, self.now)

    def tell_end(self) -> None:
        """A turn has ended: what is owed is said now."""
        self._turn_ended = True

    def fall_silent(self) -> None:
        """What the task's line said is over, and so is a plan that was done."""
        self._said, self.pace = Said(), Pace(self.pace.recent)
        plan = self._task.plan
        plan = None if plan is not None and plan.done >= plan.total else plan
        if self._task.activity is not None or plan is not self._task.plan:
            self.put_task(replace(self._task, activity=None, plan=plan))

    def record(self, event: HistoryKind, /, **payload: object) -> None:
        """Leave a history event; what is None is left out of its payload."""
        self._has_news = True
        self._history.append((event, {name: value for name, value in payload.items() if value is not None}))

    def say(self, session_id: str, item_id: str, kind: TranscriptKind, body: str | dict[str, Any]) -> None:
        """Add a transcript item, or replace the body of the one of this id."""
        self._has_news = True
        keys = self._keys[session_id]
        new = self.new_keys.setdefault(session_id, {})
        known = new.get(item_id) or keys.get(item_id)
        index = known.index if known else len(keys) + self._added[session_id]
        self._added[session_id] += known is None
        self._said = heard(self._said, kind, body, self.now, new=known is None)
        pending = self._items.get((session_id, item_id))
        revision = pending.revision if pending else (known.revision + 1 if known else 1)
        new[item_id] = ItemKey(index, revision)
        self._items[session_id, item_id] = TranscriptItem(
            item_id=item_id,
            session_id=session_id,
            index=index,
            kind=kind,
            body=body,
            at=self.now,
            revision=revision,
        )

    def log(self, stage: str, text: str, at: int) -> None:
        """Add a line to the stage log."""
        self._lines.append(LogLine(index=self._log_count, stage=stage, at=at, text=text[:MAX_LINE]))
        self._log_count += 1

    def seal(self) -> tuple[Change, TaskState] | None:
        """The commit and the state after it; None when there is nothing to write."""
        for session_id, news in self._changed_sessions.items():
            session = self.session(session_id)
            at = self.now if news and session.revision else session.updated_at
            self._sessions[session_id] = replace(session, revision=session.revision + 1, updated_at=at)
            self._sessions_differ = True
        self._say_what_is_due()
        changed = self.task is not self._before.task
        if changed:
            self._derive()
        if not (changed or self._history or self._items or self._lines or self.private is not self._before.private):
            return None
        change = Change(
            at=self.now,
            expected=self._before.version,
            task=self.task,
            private=self.private,
            history=self._history,
            sessions=[self._session_state(session_id) for session_id in sorted(self._changed_sessions)],
            prompts=list(self._changed_prompts.values()),
            attachments=self.attachments,
            handed_on=self.handed_on,
            items=sorted(self._items.values(), key=lambda item: item.index),
            permissions=self._new_questions,
            operations=list(self._changed_operations.values()),
            lines=self._lines,
            drop_lines_below=max(0, self._log_count - MAX_LINES) if self._lines else 0,
            moved=self.task.host != self._before.task.host,
            hold_branch=self.hold_branch,
            free_branch=self.free_branch,
            leftover=self.leftover,
            leftover_gone=self.leftover_gone,
        )
        version = self._before.version + 1
        return change, TaskState(self.task, self.private, self._prompts, self._log_count, version, self._offers)

    def _say_what_is_due(self) -> None:
        """Put into the task's record what it says now, unless nothing happened to it."""
        task = self._task
        if not self._has_news and (task is not self._before.task or not self.pace.due):
            return
        # While its host is away, that is what there is to say also of one that asks: its question stands beside it.
        asked = None if waits_for_host(task) else question_of(task.permissions)
        shown = Said(task.activity, task.plan)
        said, self.pace = paced(self.pace, shown, self._said, asked, self.now, turn_ended=self._turn_ended)
        if said != shown:
            # What it is about has changed the task already; to say it later is no change.
            self.put_task(replace(task, activity=said.activity, plan=said.plan), news=False)

    def _derive(self) -> None:
        """Fill in what follows from the rest, and raise the revision."""
        task = self.task
        stage_name = STAGE_OF_STATUS.get(task.status)
        at_work = next(
            (each for each in task.stages if each.name is stage_name and each.state is StageState.RUNNING), None
        )
        self._task = replace(
            task,
            stage=None
            if at_work is None
            else StageProgress(
                name=at_work.name,
                attempt=at_work.attempt,
                max_attempts=at_work.max_attempts,
                started_at=at_work.started_at,
                detail=at_work.detail,
            ),
            stages_done=sum(stage.state is StageState.DONE for stage in task.stages),
            needs_input=sum(each.state is PermissionState.OPEN for each in task.permissions),
            asks=asks_of(task.permissions),
            permissions=_kept(task),
            updated_at=self.now if self._has_news else task.updated_at,
            revision=self._before.task.revision + 1,
        )

    def _session_state(self, session_id: str) -> SessionState:
        session = self.session(session_id)
        fields = {name: getattr(session, name) for name in SessionSummary.__struct_fields__}
        offer = self._offers[session_id] = replace(
            self.offer(session_id), turn_silent_since=self.silent_since(session_id)
        )
        return SessionState(
            **fields,
            prompts=tuple(self.prompts(session_id)),
            options=offer.options,
            commands=offer.commands,
            accepts=offer.accepts,
            turn_silent_since=offer.turn_silent_since,
        )

    @property
    def _by_id(self) -> dict[str, SessionSummary]:
        if not self._sessions:
            self._sessions = {session.session_id: session for session in self._task.sessions}
        return self._sessions

    def _forget_waiting(self, prompt_id: str) -> None:
        """The prompt waits no more: it goes before no others, and is not being handed over."""
        first, delivering = self.private.go_first, self.private.delivering
        if prompt_id in (*first, *delivering):
            self.private = replace(
                self.private,
                go_first=tuple(each for each in first if each != prompt_id),
                delivering=tuple(each for each in delivering if each != prompt_id),
            )

    def _note_session(self, session_id: str, *, news: bool = True) -> None:
        """The session, or one of its prompts, has changed."""
        self._changed_sessions[session_id] = self._changed_sessions.get(session_id, False) or news
        self._has_news = self._has_news or news


def _last_place(prompts: Sequence[Prompt], prompt_id: str) -> int | None:
    """Where the prompt is, searched from the end: it is mostly one of the last of very many."""
    places = range(len(prompts) - 1, -1, -1)
    return next((place for place in places if prompts[place].prompt_id == prompt_id), None)


def _kept(task: TaskDetail) -> tuple[Permission, ...]:
    """Those that are open, and those that ended last; in a session with a turn in progress its own last ones too, since
    that turn asks for its answers again after a restart, however many other sessions had since.
    """
    if len(task.permissions) <= KEPT_PERMISSIONS:
        return task.permissions
    running = {session.session_id for session in task.sessions if session.status is SessionStatus.RUNNING}
    ended, own = 0, Counter[str]()
    kept = []
    for each in reversed(task.permissions):
        if each.state is not PermissionState.OPEN:
            ended += 1
            own[each.session_id] += 1
            last = own[each.session_id] if each.session_id in running else ended
            if last > KEPT_PERMISSIONS:
                continue
        kept.append(each)
    return tuple(reversed(kept))


def running_sessions(task: TaskDetail) -> int:
    """How many of the task's sessions have a turn in progress."""
    return sum(session.status is SessionStatus.RUNNING for session in task.sessions)
