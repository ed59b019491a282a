"""The answers to a question as a line of the list has them: one word each, with the digit that gives it."""

from collections.abc import Sequence

from foundry_tui.contract.questions import Ask, Permission, PermissionOption, QuestionKind
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.task_words import needs_person

AnyAsk = Ask | Permission
"""An open question, as lists have it or whole."""

DIGITS = 4
"""Answers that a digit gives in the list."""
_SHORT = {"allow_once": "allow", "allow_always": "always", "reject_once": "deny", "reject_always": "never"}


def is_answered_by_digits(ask: AnyAsk) -> bool:
    """Whether it asks for one of its options: a form and a page to be opened have faces of their own."""
    return ask.kind == QuestionKind.PERMISSION and bool(ask.options)


def answer_words(options: Sequence[PermissionOption], most: int = DIGITS) -> tuple[str, ...]:
    """A word for each of the first `most` options: by its kind, or its name where several are of one kind."""
    kinds = [option.kind for option in options]
    return tuple(
        _SHORT[option.kind]
        if option.kind in _SHORT and kinds.count(option.kind) == 1
        else option.name.strip() or option.option_id
        for option in options[:most]
    )


def first_ask(task: TaskSummary) -> Ask | None:
    """The oldest question that the task waits with, as far as the list knows it."""
    return task.asks[0] if task.asks and needs_person(task) else None


def said_in_title(ask: Ask) -> bool:
    """Whether its title is all that there is to judge."""
    title = ask.title.strip()
    return ask.whole and "\n" not in title and (ask.text or "").strip() in ("", title)
