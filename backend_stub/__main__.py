"""The backend as a process: `python -m backend_stub --data-dir DIR --listen unix:PATH | HOST:PORT`."""

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import uvicorn
from starlette.types import ASGIApp

from backend_stub.console import complain, say
from backend_stub.domain import database_url
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import (
    DatabaseUnusableError,
    SettingError,
    StartError,
    StorageUnavailableError,
    first_of,
)
from backend_stub.domain.settings import Settings, read_settings
from backend_stub.log import keep_secret, set_up_logging
from backend_stub.machine import privacy
from backend_stub.machine.data_folder import Holder, OwnedFolder, owned_folder
from backend_stub.server.guard import Guard
from backend_stub.server.listening import Endpoint, Reach, open_endpoint, read_token
from backend_stub.server.protocol import HEAD_LIMIT, Protocol
from backend_stub.server.routes import make_app
from backend_stub.server.strangers import Strangers
from backend_stub.wiring import open_backend
from foundry_tui.contract.codec import encode
from foundry_tui.contract.variables import fingerprints

STOP_SECONDS = 1.6
"""How long an orderly stop may take before the process ends as it is; all that was answered is committed."""
OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""New objects after which garbage is looked for among them; Python's own 700 are reached by every other request."""
DESCRIPTORS = (65_536, 8_192)
"""Open files and sockets that the process asks for, as far as it may: each stream is one. Not every system has many."""
BACKLOG = 128
"""Connections that are taken in one go; between two of those, what is asked is answered."""


class Server(uvicorn.Server):
    """uvicorn, which calls `stopping` as soon as it is told to stop: it would wait for open streams for ever.

    Make it inside of an event loop. `exit_code` is what the process ends with.
    """

    def __init__(
        self,
        app: ASGIApp,
        stopping: Callable[[], None],
        tls: ssl.SSLContext | None,
        strangers: Strangers | None = None,
    ) -> None:
        class Connection(Protocol):
            """uvicorn makes them itself, so this is how they learn of it."""

        Connection.strangers = strangers
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                backlog=BACKLOG,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=HEAD_LIMIT,
                timeout_keep_alive=60,
                ssl_context_factory=None if tls is None else lambda config, default: tls,
            )
        )
        self.exit_code = 0
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: object) -> None:
        if self.should_exit:
            return
        self.should_exit = True
        # A request or a provider call that ignores being cancelled must not keep the process.
        timer = threading.Timer(STOP_SECONDS, os._exit, (self.exit_code,))
        timer.daemon = True
        timer.start()
        # A signal may come in the middle of anything, such as a stream that looks whether it has ended.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping)


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 then, 1 when it cannot start, 2 for wrong options, settings or demo script."""
    # Until there is a server to stop in good order, there is nothing that would have to be.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    options = _options()
    privacy.begin()
    try:
        set_up_logging(options.log)
    except OSError as error:
        complain(f"foundry backend: the log {options.log} cannot be written: {error.strerror}")
        return 1
    _ask_for_descriptors()
    try:
        settings = read_settings(os.environ, options.max_provisioning)
        # Not for what the backend starts.
        by_environment = os.environ.pop(database_url.VARIABLE, None)
        database: str | None = options.database or by_environment or None
        if database is not None:
            keep_secret(*database_url.secrets_of(database))
        if database is not None and not database_url.is_postgres(database):
            raise StartError(
                f"the database {database_url.without_secret(database)} cannot be used: tasks are kept in PostgreSQL "
                "(postgresql://USER@HOST/NAME), or without --database in SQLite in the data folder"
            )
        token = read_token(options.token_file) if options.token_file is not None else None
        if token is not None:
            keep_secret(token)
        tcp = not options.listen.startswith("unix:")
        if tcp and token is None:
            raise StartError(f"listening on {options.listen} needs a token: name its file with --token-file")
        with owned_folder(options.data_dir) as folder:
            privacy.tighten(folder.path)
            reach = Reach(tuple(options.allow_remote), options.tls_cert, options.tls_key, options.insecure)
            endpoint = open_endpoint(options.listen, reach)
            try:
                return anyio.run(_serve, folder, options.host, database, endpoint, settings, token if tcp else None)
            finally:
                endpoint.remove()
    except (StartError, DatabaseUnusableError, StorageUnavailableError) as error:
        complain(f"foundry backend: {error}")
        return 1
    except SettingError as error:
        complain(f"foundry backend: {error}")
        return 2


async def _serve(
    folder: OwnedFolder,
    host: str | None,
    database: str | None,
    endpoint: Endpoint,
    settings: Settings,
    token: str | None,
) -> int:
    runtime = Runtime()
    server: Server | None = None

    def wrong_script(error: SettingError) -> None:
        if server is not None and not server.should_exit:
            complain(f"foundry backend: {error}")
            server.exit_code = 2
            server.handle_exit(signal.SIGTERM, None)

    try:
        async with open_backend(folder.path, host, database, os.environ, settings, runtime, wrong_script) as backend:
            strangers = Strangers(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if token is not None else None
            app = Guard(make_app(backend), token, endpoint.hosts, runtime.new_id, strangers)
            server = Server(app, backend.stopping, endpoint.tls, strangers)
            for wanted in (signal.SIGTERM, signal.SIGINT):
                signal.signal(wanted, server.handle_exit)
            variables = fingerprints(os.environ)
            folder.tell(Holder(pid=os.getpid(), listening=endpoint.listening, variables=variables))
            _calm_the_collector()
            _say_ready(endpoint.listening)
            await server.serve(sockets=[endpoint.socket])
            endpoint.remove()
            return server.exit_code
    except ExceptionGroup as group:
        # What the backend is made of runs in groups; one failure to start is told as what it is.
        told, others = group.split((StorageUnavailableError, StartError, SettingError, DatabaseUnusableError))
        if told is None or others is not None:
            raise
        raise first_of(told) from group


def _say_ready(listening: str) -> None:
    """Raises `StartError` where nobody can be told."""
    try:
        say(encode({"listening": listening, "pid": os.getpid()}).decode())
    except OSError as error:
        raise StartError(f"standard output cannot be written: {error.strerror}") from error


def _calm_the_collector() -> None:
    """Look for garbage less often, and never in what is there from the start: everything stands still meanwhile."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def _ask_for_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for descriptors in DESCRIPTORS:
        wanted = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="foundry backend serve", description=__doc__)
    parser.add_argument("--data-dir", type=_absolute, required=True)
    parser.add_argument("--listen", required=True, metavar="unix:PATH|HOST:PORT")
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--database", metavar="URL")
    parser.add_argument("--host", metavar="NAME")
    parser.add_argument("--max-provisioning", type=_positive, metavar="N")
    parser.add_argument("--allow-remote", metavar="NAME", action="append", default=[])
    parser.add_argument("--tls-cert", type=Path, metavar="FILE")
    parser.add_argument("--tls-key", type=Path, metavar="FILE")
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--log", type=Path, metavar="FILE")
    return parser.parse_args()


def _absolute(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("name a folder")
    return Path(text).absolute()


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        code = main()
        logging.shutdown()
        sys.stdout.flush()
        # Not by the interpreter's own end, which would close what a storage has left open on purpose.
        os._exit(code)
