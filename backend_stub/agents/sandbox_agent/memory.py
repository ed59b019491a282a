"""What agents take, found by the processes that were seen to start with them."""

from collections.abc import Sequence

from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.machine.memory import Memory, measured
from foundry_tui.contract.memory import AgentMemory


def memory_of(sessions: Sequence[Session]) -> Sequence[AgentMemory]:
    """What the agents of these sessions take; those of a task together, with their server, where one is not known."""
    apart: dict[str, list[Session]] = {}
    for session in sessions:
        apart.setdefault(session.connection.server.sandbox_id, []).append(session)
    roots: dict[int, str] = {}
    asked: list[tuple[int, Session, bool]] = []
    for held in apart.values():
        if all(session.state.agent_pid for session in held):
            each = [(session.state.agent_pid, session.state.agent_started, session, True) for session in held]
        else:
            server = held[0].connection.server.state
            each = [(server.pid, server.started, held[0], False)]
        for pid, started, session, own in each:
            roots[pid] = started
            asked.append((pid, session, own))
    found = measured(roots)
    return [_told(session, found[pid], own=own) for pid, session, own in asked if pid in found]


def _told(session: Session, memory: Memory, *, own: bool) -> AgentMemory:
    return AgentMemory(
        task_id=session.connection.server.sandbox_id,
        session_id=session.state.session_id if own else None,
        agent=session.state.agent,
        bytes=memory.bytes,
        measure=memory.measure,
        processes=memory.processes,
    )
