"""What PostgreSQL alone makes possible or difficult: several processes on one database, connections that are lost."""

import re
import shutil
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import anyio
import psycopg
import pytest
from msgspec import structs

from backend_stub import storage as engines
from backend_stub.domain.errors import DatabaseUnusableError, IdTakenError, OutcomeUnknownError, StorageUnavailableError
from backend_stub.domain.events import Committed
from backend_stub.storage.postgres import migration, single_statements, writer
from backend_stub.storage.postgres.address import Address, parse_address
from backend_stub.storage.postgres.connections import answered
from backend_stub.storage.postgres.log import Log, Own
from backend_stub.storage.postgres.migration import VERSION
from backend_stub.storage.postgres.storage import PostgresStorage
from backend_stub.storage.postgres.tables import SQL
from backend_stub.storage.tables import Row
from backend_stub.storage.writing import OF_A_TASK, Transaction
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import HistoryKind, Repo
from tests.backend.common_database import Backends, told
from tests.backend.engines import Database, Postgres, kept, lives
from tests.backend.rows import (
    first_change,
    item,
    next_change,
    permission,
    with_rows,
)
from tests.backend.wire import Wire
from tests.postgres import OWNER, POOLER_PORT

pytestmark = pytest.mark.anyio

MANY = 60
TAKE = b"SELECT seq FROM foundry.meta FOR UPDATE"


async def test_every_process_is_told_of_the_commits_of_all_each_once_and_in_one_order(backends: Backends) -> None:
    several = [backends.one(name) for name in "abc"]
    async with AsyncExitStack() as stack:
        open_ = [await stack.enter_async_context(each.open()) for each in several]
        await lives(open_[0])
        async with anyio.create_task_group() as tasks:
            for storage in open_:
                for number in range(MANY):
                    tasks.start_soon(storage.commit, first_change(uuid7()))
                    tasks.start_soon(storage.put_repo, Repo(repo_id=f"r-{number}-{id(storage)}", label="s", path="/x"))
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        for each in several:
            await each.until_told(last)
    assert [seq for seq, *_ in told(several[0])] == list(range(1, last + 1))
    assert told(several[0]) == told(several[1]) == told(several[2])


async def test_nothing_is_lost_when_the_listening_connection_or_a_notification_is(backends: Backends) -> None:
    here, there = backends.one("here"), backends.one("there")
    async with here.open() as writing, there.open():
        cut = 0
        for number in range(5):
            await writing.commit(first_change(f"t-{number}"))
            cut += len(
                backends.server.execute(
                    f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = '{backends.name}' "
                    "AND (query LIKE 'LISTEN%' OR query LIKE '%FROM events%')"
                )
            )
        assert cut
        # As after a commit of which nobody was notified.
        backends.execute(
            "WITH next AS (UPDATE foundry.meta SET seq = seq + 1 RETURNING seq) "
            "INSERT INTO foundry.events (seq, name, task_id, session_id, body) "
            "SELECT seq, 'log', 't-0', '', '{}' FROM next"
        )
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        await here.until_told(last)
        await there.until_told(last)
    assert told(here) == told(there)
    assert [seq for seq, *_ in told(here)] == list(range(1, last + 1))


async def test_who_was_away_for_longer_than_the_log_is_kept_is_told_that_something_is_missing(
    backends: Backends,
) -> None:
    gaps: list[Committed] = []
    here, there = backends.one("here"), backends.one("there")
    async with here.open() as writing, there.open() as following:
        following.events.listen(lambda commit: gaps.append(commit) if commit.gap else None)
        async with backends.lock() as lock:
            # Whoever follows hears of both at once.
            for _ in range(3):
                await lock.execute(
                    "WITH next AS (UPDATE foundry.meta SET seq = seq + 1 RETURNING seq) "
                    "INSERT INTO foundry.events (seq, name, task_id, session_id, body) "
                    "SELECT seq, 'log', 't', '', '{}' FROM next"
                )
            await lock.execute("DELETE FROM foundry.events WHERE seq < 3")
            await lock.execute("COMMIT")
        await writing.commit(first_change("t"))
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        await there.until_told(last)
    assert len(gaps) == 1
    assert [event.seq for event in there.told] == list(range(3, last + 1))


async def test_a_commit_whose_answer_is_lost_is_found_out_about(backends: Backends) -> None:
    here = backends.one("here")
    async with here.open() as storage:
        await storage.commit(first_change("t"))
        # The connection is cut as soon as it has committed: nobody hears of that.
        backends.execute(
            "CREATE FUNCTION foundry.cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        backends.execute(
            "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON foundry.tasks DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION foundry.cut()"
        )
        with pytest.raises(StorageUnavailableError):
            await storage.commit(first_change("u"))
        backends.execute("DROP FUNCTION foundry.cut CASCADE")
        assert await storage.load("u") is None
        await storage.commit(first_change("u"))
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        await here.until_told(last)
    assert [event.seq for event in here.told] == list(range(1, last + 1))


async def test_one_that_is_frozen_in_a_commit_is_not_waited_for_and_writes_nothing_later(backends: Backends) -> None:
    async with backends.one("here").open() as storage, backends.lock() as frozen:
        await frozen.execute("SET idle_in_transaction_session_timeout = '300ms'")
        await frozen.execute("UPDATE foundry.meta SET seq = 100")
        await storage.commit(first_change("t"))
        with pytest.raises(psycopg.Error):
            await frozen.execute("COMMIT")
        assert backends.execute("SELECT seq < 100 FROM foundry.meta") == [(True,)]


@pytest.mark.slow
async def test_a_commit_of_which_nothing_is_heard_may_be_kept_or_not(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire(backends.server) as wire:
        here = backends.one("here", wire.url(backends.name))
        async with here.open() as storage, AsyncExitStack() as stack:
            backends.execute(
                "CREATE FUNCTION foundry.stand() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$"
            )
            backends.execute(
                "CREATE CONSTRAINT TRIGGER stand AFTER INSERT ON foundry.tasks DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION foundry.stand()"
            )
            lock = await stack.enter_async_context(backends.lock(b"SELECT pg_advisory_xact_lock(1)"))
            monkeypatch.setattr(writer, "COMMIT_SECONDS", 5.0)
            monkeypatch.setattr(writer, "SETTLE_SECONDS", 0.1)

            async def commit() -> None:
                with pytest.raises(OutcomeUnknownError, match="does not answer"):
                    await storage.commit(first_change("t"))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(commit)
                await backends.waiting()
                # It commits, and that is not heard.
                wire.passing.clear()
                await lock.execute("COMMIT")
            wire.passing.set()
            await here.until_told(1)
            assert await storage.load("t") is not None


async def test_time_in_which_this_process_stood_still_is_not_counted_as_silence() -> None:
    somewhere = Address({}, "postgresql://somewhere", None)
    with answered(somewhere, 0.6):
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            pass
        # What came meanwhile is heard before anything else happens.
        await anyio.sleep(0)
        await anyio.sleep(0)
    with pytest.raises(StorageUnavailableError, match="somewhere does not answer"), answered(somewhere, 0.1):
        await anyio.sleep_forever()


def cut_off(backends: Backends, cuts: int) -> None:
    """Cut the connection in the midst of each of so many next commits of new tasks, but not in the one after."""
    backends.execute("CREATE SEQUENCE foundry.cuts")
    backends.execute(
        "CREATE FUNCTION foundry.cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('foundry.cuts') <= {cuts} THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; "
        "RETURN NEW; END $$"
    )
    backends.execute("CREATE TRIGGER cut BEFORE INSERT ON foundry.tasks FOR EACH ROW EXECUTE FUNCTION foundry.cut()")


@pytest.mark.parametrize("cuts", [1, 3])
async def test_what_is_cut_off_before_it_is_committed_is_done_again(backends: Backends, cuts: int) -> None:
    here = backends.one("here")
    async with here.open() as storage:
        await storage.commit(first_change("t"))
        cut_off(backends, cuts)
        await storage.commit(first_change("u"))
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        await here.until_told(last)
        assert backends.execute("SELECT last_value FROM foundry.cuts") == [(cuts + 1,)]
    assert [event.seq for event in here.told] == list(range(1, last + 1))


async def test_a_commit_that_a_crash_has_lost_is_not_taken_for_the_one_that_has_its_name_now(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SQL, "meta.outcome", b"SELECT 'committed' WHERE %s <> ''")
    here = backends.one("here")
    async with here.open() as storage:
        cut_off(backends, 1)
        await storage.commit(first_change("t"))
        assert await kept(storage) == {"t"}


async def test_what_others_commit_in_place_of_what_is_cut_off_is_told_as_theirs(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = backends.one("here"), backends.one("there")
    looked = anyio.Event()
    until_known, found = Log.until_known, Log.tell_rows

    async def wait(log: Log) -> None:
        if log._attempt is not None:
            looked.set()
        await until_known(log)

    def tell(log: Log, rows: Sequence[Row]) -> None:
        found(log, rows)
        if rows and rows[-1][2] == "other":
            looked.set()

    async with here.open() as storage, there.open() as other:
        assert isinstance(storage, PostgresStorage)
        await storage.commit(first_change("t"))
        was_committed = storage.writer._was_committed

        async def find_out(xid: str, own: Own | None) -> bool | None:
            monkeypatch.setattr(Log, "until_known", wait)
            monkeypatch.setattr(Log, "tell_rows", tell)
            await other.commit(with_rows("other"))
            await looked.wait()
            return await was_committed(xid, own)

        monkeypatch.setattr(storage.writer, "_was_committed", find_out)
        storage.writer.one_statement.alone = False
        cut_off(backends, 1)
        await storage.commit(first_change("u"))
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        for each in (here, there):
            await each.until_told(last)
    assert told(here) == told(there)


async def test_one_that_is_cut_while_it_waits_for_others_begins_again(backends: Backends) -> None:
    async with backends.one("here").open() as storage, anyio.create_task_group() as tasks, backends.lock():
        tasks.start_soon(storage.commit, first_change("t"))
        for _ in range(2):
            pid = await backends.waiting()
            backends.server.execute(f"SELECT pg_terminate_backend({pid}, 1000)")
        await backends.waiting()


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False])
async def test_who_waits_for_one_that_stands_still_keeps_its_place(backends: Backends, alone: bool) -> None:
    async with (
        backends.one("here").open() as storage,
        await backends.connection("foundry frozen") as frozen,
        await backends.connection("behind") as behind,
    ):
        await storage.commit(first_change("t"))
        assert isinstance(storage, PostgresStorage)
        storage.writer.one_statement.alone = alone
        await frozen.execute("BEGIN")
        await frozen.execute(TAKE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(storage.commit, first_change("u"))
            await backends.waiting()
            await behind.execute("BEGIN")
            # It comes after the one that waited before, whose commit it finds.
            ((seq,),) = await (await behind.execute(TAKE)).fetchall()
            await behind.execute("COMMIT")
        with pytest.raises(psycopg.Error):
            await frozen.execute("COMMIT")
        assert backends.execute("SELECT seq FROM foundry.meta") == [(seq,)]


async def test_a_change_that_fails_in_a_way_that_nobody_expects_has_the_error_and_others_go_on(
    backends: Backends,
) -> None:
    async def fail(_: Transaction) -> None:
        raise LookupError("nobody thought of this")

    async with backends.one("here").open() as storage:
        await storage.commit(first_change("t"))
        assert isinstance(storage, PostgresStorage)
        with pytest.raises(LookupError, match="nobody thought"):
            await storage.submit(fail)
        await storage.commit(first_change("u"))


async def test_an_older_copy_in_its_place_is_not_taken_for_it(backends: Backends) -> None:
    here = backends.one("here")
    async with here.open() as storage:
        await storage.commit(first_change("t"))
        life = storage.events.database
    copy = f"{backends.name}_copy"
    backends.server.execute(f"CREATE DATABASE {copy} TEMPLATE {backends.name}")
    async with here.open() as storage:
        await storage.commit(first_change("u"))
        backends.server.execute(f"DROP DATABASE {backends.name} WITH (FORCE)")
        backends.server.execute(f"ALTER DATABASE {copy} RENAME TO {backends.name}")
        with pytest.raises(StorageUnavailableError, match="restart this backend"):
            await storage.commit(first_change("v"))
    async with here.open() as storage:
        assert storage.events.database != life
        assert await storage.load("u") is None
        await storage.commit(first_change("u"))


async def test_several_that_start_at_once_make_the_tables_once(backends: Backends) -> None:
    lives_: list[str] = []

    async def start(name: str) -> None:
        async with backends.one(name).open() as storage:
            lives_.append(storage.events.database)

    async with anyio.create_task_group() as tasks:
        for name in "abcdef":
            tasks.start_soon(start, name)
    assert len(lives_) == 6
    assert len(set(lives_)) == 1
    assert backends.execute("SELECT version FROM foundry.schema_version") == [(VERSION,)]


@pytest.mark.slow
async def test_one_that_runs_goes_on_beside_a_newer_version_but_is_not_started_any_more(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = backends.one("older"), backends.one("newer")
    async with older.open() as before:
        first = with_rows("t")
        await before.commit(first)
        with monkeypatch.context() as program:
            brings = b"CREATE TABLE colours (name TEXT); ALTER TABLE tasks ADD COLUMN colour TEXT DEFAULT 'red'"
            program.setattr(migration, "MIGRATIONS", [*migration.MIGRATIONS, brings])
            program.setattr(migration, "VERSION", VERSION + 1)
            async with newer.open() as after:
                second = next_change(first, history=((HistoryKind.TASK_NAMED, {}),))
                await after.commit(second)
                await before.commit(next_change(second, history=((HistoryKind.TASK_NAMED, {}),)))
                await before.commit(with_rows("u"))
                # As of something that the older one knows nothing of.
                backends.execute(
                    "WITH next AS (UPDATE foundry.meta SET seq = seq + 1 RETURNING seq) "
                    "INSERT INTO foundry.events (seq, name, task_id, session_id, body) "
                    "SELECT seq, 'colour', 't', '', '{}' FROM next"
                )
                await after.commit(first_change("v"))
                (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
                await newer.until_told(last)
                await older.until_told(last)
                assert await before.load("t") == await after.load("t")
                assert await kept(before) == await kept(after) == {"t", "u", "v"}
    assert told(older)[-len(told(newer)) :] == told(newer)
    with pytest.raises(DatabaseUnusableError, match="upgrade foundry"):
        async with older.open():
            pass


async def test_why_hosts_cannot_be_asked_of_is_told(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_statements, "PATIENCE", 0.1)
    async with single_statements.open_statements(parse_address(backends.url)) as statements:
        backends.server.execute(f"ALTER DATABASE {backends.name} ALLOW_CONNECTIONS false")
        backends.server.cut_connections(backends.name)
        with pytest.raises(StorageUnavailableError, match="not currently accepting connections"):
            await statements.fetch("meta.life")


async def test_every_text_is_kept_as_it_came(backends: Backends) -> None:
    odd = "a\0b\1c\u2028\U0001f600'%s%%\\"
    async with backends.one("here").open() as storage:
        change = with_rows("t")
        change = replace(
            change,
            task=structs.replace(change.task, title=odd),
            items=[item("s-t", 0, body=odd)],
            permissions=[permission("t", "s-t", odd)],
        )
        await storage.commit(change)
        state = await storage.load("t")
        assert state is not None
        assert state.task.title == odd
        assert await storage.task_of_permission(odd) == "t"
        for other in (odd.replace("\0", "\1" + "0"), odd.replace("\1", "\0")):
            assert await storage.task_of_permission(other) is None
        other_task = first_change("u")
        with pytest.raises(IdTakenError):
            await storage.commit(replace(other_task, permissions=[permission("u", "s-u", odd)]))


async def test_numbers_of_64_bits_are_kept(backends: Backends) -> None:
    big = 2**53 - 1
    async with backends.one("here").open() as storage:
        change = first_change("t")
        change = replace(change, at=big, task=structs.replace(change.task, created_at=big))
        await storage.commit(change)
        backends.execute(f"UPDATE foundry.meta SET seq = {2**40}")
        (event,) = await storage.commit(next_change(change, history=((HistoryKind.TASK_NAMED, {}),)))
        assert event.seq > 2**40
        task = await storage.task("t")
        assert task is not None
        assert task.created_at == big


async def test_every_statement_is_one_that_the_database_understands_and_is_used(backends: Backends) -> None:
    async with backends.one("here").open():
        pass
    with psycopg.connect(backends.url, autocommit=True) as connection:
        connection.execute("SET search_path = foundry")
        for name, statement in SQL.items():
            numbered = re.sub(rb"%s", b"$1", statement)
            for number in range(1, statement.count(b"%s") + 1):
                numbered = re.sub(rb"\$1(?!\d)", b"$%d" % (number + 1000), numbered, count=1)
            numbered = re.sub(rb"\$1(\d{3})", lambda found: b"$%d" % int(found[1]), numbered).replace(b"%%", b"%")
            connection.execute(b"PREPARE %s AS %s" % (re.sub(r"\W", "_", name).encode(), numbered))
    folder = Path(engines.__file__).parent
    sources = "".join(path.read_text() for place in (folder, folder / "postgres") for path in place.glob("*.py"))
    used = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', sources)) | {f"{table}.forget" for table in OF_A_TASK}
    assert SQL.keys() - used == set()


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed")
@pytest.mark.parametrize(("mode", "works"), [("transaction", False), ("statement", False), ("session", True)])
async def test_a_pooler_works_unless_it_takes_connections_away(backends: Backends, mode: str, works: bool) -> None:
    with backends.server.pooler(mode) as folder:
        url = f"postgresql://{OWNER}@/{backends.name}?host={folder}&port={POOLER_PORT}"
        behind = Database(Postgres(Path(folder), url, backends.server))
        if not works:
            with pytest.raises(DatabaseUnusableError, match="pool_mode = session"):
                async with behind.open():
                    pass
            return
        async with behind.open() as storage, backends.one("beside").open() as beside:
            await beside.commit(first_change("t"))
            await storage.commit(first_change("u"))
            (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
            await behind.until_told(last)
        assert [event.seq for event in behind.told] == list(range(1, last + 1))
