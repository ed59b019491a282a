"""Brings a database of an older version forward: `migrations/0003_….sql` makes the third version of the second.

A migration that was handed out once is never changed; what is to be otherwise is another one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from backend_stub.domain.errors import DatabaseUnusableError

MIGRATIONS = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
VERSION = len(MIGRATIONS)
"""Schema version of this program; a database with a higher one is refused."""


def statements_of(path: Path) -> Iterator[str]:
    """The statements of a file, one after the other: each ends with a line."""
    statement = ""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def migrate(path: Path, connection: sqlite3.Connection) -> None:
    """Bring the schema forward in one transaction, keeping a copy of what was there."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise DatabaseUnusableError(
            f"the database {path} has schema version {version}, but this program knows only {VERSION}: "
            "upgrade foundry, or use another data folder"
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DatabaseUnusableError(f"the database {path} belongs to another program: use another data folder")
    if version == VERSION:
        return
    if version > 0:
        copy = path.with_name(f"{path.name}.v{version}")
        with closing(sqlite3.connect(copy)) as kept:
            connection.backup(kept)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:]:
            for statement in statements_of(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
