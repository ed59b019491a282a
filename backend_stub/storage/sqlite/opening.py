"""Opening the one SQLite file: how each connection is set, and why it cannot be."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

FILE_NAME = "foundry.db"
LOCK_WAIT_MS = 2_000
PAGE_BYTES = 2_048
"""Of a new database. A commit writes whole pages, and mostly a few hundred bytes on each of many."""
CHECKPOINT_BYTES = 4_194_304
"""Of the write-ahead log, before a commit takes the time to move it into the database."""


def connect(path: Path, *, make: bool = False) -> sqlite3.Connection:
    """A connection to the file, which must be there unless it is to be made; raises `sqlite3.Error`."""
    # no other character of a path means anything in a URI once these are quoted
    place = f"file:{quote(os.fsencode(path))}?mode={'rwc' if make else 'rw'}"
    connection = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // page_bytes}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file holds what cannot be."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: sqlite3.Error) -> bool:
    """Whether there was no room on the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def why_not(path: Path, error: sqlite3.Error, doing: str = "opened") -> str:
    """What is wrong with the database and what to do, as one sentence without its end."""
    text = str(error)
    if is_damage(error):
        return f"the database {path} is damaged ({text}): restore a copy, or move the file away to start empty"
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return f"the database {path} cannot be written ({text}): check the folder's owner and permissions"
    if "locked" in text:
        return f"the database {path} is locked by another program: close it and start again"
    if "full" in text:
        return f"the database {path} cannot be written ({text}): free some disk space"
    return f"the database {path} cannot be {doing} ({text}): look at the disk, then try again"


def check_writable(connection: sqlite3.Connection) -> None:
    """Find out now, not with the first change, that another program holds the database or nothing may be written."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
