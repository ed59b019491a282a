"""What an agent asks, printed whole for the person who has to judge it, with the commands that answer."""

from collections.abc import Iterable, Iterator

import msgspec

from foundry_tui.cli.output import paint, printable
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import TaskDetail
from foundry_tui.view.questions import WORDS, QuestionLine, heading_of, lines_of, option_of

_PAINTS = {
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
    """A command for each option; those that the words mean go by the words."""
    which = "" if first else f" --permission {question.permission_id}"
    words = {option.option_id: word for word in WORDS if (option := option_of(question, word)) is not None}
    for option in question.options:
        yield f"foundry answer {task_id} {_word(words.get(option.option_id, option.option_id))}{which}"


def record_of(task: TaskDetail) -> dict[str, object] | None:
    """The oldest open question for `--json`: the record whole, and under `commands` what answers it, by option_id."""
    questions = open_questions(task)
    if not questions:
        return None
    commands = answering(task.task_id, questions[0], first=True)
    ids = [option.option_id for option in questions[0].options]
    return {**msgspec.to_builtins(questions[0]), "commands": dict(zip(ids, commands, strict=True))}


def told(task: TaskDetail) -> Iterator[str]:
    """The lines of all open questions, nothing cut, each option with the command that chooses it; painted."""
    for number, question in enumerate(open_questions(task)):
        yield f"{paint('asks     ', 'yellow')}{paint(printable(heading_of(question)), 'bold')}"
        for line, text in lines_of(question):
            shown = printable(text.expandtabs(4))
            yield f"         {paint(shown, _PAINTS[line]) if line in _PAINTS else shown}"
        yield from _choices(task.task_id, question, first=not number)


def _choices(task_id: str, question: Permission, *, first: bool) -> Iterable[str]:
    commands = list(answering(task_id, question, first=first))
    size = max((len(command) for command in commands), default=0)
    for option, command in zip(question.options, commands, strict=True):
        yield f"         {printable(command):<{size}}  {paint(printable(option.name), 'dim')}"


def _word(text: str) -> str:
    """An option's id as a shell takes it."""
    from shlex import quote

    return quote(text)
