"""A program in a pseudo-terminal, as benchmarks watch it: when it painted what, what it costs, how it takes keys."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks a second in which the kernel counts CPU time."""


class TimedOutError(Exception):
    """The program did not paint what was waited for."""


class Terminal:
    """A program on a terminal of its own; leaving the block ends it. Its CPU time and memory are read from /proc."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        columns: int = 120,
        rows: int = 40,
        cwd: Path | None = None,
    ) -> None:
        self._controller, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        full = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            argv, stdin=child, stdout=child, stderr=child, env=full, cwd=cwd, start_new_session=True, close_fds=True
        )
        os.close(child)
        self.painted = b""
        """What the program has written since `forget` was called last."""
        self._arrivals: list[tuple[int, float]] = []

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while self._process.poll() is None and time.monotonic() < deadline:
            # What it paints while leaving has to be read, or it would wait for room in the terminal.
            self.pump(0.05)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._controller)

    @property
    def pid(self) -> int:
        return self._process.pid

    def pump(self, seconds: float) -> bool:
        """Read what there is, waiting so long at most; whether there was anything."""
        ready, _, _ = select.select([self._controller], [], [], seconds)
        if not ready:
            return False
        try:
            self.painted += os.read(self._controller, 1 << 16)
        except OSError:
            return False
        self._arrivals.append((len(self.painted), time.time()))
        return True

    def forget(self) -> None:
        """Read all that is under way and forget what was painted."""
        while self.pump(0):
            pass
        self.painted = b""
        self._arrivals.clear()

    def wait_for(self, text: str, limit: float = 30.0) -> float:
        """Seconds from the program's start until this was painted. Raises `TimedOutError`."""
        wanted = text.encode()
        deadline = time.monotonic() + limit
        while wanted not in self.painted:
            left = deadline - time.monotonic()
            if left <= 0 or (not self.pump(left) and self._process.poll() is not None):
                raise TimedOutError(f"{text!r} was not painted; last: {self.painted[-300:]!r}")
        return time.perf_counter() - self.began

    def painted_at(self, *words: str) -> float:
        """When the last byte of these words came, in whatever colours, in seconds since the epoch.

        Raises `TimedOutError` when they were not painted since `forget` was called last.
        """
        between = rb"(?:\s|\x1b\[[0-9;]*m)*"
        found = re.search(between.join(re.escape(word.encode()) for word in words), self.painted)
        if found is None:
            raise TimedOutError(f"{words} were not painted")
        return next(at for length, at in self._arrivals if length >= found.end())

    def press(self, keys: str) -> None:
        """Send keys, as bytes of a terminal."""
        os.write(self._controller, keys.encode())

    def watch(self, seconds: float) -> None:
        """Let the program run, reading what it paints."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pump(left)
            # What nobody asks for would only fill the memory.
            self.forget()

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, user and system, all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mib(self) -> float:
        """What the process holds for itself in memory, in MiB: its share of shared pages counted in proportion."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        raise OSError("the kernel does not say")
