"""What hosts share in PostgreSQL, and what each makes of it."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import msgspec
import pytest

from backend_stub.dispatch import many_hosts
from backend_stub.dispatch.many_hosts import ManyHosts
from backend_stub.domain.errors import HostLostError, OutcomeUnknownError, StorageUnavailableError
from backend_stub.domain.hosts import Answered, Asked, HostIdentity, HostReport, HostTable
from foundry_tui.contract.hosts import Host, HostState
from tests.postgres import why_none
from tests.waiting import seen_at_last

if TYPE_CHECKING:
    from backend_stub.storage.postgres.shared import Shared

with_postgres = [
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
    pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux"),
]
ME, OTHER = HostIdentity("id-b", "b"), HostIdentity("id-a", "a")


async def report() -> HostReport:
    return HostReport(providers=("demo",), repositories=(), running=0, limit=4)


def host(name: str, repositories: tuple[str, ...], running: int, state: HostState = HostState.UP) -> Host:
    return Host(
        host_id=f"id-{name}",
        name=name,
        state=state,
        providers=("demo",),
        repositories=repositories,
        running=running,
        limit=4,
        at=0,
    )


class Known:
    """A table of hosts that says no more than who there is."""

    def __init__(self, *hosts: Host) -> None:
        self.hosts = hosts

    async def register(self, *_: object) -> tuple[int, bool]:
        return 1, False

    async def all(self) -> Sequence[Host]:
        return self.hosts

    async def ask(self, asker_id: str, host: str, document: bytes) -> str:
        return "asked"

    async def answer_to(self, ask_id: str) -> bytes:
        return msgspec.msgpack.encode(Answered(200, {}))

    async def take_back(self, ask_id: str) -> bool:
        return True


async def chosen(path: str | None, *hosts: Host) -> str:
    """The host that `b` chooses for a new task."""
    table: Any = Known(*hosts)
    me = ManyHosts(ME, cast("HostTable", table), report, ["demo"])
    await me.join()
    return me.roomiest("demo", path)


@pytest.mark.anyio
async def test_a_new_task_goes_where_its_repository_is_and_most_room() -> None:
    assert await chosen("/r", host("a", ("/r",), 3), host("b", (), 0)) == "a"
    assert await chosen("/r", host("a", ("/r",), 1), host("b", ("/r",), 0)) == "b"
    assert await chosen("/r", host("a", ("/r",), 0), host("b", ("/r",), 1)) == "a"
    assert await chosen(None, host("a", (), 1), host("b", (), 1)) == "b"
    assert await chosen("/nowhere", host("a", (), 0), host("b", (), 3)) == "b"
    assert await chosen("/r", host("a", ("/r",), 0, HostState.LOST), host("b", (), 0)) == "b"
    assert await chosen(None, host("a", (), 3), host("b", (), 0, HostState.DRAINING)) == "a"


@pytest.mark.anyio
async def test_a_host_that_has_begun_a_moment_ago_is_asked() -> None:
    table: Any = Known(host("b", (), 0))
    me = ManyHosts(ME, cast("HostTable", table), report, ["demo"])
    await me.join()
    table.hosts = (host("a", (), 0), host("b", (), 0))
    assert await me.ask("a", Asked("POST", "/v1/tasks/t/retry")) == Answered(200, {})


class Away(Known):
    """A table that is away as soon as something was asked."""

    async def answer_to(self, ask_id: str) -> bytes:
        raise StorageUnavailableError("it is away")


@pytest.mark.anyio
async def test_what_was_asked_before_the_database_went_away_may_have_been_done() -> None:
    table: Any = Away(host("a", (), 0), host("b", (), 0))
    me = ManyHosts(ME, cast("HostTable", table), report, ["demo"])
    await me.join()
    with pytest.raises(OutcomeUnknownError, match="it is away"):
        await me.ask("a", Asked("POST", "/v1/tasks/t/retry"))


class Heard(Known):
    """A table that takes so many seconds for each word, by its own clock; it ends whoever speaks after the last one."""

    def __init__(self, takes: Sequence[float]) -> None:
        super().__init__()
        self.now = 0.0
        self.marked: list[tuple[float, float]] = []
        """When it was asked to take hosts for lost, and of how long a silence."""
        self._takes = [*takes]

    def monotonic(self) -> float:
        return self.now

    async def beat(self, *_: object) -> bool:
        if not self._takes:
            raise EnoughError
        self.now += self._takes.pop(0)
        return True

    async def mark_lost(self, seconds: float) -> None:
        self.marked.append((self.now, seconds))

    async def listen(self, *_: object) -> None:
        await anyio.sleep_forever()


class EnoughError(Exception):
    """All words are said."""


async def marked(takes: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """When a host takes others for lost whose words take so long, and after how long a silence."""
    table: Any = Heard(takes)
    monkeypatch.setattr(many_hosts, "time", table)
    monkeypatch.setattr(many_hosts, "BEAT_SECONDS", 0)
    me = ManyHosts(ME, cast("HostTable", table), report, ["demo"])
    await me.join()
    with pytest.raises(ExceptionGroup) as ended:
        await me.run()
    assert ended.group_contains(EnoughError)
    result: list[tuple[float, float]] = table.marked
    return result


@pytest.mark.anyio
async def test_when_all_stood_still_nobody_is_taken_for_lost_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    for_lost = await marked([1] * 7 + [60] + [1] * 7, monkeypatch)
    assert [each for each in for_lost if each[1] < 60] == [(6, 5), (7, 5), (73, 5), (74, 5)]


@pytest.mark.anyio
@pytest.mark.parametrize(("takes", "silence"), [(3, 6), (20, 40)])
async def test_however_slow_the_database_is_hosts_are_lost_of_which_it_heard_nothing_for_longer(
    monkeypatch: pytest.MonkeyPatch, takes: float, silence: float
) -> None:
    assert await marked([takes] * 8, monkeypatch) == [(takes * number, silence) for number in (6, 7, 8)]


@asynccontextmanager
async def table_of(folder: Path, url: str) -> AsyncIterator[HostTable]:
    async with opened(folder, url) as shared:
        yield shared.hosts


@asynccontextmanager
async def opened(folder: Path, url: str) -> AsyncIterator["Shared"]:
    from backend_stub.storage.postgres import open_shared

    async with open_shared(url, folder, ME, lambda: 0) as shared:
        yield shared


@pytest.mark.anyio
@with_postgres[0]
@with_postgres[1]
async def test_what_is_asked_is_answered_also_when_whoever_began_with_it_is_gone(
    tmp_path: Path, postgres_url: str
) -> None:
    async def answer(asked: Asked) -> Answered:
        return Answered(200, {}, asked.body)

    async with table_of(tmp_path, postgres_url) as table:
        lease, _ = await table.register(ME, await report(), ["demo"], 5.0)
        asker = ManyHosts(OTHER, table, report, ["demo"])
        await asker.join()
        me = ManyHosts(ME, table, report, ["demo"])
        me.answer_with(answer)
        found: list[Answered | None] = []
        told = anyio.Event()

        async def ask() -> None:
            found.append(await asker.ask("b", Asked("POST", "/v1/tasks/t/retry", b"{}")))
            told.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.fail_after(10):
                while not await table.take_asked(ME.host_id, lease, (), 60):
                    await anyio.lowlevel.checkpoint()
            # That process ends here, and the next one begins.
            await me.join()
            async with anyio.create_task_group() as running:
                running.start_soon(me.run)
                with anyio.fail_after(10):
                    await told.wait()
                running.cancel_scope.cancel()
        assert found == [Answered(200, {}, b"{}")]


@pytest.mark.anyio
@with_postgres[0]
@with_postgres[1]
async def test_what_a_host_of_another_version_does_not_understand_is_told_at_once(
    tmp_path: Path, postgres_url: str
) -> None:
    async def answer(asked: Asked) -> Answered:
        return Answered(200, {})

    async with table_of(tmp_path, postgres_url) as table:
        me, asker = (ManyHosts(identity, table, report, ["demo"]) for identity in (ME, OTHER))
        me.answer_with(answer)
        await me.join()
        await asker.join()
        async with anyio.create_task_group() as running:
            running.start_soon(me.run)
            running.start_soon(asker.run)
            with anyio.fail_after(10):
                assert await asker.ask("b", Asked("GET", "/v1/tasks/t/diff")) == Answered(200, {})
                of_later: Any = Later("GET")
                with pytest.raises(HostLostError, match="another version"):
                    await asker.ask("b", of_later)
            running.cancel_scope.cancel()


class Later(msgspec.Struct):
    """What hosts of another version ask."""

    verb: str


@pytest.mark.anyio
@with_postgres[0]
@with_postgres[1]
async def test_an_answer_that_is_lost_on_its_way_can_be_had_again(tmp_path: Path, postgres_url: str) -> None:
    async with table_of(tmp_path, postgres_url) as table:
        lease, _ = await table.register(ME, await report(), ["demo"], 5.0)
        ask_id = await table.ask(ME.host_id, ME.name, b"?")
        assert ask_id is not None
        assert await table.answer_to(ask_id) is None
        assert await table.take_asked(ME.host_id, lease, (), 0) == [], "nobody waits for that any more"
        assert await table.take_asked(ME.host_id, lease, (), 60) == [(ask_id, b"?")]
        assert await table.take_asked(ME.host_id, lease, {ask_id}, 60) == []
        await table.answer(ask_id, b"!")
        assert [await table.answer_to(ask_id) for _ in range(2)] == [b"!", b"!"]
        assert await table.take_asked(ME.host_id, lease, (), 60) == []
        assert not await table.take_back(ask_id)
        assert not await table.take_back(ask_id)
        assert await table.answer_to(ask_id) is None


@pytest.mark.anyio
@with_postgres[0]
@with_postgres[1]
async def test_what_nobody_waits_for_any_more_is_forgotten_while_hosts_run(tmp_path: Path, postgres_url: str) -> None:
    import psycopg

    async with table_of(tmp_path, postgres_url) as table:
        await table.register(ME, await report(), ["demo"], 5.0)
        old, new = [await table.ask(ME.host_id, ME.name, b"?") for _ in range(2)]
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO foundry.hosts SELECT 'gone', 'gone', 1, 'lost', report, beat_at - interval '2 hours' "
                "FROM foundry.hosts"
            )
            connection.execute("UPDATE foundry.asks SET at = at - interval '2 hours' WHERE ask_id = %s", (old,))
            await table.mark_lost(5.0)
            assert connection.execute("SELECT ask_id FROM foundry.asks").fetchall() == [(new,)]
        assert [each.name for each in await table.all()] == [ME.name]


@pytest.mark.anyio
@with_postgres[0]
@with_postgres[1]
async def test_a_host_of_the_version_before_that_is_lost_for_long_does_not_keep_the_log_whole(
    tmp_path: Path, postgres_url: str
) -> None:
    import psycopg

    async with opened(tmp_path, postgres_url) as shared:
        table = shared.hosts
        await table.register(ME, await report(), ["demo"], 5.0)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO foundry.hosts SELECT 'old', 'old', 1, 'lost', report, beat_at - interval '29 days', 1 "
                "FROM foundry.hosts"
            )
            await table.all()
            assert not table.all_read_short_events, "it may be back, and read on"
            connection.execute("UPDATE foundry.hosts SET beat_at = beat_at - interval '2 days' WHERE name = 'old'")
            await table.all()
        assert table.all_read_short_events


@pytest.mark.anyio
@with_postgres[0]
@with_postgres[1]
async def test_no_line_of_the_demos_world_is_passed_over_that_is_committed_later(
    tmp_path: Path, postgres_url: str
) -> None:
    import psycopg

    from backend_stub.storage.postgres.tables import SQL

    async with opened(tmp_path, postgres_url) as shared:
        with psycopg.connect(postgres_url) as other:
            # Another host has its number, and has not committed yet.
            other.execute("SET search_path = foundry")
            other.execute(SQL["demo_world.add"], ("t", "t", None, b"first"))
            seen: list[bytes] = []

            async def append() -> None:
                seen.extend((await shared.journal.append("t", b"second")).news)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(append)
                assert (await shared.journal.append("u", b"of another task")).news == [b"of another task"]
                await seen_at_last(lambda: seen or _somebody_waits(postgres_url))
                other.commit()
        seen += await shared.journal.news("t")
        assert seen == [b"first", b"second"]


def _somebody_waits(url: str) -> bool:
    import psycopg

    with psycopg.connect(url) as connection:
        waiting = connection.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return waiting.fetchone() is not None
