"""The sandbox-agent servers on this machine, one a task: found again, started, ended, and what each calls an agent."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.agents.sandbox_agent import launcher, server
from backend_stub.agents.sandbox_agent.server import HOW_TO_GET, Server
from backend_stub.agents.sandbox_agent.state import StateFolder
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.machine import processes
from foundry_tui.contract.agents import (
    ACP_COMMANDS,
    AGENTS,
    SANDBOX_AGENT,
    AgentCommand,
    find_sandbox_agent,
    how_to_get,
)

Wrap = Callable[[Sequence[str], Path, Sequence[Path]], Sequence[str]]
"""Turns the command of a server into the one that is run; given where the agent works, and what it reads."""


class Servers:
    """The servers by task. Whoever calls sees to it that no two calls for one task run at the same time.

    `folder_of` says where the files about a task's agents are kept, `configured` are the config's agents. `dropped` is
    told of a server that no longer answers, before it is ended.
    """

    def __init__(
        self,
        data_dir: Path,
        folder_of: Callable[[str], Path],
        environ: Mapping[str, str],
        configured: Mapping[str, AgentCommand],
        wrap: Wrap | None,
        dropped: Callable[[Server], None],
    ) -> None:
        self._data_dir = data_dir
        self._folder_of = folder_of
        self._environ = environ
        self._commands = {**ACP_COMMANDS, **configured}
        self._wrap = wrap
        self._dropped = dropped
        self._held: dict[str, Server] = {}
        self._met: set[str] = set()

    async def close(self) -> None:
        """Let go of the connections; the servers go on."""
        for running in self._held.values():
            await running.close()
        self._held.clear()

    def binary(self) -> Path | None:
        """The sandbox-agent binary, if there is one; looks at a few files."""
        found = find_sandbox_agent(self._data_dir, self._environ, shutil.which)
        return None if found is None else found.path

    def state_folder(self, task_id: str) -> StateFolder:
        return StateFolder(self._folder_of(task_id))

    def was_met(self, task_id: str) -> bool:
        """Whether this run of the backend has had a server of the task."""
        return task_id in self._met

    async def find(self, call: Call) -> Server | None:
        """The running server of the task's sandbox: the one that is held, or the one of an earlier run."""
        task_id = call.task.task_id
        held = self._held.get(task_id)
        if held is not None and await anyio.to_thread.run_sync(held.running) and await held.healthy():
            return held
        if held is not None:
            del self._held[task_id]
            self._dropped(held)
            await held.end()
        found = await server.find(self.state_folder(task_id), task_id)
        if found is not None:
            call.log(f"found the sandbox-agent server again (pid {found.state.pid}, port {found.state.port})")
            self._hold(task_id, found)
        return found

    async def ensure(self, call: Call) -> Server:
        """The server of the task's sandbox, started if there is none; raises `AgentError`."""
        found = await self.find(call)
        if found is not None:
            return found
        task_id = call.task.task_id
        folder = self.state_folder(task_id)
        binary = await anyio.to_thread.run_sync(self.binary)
        if binary is None:
            raise AgentError(f"sandbox-agent is not installed: {HOW_TO_GET}", retryable=False)
        cwd = Path(cwd_of(call))
        wrap = self._wrap
        path = await anyio.to_thread.run_sync(launcher.path_with, folder.launchers, self._environ)
        started = await server.start(
            binary,
            folder,
            sandbox_id=task_id,
            cwd=cwd,
            environ={**self._environ, "PATH": path},
            wrap=(lambda argv: wrap(argv, cwd, folder.readable())) if wrap else (lambda argv: argv),
            log=call.log,
        )
        self._hold(task_id, started)
        return started

    async def end(self, call: Call) -> None:
        """End the task's server and all that it started; nothing running is success."""
        task_id = call.task.task_id
        self._met.discard(task_id)
        running = self._held.pop(task_id, None)
        if running is None:
            state = await anyio.to_thread.run_sync(self.state_folder(task_id).load_server)
            if state is None:
                await anyio.to_thread.run_sync(processes.end_marked, task_id)
                return
            running = Server(state, self.state_folder(task_id), task_id)
        began = anyio.current_time()
        await running.end()
        took = round((anyio.current_time() - began) * 1000)
        call.log(f"killed sandbox-agent (pid {running.state.pid}) and all that it started ({took} ms)")

    async def name_for(self, running: Server, agent: str) -> str:
        """The name by which sandbox-agent starts this agent; raises `AgentError` when it cannot be started."""
        launchers, places = running.folder.launchers, (self._data_dir, self._environ)
        command = self._commands.get(agent)
        if command is not None:
            return await anyio.to_thread.run_sync(launcher.lend_name, agent, command, launchers, *places)
        if agent in AGENTS:
            await anyio.to_thread.run_sync(launcher.show_installed, agent, launchers, *places)
        known = {info.id: info.installed for info in await running.agents()}
        if known.get(agent):
            return agent
        if agent not in known:
            names = ", ".join(sorted({*known, *self._commands})) or "none"
            raise AgentError(
                f"there is no agent {agent!r}; there are {names}, and each [agents.NAME] of the config file",
                retryable=False,
            )
        if agent in AGENTS:
            how = how_to_get(agent)
        else:
            how = f"`{await anyio.to_thread.run_sync(self.binary) or SANDBOX_AGENT} install-agent {agent}` gets it"
        raise AgentError(f"the agent {agent} is not installed: {how}; `foundry agent list` shows all", retryable=False)

    def _hold(self, task_id: str, running: Server) -> None:
        self._held[task_id] = running
        self._met.add(task_id)


def cwd_of(call: Call) -> str:
    """Where the task's agents work; raises `AgentError` when there is no sandbox yet."""
    if call.task.sandbox is None:
        raise AgentError("the task has no sandbox yet")
    return call.task.sandbox.cwd
