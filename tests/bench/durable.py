"""The floor under creating: the backend's own server around a handler that does one durable commit.

Run as a process of its own: `python -m tests.bench.durable WHERE unix:PATH`, where the database is that of a folder or
of a `postgresql:` URL; it prints a line when it is ready.
"""

import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import psycopg
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

Keep = Callable[[bytes], Awaitable[object]]
"""Keeps it in one commit of its own: outside of a transaction each statement is a commit."""


async def open_database(where: str) -> Keep:
    """A new table in the database of this URL, or in one of its own in this folder."""
    if where.startswith("postgresql:"):
        server = await psycopg.AsyncConnection.connect(where, autocommit=True)
        await server.execute("CREATE TABLE kept (body BYTEA NOT NULL)")
        return lambda body: server.execute("INSERT INTO kept VALUES (%s)", (body,))
    connection = connect(Path(where) / "floor.db", make=True)
    connection.execute("CREATE TABLE kept (body BLOB NOT NULL)")

    async def keep(body: bytes) -> None:
        connection.execute("INSERT INTO kept VALUES (?)", (body,))

    return keep


def make_app(keep: Keep) -> ASGIApp:
    """Keeps the body of each request, then answers with it."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        await keep(body)
        return Response(body, 201, media_type="application/json")

    return Guard(Starlette(routes=[Route("/v1/tasks", answer, methods=["POST"])]), None, frozenset(), uuid7)


async def _serve(where: str, endpoint: Endpoint) -> None:
    server = Server(make_app(await open_database(where)), Hub("floor").close, None)
    signal.signal(signal.SIGTERM, server.handle_exit)
    print(endpoint.listening, flush=True)
    await server.serve(sockets=[endpoint.socket])


if __name__ == "__main__":
    set_up_logging(None)
    anyio.run(_serve, sys.argv[1], open_endpoint(sys.argv[2], Reach()))
