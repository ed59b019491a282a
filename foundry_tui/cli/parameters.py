"""Types of arguments and options that several commands share: ids with completion, durations, `--json`."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from foundry_tui.cli.context import Context
from foundry_tui.contract.status import StageName, TaskStatus

F = TypeVar("F", bound=Callable[..., Any])

LONGEST = 100 * 365 * 86_400.0
"""Seconds beyond which a duration is as good as this one; what waits takes no number that is much larger."""
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")


def seconds_of(text: str) -> float:
    """Seconds of a duration like `90s`, `10m`, `1h30m`, `250ms`, or a bare number of seconds.

    Raises `ValueError` for anything else.
    """
    given = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", given):
        return min(float(given), LONGEST)
    found = _DURATION.fullmatch(given)
    if found is None or not given:
        raise ValueError(f"{text!r} is no duration: write 90s, 10m or 1h30m")
    days, hours, minutes, seconds, millis = (float(part or 0) for part in found.groups())
    return min(days * 86_400 + hours * 3_600 + minutes * 60 + seconds + millis / 1_000, LONGEST)


class Duration(click.ParamType[float]):
    """A duration, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return seconds_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PullRequestGoal(StrEnum):
    """What of a task's pull request can be waited for."""

    MERGED = "merged"
    CHECKS = "checks"


class FollowGoal(click.ParamType["TaskStatus | StageName | PullRequestGoal"]):
    """What `Goal` takes, and what can be waited for of a pull request."""

    name = "status|stage|merged|checks"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> TaskStatus | StageName | PullRequestGoal:
        if value in PullRequestGoal.__members__.values():
            return PullRequestGoal(value)
        return Goal().convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        more = [CompletionItem(str(goal)) for goal in PullRequestGoal if goal.startswith(incomplete)]
        return Goal().shell_complete(ctx, param, incomplete) + more


class Goal(click.ParamType["TaskStatus | StageName"]):
    """A status or a stage that can be waited for, by its name or by the word that people read."""

    name = "status|stage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TaskStatus | StageName:
        if value in TaskStatus.__members__.values():
            return TaskStatus(value)
        if value in StageName.__members__.values():
            return StageName(value)
        from foundry_tui.contract.task_words import STATUS_WORDS

        words = {word: status for status, word in STATUS_WORDS.items()}
        if value in words:
            return words[value]
        known = f"{', '.join(words)}, or as --json has them: {', '.join([*StageName, *TaskStatus])}"
        return self.fail(f"{value!r} is no status or stage; there are: {known}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from foundry_tui.contract.task_words import STATUS_WORDS

        goals = dict.fromkeys((*STATUS_WORDS.values(), *StageName, *TaskStatus))
        return [CompletionItem(str(goal)) for goal in goals if goal.startswith(incomplete)]


class Utf8Text(click.ParamType[str]):
    """A text that can be sent, kept or searched for: every one that is no name of a file or an address."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail("this is no UTF-8 text", param, ctx)
        return str(value)


class StatusName(click.ParamType[TaskStatus]):
    """A status of a task, by its name or by the word that people read."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TaskStatus:
        from foundry_tui.contract.task_words import STATUS_WORDS

        if value in TaskStatus.__members__.values():
            return TaskStatus(value)
        statuses = {word: status for status, word in STATUS_WORDS.items()}
        if value in statuses:
            return statuses[value]
        words = f"{', '.join(STATUS_WORDS.values())}, or as --json has them: {', '.join(TaskStatus)}"
        return self.fail(f"{value!r} is no status; there are: {words}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from foundry_tui.contract.task_words import STATUS_WORDS

        return [
            CompletionItem(str(name)) for name in (*STATUS_WORDS.values(), *TaskStatus) if name.startswith(incomplete)
        ]


class Setting(click.ParamType[tuple[str, str]]):
    """A name and what it is set to, as `NAME=VALUE`; `how` says what is to be written, with an example."""

    name = "name=value"

    def __init__(self, how: str = "OPTION=VALUE, as in mode=plan") -> None:
        self._how = how

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        option, equals, wanted = Utf8Text().convert(value, param, ctx).partition("=")
        if not option or not equals:
            self.fail(f"{value!r} is no setting: write {self._how}", param, ctx)
        return option, wanted


class TaskRef(click.ParamType[str]):
    """What names a task: its id, its branch, or the beginning of either."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from foundry_tui.cli.candidates import task_candidates

        return task_candidates(ctx, incomplete)


class AnswerOption(click.ParamType[str]):
    """The id of an answer that a task's agent takes to what it asks."""

    name = "option"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from foundry_tui.cli.candidates import answer_candidates

        return answer_candidates(ctx, incomplete)


task_argument = click.argument("task", metavar="ID", type=TaskRef())
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
through_option = click.option(
    "--through-questions", "through", is_flag=True, help="Wait on while the agent asks a person (else exit 7)."
)

timeout_option = click.option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    help="Give up waiting after this long, such as 90s or 10m (exit 5).",
)
pass_context = click.make_pass_decorator(Context)
