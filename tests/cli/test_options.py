"""What a task's agent lets one choose: listed, set by `foundry options`, and chosen as the task is created."""

import pytest

from tests.cli.command_line import Cli, until_told
from tests.cli.terminal import terminal

CHOICES = [{"value": "ask", "name": "Ask"}, {"value": "all", "name": "Allow all"}]
MODE = {"option_id": "m", "name": "Mode", "category": "mode", "type": "select", "value": "ask", "choices": CHOICES}
FAST = {"option_id": "fast", "name": "Fast", "type": "boolean", "value": False}
REFUSED = {"option_id": "deep", "name": "Deep", "type": "boolean", "value": False}


COMMANDS = [{"name": "review", "description": "Review\tit", "hint": "[what]"}, {"name": "init", "description": ""}]


@pytest.fixture(scope="module")
def task_id(shared: Cli) -> str:
    agent = {"options": [MODE, FAST, REFUSED], "commands": COMMANDS, "refuses": {"deep": "not on this account"}}
    shared.set_script({"agent": agent})
    return str(shared.create("choose")["task_id"])


def test_they_are_listed_and_set_by_id_or_category_and_by_value_or_name(shared: Cli, task_id: str) -> None:
    listed = [["m", "ask", "ask, all"], ["fast", "false", "true, false"], ["deep", "false", "true, false"]]
    assert shared("options", task_id, code=0).rows == listed
    told = shared("options", task_id, "mode=allow all", "fast=on", "--json", code=0).json
    assert {each["option_id"]: each["value"] for each in told["options"]} == {"m": "all", "fast": True, "deep": False}
    session = shared("show", task_id, "--json", code=0).json["sessions"][0]
    assert (session["session_id"], session["mode"]) == (told["session_id"], "Allow all")
    assert shared("options", task_id, "m=ask", "fast=false", code=0).rows == listed


def test_commands_of_the_agent_are_listed(shared: Cli, task_id: str) -> None:
    assert shared("options", task_id, "--commands", code=0).rows == [
        ["/review", "[what]", "Review it"],
        ["/init", "", ""],
    ]
    told = shared("options", task_id, "--commands", "--json", code=0).json
    assert [(each["name"], each.get("hint")) for each in told["commands"]] == [("review", "[what]"), ("init", None)]
    assert set(told) == {"session_id", "commands"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--commands", "fast=true"), 2, "only lists"),
        (("fast=true", "mode=yolo"), 1, "choose one of ask, all"),
        (("fast=2",), 1, "choose one of true, false"),
        (("model=x",), 1, "it offers m, fast, deep"),
        (("mode",), 2, "write OPTION=VALUE"),
        (("--session", "none", "mode=ask"), 1, "no session 'none'"),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(
    shared: Cli, task_id: str, words: tuple[str, ...], code: int, said: str
) -> None:
    done = shared("options", task_id, *words, code=code)
    assert said in done.err
    assert done.out == ""
    assert shared("options", task_id, code=0).rows[1][1] == "false", "nothing was set beside it"


def test_a_person_sees_a_table_and_what_the_agent_refused(shared: Cli, task_id: str) -> None:
    with terminal(shared, "options", task_id) as shown:
        shown.read_until("Deep")
    assert "CHOICE" in shown.drawn
    assert "Allow all" in shown.drawn
    shared("options", task_id, "deep=true", code=0)
    until_told(shared, "not on this account", "transcript", task_id, "-f")
    assert "deep: not on this account" in shared("options", task_id, code=0).err


def test_a_task_begins_with_what_was_chosen_or_not_at_all(shared: Cli, task_id: str) -> None:
    session = shared.create("in a mode", "--mode", "Allow all", "--option", "fast=true")["sessions"][0]
    assert session["mode"] == "Allow all"
    failed = shared("create", "in no mode", "--model", "opus", "--wait", "error", "--json", code=0).json
    assert "it offers m: ask, all" in failed["error"]["message"]
    failed_id = failed["task_id"]
    assert f"foundry retry {failed_id} --without model" in shared("watch", failed_id, code=4).err
    shared("retry", failed_id, "--without", "mode", code=1)
    shared("retry", failed_id, "--without", "model", code=0)
    shared("watch", failed_id, "--for", "running", code=0)
