"""A change of one task in the making: pure, checked against the state machine, sealed into one commit."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from backend_stub.domain.storage import Change, ItemKey, LeftoverRow, Private, TaskState
from foundry_tui.contract.records import (
    HistoryKind,
    LogLine,
    Permission,
    PermissionBody,
    PermissionState,
    Prompt,
    PromptState,
    SessionState,
    SessionStatus,
    SessionSummary,
    StageProgress,
    StageRecord,
    StageState,
    TaskDetail,
    TaskError,
    TranscriptItem,
    TranscriptKind,
)
from foundry_tui.contract.status import STAGE_OF_STATUS, StageName, TaskStatus, check_move

MAX_LINES = 5_000
"""Stage log lines kept of a task; the oldest go first."""
MAX_LINE = 4_000
"""Characters kept of a stage log line."""
KEPT_PERMISSIONS = 50
"""Permissions of one session that have ended and are kept in a task's record."""
_MARKS = {"unread"}
"""The fields that are marks of reading."""


class TaskChange:
    """The task as a change would leave it. `seal` gives the commit, or None when nothing was changed."""

    def __init__(
        self,
        state: TaskState,
        now: int,
        new_id: Callable[[], str],
        item_keys: Mapping[str, Mapping[str, ItemKey]] | None = None,
    ) -> None:
        self.now = now
        self.new_id = new_id
        self.private: Private = state.private
        self.prompts: dict[str, tuple[Prompt, ...]] = dict(state.prompts)
        self.hold_branch: str | None = None
        self.free_branch = False
        self.leftover: LeftoverRow | None = None
        self.leftover_gone = False
        self.new_keys: dict[str, dict[str, ItemKey]] = {}
        self._before = state
        self._task = state.task
        self._held: dict[str, SessionSummary] = {}
        """The task's sessions by id; empty until one of them is asked for. While they are `_ahead`, the task's record
        does not have what has changed in them: it is made once, however many do."""
        self._ahead = False
        self._marks_only = True
        """Whether nothing but marks of reading has changed so far."""
        self._keys = item_keys or {}
        self._log_count = state.log_count
        self._history: list[tuple[HistoryKind, dict[str, object]]] = []
        self._sessions: dict[str, bool] = {}
        """Which have changed, and whether by nothing but a mark of reading."""
        self._prompts: dict[str, Prompt] = {}
        self._items: dict[tuple[str, str], TranscriptItem] = {}
        self._added: Counter[str] = Counter()
        self._permissions: list[Permission] = []
        self._lines: list[LogLine] = []

    @property
    def task(self) -> TaskDetail:
        if self._ahead:
            self._task = replace(self._task, sessions=tuple(self._held.values()))
            self._ahead = False
        return self._task

    @property
    def status(self) -> TaskStatus:
        return self._task.status

    def set(self, **fields: Any) -> None:
        """Change fields of the task's record."""
        self._marks_only = self._marks_only and fields.keys() <= _MARKS
        self._task = replace(self._task, **fields)

    def set_private(self, **fields: Any) -> None:
        self.private = replace(self.private, **fields)

    def record(self, event: HistoryKind, /, **payload: object) -> None:
        """Leave a history event; what is None is left out of its payload."""
        self._marks_only = False
        self._history.append((event, {name: value for name, value in payload.items() if value is not None}))

    def move(self, status: TaskStatus) -> None:
        """Go to a status; raises `IllegalMoveError`."""
        check_move(self.status, status)
        if status is not self.status:
            self.set(status=status, status_since=self.now)

    def stage(self, name: StageName) -> StageRecord:
        return next(stage for stage in self.task.stages if stage.name is name)

    def set_stage(self, name: StageName, **fields: Any) -> None:
        self.set(stages=tuple(replace(stage, **fields) if stage.name is name else stage for stage in self.task.stages))

    def session(self, session_id: str) -> SessionSummary:
        """Raises `KeyError` when the task has no such session."""
        return self._by_id[session_id]

    def add_session(self, session: SessionSummary) -> None:
        self._by_id[session.session_id] = session
        self._ahead = True
        self._changed(session.session_id)

    def set_session(self, session_id: str, **fields: Any) -> None:
        """Change fields of a session; raises `KeyError`."""
        self._by_id[session_id] = replace(self._by_id[session_id], **fields)
        self._ahead = True
        self._changed(session_id, marks_only=fields.keys() <= _MARKS)

    @property
    def _by_id(self) -> dict[str, SessionSummary]:
        if not self._held:
            self._held = {session.session_id: session for session in self._task.sessions}
        return self._held

    def _changed(self, session_id: str, *, marks_only: bool = False) -> None:
        """Note a change of a session or of its prompts."""
        self._sessions[session_id] = self._sessions.get(session_id, True) and marks_only
        self._marks_only = self._marks_only and marks_only

    def prompt(self, session_id: str, prompt_id: str) -> Prompt | None:
        held = self.prompts.get(session_id, ())
        place = _last_place(held, prompt_id)
        return None if place is None else held[place]

    def put_prompt(self, prompt: Prompt) -> None:
        """Add a prompt at the end of its session's, or replace the one of its id.

        One that waits no more does not go before others any more either.
        """
        held = self.prompts.get(prompt.session_id, ())
        place = _last_place(held, prompt.prompt_id)
        if place is None:
            place = len(held)
        self.prompts[prompt.session_id] = (*held[:place], prompt, *held[place + 1 :])
        self._prompts[prompt.prompt_id] = prompt
        self._changed(prompt.session_id)
        if prompt.state is not PromptState.QUEUED and prompt.prompt_id in self.private.resent:
            self.set_private(resent=tuple(each for each in self.private.resent if each != prompt.prompt_id))

    def fail_prompts(self, session_id: str, states: frozenset[PromptState], error: TaskError) -> None:
        """Mark the session's prompts that are in one of these states as failed."""
        for prompt in self.prompts.get(session_id, ()):
            if prompt.state in states:
                self.fail_prompt(prompt, error)

    def fail_prompt(self, prompt: Prompt, error: TaskError) -> None:
        self.put_prompt(replace(prompt, state=PromptState.FAILED, error=error))
        self.record(
            HistoryKind.PROMPT_FAILED,
            session_id=prompt.session_id,
            prompt_id=prompt.prompt_id,
            message=error.message,
        )

    def say(self, session_id: str, item_id: str, kind: TranscriptKind, body: str | dict[str, Any]) -> None:
        """Add a transcript item, or replace the body of the one of this id."""
        self._marks_only = False
        keys = self._keys[session_id]
        new = self.new_keys.setdefault(session_id, {})
        known = new.get(item_id) or keys.get(item_id)
        index = known.index if known else len(keys) + self._added[session_id]
        self._added[session_id] += known is None
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

    def open_permission(self, permission: Permission, item_id: str) -> None:
        self.set(permissions=(*self.task.permissions, permission), unread=True)
        self._permissions.append(permission)
        self.record(
            HistoryKind.PERMISSION_OPENED,
            permission_id=permission.permission_id,
            session_id=permission.session_id,
            title=permission.title,
        )
        asked = {name: getattr(permission, name) for name in PermissionBody.__struct_fields__}
        body = msgspec.to_builtins(PermissionBody(**asked))
        self.say(permission.session_id, item_id, TranscriptKind.PERMISSION, body)

    def answer_permission(self, permission_id: str, option_id: str) -> None:
        self._end_permissions({permission_id}, state=PermissionState.ANSWERED, answer=option_id)
        self.record(HistoryKind.PERMISSION_ANSWERED, permission_id=permission_id, option_id=option_id)

    def cancel_permissions(self, session_id: str | None = None) -> None:
        """Cancel what is open, of one session or of all."""
        ended = [
            each.permission_id
            for each in self.task.permissions
            if each.state is PermissionState.OPEN and session_id in (None, each.session_id)
        ]
        if ended:
            self._end_permissions(set(ended), state=PermissionState.CANCELLED)
        for permission_id in ended:
            self.record(HistoryKind.PERMISSION_CANCELLED, permission_id=permission_id)

    def _end_permissions(self, permission_ids: Collection[str], **fields: Any) -> None:
        """Permissions end here: what was to be judged stays in the transcript alone."""
        self.set(
            permissions=tuple(
                replace(each, text=None, edits=(), **fields) if each.permission_id in permission_ids else each
                for each in self.task.permissions
            )
        )

    def log(self, stage: str, text: str, at: int) -> None:
        """Add a line to the stage log."""
        line = LogLine(index=self._log_count, stage=stage, at=at, text=text[:MAX_LINE])
        self._lines.append(line)
        self._log_count += 1

    def seal(self) -> tuple[Change, TaskState] | None:
        """The commit and the state after it; None when there is nothing to write."""
        for session_id, marks_only in self._sessions.items():
            session = self.session(session_id)
            as_it_was = session.revision == 0 or marks_only
            self._held[session_id] = replace(
                session, revision=session.revision + 1, updated_at=session.updated_at if as_it_was else self.now
            )
            self._ahead = True
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
            sessions=[self._session_state(session_id) for session_id in sorted(self._sessions)],
            prompts=list(self._prompts.values()),
            items=sorted(self._items.values(), key=lambda item: item.index),
            permissions=self._permissions,
            lines=self._lines,
            drop_lines_below=max(0, self._log_count - MAX_LINES) if self._lines else 0,
            hold_branch=self.hold_branch,
            free_branch=self.free_branch,
            leftover=self.leftover,
            leftover_gone=self.leftover_gone,
        )
        return change, TaskState(self.task, self.private, self.prompts, self._log_count, self._before.version + 1)

    def _derive(self) -> None:
        """Fill in what follows from the rest, and raise the revision."""
        task = self.task
        stage_name = STAGE_OF_STATUS.get(task.status)
        at_work = next(
            (each for each in task.stages if each.name is stage_name and each.state is StageState.RUNNING), None
        )
        open_requests = [each for each in task.permissions if each.state is PermissionState.OPEN]
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
            needs_input=len(open_requests),
            permissions=_kept(task.permissions),
            updated_at=task.updated_at if self._marks_only else self.now,
            revision=self._before.task.revision + 1,
        )

    def _session_state(self, session_id: str) -> SessionState:
        session = self.session(session_id)
        fields = {name: getattr(session, name) for name in SessionSummary.__struct_fields__}
        return SessionState(**fields, prompts=self.prompts.get(session_id, ()))


def _last_place(prompts: Sequence[Prompt], prompt_id: str) -> int | None:
    """Where the prompt is, looked for from the end: it is mostly one of the last of very many."""
    places = range(len(prompts) - 1, -1, -1)
    return next((place for place in places if prompts[place].prompt_id == prompt_id), None)


def _kept(permissions: Sequence[Permission]) -> tuple[Permission, ...]:
    """Those that are open, and of each session those that ended last: what one asks takes no answer from another's
    turn.
    """
    if len(permissions) <= KEPT_PERMISSIONS:
        return tuple(permissions)
    ended: Counter[str] = Counter()
    kept = []
    for each in reversed(permissions):
        if each.state is not PermissionState.OPEN:
            ended[each.session_id] += 1
        if each.state is PermissionState.OPEN or ended[each.session_id] <= KEPT_PERMISSIONS:
            kept.append(each)
    return tuple(reversed(kept))


def running_sessions(task: TaskDetail) -> int:
    """How many of the task's sessions have a turn in progress."""
    return sum(session.status is SessionStatus.RUNNING for session in task.sessions)
