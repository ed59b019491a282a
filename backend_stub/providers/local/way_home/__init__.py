"""Operations on the worktrees of the local provider; each can be cut anywhere, and is begun again."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import Forge
from backend_stub.domain.hand_over import LOG_CHARACTERS, MOST_LOGS, NO_PULL_REQUEST, give_checks, give_comments
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.checkpoints import LocalCheckpoints
from backend_stub.providers.local.sandbox_record import Made, Records
from backend_stub.providers.local.way_home import apply, commit, land, pull_request, push, undo, update
from backend_stub.providers.local.way_home.alone import Alone
from backend_stub.providers.local.way_home.checkout import CutLandingError, left_half_way, settle
from backend_stub.providers.local.way_home.place import Place
from foundry_tui.contract.codec import convert
from foundry_tui.contract.operations import Apply, HandOver, PullRequest, StartOperation, Undo
from foundry_tui.contract.pull_request import Comment
from foundry_tui.contract.pull_request import PullRequest as Found
from foundry_tui.contract.records import Operation, OperationKind, Repo, TaskDetail


class LocalWayHome:
    """See `backend_stub.domain.way_home.WayHome`."""

    def __init__(self, records: Records, checkpoints: LocalCheckpoints, forge: Forge) -> None:
        self._records = records
        self._checkpoints = checkpoints
        self._forge = forge
        self._alone = Alone()

    def why_not(self, task: TaskDetail, repo: Repo, request: StartOperation) -> str | None:
        if isinstance(request, Apply) and repo.path is None:
            return f"{repo.label} was cloned by Foundry from its URL: there is no checkout of yours to apply to."
        if isinstance(request, Undo) and not self._checkpoints.may_have(task.task_id, request.checkpoint_id):
            why = f"There is no checkpoint {request.checkpoint_id}" if request.checkpoint_id else undo.NONE
            return f"{why}: there is nothing to go back to."
        if isinstance(request, HandOver) and task.pull_request is None:
            return NO_PULL_REQUEST
        return None

    async def operate(self, call: Call, operation: Operation, progress: Progress) -> Done:
        place = await self._place(call, operation)
        await place.end_strays()
        if operation.steps:
            # It was cut, maybe with every git that it ran.
            await place.free_refs()
        if not progress.notes:
            await self._settle(place)
            await update.settle(place, call, self._checkpoints)
            await place.clear()
        if operation.kind not in _IN_CHECKOUTS:
            return await self._do(place, call, operation, progress)
        waits = partial(_wait, progress, f"another task is being brought into {place.record.repository}")
        for left in reversed(range(CUT_TRIES)):
            try:
                async with self._alone.of(place.common, waits):
                    return await self._do(place, call, operation, progress)
            except CutLandingError as cut:
                # After a kill the tasks of this backend go on in any order.
                if not left:
                    raise
                await _wait(progress, cut.message)
            await anyio.sleep(CUT_SECONDS)
        raise AssertionError("the last try says why")

    async def _do(self, place: Place, call: Call, operation: Operation, progress: Progress) -> Done:
        asked = operation.request
        match operation.kind:
            case OperationKind.COMMIT:
                sha = await commit.commit(place, call, progress, asked.get("message"))
                if sha is None:
                    raise GitError("There is nothing to commit: the sandbox is as its last commit.", retryable=False)
                return Done(result={"sha": sha})
            case OperationKind.UPDATE:
                how, resolve = asked.get("how", "rebase"), asked.get("resolve", "abort")
                return await update.update(place, call, self._checkpoints, progress, how=how, resolve=resolve)
            case OperationKind.PUSH:
                lease = bool(asked.get("force_with_lease"))
                result, is_new = await push.push(place, progress, force_with_lease=lease)
                return Done(result=result, pushed=is_new)
            case OperationKind.PULL_REQUEST:
                wanted = convert({"kind": "pull_request", **asked}, PullRequest)
                return await pull_request.open_pull_request(place, call, progress, self._forge, wanted)
            case OperationKind.LAND:
                how, archive = asked.get("how", "merge"), bool(asked.get("archive"))
                return await land.land(place, call, progress, how=how, into=asked.get("into"), archive=archive)
            case OperationKind.APPLY:
                return await apply.apply(place, progress)
            case OperationKind.UNDO:
                return await undo.undo(place, call, self._checkpoints, progress, asked.get("checkpoint_id"))
            case OperationKind.HAND_OVER:
                return await self._hand_over(call, progress, convert({"kind": "hand_over", **asked}, HandOver))
            case _:
                raise GitError(f"A worktree knows no {operation.kind}.", retryable=False)

    async def abandon(self, call: Call, operation: Operation, progress: Progress) -> None:
        if operation.kind in (OperationKind.UNDO, OperationKind.UPDATE):
            place = await self._place(call, operation)
            if operation.kind is OperationKind.UNDO:
                await undo.take_back(place, call, self._checkpoints, progress)
            else:
                await update.take_back(place, call, self._checkpoints, progress.notes)
            return
        taking_back = _TAKING_BACK.get(operation.kind)
        if taking_back is not None:
            place = await self._place(call, operation)
            async with self._alone.of(place.common):
                await taking_back(place, progress)

    async def settle(self, call: Call) -> None:
        """The task's sandbox is to go: have what an operation left half-way in a checkout be as it was.

        Raises `GitError` when that cannot be: with the sandbox would go what is kept of the checkout.
        """
        if not call.task.operations:
            return
        place = await self._place_if_any(call, call.task.operations[-1])
        # Where git knows nothing of the worktree any more, nothing is under way either.
        if place is not None:
            await self._settle(place)

    async def pull_request(self, call: Call) -> Found | None:
        held = call.task.pull_request
        return None if held is None else await self._forge.look(_repository_of(held), held.number)

    async def comments(self, call: Call) -> Sequence[Comment]:
        held = call.task.pull_request
        return () if held is None else await self._forge.comments(_repository_of(held), held.number)

    async def _hand_over(self, call: Call, progress: Progress, asked: HandOver) -> Done:
        held = call.task.pull_request
        if held is None:
            raise GitError(NO_PULL_REQUEST, retryable=False)
        await progress.step("hand_over")
        await progress.tell(f"{asked.what} of #{held.number}")
        remote = _repository_of(held)
        if asked.what == "comments":
            return give_comments(held.number, await self._forge.comments(remote, held.number))
        failed = await self._forge.failed_checks(remote, held.number, asked.checks, MOST_LOGS, LOG_CHARACTERS)
        return give_checks(held.number, failed, asked.checks)

    async def _settle(self, place: Place) -> None:
        if await left_half_way(place) is not None:
            async with self._alone.of(place.common):
                await settle(place)

    async def _place(self, call: Call, operation: Operation) -> Place:
        place = await self._place_if_any(call, operation)
        if place is None:
            raise GitError("The task has no worktree any more, or git knows nothing of it.", retryable=False)
        return place

    async def _place_if_any(self, call: Call, operation: Operation) -> Place | None:
        record = await anyio.to_thread.run_sync(self._records.load, call.task.task_id)
        if record is None or record.made is not Made.READY:
            return None
        return await Place.of(call, operation, record)


async def _wait(progress: Progress, what: str) -> None:
    await progress.step("wait")
    await progress.tell(what)


def _repository_of(pull: Found) -> str:
    """The address of the repository that the pull request is in."""
    return pull.url.rpartition("/pull/")[0]


CUT_TRIES, CUT_SECONDS = 5, 1.0
"""How often, and after how many seconds, a checkout is tried in which another task's landing was cut."""
_IN_CHECKOUTS = frozenset({OperationKind.LAND, OperationKind.APPLY})
"""What changes files outside of the sandbox."""
_TAKING_BACK: dict[OperationKind, Callable[[Place, Progress], Awaitable[None]]] = {
    OperationKind.COMMIT: commit.take_back,
    OperationKind.PULL_REQUEST: pull_request.take_back,
    OperationKind.LAND: land.take_back,
    OperationKind.APPLY: apply.take_back,
}
