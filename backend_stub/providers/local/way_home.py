"""Operations on the worktrees of the local provider; each can be cut anywhere, and is begun again."""

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.record import Records
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.records import Operation, Repo, TaskDetail


class LocalWayHome:
    """See `backend_stub.domain.way_home.WayHome`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def why_not(self, task: TaskDetail, repo: Repo, request: StartOperation) -> str | None:
        return None

    async def operate(self, call: Call, operation: Operation, progress: Progress) -> Done:
        raise GitError(f"a worktree knows no {operation.kind}", retryable=False)

    async def abandon(self, call: Call, operation: Operation, progress: Progress) -> None:
        pass
