"""Our own backend, stopped in the middle of everything (SIGSTOP, a laptop that swaps): commands say so and end."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cli.command_line import Cli

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frozen(shared: Cli) -> Iterator[str]:
    """The id of a task of a backend that runs and does nothing."""
    task_id = str(shared.create("before the frost")["task_id"])
    pid = shared("backend", "status", "--json", code=0).json["pid"]
    os.kill(pid, signal.SIGSTOP)
    yield task_id
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "list --json",
        "show {id}",
        "history",
        "logs {id}",
        "logs {id} -f",
        "watch {id}",
        "create another",
        "prompt {id} more",
        "retry {id}",
        "archive {id}",
        "kill {id} --force",
        "prune {id} --yes",
        "rename {id} other",
        "path {id}",
        "diff {id}",
        "status",
        "backend status",
    ],
)
def test_a_command_says_that_it_does_not_answer(shared: Cli, frozen: str, line: str) -> None:
    done = shared(*line.format(id=frozen).split(), code=6, timeout=20)
    assert "does not answer" in done.err or "did not answer" in done.err
    assert done.out == "" or line == "backend status"
    assert len(done.err.splitlines()) <= 2


def test_the_status_line_says_what_is_true(shared: Cli, frozen: str) -> None:
    assert shared("statusline", code=0, timeout=10).out == "foundry does not answer\n"
    assert shared("statusline", "--json", code=0, timeout=10).json == {"running": True, "trouble": "does not answer"}


def test_doctor_names_it(shared: Cli, frozen: str) -> None:
    done = shared("doctor", code=1, timeout=20)
    assert "answer" in done.out
