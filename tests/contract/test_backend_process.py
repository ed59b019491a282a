"""The backend as a process: its ready line, where it listens, how it stops, and starts that cannot be."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.backend.process import BackendProcess
from tests.contract.checks import failed_start


@contextmanager
def _run(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A backend of these options alone, and its ready line; it is made to end."""
    with subprocess.Popen(
        [sys.executable, "-m", "backend_stub", *options],
        env={**os.environ, "FOUNDRY_PROVIDER": "demo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline() or "{}")
        finally:
            process.kill()


def _refuses(*options: str) -> tuple[int, str]:
    """Exit code and error of a start that cannot be."""
    done = subprocess.run(
        [sys.executable, "-m", "backend_stub", *options], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_the_ready_line_says_where_and_who(tmp_path: Path, short_socket: Path) -> None:
    with _run("--data-dir", str(tmp_path / "data"), "--listen", f"unix:{short_socket}") as (process, ready):
        assert ready == {"listening": f"unix:{short_socket}", "pid": process.pid}
        assert stat.S_IMODE(short_socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(short_socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert not short_socket.exists()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_2_seconds_whatever_goes_on(backend: BackendProcess, sent: signal.Signals) -> None:
    backend.set_script({"default": {"create_sandbox": {"hang": "before"}, "turn": {"hang": "after"}}})
    for _ in range(20):
        backend.create()
    lingering = []
    for request in (
        b"GET /v1/events?topic=tasks HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{",
        b"GET /v1/hea",
        b"",
    ):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(backend.socket))
        connection.sendall(request)
        lingering.append(connection)
    assert lingering[0].recv(12) == b"HTTP/1.1 200"
    assert backend.process is not None
    began = time.monotonic()
    backend.process.send_signal(sent)
    backend.process.wait(10)
    assert backend.stop() == 0
    assert time.monotonic() - began < 2.2
    for connection in lingering:
        connection.close()
    backend.start()
    assert len(backend.get("/v1/tasks")["tasks"]) == 20


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(stopped: BackendProcess, tmp_path: Path) -> None:
    stopped.start()
    stopped.kill()
    assert stopped.socket.exists()
    stopped.start()
    code, error = _refuses("--data-dir", str(tmp_path / "other"), "--listen", f"unix:{stopped.socket}")
    assert code == 1
    assert str(stopped.socket) in error
    assert stopped.get("/v1/health")["status"] == "ok"


def test_a_second_backend_on_a_data_folder_is_refused_and_says_who_holds_it(
    backend: BackendProcess, short_socket: Path
) -> None:
    code, error = _refuses("--data-dir", str(backend.data), "--listen", f"unix:{short_socket}")
    assert code == 1
    assert backend.process is not None
    assert str(backend.data) in error
    assert str(backend.process.pid) in error
    assert backend.get("/v1/health")["status"] == "ok"


def test_a_socket_path_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    data = str(tmp_path / "data")
    for path in (tmp_path / "file", tmp_path / "file" / "s", tmp_path / ("x" * 120), Path("/proc/s")):
        code, error = _refuses("--data-dir", data, "--listen", f"unix:{path}")
        assert code == 1
        assert str(path) in error
        assert len(error.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    "listen", ["unix:", "nowhere", ":80", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "[::1]"]
)
def test_an_address_that_is_none(tmp_path: Path, token_file: Path, listen: str) -> None:
    code, error = _refuses("--data-dir", str(tmp_path / "data"), "--listen", listen, "--token-file", str(token_file))
    assert code == 1
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "example.com:80", "127.0.0.1.evil.com:0"])
def test_only_loopback_is_listened_on(tmp_path: Path, token_file: Path, listen: str) -> None:
    code, error = _refuses("--data-dir", str(tmp_path / "data"), "--listen", listen, "--token-file", str(token_file))
    assert code == 1
    assert listen in error
    assert "refused" in error


def test_tcp_needs_a_token_that_is_one(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    code, error = _refuses("--data-dir", data, "--listen", "127.0.0.1:0")
    assert code == 1
    assert "--token-file" in error
    file = tmp_path / "token"
    for content in (b"", b" \n", b"two words", "schlüssel".encode(), b"\xff", None):
        if content is not None:
            file.write_bytes(content)
        else:
            file.unlink()
        for listen in ("127.0.0.1:0", f"unix:{tmp_path}/s"):
            code, error = _refuses("--data-dir", data, "--listen", listen, "--token-file", str(file))
            assert code == 1
            assert str(file) in error
            assert "words" not in error


def test_a_port_in_use_is_said(tmp_path: Path, token_file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        code, error = _refuses(
            "--data-dir", str(tmp_path / "data"), "--listen", listen, "--token-file", str(token_file)
        )
    assert code == 1
    assert listen in error


def test_tcp_tells_the_port_it_was_given(tmp_path: Path, token_file: Path) -> None:
    options = ("--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--token-file", str(token_file))
    with _run(*options) as (process, ready):
        host, _, port = str(ready["listening"]).rpartition(":")
        assert (host, int(port) > 0, ready["pid"]) == ("127.0.0.1", True, process.pid)
        headers = {"authorization": f"Bearer {token_file.read_text().strip()}"}
        assert httpx.get(f"http://127.0.0.1:{port}/v1/health", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--data-dir", "x"),
        ("--listen", "unix:s"),
        ("--data-dir", "", "--listen", "unix:s"),
        ("--data-dir", "x", "--listen", "unix:s", "--max-provisioning", "0"),
        ("--data-dir", "x", "--listen", "unix:s", "--max-provisioning", "many"),
        ("--data-dir", "x", "--listen", "unix:s", "--colour", "red"),
    ],
)
def test_wrong_options_are_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = _refuses_here(tmp_path, *options)
    assert code == 2
    assert error
    assert list(tmp_path.glob("*.db")) == []


def _refuses_here(folder: Path, *options: str) -> tuple[int, str]:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "backend_stub", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stderr


def test_another_database_is_refused_without_its_password(tmp_path: Path) -> None:
    for url in (
        "postgresql://me:hush@db/foundry",
        "postgresql://db/foundry?user=me&password=hush",
        "host=db dbname=foundry password=hush",
    ):
        code, error = _refuses(
            "--data-dir", str(tmp_path / "data"), "--listen", f"unix:{tmp_path}/s", "--database", url
        )
        assert code == 1
        assert "hush" not in error


def test_a_data_folder_that_cannot_be(tmp_path: Path, short_socket: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc/foundry")):
        code, error = _refuses("--data-dir", str(folder), "--listen", f"unix:{short_socket}")
        assert code == 1
        assert str(folder) in error


def test_a_damaged_newer_or_foreign_database_is_refused(stopped: BackendProcess) -> None:
    stopped.data.mkdir(parents=True)
    database = stopped.data / "foundry.db"
    database.write_bytes(b"this is no database, but it was somebody's\n" * 100)
    code, error = failed_start(stopped)
    assert (code, str(database) in error) == (1, True)
    database.unlink()
    with sqlite3.connect(database) as foreign:
        foreign.execute("CREATE TABLE songs (title TEXT)")
    foreign.close()
    code, error = failed_start(stopped)
    assert (code, "another program" in error) == (1, True)
    database.unlink()
    with sqlite3.connect(database) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    code, error = failed_start(stopped)
    assert (code, "99" in error) == (1, True)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token-file"
    path.write_text("s3cret-word\n")
    return path
