"""What names a database, said without its password."""

import pytest

from tests.backend.process import BackendProcess

SECRET = "hush-hush"


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", [f"host=db user=me password={SECRET} dbname=x", f"password='{SECRET}'", f"mysql://me:{SECRET}@db/x"]
)
def test_what_names_a_database_and_is_no_url_of_postgresql_is_neither_copied_nor_shown(
    stopped: BackendProcess, place: str
) -> None:
    stopped.start()
    stopped.stop()
    for ends in ((place, str(stopped.folder / "copy")), (str(stopped.data), place)):
        done = stopped.foundry("backend", "copy", *ends)
        assert (done.code, "postgresql://USER@HOST/NAME" in done.err) == (1, True), done.err
        assert SECRET not in done.err
