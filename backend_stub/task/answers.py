"""What a person may answer to a question, judged by what it asks."""

from collections.abc import Mapping
from typing import Any

from backend_stub.domain.errors import wrong_values
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract import forms
from foundry_tui.contract.questions import (
    AnswerAction,
    FieldType,
    FieldValue,
    Permission,
    PermissionState,
    QuestionKind,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import AnswerPermission


def answer_question(draft: TaskChange, held: Permission, request: AnswerPermission) -> Permission:
    """End the open question as asked; raises `RefusedError` (422), naming a field, when the answer does not fit it."""
    if (request.option_id is None) == (request.action is None):
        raise wrong_values(("option_id", "Give an option_id or an action."))
    if held.kind is QuestionKind.PERMISSION:
        return _choose(draft, held, request)
    if request.action is None:
        actions = ", ".join(AnswerAction)
        raise wrong_values(("option_id", f"A {held.kind} is answered with an action: {actions}."))
    content = _content(held, request.content or {}) if request.action is AnswerAction.ACCEPT else None
    draft.questions.reply(held, request.action, content)
    return replace(held, state=PermissionState.ANSWERED, answer=str(request.action))


def _choose(draft: TaskChange, held: Permission, request: AnswerPermission) -> Permission:
    options = ", ".join(option.option_id for option in held.options)
    if request.option_id is None or request.content is not None:
        field = "action" if request.option_id is None else "content"
        raise wrong_values((field, f"A permission is answered with one of its options: {options}."))
    if request.option_id not in [option.option_id for option in held.options]:
        raise wrong_values(("option_id", f"Choose one of {options}."))
    draft.questions.answer(held.permission_id, request.option_id)
    return replace(held, state=PermissionState.ANSWERED, answer=request.option_id)


def _content(held: Permission, given: Mapping[str, Any]) -> dict[str, FieldValue] | None:
    """What a form is filled in with, as it is kept: without what is left empty. Of a page there is none."""
    content = {name: value for name, value in given.items() if value is not None}
    wrong = forms.wrong_values(held.fields, content)
    if wrong:
        raise wrong_values(*wrong.items())
    if held.kind is not QuestionKind.FORM:
        return None
    return {field.name: _kept(field.type, content[field.name]) for field in held.fields if field.name in content}


def _kept(type_: FieldType, value: Any) -> FieldValue:
    if type_ is FieldType.INTEGER:
        return int(value)
    return tuple(value) if isinstance(value, list) else value
