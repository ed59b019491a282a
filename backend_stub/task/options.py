"""What agents offer in their sessions: it is kept as they tell of it, and options that a person sets are passed on."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count

import anyio

from backend_stub.domain.agent import AcceptsChanged, CommandsChanged, OptionsChanged, SessionChange
from backend_stub.domain.call import Call
from backend_stub.domain.errors import CallTimedOutError, StaleRevisionError, StorageUnavailableError, UnknownTaskError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import TaskState
from backend_stub.task.actor import TaskActor
from backend_stub.task.failures import NO_FAILURES, is_tried_again, task_error
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.records import SessionOption, SessionStatus
from foundry_tui.contract.status import READY, StageName

OPEN = frozenset({SessionStatus.READY, SessionStatus.RUNNING, SessionStatus.ERROR})
"""What a session may be while its agent can be told of an option."""

FindAgent = Callable[[TaskActor], Awaitable[bool | int]]
"""Whether the task's agent is there, or when to look again; see `Sessions`."""


class Options:
    """Passes on what was set, for the dispatcher, one run at a time for a session, also while a turn goes on in it."""

    def __init__(
        self,
        services: Services,
        find_agent: FindAgent,
        provider_of: Callable[[TaskActor], Awaitable[Provider]],
        call_of: Callable[[TaskActor], Awaitable[Call]],
    ) -> None:
        self._services = services
        self._find_agent = find_agent
        self._provider_of = provider_of
        self._call_of = call_of
        self.on_offered: Callable[[str, str, Sequence[SessionOption]], Awaitable[None]] | None = None
        """Told (provider, agent, options) when an agent has told what it offers."""
        self._attempts: dict[str, int] = {}
        """How many attempts failed to set the option that is next, by session_id."""
        self.queue = services.dispatcher.queue("options", self._pass_on)

    async def changed(self, task_id: str, session_id: str, changes: Sequence[SessionChange]) -> None:
        """An agent told this of a session: it is kept, however long the storage takes for it."""

        def learn(draft: TaskChange) -> None:
            if draft.session(session_id).status is not SessionStatus.CLOSED:
                for change in changes:
                    _learn(draft, session_id, change)

        actor = self._services.actors.of(task_id)
        for attempt in count(1):
            try:
                await actor.commit(learn)
            except (UnknownTaskError, KeyError):
                return
            except (StorageUnavailableError, StaleRevisionError):
                await anyio.sleep(self._services.settings.backoff(attempt, self._services.runtime.jitter()) / 1000)
            else:
                break
        offered = [change.options for change in changes if isinstance(change, OptionsChanged)]
        if offered and self.on_offered is not None:
            task = (await actor.state()).task
            agent = next(each.agent for each in task.sessions if each.session_id == session_id)
            await self.on_offered(task.provider, agent, offered[-1])

    async def _pass_on(self, session_id: str) -> int | None:
        """Have the agent set what waits for it; when to go on, if that is later."""
        task_id = await self._services.storage.task_of_session(session_id)
        if task_id is None:
            return None
        actor = self._services.actors.of(task_id)
        while True:
            if _unsent(await actor.state(), session_id) is None:
                return None
            found = await self._find_agent(actor)
            if found is not True:
                return found or None
            option = _unsent(await actor.state(), session_id)
            next_at = None if option is None else await self._set(actor, session_id, option)
            if next_at is not None:
                return next_at

    async def _set(self, actor: TaskActor, session_id: str, option: SessionOption) -> int | None:
        """Have the agent set the option; when to try again, if neither it nor a refusal came of that."""
        timeout = self._services.settings.timeout_ms[StageName.CREATE_SESSION]
        call, provider = await self._call_of(actor), await self._provider_of(actor)
        setting = partial(provider.agents.set_option, call, session_id, option.option_id, option.value)
        try:
            options = await self._services.calls.within(timeout / 1000, actor.task_id, setting)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of an agent must not hold the option for ever
            attempts = self._attempts[session_id] = self._attempts.get(session_id, 0) + 1
            # An agent that was asked once and did not answer in time has had its time.
            timed_out = isinstance(failure, CallTimedOutError)
            if not timed_out and is_tried_again(failure, attempts, self._services.settings.attempts):
                return self._services.runtime.now() + self._services.settings.backoff(
                    attempts, self._services.runtime.jitter()
                )
            words = task_error(failure, f"setting {option.name}", timeout, self._services.runtime.now()).message
            await actor.load_items(session_id)
            await actor.commit(lambda draft: draft.offers.refuse(session_id, option, words))
        else:
            await actor.commit(lambda draft: draft.offers.finish(session_id, option, options))
        self._attempts.pop(session_id, None)
        return None


def _unsent(state: TaskState, session_id: str) -> SessionOption | None:
    """An option that the session's agent is to be told of and can be told of now."""
    session = next((each for each in state.task.sessions if each.session_id == session_id), None)
    # While a task is prepared its agent may be just about to be started; it is told when that is done.
    if session is None or session.status not in OPEN or state.task.status not in READY:
        return None
    unsent = state.private.values_before_unsent.get(session_id, {})
    options = state.offers[session_id].options if unsent else ()
    return next((option for option in options if option.option_id in unsent), None)


def _learn(draft: TaskChange, session_id: str, change: SessionChange) -> None:
    if isinstance(change, OptionsChanged):
        draft.offers.learn_options(session_id, change.options)
    elif isinstance(change, CommandsChanged):
        draft.offers.learn_commands(session_id, change.commands)
    elif isinstance(change, AcceptsChanged):
        draft.offers.learn_accepts(session_id, change.accepts)
    else:
        draft.offers.learn_usage(session_id, change.usage)
