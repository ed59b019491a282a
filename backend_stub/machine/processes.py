"""Processes that outlive the backend: recognising one again, ending its whole group, hiding its token."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from backend_stub.machine import privacy
from backend_stub.machine.faults import is_machine_fault

MARK = "FOUNDRY_SANDBOX_ID"
"""Environment variable that every process of a sandbox inherits, by which stray ones are known as ours."""
AGENT_MARK = "FOUNDRY_AGENT_SANDBOX_ID"
"""The same for what a sandbox's agents have started, as opposed to its set-up."""

KILL_LIMIT = 2.0
"""Seconds to wait for the end of a killed process; one that the kernel holds on to may take longer."""

ASK_LIMIT = 1.0
"""Seconds that a process which is asked to end has for that."""

_LINUX = sys.platform == "linux"
_PROC = Path("/proc")
_children: dict[int, int | None] = {}
"""Exit codes, by pid, of the processes that were started here; None while they run."""


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
            umask=privacy.umask_of_children(),
        )
    finally:
        os.close(descriptor)
    _children[child.pid] = None
    # We wait for it by its pid; the object would complain of a child that is meant to go on after us.
    child.returncode = 0
    return child.pid


def exit_code(pid: int) -> int | None:
    """How a child of ours ended (negative: by which signal), or None while it runs or if it is no child of ours."""
    if pid in _children and _children[pid] is None:
        with contextlib.suppress(ChildProcessError):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _children[pid] = os.waitstatus_to_exitcode(status)
    return _children.get(pid)


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
        group = [member for member in _pids() if (fields := _stat(member)) is not None and fields[2] == str(pid)]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        _kill(group)
    end_marked(sandbox_id)


def end_marked(sandbox_id: str, mark: str = MARK, *, gently: bool = False) -> int:
    """Kill every process that carries the sandbox's mark, as far as the system shows environments; how many.

    `gently`: they are asked to end first, as git has to be, which removes its lock files then.
    """
    marked = marked_with(sandbox_id, mark)
    _kill(marked, gently=gently)
    return len(marked)


def marked_with(sandbox_id: str, mark: str) -> Sequence[int]:
    """Every process that carries the mark, as far as the system shows environments."""
    needle = f"{mark}={sandbox_id}".encode()
    marked = []
    for pid in _pids():
        try:
            variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError as error:
            if is_machine_fault(error):
                raise
            continue
        if needle in variables and pid != os.getpid():
            marked.append(pid)
    return marked


def at_work(program: str, folders: Collection[Path]) -> bool:
    """Whether somebody else than we runs a program of this name in one of these folders, or below, as far as the
    system shows where processes are.
    """
    parents = _parents()

    def is_ours(pid: int) -> bool:
        while _name(pid) == program:
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    for pid in parents:
        if _name(pid) == program and not is_ours(pid):
            with contextlib.suppress(OSError):
                if any((_PROC / str(pid) / "cwd").readlink().is_relative_to(folder) for folder in folders):
                    return True
    return False


def agents_of(server: int, program: str) -> dict[int, str]:
    """Start marks, by pid, of the processes that the server has started; empty where the system does not show them.

    `program` is the server's own name: under a wrapper it is a descendant of the pid that was started.
    """
    parents = _parents()
    for pid in (server, *_descendants(server, parents)):
        if _name(pid) == program[:15]:
            return {child: mark for child, parent in parents.items() if parent == pid and (mark := start_mark(child))}
    return {}


def families(pids: Iterable[int], parents: Mapping[int, int] | None = None) -> dict[int, list[int]]:
    """Each of these processes with all its descendants, by its pid; `parents` are those of every process."""
    known = _parents() if parents is None else parents
    return {pid: [pid, *_descendants(pid, known)] for pid in pids}


def end_tree(pid: int, started: str) -> None:
    """Kill a process and all its descendants; a pid whose start mark is another's is left alone."""
    if start_mark(pid) != started:
        return
    _kill([pid, *_descendants(pid, _parents())])


def _kill(pids: Sequence[int], *, gently: bool = False) -> None:
    """Kill these and wait until they have ended, where the system lets us wait for what is no child of ours."""
    handles = []
    patience = time.monotonic() + (ASK_LIMIT if gently else 0.0)
    for pid in pids:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                handles.append(os.pidfd_open(pid))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM if gently else signal.SIGKILL)
    if gently:
        for handle in handles:
            select.select([handle], [], [], max(0.0, patience - time.monotonic()))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [], KILL_LIMIT)
        os.close(handle)
    for pid in pids:
        exit_code(pid)


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


def _parents() -> dict[int, int]:
    """The parent of every process."""
    return {pid: int(fields[1]) for pid in _pids() if (fields := _stat(pid)) is not None}


def _descendants(pid: int, parents: Mapping[int, int]) -> list[int]:
    found: list[int] = []
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found.extend(fresh)
    return found


def _name(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on: 0 state, 1 parent, 2 group, 19 start, 45 where arguments begin."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError as error:
        if is_machine_fault(error):
            # That we cannot look says nothing about whether it is there.
            raise
        return None
    return text.rpartition(")")[2].split()
