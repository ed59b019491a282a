"""What can happen to the questions that agents ask in a task: a part of a `TaskChange`."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from backend_stub.task.rows import TaskRows
from foundry_tui.contract.questions import AnswerAction, FieldValue, Permission, PermissionState, QuestionKind
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
            kind=None if question.kind is QuestionKind.PERMISSION else question.kind,
        )
        self._rows.say(question.session_id, item_id, TranscriptKind.PERMISSION, _body(question))
        if question.kind is not QuestionKind.PERMISSION:
            self._keep(form_items={**self._rows.private.form_items, question.permission_id: item_id})

    def answer(self, permission_id: str, option_id: str) -> None:
        """A person chose this option, or the rule did that the question names."""
        self._end({permission_id}, PermissionState.ANSWERED, option_id)
        held = self._rows.question(permission_id)
        ruled = {} if held is None or held.answered_by is None else {"answered_by": held.answered_by}
        self._rows.record(HistoryKind.PERMISSION_ANSWERED, permission_id=permission_id, option_id=option_id, **ruled)

    def reply(
        self, question: Permission, action: AnswerAction, content: Mapping[str, FieldValue] | None = None, by: str = ""
    ) -> None:
        """A person answered a form or a page; the answer is put into the transcript, at the question.

        `by` names who it was if it was nobody here.
        """
        permission_id, filled = question.permission_id, None if content is None else dict(content)
        item_id = self._rows.private.form_items.get(permission_id)
        self._end({permission_id}, PermissionState.ANSWERED, str(action))
        if filled is not None:
            self._keep(form_answers={**self._rows.private.form_answers, permission_id: filled})
        self._rows.record(
            HistoryKind.PERMISSION_ANSWERED,
            permission_id=permission_id,
            action=str(action),
            kind=question.kind,
            by=by or None,
        )
        if item_id is not None:
            body = _body(question) | {"answer": str(action), "content": msgspec.to_builtins(filled)}
            self._rows.say(question.session_id, item_id, TranscriptKind.PERMISSION, body)

    def cancel(self, session_id: str | None = None) -> None:
        """Nobody waits any more for an answer to what is open, in one session or in all."""
        ended = [
            each.permission_id
            for each in self._rows.task.permissions
            if each.state is PermissionState.OPEN and session_id in (None, each.session_id)
        ]
        if ended:
            self._end(ended, PermissionState.CANCELLED)
        answers = self._rows.private.form_answers
        over = {
            each.permission_id
            for each in self._rows.task.permissions
            if each.permission_id in answers and session_id in (None, each.session_id)
        }
        if over:
            # The turn that asked is over, so that the agent has its answers.
            self._keep(form_answers={key: content for key, content in answers.items() if key not in over})
        for permission_id in ended:
            self._rows.record(HistoryKind.PERMISSION_CANCELLED, permission_id=permission_id)

    def _end(self, ids: Collection[str], state: PermissionState, answer: str | None = None) -> None:
        """What was to be judged stays in the transcript alone."""
        ended: dict[str, Any] = {"state": state, "answer": answer, "text": None, "edits": (), "fields": ()}
        self._rows.put_questions(
            [replace(each, **ended) if each.permission_id in ids else each for each in self._rows.task.permissions]
        )
        items = self._rows.private.form_items
        if any(permission_id in items for permission_id in ids):
            self._keep(form_items={key: item for key, item in items.items() if key not in ids})

    def _keep(self, **changed: Any) -> None:
        """Keep what only the backend knows of forms."""
        self._rows.private = replace(self._rows.private, **changed)


def _body(question: Permission) -> dict[str, Any]:
    """What the transcript says of it."""
    told = {name: getattr(question, name) for name in PermissionBody.__struct_fields__ if hasattr(question, name)}
    body: dict[str, Any] = msgspec.to_builtins(PermissionBody(**told))
    return body
