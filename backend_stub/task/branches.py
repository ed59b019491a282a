"""Settles a task's title and branch: what was asked for wins, what is taken gets a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from backend_stub.domain.errors import GitError
from backend_stub.domain.provider import Existing
from backend_stub.domain.storage import Storage
from backend_stub.task.naming import branch_from, free_branch, kind_from, title_from
from foundry_tui.contract.branches import conflicting_branch
from foundry_tui.contract.records import TaskDetail


@dataclass(frozen=True)
class Name:
    """What a task is called, and the branch that nobody else has."""

    title: str
    branch: str


class Branches:
    """Compares with the repository's branches and with those that other tasks hold or are about to."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._settled: WeakValueDictionary[tuple[str, str], Name] = WeakValueDictionary()

    async def settle(self, task: TaskDetail, existing: Existing) -> Name:
        """A name whose branch no other task is given while whoever asked keeps it; to be committed soon.

        `existing` tells the repository's branches near some names. Raises `GitError` when a branch that a person chose
        is taken.
        """
        title = task.title or title_from(task.prompt)
        if task.branch is not None:
            # What a person chose is kept as it is, however long; when it was taken meanwhile, they choose again.
            in_the_way = conflicting_branch(
                task.branch, {*await self._held(task, [task.branch]), *await existing([task.branch])}
            )
            if in_the_way is not None:
                raise GitError(
                    f"The branch {task.branch} cannot be made: {in_the_way} exists by now. Create the task again "
                    "with another branch.",
                    retryable=False,
                )
            return Name(title=title, branch=task.branch)
        wanted = branch_from(title, kind_from(task.title or task.prompt), task.task_id)

        async def held(names: Sequence[str]) -> set[str]:
            others = await self._held(task, names)
            # Many tasks of one prompt would else all try the same branch, and all but one of them in vain.
            return others | {branch for repo_id, branch in self._settled if repo_id == task.repo_id}

        async def taken(names: Sequence[str]) -> set[str]:
            return {*await existing(names), *await held(names)}

        # To look at rows costs next to nothing, and mostly git has no more than they.
        name = self._settle(task, title, await _search(wanted, held))
        if conflicting_branch(name.branch, await existing([name.branch])) is not None:
            name = self._settle(task, title, await _search(wanted, taken))
        return name

    def _settle(self, task: TaskDetail, title: str, branch: str) -> Name:
        name = Name(title=title, branch=branch)
        self._settled[task.repo_id, branch] = name
        return name

    async def _held(self, task: TaskDetail, names: Sequence[str]) -> set[str]:
        """The branches near these names that other tasks hold."""
        held = await self._storage.held_branches(task.repo_id, names)
        return {branch for branch, holder in held.items() if holder != task.task_id}


async def _search(wanted: str, taken: Existing) -> str:
    """The first free branch among those that may be taken."""
    search = free_branch(wanted)
    names = next(search)
    while True:
        try:
            names = search.send(await taken(names))
        except StopIteration as found:
            return str(found.value)
