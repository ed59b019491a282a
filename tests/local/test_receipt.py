"""A prompt that was on its way to the agent when the backend died: handed over once, whoever is slow."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import Raw

from backend_stub.agents.sandbox_agent import server_log
from backend_stub.agents.sandbox_agent import session as sessions
from backend_stub.agents.sandbox_agent.connection import AgentConnection, ServerRefusedError, UnsentError
from backend_stub.agents.sandbox_agent.content import text_alone
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.owner import Owner
from backend_stub.agents.sandbox_agent.receipts import PIPE_HOLDS, note_given
from backend_stub.agents.sandbox_agent.server_log import ServerLog
from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.agents.sandbox_agent.state import ENDED, PromptMark, StateFolder, StoredSession

pytestmark = pytest.mark.anyio

WORD = Message(method="session/update", params=Raw(b'{"update": {"sessionUpdate": "agent_message_chunk"}}'))


class SlowConnection:
    """Its stream stands after a while, with what the agent has said by then; prompts are counted."""

    def __init__(self, *said: Message, log: Path = Path("/nonexistent/server.log")) -> None:
        self.said = said
        self.prompts = 0
        self.server = SimpleNamespace(log=ServerLog(log))

    async def events(self, after: int, opened: Callable[[], None]) -> AsyncIterator[tuple[int, Message]]:
        await anyio.sleep(0.3)
        opened()
        for number, message in enumerate(self.said, after + 1):
            yield number, message
        await anyio.sleep_forever()

    async def prompt(self, rpc_id: int, params: dict[str, Any], handed_over: Callable[[], None]) -> None:
        self.prompts += 1
        handed_over()


class DeadConnection(SlowConnection):
    """Of an agent that has exited, whose last words are long in coming; it is refused what it is sent, but late."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = anyio.Event()

    async def events(self, after: int, opened: Callable[[], None]) -> AsyncIterator[tuple[int, Message]]:
        opened()
        await self.sent.wait()
        yield after + 1, Message(method="_adapter/agent_exited", params=Raw(b"{}"))

    async def prompt(self, rpc_id: int, params: dict[str, Any], handed_over: Callable[[], None]) -> None:
        handed_over()
        self.sent.set()
        await anyio.sleep(0.3)
        raise ServerRefusedError("the agent has ended", 404)


class Nobody:
    """Hears what the agent offers, and nothing else: it lives, and no turn ends."""

    async def changed(self, session: Session, changes: object) -> None:
        """Nothing is kept."""


def sending(logged: int = 0, size: int = 20) -> StoredSession:
    """The state of a session in which a prompt, p, was being sent."""
    mark = PromptMark(rpc_id=3, size=size, logged=logged)
    return StoredSession(session_id="s", server_id="s.1", agent="pi", next_id=4, seen=7, prompts={"p": mark})


def resumed(connection: SlowConnection, folder: Path, group: TaskGroup, logged: int = 0, size: int = 20) -> Session:
    """That session, found again."""
    state = sending(logged, size)
    return Session.resumed(
        cast("AgentConnection", connection),
        state,
        StateFolder(folder),
        group,
        cast("Owner[Session]", Nobody()),
        alive=True,
    )


@pytest.mark.parametrize(("said", "sent"), [((WORD,), 0), ((), 1)], ids=["the agent has it", "it never arrived"])
async def test_it_is_sent_again_only_if_the_agent_gives_no_sign_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[Message, ...], sent: int
) -> None:
    # What is waited for is due from when the stream stands on.
    monkeypatch.setattr(sessions, "LISTEN_WAIT", math.inf)
    monkeypatch.setattr(sessions, "EVIDENCE_WAIT", 0.05)
    monkeypatch.setattr(sessions, "RECEIPT_GRACE", 0.05)
    connection = SlowConnection(*said)
    async with anyio.create_task_group() as group:
        session = resumed(connection, tmp_path, group)
        with anyio.fail_after(20):
            await session.hand_over("p", text_alone("do it").blocks)
        assert (connection.prompts, session.has("p")) == (sent, True)
        group.cancel_scope.cancel()


CAME = (
    "ts=2026-11-30T15:37:52.8Z level=info target=sandbox_agent::acp_proxy_runtime "
    'message="acp_proxy: POST received" server_id={} method=session/prompt id={} bootstrap_agent=None\n'
)
ENDED_BADLY = (
    "ts=2026-11-30T15:37:52.9Z level=error target=sandbox_agent::acp_proxy_runtime "
    'message="acp_proxy: POST → error" server_id={} method=session/prompt id={} total_ms=1 error="{}"\n'
)


@pytest.mark.parametrize(
    ("lines", "has_it"),
    [
        (CAME.format("s.1", 3), True),
        (CAME.format("s.1", 3) + ENDED_BADLY.format("s.1", 3, "timeout waiting for response"), True),
        (CAME.format("s.1", 3) + ENDED_BADLY.format("s.1", 3, "failed to write subprocess stdin: Broken pipe"), False),
        (CAME.format("s.1", 2) + CAME.format("s.1", 33), False),
        (CAME.format("s.2", 3) + CAME.format("t.1", 3), False),
        (CAME.format("s.1", 3).rstrip("\n")[:-40], False),
    ],
    ids=["it came", "its turn was long", "the agent was dead", "another request", "another agent", "half a line"],
)
async def test_what_the_log_of_the_server_has_is_not_sent_again_however_long_the_agent_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, has_it: bool
) -> None:
    monkeypatch.setattr(sessions, "EVIDENCE_WAIT", math.inf if has_it else 0.05)
    monkeypatch.setattr(sessions, "RECEIPT_GRACE", 0.05)
    log = tmp_path / "server.log"
    log.write_text(CAME.format("s.1", 3))
    before = log.stat().st_size
    with log.open("a") as file:
        file.write(lines)
    connection = SlowConnection(log=log)
    async with anyio.create_task_group() as group:
        session = resumed(connection, tmp_path, group, before)
        with anyio.fail_after(20):
            await session.hand_over("p", text_alone("do it").blocks)
        assert (connection.prompts, session.has("p")) == (int(not has_it), True)
        group.cancel_scope.cancel()


async def test_what_may_have_come_in_part_is_given_to_an_agent_that_has_no_half_line_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "EVIDENCE_WAIT", 0.05)
    log = tmp_path / "server.log"
    log.write_text(CAME.format("s.1", 3))
    for said, has_it in (((WORD,), True), ((), False)):
        connection = SlowConnection(*said, log=log)
        async with anyio.create_task_group() as group:
            session = resumed(connection, tmp_path, group, size=PIPE_HOLDS)
            with anyio.fail_after(20), nullcontext() if has_it else pytest.raises(UnsentError, match="in part"):
                await session.hand_over("p", text_alone("do it").blocks)
            assert (connection.prompts, session.has("p")) == (0, has_it)
            group.cancel_scope.cancel()


async def test_what_an_agent_had_that_went_away_with_its_server_is_not_given_to_the_next_one(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(CAME.format("s.1", 3))
    had, had_not = sending(), sending(logged=log.stat().st_size)
    for state in (had, had_not):
        await note_given(ServerLog(log), state)
        state.begin_anew("another life", "it went away")
    assert (had.prompts["p"].phase, had.prompts["p"].error) == (ENDED, "it went away")
    assert not had_not.prompts


async def test_attempts_that_are_cut_before_a_sign_is_due_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "EVIDENCE_WAIT", 0.5)
    monkeypatch.setattr(sessions, "RECEIPT_GRACE", 0.05)
    connection = SlowConnection()
    async with anyio.create_task_group() as group:
        session = resumed(connection, tmp_path, group)
        with anyio.fail_after(10):
            while not session.has("p"):
                with anyio.move_on_after(0.2):
                    await session.hand_over("p", text_alone("do it").blocks)
        assert connection.prompts
        group.cancel_scope.cancel()


async def test_an_attempt_that_is_cut_just_before_it_sends_leaves_the_prompt_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for one of an earlier turn then, and so for handed over: nobody sent it any more."""
    monkeypatch.setattr(sessions, "EVIDENCE_WAIT", 0.01)
    monkeypatch.setattr(sessions, "RECEIPT_GRACE", 0.01)
    reached = anyio.Event()

    async def hang(_: ServerLog) -> int:
        reached.set()
        await anyio.sleep_forever()
        raise AssertionError

    connection = SlowConnection()
    async with anyio.create_task_group() as group:
        session = resumed(connection, tmp_path, group)
        with monkeypatch.context() as patch:
            patch.setattr(ServerLog, "size", hang)
            async with anyio.create_task_group() as attempt:
                attempt.start_soon(session.hand_over, "p", text_alone("do it").blocks)
                with anyio.fail_after(10):
                    await reached.wait()
                attempt.cancel_scope.cancel()
        assert not session.has("p")
        with anyio.fail_after(10):
            await session.hand_over("p", text_alone("do it").blocks)
        assert connection.prompts == 1
        group.cancel_scope.cancel()


async def test_what_an_agent_that_has_exited_is_refused_is_not_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "RECEIPT_GRACE", 0.05)
    monkeypatch.setattr(server_log, "LAST_WORDS_PAUSES", (math.inf,))
    async with anyio.create_task_group() as group:
        session = resumed(DeadConnection(), tmp_path, group)
        session.state.prompts.clear()
        with anyio.fail_after(10), pytest.raises(UnsentError, match="the agent has ended"):
            await session.hand_over("q", text_alone("do it").blocks)
        assert not session.has("q")
        group.cancel_scope.cancel()
