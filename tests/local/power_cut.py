"""A power cut, as far as a test can make one: a process and all that it has started are killed together, at a moment
that is told by what it does."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from backend_stub.machine import processes

_CHANGING = frozenset(
    {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "subprocess.Popen"}
)
"""What Python tells its auditors before it is done, and that may be seen on the disk."""
_WRITES = os.O_WRONLY | os.O_RDWR


def end_all(pid: int) -> None:
    """Kill the process and all below it: they are stopped first, so that nobody goes on when another has ended."""
    stopped: set[int] = set()
    while found := set(processes.families([pid])[pid]) - stopped:
        for each in found:
            _signal(each, signal.SIGSTOP)
        stopped |= found
    for each in stopped:
        _signal(each, signal.SIGKILL)


def cut(doing: Callable[[Callable[[], None]], object], moment: int = 0, told: Path | None = None) -> bool:
    """Do it in a child until it is about to do the n-th thing that may be seen on the disk; whether it was cut.

    Moments are counted once it calls what it is given. `told`: a file that gets their number, for what was not cut.
    """
    pid = os.fork()
    if pid == 0:
        _child(doing, moment, told)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), "see what it printed"
    return code != 0


def _child(doing: Callable[[Callable[[], None]], object], moment: int, told: Path | None) -> NoReturn:
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        if writes or event in _CHANGING:
            seen += 1
            if seen == moment:
                for each in processes.families([os.getpid()])[os.getpid()][1:]:
                    _signal(each, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        doing(lambda: sys.addaudithook(watch))
        if told is not None:
            told.write_text(str(seen))
        os._exit(0)
    finally:
        traceback.print_exc()
        os._exit(1)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
