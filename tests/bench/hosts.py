"""What hosts and tasks cost on one PostgreSQL: 1, 2 and 4 backends on it, with 100, 10,000 and 100,000 tasks in it.

Nearly all of these tasks have ended. Each figure stands against the same with one host and the fewest tasks.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import psycopg

from backend_stub.wiring import copy_database
from tests.backend.cluster import Cluster
from tests.bench.create import FAST, HANGING, create_times
from tests.bench.figure import Figure, fastest_half
from tests.bench.holding import WISH, held
from tests.bench.on_postgres import until_told
from tests.postgres import PostgresServer, name_of, why_none

HOSTS = (1, 2, 4)
TASKS = (100, 10_000, 100_000)
CREATES = 200
TOLD = 40
PROVISIONED = 20
ROUNDS = 3

Measured = tuple[str, float, str]
"""What it is, how much, and the unit."""


def run() -> list[Figure]:
    if why_none() is not None:
        return []
    figures: list[Figure] = []
    floors: dict[str, float] = {}
    with PostgresServer(durable=True) as server:
        for tasks in TASKS:
            for hosts, (name, value, unit) in _with(server, tasks):
                floor = floors.setdefault(name, value)
                told = f"{name}; {hosts} host{'s' if hosts > 1 else ''}, {tasks:,} tasks"
                ratio = value / floor if floor else None
                figures.append(Figure(name=told, value=value, unit=unit, floor=floor, ratio=ratio))
    return figures


def _with(server: PostgresServer, tasks: int) -> Iterator[tuple[int, Measured]]:
    """How many hosts there were, and what was measured then."""
    with held(tasks) as filled, server.database() as template:
        anyio.run(copy_database, str(filled.data), template)
        for hosts in HOSTS:
            with (
                server.database(name_of(template)) as url,
                tempfile.TemporaryDirectory() as name,
                Cluster(Path(name), url, hosts) as cluster,
            ):
                for host in cluster.hosts:
                    host.__dict__["repository"] = filled.repository
                for measured in _measured(server, cluster):
                    yield hosts, measured


def _measured(server: PostgresServer, cluster: Cluster) -> Iterator[Measured]:
    first, last = cluster.hosts[0], cluster.hosts[-1]
    first.set_script(FAST)
    cluster.start()
    yield f"{PROVISIONED} tasks provisioned", _taken(lambda: _provision(cluster)), "ms"
    yield "GET /v1/tasks", _taken(lambda: first.get("/v1/tasks")), "ms"
    # What is asked for from here on hangs: nothing is done but what is measured.
    first.set_script(HANGING)
    sockets = [host.socket for host in cluster.hosts]

    def create(sockets: list[Path], host: str | None = None) -> float:
        return statistics.median(create_times(sockets, first.repository, CREATES // len(sockets), host)) * 1000

    create(sockets)
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        cpu, log = _cpu_of(server.pid), _log_position(connection)
        yield "create, at the host that it is for: p50", create(sockets[:1], cluster.name(0)), "ms"
        yield "PostgreSQL's CPU for that, each", (_cpu_of(server.pid) - cpu) / CREATES, "ms"
        yield "its write-ahead log for that, each", (_log_position(connection) - log) / CREATES / 1024, "KiB"
    yield "create, where there is the most room: p50", create(sockets[:1]), "ms"
    yield "create, at each host at once: p50", create(sockets), "ms"
    heard = until_told(first, cluster.name(0), last, TOLD)
    yield "commit → a client of the last host: p50", statistics.median(heard) * 1000, "ms"


def _provision(cluster: Cluster) -> None:
    first = cluster.hosts[0]
    for task_id in [first.create(WISH)["task_id"] for _ in range(PROVISIONED)]:
        first.wait_task(task_id, "idle")


def _taken(ask: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return fastest_half(taken) * 1000


def _cpu_of(server: int) -> float:
    """Milliseconds of CPU that the server's processes have had, those that are gone too."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            # It has just ended.
            continue
        if int(stat.parent.name) == server:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == server:
            ticks += sum(map(int, fields[11:13]))
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def _log_position(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])
