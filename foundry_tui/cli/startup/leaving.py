"""The last moment of the app: what was asked just before goes to the backend, or is told of."""

from collections import Counter
from collections.abc import Sequence

from foundry_tui.cli.output import tell
from foundry_tui.client.commands import CommandProblem

_THINGS = {"task": "task", "session": "session", "prompt": "prompt", "answer": "answer"}
_DOINGS = {
    "retry": ("retrying", "task"),
    "archive": ("archiving", "task"),
    "kill": ("killing", "task"),
    "prune": ("removing", "task"),
    "rename": ("renaming", "task"),
    "edit_prompt": ("editing", "prompt"),
    "withdraw_prompt": ("withdrawing", "prompt"),
    "set_option": ("setting", "option"),
}


def tell_what_is_left(kinds: Counter[str], problems: Sequence[CommandProblem], opened: str) -> None:
    """Say on standard error what the app could say no more: problems, and what it keeps until it is `opened` again."""
    for problem in problems:
        tell(f"foundry: {problem.message}")
    if not kinds:
        return
    left = f"foundry: the backend has not taken {unanswered_in_words(kinds)} yet"
    if any(problem.action == "keep" for problem in problems):
        tell(f"{left}, and it could not be kept")
    else:
        tell(f"{left}: kept, and handed over when {opened} again")


def unanswered_in_words(kinds: Counter[str]) -> str:
    """`1 prompt, 2 answers, killing 1 task`, of the counts of `Outbox.unanswered`; empty for none."""
    words = [_count(kinds[kind], thing) for kind, thing in _THINGS.items() if kinds[kind]]
    words += [f"{doing} {_count(kinds[kind], thing)}" for kind, (doing, thing) in _DOINGS.items() if kinds[kind]]
    return ", ".join(words)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
