"""A prompt reaches its agent once, also when the backend is killed as it hands it over: before it is sent, or after."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from backend_stub.machine import processes
from tests.backend.process import BackendProcess
from tests.local.world import LocalWorld, open_gate
from tests.waiting import until_seen

pytestmark = pytest.mark.slow

DIES = """\
import os, signal, sys, time
from backend_stub.__main__ import main
from backend_stub.agents.sandbox_agent.connection import AgentConnection

send = AgentConnection.prompt

async def die(connection, rpc_id, params, handed_over):
    def die_now():
        while {sent} and b"method=session/prompt" not in connection.server.log.path.read_bytes():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    if {sent}:
        await send(connection, rpc_id, params, die_now)
    die_now()

AgentConnection.prompt = die
sys.exit(main())
"""
"""A backend that is killed as it hands a prompt over, once the server has it (`sent`), or before."""
LOOKS_BRIEFLY = """\
import sys
from backend_stub.__main__ import main
from backend_stub.agents.sandbox_agent import session

session.EVIDENCE_WAIT = 0.1
sys.exit(main())
"""
"""One that does not wait long for a sign: the agent gives none."""


@pytest.fixture
def backend(world: LocalWorld) -> Iterator[BackendProcess]:
    with BackendProcess(world.folder, world.environ) as backend:
        yield backend
        world.tasks += [task["task_id"] for task in backend.get("/v1/tasks")["tasks"]]


def killed_as_it_hands_over(backend: BackendProcess, world: LocalWorld, *, sent: bool) -> str:
    """The id of a task whose agent says nothing until the gate is opened; the backend is dead."""
    os.mkfifo(world.folder / "gate")
    backend.program = (sys.executable, "-c", DIES.format(sent=sent))
    task_id = backend.start().create(f"wait {world.folder / 'gate'}\nsay done", repo=str(world.repository))["task_id"]
    assert backend.died() == -signal.SIGKILL
    if sent:
        until_seen(lambda: world.agent_saw("session/prompt"))
    backend.program = (sys.executable, "-c", LOOKS_BRIEFLY)
    return str(task_id)


@pytest.mark.parametrize("sent", [False, True])
def test_an_agent_that_thinks_long_is_given_it_once(backend: BackendProcess, world: LocalWorld, sent: bool) -> None:
    task_id = killed_as_it_hands_over(backend, world, sent=sent)
    backend.start().wait_task(task_id, "running")
    open_gate(world.folder / "gate")
    backend.wait_task(task_id, "idle")
    assert len(world.agent_saw("session/prompt")) == 1


@pytest.mark.parametrize("sent", [False, True])
def test_where_its_agent_is_gone_as_well_another_one_is_given_only_what_that_never_had(
    backend: BackendProcess, world: LocalWorld, sent: bool
) -> None:
    task_id = killed_as_it_hands_over(backend, world, sent=sent)
    processes.end_marked(task_id, processes.AGENT_MARK)
    backend.start()
    if sent:
        failed = backend.wait_task(task_id, "error")
        assert "look at what it did" in failed["error"]["message"]
    else:
        backend.wait_task(task_id, "running")
        open_gate(world.folder / "gate")
        backend.wait_task(task_id, "idle")
    assert len(world.agent_saw("session/prompt")) == 1
