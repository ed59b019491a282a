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
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

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


async def test_what_waits_for_its_time_to_be_said_does_not_make_the_end_fail(
    place: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = place.clock.now()
    monkeypatch.setattr(place.clock, "now", lambda: now)
    steps = [
        {"tool": "grep", "text": "found", "ms": 0},
        {"message": "word", "ms": 300},
        {"message": "late", "ms": 60_000},
    ]
    place.set_script({"default": {"turn": {"steps": steps}}})
    async with place.backend(place.provider(), settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, has_status(TaskStatus.RUNNING))
        session_id = task.sessions[0].session_id

        async def has_spoken() -> bool:
            return len(await backend.storage.item_keys(session_id)) == 3

        await place.until(has_spoken)
