"""Being told to stop: whatever the backend does at that moment is not torn."""

import signal
import threading

import anyio
import httpx
import pytest
from starlette.types import Receive, Scope, Send

from backend_stub.__main__ import Server
from backend_stub.server.hub import Hub
from backend_stub.server.routes import make_app
from foundry_tui.contract.events import TASKS
from tests.backend.in_process import InProcess, settings

pytestmark = pytest.mark.anyio


class NoTimer:
    """In place of the timer that ends the process."""

    daemon = False

    def __init__(self, *given: object) -> None:
        """As `threading.Timer`."""

    def start(self) -> None:
        """Never ends anything."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Is never asked."""


async def test_a_signal_does_not_end_streams_in_the_middle_of_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Timer", NoTimer)
    hub = Hub("a-database")
    server = Server(app, hub.close, None)
    subscriber = hub.subscribe(TASKS)
    server.handle_exit(signal.SIGTERM, None)
    at_once = subscriber.ended
    with anyio.fail_after(30):
        assert await subscriber.wait(60)
    assert (at_once, subscriber.ended) == (False, True), "a stream that had just looked would wait for ever"
    assert hub.closed


async def test_a_stream_that_is_asked_for_as_it_stops_is_refused_and_not_opened_to_end_at_once(
    place: InProcess,
) -> None:
    async with place.backend(place.provider(), settings()) as backend:
        transport = httpx.ASGITransport(make_app(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://foundry") as http:
            backend.hub.close()
            answer = await http.get("/v1/events", params={"topic": "tasks"})
    assert answer.status_code == 503
    assert "stopping" in answer.json()["detail"]
