"""The PostgreSQL server that tests stand on: each has a database of its own, and nothing stays behind."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import PostgresServer, why_none

pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them"),
]

_UNTIL_KILLED = """
import os, signal
from tests.postgres import PostgresServer
server = PostgresServer()
print(server.folder, server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_each_database_is_new_and_its_owner_is_not_root(postgres: PostgresServer, postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE here (number bigint)")
    with postgres.database() as other, psycopg.connect(other) as connection:
        assert connection.execute("SELECT to_regclass('here')").fetchone() == (None,)
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


def test_it_is_stopped_and_started_again_with_what_was_committed(own_postgres: PostgresServer) -> None:
    own_postgres.execute("CREATE TABLE here (number bigint)")
    own_postgres.stop()
    assert not (own_postgres.folder / "data" / "postmaster.pid").exists()
    own_postgres.start()
    assert own_postgres.execute("SELECT count(*) FROM here") == [(0,)]


def test_nothing_of_it_is_left_when_its_tests_are_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _UNTIL_KILLED], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as killed:
        assert killed.stdout is not None
        # The keeper has this pipe too, as its standard error: it is read to the end of the keeper.
        folder, pid = killed.stdout.read().split()
        assert killed.wait() == -signal.SIGKILL
    assert not Path(folder).exists()
    assert _has_ended(int(pid))


def _has_ended(pid: int) -> bool:
    """Whether the process does nothing any more, even if nobody has taken notice of its end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 0)[0])
    finally:
        os.close(handle)
