"""Answers on a full disk, and beside one that hangs: they go out, and the stream is read on meanwhile."""

import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup
from msgspec import Raw

from backend_stub.agents.sandbox_agent.connection import AgentConnection
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.owner import Owner
from backend_stub.agents.sandbox_agent.server_log import ServerLog
from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.agents.sandbox_agent.state import Owed, PromptMark, StateFolder, StoredSession

pytestmark = pytest.mark.anyio

PERMISSION = "session/request_permission"


class Connection:
    """An agent that says this; what it is answered is kept by the id of its request, and `hanging` ones hang first."""

    def __init__(self, *said: Message, hanging: tuple[str, ...] = ()) -> None:
        self.said = said
        self.hanging = hanging
        self.server_id = "s.1"
        self.server = SimpleNamespace(log=ServerLog(Path("/nonexistent/server.log")))
        self.answered: list[str] = []
        self.begun: list[str] = []
        self.more = anyio.Event()

    async def events(self, after: int, opened: Callable[[], None]) -> AsyncIterator[tuple[int, Message]]:
        opened()
        for number, message in enumerate(self.said, after + 1):
            yield number, message
        await anyio.sleep_forever()

    async def respond(self, request_id: str, result: dict[str, Any]) -> None:
        await self._take(request_id)

    async def refuse(self, request_id: str, method: str | None) -> None:
        await self._take(request_id)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Nothing comes of it."""

    async def _take(self, request_id: str) -> None:
        self.begun.append(request_id)
        self._tell()
        if request_id in self.hanging:
            await anyio.sleep_forever()
        self.answered.append(request_id)
        self._tell()

    def _tell(self) -> None:
        self.more.set()
        self.more = anyio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(20):
            while not condition():
                await self.more.wait()


class FullFolder(StateFolder):
    """On a disk that is full."""

    def save_session(self, session_id: str, document: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class Nobody:
    """Hears what the agent offers, and nothing else."""

    async def changed(self, session: Session, changes: object) -> None:
        """Nothing is kept."""

    def turn_over(self, session: Session) -> None:
        """Nobody waits for it."""


def asked(request_id: int, method: str = PERMISSION) -> Message:
    return Message(id=request_id, method=method, params=Raw(b"{}"))


def live(connection: Connection, folder: StateFolder, group: TaskGroup, **state: Any) -> Session:
    """The session, in the middle of a turn."""
    stored = StoredSession(session_id="s", agent="pi", prompts={"p": PromptMark(rpc_id=3, phase="sent")}, **state)
    owner = cast("Owner[Session]", Nobody())
    return Session.resumed(cast("AgentConnection", connection), stored, folder, group, owner, alive=True)


async def test_on_a_full_disk_an_agent_is_answered_and_its_exit_is_heard(tmp_path: Path) -> None:
    exited = Message(method="_adapter/agent_exited", params=Raw(b'{"code": 3}'))
    asking = Connection(asked(7, "fs/write_text_file"))
    async with anyio.create_task_group() as group:
        live(asking, FullFolder(tmp_path), group)
        await asking.until(lambda: asking.answered == ["7"])
        session = live(Connection(asked(7, "fs/write_text_file"), exited), FullFolder(tmp_path), group)
        with anyio.fail_after(20):
            while not session.gone():
                await session.woken()
        group.cancel_scope.cancel()
    assert session.lost is not None
    assert "exit code 3" in session.lost.message


async def test_a_person_answers_on_a_full_disk(tmp_path: Path) -> None:
    connection = Connection()
    async with anyio.create_task_group() as group:
        session = live(connection, FullFolder(tmp_path), group)
        with anyio.fail_after(20):
            await session.answers.give(5, "7", {})
        group.cancel_scope.cancel()
    assert connection.answered == ["7"]


async def test_the_questions_of_a_turn_that_is_stopped_do_not_wait_for_one_whose_answer_hangs(tmp_path: Path) -> None:
    connection = Connection(hanging=("7", "8"))
    questions = {number: f'{{"id": {number}, "method": "{PERMISSION}"}}' for number in (7, 8, 9)}
    async with anyio.create_task_group() as group:
        session = live(connection, StateFolder(tmp_path), group, asking=questions)
        group.start_soon(session.answers.give, 7, "7", {})
        await connection.until(lambda: connection.begun)
        with anyio.fail_after(20):
            await session.stop()
        await connection.until(lambda: connection.answered == ["9"] and "8" in connection.begun)
        assert sorted(connection.begun) == ["7", "8", "9"], "what is being given is not given twice"
        group.cancel_scope.cancel()


async def test_what_is_owed_is_given_after_a_restart_behind_what_was_read_of_the_stream(tmp_path: Path) -> None:
    connection = Connection()
    owed = {4: Owed(request_id="7", method="fs/write_text_file", refused=True)}
    async with anyio.create_task_group() as group:
        session = live(connection, StateFolder(tmp_path), group, seen=9, owed=owed)
        await connection.until(lambda: connection.answered == ["7"])
        while session.state.owed:
            await anyio.lowlevel.checkpoint()
        assert session.state.answered == [4]
        group.cancel_scope.cancel()
