"""The first snapshot, asked for on a socket of our own while the app is still being imported.

A fast path around the client, for the row "list of 1,000 live tasks" of `python -m tests.bench first_content`: it is
read by the time the client could ask. The client resumes from it, so it is the only one; a backend that does not
answer like this is left to the client.
"""

import asyncio
import socket
import threading
from contextlib import closing
from io import BufferedReader
from urllib.parse import urlsplit

from foundry_tui.client.connection import Target
from foundry_tui.client.errors import StrangeAnswerError
from foundry_tui.client.sse import EventReader, ServerSentEvent
from foundry_tui.client.store import Store
from foundry_tui.contract import codec
from foundry_tui.contract.events import TASKS, EventName, parse_event_id
from foundry_tui.contract.requests import TasksSnapshot

ANSWER_SECONDS = 0.7
PATIENCE = 2.0
"""Seconds for which the client waits for it."""
PIECE = 1 << 16
"""Bytes that are read at once."""


class PrefetchedSnapshot:
    """Reads the snapshot of `tasks` on a thread from the moment it is made."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._event: ServerSentEvent | None = None
        self._thread = threading.Thread(target=self._read, name="snapshot prefetch", daemon=True)
        self._thread.start()

    async def apply(self, store: Store) -> bool:
        """Put it into the store and tell the listeners, unless the client was faster; whether it was put in."""
        # the socket's own time-outs end no answer that comes byte by byte
        await asyncio.to_thread(self._thread.join, PATIENCE)
        event = self._event
        if event is None:
            return False
        try:
            snapshot = await asyncio.to_thread(codec.decode, event.data, TasksSnapshot)
            database, seq = parse_event_id(event.id)
        except ValueError:
            return False
        if store.cursor(TASKS) is not None:
            return False
        store.open(TASKS)
        store.apply(TASKS, EventName.SNAPSHOT, snapshot, seq, database, len(event.data))
        store.flush()
        return True

    def _read(self) -> None:
        try:
            with closing(self._connect()) as connection:
                connection.settimeout(ANSWER_SECONDS)
                token = f"Authorization: Bearer {self._target.token}\r\n" if self._target.token else ""
                host = urlsplit(self._target.base_url).netloc
                # version 1.0 asks for an answer that is not cut into chunks
                connection.sendall(f"GET /v1/events?topic=tasks HTTP/1.0\r\nHost: {host}\r\n{token}\r\n".encode())
                with connection.makefile("rb") as answer:
                    if b" 200 " not in answer.readline(1000):
                        return
                    while answer.readline(10_000).strip():
                        pass
                    self._event = _first_snapshot(answer)
        except (OSError, StrangeAnswerError):
            return

    def _connect(self) -> socket.socket:
        if self._target.uds is not None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(self._target.uds)
            except OSError:
                connection.close()
                raise
            return connection
        url = urlsplit(self._target.base_url)
        if url.scheme != "http" or url.path:
            raise ConnectionError("only the client speaks TLS")
        return socket.create_connection((url.hostname, url.port or 80), ANSWER_SECONDS)


def _first_snapshot(answer: BufferedReader) -> ServerSentEvent | None:
    """The first event, if it is a snapshot that can be resumed from; raises as `EventReader.feed` does."""
    reader = EventReader()
    while piece := answer.read1(PIECE):
        for event in reader.feed(piece):
            return event if event.name == EventName.SNAPSHOT and event.id else None
    return None
