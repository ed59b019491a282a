"""The floor under creating: the backend's own server around a handler that does one durable SQLite commit.

Run as a process of its own: `python -m tests.bench.durable FOLDER unix:PATH`; it prints a line when it is ready.
"""

import signal
import sqlite3
import sys
from pathlib import Path

import anyio
from starlette.types import Receive, Scope, Send

from backend_stub.__main__ import Server
from backend_stub.listening import Endpoint, Reach, open_endpoint
from backend_stub.server.hub import Hub
from backend_stub.storage.sqlite import connect


class Durable:
    """The ASGI application: keeps the body of each request in one commit of its own, then answers with it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE kept (body BLOB NOT NULL)")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        # Outside of a transaction each statement is a commit.
        self._connection.execute("INSERT INTO kept VALUES (?)", (body,))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _serve(app: Durable, endpoint: Endpoint) -> None:
    server = Server(app, Hub("floor"), None)
    signal.signal(signal.SIGTERM, server.handle_exit)
    print(endpoint.listening, flush=True)
    await server.serve(sockets=[endpoint.socket])


if __name__ == "__main__":
    anyio.run(_serve, Durable(connect(Path(sys.argv[1]) / "floor.db")), open_endpoint(sys.argv[2], Reach()))
