"""Prompts that are said into a turn in progress, where the agent takes them there.

They are handed over beside the turn, one at a time for a session. What the agent does not take is the next prompt; for
that the turn is stopped unless it is over anyhow.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from backend_stub.domain.agent import Steered
from backend_stub.domain.call import Call
from backend_stub.domain.errors import SupersededError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import TaskState
from backend_stub.task.actor import TaskActor
from backend_stub.task.failures import NO_FAILURES, logger
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.records import Prompt, PromptState, SessionStatus
from foundry_tui.contract.status import StageName


class Steering:
    """Hands prompts over for the dispatcher. `stop` is told of a turn that was stopped in its rows for one of them."""

    def __init__(
        self,
        services: Services,
        stop: Callable[[str], None],
        find_agent: Callable[[TaskActor], Awaitable[bool | int]],
        provider_of: Callable[[TaskActor], Awaitable[Provider]],
        call_of: Callable[[TaskActor], Awaitable[Call]],
    ) -> None:
        self._services = services
        self._stop = stop
        self._find_agent = find_agent
        self._provider_of = provider_of
        self._call_of = call_of
        self._locks: dict[str, anyio.Lock] = {}
        self.queue = services.dispatcher.queue("steer", self._steer)

    async def settled(self, session_id: str) -> None:
        """Wait until no prompt of the session is on its way into a turn: only then it is known which is the next."""
        lock = self._locks.get(session_id)
        if lock is not None:
            async with lock:
                pass

    async def _steer(self, session_id: str) -> int | None:
        task_id = await self._services.storage.task_of_session(session_id)
        if task_id is None:
            return None
        actor = self._services.actors.of(task_id)
        await actor.load_items(session_id)
        lock = self._locks.setdefault(session_id, anyio.Lock())
        try:
            while _steering(await actor.state(), session_id) is not None:
                found = await self._find_agent(actor)
                if found is not True:
                    return found or None
                async with lock:
                    await self._hand_over(actor, session_id)
        finally:
            if not lock.statistics().tasks_waiting:
                self._locks.pop(session_id, None)
        return None

    async def _hand_over(self, actor: TaskActor, session_id: str) -> None:
        def begin(draft: TaskChange) -> Prompt:
            state = TaskState(draft.task, draft.private, {session_id: tuple(draft.prompts(session_id))}, 0)
            prompt = _steering(state, session_id)
            if prompt is None or not draft.steers.possible(session_id):
                raise SupersededError
            draft.begin_delivery(prompt)
            return prompt

        prompt = await actor.commit(begin)
        provider, call = await self._provider_of(actor), await self._call_of(actor)
        timeout = self._services.settings.timeout_ms[StageName.CREATE_SESSION]
        try:
            steering = partial(provider.agents.steer, call, prompt)
            outcome = await self._services.calls.within(timeout / 1000, actor.task_id, steering)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of an agent must not lose the prompt
            logger.warning("whether prompt %s came into the turn is not known: %s", prompt.prompt_id, failure)
            outcome = Steered.UNKNOWN
        if outcome is Steered.UNKNOWN:
            # It stays as one that the agent may have; what became of it is found out when the turn is over.
            raise SupersededError

        def end(draft: TaskChange) -> bool:
            held = draft.prompt(session_id, prompt.prompt_id)
            if held is None or held.state is not PromptState.QUEUED:
                raise SupersededError
            if outcome is Steered.TAKEN:
                draft.steers.take(held)
                return False
            draft.steers.give_back(held)
            return outcome is Steered.REFUSED and draft.stop_turn(session_id)

        if await actor.commit(end):
            self._stop(session_id)


def _steering(state: TaskState, session_id: str) -> Prompt | None:
    """The prompt that is to be said into the turn in progress, the oldest first."""
    session = next((each for each in state.task.sessions if each.session_id == session_id), None)
    prompts = state.prompts.get(session_id, ())
    if session is None or session.status is not SessionStatus.RUNNING:
        return None
    if not any(each.state is PromptState.DELIVERED for each in prompts):
        return None
    return next(
        (each for each in prompts if each.steer and not each.attachments and each.state is PromptState.QUEUED), None
    )
