"""Several backends on one PostgreSQL: any of them answers for all, and what one leaves undone another does."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backend.cluster import Cluster
from tests.postgres import why_none
from tests.waiting import until_seen
from tests.world import Json

pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
    pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux"),
]


@pytest.fixture
def two(tmp_path: Path, postgres_url: str) -> Iterator[Cluster]:
    with Cluster(tmp_path, postgres_url) as cluster:
        yield cluster.start()


def is_of_b(task: Json) -> bool:
    return bool(task["host"] == "b")


def test_each_backend_knows_all_hosts_and_answers_for_all_tasks(two: Cluster) -> None:
    first, second = two.hosts
    assert two.states(0) == two.states(1) == {"a": "up", "b": "up"}
    task = two.on(0, "here")
    there = second.create("there", host="a")
    assert there["host"] == task["host"] == "a"
    for task_id in (task["task_id"], there["task_id"]):
        assert second.wait_task(task_id, "idle") == first.get(f"/v1/tasks/{task_id}")
        assert second.get(f"/v1/tasks/{task_id}/checkpoints") == first.get(f"/v1/tasks/{task_id}/checkpoints")
    session = task["sessions"][0]["session_id"]
    second.post(f"/v1/sessions/{session}/prompts", {"prompt_id": "p2", "text": "go on"})
    second.wait_task(task["task_id"], lambda now: "p2" in str(first.effects(effect="deliver_prompt")))
    second.wait_task(task["task_id"], "idle")
    assert first.get(f"/v1/sessions/{session}") == second.get(f"/v1/sessions/{session}")
    assert second.post(f"/v1/tasks/{task['task_id']}/kill")["status"] == "kill_destroy_sandbox"
    second.wait_task(task["task_id"], "killed")
    assert two.twice() == []


def test_a_patch_comes_from_another_host_whole(two: Cluster) -> None:
    first, second = two.hosts
    first.set_script(
        {"default": {"turn": {"steps": [{"tool": "Edit", "edit": {"path": "a.txt", "new": "a\n" * 100_000}}]}}}
    )
    task_id = two.on(0, "edit")["task_id"]
    second.wait_task(task_id, "idle")
    path = f"/v1/tasks/{task_id}/diff?format=patch"
    there = second.http.get(path)
    assert (there.status_code, len(there.content) > 200_000) == (200, True)
    assert there.headers["content-type"] == first.http.get(path).headers["content-type"]
    assert there.content == first.http.get(path).content


def test_what_is_asked_elsewhere_begins_at_once(two: Cluster, tell: Callable[[str], None]) -> None:
    """From the request at one host to the agent on the other."""
    task = two.on(0, "here")
    session = task["sessions"][0]["session_id"]
    two.hosts[1].wait_task(task["task_id"], "idle")
    took = []
    for number in range(20):
        prompt_id, began = f"p{number}", time.time() * 1000
        two.hosts[1].post(f"/v1/sessions/{session}/prompts", {"prompt_id": prompt_id, "text": "go on"})

        def is_answered(now: Json, wanted: str = prompt_id) -> bool:
            return now["status"] == "idle" and bool(two.hosts[0].effects(effect="deliver_prompt", prompt_id=wanted))

        two.hosts[1].wait_task(task["task_id"], is_answered)
        (line,) = two.hosts[0].effects(effect="deliver_prompt", prompt_id=prompt_id)
        took.append(line["at"] - began)
    p50 = sorted(took)[len(took) // 2]
    tell(f"prompt at another host -> agent: p50 {p50:.0f} ms, of 20")
    assert p50 < 1000, "that is no hand-over, but waiting for something"


def test_tasks_of_a_killed_host_go_on_elsewhere(two: Cluster, tell: Callable[[str], None]) -> None:
    two.hosts[0].set_script({"tasks": [{"match": "slow", "create_sandbox": {"ms": 1500}}]})
    ids = [two.on(0, f"slow {number}")["task_id"] for number in range(5)]
    done = two.on(0, "quick")["task_id"]
    two.hosts[1].wait_task(done, "idle")
    two.hosts[0].kill()
    killed = time.monotonic()
    for task_id in (*ids, done):
        two.hosts[1].wait_task(task_id, is_of_b)
    took = time.monotonic() - killed
    tell(f"{len(ids) + 1} tasks of a killed host are another's after {took:.1f} s")
    for task_id in ids:
        assert two.hosts[1].wait_task(task_id, "idle")["host"] == "b"
    session = two.hosts[1].get(f"/v1/tasks/{done}")["sessions"][0]["session_id"]
    two.hosts[1].post(f"/v1/sessions/{session}/prompts", {"prompt_id": "p2", "text": "go on"})
    two.hosts[1].wait_task(done, lambda task: task["status"] == "idle" and task["activity"]["kind"] == "message")
    assert two.states(1) == {"a": "lost", "b": "up"}
    assert two.twice() == []


def test_tasks_of_a_host_that_stops_in_good_order_wait_for_nothing(two: Cluster, tell: Callable[[str], None]) -> None:
    two.hosts[0].set_script({"default": {"create_sandbox": {"ms": 3000}}})
    task_id = two.on(0, "slow")["task_id"]
    two.hosts[1].wait_task(task_id, "init_create_sandbox")
    assert two.hosts[0].stop() == 0
    stopped = time.monotonic()
    two.hosts[1].wait_task(task_id, is_of_b)
    took = time.monotonic() - stopped
    tell(f"the task of a host that stopped is another's after {took:.1f} s")
    two.hosts[1].wait_task(task_id, "idle")
    assert two.twice() == []
    two.hosts[0].start()
    assert two.states(1) == {"a": "up", "b": "up"}


def test_one_name_is_one_host(two: Cluster) -> None:
    two.hosts[0].stop()
    two.hosts[0].options = ("--host", "b", "--database", two.url)
    with pytest.raises(AssertionError, match="choose another name with --host"):
        two.hosts[0].start()


def test_a_frozen_host_writes_nothing_that_its_successor_has_decided(two: Cluster) -> None:
    two.hosts[0].set_script({"default": {"turn": {"ms": 4000}}})
    task_id = two.on(0, "long")["task_id"]
    two.hosts[1].wait_task(task_id, "running")
    two.freeze(0)
    ended = two.hosts[1].wait_task(task_id, "idle")
    assert ended["host"] == "b"
    two.thaw(0)
    until_seen(lambda: two.states(1) == {"a": "up", "b": "up"})
    assert two.hosts[0].get(f"/v1/tasks/{task_id}") == ended
    kinds = two.hosts[0].kinds(task_id)
    assert kinds.count("prompt.answered") == kinds.count("task.idle") == 1
    # Both go on as hosts do.
    for number in (0, 1):
        two.hosts[1 - number].wait_task(two.on(number, "after")["task_id"], "idle")
    assert two.twice() == []


@contextmanager
def commit_of(cluster: Cluster, number: int) -> Iterator[None]:
    """A connection of this host that stands in the midst of a commit, until it is cut."""
    import psycopg

    (host_id,) = (
        host["host_id"] for host in cluster.hosts[0].get("/v1/hosts")["hosts"] if host["name"] == "ab"[number]
    )
    with (
        pytest.raises(psycopg.OperationalError),
        psycopg.connect(cluster.url, application_name=f"foundry {host_id}") as held,
        held.pipeline(),
    ):
        # As it stands in PostgreSQL while a pipeline waits for more: no time-out of an idle transaction counts.
        held.execute("SELECT 1 FROM foundry.meta FOR UPDATE").fetchone()
        held.execute("SELECT 1 FROM foundry.hosts WHERE host_id = %s FOR KEY SHARE", (host_id,)).fetchone()
        yield
        held.execute("SELECT 1").fetchone()


def test_a_commit_that_stands_still_is_cut_off_for_those_that_wait(two: Cluster) -> None:
    """Both hosts stay up: nobody waits for one to be lost."""
    with commit_of(two, 0):
        tasks = [two.on(number, "goes on")["task_id"] for number in (1, 0)]
    for task_id in tasks:
        two.hosts[1].wait_task(task_id, "idle")


def test_a_host_that_is_frozen_in_a_commit_is_lost_as_any_other(two: Cluster) -> None:
    with commit_of(two, 0):
        two.freeze(0)
        until_seen(lambda: two.states(1) == {"a": "lost", "b": "up"})
    two.thaw(0)
    until_seen(lambda: two.states(1) == {"a": "up", "b": "up"})


def test_a_host_that_was_cut_off_in_a_commit_makes_it_again(two: Cluster) -> None:
    import psycopg

    with psycopg.connect(two.url) as held, ThreadPoolExecutor() as threads:
        held.execute("SELECT 1 FROM foundry.meta FOR UPDATE")
        asked = threads.submit(two.on, 0, "again")
        until_seen(lambda: _waits_for_its_turn(two.url))
        two.freeze(0)
        # It is that host's turn to commit, of which it hears nothing.
        held.rollback()
        other = two.on(1, "goes on")
        assert two.states(1) == {"a": "up", "b": "up"}
        two.thaw(0)
        task = asked.result()
    for each in (task, other):
        two.hosts[1].wait_task(each["task_id"], "idle")
    assert two.hosts[1].kinds(task["task_id"])[:2] == ["task.created", "provision.queued"]
    assert two.twice() == []


def _waits_for_its_turn(url: str) -> bool:
    import psycopg

    with psycopg.connect(url) as connection:
        waiting = connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return waiting.fetchone() is not None


def test_a_pull_request_is_kept_true_for_who_reads_at_another_host(two: Cluster) -> None:
    here, there = two.hosts
    here.set_script({"default": {"pull_request": {"checks": "pending"}}})
    task_id = two.on(0, "here")["task_id"]
    there.wait_task(task_id, "idle")
    there.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request"})
    there.wait_task(task_id, lambda task: bool(task.get("pull_request")))
    here.set_script({"default": {"pull_request": {"checks": "passing"}}})
    there.wait_task(task_id, lambda task: task["pull_request"]["checks"]["state"] == "passing")
