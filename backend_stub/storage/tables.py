"""What is done with the tables of a database, whichever engine keeps them: named statements in one open transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Row = tuple[Any, ...]
Refusal = Callable[[], Awaitable[Exception]]
"""Finds out why a statement changed nothing."""


class Read(NamedTuple):
    """A named statement that reads, with its values."""

    name: str
    values: tuple[object, ...]


class Tables(Protocol):
    """One open transaction, in which named statements are executed one after the other; see `statements`.

    What a statement meets may be raised by a later one, and is raised by `settle` at the latest. A list of words is one
    value.
    """

    async def fetch(self, name: str, *values: object) -> Sequence[Row]:
        """The rows that it gives."""
        ...

    async def change(self, name: str, *values: object) -> int:
        """How many rows it changed."""
        ...

    async def do(self, name: str, *values: object) -> None: ...

    async def must_change(self, refusal: Refusal, name: str, *values: object) -> None:
        """Execute it; when it changes no row, what the refusal finds is raised, here or by `settle`."""
        ...

    async def settle(self) -> None:
        """Wait until all is executed."""
        ...

    async def apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what may take its time, where it holds nobody up."""
        ...


async def fetch_one(tables: Tables, name: str, *values: object) -> Row | None:
    """The first row; None when there is none."""
    rows = await tables.fetch(name, *values)
    return rows[0] if rows else None


async def fetch_known(tables: Tables, name: str, *values: object) -> Row:
    """The first row, where there is one."""
    return (await tables.fetch(name, *values))[0]
