"""`foundry` and the backend in processes of their own that are not made from nothing: each is a fork of one that has
imported them already.

Most of the time of a short command, and of the start of a backend, goes into the start of its interpreter. Tests run
hundreds of them, so each process of tests keeps a server of forks for either; benchmarks do not. All that is different
from a process that is started anew is when modules are imported: `tests/cli/test_imports.py`, whatever runs `foundry`
on a terminal or with `popen`, and backends that commands start, start anew.
"""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

_READ_AT_START = ("LANG", "LC_", "PYTHON", "LD_")
"""How variables begin that the interpreter reads before any code of ours: with others a process has to be started."""
_WORDS = 100_000
"""Bytes of words and variables beyond which the system itself may refuse to start a command: it is asked then."""


def run(
    command: Sequence[str], environ: Mapping[str, str], cwd: Path, stdin: bytes, timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run the console script of this environment, `command[0]`, to its end; raises as `subprocess.run` does."""
    server = _server("foundry", command, environ)
    if server is None:
        return subprocess.run(command, env=environ, cwd=cwd, input=stdin, capture_output=True, timeout=timeout)
    until = time.monotonic() + timeout
    out, their_out = os.pipe()
    err, their_err = os.pipe()
    fork = server.fork(command, environ, cwd, (_file(stdin), their_out, their_err))
    read: dict[int, bytes] = {out: b"", err: b""}
    with selectors.DefaultSelector() as selector:
        for pipe in read:
            selector.register(pipe, selectors.EVENT_READ)
        try:
            while selector.get_map():
                ready = selector.select(max(0.0, until - time.monotonic()))
                if not ready:
                    fork.kill()
                    raise subprocess.TimeoutExpired(command, timeout, read[out], read[err])
                for key, _ in ready:
                    got = os.read(key.fd, 65_536)
                    read[key.fd] += got
                    if not got:
                        selector.unregister(key.fd)
        finally:
            os.close(out)
            os.close(err)
    return subprocess.CompletedProcess(command, fork.wait(timeout), read[out], read[err])


def start_backend(
    options: Sequence[str], environ: Mapping[str, str], errors: IO[str]
) -> "subprocess.Popen[str] | Fork":
    """Start `python -m backend_stub` with these options; it inherits this process's folder, and nothing to read."""
    command = [sys.executable, "-m", "backend_stub", *options]
    server = _server("backend_stub", command, environ)
    if server is None:
        return subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True
        )
    out, their_out = os.pipe()
    streams = (os.open(os.devnull, os.O_RDONLY), their_out, os.dup(errors.fileno()))
    return server.fork(["backend_stub", *options], environ, Path.cwd(), streams, os.fdopen(out))


class Fork:
    """A process that a server of forks has made, with so much of `subprocess.Popen` as tests need."""

    def __init__(self, told: socket.socket, stdout: IO[str] | None) -> None:
        self._told = told
        self.stdout = stdout
        self.pid = int(told.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, if it has."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = os.waitstatus_to_exitcode(int(self._told.recv(64)))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Have it end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


_servers: dict[str, "_Server"] = {}
_allowed = False
_starting = threading.Lock()


def allow() -> None:
    """Fork from now on, where processes would be started."""
    global _allowed
    _allowed = True


def _server(program: str, command: Sequence[str], environ: Mapping[str, str]) -> "_Server | None":
    """The server for this program, if it can do that; it stands for the variables that it was first wanted with."""
    if not _allowed or sys.platform != "linux" or sum(map(len, (*command, *environ.values()))) > _WORDS:
        return None
    at_start = {name: value for name, value in environ.items() if name.startswith(_READ_AT_START)}
    with _starting:
        server = _servers.get(program) or _servers.setdefault(program, _Server(program, at_start))
    return server if server.at_start == at_start else None


class _Server:
    def __init__(self, program: str, at_start: dict[str, str]) -> None:
        self.at_start = at_start
        self._asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with asked:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(asked.fileno()), program],
                env=at_start,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(asked.fileno(),),
            )
        atexit.register(self._close)

    def fork(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        cwd: Path,
        streams: tuple[int, int, int],
        stdout: IO[str] | None = None,
    ) -> Fork:
        """A process with these standard streams, which are closed here."""
        wanted = {"command": [*command], "environ": {**environ}, "cwd": str(cwd), "umask": _umask()}
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        files = [_file(json.dumps(wanted).encode()), *streams, theirs.detach()]
        try:
            socket.send_fds(self._asking, [b"."], files)
        finally:
            for file in files:
                os.close(file)
        return Fork(told, stdout)

    def _close(self) -> None:
        """Nobody asks any more: it ends, as it does when this process is killed."""
        self._asking.close()
        self._process.wait()


def _file(content: bytes) -> int:
    """A file without a name that holds this, open at its beginning."""
    file = os.memfd_create("request")
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _umask() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 8) for line in lines if line.startswith("Umask:"))


def _serve(asked: socket.socket) -> None:
    """Fork for each request, until nobody can ask any more; in a fork this returns, with what is to be run."""
    # What is typed to end the tests reaches all of their processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    coerced = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}
    # Each fork shares what is imported for as long as it does not write into it.
    gc.collect()
    gc.freeze()
    running: dict[int, tuple[int, socket.socket]] = {}
    selector = selectors.DefaultSelector()
    selector.register(asked, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd in running:
                pid, told = running.pop(key.fd)
                selector.unregister(key.fd)
                os.close(key.fd)
                with told:
                    told.send(str(os.waitpid(pid, 0)[1]).encode())
                continue
            message, files, _, _ = socket.recv_fds(asked, 1, 5)
            if not message:
                sys.exit()
            request, *streams, reply = files
            pid = os.fork()
            if pid == 0:
                selector.close()
                for handle in (*running, *(told.detach() for _, told in running.values()), asked.detach(), reply):
                    os.close(handle)
                _become(request, streams, coerced)
                return
            for file in (request, *streams):
                os.close(file)
            told = socket.socket(fileno=reply)
            told.send(str(pid).encode())
            handle = os.pidfd_open(pid)
            running[handle] = pid, told
            selector.register(handle, selectors.EVENT_READ)


def _become(request: int, streams: list[int], coerced: dict[str, str]) -> None:
    """Have this process be as one that was started as is wanted."""
    with open(request, "rb") as file:
        wanted: dict[str, Any] = json.load(file)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(wanted["umask"])
    os.environ.clear()
    os.environ.update(coerced | wanted["environ"])
    time.tzset()
    os.chdir(wanted["cwd"])
    sys.argv = wanted["command"]


def _import_foundry() -> Callable[[], int]:
    """The console script, with all that the commands import when they are called."""
    sys.path[0] = str(Path(sys.executable).parent)
    from foundry_tui.cli import command_table, main

    for module in {row.module for row in command_table.COMMANDS.values()}:
        import_module(f"foundry_tui.cli.commands.{module}")
    for module in ("foundry_tui.client.blocking", "foundry_tui.cli.follow.following", "httpx", "httpcore"):
        import_module(module)
    return main.main


def _import_backend() -> Callable[[], int]:
    sys.path[0] = str(Path(__file__).parent.parent)
    import backend_stub.__main__

    for module in ("uvicorn.protocols.http.h11_impl", "uvicorn.lifespan.off", "uvicorn.loops.asyncio"):
        import_module(module)
    return backend_stub.__main__.main


def _run(main: Callable[[], int]) -> int:
    """As it is run, with what the interpreter does at its end but for taking its modules apart."""
    code = main()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = 120
    return code


if __name__ == "__main__":
    program = {"foundry": _import_foundry, "backend_stub": _import_backend}[sys.argv[2]]()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(_run(program))
