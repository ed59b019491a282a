"""Creating tasks, one at a time and 64 at once, against the same server doing one durable commit for each request."""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.status import STAGES
from tests.backend.process import BackendProcess
from tests.bench.figure import Figure, against_floor
from tests.git import make_repository
from tests.world import Json

ROUNDS = 5
ALONE = 200
AT_ONCE = 64
EACH = 6

HANGING: Json = {"default": {stage: {"hang": "before"} for stage in STAGES}}
FAST: Json = {"default": {call: {"ms": 0} for call in (*STAGES, "turn")}}
REAL: Json = {"default": {stage: {"ms": 1_000, "log": ["$ make room", "room made"]} for stage in STAGES}}
"""Stages that take about as long as a quick machine needs for them."""

_number = count()


class Place:
    """A folder with a repository that tasks are created in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = make_repository(folder / "shop")

    def times(self, socket: Path, connections: int, each: int) -> list[float]:
        """Seconds from sending a request to having its whole answer, over so many connections at once."""
        return create_times([socket] * connections, self.repository, each)

    @contextmanager
    def backend(self, script: Json, *options: str) -> Iterator[Path]:
        """The socket of a backend of its own."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            process = BackendProcess(Path(name), options=options)
            process.set_script(script)
            try:
                yield process.start().socket
            finally:
                process.close()

    @contextmanager
    def floor(self, url: str | None = None) -> Iterator[Path]:
        """The socket of the floor, in the database of this URL or in one of SQLite."""
        with tempfile.TemporaryDirectory(prefix="fdry-") as name:
            socket = Path(name) / "s"
            words = [sys.executable, "-m", "tests.bench.durable", url or str(self.folder), f"unix:{socket}"]
            with (
                Path(name, "log").open("wb") as log,
                subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log) as process,
            ):
                assert process.stdout is not None
                process.stdout.readline()
                try:
                    yield socket
                finally:
                    process.terminate()


def create_body(repository: Path, host: str | None = None) -> bytes:
    """A request for a new task, on this host if it is named."""
    prompt = f"Fix the login redirect of page {next(_number)}"
    return json.dumps({"task_id": uuid7(), "repo": str(repository), "prompt": prompt, "host": host}).encode()


def create_times(sockets: Sequence[Path], repository: Path, each: int, host: str | None = None) -> list[float]:
    """Seconds from sending a request to having its whole answer, over a connection to each socket, all at once."""
    return asyncio.run(_create_times(sockets, repository, each, host))


async def _create_times(sockets: Sequence[Path], repository: Path, each: int, host: str | None) -> list[float]:
    async def ask(socket: Path) -> list[float]:
        reader, writer = await asyncio.open_unix_connection(str(socket))
        taken = [await _post(reader, writer, create_body(repository, host)) for _ in range(each)]
        writer.close()
        await writer.wait_closed()
        return taken

    return [seconds for taken in await asyncio.gather(*map(ask, sockets)) for seconds in taken]


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> float:
    """A bare request, so that what is measured is the server and not the client's library."""
    began = time.perf_counter()
    writer.write(b"POST /v1/tasks HTTP/1.1\r\nhost: foundry\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    answer = await reader.readexactly(length)
    taken = time.perf_counter() - began
    if not head.startswith(b"HTTP/1.1 201 "):
        raise RuntimeError(answer.decode())
    return taken


def _part(seconds: Sequence[float], hundredth: int) -> float:
    """A percentile in milliseconds."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[hundredth - 1] * 1000


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name))
        with place.floor() as floor:
            figures = _alone(place, floor)
            # The floor is measured idle, so before there is a backend with work to do.
            least = [seconds for _ in range(ROUNDS) for seconds in place.times(floor, AT_ONCE, EACH)]
        real, fast, hanging = (_at_once(place, script) for script in (REAL, FAST, HANGING))
    note = f"{AT_ONCE * EACH} a round; stages of 1 s"
    return [
        *figures,
        against_floor(
            f"create, {AT_ONCE} at once while {AT_ONCE} provision: p50",
            _part(real, 50),
            _part(least, 50),
            "ms",
            4,
            note,
        ),
        against_floor(
            "the same while every call hangs, against fast ones: p99", _part(hanging, 99), _part(fast, 99), "ms", 1.5
        ),
    ]


def _alone(place: Place, floor: Path) -> list[Figure]:
    with place.backend(HANGING, "--max-provisioning", "1") as backend:
        for socket in (floor, backend):
            place.times(socket, 1, 20)
        floors, creates = [], []
        for _ in range(ROUNDS):
            floors += place.times(floor, 1, ALONE)
            creates += place.times(backend, 1, ALONE)
    return [
        against_floor(f"create, one at a time: p{part}", _part(creates, part), _part(floors, part), "ms", budget)
        for part, budget in ((50, 2), (99, 5))
    ]


def _at_once(place: Place, script: Json) -> list[float]:
    taken = []
    for _ in range(ROUNDS):
        with place.backend(script) as backend:
            place.times(backend, AT_ONCE, 1)
            taken += place.times(backend, AT_ONCE, EACH)
    return taken
