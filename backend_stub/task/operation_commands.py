"""What people ask to be done with a task's work: each is kept in one commit, and done behind."""

import msgspec

from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import IdTakenError, UnknownTaskError, conflict, not_found, wrong_values
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Storage
from backend_stub.task.actor import Actors
from backend_stub.task.operations import CANCELLED, Operations
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.ids import is_id
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.records import Operation, OperationKind, OperationState, SessionStatus
from foundry_tui.contract.status import ENDED, RELEASING

_NOT_OF_THE_REQUEST = {"kind", "operation_id"}


class OperationCommands:
    """Every method raises `RefusedError` when the command cannot be done."""

    def __init__(
        self,
        storage: Storage,
        actors: Actors,
        operations: Operations,
        providers: dict[str, Provider],
        runtime: Runtime,
    ) -> None:
        self._storage = storage
        self._actors = actors
        self._operations = operations
        self._providers = providers
        self._runtime = runtime

    async def start(self, task_id: str, request: StartOperation) -> Operation:
        """Keep an operation until it is done; one that is known already is answered as it is now."""
        if request.operation_id is not None and not is_id(request.operation_id):
            words = "An operation_id is 1 to 128 letters, digits, dots, dashes or underscores."
            raise wrong_values(("operation_id", words))
        operation_id = request.operation_id or self._runtime.new_id()
        held = await self._storage.operation(operation_id)
        if held is not None:
            if held.task_id != task_id:
                raise conflict("This operation_id belongs to another task.")
            return held
        asked = {name: value for name, value in _plain(request).items() if name not in _NOT_OF_THE_REQUEST}
        kind = OperationKind(str(_plain(request)["kind"]))
        actor = self._actors.of(task_id)
        try:
            task = (await actor.state()).task
            repo = await self._storage.repo(task.repo_id)
            provider = self._providers.get(task.provider)
            if provider is None or repo is None:
                raise conflict(f"The provider {task.provider} is not available in this backend.")
            refusal = provider.way_home.why_not(task, repo, request)

            def start(draft: TaskChange) -> Operation:
                for each in draft.task.operations:
                    # The same, sent once more before this one was kept.
                    if each.operation_id == operation_id:
                        return each
                _refuse(draft, kind, wait=request.wait)
                if refusal is not None:
                    raise conflict(refusal)
                draft.operations.request(
                    Operation(
                        operation_id=operation_id,
                        task_id=task_id,
                        kind=kind,
                        request=asked,
                        state=OperationState.QUEUED,
                        at=draft.now,
                        revision=1,
                    )
                )
                return draft.task.operations[-1]

            operation = await actor.commit_asked(start)
        except UnknownTaskError:
            raise not_found(f"task {task_id}") from None
        except IdTakenError:
            raise conflict("This operation_id belongs to another task.") from None
        self._operations.queue.wake(task_id)
        return operation

    async def cancel(self, operation_id: str) -> Operation:
        """Give an operation up; what it has left half-way is taken back behind. One that has ended is left as it is."""
        held = await self._storage.operation(operation_id)
        if held is None:
            raise not_found(f"operation {operation_id}")

        def cancel(draft: TaskChange) -> bool:
            operation = draft.operations.under_way
            if operation is None or operation.operation_id != operation_id:
                return False
            if operation.state is OperationState.QUEUED:
                draft.operations.cancel("The operation was cancelled.")
            else:
                draft.operations.note(CANCELLED, "")
            return True

        if await self._actors.of(held.task_id).commit_asked(cancel):
            await self._operations.cancelled(held.task_id)
        return await self._storage.operation(operation_id) or held


def _plain(request: StartOperation) -> dict[str, object]:
    """The request as it was sent, what has its default left out."""
    plain: dict[str, object] = msgspec.to_builtins(request)
    return plain


def _refuse(draft: TaskChange, kind: OperationKind, *, wait: bool) -> None:
    if draft.status in ENDED | RELEASING:
        raise conflict(f"The task has ended, and with it what could be brought home: no {kind} any more.")
    if not draft.is_prepared() or draft.task.sandbox is None:
        raise conflict("The task is still being prepared: there is nothing to bring home yet.")
    other = draft.operations.under_way
    if other is not None:
        raise conflict(f"One thing at a time: {other.kind} is under way. Wait for its end, or cancel it.")
    running = any(each.status is SessionStatus.RUNNING for each in draft.task.sessions)
    if (running or draft.private.delivering) and not wait:
        raise conflict("A turn runs. Stop it, or say wait to have this done after it.")
