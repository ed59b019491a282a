"""Agents that asked for a login when they were put to work, though nothing in their files showed that they lack one."""

import time

from backend_stub.agents.sandbox_agent.complaints import LOGINS, AuthMethod, how_to_log_in
from backend_stub.domain.agent import WantedLogin
from backend_stub.domain.errors import AgentError


class LoginWantedError(AgentError):
    """The agent does nothing before somebody has logged in; `how` says how, by the command alone where it is known."""

    def __init__(self, message: str, agent: str, methods: tuple[AuthMethod, ...], *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)
        self.agent = agent
        self.how = LOGINS.get(agent) or how_to_log_in(agent, methods)


class WantedLogins:
    """By agent, until it has done its work; with the backend the memory of it ends, and it asks again."""

    def __init__(self) -> None:
        self._wanted: dict[str, WantedLogin] = {}

    def hear(self, failure: BaseException) -> None:
        """This came of asking an agent for something."""
        if isinstance(failure, LoginWantedError):
            self._wanted[failure.agent] = WantedLogin(time.time(), failure.how)

    def works(self, agent: str) -> None:
        """A turn of this agent has ended well."""
        self._wanted.pop(agent, None)

    def of(self, agent: str) -> WantedLogin | None:
        """What this agent asked for last, if it has not worked since; for any thread."""
        return self._wanted.get(agent)
