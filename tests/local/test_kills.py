"""Backends, servers and agents killed at random moments, with questions open and prompts queued."""

import os
import random
import signal
import time
from collections import Counter

import pytest

from backend_stub.machine import processes
from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.world import LocalWorld
from tests.world import Json

pytestmark = pytest.mark.slow

TASKS = 4
TURNS = 3
KILLS = 12
SEEDS = [int(seed) for seed in os.environ.get("FOUNDRY_TEST_SEEDS", "1").split(",")]


def session_of(backend: BackendProcess, task: Json) -> Json:
    return backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")


def answer(backend: BackendProcess, task: Json) -> None:
    """Answer what the task asks; a question that is closed by now is none."""
    for permission in backend.get(f"/v1/tasks/{task['task_id']}").get("permissions", ()):
        if permission["state"] == "open":
            backend.http.post(f"/v1/permissions/{permission['permission_id']}", json={"option_id": "yes"})


def kill_something(backend: BackendProcess, world: LocalWorld, chance: random.Random) -> None:
    what, agents = chance.random(), world.living_agents()
    if what < 0.6:
        backend.kill()
        backend.start()
    elif what < 0.8 and agents:
        os.kill(chance.choice(agents), signal.SIGKILL)
    else:
        processes.end_marked(chance.choice(world.tasks), processes.AGENT_MARK)


def settle(backend: BackendProcess, task: Json) -> None:
    """Answer and retry until every prompt of the task has come to an end."""
    while any(prompt["state"] in ("queued", "delivered") for prompt in session_of(backend, task)["prompts"]):
        now = backend.wait_task(
            task["task_id"], lambda task: task["needs_input"] or task["status"] in ("idle", "error")
        )
        answer(backend, now)
        if now["status"] == "error":
            backend.post(f"/v1/tasks/{task['task_id']}/retry")


def check(session: Json, handed: Counter[tuple[int, str]]) -> Counter[str]:
    """Nothing is lost or told twice, and what did not come to its end says so; how many prompts ended how.

    `handed` counts by agent's pid and text what agents were given.
    """
    items = session["transcript"]
    assert [item["index"] for item in items] == list(range(len(items)))
    told = "|".join(str(item["body"]) for item in items if item["kind"] == "message")
    prompts = Counter(item["body"] for item in items if item["kind"] == "prompt")
    for prompt in session["prompts"]:
        name = prompt["text"].partition("\n")[0].removeprefix("say start ")
        assert prompts[prompt["text"]] <= 1
        assert told.count(f"start {name}") <= 1
        times = [count for (_, text), count in handed.items() if text == prompt["text"]]
        assert set(times) <= {1}
        if prompt["state"] == "answered":
            assert times
            assert prompts[prompt["text"]] == 1
            assert told.count(f"start {name}") == told.count(f"end {name}") == 1
        else:
            assert "agent" in prompt["error"]["message"]
    return Counter(prompt["state"] for prompt in session["prompts"])


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_random_moments(world: LocalWorld, seed: int) -> None:
    chance = random.Random(seed)
    backend = BackendProcess(world.folder, world.environ)
    backend.start()
    try:
        tasks = []
        for number in range(TASKS):
            texts = [
                f"say start {number}.{turn}\nask execute Go on?\nwrite {number}.txt x\nsay end {number}.{turn}"
                for turn in range(TURNS)
            ]
            task = backend.create(texts[0], repo=str(world.repository))
            world.tasks.append(task["task_id"])
            tasks.append(task)
            for turn in range(1, TURNS):
                path = f"/v1/sessions/{task['sessions'][0]['session_id']}/prompts"
                backend.post(path, {"prompt_id": f"t{number}-{turn}", "text": texts[turn]})
        for _ in range(KILLS):
            # Not a wait for something: the length of time in which nobody is killed.
            time.sleep(chance.uniform(0.02, 0.5))
            for task in tasks:
                if chance.random() < 0.5:
                    answer(backend, task)
            kill_something(backend, world, chance)
        for task in tasks:
            settle(backend, task)
        handed = Counter(
            (entry["pid"], entry["params"]["prompt"][0]["text"]) for entry in world.agent_saw("session/prompt")
        )
        ended: Counter[str] = Counter()
        for task in tasks:
            ended += check(session_of(backend, task), handed)
        assert ended.total() == TASKS * TURNS
        # A backend that dies within the moment in which it sends a prompt cannot know whether the agent has it; when
        # that agent and its server are killed too, its successor is given the prompt. Once a run is bad luck enough.
        assert len(handed) <= len({text for _, text in handed}) + 1
        for task in tasks:
            backend.post(f"/v1/tasks/{task['task_id']}/kill", {"force": True, "delete_branch": True})
        for task in tasks:
            backend.wait_task(task["task_id"], "killed")
        assert world.living_agents() == []
        assert len(git(world.repository, "worktree", "list").splitlines()) == 1
        assert git(world.repository, "branch", "--format=%(refname:short)").split() == ["main"]
        assert list((world.data / "sandboxes").iterdir()) == []
        print(f"{TASKS} tasks, {KILLS} kills, prompts: {dict(ended)}")
    finally:
        backend.close()
