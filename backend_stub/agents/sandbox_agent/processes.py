"""Processes that outlive the backend: recognising one again, ending its whole group, hiding its token."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

MARK = "FOUNDRY_SANDBOX_ID"
"""Environment variable that every process of a sandbox inherits, by which stray ones are known as ours."""

_LINUX = sys.platform == "linux"
_PROC = Path("/proc")
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a process at the head of a group and session of its own, printing to `log`; its pid.

    It goes on when the backend ends. Raises `OSError`. Blocks for some milliseconds.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=cwd,
            env=dict(environ),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    _children[child.pid] = child
    return child.pid


def exit_code(pid: int) -> int | None:
    """How a child of ours ended (negative: by which signal), or None while it runs or if it is no child of ours."""
    child = _children.get(pid)
    if child is None:
        return None
    code = child.poll()
    if code is not None:
        del _children[pid]
    return code


def start_mark(pid: int) -> str | None:
    """When this process started, in words of the system's own, or None if there is none (a dead child included)."""
    exit_code(pid)
    if _LINUX:
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else fields[19]
    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout.strip().replace(" ", "_") or None


def end(pid: int, started: str, sandbox_id: str) -> None:
    """Kill the group of this process and whatever else carries the sandbox's mark; nothing there is success.

    A pid whose start mark is another's is left alone. Blocks for some milliseconds.
    """
    if start_mark(pid) == started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        child = _children.pop(pid, None)
        if child is not None:
            child.wait()
    end_marked(sandbox_id)


def end_marked(sandbox_id: str) -> int:
    """Kill every process that carries the sandbox's mark, as far as the system shows environments; how many."""
    needle = f"{MARK}={sandbox_id}".encode()
    ended = 0
    for pid in _pids():
        try:
            variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if needle in variables and pid != os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def hide_argument(group: int, secret: str) -> None:
    """Blank a secret in the arguments that the system shows of the processes of this group, where it can be done.

    The server takes its token as an argument only and has copied it by the time it answers; without this every
    user of the machine could read it in the process list.
    """
    for pid in _pids():
        fields = _stat(pid)
        if fields is None or fields[2] != str(group):
            continue
        with contextlib.suppress(OSError, ValueError):
            arguments = (_PROC / str(pid) / "cmdline").read_bytes()
            place = arguments.find(secret.encode())
            if place >= 0:
                with (_PROC / str(pid) / "mem").open("r+b", buffering=0) as memory:
                    memory.seek(int(fields[45]) + place)
                    memory.write(b"*" * len(secret))


def _pids() -> Iterator[int]:
    if not _LINUX:
        return
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on: 0 state, 2 group, 19 start time, 45 where the arguments begin."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
