"""Being told to stop: whatever the backend does at that moment is not torn."""

import signal
import threading

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from backend_stub.__main__ import Server
from backend_stub.server.hub import Hub
from foundry_tui.contract.events import TASKS

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
    server = Server(app, hub, None)
    subscriber = hub.subscribe(TASKS)
    server.handle_exit(signal.SIGTERM, None)
    at_once = subscriber.ended
    with anyio.fail_after(30):
        assert await subscriber.wait(60)
    assert (at_once, subscriber.ended) == (False, True), "a stream that had just looked would wait for ever"
    assert hub.closed
