"""A backend that ends idle agents, killed while it does so and while they come back: no prompt is lost or twice."""

import pytest

from tests.backend.process import BackendProcess
from tests.local.test_backend import create, is_idle, say, texts
from tests.local.world import LocalWorld
from tests.waiting import until_seen

pytestmark = pytest.mark.slow


@pytest.fixture
def brief(world: LocalWorld) -> LocalWorld:
    """A world whose agents are ended as soon as they are idle, and read their conversation when they are back."""
    world.environ |= {"FOUNDRY_AGENTS_IDLE_MINUTES": "0.001", "ACP_AGENT_LOADS": "1", "ACP_AGENT_SLOW": "0.3"}
    return world


def unloaded(backend: BackendProcess, task_id: str) -> None:
    backend.wait_task(task_id, lambda task: task["sessions"][0]["unloaded_since"] is not None)


@pytest.mark.parametrize(
    "moment", ["as it is unloaded", "while it is away", "as the prompt is queued", "as it is back"]
)
def test_a_kill_loses_and_doubles_nothing(brief: LocalWorld, backend: BackendProcess, moment: str) -> None:
    task_id = create(backend, brief, "say one")
    unloaded(backend, task_id)
    task = backend.get(f"/v1/tasks/{task_id}")
    if moment == "as it is back":
        say(backend, task, "say two", "p2")
        until_seen(lambda: len(brief.agent_pids()) == 2)
    backend.kill()
    backend.start()
    say(backend, task, "say two", "p2")
    backend.wait_task(task_id, lambda task: texts(backend, task)[-1:] == ["two"])
    is_idle(backend, task_id)
    unloaded(backend, task_id)
    assert texts(backend, task) == ["one", "two"]
    given = [each["params"]["prompt"][0]["text"] for each in brief.agent_saw("session/prompt")]
    assert given == ["say one", "say two"]
    until_seen(lambda: not brief.living_agents())
