"""What takes a while to be found out: made behind, kept for a while, answered at once from what is known."""

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import CallError

logger = logging.getLogger(__name__)

HELD = 32_000_000
"""Bytes of all documents of one kind that are held in memory; that used longest ago goes first, the last one never."""
AT_ONCE = 2
"""Documents of one kind that are made at the same time."""
WAIT_SECONDS = 20.0
"""How long somebody may wait for a newer one; then what is known counts."""

Make = Callable[[int], Awaitable[bytes]]
"""Makes a document that is told as of a moment; raises `CallError` and `OSError`."""


class _Known(Struct, frozen=True):
    document: bytes
    computed_at: int


class _Making:
    """One that is being made, and made again while somebody asks for it."""

    def __init__(self) -> None:
        self.asked = 1
        """How often it was asked for since this began."""
        self.made = 0
        """How many of them what is known by now answers: it was looked at after those were asked."""
        self.step = anyio.Event()
        self.failure: CallError | OSError | None = None

    async def answers(self, asked: int) -> None:
        """Wait until what is known answers the n-th who asked."""
        while self.made < asked:
            await self.step.wait()

    def end_round(self, asked: int) -> None:
        self.made = asked
        self.step.set()
        self.step = anyio.Event()


class KnownDocuments:
    """Documents by key. `tasks` is where they are made, on nobody's way."""

    def __init__(self, runtime: Runtime, tasks: TaskGroup, *, fresh_ms: int = 0) -> None:
        """`fresh_ms`: what was made so lately is not made anew unless somebody waits for newer."""
        self._runtime = runtime
        self._tasks = tasks
        self._fresh_ms = fresh_ms
        self._known: dict[str, _Known] = {}
        self._held = 0
        self._making: dict[str, _Making] = {}
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def answer(self, key: str, make: Make, newer: int | None) -> bytes | None:
        """What is known, and None before anything is; that it is made anew is begun behind.

        `newer`: wait for one of a later `computed_at` in which is all that was there when it was last asked for, for
        `WAIT_SECONDS` at most. Raises `CallError` and `OSError` when that cannot be made.
        """
        known = self._known.pop(key, None)
        if known is not None:
            # That used last stands at the end.
            self._known[key] = known
        if newer is None:
            # What a clock set back has not come to yet may be of any age.
            if known is None or not 0 <= self._runtime.now() - known.computed_at <= self._fresh_ms:
                making = self._begin(key, make)
                if not self._fresh_ms:
                    # One under way may have missed what has changed since it began.
                    making.asked += 1
        elif key in self._making or known is None or known.computed_at <= newer:
            making = self._begin(key, make)
            with anyio.move_on_after(WAIT_SECONDS):
                await making.answers(making.asked)
            if making.failure is not None:
                raise making.failure
            known = self._known.get(key)
        return known.document if known is not None else None

    def known(self, key: str) -> bytes | None:
        """What is known, without having it made anew."""
        known = self._known.get(key)
        return known.document if known is not None else None

    def _begin(self, key: str, make: Make) -> _Making:
        """Have it made, once at a time."""
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = _Making()
            self._tasks.start_soon(self._make, key, make, making)
        return making

    async def _make(self, key: str, make: Make, making: _Making) -> None:
        try:
            async with self._limiter:
                while making.made < making.asked:
                    # What changed before this moment is in it, and what changes later is asked for again.
                    asked, making.failure = making.asked, None
                    await self._make_once(key, make, making)
                    making.end_round(asked)
        finally:
            del self._making[key]
            making.end_round(making.asked)

    async def _make_once(self, key: str, make: Make, making: _Making) -> None:
        before = self._known.get(key)
        at = max(self._runtime.now(), before.computed_at + 1 if before is not None else 0)
        try:
            self._keep(key, _Known(await make(at), at))
        except (CallError, OSError) as error:
            making.failure = error
            logger.info("%s cannot be made: %s", key, error)
        except Exception:  # a defect here must not end the backend
            logger.exception("making %s failed", key)

    def _keep(self, key: str, known: _Known) -> None:
        self._drop(key)
        self._known[key] = known
        self._held += len(known.document)
        while self._held > HELD and len(self._known) > 1:
            self._drop(next(iter(self._known)))

    def _drop(self, key: str) -> None:
        known = self._known.pop(key, None)
        self._held -= len(known.document) if known is not None else 0
