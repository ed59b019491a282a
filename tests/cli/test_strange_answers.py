"""Whatever answers at the backend's address: a command ends soon, with one sentence and exit 6, and nothing untrue."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foundry_tui.cli import main
from foundry_tui.cli.startup import statusline as line
from foundry_tui.client import blocking as wire
from foundry_tui.process import backend as daemon
from tests.cli.command_line import Cli
from tests.cli.strange import ANSWERS, TASK, answer, answering
from tests.git import make_repository

ID = TASK["task_id"]
SESSION = "0193a2b4-0000-7000-8000-000000000002"
COMMANDS: tuple[tuple[object, ...], ...] = (
    ("list",),
    ("list", "--json"),
    ("show", ID),
    ("show", "0193"),
    ("show", ID, "--json"),
    ("create", "fix it"),
    ("create", "fix it", "--wait", "idle", "--json"),
    ("watch", ID),
    ("watch", ID, "--for", "idle", "--json"),
    ("history",),
    ("history", ID, "--json"),
    ("logs", ID),
    ("logs", ID, "-f"),
    ("prompt", ID, "go on"),
    ("answer", ID, "allow"),
    ("retry", ID),
    ("archive", ID),
    ("kill", ID, "--force"),
    ("rename", ID, "a title"),
    ("prune", ID, "--yes"),
    ("attach", ID),
    ("path", ID),
    ("diff", ID),
    ("diff", ID, "--json"),
    ("status",),
    ("status", "--json"),
    ("backend", "status"),
)
"""Every command that talks to the backend."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """A command in this process, in a user's world of its own, with little patience: exit code, output, errors."""
    monkeypatch.chdir(make_repository(tmp_path / "repo"))
    for name in ("CONFIG", "DATA", "STATE", "RUNTIME"):
        monkeypatch.setenv(f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}", str(tmp_path / name))
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(daemon, "HEALTH_SECONDS", 0.2)
    monkeypatch.setattr(line, "ANSWER_SECONDS", 0.2)

    def call(address: str, *words: object) -> tuple[int, str, str]:
        monkeypatch.setenv("FOUNDRY_BACKEND", address)
        monkeypatch.setattr(sys, "argv", ["foundry", *map(str, words)])
        code = main.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    yield call


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_command_says_so_and_ends(run: Run, kind: str) -> None:
    with answering(ANSWERS[kind]) as address:
        for words in COMMANDS:
            code, out, err = run(address, *words)
            assert code == 6, (words, code, out, err)
            assert "Traceback" not in err
            assert err.startswith("foundry: ")
            assert not any(mark in err for mark in "\x1b\x07\0")
            assert len(err) < 500, (words, err)
            if words[0] != "backend":
                assert out == "", words
        code, out, err = run(address, "statusline")
        assert (code, err) == (0, "")
        assert out in ("foundry does not answer\n", "foundry answers strangely\n")
        code, out, err = run(address, "doctor")
        assert code == 1
        assert "Traceback" not in err


ORDERS: tuple[tuple[object, ...], ...] = (
    ("retry", ID),
    ("retry", ID, "--resend"),
    ("restart-agent", ID),
    ("archive", ID, "--force"),
    ("kill", ID, "--force"),
    ("prune", ID, "--yes"),
    ("rename", ID, "a title"),
    ("commit", ID),
    ("push", ID),
    ("prompt", ID, "go on"),
    ("diff", ID),
    ("diff", ID, "--since", "last"),
    ("diff", ID, "--stat"),
    ("diff", ID, "--json"),
    ("comment", ID, "a.py:1", "why?"),
)
"""What is done with a task that is known."""


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_answered_strangely_was_not_done(run: Run, kind: str) -> None:
    session = {**TASK, "session_id": SESSION, "name": "x", "status": "ready"}
    known = {f"GET /v1/tasks/{ID}": answer({**TASK, "sessions": [session]})}
    with answering(ANSWERS[kind], known) as address:
        for words in ORDERS:
            code, out, err = run(address, *words)
            assert (code, out) == (6, ""), (words, code, out, err)
            assert err.startswith("foundry: ")
            assert not any(mark in err for mark in "\x1b\x07\0")
            assert len(err) < 500, (words, err)


def test_nobody_is_there(run: Run) -> None:
    for words in COMMANDS:
        code, out, err = run("127.0.0.1:1", *words)
        assert (code, out if words[0] != "backend" else "") == (6, ""), words
        assert "no backend" in err or "nothing listens there" in err
    assert run("127.0.0.1:1", "statusline") == (0, "foundry off\n", "")


def test_a_backend_without_tls_that_is_asked_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 4)
    monkeypatch.setattr(daemon, "HEALTH_SECONDS", 4)
    with answering(answer({})) as address:
        for words in COMMANDS:
            code, _, err = run(f"https://{address}", *words)
            assert code == 6, words
            assert "TLS" in err
            assert "http://" in err or words[0] == "backend"


def test_a_task_of_a_newer_backend_is_listed_and_shown(run: Run) -> None:
    newer = {
        **TASK,
        "status": "init_review_plan",
        "mood": "hopeful",
        "stage": {"name": "review", "attempt": 1, "max_attempts": 2},
    }
    with answering(answer({**newer, "seq": 1, "repos": [], "tasks": [newer]})) as address:
        code, out, err = run(address, "list")
        assert (code, out.split("\t")[:2], err) == (0, [ID, "init_review_plan"], "")
        code, out, err = run(address, "show", ID)
        assert (code, err) == (0, "")
        assert "status\tinit_review_plan" in out
        assert run(address, "statusline")[1] == "1▸\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["silence", "a head that drips", "a body that drips", "events without an end"])
@pytest.mark.parametrize("words", [("list",), ("watch", ID), ("create", "fix it"), ("logs", ID, "-f")])
def test_it_ends_in_time(cli: Cli, kind: str, words: tuple[str, ...]) -> None:
    with answering(ANSWERS[kind]) as address:
        done = cli(*words, environ={"FOUNDRY_BACKEND": address}, timeout=20, code=6)
        assert len(done.err.splitlines()) <= 3
