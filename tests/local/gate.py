"""A gate at which programs wait that a backend has started, so that a test can do something meanwhile."""

import os
import select
import shlex
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.local.world import LIMIT


class Gate:
    """Shut within the block: who comes to it tells of itself and waits for the block's end; later it is just passed.

    `words` are what a shell script says that comes to it, with what it tells as its arguments.
    """

    def __init__(self, folder: Path) -> None:
        place = Path(tempfile.mkdtemp(prefix="gate-", dir=folder))
        self._bar, self._bell = place / "bar", place / "bell"
        self._opened: list[int] = []
        bar, bell = (shlex.quote(str(each)) for each in (self._bar, self._bell))
        self.words = f'if [ -p {bar} ]; then echo "$*" > {bell}; read -r _ < {bar}; fi 2> /dev/null'

    def __enter__(self) -> Self:
        # Opened for reading and writing, so that who rings waits for no reader, and who waits at the bar does that for
        # as long as there is the one who could write: this process.
        for fifo in (self._bell, self._bar):
            os.mkfifo(fifo)
            self._opened.append(os.open(fifo, os.O_RDWR))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.open()

    def open(self) -> None:
        """Let them all go on, before the block ends."""
        # First the names go, else somebody could come to one behind which there is nobody any more.
        for fifo in (self._bar, self._bell):
            fifo.unlink(missing_ok=True)
        for handle in self._opened:
            os.close(handle)
        self._opened = []

    def await_arrival(self) -> str:
        """Wait until somebody has come to it; what it told."""
        assert select.select(self._opened[:1], [], [], LIMIT)[0], "nobody came"
        return os.read(self._opened[0], 65_536).decode()
