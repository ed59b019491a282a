"""The guard around every request: each leaves one line in the log, however it ends."""

import logging

import pytest
from starlette.types import Message, Receive, Scope, Send

from backend_stub.server.guard import Guard

pytestmark = pytest.mark.anyio


class GoneError(Exception):
    """In place of whatever ends a request."""


async def receive() -> Message:
    return {"type": "http.request"}


async def ask(path: str, sent: list[str]) -> None:
    """One request; what became of it goes to `sent`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path == "/cut":
            raise GoneError
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def send(message: Message) -> None:
        sent.append(str(message["type"]))

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    await Guard(app, None, frozenset(), lambda: "an-id")({**scope, "headers": []}, receive, send)


async def test_every_request_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sent: list[str] = []
    await ask("/whole", sent)
    with pytest.raises(GoneError):
        await ask("/cut", sent)
    assert [record.getMessage() for record in caplog.records] == ["GET /whole", "GET /cut"]
    assert len(sent) == 5
