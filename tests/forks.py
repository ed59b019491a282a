"""`foundry` in a process of its own, but not from nothing: a fork of one that has imported the commands already.

Most of the time of a short command is the start of its interpreter. Tests run hundreds of them, so each process of
tests keeps a server of forks. All that is different from a process that is started anew is when modules are imported:
`tests/cli/test_imports.py`, and whatever runs `foundry` on a terminal or with `popen`, starts it anew.
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
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_READ_AT_START = ("LANG", "LC_", "PYTHON", "LD_")
"""How variables begin that the interpreter reads before any code of ours: with others a process has to be started."""
_CAN_FORK = sys.platform == "linux"
_WORDS = 100_000
"""Bytes of words and variables beyond which the system itself may refuse to start a command: it is asked then."""


def run(
    command: Sequence[str], environ: Mapping[str, str], cwd: Path, stdin: bytes, timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run the console script of this environment, `command[0]`, to its end; raises as `subprocess.run` does."""
    server = _server(_at_start(environ), Path(command[0])) if _CAN_FORK else None
    if server is None or sum(map(len, (*command, *environ.values()))) > _WORDS:
        return subprocess.run(command, env=environ, cwd=cwd, input=stdin, capture_output=True, timeout=timeout)
    return server.run(command, environ, cwd, stdin, timeout)


def _at_start(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in environ.items() if name.startswith(_READ_AT_START)))


@cache
def _server(at_start: tuple[tuple[str, str], ...], script: Path) -> "_Server | None":
    """The one server of this process: it stands for the variables that most tests have."""
    return _Server(dict(at_start), script) if _server.cache_info().misses == 1 else None


class _Server:
    def __init__(self, environ: dict[str, str], script: Path) -> None:
        self._asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with asked:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(asked.fileno()), str(script.parent)],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(asked.fileno(),),
            )
        atexit.register(self._close)

    def run(
        self, command: Sequence[str], environ: Mapping[str, str], cwd: Path, stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        until = time.monotonic() + timeout
        wanted = {"command": [*command], "environ": {**environ}, "cwd": str(cwd), "umask": _umask()}
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        files = [_file(json.dumps(wanted).encode()), _file(stdin), their_out, their_err, theirs.detach()]
        try:
            socket.send_fds(self._asking, [b"."], files)
        finally:
            for file in files:
                os.close(file)
        with told:
            told.settimeout(timeout)
            pid = int(told.recv(64))
            read: dict[int, bytes] = {out: b"", err: b""}
            with selectors.DefaultSelector() as selector:
                for pipe in read:
                    selector.register(pipe, selectors.EVENT_READ)
                while selector.get_map():
                    ready = selector.select(max(0.0, until - time.monotonic()))
                    if not ready:
                        os.kill(pid, signal.SIGKILL)
                        raise subprocess.TimeoutExpired(command, timeout, read[out], read[err])
                    for key, _ in ready:
                        got = os.read(key.fd, 65_536)
                        read[key.fd] += got
                        if not got:
                            selector.unregister(key.fd)
                            os.close(key.fd)
            code = os.waitstatus_to_exitcode(int(told.recv(64)))
        return subprocess.CompletedProcess(command, code, read[out], read[err])

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


def _serve(asked: socket.socket, folder: str) -> None:
    """Fork for each request, until nobody can ask any more; in a fork this returns, with what is to be run."""
    # What is typed to end the tests reaches all of their processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    coerced = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}
    sys.path[0] = folder
    from foundry_tui.cli import table

    for module in {row.module for row in table.COMMANDS.values()}:
        import_module(f"foundry_tui.cli.commands.{module}")
    # What they import when they need it.
    for module in ("foundry_tui.client.blocking", "foundry_tui.cli.follow.following", "httpx", "httpcore"):
        import_module(module)
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


def _main() -> int:
    """As the console script, with what the interpreter does at its end but for taking its modules apart."""
    from foundry_tui.cli.main import main

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
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
    os._exit(_main())
