"""`foundry` in a pseudo-terminal, as a person has it before them."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.cli.command_line import Cli
from tests.world import FOUNDRY


class Terminal:
    """A program in a terminal of its own, 120 by 40; what it drew is read as text without its control codes."""

    def __init__(self, master: int, name: str, process: "subprocess.Popen[bytes]") -> None:
        self.master = master
        self._name = name
        self.process = process
        self.drawn = ""
        self.written = b""
        """All that it wrote so far, as it came."""

    def read_until(self, wanted: str, seconds: float = 45) -> None:
        """Read until the text was drawn."""
        until = time.monotonic() + seconds
        while wanted not in self.drawn:
            left = until - time.monotonic()
            assert left > 0, f"{wanted!r} was not drawn:\n{self.drawn[-3000:]}"
            self._read(left)

    def read_until_so(self, condition: Callable[[], bool], what: str, seconds: float = 45) -> None:
        """Read until something is so that is not drawn."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"{what}:\n{self.drawn[-3000:]}"
            self._read(0.05)

    def _read(self, seconds: float) -> bool:
        """Read what comes within so many seconds; whether anything came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            data = b""
        assert data, f"it ended first:\n{self.drawn[-3000:]}"
        self.written += data
        self.drawn += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "replace"))
        return True

    def is_full(self) -> bool:
        """Whether it takes nothing more before it is read again."""
        slave = os.open(self._name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return not select.select([], [slave], [], 0)[1]
        finally:
            os.close(slave)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def hang_up(self) -> None:
        """Close it, as a window is closed over a program."""
        os.close(self.master)
        self.master = -1

    def wait(self, seconds: float = 30) -> int:
        """Its exit code; what it draws meanwhile is thrown away, so that it does not wait for a reader."""
        until = time.monotonic() + seconds
        while self.master >= 0 and self.process.poll() is None and time.monotonic() < until:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    os.read(self.master, 1 << 16)
                except OSError:
                    break
        return self.process.wait(seconds)


@contextmanager
def terminal(cli: Cli, *words: str, **environ: str) -> Iterator[Terminal]:
    """`foundry` in a terminal that does not tell it when it hangs up, as one that it was only lent."""
    with _terminal(cli, words, environ, None) as shown:
        yield shown


@contextmanager
def own_terminal(cli: Cli, *words: str, **environ: str) -> Iterator[Terminal]:
    """`foundry` in a terminal that is its own: it is told when that hangs up."""
    with _terminal(cli, words, environ, lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) as shown:
        yield shown


@contextmanager
def _terminal(
    cli: Cli, words: Sequence[str], environ: Mapping[str, str], begin: Callable[[], object] | None
) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [FOUNDRY, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**cli.environ, "COLORTERM": "truecolor", **environ},
        cwd=cli.repository,
        start_new_session=True,
        preexec_fn=begin,
    )
    os.close(slave)
    shown = Terminal(master, name, process)
    try:
        yield shown
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if shown.master >= 0:
            shown.hang_up()
