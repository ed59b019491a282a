"""The order of the task list: which group a task stands in, and where within it."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.task_words import Group, group_of
from foundry_tui.view.labels import title_of


class Grouping(StrEnum):
    STATE = "state"
    REPO = "repository"


class Sorting(StrEnum):
    """What stands first within a group."""

    NEWEST = "newest"
    CHANGED = "last changed"
    TITLE = "title"
    REPO = "repository"


_PLACE: dict[Group, int] = {group: place for place, group in enumerate(Group)}

SortKey = tuple[int | str, ...]
"""Compares tasks of one list; its first part is the group, its last part the task_id."""


def sort_key(task: TaskSummary, grouping: Grouping, sorting: Sorting, refused: bool = False) -> SortKey:
    """Where a task stands; equal keys mean that nothing has to be sorted anew."""
    head: int | str = _PLACE[group_of(task, refused)] if grouping is Grouping.STATE else task.repo_label
    match sorting:
        case Sorting.NEWEST:
            return (head, -task.created_at, task.task_id)
        case Sorting.CHANGED:
            return (head, -task.status_since, task.task_id)
        case Sorting.TITLE:
            return (head, title_of(task).casefold(), task.task_id)
        case Sorting.REPO:
            return (head, task.repo_label, -task.created_at, task.task_id)


class Heading(Struct, frozen=True):
    """The line above a group."""

    label: str
    count: int


ListLine = Heading | str | None
"""A line of the list: a heading, a task by its id, or None for the blank line above a heading."""


def heading_label(key: SortKey, grouping: Grouping) -> str:
    """The name of the group that a sort key begins with."""
    head = key[0]
    return list(Group)[head] if grouping is Grouping.STATE and isinstance(head, int) else str(head)


def arrange(
    keys: Mapping[str, SortKey], order: Sequence[str], grouping: Grouping
) -> tuple[list[ListLine], dict[str, int]]:
    """The lines of the list and the line of each task; groups without tasks are left out.

    `order` has the tasks that are shown, sorted by their keys.
    """

    def head(task_id: str) -> int | str:
        return keys[task_id][0]

    lines: list[ListLine] = []
    position: dict[str, int] = {}
    start = 0
    while start < len(order):
        end = bisect_right(order, head(order[start]), start, key=head)
        group = order[start:end]
        if lines:
            lines.append(None)
        lines.append(Heading(heading_label(keys[order[start]], grouping), len(group)))
        position.update(zip(group, range(len(lines), len(lines) + len(group)), strict=True))
        lines.extend(group)
        start = end
    return lines, position
