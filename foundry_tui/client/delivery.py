"""Sends commands to the backend: those of one lane in their order, each again and again until there is an answer."""

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

from foundry_tui.client.backoff import wait_after
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.problems import Problem

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds for which a command that nobody answers is tried again before the user is told."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that say nothing about the request: the same one may succeed a moment later."""


class Delivery:
    """Runs commands in a task group. Those that are sent before `start` gives it one wait for that.

    `before` is awaited before each command: it returns when the command is in the outbox's file.
    """

    def __init__(
        self, rng: random.Random | None = None, *, before: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.unsettled = 0
        """How many commands have not come to their end; those of one lane count as one."""
        self._before = before
        self._rng = rng or random.Random()
        self._group: TaskGroup | None = None
        self._backlog: list[Callable[[], Awaitable[None]]] = []
        self._lanes: dict[str, list[Callable[[], Awaitable[None]]]] = {}
        self._again = anyio.Event()
        self._ended = anyio.Event()

    async def one_more_ends(self) -> None:
        """Wait until one of the unsettled commands comes to its end."""
        await self._ended.wait()

    def start(self, group: TaskGroup) -> None:
        """Run in `group` from now on."""
        self._group = group
        backlog, self._backlog = self._backlog, []
        for job in backlog:
            group.start_soon(self._run, job)

    def stop(self) -> None:
        """The task group ends."""
        self._group = None

    def send(self, job: Callable[[], Awaitable[None]], lane: str | None = None) -> None:
        """Run `job`, a command, soon. Those of one lane run one after the other; without a lane it waits for none."""
        if lane is not None:
            waiting = self._lanes.get(lane)
            if waiting is not None:
                waiting.append(job)
                return
            self._lanes[lane] = [job]
            job = self._lane(lane)
        else:
            job = partial(self._do, job)
        self.unsettled += 1
        if self._group is None:
            self._backlog.append(job)
        else:
            self._group.start_soon(self._run, job)

    def try_now(self) -> None:
        """The backend may be back: end all waits."""
        again, self._again = self._again, anyio.Event()
        again.set()

    async def deliver(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        patience: float = PATIENCE,
        needed: Callable[[], bool] | None = None,
        done: frozenset[int] = frozenset(),
        maybe_done: bool = False,
        put_off: Callable[[Problem], None] | None = None,
    ) -> T | None:
        """The answer to `call`, which is repeated with back-off while none comes, for `patience` seconds.

        None when `needed` says that no answer is owed any more, or when a repetition is refused with a status in
        `done`, which shows that an earlier attempt got through; `maybe_done`: there was one. `put_off` is told of each
        answer that says no more than "not now". Raises `ProblemError` and, in the end, `UnreachableError`.
        """
        deadline = anyio.current_time() + patience
        failures = 0
        while needed is None or needed():
            again = self._again
            try:
                return await call()
            except UnreachableError as error:
                maybe_done = maybe_done or error.sent
                if anyio.current_time() >= deadline:
                    raise
            except ProblemError as error:
                if maybe_done and error.problem.status in done:
                    return None
                if error.problem.status not in _PASSING or anyio.current_time() >= deadline:
                    raise
                if put_off is not None:
                    put_off(error.problem)
            failures += 1
            with anyio.move_on_after(wait_after(failures, self._rng)):
                await again.wait()
        return None

    def _lane(self, lane: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            jobs = self._lanes[lane]
            try:
                while jobs:
                    await self._do(jobs[0])
                    jobs.pop(0)
            finally:
                del self._lanes[lane]

        return run

    async def _do(self, job: Callable[[], Awaitable[None]]) -> None:
        if self._before is not None:
            await self._before()
        await job()

    async def _run(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        finally:
            self.unsettled -= 1
            ended, self._ended = self._ended, anyio.Event()
            ended.set()
