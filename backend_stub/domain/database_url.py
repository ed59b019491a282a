"""The URL of a database: what it says of where that is, and what it keeps secret."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

VARIABLE = "FOUNDRY_DATABASE"
"""Has the URL where the command line does not: every user of the machine sees command lines."""
SCHEMES = ("postgresql", "postgres")
_PASSWORD_WORD = re.compile(r"""password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)""", re.IGNORECASE)
"""As libpq has it beside URLs: `host=db password=…`."""
_KEYWORD = re.compile(r"\s*[a-z_]+\s*=")


def is_postgres(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def names_a_database(place: str) -> bool:
    """Whether this is no folder, but a URL of whatever kind, or libpq's `host=db dbname=…`."""
    return "://" in place or _KEYWORD.match(place) is not None


def without_secret(url: str) -> str:
    """The URL, or what stands in its place, without what may hold a password: before the host, in the query, or after
    that word.
    """
    url = _PASSWORD_WORD.sub("password=…", url)
    scheme, mark, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def secrets_of(url: str) -> frozenset[str]:
    """Every spelling of the passwords in it."""
    try:
        parts = urlsplit(url)
        found = {parts.password or ""} | {value for name, value in parse_qsl(parts.query) if "password" in name}
    except ValueError:
        found = {url.partition("://")[2].rpartition("@")[0].partition(":")[2]}
    found |= {word.strip("'") for word in _PASSWORD_WORD.findall(url)} if not is_postgres(url) else set()
    return frozenset({unquote(each) for each in found} | found) - {""}
