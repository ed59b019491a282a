"""The backend as a process in the background: finding it, starting it exactly once, stopping it.

Who listens on the socket is asked of the kernel, never of a file with a process id, so nothing here goes stale.
"""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.connection import Target
from foundry_tui.client.errors import FoundryError, ProblemError, RequestError, StrangeAnswerError, UnreachableError
from foundry_tui.client.private_files import APP, make_folder, open_file
from foundry_tui.contract.agents import CONFIGURED
from foundry_tui.contract.mcp import VARIABLE as MCP
from foundry_tui.contract.problems import NOT_KNOWN
from foundry_tui.contract.records import Health
from foundry_tui.contract.rules import VARIABLE as RULES
from foundry_tui.contract.variables import fingerprints
from foundry_tui.contract.versions import VERSION, is_older
from foundry_tui.settings import config
from foundry_tui.settings.paths import absolute

START_SECONDS = 60.0
"""How long a backend may take from its start to its ready line (migrations included)."""
STOP_SECONDS = 10.0
"""How long a backend may take to end after SIGTERM, before it is killed."""
BRIEFLY = 1.0
"""The same where a command waits that asks for something else."""
HEALTH_SECONDS = 2.5
DATABASE = "FOUNDRY_DATABASE"
RESTART = "restart it, nothing is lost: foundry backend stop && foundry backend start"


_MORE_FOR_BACKEND = ("FOUNDRY_MAX_PROVISIONING", "FOUNDRY_DEMO_SCRIPT", CONFIGURED, MCP, RULES)
"""Variables that the backend reads and that are no key of the sections `provision` and `local`."""


_WITH_EACH_CREATE = frozenset({"FOUNDRY_PROVIDER", "FOUNDRY_AGENT", "FOUNDRY_PERMISSIONS"})
"""Those that count for what is created here, whatever the backend was started with: each create says them."""


class DaemonError(FoundryError):
    """The backend could not be started or stopped."""


@dataclass(frozen=True)
class Plan:
    """How our own backend is run, every path absolute."""

    target: Target
    data_dir: Path
    listen: str
    token_file: Path | None
    host: str | None
    max_provisioning: int | None
    allow_remote: tuple[str, ...]
    tls_cert: Path | None
    tls_key: Path | None
    insecure: bool
    environ: Mapping[str, str]

    @property
    def log(self) -> Path:
        """Where it logs when started in the background."""
        return self.data_dir / "backend.log"

    @property
    def lock(self) -> Path:
        """The file that whoever starts or stops it locks."""
        if self.target.uds is not None:
            return Path(f"{self.target.uds}.lock")
        return self.data_dir / "start.lock"

    def arguments(self) -> list[str]:
        """The command line of the backend, which names everything but the database: that may have a password."""
        words = [sys.executable, "-P", "-m", "backend_stub", "--data-dir", str(self.data_dir), "--listen", self.listen]
        if self.token_file is not None:
            words += ["--token-file", str(self.token_file)]
        if self.host is not None:
            words += ["--host", self.host]
        if self.max_provisioning is not None:
            words += ["--max-provisioning", str(self.max_provisioning)]
        for name in self.allow_remote:
            words += ["--allow-remote", name]
        if self.tls_cert is not None:
            words += ["--tls-cert", str(self.tls_cert)]
        if self.tls_key is not None:
            words += ["--tls-key", str(self.tls_key)]
        if self.insecure:
            words.append("--insecure")
        return words


def plan(settings: config.Settings, environ: Mapping[str, str] = os.environ) -> Plan:
    """How these settings run our own backend; raises `config.ConfigError` for an address that cannot be."""
    own = config.without_address(settings)
    target, _ = config.target(own, environ)
    backend = settings.backend
    return Plan(
        target=target,
        data_dir=config.data_dir(settings, environ),
        listen=str(config.listening(settings, environ)),
        token_file=_path(backend.token_file),
        host=backend.host,
        max_provisioning=backend.max_provisioning,
        allow_remote=backend.allow_remote or (),
        tls_cert=_path(backend.tls_cert),
        tls_key=_path(backend.tls_key),
        insecure=backend.insecure,
        environ={
            **environ,
            **config.as_environ(settings),
            **({} if backend.database is None else {DATABASE: backend.database}),
        },
    )


def _path(given: str | None) -> Path | None:
    return absolute(given) if given else None


class Running(NamedTuple):
    """The backend that runs now; `replaced` is the version of an older one that gave way to it.

    `untaken` names the variables that are set here and that it was not started with.
    """

    health: Health
    started: bool = False
    replaced: str | None = None
    untaken: tuple[str, ...] = ()

    @property
    def news(self) -> str:
        """What is to be said about versions, if anything."""
        theirs = self.health.version
        if self.replaced is not None:
            return f"the backend of version {self.replaced} was restarted as {theirs}: nothing is lost"
        if is_older(VERSION, than=theirs):
            return f"the backend is of version {theirs} and this is {VERSION}: update it, or open the newer one"
        if is_older(theirs):
            return (
                f"the backend is of version {theirs} and this is {VERSION}: restart it where it was started, "
                "since other settings than these did that"
            )
        return ""


def find(target: Target) -> Health | None:
    """What the backend says of itself, or None when nothing listens there.

    Raises `UnreachableError` when something listens and does not answer (`StrangeAnswerError`: not as a backend of
    our protocol), `ProblemError` when it does not want us (token).
    """
    try:
        return BlockingClient(target).call("GET", "/v1/health", Health, timeout=HEALTH_SECONDS)
    except UnreachableError as error:
        if error.absent:
            return None
        raise
    except ProblemError as error:
        if error.problem.status not in (404, 405, NOT_KNOWN):
            raise
        raise StrangeAnswerError(
            f"what listens at {target} speaks another protocol than this foundry", hint=RESTART, sent=True
        ) from None


def ensure(how: Plan) -> Running:
    """Our own backend, started when none runs and restarted when it is older than we are.

    However many call this at once, one backend is started. Raises `DaemonError`.
    """
    health = _find(how, patient=True)
    if health is not None and not _gives_way(how, health):
        return Running(health, untaken=untaken(how, health))
    return start(how, patience=BRIEFLY)


def start(how: Plan, *, patience: float = STOP_SECONDS) -> Running:
    """The running backend, after starting it if need be; the end of one that answers nobody is waited for that long.

    Raises `DaemonError`.
    """
    if how.listen.endswith(":0") and how.target.uds is None:
        raise DaemonError(
            f"{how.listen} is a port of the moment, at which nobody would find the backend again",
            hint="name a port, or run it in the foreground: foundry backend serve",
        )
    with _locked(how):
        found = _find(how, patience=patience)
        if found is not None and not _gives_way(how, found):
            return Running(found, untaken=untaken(how, found))
        if found is not None:
            _end(how.target, found.pid)
        _spawn(how)
        try:
            health = find(how.target)
        except RequestError as error:
            raise DaemonError(f"the backend was started, but does not answer: {error}", hint=_see(how)) from None
        if health is None:
            raise DaemonError(f"the backend was started, but left {how.target} again", hint=_see(how))
        return Running(health, started=True, replaced=found.version if found is not None else None)


def _find(how: Plan, *, patient: bool = False, patience: float = STOP_SECONDS) -> Health | None:
    """As `find`, but of all that is no backend to talk to it makes a `DaemonError`.

    Something that accepts and does not answer may be going down: its end is waited for, or left to who is `patient`.
    """
    try:
        return find(how.target)
    except StrangeAnswerError as error:
        raise DaemonError(error.message, hint=RESTART) from None
    except UnreachableError:
        if not patient:
            _await_end(how, patience)
        return None
    except ProblemError as error:
        hint = "set FOUNDRY_TOKEN_FILE" if error.problem.status in (401, 403) else _see(how)
        raise DaemonError(f"the backend at {how.target} refuses us: {error}", hint=hint) from None


def _gives_way(how: Plan, health: Health) -> bool:
    """Whether a running backend is to be restarted: it is older than we are, and its tasks are where ours would be.

    A newer one is left alone. So is one on another data folder, whose tasks would seem to be gone.
    """
    if not is_older(health.version):
        return False
    return _holder(how).get("pid") == health.pid


def untaken(how: Plan, health: Health) -> tuple[str, ...]:
    """The variables that are set here to other values than this running backend was started with.

    Those of the config file count as their variables. FOUNDRY_DATA_DIR is one when it works on another folder, and
    FOUNDRY_RULES when it goes on obeying rules that are there no more.
    """
    holder = _holder(how)
    if holder.get("pid") != health.pid:
        return ("FOUNDRY_DATA_DIR",) if "FOUNDRY_DATA_DIR" in how.environ else ()
    taken = holder.get("variables")
    if not isinstance(taken, dict):
        return ()
    ours = fingerprints({name: value for name, value in how.environ.items() if _is_for_backend(name)})
    obeyed = {RULES: None} if RULES in taken else {}
    return tuple(sorted(name for name, value in (obeyed | ours).items() if taken.get(name) != value))


def not_taken(names: Collection[str]) -> str:
    """What to say of variables that the running backend was not started with."""
    which, are = ", ".join(names), "is" if len(names) == 1 else "are"
    return f"{which} {are} not taken: the running backend was started with other values or none; {RESTART}"


def _is_for_backend(name: str) -> bool:
    settings = {key.env for key in config.KEYS if key.section in config.BACKEND_SECTIONS}
    named = name in settings or name.startswith("FOUNDRY_STAGE_") or name in _MORE_FOR_BACKEND
    return named and name not in _WITH_EACH_CREATE


def _holder(how: Plan) -> dict[str, object]:
    """What the lock file of the data folder tells of the backend that has it, or had it."""
    try:
        holder = json.loads((how.data_dir / config.LOCK_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def stop(how: Plan) -> int | None:
    """End the backend and wait for its end: its process id, or None when none ran. Raises `DaemonError`."""
    with _locked(how):
        try:
            health = find(how.target)
        except RequestError as error:
            pid = listener(how.target)
            if pid is None:
                raise DaemonError(f"the backend at {how.target} cannot be stopped from here: {error}") from None
        else:
            if health is None:
                return None
            pid = listener(how.target) or health.pid
        _end(how.target, pid)
        return pid


def listener(target: Target) -> int | None:
    """The process that listens on a Unix socket, as the kernel knows it; None where that cannot be told."""
    if target.uds is None:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(HEALTH_SECONDS)
        try:
            probe.connect(target.uds)
            if sys.platform == "darwin":
                pid = probe.getsockopt(0, 0x002)  # SOL_LOCAL, LOCAL_PEERPID
            elif hasattr(socket, "SO_PEERCRED"):
                pid = int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
            else:
                return None
        except OSError:
            return None
    return pid or None


def make_private(folder: Path) -> None:
    """A folder that is ours alone (0700), made or checked; raises `DaemonError` when it is somebody else's."""
    try:
        make_folder(folder)
        found = folder.lstat()
    except OSError as error:
        raise DaemonError(f"the folder {folder} cannot be made: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DaemonError(f"the folder {folder} is not ours", hint="set XDG_RUNTIME_DIR to a folder of your own")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def prepare(how: Plan) -> None:
    """Make the folders that the backend needs. Raises `DaemonError` that names the one that cannot be."""
    if how.target.uds is not None:
        folder = Path(how.target.uds).parent
        if folder.name == APP:
            make_private(folder)
        else:
            _make(folder)
    _make(how.data_dir)


def _make(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise DaemonError(f"the folder {folder} cannot be made: {error.strerror}") from None


@contextmanager
def _locked(how: Plan) -> Iterator[None]:
    import fcntl

    prepare(how)
    try:
        handle = open_file(how.lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError as error:
        raise DaemonError(f"{how.lock} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _spawn(how: Plan) -> None:
    """Start the backend detached and wait for its ready line. Raises `DaemonError` with its own words."""
    try:
        log = open_file(how.log, os.O_WRONLY | os.O_APPEND)
    except OSError as error:
        raise DaemonError(f"the log {how.log} cannot be written: {error.strerror}") from None
    try:
        before = os.fstat(log).st_size
        process = subprocess.Popen(
            [*how.arguments(), "--log", str(how.log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(how.environ),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)
    assert process.stdout is not None
    with process.stdout as ready:
        line = _first_line(ready.fileno(), START_SECONDS)
    if line is None:
        process.kill()
        process.wait()
        raise DaemonError(f"the backend was not ready within {START_SECONDS:.0f} s", hint=_see(how))
    try:
        json.loads(line)["pid"]
    except (ValueError, KeyError, TypeError):
        process.kill()
        code = process.wait()
        words = _last_words(how.log, before) or f"it ended with {code}"
        raise DaemonError(f"the backend could not be started: {words}", hint=_see(how)) from None
    # It is to outlive us: let go of it without the warning that a forgotten child gives.
    process.returncode = 0


def copy(source: str, target: str, environ: Mapping[str, str] = os.environ) -> dict[str, dict[str, Any]]:
    """Copy one database into another; the rows and the digest of each table. Raises `DaemonError`."""
    # Not in the command line, which every user of the machine sees: either may have a password.
    told = {**environ, "FOUNDRY_COPY_FROM": source, "FOUNDRY_COPY_TO": target}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "backend_stub.copying"], env=told, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DaemonError(done.stderr.strip() or f"it ended with {done.returncode}")
    tables: dict[str, dict[str, Any]] = json.loads(done.stdout)["tables"]
    return tables


def _first_line(handle: int, seconds: float) -> bytes | None:
    """What is written up to the first line's end or the end of all; None when that takes longer."""
    import time

    until = time.monotonic() + seconds
    got = b""
    while not got.endswith(b"\n"):
        readable, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            return None
        piece = os.read(handle, 4096)
        if not piece:
            break
        got += piece
    return got


def _last_words(log: Path, start: int) -> str:
    """The last line that was added to the log behind `start`."""
    with suppress(OSError), log.open("rb") as lines:
        lines.seek(start)
        said = [line for line in lines.read().decode("utf-8", "replace").splitlines() if line.strip()]
        if said:
            return said[-1].strip()
    return ""


def _await_end(how: Plan, seconds: float) -> None:
    """Wait for a backend that goes down. Raises `DaemonError` when it stays and answers nobody."""
    pid = listener(how.target)
    if pid is not None and not wait_for_exit(pid, seconds):
        raise DaemonError(
            f"a backend (pid {pid}) holds {how.target} and does not answer",
            hint="end it with: foundry backend stop",
        )


def _end(target: Target, pid: int) -> None:
    """SIGTERM, and SIGKILL for one that does not heed it; returns when the process is gone."""
    if target.uds is None and not target.is_local:
        raise DaemonError(f"the backend at {target} runs on another machine (pid {pid} there): stop it there")
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            raise DaemonError(f"the backend (pid {pid}) belongs to another user") from None
        if wait_for_exit(pid, STOP_SECONDS):
            return
    raise DaemonError(f"the backend (pid {pid}) cannot be ended")


def wait_for_exit(pid: int, seconds: float) -> bool:
    """Whether the process was gone within `seconds`, told by the kernel rather than by asking again."""
    try:
        if sys.platform == "darwin":
            queue = select.kqueue()
            try:
                ended = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
                return bool(queue.control([ended], 1, seconds))
            finally:
                queue.close()
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def _see(how: Plan) -> str:
    return f"see {how.log}, or run it in the foreground: foundry backend serve"
