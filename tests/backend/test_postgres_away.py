"""PostgreSQL is away, stands still, fails over or keeps notifications to itself while two hosts work: they say so, tell
nothing false, and go on by themselves, with all done once.
"""

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.cluster import Cluster
from tests.backend.wire import Wire
from tests.postgres import OWNER, PostgresServer, name_of, why_none
from tests.waiting import until_seen
from tests.world import Json

FOR_LONG = pytest.mark.skipif("FOUNDRY_TESTS_EVERY" in os.environ, reason="it takes half a minute")
pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
    pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux"),
]

SLOWLY = {"default": {"create_sandbox": {"ms": 1500}, "turn": {"ms": 1500}}}
AWAY_SECONDS = 20.0
"""More than anything waits for."""


class Watcher:
    """The stream of all tasks at one host, as it is told from the beginning to the end of a test."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.told: list[tuple[int, str, int]] = []
        """The seq, task and revision of each event that told of a task."""
        self.ended = False
        self._host = cluster.hosts[number]
        self._begun = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._begun.wait(30)

    def knows(self, tasks: Sequence[Json]) -> bool:
        newest = {task_id: revision for _, task_id, revision in self.told}
        return newest == {task["task_id"]: task["revision"] for task in tasks}

    def revisions(self) -> list[list[int]]:
        """Those of each task, as they were told."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for _, task_id, revision in self.told:
            found[task_id].append(revision)
        return list(found.values())

    def _read(self) -> None:
        with suppress(httpx.HTTPError), self._host.events("tasks") as events:
            for event in events:
                self._begun.set()
                if event.event == "task":
                    task = event.json()
                    self.told.append((int(event.id.rpartition("-")[2]), task["task_id"], task["revision"]))
        self.ended = True


@contextmanager
def watched(cluster: Cluster) -> Iterator[None]:
    """The streams of both hosts stay open all the while, and tell every revision of every task once, in one order."""
    first, second = watchers = [Watcher(cluster, number) for number in (0, 1)]
    yield
    until_seen(lambda: {task["status"] for task in cluster.tasks(0)} == {"idle"}, 60)
    until_seen(lambda: all(watcher.knows(cluster.tasks(0)) for watcher in watchers))
    assert not first.ended and not second.ended
    assert first.told == second.told
    assert [seq for seq, *_ in first.told] == sorted(seq for seq, *_ in first.told)
    assert all(told == list(range(1, len(told) + 1)) for told in first.revisions()), first.revisions()


class Work:
    """What is asked of two hosts before, in and after an outage, each time at the host that does not have the task."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.hosts[0].set_script(SLOWLY)
        self.begun = [cluster.hosts[1 - number].create("begun", host=cluster.name(number)) for number in (0, 1)]
        for task in self.begun:
            cluster.hosts[0].wait_task(task["task_id"], lambda now: now["stages_done"] >= 1)
        self.later = [uuid7(), uuid7()]

    def _asking(self, number: int) -> list[Callable[[], httpx.Response]]:
        """Asks for a new task, and says more in one that is begun: the same at each time."""
        host = self.cluster.hosts[number]
        there = {"host": self.cluster.name(1 - number), "task_id": self.later[number]}
        task = {"repo": str(host.repository), "prompt": "later", **there}
        session_id = self.begun[1 - number]["sessions"][0]["session_id"]
        prompt = {"prompt_id": f"p{number}", "text": "go on"}
        return [
            partial(host.http.post, "/v1/tasks", json=task),
            partial(host.http.post, f"/v1/sessions/{session_id}/prompts", json=prompt),
        ]

    def is_refused(self, *numbers: int) -> None:
        """These hosts say of all that is asked, and of themselves, that their database is away."""
        asking: list[Callable[[], httpx.Response]] = []
        for number in numbers:
            http = self.cluster.hosts[number].http
            asking += [partial(http.get, "/v1/tasks"), partial(http.get, "/v1/hosts"), *self._asking(number)]
        with ThreadPoolExecutor() as threads:
            asked = [threads.submit(ask) for ask in asking]
            for number in numbers:
                health = self.cluster.hosts[number].get("/v1/health")
                assert health["status"] != "ok"
                assert "the database postgresql://" in health["reason"]
        for answer in (each.result() for each in asked):
            assert answer.status_code == 503, answer.text
            assert "the database postgresql://" in answer.json()["detail"]

    def goes_on(self) -> None:
        """All is done that was asked for, once."""
        for number in (0, 1):
            until_seen(partial(self._is_well, number))
            for _ in range(2):
                assert {ask().status_code for ask in self._asking(number)} <= {200, 201, 202}
        until_seen(lambda: self._said() == {"p0", "p1"})
        until_seen(lambda: {task["status"] for task in self.cluster.tasks(0)} == {"idle"})
        assert {task["task_id"] for task in self.cluster.tasks(1)} == {
            *self.later,
            *(task["task_id"] for task in self.begun),
        }
        assert self.cluster.twice() == []
        for task in self.begun:
            kinds = self.cluster.hosts[0].kinds(task["task_id"])
            assert (kinds.count("stage.completed"), kinds.count("prompt.answered")) == (4, 2)

    def _is_well(self, number: int) -> bool:
        return bool(self.cluster.hosts[number].get("/v1/health")["status"] == "ok")

    def _said(self) -> set[str]:
        lines = self.cluster.hosts[0].effects(effect="deliver_prompt")
        return {line["prompt_id"] for line in lines} & {"p0", "p1"}


def leases(server: PostgresServer, database: str = "postgres") -> list[tuple[str, int]]:
    """Who was never taken for lost has the same as before."""
    return server.execute("SELECT name, lease FROM foundry.hosts ORDER BY name", database)


@FOR_LONG
@pytest.mark.parametrize("how", ["stands still", "is stopped", "crashes"])
def test_while_the_server_is_away_hosts_say_so_and_then_go_on(
    tmp_path: Path, own_postgres: PostgresServer, how: str
) -> None:
    with Cluster(tmp_path, own_postgres.url("postgres")) as two, watched(two.start()):
        work, before = Work(two), leases(own_postgres)
        until = time.monotonic() + AWAY_SECONDS
        with own_postgres.frozen() if how == "stands still" else stopped(own_postgres, how):
            while time.monotonic() < until:
                work.is_refused(0, 1)
        work.goes_on()
        assert leases(own_postgres) == before


@contextmanager
def stopped(server: PostgresServer, how: str) -> Iterator[None]:
    server.stop("immediate" if how == "crashes" else "fast")
    yield
    server.start()


def test_hosts_go_on_with_the_standby_that_takes_the_servers_place(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    with PostgresServer(standby_of=own_postgres) as standby:
        own_postgres.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        own_postgres.execute("SELECT pg_reload_conf()")
        url = f"postgresql://{OWNER}@/postgres?host={own_postgres.folder},{standby.folder}"
        with Cluster(tmp_path, url) as two:
            until_seen(lambda: own_postgres.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
            with watched(two.start()):
                work, before = Work(two), leases(own_postgres)
                own_postgres.stop("immediate")
                work.is_refused(0, 1)
                standby.promote()
                work.goes_on()
                assert leases(standby) == before


def test_connections_of_two_hosts_that_are_cut_one_by_one_are_not_noticed(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    database = name_of(postgres_url)
    with Cluster(tmp_path, postgres_url) as two, watched(two.start()):
        work, before = Work(two), leases(postgres, database)
        pids = postgres.execute(f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'")
        for number, (pid,) in enumerate(pids):
            postgres.execute(f"SELECT pg_terminate_backend({pid}, 1000)")
            two.hosts[number % 2].create("cut", host=two.name(number // 2 % 2))
            assert two.tasks(0)
        until_seen(lambda: {task["status"] for task in two.tasks(0)} == {"idle"})
        assert two.twice() == []
        assert leases(postgres, database) == before
        assert work.begun


def test_nothing_is_lost_when_no_notification_ever_arrives(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str, tell: Callable[[str], None]
) -> None:
    with Wire(postgres) as wire, Cluster(tmp_path, wire.url(name_of(postgres_url))) as two, watched(two.start()):
        Work(two).goes_on()
        task = two.on(0, "here")
        session_id = task["sessions"][0]["session_id"]
        two.hosts[1].wait_task(task["task_id"], "idle")
        began = time.time() * 1000
        two.hosts[1].post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "last", "text": "go on"})
        two.hosts[1].wait_task(task["task_id"], lambda _: bool(two.hosts[0].effects(prompt_id="last")))
        (line,) = two.hosts[0].effects(effect="deliver_prompt", prompt_id="last")
        tell(f"{wire.dropped} notifications dropped; prompt at another host -> agent: {line['at'] - began:.0f} ms")
    assert wire.dropped


@FOR_LONG
def test_a_host_that_is_cut_off_says_so_and_finds_what_others_have_decided(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    with Wire(postgres) as wire, Cluster(tmp_path, postgres_url) as two:
        two.hosts[1].options = ("--host", two.name(1), "--database", wire.url(name_of(postgres_url)))
        with watched(two.start()):
            work = Work(two)
            wire.passing.clear()
            until_seen(lambda: two.states(0) == {"a": "up", "b": "lost"})
            work.is_refused(1)
            taken = two.hosts[0].wait_task(work.begun[1]["task_id"], "idle")
            assert taken["host"] == "a"
            wire.passing.set()
            until_seen(lambda: two.states(1) == {"a": "up", "b": "up"})
            work.goes_on()
