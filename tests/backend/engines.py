"""The storages that there are, each to be tried by the same tests, and what these ask of one.

An engine is added by a class here and a row in the fixture `database` of `conftest`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
from msgspec import structs

from backend_stub.domain.events import Committed, Event, Snapshot
from backend_stub.domain.storage import Storage
from backend_stub.storage import postgres, sqlite
from backend_stub.storage.sqlite import FILE_NAME
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import TASKS, Topic
from foundry_tui.contract.records import HistoryKind, PromptState
from foundry_tui.contract.status import TaskStatus
from tests.backend.rows import REPO, item, line, next_change, prompt, session, summary_of_session, with_rows
from tests.postgres import PostgresServer, name_of

T = TypeVar("T")

PATIENCE = 30
"""Seconds until something that does not come fails the test."""


class Engine(Protocol):
    """A storage with its data."""

    def open(self) -> AbstractAsyncContextManager[Storage]:
        """The storage, as often as it is asked for."""
        ...

    def harm(self) -> Callable[[], object]:
        """See to it that it can keep nothing more, until what this returns is called."""
        ...


@dataclass(frozen=True)
class Sqlite:
    folder: Path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Storage]:
        storage = sqlite.open_storage(self.folder)
        try:
            yield storage
        finally:
            await storage.close()

    def harm(self) -> Callable[[], object]:
        path, away = self.folder / FILE_NAME, self.folder / "away"
        path.rename(away)
        return lambda: away.rename(path)


@dataclass(frozen=True)
class Postgres:
    folder: Path
    url: str
    server: PostgresServer

    def open(self) -> AbstractAsyncContextManager[Storage]:
        return postgres.open_storage(self.url, self.folder)

    def harm(self) -> Callable[[], object]:
        name = name_of(self.url)
        self.server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self.server.cut_connections(name)
        return lambda: self.server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@dataclass
class Database:
    """A storage that can be opened again, and what was told of its commits so far."""

    engine: Engine
    told: list[Event] = field(default_factory=list)
    _news: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Storage]:
        async with self.engine.open() as storage:
            storage.events.listen(self._hear)
            yield storage

    async def until_told(self, seq: int) -> None:
        """Wait until an event of this seq was told."""
        with anyio.fail_after(PATIENCE):
            while not self.told or self.told[-1].seq < seq:
                self._news = anyio.Event()
                await self._news.wait()

    def _hear(self, commit: Committed) -> None:
        self.told += commit.events
        self._news.set()


async def kept(storage: Storage) -> set[str]:
    return set(await storage.having(frozenset(TaskStatus)))


async def topic_of(storage: Storage, topic: Topic) -> Snapshot:
    snapshot = await storage.events.snapshot(topic)
    assert snapshot is not None
    return snapshot


async def read(storage: Storage, topic: Topic, type_: type[T]) -> T:
    return decode(b"".join((await topic_of(storage, topic)).pieces), type_)


async def seq_of(storage: Storage) -> int:
    return (await topic_of(storage, TASKS)).seq


async def lives(storage: Storage) -> None:
    """Some changes of some tasks, of every kind."""
    first, second = with_rows("t"), with_rows("u")
    await storage.commit(first)
    await storage.commit(second)
    first = next_change(first, items=[item("s-t", 1), item("s-t", 2)], history=((HistoryKind.TASK_NAMED, {"a": "é"}),))
    await storage.commit(first)
    state = session("t", "s-t", 3, prompt("s-t", "p-t", PromptState.ANSWERED))
    first = next_change(first, items=[item("s-t", 1, 2, "grown")], sessions=[state], prompts=state.prompts)
    first = replace(first, task=structs.replace(first.task, sessions=(summary_of_session(state),)))
    await storage.commit(first)
    await storage.commit(next_change(first, changed=False, lines=[line(1), line(2)]))
    await storage.put_repo(structs.replace(REPO, default_branch="main"))
    await storage.commit(next_change(second, history=((HistoryKind.TASK_NAMED, {}),)))
    await storage.prune("u")
