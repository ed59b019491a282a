"""What every storage does with its tables, whichever engine keeps them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from backend_stub.domain.storage import Change, ItemKey, LeftoverRow, TaskState
from backend_stub.storage import lists, reading, writing
from backend_stub.storage.tables import Query, Tables
from backend_stub.storage.writing import Transaction
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.records import HistoryEvent, LogLine, Operation, Repo, SessionSummary, TaskDetail, TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus

P = ParamSpec("P")
T = TypeVar("T")

Job = Callable[[Transaction], Coroutine[Any, Any, Any]]
"""What is done in a transaction that others may share."""


class TableStorage(ABC):
    """See `backend_stub.domain.storage.Storage`."""

    @abstractmethod
    async def read(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `read` in one transaction that sees what is committed now; raises `StorageUnavailableError`."""

    @abstractmethod
    async def submit(self, job: Job, first: Query | None = None) -> Any:
        """Do the job in a transaction, commit it, and give back what it returned; what it raises is raised.

        `first` is what it reads before all else, for an engine that can ask for that as the transaction begins.
        Raises `StorageUnavailableError` when it cannot be committed.
        """

    async def commit(self, change: Change) -> Sequence[HistoryEvent]:
        result: Sequence[HistoryEvent] = await self.submit(partial(writing.apply, change), writing.first_read(change))
        return result

    async def prune(self, task_id: str) -> None:
        await self.submit(partial(writing.prune, task_id))

    async def put_repo(self, repo: Repo) -> tuple[Repo, bool]:
        result: tuple[Repo, bool] = await self.submit(partial(writing.put_repo, repo))
        return result

    async def drop_leftover(self, task_id: str) -> None:
        await self.submit(partial(writing.drop_leftover, task_id))

    async def sessions(self) -> Sequence[SessionSummary]:
        return await self.read(reading.sessions)

    async def load(self, task_id: str) -> TaskState | None:
        return await self.read(reading.load, task_id)

    async def item_keys(self, session_id: str) -> dict[str, ItemKey]:
        return await self.read(reading.item_keys, session_id)

    async def task_of_session(self, session_id: str) -> str | None:
        return await self.read(reading.task_of_session, session_id)

    async def attachments(self, prompt_id: str) -> NewAttachments:
        return await self.read(reading.attachments, prompt_id)

    async def task_of_permission(self, permission_id: str) -> str | None:
        return await self.read(reading.task_of_permission, permission_id)

    async def operation(self, operation_id: str) -> Operation | None:
        return await self.read(reading.operation, operation_id)

    async def last_words(self, task_id: str) -> str | None:
        return await self.read(reading.last_words, task_id)

    async def repo(self, repo_id: str) -> Repo | None:
        return await self.read(reading.repo, repo_id)

    async def repos(self) -> Sequence[Repo]:
        return await self.read(reading.repos)

    async def held_branches(self, repo_id: str, names: Sequence[str]) -> dict[str, str]:
        return await self.read(reading.held_branches, repo_id, names)

    async def having(self, statuses: frozenset[TaskStatus]) -> Sequence[str]:
        return await self.read(reading.having, statuses)

    async def operating(self) -> Sequence[str]:
        return await self.read(reading.operating)

    async def in_turn(self, status: TaskStatus) -> Sequence[str]:
        return await self.read(reading.in_turn, status)

    async def leftovers(self) -> Sequence[LeftoverRow]:
        return await self.read(reading.leftovers)

    async def leftover(self, task_id: str) -> LeftoverRow | None:
        return await self.read(reading.leftover, task_id)

    async def history(self, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
        return await self.read(reading.history, task_id, after, limit)

    async def task(self, task_id: str) -> TaskDetail | None:
        return await self.read(reading.task, task_id)

    async def ended_before(self, task_id: str, limit: int) -> TasksSnapshot | None:
        return await self.read(lists.ended_before, task_id, limit)

    async def find(
        self, holding: Callable[[Sequence[TaskSummary]], Collection[str]], before: str | None, limit: int
    ) -> TasksSnapshot | None:
        return await self.read(lists.find, holding, before, limit)

    async def lines(self, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
        return await self.read(reading.lines, task_id, stage, after, limit)
