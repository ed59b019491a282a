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
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli.world import FOUNDRY, Cli


class Terminal:
    """A program in a terminal of its own, 120 by 40; what it drew is read as text without its control codes."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self.master = master
        self.process = process
        self.drawn = ""

    def read_until(self, wanted: str, seconds: float = 45) -> None:
        """Read until the text was drawn."""
        until = time.monotonic() + seconds
        while wanted not in self.drawn:
            left = until - time.monotonic()
            assert left > 0, f"{wanted!r} was not drawn:\n{self.drawn[-3000:]}"
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                data = b""
            assert data, f"it ended first:\n{self.drawn[-3000:]}"
            self.drawn += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "replace"))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code; what it draws meanwhile is thrown away, so that it does not wait for a reader."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    os.read(self.master, 1 << 16)
                except OSError:
                    break
        return self.process.wait(seconds)


@contextmanager
def terminal(cli: Cli, *words: str, **environ: str) -> Iterator[Terminal]:
    """`foundry` in a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [FOUNDRY, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**cli.environ, "COLORTERM": "truecolor", **environ},
        cwd=cli.repo,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
