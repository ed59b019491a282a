"""Creating tasks on PostgreSQL against a bare durable insert there, how soon another backend's client is told, and what
the 1,000th session and prompt of a task cost there.
"""

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psycopg

from tests.backend.process import BackendProcess
from tests.bench.create import HANGING, Place, create_body
from tests.bench.figure import Figure, against_floor, against_limit
from tests.bench.many_sessions import grown
from tests.postgres import PostgresServer, why_none

ROUNDS = 5
ALONE = 100
TOLD = 50
HEARD_OF = "Somebody waits to hear of this"


def run() -> list[Figure]:
    if why_none() is not None:
        return []
    with (
        tempfile.TemporaryDirectory() as name,
        PostgresServer(durable=True) as server,
        server.database() as url,
        server.database() as shared,
        server.database() as growing,
    ):
        return [
            *_creating(Place(Path(name)), url),
            *_telling(Path(name), shared),
            *grown("--database", growing, where=" on PostgreSQL"),
        ]


def _creating(place: Place, url: str) -> list[Figure]:
    """Against the insert alone, and against one that each request does in the backend's own server."""
    floors: list[float] = []
    served: list[float] = []
    creates: list[float] = []
    with (
        place.backend(HANGING, "--max-provisioning", "1", "--database", url) as socket,
        place.floor(url) as floor_socket,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE bare (body BYTEA NOT NULL)")
        for each in (floor_socket, socket):
            place.times(each, 1, 20)
        for _ in range(ROUNDS):
            for _ in range(ALONE):
                began = time.perf_counter()
                connection.execute("INSERT INTO bare VALUES (%s)", (create_body(place.repository),))
                floors.append(time.perf_counter() - began)
            served += place.times(floor_socket, 1, ALONE)
            creates += place.times(socket, 1, ALONE)
    value, floor, over_http = (statistics.median(times) * 1000 for times in (creates, floors, served))
    name = "create on PostgreSQL, one at a time: p50"
    return [
        against_floor(name, value, floor, "ms", 3, "the floor has no HTTP"),
        against_floor(f"{name}, against an insert over HTTP", value, over_http, "ms", 3, "the server as for SQLite"),
    ]


def _telling(folder: Path, url: str) -> list[Figure]:
    """From the answer to a create at one backend to its event on a stream of the other, and the same of NOTIFY."""
    taken: list[float] = []
    with psycopg.connect(url, autocommit=True) as here, psycopg.connect(url, autocommit=True) as there:
        there.execute("LISTEN bare")
        for _ in range(TOLD):
            here.execute("NOTIFY bare")
            answered = time.perf_counter()
            next(there.notifies(stop_after=1))
            taken.append(time.perf_counter() - answered)
    bare = statistics.median(taken) * 1000
    backends = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        backends.append(BackendProcess(folder / name, options=("--database", url, "--host", name)))
        backends[-1].set_script(HANGING)
    one, two = backends
    try:
        for each in backends:
            each.start()
        waits = until_told(one, "one", two, TOLD)
    finally:
        for each in backends:
            each.close()
    note = f"bare NOTIFY {bare:.2f} ms"
    return [against_limit("commit → another host's client: p50", statistics.median(waits) * 1000, "ms", 20, note)]


def until_told(one: BackendProcess, host: str, other: BackendProcess, count: int) -> list[float]:
    """Seconds from the answer to a create at one backend, which is this host, to its event on a stream of the other."""
    heard: dict[str, float] = {}
    news = threading.Condition()
    waits = []
    with other.events("tasks") as events:

        def listen() -> None:
            for event in events:
                task = json.loads(event.data) if event.event == "task" else {}
                if task.get("prompt") == HEARD_OF:
                    with news:
                        heard.setdefault(task["task_id"], time.perf_counter())
                        news.notify()
                if len(heard) == count:
                    return

        next(events)
        thread = threading.Thread(target=listen)
        thread.start()
        for _ in range(count):
            task_id = one.create(HEARD_OF, host=host)["task_id"]
            answered = time.perf_counter()
            with news:
                while task_id not in heard:
                    assert news.wait(10)
            waits.append(max(0.0, heard[task_id] - answered))
        thread.join(10)
    return waits
