"""What an agent has asked is answered once, also when the backend is killed as it answers: in the moment before the
answer is sent, and in the one after.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from backend_stub.agents.sandbox_agent import server_log
from backend_stub.agents.sandbox_agent.server_log import ServerLog
from tests.backend.process import BACKEND, BackendProcess
from tests.local.world import LocalWorld
from tests.world import Json

pytestmark = pytest.mark.slow

DIES = """\
import os, signal, sys
from backend_stub.__main__ import main
from backend_stub.agents.sandbox_agent.connection import AgentConnection

answer = AgentConnection._answer

async def die(connection, body):
    if {sent}:
        await answer(connection, body)
    os.kill(os.getpid(), signal.SIGKILL)

AgentConnection._answer = die
sys.exit(main())
"""
"""A backend that is killed as it answers, once the answer was `sent` or before."""

ASKED = json.dumps(
    {
        "toolCall": {"toolCallId": "t", "title": "Go on?", "kind": "execute"},
        "options": [{"optionId": "yes", "name": "Allow", "kind": "allow_once"}],
    }
)
FORM = json.dumps(
    {
        "mode": "form",
        "message": "Which?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
)


@pytest.fixture(params=[False, True], ids=["killed before it is sent", "killed after it was sent"])
def dying(request: pytest.FixtureRequest, world: LocalWorld) -> Iterator[BackendProcess]:
    """A backend that will be killed as it answers its agent for the first time."""
    with BackendProcess(world.folder, world.environ) as backend:
        backend.program = (sys.executable, "-c", DIES.format(sent=request.param))
        yield backend.start()
        world.tasks += [task["task_id"] for task in backend.get("/v1/tasks")["tasks"]]


def go_on_once_it_is_dead(backend: BackendProcess) -> None:
    assert backend.died() == -signal.SIGKILL
    backend.program = BACKEND
    backend.start()


def question(backend: BackendProcess, task_id: str) -> Json:
    task = backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    [asked] = [each for each in task["permissions"] if each["state"] == "open"]
    return dict(asked)


def answer(backend: BackendProcess, asked: Json, body: Json) -> None:
    """Answer the question; the backend may be dead before it has said that it did."""
    with suppress(httpx.HTTPError):
        backend.http.post(f"/v1/permissions/{asked['permission_id']}", json=body)


def responses(world: LocalWorld) -> list[Json]:
    """All that the agent was answered."""
    return [entry["message"] for entry in world.agent_saw("response")]


@pytest.mark.parametrize("verb", ["request", "request-in-silence"])
def test_a_permission(dying: BackendProcess, world: LocalWorld, verb: str) -> None:
    task = dying.create(f"{verb} {ASKED}\nask execute And then?", repo=str(world.repository))
    answer(dying, question(dying, task["task_id"]), {"option_id": "yes"})
    go_on_once_it_is_dead(dying)
    then = question(dying, task["task_id"])
    assert then["title"] == "And then?", "it asks that only once it has the answer"
    answer(dying, then, {"option_id": "no"})
    dying.wait_task(task["task_id"], "idle")
    assert [each["result"]["outcome"]["optionId"] for each in responses(world)] == ["yes", "no"]


def test_a_form(dying: BackendProcess, world: LocalWorld) -> None:
    task = dying.create(f"elicit {FORM}\nask execute And then?", repo=str(world.repository))
    filled = {"action": "accept", "content": {"name": "the other"}}
    answer(dying, question(dying, task["task_id"]), filled)
    go_on_once_it_is_dead(dying)
    answer(dying, question(dying, task["task_id"]), {"option_id": "yes"})
    dying.wait_task(task["task_id"], "idle")
    assert [response["result"].get("outcome", response["result"]) for response in responses(world)] == [
        filled,
        {"outcome": "selected", "optionId": "yes"},
    ]


def test_what_is_not_supported(dying: BackendProcess, world: LocalWorld) -> None:
    task = dying.create("call fs/write_text_file\nsay done", repo=str(world.repository))
    go_on_once_it_is_dead(dying)
    dying.wait_task(task["task_id"], "idle")
    [response] = responses(world)
    assert response["error"]["code"] == -32601


def test_a_question_of_a_turn_that_is_stopped(dying: BackendProcess, world: LocalWorld) -> None:
    task = dying.create(f"request-in-silence {ASKED}", repo=str(world.repository))
    question(dying, task["task_id"])
    session_id = task["sessions"][0]["session_id"]
    with suppress(httpx.HTTPError):
        dying.post(f"/v1/sessions/{session_id}/stop")
    go_on_once_it_is_dead(dying)
    dying.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "p2", "text": "say again"})
    dying.wait_task(task["task_id"], lambda _: dying.kinds(task["task_id"]).count("prompt.answered") == 1)
    [response] = responses(world)
    assert response["result"] == {"outcome": {"outcome": "cancelled"}}


LOG = 'ts=2026-11-30T15:37:52.8Z level=info target=sandbox_agent::acp_proxy_runtime message="acp_proxy: POST '
CAME = LOG + 'received" server_id={} method=<none> id={} bootstrap_agent=None\n'
WENT = LOG + '→ accepted" server_id={} method=<none>\n'


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("lines", "request_id", "passed_on"),
    [
        (CAME.format("s.1", 7) + WENT.format("s.1"), "7", True),
        (CAME.format("s.1", '"\\"6e66-41\\""') + WENT.format("s.1"), '"6e66-41"', True),
        (CAME.format("s.1", 7) + WENT.format("s.1"), '"7"', False),
        (CAME.format("s.1", 7), "7", False),
        (CAME.format("s.1", 7) + CAME.format("t.1", 7) + WENT.format("t.1"), "7", False),
        (WENT.format("s.1") + CAME.format("s.1", 7), "7", False),
        (CAME.format("s.1", 8) + CAME.format("s.1", 7) + WENT.format("s.1"), "7", False),
        (CAME.format("s.1", 8) + CAME.format("s.1", 7) + WENT.format("s.1"), "8", True),
        (CAME.format("s.1", 8) + CAME.format("s.1", 7) + 2 * WENT.format("s.1"), "7", True),
    ],
    ids=[
        *("it was", "a text as its id", "another id", "it came, and no more", "another agent", "another answer"),
        *("the one before it", "the one behind it came", "both"),
    ],
)
async def test_the_log_of_the_server_tells_what_was_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, request_id: str, passed_on: bool
) -> None:
    monkeypatch.setattr(server_log, "PASSING_ON", (0.0,))
    log = tmp_path / "server.log"
    log.write_text(CAME.format("s.1", request_id) + WENT.format("s.1"))
    before = await ServerLog(log).size()
    with log.open("a") as file:
        file.write(lines)
    assert await ServerLog(log).has_passed_on("s.1", request_id, before) is passed_on
