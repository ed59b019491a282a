"""A database of an older version: brought forward with all that is in it, and a copy of what it was."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

from backend_stub.domain.storage import Change, with_list
from backend_stub.storage import schema
from backend_stub.storage.sqlite import FILE_NAME, open_storage
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import Prompt, PromptState, SessionState, SessionStatus, SessionSummary
from foundry_tui.contract.requests import SessionSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.backend.test_storage_commits import first_change

pytestmark = pytest.mark.anyio

TASKS_MADE = 5
SESSIONS_MADE = 3


def make_older(path: Path, version: int, rows_of: Path) -> None:
    """A database as `version` laid it out, with the rows of another one."""
    with closing(sqlite3.connect(path)) as older:
        older.execute("PRAGMA journal_mode = WAL")
        for step in range(1, version + 1):
            older.executescript(schema.MIGRATIONS[step])
        older.execute("ATTACH ? AS newer", (str(rows_of),))
        for (table,) in older.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(row[1] for row in older.execute(f"PRAGMA main.table_info({table})"))
            older.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        # Up to the second, a task's sessions stood in its own row too, and a session's prompts in that one's.
        for task_id, summary, detail in older.execute("SELECT task_id, summary, detail FROM tasks").fetchall():
            sessions = b",".join(
                body for (body,) in older.execute("SELECT body FROM sessions WHERE task_id = ?", (task_id,))
            )
            bodies = [with_list(each, "sessions", b"[%b]" % sessions) for each in (summary, detail)]
            older.execute("UPDATE tasks SET summary = ?, detail = ? WHERE task_id = ?", (*bodies, task_id))
        for session_id, body in older.execute("SELECT session_id, body FROM sessions").fetchall():
            kept = with_list(body, "prompts", b'[{"text":"is kept in a row of its own"}]')
            older.execute("UPDATE sessions SET body = ? WHERE session_id = ?", (kept, session_id))
        older.execute(f"PRAGMA user_version = {version}")
        older.commit()


def with_sessions(task_id: str, count: int) -> Change:
    """A new task that has so many sessions, each with a prompt."""
    change = first_change(task_id)
    summaries = [
        SessionSummary(
            session_id=f"{task_id}.{number}",
            task_id=task_id,
            name=f'"sessions":[] \\"sessions\\":[] {number}',
            agent="demo",
            status=SessionStatus.READY,
            created_at=1,
            updated_at=1,
            revision=1,
        )
        for number in range(count)
    ]
    prompts = [
        Prompt(prompt_id=each.session_id, session_id=each.session_id, text="fix it", state=PromptState.QUEUED, at=1)
        for each in summaries
    ]
    names = SessionSummary.__struct_fields__
    states = [
        SessionState(**{name: getattr(each, name) for name in names}, prompts=(prompt,))
        for each, prompt in zip(summaries, prompts, strict=True)
    ]
    task = structs.replace(change.task, sessions=tuple(summaries), title=',"sessions":[],"history":[]}')
    return replace(change, task=task, sessions=states, prompts=prompts)


@pytest.mark.parametrize("version", range(1, schema.VERSION))
async def test_a_database_of_an_older_version_is_brought_forward(tmp_path: Path, version: int) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    storage = open_storage(first)
    for _ in range(TASKS_MADE):
        await storage.commit_made(partial(with_sessions, uuid7(), SESSIONS_MADE))
    task_id = (await storage.having(frozenset(TaskStatus)))[0]
    task = await storage.task(task_id)
    assert task is not None
    assert len(task.sessions) == SESSIONS_MADE
    session = Topic(TopicKind.SESSION, task.sessions[1].session_id)
    told = await storage.snapshot(session)
    assert told is not None
    assert [prompt.text for prompt in decode(told[1], SessionSnapshot).prompts] == ["fix it"]
    snapshot, history = await storage.snapshot(TASKS), await storage.history(None, 0, 100)
    await storage.close()
    make_older(second / FILE_NAME, version, first / FILE_NAME)

    storage = open_storage(second)
    assert await storage.snapshot(TASKS) == snapshot
    assert await storage.snapshot(session) == told
    assert await storage.task(task_id) == task
    assert await storage.history(None, 0, 100) == history
    await storage.commit_made(partial(first_change, uuid7()))
    assert len(await storage.having(frozenset({TaskStatus.QUEUED}))) == TASKS_MADE + 1
    await storage.close()

    with closing(sqlite3.connect(second / f"{FILE_NAME}.v{version}")) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (version,)
        assert kept.execute("SELECT count(*) FROM tasks").fetchone() == (TASKS_MADE,)


async def test_older_and_new_databases_are_laid_out_alike(tmp_path: Path) -> None:
    layouts = []
    for version in (1, schema.VERSION):
        folder = tmp_path / str(version)
        folder.mkdir()
        await open_storage(folder).close()
        if version < schema.VERSION:
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
        for query in (
            "SELECT task_id FROM tasks WHERE status IN ('queued', 'running') ORDER BY created_at, task_id",
            "SELECT seq, task_id, summary FROM tasks WHERE seq > 5",
        ):
            plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert "tasks_by_seq" in plan
