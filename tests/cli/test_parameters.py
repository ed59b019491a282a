"""Durations, goals, and what names a task."""

from collections.abc import Iterator
from queue import SimpleQueue

import click
import pytest

from foundry_tui.cli.command_table import foundry
from foundry_tui.cli.context import match
from foundry_tui.cli.parameters import Goal, seconds_of
from foundry_tui.cli.problems import NO_TASK, USAGE, CommandError, NoTaskError
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import StageName, TaskStatus


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("250ms", 0.25), ("1.5s", 1.5), ("2d", 172_800), ("5", 5), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "10x", "-5s", "5m3h", "1 0", "10m10", "s", "∞"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds_of(text)


@pytest.mark.parametrize("text", ["99999999999d", "9" * 30, "9" * 400])
def test_a_duration_beyond_all_patience_can_be_waited_for(text: str) -> None:
    waiting = SimpleQueue[str]()
    waiting.put("here")
    assert waiting.get(timeout=seconds_of(text)) == "here"


NO_TEXTS = {"file", "repo", "path", "source", "target", "data_dir", "listen", "token_file", "tls_cert", "tls_key"}
"""Names of files, and addresses, which may be any bytes; `database`, `host` and `allow_remote` are the backend's."""
OF_THE_BACKEND = {"database", "host", "allow_remote"}


def _commands(command: click.Command, words: str = "") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    ctx = click.Context(command)
    for name in command.list_commands(ctx):
        found = command.get_command(ctx, name)
        assert found is not None
        yield from _commands(found, f"{words} {name}".strip())


def test_every_text_of_a_command_is_judged_before_it_is_sent() -> None:
    unjudged = {
        f"{words} {param.name}"
        for words, command in _commands(foundry)
        for param in command.params
        if param.type is click.STRING
        and param.name not in (NO_TEXTS | OF_THE_BACKEND if words.startswith("backend") else NO_TEXTS)
    }
    assert unjudged == {"help words", "agent login name"}, "looked up here, and sent nowhere"


def test_goals_are_statuses_and_stages() -> None:
    goal = Goal()
    assert goal.convert("running", None, None) is TaskStatus.RUNNING
    assert goal.convert("create_sandbox", None, None) is StageName.CREATE_SANDBOX
    assert goal.convert("ready", None, None) is TaskStatus.IDLE
    assert goal.convert("sandbox", None, None) is TaskStatus.CREATE_SANDBOX
    with pytest.raises(click.BadParameter, match=r"there are: queued, name, .* ensure_name"):
        goal.convert("finished", None, None)


def task(task_id: str, branch: str | None = None, status: TaskStatus = TaskStatus.IDLE) -> TaskSummary:
    return TaskSummary(
        task_id=task_id, repo_id="r", repo_label="repo", prompt="p", agent="a", provider="demo", status=status,
        status_since=0, created_at=0, updated_at=0, revision=1, branch=branch,
    )  # fmt: skip


TASKS = (
    task("0193a2b4-0000-7000-8000-000000000001", "fix/a"),
    task("0193a2b4-0000-7000-8000-000000000002", "fix/b", TaskStatus.KILLED),
    task("0193b000-0000-7000-8000-000000000003", "fix/b"),
    task("0193c000-0000-7000-8000-000000000004", "fix/c"),
    task("0193d000-0000-7000-8000-000000000005", "fix/c"),
    task("0193e000-0000-7000-8000-000000000006", "0193c"),
)


def test_a_unique_beginning_means_its_task() -> None:
    assert match("0193a2b4-0000-7000-8000-000000000001", TASKS) is TASKS[0]
    assert match("0193d", TASKS) is TASKS[4]
    assert match("0193D", TASKS) is TASKS[4]


def test_a_branch_means_its_task_and_goes_before_a_beginning() -> None:
    assert match("fix/a", TASKS) is TASKS[0]
    assert match("0193c", TASKS) is TASKS[5]


def test_of_one_branch_the_task_that_lives_is_meant() -> None:
    assert match("fix/b", TASKS) is TASKS[2]


def test_the_beginning_of_a_branch_means_its_task_where_no_id_begins_so() -> None:
    task_of_id = task("fe93a2b4-0000-7000-8000-000000000001", "chore/one")
    login, old = (
        task("0193f000-0000-7000-8000-000000000007", "feat/login"),
        task("0193f1", "feat/log", TaskStatus.KILLED),
    )
    assert match("feat/lo", (task_of_id, login, old)) is login
    assert match("feat/log", (task_of_id, login, old)) is old
    assert match("fe", (task_of_id, login, old)) is task_of_id
    assert match("feat", (old,)) is old


@pytest.mark.parametrize("given", ["0193a2b4", "fix/c", "fix", "0"])
def test_several_are_a_usage_error_that_lists_them(given: str) -> None:
    with pytest.raises(CommandError) as caught:
        match(given, TASKS)
    assert caught.value.exit_code == USAGE
    assert "means several tasks" in caught.value.message


@pytest.mark.parametrize("given", ["", "ffff", "fox", "fix/bb", "FIX/A"])
def test_none_is_no_such_task(given: str) -> None:
    with pytest.raises(NoTaskError) as caught:
        match(given, TASKS)
    assert caught.value.exit_code == NO_TASK
