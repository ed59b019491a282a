"""Why PostgreSQL cannot do what is asked of it, as one sentence without its end that says what to do."""

import psycopg
from psycopg import errors

from backend_stub.storage.postgres.address import Address

_FULL = (errors.DiskFull, errors.OutOfMemory, errors.ConfigurationLimitExceeded)
_READ_ONLY = (errors.ReadOnlySqlTransaction,)
_REMEDIES = (
    ("does not exist", "create it (createdb), or name another one"),
    ("too many", "raise its max_connections, or end other connections"),
    ("remaining connection slots", "raise its max_connections, or end other connections"),
    ("no pg_hba.conf entry", "let this machine in, in the server's pg_hba.conf"),
    ("SSL", "look at sslmode of the URL and at the server's certificate"),
    ("starting up", "wait until it is up"),
    ("shutting down", "wait until it is up again"),
    ("resolve host", "look at the host's name in the URL"),
)


def why_unreachable(address: Address, error: psycopg.Error) -> str:
    """Why there is no connection."""
    connection = error.pgconn
    text = _said(error)
    if connection is not None and connection.needs_password:
        return f"the database {address.shown} wants a password: give it in the URL, in PGPASSWORD or in ~/.pgpass"
    if connection is not None and connection.used_password and "password" in text:
        return (
            f"the database {address.shown} refuses the user or the password: look at the URL, PGPASSWORD or ~/.pgpass"
        )
    remedy = next((remedy for part, remedy in _REMEDIES if part in text), "start it, or look at the URL")
    return f"the database {address.shown} cannot be reached ({text}): {remedy}"


def why_silent(address: Address) -> str:
    """Why nothing came of what was asked: a server that is gone says so, one that stands still says nothing."""
    return f"the database {address.shown} does not answer: look at the server"


def why_not(address: Address, error: psycopg.Error, doing: str) -> str:
    """Why something was not done that a connection was asked for."""
    what = f"the database {address.shown} cannot be {doing} ({_said(error)})"
    if isinstance(error, _READ_ONLY):
        return f"{what}: it is a standby or set to be read only: name the server that takes changes"
    if isinstance(error, errors.LockNotAvailable):
        return f"{what}: another backend has kept it to itself for too long: look whether one hangs"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{what}: grant this user its tables in the schema foundry"
    if isinstance(error, _FULL):
        return f"{what}: make room on the server"
    if isinstance(error, psycopg.OperationalError):
        return f"{what}: it is tried again, look at the server if that does not help"
    return f"{what}: look at the server's log"


def _said(error: psycopg.Error) -> str:
    """What the server or libpq said, on one line; neither quotes a password."""
    said = error.diag.message_primary or str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # Of several addresses of one host, each has its own.
    return " ".join(lines)[:300].removeprefix("connection failed: ") or type(error).__name__
