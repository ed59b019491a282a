"""Chooses a task's title and branch: what a person asked for stays, and a branch that is taken gets a number."""

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


class NameChooser:
    """Chooses branches that neither the repository nor another task has, nor one that is just being given."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._given: WeakValueDictionary[tuple[str, str], Name] = WeakValueDictionary()
        """By repo_id and branch, the names that were given and may not be committed yet."""

    async def choose(self, task: TaskDetail, existing: Existing, about: str | None = None) -> Name:
        """A name for the task, to be committed soon: no other task is given its branch as long as the caller keeps it.

        `existing` tells which branches the repository has that some names cannot stand beside; `about` says in place of
        the prompt what the task is about. Raises `GitError` when a branch that a person chose is taken.
        """
        said = task.title or about or task.prompt
        title = task.title or title_from(said)
        if task.branch is not None:
            # What a person chose is kept as it is, however long.
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
        wanted = branch_from(title, kind_from(said), task.task_id)

        async def held(names: Sequence[str]) -> set[str]:
            others = await self._held(task, names)
            # Many tasks of one prompt would else all try the same branch, and all but one of them in vain.
            return others | {branch for repo_id, branch in self._given if repo_id == task.repo_id}

        async def taken(names: Sequence[str]) -> set[str]:
            return {*await existing(names), *await held(names)}

        # The rows are asked first: that costs next to nothing, and git seldom has a branch that they have not.
        name = self._give(task, title, await _search(wanted, held))
        if conflicting_branch(name.branch, await existing([name.branch])) is not None:
            name = self._give(task, title, await _search(wanted, taken))
        return name

    def _give(self, task: TaskDetail, title: str, branch: str) -> Name:
        name = Name(title=title, branch=branch)
        self._given[task.repo_id, branch] = name
        return name

    async def _held(self, task: TaskDetail, names: Sequence[str]) -> set[str]:
        """The branches of other tasks that these names cannot stand beside."""
        held = await self._storage.held_branches(task.repo_id, names)
        return {branch for branch, holder in held.items() if holder != task.task_id}


async def _search(wanted: str, taken: Existing) -> str:
    """The first free branch: the one that is wanted, or that with a number. `taken` tells what is in the way."""
    search = free_branch(wanted)
    names = next(search)
    while True:
        try:
            names = search.send(await taken(names))
        except StopIteration as found:
            return str(found.value)
