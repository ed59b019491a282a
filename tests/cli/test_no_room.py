"""Where output cannot go: a full disk or a closed stdout is one sentence and exit 1, a reader that left is silence."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Cli
from tests.world import FOUNDRY

FULL = Path("/dev/full")
COMMANDS = (
    "list",
    "list --json",
    "show {id}",
    "show {id} --json",
    "history",
    "history {id} --json",
    "logs {id}",
    "logs {id} --json",
    "watch {id}",
    "watch {id} --json",
    "create again",
    "create again --json",
    "create again --follow",
    "create again --wait idle --json",
    "prompt {id} more",
    "rename {id} other",
    "path {id}",
    "diff {id} --json",
    "status",
    "status --json",
    "statusline",
    "statusline --json",
    "doctor",
    "doctor --json",
    "backend status",
    "backend start --json",
    "backend unit",
    "agent list",
    "config show",
    "config path",
    "completion bash",
    "--version",
    "--help",
    "list --help",
    "backend --help",
)
"""Every command that prints."""

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no full device here")


@pytest.fixture(scope="module")
def task_id(shared: Cli) -> Iterator[str]:
    yield str(shared.create("something to look at")["task_id"])


def run(cli: Cli, line: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """A command behind a redirection of the shell."""
    words = ["sh", "-c", f'"$0" "$@" {redirection}', str(FOUNDRY), *line.split()]
    return subprocess.run(
        words, env=cli.environ, cwd=cli.repository, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("line", COMMANDS)
def test_where_there_is_no_room_it_says_so(shared: Cli, task_id: str, line: str) -> None:
    for redirection in (">/dev/full", ">&-"):
        done = run(shared, line.format(id=task_id), redirection)
        assert done.returncode == 1, (redirection, done.stderr)
        said = done.stderr.splitlines()[-1:]
        assert said, redirection
        assert said[0].startswith("foundry: standard output "), done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("line", COMMANDS)
def test_a_reader_that_went_away_is_no_news(shared: Cli, task_id: str, line: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as nowhere:
        done = subprocess.run(
            [FOUNDRY, *line.format(id=task_id).split()],
            env=shared.environ,
            cwd=shared.repository,
            stdin=subprocess.DEVNULL,
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", ["list", "show nothing", "statusline", "nonsense", "kill {id}"])
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_other_streams_may_be_closed(shared: Cli, task_id: str, line: str, redirection: str) -> None:
    line = line.format(id="nothing") if line.startswith("kill") else line
    whole = run(shared, line, "")
    done = run(shared, line, redirection)
    assert (done.returncode, done.stdout) == (whole.returncode, whole.stdout)


def test_a_backend_that_can_tell_nobody_where_it_listens_does_not_run(cli: Cli) -> None:
    done = run(cli, "backend serve", ">/dev/full")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["foundry backend: standard output cannot be written: No space left on device"]


def test_a_backend_goes_on_without_the_reader_of_its_line(cli: Cli) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (
        os.fdopen(writing) as nowhere,
        subprocess.Popen(
            [FOUNDRY, "backend", "serve"],
            env=cli.environ,
            cwd=cli.repository,
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        assert any("Started server process" in line for line in process.stderr), "it ended first"
        assert cli("list", code=0).err == ""
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
