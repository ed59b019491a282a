"""A database of an older version: brought forward with all that is in it, and a copy of what it was."""

import re
import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from backend_stub import storage
from backend_stub.storage import sqlite
from backend_stub.storage.sqlite import FILE_NAME, open_storage
from backend_stub.storage.sqlite.migration import MIGRATIONS, VERSION, statements_of
from backend_stub.storage.sqlite.opening import connect
from backend_stub.storage.sqlite.tables import SQL
from backend_stub.storage.writing import OF_A_TASK
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.requests import SessionSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.backend.rows import first_change, with_sessions

pytestmark = pytest.mark.anyio

TASKS_MADE = 5
SESSIONS_MADE = 3


def with_field(document: bytes, name: str, value: bytes) -> bytes:
    return encode(decode(document, dict[str, Raw]) | {name: Raw(value)})


def make_older(path: Path, version: int, rows_of: Path) -> None:
    """A database as `version` laid it out, with the rows of another one."""
    with closing(sqlite3.connect(path)) as older:
        older.execute("PRAGMA journal_mode = WAL")
        for path in MIGRATIONS[:version]:
            older.executescript(path.read_text())
        older.execute("DELETE FROM meta")
        older.execute("ATTACH ? AS newer", (str(rows_of),))
        for (table,) in older.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in older.execute(f"PRAGMA main.table_info({table})"))
            older.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        if version < 4:
            put_lists_into_rows(older)
        if version < 9:
            older.execute("DELETE FROM meta WHERE key = 'ended'")
        older.execute(f"PRAGMA user_version = {version}")
        older.commit()


def put_lists_into_rows(older: sqlite3.Connection) -> None:
    """Up to the third version, a task's sessions stood in its own row too, and a session's prompts in that one's."""
    for task_id, summary, detail in older.execute("SELECT task_id, summary, detail FROM tasks").fetchall():
        sessions = b",".join(
            body for (body,) in older.execute("SELECT body FROM sessions WHERE task_id = ?", (task_id,))
        )
        bodies = [with_field(each, "sessions", b"[%b]" % sessions) for each in (summary, detail)]
        older.execute("UPDATE tasks SET summary = ?, detail = ? WHERE task_id = ?", (*bodies, task_id))
    for session_id, body in older.execute("SELECT session_id, body FROM sessions").fetchall():
        kept = with_field(body, "prompts", b'[{"text":"is kept in a row of its own"}]')
        older.execute("UPDATE sessions SET body = ? WHERE session_id = ?", (kept, session_id))


@pytest.mark.parametrize("version", range(1, VERSION))
async def test_a_database_of_an_older_version_is_brought_forward(tmp_path: Path, version: int) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    storage = open_storage(first)
    for _ in range(TASKS_MADE):
        await storage.commit(with_sessions(uuid7(), SESSIONS_MADE))
    task_id = (await storage.having(frozenset(TaskStatus)))[0]
    task = await storage.task(task_id)
    assert task is not None
    assert len(task.sessions) == SESSIONS_MADE
    session = Topic(TopicKind.SESSION, task.sessions[1].session_id)
    told = await storage.events.snapshot(session)
    assert told is not None
    before = decode(b"".join(told.pieces), SessionSnapshot)
    assert [prompt.text for prompt in before.prompts] == ["fix it"]
    snapshot, history = await storage.events.snapshot(TASKS), await storage.history(None, 0, 100)
    await storage.close()
    make_older(second / FILE_NAME, version, first / FILE_NAME)

    storage = open_storage(second)
    assert await storage.events.snapshot(TASKS) == snapshot
    told = await storage.events.snapshot(session)
    assert told is not None
    assert decode(b"".join(told.pieces), SessionSnapshot) == before
    assert await storage.task(task_id) == task
    assert await storage.history(None, 0, 100) == history
    await storage.commit(first_change(uuid7()))
    assert len(await storage.having(frozenset({TaskStatus.QUEUED}))) == TASKS_MADE + 1
    await storage.close()

    with closing(sqlite3.connect(second / f"{FILE_NAME}.v{version}")) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (version,)
        assert kept.execute("SELECT count(*) FROM tasks").fetchone() == (TASKS_MADE,)


async def test_older_and_new_databases_are_laid_out_alike(tmp_path: Path) -> None:
    layouts = []
    for version in (1, VERSION):
        folder = tmp_path / str(version)
        folder.mkdir()
        await open_storage(folder).close()
        if version < VERSION:
            older = tmp_path / "older"
            older.mkdir()
            make_older(older / FILE_NAME, version, folder / FILE_NAME)
            await open_storage(older).close()
            folder = older
        with closing(sqlite3.connect(folder / FILE_NAME)) as database:
            layouts.append(set(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")))
    assert layouts[0] == layouts[1]


async def test_what_must_be_found_among_many_tasks_is_found_by_an_index(tmp_path: Path) -> None:
    await open_storage(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        by_index = {
            "tasks_by_seq": ("tasks.having", "tasks.summaries_after"),
            "tasks_by_age (ended=?)": ("tasks.living", "tasks.living_having", "tasks.newest_ended", "tasks.in_turn"),
            "tasks_by_age (ended=? AND (created_at,task_id)<(?,?))": ("tasks.ended_before", "tasks.all_before"),
        }
        for index, names in by_index.items():
            for name in names:
                plan = "; ".join(plan_of(database, SQL[name]))
                assert index in plan, name
                assert "SCAN" not in plan.replace("SCAN json_each", "") or "COVERING INDEX" in plan, name
                # What `having` and a walk along the index give is in order without being sorted.
                assert "TEMP B-TREE" not in plan or name in ("tasks.having", "tasks.in_turn"), name


async def test_every_statement_is_one_that_the_database_understands_and_is_used(tmp_path: Path) -> None:
    await open_storage(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        for statement in SQL.values():
            plan_of(database, statement)
    places = (Path(storage.__file__).parent, Path(sqlite.__file__).parent)
    sources = "".join(path.read_text() for place in places for path in place.glob("*.py"))
    used = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', sources)) | {f"{table}.forget" for table in OF_A_TASK}
    assert used - SQL.keys() <= {"foundry.db"}
    assert SQL.keys() - used == set()


def plan_of(database: sqlite3.Connection, statement: str) -> list[str]:
    """How the database goes about the statement, however many values that wants; raises `sqlite3.Error`."""
    for wanted in range(40):
        with suppress(sqlite3.ProgrammingError):
            return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", (None,) * wanted)]
    raise AssertionError(f"no number of values suits {statement}")


def test_migrations_are_numbered_one_after_the_other_and_each_is_whole_statements() -> None:
    assert [int(path.name[:4]) for path in MIGRATIONS] == list(range(1, VERSION + 1))
    for path in MIGRATIONS:
        assert "".join(statements_of(path)).strip() == path.read_text().strip()


def test_a_file_that_is_no_database_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to the collector it stays open, and Python 3.13 warns of it."""
    made: list[sqlite3.Connection] = []

    class Remembered(sqlite3.Connection):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            made.append(self)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Remembered))
    path = tmp_path / FILE_NAME
    path.write_bytes(b"this is no database\n" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        connect(path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made[0].execute("SELECT 1")
