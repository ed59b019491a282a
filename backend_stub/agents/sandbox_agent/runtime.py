"""The agent runtime of sandboxes on this machine: servers and sessions kept by task, found again after a restart."""

import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup

from backend_stub.agents.sandbox_agent.connection import AgentConnection, UnsentError
from backend_stub.agents.sandbox_agent.content import Receiver, content_of, text_alone
from backend_stub.agents.sandbox_agent.mcp import servers_of
from backend_stub.agents.sandbox_agent.memory import memory_of
from backend_stub.agents.sandbox_agent.opening_options import set_again, set_asked
from backend_stub.agents.sandbox_agent.receipts import note_given
from backend_stub.agents.sandbox_agent.server import HOW_TO_GET, Server
from backend_stub.agents.sandbox_agent.servers import Servers, Wrap, cwd_of
from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.agents.sandbox_agent.state import ENDED, StateFolder, StoredSession
from backend_stub.agents.sandbox_agent.turn import Telling, UnstoppableError
from backend_stub.agents.sandbox_agent.updates import Item
from backend_stub.agents.sandbox_agent.wanted_logins import WantedLogins
from backend_stub.domain.agent import Files, OptionValue, SaidOutsideTurn, SessionChange, Steered, Turn
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.machine.faults import is_machine_fault
from foundry_tui.contract.agents import HOW_TO_GET_ONE, AgentCommand, installed_agents
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.mcp import McpServer
from foundry_tui.contract.memory import AgentMemory
from foundry_tui.contract.records import Prompt, SessionOption, SessionStatus, SessionSummary
from foundry_tui.contract.transcript import TranscriptKind

logger = logging.getLogger(__name__)

LOSS_LIMIT = 5.0
"""Seconds in which the loss of an agent is written down, also while the backend ends."""
SETTLE = 1.0
"""Seconds after the end of a turn until it is written down as ended: longer than what was told waits for its commit."""

UNLOADED = "the agent had nothing to do for long: it was ended, and comes back with the next prompt"
SPENT = "the agent's last turn failed within the agent itself; its process is begun anew"
DISOBEDIENT = "the agent did not end its turn when told to; its process is ended"
UNSTOPPABLE = "The agent did not stop when told to; its process was ended."
LIVE = frozenset({SessionStatus.READY, SessionStatus.RUNNING})
"""What a session is whose agent is to be there, unless it was unloaded."""
LOST_TURN = "the agent went away in this turn while nobody was listening; look at what it did, and ask it again"


class SandboxAgentRuntime:
    """Agents behind one sandbox-agent server a task. Needs a task group, given by `use`, before any other call."""

    on_lost: Callable[[str, str, str], Awaitable[None]] | None = None
    on_said: Callable[[str, str, Sequence[SaidOutsideTurn]], Awaitable[None]] | None = None
    on_changed: Callable[[str, str, Sequence[SessionChange]], Awaitable[None]] | None = None
    files: Files | None = None
    """Told when a turn has ended; a turn that is followed ends only when what it did to the files is known."""

    def __init__(
        self,
        data_dir: Path,
        folder_of: Callable[[str], Path],
        *,
        environ: Mapping[str, str],
        configured: Mapping[str, AgentCommand] | None = None,
        mcp: Mapping[str, McpServer] | None = None,
        wrap: Wrap | None = None,
    ) -> None:
        """`folder_of`: where the files about a task's agents are; `configured`, `mcp`: what the config has of both."""
        self._data_dir = data_dir
        self._environ = environ
        self._mcp = mcp or {}
        self._group: TaskGroup | None = None
        self._servers = Servers(data_dir, folder_of, environ, configured or {}, wrap, self._forget_sessions_of)
        self._sessions: dict[str, Session] = {}
        self._locks: dict[str, anyio.Lock] = {}
        self.logins = WantedLogins()

    def use(self, group: TaskGroup) -> None:
        """Read streams in this task group; cancelling it lets go of all agents, which go on."""
        self._group = group

    async def close(self) -> None:
        """Let go of the connections; servers and agents go on."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        await self._servers.close()

    def state(self) -> str:
        """`ready`, or what is missing and how to get it."""
        if self._servers.binary() is None:
            return f"sandbox-agent is not installed: {HOW_TO_GET}"
        if not installed_agents(self._data_dir, self._environ, shutil.which):
            return f"no coding agent is installed: {HOW_TO_GET_ONE}"
        return "ready"

    # The protocol of agents

    async def ensure_agent(self, call: Call) -> None:
        async with self._lock(call.task.task_id):
            call.detail("starting the agent server")
            running = await self._servers.ensure(call)
            call.detail(f"looking for {call.task.agent}")
            await self._servers.name_for(running, call.task.agent)
            call.log(f"agent {call.task.agent} is installed")

    async def create_session(
        self, call: Call, session: SessionSummary, options: Mapping[str, OptionValue] | None = None
    ) -> None:
        async with self._lock(call.task.task_id):
            call.detail(f"opening a session with {session.agent}")
            try:
                opened = await self._session(call, session)
                await set_asked(opened, options or {})
            except AgentError:
                await self._give_up(call, session.session_id)
                raise
            await opened.offering.tell()

    async def _give_up(self, call: Call, session_id: str) -> None:
        """End an agent that could not be set up as asked, with the server that it had for itself.

        For an agent has the server's environment, and that may be what a person mends before the next attempt.
        """
        if (opened := self._sessions.get(session_id)) is not None:
            await self._drop(opened)
        if all(held.connection.server.sandbox_id != call.task.task_id for held in self._sessions.values()):
            await self._end(call)

    async def set_option(
        self, call: Call, session_id: str, option_id: str, value: OptionValue
    ) -> tuple[SessionOption, ...]:
        session = self._sessions.get(session_id)
        if session is not None and not session.gone():
            return await session.offering.set(option_id, value)
        async with self._lock(call.task.task_id):
            # One whose agent is lost may yet write its state down.
            session, folder = self._sessions.get(session_id), self._servers.state_folder(call.task.task_id)
            if session is not None:
                return await session.offering.set(option_id, value)
            options = await anyio.to_thread.run_sync(folder.set_option, session_id, option_id, value)
            if options is None:
                raise AgentError(f"the session {session_id} was never opened")
            return options

    async def attach(self, call: Call) -> None:
        """Find the agents of a ready task again.

        Those that are gone since an earlier run of the backend are started with the next prompt: after a reboot, all
        tasks at once would be too much for the machine. Those that went away in this run are started at once.
        """
        task_id = call.task.task_id
        async with self._lock(task_id):
            if not self._servers.was_met(task_id) and await self._servers.find(call) is None:
                call.log("the agent server is gone; it is started with the next prompt")
                return
            for session in call.task.sessions:
                if session.status in LIVE and session.unloaded_since is None:
                    found = await self._session(call, session)
                    if found.state.spent and found.active is None:
                        call.log(SPENT)
                        await found.tell_rest()
                        await self._drop(found)
                        await self._session(call, session)

    async def restart(self, call: Call) -> None:
        """End the server with all agents: what they are started with is its environment."""
        # Whoever waits for the agents meanwhile must not start others beside them.
        async with self._lock(call.task.task_id):
            await self._end(call)
            for session in call.task.sessions:
                if session.status in LIVE and session.unloaded_since is None:
                    await self._session(call, session)

    async def unload(self, call: Call, session_id: str) -> None:
        task_id = call.task.task_id
        async with self._lock(task_id):
            folder = self._servers.state_folder(task_id)
            session = self._sessions.get(session_id)
            if session is not None:
                # Of a turn that was stopped nobody waits for the end.
                if session.following:
                    raise AgentError("its agent is at work")
                await session.tell_rest()
                session.lost = AgentError(UNLOADED)
                session.state.unloaded = True
                await session.save()
                await self._drop(session)
            elif (state := await anyio.to_thread.run_sync(folder.load_session, session_id)) is not None:
                if not state.unloaded:
                    state.unloaded = True
                    await anyio.to_thread.run_sync(folder.save_session, session_id, msgspec.json.encode(state))
                running = await self._servers.find(call)
                if running is None:
                    return
                if running.life == state.life:
                    await AgentConnection(running, state.server_id).end(state.agent_pid, state.agent_started)
            call.log(UNLOADED)
            others = (each for each in call.task.sessions if each.session_id != session_id)
            if all(each.unloaded_since is not None or each.status is SessionStatus.CLOSED for each in others):
                await self._end(call)

    async def memory(self, task_id: str | None) -> Sequence[AgentMemory]:
        held = [
            session
            for session in self._sessions.values()
            if not session.gone() and task_id in (None, session.connection.server.sandbox_id)
        ]
        return await anyio.to_thread.run_sync(memory_of, held)

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn, attachments: NewAttachments = ()) -> None:
        session = await self._ready(call, prompt.session_id)
        if await session.steering.came_in(prompt.prompt_id):
            return
        if session.state.spent and not session.has(prompt.prompt_id):
            session = await self._renew(call, session, SPENT)
        if not await session.between_turns(prompt.prompt_id):
            session = await self._renew(call, session, DISOBEDIENT)
        try:
            await self._hand_over(call, session, prompt, attachments)
        except UnsentError as refusal:
            if is_machine_fault(refusal):
                raise
            # The agent had died unseen, or may have a part of it only: once more, with a new one.
            session = await self._renew(call, session, f"the agent did not take the prompt: {refusal.message}")
            await self._hand_over(call, session, prompt, attachments)

    async def _hand_over(self, call: Call, session: Session, prompt: Prompt, attachments: NewAttachments) -> None:
        """Hand over the prompt with what goes with it; what the agent cannot have of that becomes a notice."""
        content = text_alone(prompt.text)
        if attachments and not session.has(prompt.prompt_id):
            folder = self._servers.state_folder(call.task.task_id)
            accepts, agent = session.state.offer.accepts, session.state.agent
            receiver = Receiver(agent, accepts, cwd_of(call), folder.attachments)
            content = await anyio.to_thread.run_sync(content_of, prompt.prompt_id, prompt.text, attachments, receiver)
        # Those of an attempt before this one may be kept already.
        session.state.notices += [each for each in content.notices if each not in session.state.notices]
        await session.hand_over(prompt.prompt_id, content.blocks)

    async def steer(self, call: Call, prompt: Prompt) -> Steered:
        session = self._sessions.get(prompt.session_id)
        if session is None:
            return Steered.UNKNOWN
        return await session.steering.steer(prompt.prompt_id, prompt.text)

    async def follow(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        if prompt.session_id not in self._sessions:
            async with self._lock(call.task.task_id):
                if await self._servers.find(call) is None:
                    raise AgentError(LOST_TURN)
        session = await self._ready(call, prompt.session_id)
        mark = session.state.prompts.get(prompt.prompt_id)
        if (steered := session.state.steered.get(prompt.prompt_id)) is not None:
            mark = session.state.prompts.get(steered.into)
        if mark is None:
            raise AgentError("the agent knows nothing of this prompt; ask it again")
        if mark.phase == ENDED:
            if mark.error is not None:
                raise AgentError(mark.error)
            return
        for key, text in session.state.take_notices():
            await turn.say(key, TranscriptKind.NOTICE, text)
        telling = Telling(session, prompt.prompt_id, turn, cwd_of(call), call.log)
        try:
            await telling.run()
        except UnstoppableError as failure:
            call.log(f"{failure.message}; its process was ended")
            await turn.say(_unstoppable(prompt.prompt_id), TranscriptKind.NOTICE, UNSTOPPABLE)
            await self._drop(session)
            await self._turn_ended(session, prompt.prompt_id, call.task.task_id)
        except AgentError as failure:
            self.logins.hear(failure)
            await self._turn_ended(session, prompt.prompt_id, call.task.task_id, failure.message)
            raise
        else:
            self.logins.works(session.state.agent)
            await self._turn_ended(session, prompt.prompt_id, call.task.task_id)

    async def _turn_ended(self, session: Session, prompt_id: str, task_id: str, error: str | None = None) -> None:
        await session.end_turn(prompt_id, error)
        if self.files is not None:
            if not session.over:
                # Nobody has said yet that the turn is over.
                self.files.refresh(task_id)
            await self.files.computed(task_id)
        if self._group is not None:
            self._group.start_soon(self._beside, partial(self._settle, session))

    async def stop(self, call: Call, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            await session.stop()
            if session.stops() and not session.following:
                self._task_group().start_soon(self._beside, partial(self._see_it_stop, call, session))

    async def _see_it_stop(self, call: Call, session: Session) -> None:
        """End the agent of a turn that nobody follows, unless it ends the turn in time or has another one."""
        await session.stopped()
        async with self._lock(call.task.task_id):
            prompt_id = session.active
            if prompt_id is None or not session.stops() or self._sessions.get(session.state.session_id) is not session:
                return
            call.log(DISOBEDIENT)
            await self._drop(session)
            await session.end_turn(prompt_id)
            await self.said(session, prompt_id, [Item(_unstoppable(prompt_id), TranscriptKind.NOTICE, UNSTOPPABLE)])
            self.turn_over(session)

    async def close_session(self, call: Call, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            await session.end()
        await anyio.to_thread.run_sync(self._servers.state_folder(call.task.task_id).forget_session, session_id)

    # For the provider

    async def use_mcp(self, task_id: str, trusted_file: bytes | None) -> None:
        """What the repository's trusted file says of MCP servers; None for nothing."""
        await anyio.to_thread.run_sync(self._servers.state_folder(task_id).save_mcp, trusted_file)

    async def end(self, call: Call) -> None:
        """End everything that runs for a task; nothing running is success."""
        async with self._lock(call.task.task_id):
            await self._end(call)
        self._locks.pop(call.task.task_id, None)

    async def _end(self, call: Call) -> None:
        task_id = call.task.task_id
        for session in [held for held in self._sessions.values() if held.connection.server.sandbox_id == task_id]:
            self._forget(session)
        await self._servers.end(call)

    # Sessions

    async def _ready(self, call: Call, session_id: str) -> Session:
        """The live session of this id, found or opened anew as needed."""
        session = self._sessions.get(session_id)
        if session is not None and (not session.gone() or session.active is not None):
            return session
        summary = next((held for held in call.task.sessions if held.session_id == session_id), None)
        if summary is None:
            raise AgentError(f"the task has no session {session_id}", retryable=False)
        async with self._lock(call.task.task_id):
            return await self._session(call, summary)

    async def _session(self, call: Call, summary: SessionSummary) -> Session:
        running = await self._servers.ensure(call)
        held = self._sessions.get(summary.session_id)
        if held is not None and not held.gone():
            return held
        if held is not None:
            self._forget(held)
            # An agent that is not heard any more may live on.
            await held.tell_rest()
            await held.end()
        folder = self._servers.state_folder(call.task.task_id)
        state = await anyio.to_thread.run_sync(folder.load_session, summary.session_id)
        if state is not None and state.opening and state.life == running.life:
            # Cut half-way, it is opened in another place, since this one may be taken.
            await AgentConnection(running, state.server_id).end(state.agent_pid, state.agent_started)
        elif state is not None and state.life == running.life and state.acp_session and held is None:
            found = await self._find_session(call, running, folder, state)
            if found is not None:
                return found
        return await self._open(call, running, folder, summary, state)

    async def _find_session(
        self, call: Call, running: Server, folder: StateFolder, state: StoredSession
    ) -> Session | None:
        connection = AgentConnection(running, state.server_id)
        if state.server_id not in await running.places():
            return None
        at_rest = all(mark.phase == ENDED for mark in state.prompts.values())
        alive = not at_rest or await connection.lives(state.acp_session)
        if not alive and all(mark.told for mark in state.prompts.values()):
            return None
        session = Session.resumed(connection, state, folder, self._task_group(), self, alive=alive)
        self._sessions[state.session_id] = session
        call.log(f"found session {state.session_id} with {state.agent} again")
        return session

    async def _open(
        self,
        call: Call,
        running: Server,
        folder: StateFolder,
        summary: SessionSummary,
        state: StoredSession | None,
    ) -> Session:
        again = state is not None and bool(state.acp_session)
        state = state or StoredSession(session_id=summary.session_id, agent=summary.agent)
        await note_given(running.log, state)
        state.begin_anew(running.life, LOST_TURN)
        state.runs_as = await self._servers.name_for(running, summary.agent)
        state.opening = True
        connection = AgentConnection(running, state.server_id)
        session = Session(connection, state, folder, self._task_group(), self)
        try:
            await session.save()
            path = self._environ.get("PATH", os.defpath)
            servers = await anyio.to_thread.run_sync(servers_of, self._mcp, folder.mcp_file, path)
            remembers = await session.open(cwd_of(call), servers)
        except BaseException as failure:
            self.logins.hear(failure)
            with anyio.CancelScope(shield=True):
                await session.end()
            raise
        if again:
            # Nothing is said of a new process where nobody had asked anything yet, nor where an agent was ended because
            # it was idle and has come back with the whole conversation.
            if state.prompts and not (remembers and state.unloaded):
                state.note_start(remembers=remembers)
            if state.offer.options:
                await set_again(session)
            else:
                session.offering.when_told = partial(set_again, session)
        state.opening = state.unloaded = False
        await session.save()
        self._sessions[summary.session_id] = session
        call.log(f"opened a session with {summary.agent}" + (" anew" if again else ""))
        return session

    async def _renew(self, call: Call, session: Session, why: str) -> Session:
        """End this session's agent and open the session with a new one."""
        call.log(why)
        await session.tell_rest()
        await self._drop(session)
        return await self._ready(call, session.state.session_id)

    async def _drop(self, session: Session) -> None:
        """End this session's agent; with what it is asked next it gets another one."""
        self._forget(session)
        await session.end()

    def _forget(self, session: Session) -> None:
        session.close()
        if self._sessions.get(session.state.session_id) is session:
            del self._sessions[session.state.session_id]

    def _forget_sessions_of(self, running: Server) -> None:
        for session in [held for held in self._sessions.values() if held.connection.server is running]:
            self._forget(session)

    async def lost(self, session: Session, reason: str) -> None:
        task_id = session.connection.server.sandbox_id
        self._forget(session)
        # Whoever reads the stream is cancelled by being forgotten.
        with anyio.move_on_after(LOSS_LIMIT, shield=True):
            if self.on_lost is not None:
                try:
                    await self.on_lost(task_id, session.state.session_id, reason)
                except Exception:  # whoever is told must not end the other sessions' streams
                    logger.exception("the loss of the agent of task %s could not be told", task_id)
            await session.end()

    async def said(self, session: Session, prompt_id: str, items: Sequence[Item]) -> None:
        if self.on_said is not None:
            late = [SaidOutsideTurn(f"{prompt_id}:{item.key}", item.kind, item.body) for item in items]
            await self.on_said(session.connection.server.sandbox_id, session.state.session_id, late)

    async def changed(self, session: Session, changes: Sequence[SessionChange]) -> None:
        if self.on_changed is not None:
            await self.on_changed(session.connection.server.sandbox_id, session.state.session_id, changes)

    def turn_over(self, session: Session) -> None:
        if self.files is not None:
            self.files.refresh(session.connection.server.sandbox_id)

    async def _settle(self, session: Session) -> None:
        await anyio.sleep(SETTLE)
        if self._sessions.get(session.state.session_id) is session:
            await session.settle()

    # Small things

    async def _beside(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do this in a task of its own; its failure is logged, as it would else end the reading of all streams."""
        try:
            await work()
        except Exception:
            logger.exception("what follows the end of a turn failed")

    def _lock(self, task_id: str) -> anyio.Lock:
        return self._locks.setdefault(task_id, anyio.Lock())

    def _task_group(self) -> TaskGroup:
        if self._group is None:
            raise AgentError("the local provider is not running")
        return self._group


def _unstoppable(prompt_id: str) -> str:
    """The key of the notice that the turn of this prompt could not be stopped."""
    return f"{prompt_id}:unstoppable"
