"""What is worth a notification: a task that becomes ready, fails or asks."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.task_words import needs_person
from foundry_tui.view.glyphs import UNICODE
from foundry_tui.view.labels import state_text, title_of


class NewsKind(StrEnum):
    READY = "ready"
    FAILED = "failed"
    ASKS = "asks"


class News(Struct, frozen=True):
    """Something that happened to a task which a person may not be looking at."""

    kind: NewsKind
    task: TaskSummary


_Seen = tuple[TaskStatus, int]


class NewsFinder:
    """Compares each task with how it stood before. What stands there when first seen is no news."""

    def __init__(self, tasks: Iterable[TaskSummary] = ()) -> None:
        self._seen: dict[str, _Seen] = {task.task_id: _of(task) for task in tasks}
        self._open = False

    def open(self, tasks: Iterable[TaskSummary]) -> None:
        """The list is complete: what stands in it now is known, what comes later is news."""
        self._seen = {task.task_id: _of(task) for task in tasks}
        self._open = True

    def read(self, task_ids: Iterable[str], tasks: Mapping[str, TaskSummary]) -> list[News]:
        """The news about these tasks, in the order given; nothing before `open`."""
        news: list[News] = []
        if not self._open:
            return news
        for task_id in task_ids:
            task = tasks.get(task_id)
            if task is None:
                self._seen.pop(task_id, None)
                continue
            before, now = self._seen.get(task_id), _of(task)
            if before == now:
                continue
            self._seen[task_id] = now
            kind = _kind(before, task)
            if kind is not None:
                news.append(News(kind, task))
        return news


def _of(task: TaskSummary) -> _Seen:
    return task.status, task.needs_input


def _kind(before: _Seen | None, task: TaskSummary) -> NewsKind | None:
    # A task first seen as failed or asking was made elsewhere a moment ago: that is news too.
    status, questions = before if before is not None else (TaskStatus.QUEUED, 0)
    if needs_person(task) and task.needs_input > questions:
        return NewsKind.ASKS
    if task.revision == 0 or status is task.status:
        return None
    if task.status is TaskStatus.ERROR:
        return NewsKind.FAILED
    return NewsKind.READY if task.status is TaskStatus.IDLE else None


def sentence(news: News) -> str:
    """What to say: the title and what became of the task."""
    title = title_of(news.task)
    match news.kind:
        case NewsKind.READY:
            return f"{title} is ready"
        case NewsKind.ASKS:
            return f"{title} asks you"
        case NewsKind.FAILED:
            what = state_text(news.task, UNICODE, news.task.status_since, bar=False)
            reason = news.task.error.message if news.task.error is not None else ""
            return f"{title}: {what}: {reason}" if reason else f"{title}: {what}"


def summary(news: Iterable[News]) -> str:
    """Many news in one sentence: `Tasks: 3 are ready, 1 failed`."""
    counts = dict.fromkeys(NewsKind, 0)
    for item in news:
        counts[item.kind] += 1
    words = {
        NewsKind.ASKS: ("asks you", "ask you"),
        NewsKind.FAILED: ("failed", "failed"),
        NewsKind.READY: ("is ready", "are ready"),
    }
    parts = [f"{count} {words[kind][count > 1]}" for kind, count in counts.items() if count]
    return "Tasks: " + ", ".join(parts)
