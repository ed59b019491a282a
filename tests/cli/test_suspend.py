"""ctrl+z gives the terminal back to the shell, and the app comes back whole."""

import os
import signal
from pathlib import Path

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import own_terminal

pytestmark = pytest.mark.slow


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc whether a process is stopped")
def test_ctrl_z_suspends_and_comes_back_whole(cli: Cli) -> None:
    cli.create("fix the vault")
    with own_terminal(cli) as shown:
        shown.read_until("live")
        shown.type(b"\x1a")
        pid = shown.process.pid
        shown.read_until_so(lambda: is_stopped(pid), "it did not stop")
        shown.drawn = ""
        os.kill(pid, signal.SIGCONT)
        shown.read_until("the vault")
        shown.read_until("live")
        shown.type(b"?")
        shown.read_until("Keys of this screen")
        shown.type(b"\x11")
        assert shown.wait() == 0
