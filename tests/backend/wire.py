"""What lies between hosts and PostgreSQL: it can keep notifications to itself, or all that is said."""

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.postgres import OWNER, PostgresServer

PORT = 5432
_NOTIFICATION = b"A"
"""How a message of PostgreSQL's protocol begins that tells of a `NOTIFY`; the length of the message follows."""


class Wire:
    """A way to the server, which is there as long as the block lasts."""

    def __init__(self, server: PostgresServer) -> None:
        self.dropped = 0
        """Notifications that did not arrive."""
        self.passing = threading.Event()
        """Cleared, nothing passes either way, and no connection is closed."""
        self.passing.set()
        self._server = server
        self._folder = Path(tempfile.mkdtemp(prefix="foundry-wire-", dir="/tmp"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / f".s.PGSQL.{PORT}"))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: str) -> str:
        """How a database is reached by it."""
        return f"postgresql://{OWNER}@/{database}?host={self._folder}&port={PORT}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.passing.set()
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        shutil.rmtree(self._folder)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                host, _ = self._listener.accept()
                there = socket.socket(socket.AF_UNIX)
                self._open += (host, there)
                there.connect(str(self._server.folder / f".s.PGSQL.{PORT}"))
                threading.Thread(target=self._there, args=(host, there), daemon=True).start()
                threading.Thread(target=self._back, args=(there, host), daemon=True).start()

    def _there(self, host: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while said := host.recv(65_536):
                self.passing.wait()
                server.sendall(said)
        _hang_up(server)

    def _back(self, server: socket.socket, host: socket.socket) -> None:
        with suppress(OSError, ValueError), server.makefile("rb") as said:
            while head := said.read(5):
                body = said.read(int.from_bytes(head[1:]) - 4)
                self.passing.wait()
                if head[:1] == _NOTIFICATION:
                    self.dropped += 1
                else:
                    host.sendall(head + body)
        _hang_up(host)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
