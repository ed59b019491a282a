"""What the runtime must remember over a restart of the backend: one file a server, one file a session."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from backend_stub.agents.sandbox_agent.complaints import AuthMethod
from backend_stub.agents.sandbox_agent.messages import Message, message_of
from backend_stub.agents.sandbox_agent.offer import Offer
from backend_stub.agents.sandbox_agent.updates import Translation
from backend_stub.domain.agent import OptionValue
from backend_stub.domain.options import with_value
from foundry_tui.contract.codec import decode
from foundry_tui.contract.records import SessionOption

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=Struct)

LAUNCHERS = "launchers"
"""Folder of the launchers of agents that the config names."""

ATTACHMENTS = "attachments"
"""Folder of what goes with prompts and is too large to be in them."""
MCP_FILE = "mcp.json"

SENDING = "sending"
SENT = "sent"
ENDED = "ended"
REMEMBERS = "The agent was started anew and has read the conversation so far."
FORGOT = "The agent was started anew; it does not remember the conversation so far."


class StoredServer(Struct, frozen=True, kw_only=True):
    """A server that was started: `started` is the process's start mark, which tells a reused pid; `log_begins` how long
    the log was before, of which this server has no part.
    """

    pid: int
    started: str
    port: int
    token: str
    log_begins: int = 0

    @property
    def life(self) -> str:
        """What tells this run of the server from every other one."""
        return f"{self.pid}-{self.started}"


class PromptMark(Struct, kw_only=True):
    """How far a prompt has come towards the agent; `rpc_id` is the id of its request.

    `size` are its bytes, and `logged` how long the server's log was before it was sent. `ended_at` is the number of the
    event with which its turn ended. Until it is `settled`, what was told of it last may not have been committed.
    """

    rpc_id: int
    phase: str = SENDING
    size: int = 0
    logged: int = 0
    error: str | None = None
    ended_at: int = 0
    settled: bool = False

    @property
    def told(self) -> bool:
        """Whether nothing of its turn is left to be told: it has ended, and that was told or was a failure."""
        return self.phase == ENDED and (self.settled or self.error is not None)


class SteerMark(Struct, kw_only=True):
    """A prompt that was said into the turn of another one, `into`; the rest is as of one with its own turn.

    `taken`: the agent has said that it has it.
    """

    rpc_id: int
    into: str
    size: int = 0
    logged: int = 0
    taken: bool = False


class Owed(Struct, frozen=True, kw_only=True):
    """A request of the agent that we answer ourselves: that it is `refused`, or that nobody answers it."""

    request_id: str
    method: str | None
    refused: bool = False


class StoredSession(Struct, kw_only=True):
    """What the runtime keeps of one session, in its file."""

    session_id: str
    agent: str
    runs_as: str = ""
    """The agent's name for sandbox-agent."""
    life: str = ""
    """Of the server that the session was opened in: see `StoredServer.life`."""
    server_id: str = ""
    """Its place in that server; another one each time that the session is opened."""
    acp_session: str = ""
    """The session's id for the agent."""
    can_load: bool = False
    """Whether the agent can go on with a session of an earlier process."""
    openings: int = 0
    """How often it was opened, each time with a new process of the agent."""
    agent_pid: int = 0
    """0: not known."""
    agent_started: str = ""
    """The process's start mark, which tells a reused pid."""
    number_in_log: int = 0
    """Which of the agents that the server's log tells of it is, counted from 1; 0: not known."""
    cwd: str = ""
    spent: bool = False
    """The last turn failed for a reason that only another process mends."""
    opening: bool = False
    """It is being opened: cut here, it is opened anew."""
    unloaded: bool = False
    """Its agent was ended for having nothing to do."""
    next_id: int = 1
    """The id of our next request."""
    seen: int = 0
    """The last event of the stream that is accounted for in `translation`."""
    prompts: dict[str, PromptMark] = {}
    """By prompt_id, in the order in which they were sent."""
    asking: dict[int, str] = {}
    """The agent's open requests as they came, by the numbers of their events: it may use the id of one again."""
    answered: list[int] = []
    """Those of them that have their answer, by the same numbers."""
    answering: dict[int, int] = {}
    """Those whose answer was about to be sent, each with how long the server's log was then."""
    owed: dict[int, Owed] = {}
    """Those that we answer ourselves, and that may not have the answer yet."""
    steered: dict[str, SteerMark] = {}
    """What was said into the turn that runs, by prompt_id."""
    notices: list[str] = []
    """What is to be said at the beginning of the next turn."""
    auth_methods: tuple[AuthMethod, ...] = ()
    """Ways to log in, as the agent told them."""
    translation: Translation | None = None
    """The transcript of the last turn, up to `seen`; what is said after it goes on there."""
    offer: Offer = msgspec.field(default_factory=Offer)
    """What the agent has told that it offers."""
    wanted: dict[str, OptionValue] = {}
    """The values that a person has set options to, by option_id: every new process is to have them."""

    def begin_anew(self, life: str, lost: str) -> None:
        """The session gets another agent, of the server of this life; turns that the old one had end as `lost`."""
        # What was never acknowledged may be handed to the new agent; what was is lost with the old one.
        self.prompts = {id_: mark for id_, mark in self.prompts.items() if mark.phase != SENDING}
        for mark in self.prompts.values():
            if not mark.told:
                mark.error = lost
            mark.phase = ENDED
            # The new agent's stream is counted from its own beginning.
            mark.ended_at = 0
            mark.settled = True
        self.spent = False
        self.openings += 1
        self.life = life
        self.server_id = f"{self.session_id}.{self.openings}"
        self.seen = 0
        self.translation = None
        self.forget_requests()
        self.steered = {id_: steered for id_, steered in self.steered.items() if steered.taken}

    def number(self) -> int:
        """An id for a request that no other one of this session has."""
        number = self.next_id
        self.next_id += 1
        return number

    def want(self, option_id: str, value: OptionValue) -> None:
        """The next process of the agent is to have the option set to this value."""
        self.wanted[option_id] = value
        self.offer.options = with_value(self.offer.options, option_id, value)

    def note_start(self, *, remembers: bool) -> None:
        """Have it said once that the agent was started anew, and whether it knows what was said before it was so."""
        said = REMEMBERS if remembers and FORGOT not in self.notices else FORGOT
        self.notices = [*(each for each in self.notices if each not in (REMEMBERS, FORGOT)), said]

    def take_notices(self) -> list[tuple[str, str]]:
        """What is to be said at the next turn's beginning, which counts as said, by the keys of the notices."""
        notices, self.notices = self.notices, []
        return [(f"{self.session_id}:notice-{self.openings}-{number}", text) for number, text in enumerate(notices)]

    def asked(self) -> list[tuple[int, Message]]:
        """The open requests, by the numbers of their events."""
        return [(number, message_of(text)) for number, text in self.asking.items()]

    def forget_requests(self) -> None:
        """Nothing that the agent has asked so far waits for an answer any more."""
        self.asking, self.answered, self.answering, self.owed = {}, [], {}, {}


class StateFolder:
    """The files of one task's agents, readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def log(self) -> Path:
        """What the server and its agents printed."""
        return self.folder / "server.log"

    @property
    def launchers(self) -> Path:
        return self.folder / LAUNCHERS

    @property
    def attachments(self) -> Path:
        return self.folder / ATTACHMENTS

    def readable(self) -> Sequence[Path]:
        """The folders in here that agents read from; there from now on."""
        self.attachments.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.launchers, self.attachments

    @property
    def mcp_file(self) -> Path:
        """What the repository's `.foundry/mcp.json` said when it was trusted, if it was."""
        return self.folder / MCP_FILE

    def make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load_server(self) -> StoredServer | None:
        return _load(self.folder / "server.json", StoredServer)

    def save_server(self, state: StoredServer) -> None:
        self._save("server.json", msgspec.json.encode(state))

    def forget_server(self) -> None:
        (self.folder / "server.json").unlink(missing_ok=True)

    def load_session(self, session_id: str) -> StoredSession | None:
        return _load(self.folder / f"session-{session_id}.json", StoredSession)

    def save_session(self, session_id: str, document: bytes) -> None:
        """Keep a `StoredSession`, given as JSON: the state itself may change while a thread writes it."""
        self._save(f"session-{session_id}.json", document)

    def set_option(self, session_id: str, option_id: str, value: OptionValue) -> tuple[SessionOption, ...] | None:
        """Keep an option's value for the next process of the agent; all options after it, None for no such session."""
        state = self.load_session(session_id)
        if state is None:
            return None
        state.want(option_id, value)
        self.save_session(session_id, msgspec.json.encode(state))
        return state.offer.options

    def forget_session(self, session_id: str) -> None:
        (self.folder / f"session-{session_id}.json").unlink(missing_ok=True)

    def save_mcp(self, document: bytes | None) -> None:
        """Keep what is trusted of MCP servers, or that nothing is."""
        if document is None:
            self.mcp_file.unlink(missing_ok=True)
        else:
            self._save(MCP_FILE, document)

    def _save(self, name: str, document: bytes) -> None:
        """Replace a file whole, so that a kill leaves the old or the new one."""
        self.make()
        path = self.folder / f"{name}.new"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
        path.replace(self.folder / name)


def _load(path: Path, type_: type[T]) -> T | None:
    try:
        return decode(path.read_bytes(), type_)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        logger.warning("%s cannot be read, and what it remembered is lost: %s", path, error)
        return None
