"""Checkpoints of turns: made on their way, so that no prompt waits for them for ever; and what is asked of them."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import BinaryIO, TypeVar

import anyio
import anyio.to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.checkpoints import UnknownCheckpointError
from backend_stub.domain.errors import CallError, CallTimedOutError, RefusedError, conflict, wrong_values
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Storage
from backend_stub.known_documents import KnownDocuments
from backend_stub.task.actor import TaskActor
from backend_stub.task.failures import NO_FAILURES
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.checkpoints import Checkpoint, CheckpointList
from foundry_tui.contract.codec import encode
from foundry_tui.contract.records import HistoryKind, PromptState, TaskDetail
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import StageName

T = TypeVar("T")

PROMPT_WAITS = 20.0
"""Seconds that a prompt waits until the files are kept; then it is handed over without that."""
END_WAITS = 30.0
"""Seconds that the end of a turn waits."""
NOT_COMPARED = encode(Diff(files=()))
READ_SECONDS = 120.0
"""Seconds that comparing with a checkpoint may take."""


def record_made(draft: TaskChange, made: Sequence[Checkpoint]) -> None:
    """These checkpoints stay."""
    for each in made:
        draft.record(
            HistoryKind.CHECKPOINT_MADE,
            checkpoint_id=each.checkpoint_id,
            when=each.when,
            prompt_id=each.prompt_id,
            files=each.files,
            added=each.added,
            removed=each.removed,
        )


class TurnCheckpoints:
    """Has the files kept before and after turns. Whatever goes wrong with that is logged, and the turn goes on."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def before(self, actor: TaskActor, call: Call, prompt_id: str) -> None:
        """This prompt is about to be handed over."""
        await self.settle(actor, call)
        seconds = min(PROMPT_WAITS, self._services.settings.timeout_ms[StageName.CREATE_SESSION] / 4000)
        await self._keep(actor, call, seconds, lambda provider: provider.checkpoints.begin(call, prompt_id))

    async def after(self, actor: TaskActor, call: Call, prompt_ids: Collection[str]) -> Sequence[Checkpoint]:
        """The turns of these prompts are over: what is kept of them."""
        if not prompt_ids:
            return ()
        made = await self._keep(
            actor, call, END_WAITS, lambda provider: provider.checkpoints.end(call, prompt_ids)
        )  # fmt: skip
        return made or ()

    async def settle(self, actor: TaskActor, call: Call) -> None:
        """Turns may have been stopped, or cut by the end of their agent: keep what became of them."""
        state = await actor.state()
        going_on = (PromptState.QUEUED, PromptState.DELIVERED)
        prompts = (each for session in state.prompts.values() for each in session)
        over = frozenset(each.prompt_id for each in prompts if each.state not in going_on)
        made = await self.after(actor, call, over)
        if made:
            await actor.commit(partial(record_made, made=made))

    async def _keep(
        self, actor: TaskActor, call: Call, seconds: float, keep: Callable[[Provider], Awaitable[T]]
    ) -> T | None:
        provider = self._services.providers.get(call.task.provider)
        if provider is None:
            return None
        try:
            return await self._services.calls.within(seconds, None, partial(keep, provider))
        except NO_FAILURES:
            raise
        except CallTimedOutError:
            actor.log("turn", f"the files are not kept at this point: that took longer than {seconds:g} s")
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not harm the turn
            actor.log("turn", f"the files are not kept at this point: {failure}")
        return None


class CheckpointQueries:
    """What people ask of checkpoints. Every method raises `RefusedError`."""

    def __init__(self, storage: Storage, providers: dict[str, Provider], diffs: KnownDocuments) -> None:
        """`diffs` is where the files are compared with a checkpoint, behind whoever asks for that."""
        self._storage = storage
        self._providers = providers
        self._diffs = diffs

    async def all(self, task: TaskDetail) -> CheckpointList:
        """The task's checkpoints, oldest first."""
        call, provider = await self._side(task)
        return CheckpointList(checkpoints=tuple(await _answered(provider.checkpoints.all(call.task, call.repo))))

    async def diff(self, task: TaskDetail, since: str, newer: int | None) -> bytes:
        """What differs from a checkpoint, or from before the last prompt, as it was compared last: a `Diff` as JSON.
        It is compared anew behind the answer; `newer`: wait for one of a later `computed_at`.
        """
        call, provider = await self._side(task)
        await _answered(provider.checkpoints.check(call, since))

        async def compare(at: int) -> bytes:
            files = await provider.checkpoints.diff(call, since)
            return await anyio.to_thread.run_sync(encode, Diff(files=tuple(files), computed_at=at))

        key = f"{task.task_id} since {since}"
        return await _answered(self._diffs.answer(key, compare, newer)) or NOT_COMPARED

    async def write_patch(self, task: TaskDetail, since: str, into: BinaryIO) -> None:
        """The same as a patch, of the files as they are now."""
        call, provider = await self._side(task)
        await _answered(provider.checkpoints.write_patch(call, since, into))

    async def _side(self, task: TaskDetail) -> tuple[Call, Provider]:
        provider, repo = self._providers.get(task.provider), await self._storage.repo(task.repo_id)
        if provider is None or repo is None:
            raise conflict(f"The provider {task.provider} is not available in this backend.")
        return Call(task=task, repo=repo, log=lambda text: None, detail=lambda text: None), provider


async def _answered(answer: Awaitable[T]) -> T:
    """The answer of a provider, in time; raises `RefusedError`."""
    try:
        with anyio.fail_after(READ_SECONDS):
            return await answer
    except TimeoutError:
        raise RefusedError(503, f"The files were not compared within {READ_SECONDS:g} s. Try again.") from None
    except UnknownCheckpointError as error:
        raise wrong_values(("since", error.message)) from None
    except CallError as error:
        raise RefusedError(503 if error.retryable else 409, error.message) from None
    except OSError as error:
        raise RefusedError(503, f"The files cannot be compared: {error.strerror or error}. Try again.") from None
