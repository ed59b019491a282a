"""What can happen to the questions that agents ask in a task: a part of a `TaskChange`."""

from collections.abc import Callable, Collection

import msgspec

from backend_stub.task.rows import TaskRows
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import HistoryKind
from foundry_tui.contract.replace import replace
from foundry_tui.contract.transcript import PermissionBody, TranscriptKind


class QuestionChange:
    """`mark_unread` marks the task as one that a person has to see."""

    def __init__(self, rows: TaskRows, mark_unread: Callable[[bool], None]) -> None:
        self._rows = rows
        self._mark_unread = mark_unread

    def open(self, question: Permission, item_id: str) -> None:
        """The agent asks what only a person can answer, or a rule has (`answered_by`), which is to be written next.

        It stands in the transcript as this item.
        """
        self._rows.put_questions((*self._rows.task.permissions, question))
        if question.answered_by is None:
            self._mark_unread(True)
        self._rows.record(
            HistoryKind.PERMISSION_OPENED,
            permission_id=question.permission_id,
            session_id=question.session_id,
            title=question.title,
        )
        asked = {name: getattr(question, name) for name in PermissionBody.__struct_fields__}
        body = msgspec.to_builtins(PermissionBody(**asked))
        self._rows.say(question.session_id, item_id, TranscriptKind.PERMISSION, body)

    def answer(self, permission_id: str, option_id: str) -> None:
        """A person chose this option, or the rule did that the question names."""
        self._end({permission_id}, PermissionState.ANSWERED, option_id)
        held = self._rows.question(permission_id)
        ruled = {} if held is None or held.answered_by is None else {"answered_by": held.answered_by}
        self._rows.record(HistoryKind.PERMISSION_ANSWERED, permission_id=permission_id, option_id=option_id, **ruled)

    def cancel(self, session_id: str | None = None) -> None:
        """Nobody waits any more for an answer to what is open, in one session or in all."""
        ended = [
            each.permission_id
            for each in self._rows.task.permissions
            if each.state is PermissionState.OPEN and session_id in (None, each.session_id)
        ]
        if ended:
            self._end(ended, PermissionState.CANCELLED)
        for permission_id in ended:
            self._rows.record(HistoryKind.PERMISSION_CANCELLED, permission_id=permission_id)

    def _end(self, ids: Collection[str], state: PermissionState, answer: str | None = None) -> None:
        """What was to be judged stays in the transcript alone."""
        self._rows.put_questions(
            [
                replace(each, state=state, answer=answer, text=None, edits=()) if each.permission_id in ids else each
                for each in self._rows.task.permissions
            ]
        )
