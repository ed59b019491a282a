"""Setting a session's options before its next prompt: as was asked for it, and as they were with the process before."""

from collections.abc import Mapping

from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.domain.agent import OptionNotOfferedError, OptionRefusedError, OptionValue
from backend_stub.domain.errors import AgentError
from backend_stub.domain.options import offered, settled
from foundry_tui.contract.options import find_option

LATE_OPTIONS = 3.0
"""Seconds that an agent has to tell its options after it has opened a session, where some of them were asked for."""


async def set_asked(session: Session, asked: Mapping[str, OptionValue]) -> None:
    """Set what was asked for, each by its option_id or its category.

    Raises an `AgentError` that is not to be tried again for what the agent does not offer or refuses.
    """
    agent, state = session.state.agent, session.state
    if asked:
        await session.offering.until_told(LATE_OPTIONS)
    values, wrong = settled(state.offer.options, asked)
    if wrong is not None:
        raise OptionNotOfferedError(f"{agent} cannot be set up as asked: {wrong[1]}", wrong[0])
    for option_id, value in values.items():
        option = find_option(state.offer.options, option_id)
        if option is not None and option.value == value:
            state.wanted[option_id] = value
            continue
        try:
            await session.offering.set(option_id, value)
        except OptionRefusedError as error:
            said = f"{agent} does not set {option_id} to {value}: {error.message}"
            name = next((name for name in asked if find_option(state.offer.options, name) == option), option_id)
            raise OptionNotOfferedError(f"{said}; it offers {offered(state.offer.options)}", name) from error


async def set_again(session: Session) -> None:
    """Set what a person had set before the process was started anew; a notice says what cannot be so any more.

    Raises `AgentError` when the agent is lost meanwhile.
    """
    for option_id, value in list(session.state.wanted.items()):
        try:
            await set_asked(session, {option_id: value})
        except AgentError as error:
            if session.gone():
                raise
            session.state.wanted.pop(option_id, None)
            session.state.notices.append(f"{option_id} was {value} before the agent was started anew. {error.message}.")
