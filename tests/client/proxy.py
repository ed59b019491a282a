"""A proxy between a client and a backend that breaks what passes through it: real sockets, real bytes."""

import random
from collections import Counter
from pathlib import Path

import anyio
from anyio.abc import SocketStream, TaskGroup

FAULTS = ("cut", "half", "stall", "slow", "delay", "refuse")
"""`cut`: closed at a random byte. `half`: the rest of what comes is dropped in the middle of an event, then closed.
`stall`: nothing passes any more, and nothing closes. `slow`: a few bytes at a time. `delay`: late, but whole.
`refuse`: closed as soon as it was accepted."""


class Passage:
    """One connection of the client, and what is wrong with it."""

    def __init__(self, client: SocketStream) -> None:
        self.client = client
        self.fault: str | None = None
        self.scope = anyio.CancelScope()
        self.is_stream = False


class FaultProxy:
    """Listens at `front` and passes on to `behind`; `strike` makes something go wrong on a connection that is open.

    `faults` counts what was done. `down` closes every new connection.
    """

    def __init__(self, front: Path, behind: Path, seed: int) -> None:
        self.front = front
        self.behind = behind
        self.faults: Counter[str] = Counter()
        self.passages: list[Passage] = []
        self.accepted = 0
        self.down = False
        self._rng = random.Random(seed)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with await anyio.create_unix_listener(self.front) as listener:
            task_status.started()
            await listener.serve(self._serve)

    def streams(self) -> int:
        """How many event streams pass through."""
        return sum(passage.is_stream for passage in self.passages)

    def strike(self, kind: str) -> bool:
        """Let `kind` happen to a stream that is open and well; False when there is none."""
        well = [passage for passage in self.passages if passage.fault is None and passage.is_stream]
        if not well:
            return False
        self._rng.choice(well).fault = kind
        self.faults[kind] += 1
        return True

    def cut_all(self) -> None:
        """Close every connection."""
        for passage in self.passages:
            passage.scope.cancel()

    async def _serve(self, client: SocketStream) -> None:
        self.accepted += 1
        passage = Passage(client)
        async with client:
            if self.down:
                return
            try:
                backend = await anyio.connect_unix(self.behind)
            except OSError:
                return
            self.passages.append(passage)
            try:
                async with backend, anyio.create_task_group() as group:
                    with passage.scope:
                        group.start_soon(self._upwards, passage, backend, group)
                        await self._downwards(passage, backend)
                    group.cancel_scope.cancel()
            finally:
                self.passages.remove(passage)

    async def _upwards(self, passage: Passage, backend: SocketStream, group: TaskGroup) -> None:
        """From the client to the backend."""
        try:
            async for chunk in passage.client:
                if b"GET /v1/events" in chunk:
                    passage.is_stream = True
                await backend.send(chunk)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        group.cancel_scope.cancel()

    async def _downwards(self, passage: Passage, backend: SocketStream) -> None:
        """From the backend to the client; this is where things go wrong."""
        try:
            async for chunk in backend:
                fault = passage.fault
                if fault in ("cut", "half"):
                    await passage.client.send(chunk[: self._rng.randrange(len(chunk))])
                    return
                if fault == "refuse":
                    return
                if fault == "stall":
                    await anyio.sleep_forever()
                if fault == "delay":
                    await anyio.sleep(self._rng.uniform(0.05, 0.3))
                    passage.fault = None
                if fault == "slow":
                    for at in range(0, len(chunk), 7):
                        await passage.client.send(chunk[at : at + 7])
                        await anyio.sleep(0)
                    continue
                await passage.client.send(chunk)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
