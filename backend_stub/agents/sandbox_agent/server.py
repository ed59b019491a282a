"""One sandbox-agent server: starting it, finding it again after a restart, asking it, and ending it."""

import errno
import secrets
import shlex
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx
import msgspec

from backend_stub.agents.sandbox_agent.server_log import LAST_LINES, ServerLog
from backend_stub.agents.sandbox_agent.state import StateFolder, StoredServer
from backend_stub.domain.errors import AgentError
from backend_stub.machine import processes
from backend_stub.machine.faults import is_machine_fault
from foundry_tui.contract.agents import SANDBOX_AGENT, VARIABLE
from foundry_tui.contract.codec import decode

T = TypeVar("T")

HOW_TO_GET = f"run `foundry agent install`, or name the binary in {VARIABLE}"
START_LIMIT = 10.0
"""Seconds until a new server must answer; it takes some hundredths of one."""
PORT_ATTEMPTS = 3
OWN_VARIABLES: Mapping[str, str] = {
    "SANDBOX_AGENT_REQUIRE_PREINSTALL": "1",
    "SANDBOX_AGENT_LOG_STDOUT": "1",
    # An answer that comes after this time is thrown away by the server; a turn may take as long as it likes.
    "SANDBOX_AGENT_ACP_REQUEST_TIMEOUT_MS": str(30 * 24 * 3600 * 1000),
    "RUST_LOG": "warn,acp_http_adapter=info,sandbox_agent::acp_proxy_runtime=info,sandbox_agent::cli=info",
}
"""What the server itself is told by its environment, which its agents inherit."""

_TAIL_BYTES = 64_000


class AgentInfo(msgspec.Struct, frozen=True):
    """An agent as the server lists it."""

    id: str
    installed: bool = False


class _AgentList(msgspec.Struct, frozen=True):
    agents: list[AgentInfo]


class _Place(msgspec.Struct, frozen=True, rename="camel"):
    server_id: str


class _PlaceList(msgspec.Struct, frozen=True):
    servers: list[_Place]


class Server:
    """A running server; `client` speaks to it with its token."""

    def __init__(self, state: StoredServer, folder: StateFolder, sandbox_id: str) -> None:
        self.state = state
        self.folder = folder
        self.sandbox_id = sandbox_id
        self.log = ServerLog(folder.log, state.log_begins)
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{state.port}",
            headers={"Authorization": f"Bearer {state.token}"},
            timeout=httpx.Timeout(10.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=4),
            trust_env=False,
            # It speaks no TLS, for which httpx would read all the system's certificates.
            verify=False,
        )

    @property
    def life(self) -> str:
        return self.state.life

    def running(self) -> bool:
        """Whether the process is there; looks at the process table."""
        return processes.start_mark(self.state.pid) == self.state.started

    def agents_running(self) -> dict[int, str]:
        """Start marks of the agent processes, by pid, where the system shows them."""
        return processes.agents_of(self.state.pid, SANDBOX_AGENT)

    async def healthy(self) -> bool:
        """Whether it answers us. Raises `OSError` when this machine has no room for asking."""
        try:
            answer = await self.client.get("/v1/health")
        except httpx.HTTPError as error:
            if is_machine_fault(error):
                raise OSError(errno.EAGAIN, "the sandbox-agent server cannot be asked now") from error
            return False
        return answer.status_code == 200

    async def agents(self) -> Sequence[AgentInfo]:
        return (await self._ask("/v1/agents", _AgentList)).agents

    async def places(self) -> set[str]:
        """Ids of the agent processes that it has started, dead ones included."""
        return {place.server_id for place in (await self._ask("/v1/acp", _PlaceList)).servers}

    async def _ask(self, path: str, type_: type[T]) -> T:
        try:
            answer = await self.client.get(path)
            answer.raise_for_status()
            return decode(answer.content, type_)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            raise AgentError(f"the sandbox-agent server does not answer: {error}") from error

    async def end(self) -> None:
        """Kill it with everything that it started, and forget it."""
        await anyio.to_thread.run_sync(self._end)
        await self.close()

    def _end(self) -> None:
        processes.end(self.state.pid, self.state.started, self.sandbox_id)
        self.folder.forget_server()

    async def close(self) -> None:
        """Let go of the connections; the server goes on."""
        await self.client.aclose()

    def last_output(self) -> str:
        """The last lines that it printed itself, in this life of it; blocks for a small read."""
        log, begins = self.folder.log, self.state.log_begins
        try:
            with log.open("rb") as file:
                file.seek(max(begins, log.stat().st_size - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([line for line in lines if "level=" not in line][-LAST_LINES:])


async def find(folder: StateFolder, sandbox_id: str) -> Server | None:
    """The server that an earlier run of the backend started, if it runs and answers."""
    state = await anyio.to_thread.run_sync(folder.load_server)
    if state is None:
        return None
    server = Server(state, folder, sandbox_id)
    if await anyio.to_thread.run_sync(server.running) and await server.healthy():
        return server
    await server.end()
    return None


async def start(
    binary: Path,
    folder: StateFolder,
    *,
    sandbox_id: str,
    cwd: Path,
    environ: Mapping[str, str],
    wrap: Callable[[Sequence[str]], Sequence[str]],
    log: Callable[[str], None],
) -> Server:
    """Start a server for the sandbox; raises `AgentError` when it does not come up.

    `wrap` is given the server's command and returns the one to run; it is called in a thread.
    """
    variables = {name: value for name, value in environ.items() if not name.startswith("FOUNDRY_")}
    variables |= {
        **OWN_VARIABLES,
        processes.MARK: sandbox_id,
        processes.AGENT_MARK: sandbox_id,
    }
    await anyio.to_thread.run_sync(processes.end_marked, sandbox_id, processes.AGENT_MARK)
    for attempt in range(1, PORT_ATTEMPTS + 1):
        port = _free_port()
        token = secrets.token_urlsafe(32)
        command = [str(binary), "server", "--host", "127.0.0.1", "--port", str(port), "--no-telemetry"]
        log(f"$ {shlex.join(command)} --token=***")
        began = anyio.current_time()
        with anyio.CancelScope(shield=True):
            # A process that nobody has written down could not be found again.
            argv = partial(wrap, [*command, f"--token={token}"])
            server = await _launch(argv, folder, sandbox_id, cwd, variables, port, token)
        try:
            code = await _await_health(server)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await server.end()
            raise
        took = round((anyio.current_time() - began) * 1000)
        if code is None:
            log(f"sandbox-agent answers on port {port} after {took} ms (pid {server.state.pid})")
            await anyio.to_thread.run_sync(processes.hide_argument, server.state.pid, token)
            return server
        said = await anyio.to_thread.run_sync(server.last_output)
        await server.end()
        log(f"sandbox-agent ended with exit code {code} after {took} ms: {said or 'it printed nothing'}")
        if attempt == PORT_ATTEMPTS:
            raise AgentError(f"sandbox-agent does not start (exit code {code}): {said or 'it printed nothing'}")
    raise AssertionError("unreachable")


async def _launch(
    argv: Callable[[], Sequence[str]],
    folder: StateFolder,
    sandbox_id: str,
    cwd: Path,
    variables: Mapping[str, str],
    port: int,
    token: str,
) -> Server:
    def run() -> StoredServer:
        folder.make()
        begins = folder.log.stat().st_size if folder.log.exists() else 0
        pid = processes.spawn(argv(), environ=variables, cwd=cwd, log=folder.log)
        started = processes.start_mark(pid) or ""
        state = StoredServer(pid=pid, started=started, port=port, token=token, log_begins=begins)
        folder.save_server(state)
        return state

    try:
        return Server(await anyio.to_thread.run_sync(run), folder, sandbox_id)
    except OSError as error:
        if is_machine_fault(error):
            raise AgentError(f"sandbox-agent cannot be started now: {error.strerror}") from error
        raise AgentError(f"sandbox-agent cannot be run: {error}; {HOW_TO_GET}", retryable=False) from error


async def _await_health(server: Server) -> int | None:
    """None once it answers, or the code with which it ended. Raises `AgentError` when neither happens in time."""
    pause = 0.01
    with anyio.move_on_after(START_LIMIT):
        while True:
            if await server.healthy():
                return None
            code = processes.exit_code(server.state.pid)
            if code is not None:
                return code
            await anyio.sleep(pause)
            pause = min(pause * 1.5, 0.2)
    said = await anyio.to_thread.run_sync(server.last_output)
    raise AgentError(f"sandbox-agent does not answer within {START_LIMIT:.0f} s: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
