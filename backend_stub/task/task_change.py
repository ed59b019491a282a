"""A change of one task in the making: pure, checked against the state machine, sealed into one commit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
"""Permissions of one session kept in a task's record; open ones are always kept."""


class Draft:
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
        self.task: TaskDetail = state.task
        self.private: Private = state.private
        self.prompts: dict[str, tuple[Prompt, ...]] = dict(state.prompts)
        self.hold_branch: str | None = None
        self.free_branch = False
        self.leftover: LeftoverRow | None = None
        self.leftover_gone = False
        self.new_keys: dict[str, dict[str, ItemKey]] = {}
        self._before = state
        self._keys = item_keys or {}
        self._log_count = state.log_count
        self._history: list[tuple[HistoryKind, dict[str, object]]] = []
        self._sessions: set[str] = set()
        self._prompts: dict[str, Prompt] = {}
        self._items: dict[tuple[str, str], TranscriptItem] = {}
        self._added: Counter[str] = Counter()
        self._permissions: list[Permission] = []
        self._lines: list[LogLine] = []

    @property
    def status(self) -> TaskStatus:
        return self.task.status

    def set(self, **fields: Any) -> None:
        """Change fields of the task's record."""
        self.task = replace(self.task, **fields)

    def set_private(self, **fields: Any) -> None:
        self.private = replace(self.private, **fields)

    def record(self, event: HistoryKind, /, **payload: object) -> None:
        """Leave a history event; what is None is left out of its payload."""
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
        for session in self.task.sessions:
            if session.session_id == session_id:
                return session
        raise KeyError(session_id)

    def add_session(self, session: SessionSummary) -> None:
        self.set(sessions=(*self.task.sessions, session))
        self._sessions.add(session.session_id)

    def set_session(self, session_id: str, **fields: Any) -> None:
        self._sessions.add(session_id)
        if fields:
            self.set(
                sessions=tuple(
                    replace(session, **fields) if session.session_id == session_id else session
                    for session in self.task.sessions
                )
            )

    def prompt(self, session_id: str, prompt_id: str) -> Prompt | None:
        held = self.prompts.get(session_id, ())
        place = _last_place(held, prompt_id)
        return None if place is None else held[place]

    def put_prompt(self, prompt: Prompt) -> None:
        """Add a prompt at the end of its session's, or replace the one of its id."""
        held = self.prompts.get(prompt.session_id, ())
        place = _last_place(held, prompt.prompt_id)
        if place is None:
            place = len(held)
        self.prompts[prompt.session_id] = (*held[:place], prompt, *held[place + 1 :])
        self._prompts[prompt.prompt_id] = prompt
        self._sessions.add(prompt.session_id)

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
        self._end_permission(permission_id, state=PermissionState.ANSWERED, answer=option_id)
        self.record(HistoryKind.PERMISSION_ANSWERED, permission_id=permission_id, option_id=option_id)

    def cancel_permissions(self, session_id: str | None = None) -> None:
        """Cancel what is open, of one session or of all."""
        for permission in self.task.permissions:
            if permission.state is PermissionState.OPEN and session_id in (None, permission.session_id):
                self._end_permission(permission.permission_id, state=PermissionState.CANCELLED)
                self.record(HistoryKind.PERMISSION_CANCELLED, permission_id=permission.permission_id)

    def _end_permission(self, permission_id: str, **fields: Any) -> None:
        """Permissions end here: what was to be judged stays in the transcript alone."""
        self.set(
            permissions=tuple(
                replace(each, text=None, edits=(), **fields) if each.permission_id == permission_id else each
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
        for session_id in self._sessions:
            session = self.session(session_id)
            new = session.revision == 0
            self.set_session(
                session_id,
                revision=session.revision + 1,
                updated_at=session.updated_at if new else self.now,
            )
        changed = self.task is not self._before.task
        if changed:
            self._derive()
        if not (changed or self._history or self._items or self._lines or self.private is not self._before.private):
            return None
        change = Change(
            at=self.now,
            expected=self._before.task.revision,
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
        return change, TaskState(self.task, self.private, self.prompts, self._log_count)

    def _derive(self) -> None:
        """Fill in what follows from the rest, and raise the revision."""
        task = self.task
        stage_name = STAGE_OF_STATUS.get(task.status)
        at_work = next(
            (each for each in task.stages if each.name is stage_name and each.state is StageState.RUNNING), None
        )
        open_requests = [each for each in task.permissions if each.state is PermissionState.OPEN]
        self.task = replace(
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
            updated_at=self.now,
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
    """Those that are open, and the last of each session: what one asks takes no answer from another's turn."""
    if len(permissions) <= KEPT_PERMISSIONS:
        return tuple(permissions)
    later: Counter[str] = Counter()
    kept = []
    for each in reversed(permissions):
        later[each.session_id] += 1
        if later[each.session_id] <= KEPT_PERMISSIONS or each.state is PermissionState.OPEN:
            kept.append(each)
    return tuple(reversed(kept))


def running_sessions(task: TaskDetail) -> int:
    """How many of the task's sessions have a turn in progress."""
    return sum(session.status is SessionStatus.RUNNING for session in task.sessions)
