"""Backends on one PostgreSQL are killed, frozen and thawed in turn, while tasks are made and prompts are said."""

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.cluster import Cluster, without_history
from tests.postgres import why_none
from tests.waiting import until_seen
from tests.world import Json

pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
    pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux"),
]

SCRIPT = {
    "default": {
        "ensure_name": {"ms": 50},
        "create_sandbox": {"ms": 600},
        "ensure_agent": {"ms": 200},
        "create_session": {"ms": 100},
        "turn": {"ms": 1500, "reply": "Done."},
    }
}
STAGES = ("ensure_name", "create_sandbox", "ensure_agent", "create_session")


class Hopper:
    """A client that resumes its stream at another host each time, and what it holds."""

    def __init__(self) -> None:
        self.tasks: dict[str, Json] = {}
        self._last: str | None = None

    def hop(self, cluster: Cluster, number: int) -> None:
        """Read on at this host until all is known that it knew by then."""
        seq = int(cluster.hosts[number].get("/v1/tasks")["seq"])
        with cluster.hosts[number].events("tasks", self._last) as events:
            for event in events:
                data = json.loads(event.data)
                if event.event == "snapshot":
                    self.tasks = {task["task_id"]: task for task in data["tasks"]}
                elif event.event == "task":
                    held = self.tasks.get(data["task_id"])
                    if held is None or held["revision"] < data["revision"]:
                        self.tasks[data["task_id"]] = data
                self._last = event.id or self._last
                if data.get("seq", 0) >= seq or int((event.id or "-0").rpartition("-")[2]) >= seq:
                    return


class Faults:
    """What is done to the hosts, and what is asked of those that are up meanwhile."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.ids: list[str] = []
        self.prompts: dict[str, str] = {}
        """What was said later, by prompt_id, in which task."""
        self.done: Counter[str] = Counter()
        self.hopper = Hopper()

    def ask(self, method: str, path: str, body: Json, avoid: int) -> Json:
        """Ask one host after another until one answers: what is asked again by the same ids is done once."""
        for _ in range(60):
            number = self.random.choice([each for each in range(len(self.cluster.hosts)) if each != avoid])
            try:
                answer = self.cluster.hosts[number].http.request(method, path, json=body)
            except httpx.TransportError:
                continue
            if answer.status_code != 503:
                assert answer.status_code < 300, answer.text
                told: Json = answer.json()
                return told
        raise AssertionError(f"nobody answers {method} {path}: {self.cluster.said()}")

    def create(self, count: int, avoid: int = -1) -> None:
        for _ in range(count):
            body = {"repo": str(self.cluster.hosts[0].repository), "prompt": f"task {len(self.ids)}"}
            self.ids.append(self.ask("POST", "/v1/tasks", {**body, "task_id": uuid7()}, avoid)["task_id"])

    def say_more(self, avoid: int) -> None:
        """Say something in a task, whichever host has it and whatever it does."""
        task_id = self.random.choice(self.ids)
        task = self.cluster.hosts[(avoid + 1) % 3].get(f"/v1/tasks/{task_id}")
        prompt_id = uuid7()
        self.prompts[prompt_id] = task_id
        path = f"/v1/sessions/{task['sessions'][0]['session_id']}/prompts"
        self.ask("POST", path, {"prompt_id": prompt_id, "text": "go on"}, avoid)

    def one(self, number: int, tasks: int) -> None:
        """One fault, with so many tasks made before and beside it; at its end every host is up."""
        cluster, victim = self.cluster, number % 3
        kind = ("kill", "freeze", "hiccup")[(number // 3 + number) % 3]
        self.create(tasks - tasks // 2)
        name = cluster.name(victim)
        if kind == "kill":
            cluster.hosts[victim].kill()
        else:
            cluster.freeze(victim)
        self.create(tasks // 2, avoid=victim)
        self.say_more(victim)
        self.hopper.hop(cluster, (victim + 1) % 3)
        if kind != "hiccup":
            until_seen(lambda: cluster.states((victim + 1) % 3)[name] == "lost")
        if kind == "kill":
            cluster.hosts[victim].start()
        else:
            cluster.thaw(victim)
        until_seen(lambda: set(cluster.states((victim + 2) % 3).values()) == {"up"})
        self.hopper.hop(cluster, victim)
        self.done[kind] += 1

    def finish(self) -> None:
        """All that was asked for is done, once, and every host tells the same of it."""
        cluster = self.cluster
        until_seen(lambda: {task["status"] for task in cluster.tasks(0)} == {"idle"}, 90)
        until_seen(lambda: self.said() == self.prompts.keys(), 30)
        until_seen(lambda: {task["status"] for task in cluster.tasks(0)} == {"idle"}, 30)
        # What became of a branch is found out behind the end of a turn, and may be told between two questions.
        until_seen(self.is_told_alike, 30)
        assert self.hopper.tasks.keys() == set(self.ids)
        assert cluster.twice() == []
        for task_id in self.ids:
            self.check_history(task_id)

    def is_told_alike(self) -> bool:
        """Whether all hosts, and the client that went from one to the other, have the same tasks in the same state."""
        self.hopper.hop(self.cluster, 1)
        told = [self.cluster.tasks(number) for number in range(3)]
        hopped, *hosts = [
            {task["task_id"]: without_history(task) for task in tasks} for tasks in (self.hopper.tasks.values(), *told)
        ]
        return all(host == hopped for host in hosts)

    def said(self) -> set[str]:
        lines = self.cluster.hosts[0].effects(effect="deliver_prompt")
        return {line["prompt_id"] for line in lines} & self.prompts.keys()

    def check_history(self, task_id: str) -> None:
        events = self.cluster.hosts[self.random.randrange(3)].get(f"/v1/tasks/{task_id}/history")["events"]
        assert [event["kind"] for event in events[:2]] == ["task.created", "provision.queued"]
        stages = [event["payload"]["stage"] for event in events if event["kind"] == "stage.completed"]
        assert stages == list(STAGES), f"{task_id}: {stages}"
        for kind in ("prompt.delivered", "prompt.answered"):
            of_each = Counter(event["payload"]["prompt_id"] for event in events if event["kind"] == kind)
            assert set(of_each.values()) == {1}, f"{task_id}: {kind} {of_each}"


def try_out(folder: Path, url: str, faults: int, tasks: int, tell: Callable[[str], None]) -> None:
    with Cluster(folder, url, 3) as cluster:
        cluster.hosts[0].set_script(SCRIPT)
        cluster.start()
        tried = Faults(cluster, seed=faults)
        try:
            for number in range(faults):
                tried.one(number, tasks // faults)
            tried.finish()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{cluster.said()[-8000:]}") from error
        done = ", ".join(f"{count} {kind}s" for kind, count in sorted(tried.done.items()))
        moved = sum("provision.resumed" in cluster.hosts[0].kinds(task_id) for task_id in tried.ids)
        tell(
            f"3 hosts, {len(tried.ids)} tasks, {len(tried.prompts)} prompts; {done}; {moved} tasks resumed; none twice"
        )


def test_nothing_is_lost_or_done_twice(tmp_path: Path, postgres_url: str, tell: Callable[[str], None]) -> None:
    try_out(tmp_path, postgres_url, 3, 30, tell)


@pytest.mark.skipif("FOUNDRY_TESTS_EVERY" in os.environ, reason="it takes minutes, and only some cases are wanted")
@pytest.mark.timeout(1200)
def test_nothing_is_lost_or_done_twice_for_long(tmp_path: Path, postgres_url: str, tell: Callable[[str], None]) -> None:
    try_out(tmp_path, postgres_url, 30, 300, tell)
