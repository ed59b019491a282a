"""What is said where that which speaks to PostgreSQL cannot be imported."""

import pytest

from backend_stub import wiring
from backend_stub.domain.errors import StartError


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("psycopg", "psycopg, which is not installed: pip install"),
        ("backend_stub.storage.gone", "own files have changed since this backend began: start it again"),
    ],
)
def test_what_is_not_installed_is_told_from_files_that_an_upgrade_has_changed(missing: str, said: str) -> None:
    with pytest.raises(StartError, match=said), wiring._wanting_postgres():
        raise ImportError(name=missing)
