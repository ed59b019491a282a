"""What a person at a terminal is asked, and in which words they are told; in a pipe nothing is asked."""

from collections.abc import Iterator

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import Terminal, terminal

pytestmark = pytest.mark.slow


def status(cli: Cli, task_id: str) -> str:
    return str(cli("show", task_id, "--json", code=0).json["status"])


@pytest.fixture
def working(shared: Cli) -> Iterator[str]:
    """A task whose agent is at work until it is stopped."""
    shared.set_script({"tasks": [{"match": "endless", "turn": {"hang": "before"}}]})
    task_id = shared.create("endless work", wait="running")["task_id"]
    yield task_id
    shared("kill", task_id, "--force")


def ended(shown: Terminal, answer: bytes) -> int:
    shown.type(answer)
    return shown.wait()


def test_killing_what_is_at_work_asks_and_no_leaves_it(shared: Cli, working: str) -> None:
    with terminal(shared, "kill", working) as shown:
        shown.read_until("[y/N]")
        for words in ("The agent is at work.", "Its sandbox is destroyed", "Kill “endless work”?"):
            assert words in shown.drawn
        assert ended(shown, b"n\n") == 1
    assert status(shared, working) == "running"
    with terminal(shared, "kill", working) as shown:
        shown.read_until("[y/N]")
        assert ended(shown, b"y\n") == 0
    assert shared("watch", working, "--for", "killed", code=0)


def test_killing_what_is_ready_asks_as_the_app_does(shared: Cli) -> None:
    shared.set_script({})
    task_id = shared.create("at rest")["task_id"]
    with terminal(shared, "kill", task_id) as shown:
        shown.read_until("Kill “at rest”? [y/N]")
        assert "at work" not in shown.drawn
        assert ended(shown, b"\n") == 1
    assert status(shared, task_id) == "idle"
    with terminal(shared, "kill", task_id) as shown:
        shown.read_until("[y/N]")
        assert ended(shown, b"y\n") == 0
    assert shared("watch", task_id, "--for", "killed", code=0)
    with terminal(shared, "kill", task_id) as shown:
        assert shown.wait() == 0, "what has ended is not asked about"


@pytest.mark.parametrize("flag", ["-y", "--force"])
def test_yes_kills_without_asking(shared: Cli, working: str, flag: str) -> None:
    with terminal(shared, "kill", working, flag) as shown:
        assert shown.wait() == 0
    assert shared("watch", working, "--for", "killed", code=0)


@pytest.mark.parametrize("command", ["archive", "kill"])
def test_yes_loses_no_work(shared: Cli, command: str) -> None:
    shared.set_script({"tasks": [{"match": "precious", "would_lose": ["notes.md is not committed"]}]})
    task_id = shared.create(f"precious {command}")["task_id"]
    with terminal(shared, command, task_id, "-y") as shown:
        shown.read_until(f"foundry {command} {task_id} --force")
        assert "notes.md is not committed" in shown.drawn
        assert shown.wait() == 1
    assert status(shared, task_id) == "idle"
    with terminal(shared, command, task_id) as shown:
        if command == "kill":
            shown.read_until("[y/N]")
            shown.type(b"y\n")
        shown.read_until("Lose it? [y/N]")
        assert ended(shown, b"y\n") == 0


def test_a_pipe_is_never_asked(shared: Cli, working: str) -> None:
    assert shared("kill", working, code=0).err == ""


def test_removing_for_good_asks(shared: Cli) -> None:
    shared.set_script({})
    task_id = shared.create("short")["task_id"]
    shared("kill", task_id, code=0)
    shared("watch", task_id, "--for", "killed", code=0)
    with terminal(shared, "prune", task_id) as shown:
        shown.read_until("[y/N]")
        assert ended(shown, b"\n") == 1
    assert status(shared, task_id) == "killed"
    with terminal(shared, "prune", task_id, "-y") as shown:
        assert shown.wait() == 0
    shared("show", task_id, code=3)


def test_what_cannot_be_removed_is_not_asked_about(shared: Cli) -> None:
    shared.set_script({})
    task_id = shared.create("still here")["task_id"]
    with terminal(shared, "prune", task_id) as shown:
        shown.read_until(f"foundry kill {task_id} first")
        assert "[y/N]" not in shown.drawn
        assert shown.wait() == 1


@pytest.mark.parametrize(
    ("words", "told", "raw"),
    [
        (("history",), "sandbox done", "stage.completed"),
        (("rename", "Another"), "ready", "idle"),
    ],
    ids=["history", "rename"],
)
def test_a_terminal_is_told_in_the_words_of_the_screens(
    shared: Cli, words: tuple[str, ...], told: str, raw: str
) -> None:
    shared.set_script({})
    command, *more = words
    task_id = shared.create("words")["task_id"]
    with terminal(shared, command, task_id, *more) as shown:
        shown.read_until(told)
        assert shown.wait() == 0
        assert raw not in shown.drawn
    assert raw in shared(command, task_id, *more, code=0).out


@pytest.mark.parametrize(
    ("words", "told", "raw"),
    [(("show", "{id}"), "session  demo · working", "running"), (("status",), f"{'working':<24} 1", "running\t1")],
    ids=["show", "status"],
)
def test_where_things_stand_is_said_in_the_words_of_the_screens(
    shared: Cli, working: str, words: tuple[str, ...], told: str, raw: str
) -> None:
    words = tuple(word.format(id=working) for word in words)
    with terminal(shared, *words) as shown:
        shown.read_until(told)
        assert "running" not in shown.drawn
        assert shown.wait() == 0
    assert raw in shared(*words, code=0).out
