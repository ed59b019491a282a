"""A database with many ended tasks, written at once: each is a copy of one that has ended, but for its history."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from foundry_tui.contract.ids import uuid7

MINUTE = 60_000
_CREATED_AT = re.compile(rb'"created_at":\d+')
_COPIED = ("tasks", "sessions", "prompts")
_IDS = ("task_id", "session_id", "prompt_id")


def multiply(database: Path, task_id: str, count: int) -> list[str]:
    """Have there be so many of an ended task, which is the newest of them; the ids of the others, newest first.

    Each was created a minute before the one above it, and holds a branch of its own. No backend is to be at work.
    """
    made = []
    with closing(sqlite3.connect(database)) as connection, connection:
        rows = {table: _rows(connection, table, task_id) for table in _COPIED}
        (created_at,) = connection.execute("SELECT created_at FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
        held = connection.execute("SELECT repo_id, branch FROM branches WHERE task_id = ?", (task_id,)).fetchone()
        ids = {str(row[name]) for row in rows["sessions"] + rows["prompts"] for name in _IDS if name in row} - {task_id}
        for number in range(2, count + 1):
            at = created_at - (number - 1) * MINUTE
            new = {task_id: _made_at(at), **{each: uuid7() for each in ids}}
            made.append(new[task_id])
            for table, copied in rows.items():
                for row in copied:
                    _write(connection, table, _copy(table, row, new, at))
            if held is not None:
                branch = (held[0], f"{held[1]}-{number}", new[task_id])
                connection.execute("INSERT INTO branches (repo_id, branch, task_id) VALUES (?, ?, ?)", branch)
        connection.execute("UPDATE meta SET value = CAST(value + ? AS TEXT) WHERE key = 'ended'", (len(made),))
    return made


Row = dict[str, object]


def _made_at(millis: int) -> str:
    return uuid7(lambda: millis)


def _rows(connection: sqlite3.Connection, table: str, task_id: str) -> list[Row]:
    found = connection.execute(f"SELECT * FROM {table} WHERE task_id = ?", (task_id,))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _copy(table: str, row: Row, new: dict[str, str], at: int) -> Row:
    copy: Row = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            for old, other in new.items():
                value = value.replace(old.encode(), other.encode())
            value = _CREATED_AT.sub(b'"created_at":%d' % at, value)
        copy[name] = new.get(value, value) if isinstance(value, str) else value
    if table == "prompts":
        del copy["number"]
    if table == "tasks":
        copy["created_at"] = at
    return copy


def _write(connection: sqlite3.Connection, table: str, row: Row) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
