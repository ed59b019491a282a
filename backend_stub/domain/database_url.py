"""The URL of a database: what it says of where that is, and what it keeps secret."""

from urllib.parse import parse_qsl, unquote, urlsplit

VARIABLE = "FOUNDRY_DATABASE"
"""Has the URL where the command line does not: every user of the machine sees command lines."""
SCHEMES = ("postgresql", "postgres")


def is_postgres(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def without_secret(url: str) -> str:
    """The URL without what stands before its host or in its query: either may hold a password."""
    scheme, mark, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def secrets_of(url: str) -> frozenset[str]:
    """Every spelling of the passwords in it."""
    try:
        parts = urlsplit(url)
        found = {parts.password or ""} | {value for name, value in parse_qsl(parts.query) if "password" in name}
    except ValueError:
        found = {url.partition("://")[2].rpartition("@")[0].partition(":")[2]}
    return frozenset({unquote(each) for each in found} | found) - {""}
