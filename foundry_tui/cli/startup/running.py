"""What a running app knows of its connections, told to whoever asks at a socket of its own; nothing polls."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec
from msgspec import Struct

from foundry_tui.client.statistics import Diagnostics
from foundry_tui.process import backend as daemon
from foundry_tui.settings import config
from foundry_tui.settings.paths import runtime_dir

ANSWER_SECONDS = 2.0


class RunningApp(Struct, frozen=True, kw_only=True):
    """One app of this user, and the figures of its diagnostics screen."""

    pid: int
    backend: str
    diagnostics: Diagnostics


async def tell(backend: str, diagnostics: Callable[[], Diagnostics]) -> None:
    """Answer each connection to this app's socket with its figures, until cancelled.

    An app whose socket cannot be made goes on without one.
    """

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(msgspec.json.encode(RunningApp(pid=os.getpid(), backend=backend, diagnostics=diagnostics())))
        with suppress(OSError):
            await writer.drain()
        writer.close()

    try:
        folder = runtime_dir()
        daemon.make_private(folder)
        path = folder / f"app-{os.getpid()}.sock"
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(answer, path)
        path.chmod(0o600)
    except (OSError, config.ConfigError, daemon.DaemonError):
        return
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


def running_apps() -> Iterator[RunningApp]:
    """The user's running apps; one that does not answer is left out, and the socket of a dead one is removed."""
    for path in sorted(runtime_dir().glob("app-*.sock")):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(str(path))
                with connection.makefile("rb") as answer:
                    yield msgspec.json.decode(answer.read(), type=RunningApp)  # noqa: TID251  # one thread
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except (OSError, msgspec.DecodeError):
                continue
