"""The demo's line to its backend, which can be cut: a proxy of a Unix socket."""

from contextlib import suppress
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketStream, TaskStatus

CHUNK = 65_536


class Line:
    """Passes connections from one Unix socket to another; `cut` drops all of them and lets none in for a while."""

    def __init__(self, front: Path, back: Path) -> None:
        self._front = front
        self._back = back
        self._listening: anyio.CancelScope | None = None
        self._mended = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        started = False
        while True:
            with anyio.CancelScope() as scope:
                self._listening = scope
                async with await anyio.create_unix_listener(self._front, mode=0o600) as listener:
                    if not started:
                        task_status.started()
                        started = True
                    # handlers live in the listener's own group, so cutting ends them too
                    await listener.serve(self._pass)
            self._front.unlink(missing_ok=True)
            await self._mended.wait()

    async def cut(self, seconds: float) -> None:
        """Drop every connection, and refuse new ones for so long."""
        self._mended = anyio.Event()
        if self._listening is not None:
            self._listening.cancel()
        try:
            await anyio.sleep(seconds)
        finally:
            self._mended.set()

    async def _pass(self, client: SocketStream) -> None:
        async with client:
            try:
                backend = await anyio.connect_unix(self._back)
            except OSError:
                return
            async with backend, anyio.create_task_group() as group:
                group.start_soon(_copy, client, backend, group.cancel_scope)
                group.start_soon(_copy, backend, client, group.cancel_scope)


async def _copy(source: ByteStream, sink: ByteStream, scope: anyio.CancelScope) -> None:
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            await sink.send(await source.receive(CHUNK))
    scope.cancel()
