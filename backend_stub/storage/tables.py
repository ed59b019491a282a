"""What is done with the tables of a database, whichever engine keeps them: named statements in one open transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Row = tuple[Any, ...]
WhyUnchanged = Callable[[], Awaitable[Exception]]
"""Finds out, after a statement changed no row, why; the error to be raised."""


class Query(NamedTuple):
    """A named statement that reads, and its values."""

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

    async def must_change(self, why: WhyUnchanged, name: str, *values: object) -> None:
        """Execute it; when it changes no row, the error that `why` finds is raised, here or by `settle`."""
        ...

    async def settle(self) -> None:
        """Wait until all is executed."""
        ...

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that computes for long: in a thread of its own where the transaction is on the event loop."""
        ...


async def fetch_one(tables: Tables, name: str, *values: object) -> Row | None:
    """The first row; None when there is none."""
    rows = await tables.fetch(name, *values)
    return rows[0] if rows else None


async def fetch_known(tables: Tables, name: str, *values: object) -> Row:
    """The first row, where there is one."""
    return (await tables.fetch(name, *values))[0]
