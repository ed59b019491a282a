"""Answers go out whole: a head never wakes whoever waits for what follows it."""

import asyncio

import pytest

from backend_stub.server.protocol import JoiningTransport

HEAD = b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n"

pytestmark = pytest.mark.anyio


class Recorder(asyncio.Transport):
    """Keeps each piece that would be sent, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data, "a selector that is asked to send nothing may wait for ever until it is sent"
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def joining(recorder: Recorder) -> JoiningTransport:
    return JoiningTransport(recorder, asyncio.get_running_loop())


async def test_a_head_goes_out_with_its_body(joining: JoiningTransport, recorder: Recorder) -> None:
    for piece in (HEAD, b"{}", b"", HEAD, b"[]", b""):
        joining.write(piece)
    await asyncio.sleep(0)
    assert recorder.sent == [HEAD + b"{}", HEAD + b"[]"]


async def test_a_head_that_nothing_follows_does_not_wait(joining: JoiningTransport, recorder: Recorder) -> None:
    joining.write(HEAD)
    await asyncio.sleep(0)
    assert recorder.sent == [HEAD]
    joining.write(b"5\r\nlater\r\n")
    assert recorder.sent == [HEAD, b"5\r\nlater\r\n"]


async def test_an_answer_without_body_is_its_head(joining: JoiningTransport, recorder: Recorder) -> None:
    joining.write(HEAD)
    joining.write(b"")
    assert recorder.sent == [HEAD]


async def test_closing_sends_what_is_held(joining: JoiningTransport, recorder: Recorder) -> None:
    joining.write(HEAD)
    joining.close()
    await asyncio.sleep(0)
    assert recorder.sent == [HEAD]
    assert recorder.closed
    assert joining.is_closing()
