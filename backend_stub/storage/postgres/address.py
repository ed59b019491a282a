"""Where a PostgreSQL database is, and how that is said without its password."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from backend_stub.domain.errors import DatabaseUnusableError

CONNECT_SECONDS = 5
_KEPT_ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "connect_timeout": CONNECT_SECONDS,
}
"""A machine that is gone without a word is noticed within seconds."""


@dataclass(frozen=True, repr=False)
class Address:
    """`parameters` are those of a connection, the password among them; `shown` names the database without it."""

    parameters: dict[str, Any]
    shown: str
    password: str | None


def parse_address(url: str, application: str = "foundry") -> Address:
    """The address that a URL names; what the URL leaves out is as libpq has it. Raises `DatabaseUnusableError`.

    `application` is what the server shows of connections to it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # What it says may quote the password.
        raise DatabaseUnusableError(
            "the database is to be a URL like postgresql://USER@HOST:5432/NAME; characters such as @ and / in a "
            "password are written as %40 and %2F"
        ) from None
    several = "," in str(given.get("host", ""))
    where = {"target_session_attrs": "read-write"} if several else {}
    parameters = {**_KEPT_ALIVE, **where, **given, "application_name": application}
    password = given.get("password")
    return Address(parameters, _shown(given), None if password is None else str(password))


def _shown(given: dict[str, Any]) -> str:
    host = given.get("host") or given.get("hostaddr") or ""
    port = f":{given['port']}" if given.get("port") else ""
    name = given.get("dbname") or given.get("user") or ""
    return f"postgresql://{host}{port}/{name}"
