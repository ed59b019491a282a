"""The floor under creating: the backend's own server around a handler that does one durable SQLite commit.

Run as a process of its own: `python -m tests.bench.durable FOLDER unix:PATH`; it prints a line when it is ready.
"""

import signal
import sqlite3
import sys
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from backend_stub.__main__ import Server
from backend_stub.log import set_up_logging
from backend_stub.server.guard import Guard
from backend_stub.server.hub import Hub
from backend_stub.server.listening import Endpoint, Reach, open_endpoint
from backend_stub.storage.sqlite.opening import connect
from foundry_tui.contract.ids import uuid7


def make_app(connection: sqlite3.Connection) -> ASGIApp:
    """Keeps the body of each request in one commit of its own, then answers with it."""
    connection.execute("CREATE TABLE kept (body BLOB NOT NULL)")

    async def keep(request: Request) -> Response:
        body = await request.body()
        # Outside of a transaction each statement is a commit.
        connection.execute("INSERT INTO kept VALUES (?)", (body,))
        return Response(body, 201, media_type="application/json")

    return Guard(Starlette(routes=[Route("/v1/tasks", keep, methods=["POST"])]), None, frozenset(), uuid7)


async def _serve(app: ASGIApp, endpoint: Endpoint) -> None:
    server = Server(app, Hub("floor").close, None)
    signal.signal(signal.SIGTERM, server.handle_exit)
    print(endpoint.listening, flush=True)
    await server.serve(sockets=[endpoint.socket])


if __name__ == "__main__":
    set_up_logging(None)
    anyio.run(_serve, make_app(connect(Path(sys.argv[1]) / "floor.db", make=True)), open_endpoint(sys.argv[2], Reach()))
