"""What an agent asks, printed whole for the person who has to judge it, and what answers it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from foundry_tui.cli.output import paint
from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.forms import defaults_of, read_value, written_value, wrong_values
from foundry_tui.contract.questions import AnswerAction, FieldType, Permission, PermissionState, QuestionKind
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.requests import AnswerPermission
from foundry_tui.view.questions import (
    WORDS,
    QuestionLine,
    answers_of,
    field_name,
    field_needs,
    heading_of,
    lines_of,
    option_of,
)

_PAINTS = {
    QuestionLine.URL: "cyan",
    QuestionLine.ABOUT: "dim",
    QuestionLine.PATH: "cyan",
    QuestionLine.FILE: "bold",
    QuestionLine.HUNK: "cyan",
    QuestionLine.ADDED: "green",
    QuestionLine.REMOVED: "red",
}


def open_questions(task: TaskDetail) -> list[Permission]:
    """The questions that wait for an answer, oldest first."""
    return sorted((each for each in task.permissions if each.state is PermissionState.OPEN), key=lambda each: each.at)


def answering(task_id: str, question: Permission, *, first: bool) -> Iterator[str]:
    """A command for each answer; those that the words mean go by the words, and a form is filled in by `--set`."""
    which = "" if first else f" --permission {question.permission_id}"
    words = {option.option_id: word for word in WORDS if (option := option_of(question, word)) is not None}
    for option in answers_of(question):
        said = [_word(words.get(option.option_id, option.option_id))]
        if question.kind is QuestionKind.FORM and option.option_id == AnswerAction.ACCEPT:
            said = [f"--set {_word(setting)}" for setting in _to_set(question)] or said
        elif question.kind is not QuestionKind.PERMISSION and option.option_id == AnswerAction.DECLINE:
            said = ["--decline"]
        yield f"foundry answer {task_id} {' '.join(said)}{which}"


def _to_set(question: Permission) -> Iterator[str]:
    """What has to be set before a form is filled in; where nothing has to, what can be, as it is."""
    needed = [field for field in question.fields if field.required and field.default is None]
    for field in needed or question.fields[:1]:
        value = "VALUE" if field.default is None else written_value(field.default)
        yield f"{field.name}={value}"


def answer_to(
    question: Permission, said: str | None, settings: Sequence[tuple[str, str]], *, decline: bool
) -> AnswerPermission:
    """The answer that is meant by a word, or by what fields are set to; raises `CommandError` where there is none."""
    word = said or ("deny" if decline else "allow" if settings or question.kind is not QuestionKind.PERMISSION else "")
    chosen = option_of(question, word)
    if said == AnswerAction.CANCEL and question.kind is not QuestionKind.PERMISSION:
        return AnswerPermission(action=AnswerAction.CANCEL)
    if chosen is None:
        known = ", ".join(f"{each.option_id} ({each.kind.replace('_', ' ')})" for each in answers_of(question))
        why = f"has no option that means {word}" if word in WORDS else f"has no option {word!r}"
        raise CommandError(f"{question.title!r} {why}", hint=f"there is: {known}")
    if settings and question.kind is not QuestionKind.FORM:
        raise CommandError(f"{question.title!r} has no fields to set")
    if question.kind is QuestionKind.PERMISSION:
        return AnswerPermission(option_id=chosen.option_id)
    action = AnswerAction(chosen.option_id)
    if question.kind is not QuestionKind.FORM or action is not AnswerAction.ACCEPT:
        return AnswerPermission(action=action)
    content = _content(question, settings)
    wrong = wrong_values(question.fields, content)
    if wrong or (question.fields and not content and not settings):
        words = " ".join(f"{name}: {why}" for name, why in wrong.items()) or "nothing is filled in"
        fields = "; ".join(
            f"{field_name(field, question.fields, named=True)}: {field_needs(field, named=True)}"
            for field in question.fields
        )
        raise CommandError(f"the form does not take that: {words}", hint=f"it takes {fields}" if fields else "")
    return AnswerPermission(action=action, content=content)


def _content(question: Permission, settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What a form is filled in with: its own defaults, but for what is set; set to nothing, a field is left empty."""
    fields, content = {field.name: field for field in question.fields}, dict[str, Any](defaults_of(question.fields))
    chosen: dict[str, tuple[str, ...]] = {}
    for name, written in settings:
        field = fields.get(name)
        if field is None:
            content[name] = written
        elif not written:
            content.pop(name, None)
        elif field.type is FieldType.MULTISELECT:
            content[name] = chosen[name] = (*chosen.get(name, ()), *read_value(field, written))
        else:
            content[name] = read_value(field, written)
    return content


def record_of(task: TaskDetail) -> dict[str, object] | None:
    """The oldest open question for `--json`: the record whole, and under `commands` what answers it, by option_id."""
    questions = open_questions(task)
    if not questions:
        return None
    commands = answering(task.task_id, questions[0], first=True)
    ids = [option.option_id for option in answers_of(questions[0])]
    return {**msgspec.to_builtins(questions[0]), "commands": dict(zip(ids, commands, strict=True))}


def told(task: TaskDetail) -> Iterator[str]:
    """The lines of all open questions, nothing cut, each option with the command that chooses it; painted."""
    for number, question in enumerate(open_questions(task)):
        yield f"{paint('asks     ', 'yellow')}{paint(harmless(heading_of(question)), 'bold')}"
        for line, text in lines_of(question, named=True):
            shown = harmless(text.expandtabs(4))
            yield f"         {paint(shown, _PAINTS[line]) if line in _PAINTS else shown}"
        yield from _choices(task.task_id, question, first=not number)


def _choices(task_id: str, question: Permission, *, first: bool) -> Iterable[str]:
    commands = list(answering(task_id, question, first=first))
    size = max((len(command) for command in commands), default=0)
    for option, command in zip(answers_of(question), commands, strict=True):
        yield f"         {harmless(command):<{size}}  {paint(harmless(option.name), 'dim')}"


def _word(text: str) -> str:
    """An option's id as a shell takes it."""
    from shlex import quote

    return quote(text)
