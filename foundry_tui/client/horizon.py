"""How far into the past the list is held: which ended tasks the backend has beside those, and how many."""

from collections.abc import Mapping

from msgspec import Struct

from foundry_tui.contract.ids import made_at
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import ENDED

Age = tuple[int, str]
"""Orders tasks by when they were created: of two the older has the lesser one."""

_NEWEST: Age = (1 << 62, "")


def age_of(task: TaskSummary) -> Age:
    return (task.created_at, task.task_id)


class Reach(Struct, frozen=True):
    """What a snapshot or a page is about: the ended tasks older than `above`, and as old as `edge` at most.

    `above` None: from the newest on; `edge` None: to the oldest.
    """

    above: Age | None
    edge: Age | None

    @classmethod
    def of(cls, page: TasksSnapshot, above: Age | None) -> "Reach":
        """The reach of an answer that begins below `above`."""
        oldest = min((age_of(task) for task in page.tasks if task.status in ENDED), default=above or _NEWEST)
        return cls(above, oldest if page.older else None)

    def has(self, task: TaskSummary) -> bool:
        """Whether the answer would have the task, had it been there."""
        age = age_of(task)
        return (
            task.status in ENDED
            and (self.above is None or age < self.above)
            and (self.edge is None or age >= self.edge)
        )


class Horizon:
    """Which ended tasks are held: all that are not older than `edge` (None: all there are), and some others.

    `left` counts those of the backend that are not held; below zero while more are held unsure than there are. `found`
    are the others that are held for the sake of a filter.
    `unsure` are held since before the last snapshot, which says nothing of them: a page will.
    Answers of an older moment than `sure_from` are not to be believed: what has happened since was not kept.
    """

    def __init__(self) -> None:
        self.edge: Age | None = None
        self.left = 0
        self.found: set[str] = set()
        self.unsure: set[str] = set()
        self.sure_from = 0
        self._counted_at = 0

    def begin(self, snapshot: TasksSnapshot, seq: int) -> None:
        """A snapshot takes the place of everything; what is held all the same is to be told by `keep`."""
        self.edge = Reach.of(snapshot, None).edge
        self.left = snapshot.older
        self.found.clear()
        self.unsure.clear()
        self.sure_from = self._counted_at = seq

    def hides(self, task: TaskSummary) -> bool:
        """Whether the task is one of those that are not held."""
        return self.edge is not None and task.status in ENDED and age_of(task) < self.edge

    def skip(self, seq: int) -> None:
        """News of this moment were not kept."""
        self.sure_from = max(self.sure_from, seq)

    def forget(self, task_ids: set[str], seq: int) -> None:
        """These are held no longer; what happens to them after `seq` is not kept."""
        self.found -= task_ids
        self.unsure -= task_ids
        self.left += len(task_ids)
        self.skip(seq)

    def removed(self, task_id: str, seq: int, held: TaskSummary | None) -> None:
        """The backend has the task no more, which was held so."""
        self.found.discard(task_id)
        self.unsure.discard(task_id)
        if held is None:
            # One that came and went since it was counted never was.
            self.left -= self.edge is not None and seq > self._counted_at and made_at(task_id) <= self.edge[0]
        elif seq <= self._counted_at and self.hides(held):
            # It was taken for one of those that were counted.
            self.left += 1

    def take(self, page: TasksSnapshot, reach: Reach, shown: Mapping[str, TaskSummary]) -> None:
        """A page of this reach was taken in."""
        self.edge = reach.edge
        self.found -= {task_id for task_id in self.found if task_id in shown and reach.has(shown[task_id])}
        self.left = page.older - sum(map(self.hides, shown.values()))
        self.skip(page.seq)
        self._counted_at = page.seq

    def adjoins(self, reach: Reach) -> bool:
        """Whether a page of this reach goes on where what is held ends."""
        return self.edge is not None and (reach.above is None or reach.above >= self.edge)
