"""How far into the past the list is held: which ended tasks the backend has beside those, and how many."""

from collections.abc import Iterable, Mapping

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
    """What a page is about: the ended tasks older than `above`, and as old as `edge` at most (None: to the oldest)."""

    above: Age
    edge: Age | None

    @classmethod
    def of(cls, page: TasksSnapshot, above: Age) -> "Reach":
        """The reach of a page that begins below `above`."""
        return cls(above, min(map(age_of, page.tasks), default=above) if page.older else None)

    def has(self, task: TaskSummary) -> bool:
        """Whether the page would have the task, had it been there."""
        age = age_of(task)
        return task.status in ENDED and age < self.above and (self.edge is None or age >= self.edge)


class Horizon:
    """Which ended tasks are held: all that are not older than `edge` (None: all there are), and some others.

    The others are `found` for the sake of a filter, or `unsure`: held since before the last snapshot, which says
    nothing of them; a page will. Answers of an older moment than `sure_from` are not to be believed: what has happened
    since was not kept.

    A snapshot counts what it leaves out: the tasks older than a line that had ended at its moment. Those of them that
    become known by name, because they are held or because news tell that they were removed, are left out no longer.
    """

    def __init__(self) -> None:
        self.edge: Age | None = None
        self.found: set[str] = set()
        self.unsure: set[str] = set()
        self.sure_from = 0
        self._counted = 0
        """How many tasks the last snapshot left out."""
        self._counted_at = 0
        """The moment of that snapshot, a seq."""
        self._line: Age | None = None
        """Ended tasks older than this were counted; None: none was left out."""
        self._apart: set[str] = set()
        """Tasks older than the line that were not counted: they had not ended."""
        self._known: set[str] = set()
        """Tasks that were counted and are held, or were removed since. Those that are unsure are taken for counted."""
        self._undated: dict[str, Age] = {}
        """Tasks that were removed, as an answer told, which does not say whether that was after they were counted."""

    @property
    def left(self) -> int:
        """How many ended tasks the backend has that are not held."""
        return 0 if self.edge is None else max(0, self._counted - len(self._known))

    def begin(self, snapshot: TasksSnapshot, seq: int, removed: Mapping[str, int]) -> None:
        """A snapshot takes the place of everything, but for what was `removed` after it; `hold` tells what is kept."""
        ended = (age_of(task) for task in snapshot.tasks if task.status in ENDED)
        self.edge = self._line = min(ended, default=_NEWEST) if snapshot.older else None
        self.found.clear()
        self.unsure.clear()
        self.sure_from = self._counted_at = seq
        self._counted = snapshot.older
        there = {task.task_id: age_of(task) for task in snapshot.tasks}
        self._apart = {task_id for task_id, age in there.items() if self._is_older(age)}
        self._undated = {task_id: age for task_id, age in self._undated.items() if task_id in removed}
        self._known = {
            task_id
            for task_id, at in removed.items()
            if at > seq
            and task_id not in there
            and task_id not in self._undated
            and self._was_counted(task_id, _true_age(task_id, None))
        }

    def hides(self, task: TaskSummary) -> bool:
        """Whether the task is one of those that are not held."""
        return self.edge is not None and task.status in ENDED and age_of(task) < self.edge

    def lacked(self, task: TaskSummary, seq: int) -> bool:
        """Whether a task that the last snapshot did not have, and that there was at this moment, was removed before."""
        return 0 <= seq <= self._counted_at and not self.hides(task)

    def hold(self, task: TaskSummary) -> None:
        """The task is held."""
        if self._was_counted(task.task_id, age_of(task)):
            self._known.add(task.task_id)

    def seen(self, task_id: str, seq: int) -> None:
        """The backend had the task at this moment."""
        if seq > self._counted_at:
            self.unsure.discard(task_id)

    def skip(self, seq: int) -> None:
        """News of this moment were not kept."""
        self.sure_from = max(self.sure_from, seq)

    def removed(self, task_id: str, seq: int, held: TaskSummary | None) -> None:
        """News tell that the backend has the task no more, which was held so."""
        self.found.discard(task_id)
        self.unsure.discard(task_id)
        age = self._undated.pop(task_id, None) or _true_age(task_id, held)
        if seq <= self._counted_at:
            self._known.discard(task_id)
        elif self._was_counted(task_id, age):
            self._known.add(task_id)

    def is_gone(self, held: TaskSummary) -> None:
        """An answer tells that the backend has this task no more; news may yet tell since when."""
        task_id = held.task_id
        if task_id in self.unsure:
            self._known.discard(task_id)
        self.found.discard(task_id)
        self.unsure.discard(task_id)
        self._undated[task_id] = _true_age(task_id, held)

    def is_undated(self, task_id: str) -> bool:
        """Whether news may still tell when the task was removed."""
        return task_id in self._undated

    def let_go(self, tasks: Iterable[TaskSummary], seq: int) -> None:
        """These are held no longer; what happens to them after `seq` is not kept."""
        for task in tasks:
            task_id = task.task_id
            if self._was_counted(task_id, age_of(task)):
                self._known.discard(task_id)
            else:
                self._counted += 1
                self._apart.discard(task_id)
            self.found.discard(task_id)
            self.unsure.discard(task_id)
        self.skip(seq)

    def draw_in(self, edge: Age, shown: Iterable[TaskSummary]) -> None:
        """Ended tasks older than this edge were let go, but for what is shown."""
        older = (task for task in shown if age_of(task) < edge)
        self._apart |= {task.task_id for task in older if not self._was_counted(task.task_id, age_of(task))}
        self.edge = edge if self.edge is None else max(edge, self.edge)
        self._line = self.edge if self._line is None else max(self._line, self.edge)

    def take(self, page: TasksSnapshot, reach: Reach) -> None:
        """A page of this reach was taken in."""
        there = {task.task_id for task in page.tasks}
        self.edge = reach.edge
        self.found -= there
        self.unsure -= there
        self.skip(page.seq)

    def adjoins(self, reach: Reach) -> bool:
        """Whether a page of this reach goes on where what is held ends."""
        return self.edge is not None and reach.above >= self.edge

    def _is_older(self, age: Age) -> bool:
        return self._line is not None and age < self._line

    def _was_counted(self, task_id: str, age: Age) -> bool:
        """Whether a task that the backend had when it counted was among those that it did."""
        return self._is_older(age) and task_id not in self._apart


def _true_age(task_id: str, held: TaskSummary | None) -> Age:
    """The task's age as the backend told it, or by the time in its id where the backend has told nothing of it yet.

    The task may be younger by as long as its creation was put off.
    """
    return age_of(held) if held is not None and held.revision else (made_at(task_id), "")
