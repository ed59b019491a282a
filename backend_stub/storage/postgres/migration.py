"""Brings the tables of an older version forward: `migrations/0003_….sql` makes the third version of the second.

However many backends start at once, one of them does it. A migration that was handed out once is never changed; what
is to be otherwise is another one, and backends of the version before go on beside it.
"""

from pathlib import Path

from psycopg import AsyncConnection

from backend_stub.domain.errors import DatabaseUnusableError
from backend_stub.storage.postgres.address import Address

MIGRATIONS = [path.read_bytes() for path in sorted(Path(__file__).with_name("migrations").glob("*.sql"))]
VERSION = len(MIGRATIONS)
"""Schema version of this program; a database with a higher one is refused."""
SCHEMA = "foundry"
"""The tables are in a schema of their own, so that other programs may use the database too."""
_LOCK = 0x666F756E647279
"""Whoever has it may change the schema."""


async def migrate(connection: AsyncConnection, address: Address) -> None:
    """Bring the schema forward in one transaction; raises `psycopg.Error`, and `DatabaseUnusableError`."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = await _version(connection)
        if version > VERSION:
            raise DatabaseUnusableError(
                f"the database {address.shown} has schema version {version}, but this program knows only {VERSION}: "
                "upgrade foundry, or use another database"
            )
        if version == VERSION:
            return
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        for step in MIGRATIONS[version:]:
            await connection.execute(step)
        await connection.execute("DELETE FROM schema_version")
        await connection.execute("INSERT INTO schema_version VALUES (%s)", (VERSION,))


async def _version(connection: AsyncConnection) -> int:
    (there,) = await _row(connection, f"SELECT to_regclass('{SCHEMA}.schema_version') IS NOT NULL")
    return int((await _row(connection, f"SELECT version FROM {SCHEMA}.schema_version"))[0]) if there else 0


async def _row(connection: AsyncConnection, statement: str) -> tuple[int, ...]:
    row = await (await connection.execute(statement.encode())).fetchone()
    return row or (0,)
