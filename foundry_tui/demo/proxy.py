"""The demo's line to its backend, which can be cut: a proxy of a Unix socket.

It stands on asyncio's transports: anyio's Unix streams trip over data that comes as they are cancelled.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

CHUNK = 65_536


class Line:
    """Passes connections from one Unix socket to another; `cut` drops all of them, and any new one for a while."""

    def __init__(self, front: Path, back: Path) -> None:
        self._front = front
        self._back = back
        self._carried: set[StreamWriter] = set()
        self._is_cut = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as group:

            def connected(reader: StreamReader, writer: StreamWriter) -> None:
                group.start_soon(self._pass, reader, writer)

            server = await asyncio.start_unix_server(connected, self._front)
            self._front.chmod(0o600)
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                server.close()

    async def cut(self, seconds: float) -> None:
        """Drop every connection, and those that are made within so many seconds."""
        self._is_cut = True
        for writer in self._carried:
            writer.transport.abort()
        try:
            await anyio.sleep(seconds)
        finally:
            self._is_cut = False

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._carried.add(writer)
        try:
            if self._is_cut:
                return
            try:
                back_reader, back_writer = await asyncio.open_unix_connection(self._back)
            except OSError:
                return
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(_copy, reader, back_writer, group.cancel_scope)
                    group.start_soon(_copy, back_reader, writer, group.cancel_scope)
            finally:
                back_writer.transport.abort()
        finally:
            self._carried.discard(writer)
            writer.close()


async def _copy(source: StreamReader, sink: StreamWriter, scope: anyio.CancelScope) -> None:
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        scope.cancel()
