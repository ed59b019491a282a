"""Operations of the demo world, as its script has them: what they leave is remembered in the world's journal."""

import hashlib
from typing import Any

from backend_stub.demo.world import World
from backend_stub.domain.call import Call
from backend_stub.domain.way_home import Done, Progress
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.records import Operation, OperationKind, Repo, TaskDetail

_STEPS = {
    OperationKind.COMMIT: ("commit",),
    OperationKind.UPDATE: ("fetch", "update"),
    OperationKind.PUSH: ("push",),
    OperationKind.PULL_REQUEST: ("commit", "push", "pull_request"),
    OperationKind.LAND: ("land",),
    OperationKind.APPLY: ("apply",),
    OperationKind.UNDO: ("checkpoint", "undo"),
}
"""The steps of each kind of operation; the last one is what the script times and fails."""


class DemoWayHome:
    """See `backend_stub.domain.way_home.WayHome`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def why_not(self, task: TaskDetail, repo: Repo, request: StartOperation) -> str | None:
        return None

    async def operate(self, call: Call, operation: Operation, progress: Progress) -> Done:
        kind, task_id = operation.kind, call.task.task_id
        for name in _STEPS.get(kind, (str(kind),)):
            await progress.step(name)
        if operation.operation_id not in self._world.operations:

            def effect() -> None:
                self._world.effect(str(kind), task_id, operation_id=operation.operation_id)

            await self._world.play(str(kind), call, effect)
        archive = kind is OperationKind.LAND and bool(operation.request.get("archive"))
        return Done(result=self._result(operation), archive=archive)

    async def abandon(self, call: Call, operation: Operation, progress: Progress) -> None:
        """Nothing in the demo world is ever half-done."""

    def _result(self, operation: Operation) -> dict[str, Any]:
        digest = hashlib.sha1(operation.operation_id.encode(), usedforsecurity=False).hexdigest()
        if operation.kind is OperationKind.PULL_REQUEST:
            number = 1 + int(digest[:4], 16) % 999
            return {"number": number, "url": f"https://forge.invalid/demo/pull/{number}"}
        if operation.kind in (OperationKind.COMMIT, OperationKind.LAND, OperationKind.UPDATE):
            return {"sha": digest}
        return {}
