"""Agents that have nothing to do for long are ended, and come back with their conversation at the next prompt.

That an agent is to be ended is committed first, as `unloaded_since` of its session; ending it then can be done again
after a kill. It is done in the session's own run, so that no prompt is handed over meanwhile.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from backend_stub.domain.call import Call
from backend_stub.domain.errors import SupersededError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Private
from backend_stub.task.actor import TaskActor
from backend_stub.task.alarms import Alarms
from backend_stub.task.failures import NO_FAILURES
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from backend_stub.task.turn import OPEN_STATES
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import Prompt, PromptState, SessionStatus, SessionSummary, TaskDetail
from foundry_tui.contract.status import READY, StageName, TaskStatus

UNLOADING_SECONDS = 30
"""How long ending an agent may take."""
AGAIN_MS = 60_000
"""Wait after an agent could not be ended."""

logger = logging.getLogger(__name__)


class IdleAgents:
    """Ends agents that have had nothing to do for long. `wake` has the run of a session look at it again, by `rest`."""

    def __init__(
        self,
        services: Services,
        wake: Callable[[str], None],
        provider_of: Callable[[TaskActor], Awaitable[Provider]],
        call_of: Callable[[TaskActor], Awaitable[Call]],
    ) -> None:
        self._services = services
        self._provider_of = provider_of
        self._call_of = call_of
        self.alarms = Alarms(services.runtime.now, wake)
        self._used: dict[str, int] = {}
        """When an agent was heard of last in a way that its session's record does not say, by session_id."""
        self._ended: dict[str, int] = {}
        """Which `unloaded_since` of a session was acted upon in this run of the backend, by session_id."""

    def used(self, session_id: str) -> None:
        """The agent has said something, or was begun anew: its time begins anew too."""
        self._used[session_id] = self._services.runtime.now()

    async def rest(self, actor: TaskActor, session_id: str) -> None:
        """Nothing is left to do in the session: end its agent if that is due, else set an alarm for when it will be."""
        idle_ms = self._services.settings.idle_ms
        state = await actor.state()
        session = next((each for each in state.task.sessions if each.session_id == session_id), None)
        prompts = state.prompts.get(session_id, ())
        if not idle_ms or session is None or not is_idle(state.task, session, prompts, state.private):
            self.alarms.take_back(session_id)
            return
        since = session.unloaded_since
        if since is None:
            due = max(session.updated_at, self._used.get(session_id, 0)) + idle_ms
            if self._services.runtime.now() < due:
                self.alarms.set(session_id, due)
                return
            since = await actor.commit(partial(_mark_unloaded, session_id=session_id))
        if self._ended.get(session_id) != since and await self._end(actor, session_id):
            self._ended[session_id] = since

    async def _end(self, actor: TaskActor, session_id: str) -> bool:
        provider, call = await self._provider_of(actor), await self._call_of(actor)
        unloading = partial(provider.agents.unload, call, session_id)
        try:
            await self._services.calls.within(UNLOADING_SECONDS, actor.task_id, unloading)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of an agent must not end the session's run
            logger.warning("the idle agent of session %s could not be ended: %s", session_id, failure)
            self.alarms.set(session_id, self._services.runtime.now() + AGAIN_MS)
            return False
        return True


def is_idle(task: TaskDetail, session: SessionSummary, prompts: Sequence[Prompt], private: Private) -> bool:
    """Whether nothing goes on with the agent of this session, nor waits for it.

    Prompts that are held back wait for a person. An agent whose task has failed has nothing to do either.
    """
    session_id = session.session_id
    opened = session.status is SessionStatus.READY or (
        session.status is SessionStatus.ERROR
        and session.error is not None
        and session.error.stage is not StageName.CREATE_SESSION
    )
    open_states = {PromptState.DELIVERED} if session.held else OPEN_STATES
    return (
        opened
        and task.status in READY | {TaskStatus.ERROR}
        and task.operation is None
        and not private.restarting
        and session_id not in private.values_before_unsent
        and not any(each.state in open_states or each.prompt_id in private.delivering for each in prompts)
        and not any(each.session_id == session_id and each.state is PermissionState.OPEN for each in task.permissions)
    )


def _mark_unloaded(draft: TaskChange, session_id: str) -> int:
    """The session's agent is to be ended from now on; raises `SupersededError` when something came up meanwhile."""
    if not is_idle(draft.task, draft.session(session_id), draft.prompts(session_id), draft.private):
        raise SupersededError
    draft.agents.mark_unloaded(session_id)
    return draft.now
