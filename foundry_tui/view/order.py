"""The task list without a screen: which tasks are shown, in which lines, and what a change means for them."""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from foundry_tui.contract.filter import Entry, Term, entry_of, matches, matching, narrows, parse
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import ENDED
from foundry_tui.contract.task_words import Group, group_of
from foundry_tui.view.cells import cells_of
from foundry_tui.view.groups import Grouping, Heading, ListLine, Sorting, SortKey, arrange, sort_key
from foundry_tui.view.labels import title_of
from foundry_tui.view.rows import Needs

WARMED_AT_ONCE = 500
"""Tasks that the filter is prepared for at a step, in a few milliseconds."""


class TaskOrder:
    """The order list and the position dict of the task list; cost of a change is in proportion to what changed.

    `tasks` is asked for at each reading, since the store may have another mapping by then; `refused` says of an id
    whether it is a creation that the backend refused.
    """

    def __init__(self, tasks: Callable[[], Mapping[str, TaskSummary]], refused: Callable[[str], bool]) -> None:
        self._tasks = tasks
        self._refused = refused
        self._keys: dict[str, SortKey] = {}
        self._entries: dict[str, Entry] = {}
        self._groups: dict[str, Group] = {}
        self._names: dict[str, tuple[str, str, str, int]] = {}
        """Repository, agent and host of each task, and the cells of its title; no host of one that has ended."""
        self._repos: Counter[str] = Counter()
        self._agents: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._titles: Counter[int] = Counter()
        """How many titles have so many cells."""
        self._needs: Needs | None = None
        self._shown: set[str] = set()
        self._sorted: list[str] = []
        self._moved: set[str] = set()
        self.counts: dict[Group, int] = dict.fromkeys(Group, 0)
        """How many tasks stand in each group by state, shown or not."""
        self.query = ""
        self.terms: tuple[Term, ...] = ()
        self.grouping = Grouping.STATE
        self.sorting = Sorting.NEWEST
        self.lines: list[ListLine] = []
        """What stands in each line, top to bottom."""
        self.position: dict[str, int] = {}
        """The line of each task shown."""
        self.reset()

    @property
    def total(self) -> int:
        """All tasks, shown or not."""
        return len(self._keys)

    @property
    def shown(self) -> int:
        return len(self._shown)

    @property
    def needs(self) -> Needs:
        """What the names of repositories, agents, hosts and tasks need; one host needs nothing."""
        if self._needs is None:
            hosts = self._hosts if sum(1 for name in self._hosts if name) > 1 else ()
            repo, agent, host = map(_longest, (self._repos, self._agents, hosts))
            self._needs = Needs(repo, agent, host, max(self._titles, default=0), len(self._repos))
        return self._needs

    def ids(self) -> list[str]:
        """The tasks shown, top to bottom."""
        return [line for line in self.lines if isinstance(line, str)]

    def group_of(self, task_id: str | None) -> set[str]:
        """The tasks shown that stand in the group of this one, it among them; none where it is not shown."""
        if task_id is None or task_id not in self.position:
            return set()
        head = self._keys[task_id][0]
        return {each for each in self._sorted if self._keys[each][0] == head}

    def beyond(self, task_id: str, direction: int, group: Group) -> str | None:
        """The next task of this group after this one (or before), shown or not, from the end on to the beginning.

        None where the group has no other.
        """
        here = self._keys.get(task_id)
        there = (id_ for id_, its in self._groups.items() if its is group and id_ != task_id and id_ in self._keys)
        others = sorted(there, key=self._keys.__getitem__, reverse=direction < 0)
        after = (id_ for id_ in others if here is not None and (self._keys[id_] > here) is (direction > 0))
        return next(after, others[0] if others else None)

    def others(self, task_id: str, group: Group) -> int:
        """How many tasks the group has beside this one."""
        return self.counts[group] - (self._groups.get(task_id) is group)

    def reset(self) -> None:
        """Read all tasks anew and arrange them."""
        self._entries.clear()
        self._groups.clear()
        self._names.clear()
        self._repos.clear()
        self._agents.clear()
        self._hosts.clear()
        self._titles.clear()
        self._needs = None
        self.counts = dict.fromkeys(Group, 0)
        for task_id, task in self._tasks().items():
            self._count(task_id, task)
        self._read_keys()
        self._search(self._keys)
        self._sort()

    def touch(self, task_ids: Iterable[str]) -> bool:
        """Take in that these tasks came, changed or went; true when the lines are to be arranged anew."""
        tasks = self._tasks()
        for task_id in task_ids:
            task = tasks.get(task_id)
            self._entries.pop(task_id, None)
            self._count(task_id, task)
            was, before = task_id in self._shown, self._keys.pop(task_id, None)
            self._shown.discard(task_id)
            now = False
            if task is not None:
                key = self._keys[task_id] = self._key(task)
                now = matches(self.terms, self._entry(task)) if self.terms else True
                if now:
                    self._shown.add(task_id)
                if now and was and key == before:
                    continue
            if now or was:
                self._moved.add(task_id)
        return bool(self._moved)

    def arrange(self) -> None:
        """Put what is shown into lines, after `touch`: what has not moved stays in its order."""
        moved, key = self._moved, self._keys.__getitem__
        self._sorted = [task_id for task_id in self._sorted if task_id not in moved]
        for task_id in moved & self._shown:
            insort(self._sorted, task_id, key=key)
        self._lay_out()

    def _sort(self) -> None:
        """Put what is shown into lines, whatever it was before; what is nearly sorted is sorted in one pass."""
        before = [task_id for task_id in self._sorted if task_id in self._shown]
        self._sorted = sorted([*before, *self._shown.difference(before)], key=self._keys.__getitem__)
        self._lay_out()

    def _lay_out(self) -> None:
        self._moved.clear()
        self.lines, self.position = arrange(self._keys, self._sorted, self.grouping)

    def filter(self, query: str) -> None:
        """Show only what the filter holds for; an empty one shows all."""
        terms = parse(query)
        self.query = query
        if terms == self.terms:
            return
        among: Iterable[str] = list(self._shown) if narrows(self.terms, terms) else self._keys
        self.terms = terms
        self._search(among)
        self._sort()

    def regroup(self, grouping: Grouping, sorting: Sorting) -> None:
        """Group and sort by something else."""
        self.grouping, self.sorting = grouping, sorting
        self._read_keys()
        # A task may have gone from the store since the last frame; `touch` will hear of it.
        self._shown &= self._keys.keys()
        self._sort()

    def nearest(self, line: int, wanted: Callable[[str], bool] = lambda _: True) -> str | None:
        """The task in this line, or else the next one below, or else above; None when nothing is shown.

        One that is `wanted` goes before all others.
        """
        lines = self.lines
        start = max(0, min(line, len(lines) - 1))
        other: str | None = None
        for number in chain(range(start, len(lines)), range(start - 1, -1, -1)):
            found = lines[number]
            if isinstance(found, str):
                if wanted(found):
                    return found
                other = other or found
        return other

    def further(self, task_id: str | None, by: int) -> str | None:
        """The task so many tasks below this one (or above), or the last there is; the first where this is not shown."""
        if task_id is None or task_id not in self.position:
            return self.nearest(0)
        lines, line = self.lines, self.position[task_id]
        step, left = (1 if by > 0 else -1), abs(by)
        place = line + step
        while left and 0 <= place < len(lines):
            if isinstance(lines[place], str):
                line = place
                left -= 1
            place += step
        found = lines[line]
        return found if isinstance(found, str) else None

    def head_of_next_group(self, task_id: str | None, direction: int) -> str | None:
        """The first task of the group below that of this task, or of the one above; None when there is none."""
        heads = [number + 1 for number, line in enumerate(self.lines) if isinstance(line, Heading)]
        here = self.position.get(task_id or "", 0)
        if direction > 0:
            target = next((head for head in heads if head > here), None)
        else:
            own = max((head for head in heads if head <= here), default=0)
            target = max((head for head in heads if head < own), default=None)
        return self.nearest(target) if target is not None else None

    def _key(self, task: TaskSummary) -> SortKey:
        return sort_key(task, self.grouping, self.sorting, self._refused(task.task_id))

    @property
    def _counted(self) -> tuple[Counter[Any], ...]:
        return self._repos, self._agents, self._hosts, self._titles

    def _count_names(self, task_id: str, task: TaskSummary | None) -> None:
        was = self._names.get(task_id)
        now = None
        if task is not None:
            now = (task.repo_label, task.agent, _living_on(task), cells_of(title_of(task)))
        if was == now:
            return
        self._needs = None
        if was is not None:
            for counted, name in zip(self._counted, was, strict=True):
                counted[name] -= 1
                if not counted[name]:
                    del counted[name]
            del self._names[task_id]
        if now is not None:
            for counted, name in zip(self._counted, now, strict=True):
                counted[name] += 1
            self._names[task_id] = now

    def _count(self, task_id: str, task: TaskSummary | None) -> None:
        self._count_names(task_id, task)
        was = self._groups.get(task_id)
        now = group_of(task, self._refused(task_id)) if task is not None else None
        if was is now:
            return
        if was is not None:
            self.counts[was] -= 1
            del self._groups[task_id]
        if now is not None:
            self.counts[now] += 1
            self._groups[task_id] = now

    def _read_keys(self) -> None:
        self._keys = {task_id: self._key(task) for task_id, task in self._tasks().items()}

    def _entry(self, task: TaskSummary) -> Entry:
        entry = self._entries.get(task.task_id)
        if entry is None:
            entry = self._entries[task.task_id] = entry_of(task, self._refused(task.task_id))
        return entry

    def _search(self, among: Iterable[str]) -> None:
        if not self.terms:
            self._shown = set(self._keys)
            return
        tasks = self._tasks()
        # A task may have gone from the store since the last frame; `touch` will hear of it.
        there = ((task_id, tasks.get(task_id)) for task_id in among)
        entries = {task_id: self._entry(task) for task_id, task in there if task is not None}
        self._shown = set(matching(self.terms, entries))

    def warm(self) -> Iterator[None]:
        """Prepare what the filter looks at, a little at each step; then the first letter costs no more than others."""
        ids = list(self._tasks())
        for start in range(0, len(ids), WARMED_AT_ONCE):
            tasks = self._tasks()
            for task_id in ids[start : start + WARMED_AT_ONCE]:
                if (task := tasks.get(task_id)) is not None:
                    self._entry(task)
            yield


def _longest(names: Iterable[str]) -> int:
    """Cells of the longest of these names."""
    return max(map(cells_of, names), default=0)


def _living_on(task: TaskSummary) -> str:
    """The host of a task that has not ended; "" of others."""
    return "" if task.status in ENDED else task.host or ""
