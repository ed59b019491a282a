"""The named SQL statements of an engine: those that all engines have in `sql/` here, and its own in its own `sql/`.

In a file each statement follows a line `-- name: NAME`, and is called by the file and that name: `tasks.add` is `add`
of `tasks.sql`. There is a file for each table. Values stand for `?`, in their order.
"""

from collections.abc import Iterator
from pathlib import Path


def read_statements(engine: Path) -> dict[str, str]:
    """The statements of the engine that has its own in this folder; raises `ValueError` where two have one name."""
    found: dict[str, str] = {}
    for folder in (Path(__file__).with_name("sql"), engine):
        for name, statement in _read(folder):
            if name in found:
                raise ValueError(f"two statements are called {name}")
            found[name] = statement
    return found


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.glob("*.sql"):
        _, *named = path.read_text(encoding="utf-8").split("-- name: ")
        for each in named:
            name, _, statement = each.partition("\n")
            yield f"{path.stem}.{name}", statement.strip()
