"""The SQL statements by name: `SQL["tasks.add"]` is the one called `add` in `sql/tasks.sql`.

In a file each statement follows a line `-- name: NAME`. There is a file for each table.
"""

from collections.abc import Iterator
from pathlib import Path


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.glob("*.sql"):
        _, *named = path.read_text(encoding="utf-8").split("-- name: ")
        for each in named:
            name, _, statement = each.partition("\n")
            yield f"{path.stem}.{name}", statement.strip()


SQL = dict(_read(Path(__file__).with_name("sql")))
