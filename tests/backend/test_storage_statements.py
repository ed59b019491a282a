"""The SQL statements in files, by name."""

import re

import pytest

from backend_stub.storage.sqlite.tables import SQL


@pytest.mark.parametrize("name", SQL)
def test_parameters_are_told_apart_by_their_order(name: str) -> None:
    """Numbered ones take no sequence of values: Python 3.12 warns of that, and 3.14 refuses it."""
    assert not re.search(r"\?\d|[:@$][a-z]", SQL[name])
