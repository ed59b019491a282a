"""The replica of topic `tasks`: summaries and repositories. An event costs the same however many there are.

Of the tasks that have ended the snapshot has the newest; pages and what a filter finds come beside it.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from foundry_tui.client.changes import Dirt
from foundry_tui.client.horizon import Horizon, Reach, age_of
from foundry_tui.client.replica import Life, Replica
from foundry_tui.contract.events import EventName, TaskRemoved, Topic
from foundry_tui.contract.records import Repo, TaskSummary
from foundry_tui.contract.requests import NEWEST_ENDED, TasksSnapshot
from foundry_tui.contract.status import ENDED

FOR_EVER = 1 << 62
"""The seq of a removal that only an answer told of: no snapshot of this database's life undoes it."""
HELD_MOST = 10_000
"""Tasks from which on no more are read, and the oldest of those that end are held no longer."""
LET_GO_AT_ONCE = 500
"""How many more there are before the oldest are let go, all together."""


class TasksReplica(Replica):
    """Topic `tasks`: summaries and repositories; `horizon` says which of the ended tasks are among them.

    `shown` holds what screens see: the backend's records, the tasks that the user just made, and edits laid over them.
    `decorate` makes the shown record of a true one for the few ids in `edited`; `under` keeps the true ones of those.
    """

    def __init__(
        self,
        topic: Topic,
        dirty: Callable[[], Dirt],
        life: Life,
        decorate: Callable[[TaskSummary], TaskSummary],
        made_real: Callable[[str], None],
    ) -> None:
        super().__init__(topic, dirty, life)
        self.shown: dict[str, TaskSummary] = {}
        self.repos: dict[str, Repo] = {}
        self.under: dict[str, TaskSummary] = {}
        self.edited: set[str] = set()
        self.created: set[str] = set()
        self.removed: dict[str, int] = {}
        self.horizon = Horizon()
        self._let_go_from = HELD_MOST + LET_GO_AT_ONCE
        self._decorate = decorate
        self._made_real = made_real
        self._seen: dict[str, int] = {}
        self._repo_seen: dict[str, int] = {}

    def apply(self, name: EventName, record: Struct, seq: int) -> bool:
        if type(record) is TaskSummary:
            return self.put(record, seq)
        if isinstance(record, TaskRemoved):
            return self.remove(record.task_id, seq)
        if isinstance(record, Repo):
            return self.put_repo(record, seq)
        return False

    def put(self, task: TaskSummary, seq: int) -> bool:
        """Hold the task if its revision is higher than that held and it was not removed; whether it was."""
        task_id = task.task_id
        held = self.shown.get(task_id)
        if held is None:
            if task_id in self.removed:
                return False
            if self.horizon.hides(task):
                self.horizon.skip(seq)
                return False
        seen = self._seen
        # A stale event still proves that the task existed at its seq.
        if seq > seen.get(task_id, -1):
            seen[task_id] = seq
            self.horizon.seen(task_id, seq)
        if held is not None and task.revision <= held.revision:
            return False
        if task_id in self.created and self.horizon.lacked(task, seq):
            # Made by the client, answered late, and no more there when the last snapshot was made.
            return self._forget(task_id, seq)
        self._show(task)
        if task_id in self.created:
            self._made_real(task_id)
        self._note_commit(task.updated_at)
        self.dirty().tasks.add(task_id)
        if task.status in ENDED and len(self.shown) > self._let_go_from:
            self._let_oldest_go()
        return True

    @property
    def last_without_gap(self) -> TaskSummary | None:
        """The oldest of the tasks that are held without gaps, where the backend has older ones."""
        edge = self.horizon.edge
        if edge is None:
            return None
        # The task at the edge may have been removed: any other that is held and not older leads on as well.
        known = (task for task in self.shown.values() if age_of(task) >= edge and task.revision)
        return min(known, key=age_of, default=None)

    def put_page(self, page: TasksSnapshot, above: TaskSummary | None) -> bool:
        """Hold the page of the ended tasks older than `above`; None: the page is all that a snapshot has.

        False when it does not go on where what is held ends, or is older than what has been seen: ask again.
        """
        if page.seq < self.horizon.sure_from:
            return False
        if above is None:
            self.replace(page, page.seq, afresh=False)
            return True
        reach = Reach.of(page, age_of(above))
        if not self.horizon.adjoins(reach):
            return False
        there = {task.task_id for task in page.tasks}
        for task_id, held in list(self.shown.items()):
            if task_id not in there and reach.has(held) and self._seen.get(task_id, page.seq + 1) <= page.seq:
                self._drop(task_id, page.seq)
        for task in page.tasks:
            self._bring(task, page.seq)
        self.horizon.take(page, reach)
        self.dirty().older = True
        return True

    def put_found(self, page: TasksSnapshot, *, more: bool) -> bool:
        """Hold what a filter has found, in place of what one has found before unless it is `more` of that.

        False when it is older than what has been seen: ask again.
        """
        if page.seq < self.horizon.sure_from:
            return False
        if not more:
            self.let_found_go(but={task.task_id for task in page.tasks})
        for task in page.tasks:
            if task.task_id not in self.shown and self.horizon.hides(task):
                self.horizon.found.add(task.task_id)
            self._bring(task, page.seq)
        self.dirty().older = True
        return True

    def let_found_go(self, but: Iterable[str] = ()) -> None:
        """Hold no longer what a filter has found, but for these, and for what is being edited."""
        self._let_go(self.horizon.found.difference(but) - self.edited)

    def put_repo(self, repo: Repo, seq: int) -> bool:
        """Repositories have no revision; the higher seq wins."""
        if seq <= self._repo_seen.get(repo.repo_id, -1):
            return False
        self._repo_seen[repo.repo_id] = seq
        self.repos[repo.repo_id] = repo
        self.dirty().repos = True
        return True

    def add_repo(self, repo: Repo) -> None:
        """A repository that an answer told of, kept until the stream knows it."""
        if repo.repo_id not in self.repos:
            self.repos[repo.repo_id] = repo
            self.dirty().repos = True

    def remove(self, task_id: str, seq: int) -> bool:
        """News of this moment tell that a task was removed; whether it was shown."""
        if seq <= self.removed.get(task_id, -1) and not self.horizon.is_undated(task_id):
            return False
        self.horizon.removed(task_id, seq, self.shown.get(task_id))
        self.dirty().older = True
        return self._forget(task_id, seq)

    def is_gone(self, task_id: str) -> None:
        """The answer to a request says that the task was removed; the event that says when is still to come."""
        if task_id in self.shown:
            self._drop(task_id, FOR_EVER)

    def replace(self, snapshot: Struct, seq: int, afresh: bool) -> None:
        assert isinstance(snapshot, TasksSnapshot)
        if afresh:
            self.removed.clear()
        self._replace_tasks(snapshot, seq, afresh)
        self._replace_repos(snapshot, seq, afresh)

    def _replace_tasks(self, snapshot: TasksSnapshot, seq: int, afresh: bool) -> None:
        before, seen, removed = self.shown, self._seen, self.removed
        there = {task.task_id: task for task in snapshot.tasks if removed.get(task.task_id, -1) < seq}
        for task_id in removed.keys() & there.keys():
            del removed[task_id]
        held_from, found = self.horizon.edge, set(self.horizon.found)
        self.horizon.begin(snapshot, seq, removed)
        self.shown, self._seen = dict(there), dict.fromkeys(there, seq)
        for task_id, held in before.items():
            task = there.get(task_id)
            if task is not None:
                if not afresh and task.revision <= held.revision:
                    self._keep(task_id, held, max(seq, seen.get(task_id, 0)))
            elif task_id in self.created:
                self.shown[task_id] = self.under.get(task_id, held)
            elif afresh:
                continue
            elif seen.get(task_id, 0) > seq:
                self._keep(task_id, held, seen[task_id])
            elif self.horizon.edge is None or age_of(held) >= self.horizon.edge:
                removed[task_id] = seq
            elif held.status in ENDED and task_id not in found and (held_from is None or age_of(held) >= held_from):
                # Left out by the snapshot, but read before: whether it is there still a page will tell.
                self._keep(task_id, held, seen.get(task_id, 0))
                self.horizon.unsure.add(task_id)
        self.under = {task_id: self.shown[task_id] for task_id in self.edited if task_id in self.shown}
        for task_id, task in self.under.items():
            self.shown[task_id] = self._decorate(task)
        for task_id in self.created & self._seen.keys():
            self._made_real(task_id)
        known = before.keys() | self.shown.keys()
        dirt = self.dirty()
        dirt.tasks.update(task_id for task_id in known if self.shown.get(task_id) is not before.get(task_id))
        dirt.older = True

    def _keep(self, task_id: str, held: TaskSummary, seen: int) -> None:
        """Hold a task as it was, which was seen at this moment, though a snapshot is older than it or lacks it."""
        task = self.under.get(task_id, held)
        self.shown[task_id], self._seen[task_id] = task, seen
        self.horizon.hold(task)

    def _drop(self, task_id: str, seq: int) -> None:
        """Hold a task no longer, since an answer of this moment does not have it."""
        self.horizon.is_gone(self.shown[task_id])
        self._forget(task_id, seq)
        self.dirty().older = True

    def _forget(self, task_id: str, seq: int) -> bool:
        """Hold a task no longer, and remember that, so that older news do not bring it back; whether it was shown."""
        self.removed[task_id] = seq
        self._seen.pop(task_id, None)
        self.under.pop(task_id, None)
        if task_id in self.created:
            self._made_real(task_id)
        if self.shown.pop(task_id, None) is None:
            return False
        self.dirty().tasks.add(task_id)
        return True

    def _bring(self, task: TaskSummary, seq: int) -> None:
        """Hold a task that an answer has, as of this seq."""
        task_id = task.task_id
        if task_id in self.shown:
            self.put(task, seq)
        elif self.removed.get(task_id, -1) < seq:
            self.removed.pop(task_id, None)
            self._show(task)
            self._seen[task_id] = seq
            self.dirty().tasks.add(task_id)

    def _show(self, task: TaskSummary) -> None:
        """Show what is true of the task, with what is being edited laid over it."""
        self.horizon.hold(task)
        if task.task_id in self.edited:
            self.under[task.task_id] = task
            task = self._decorate(task)
        self.shown[task.task_id] = task

    def _let_oldest_go(self) -> None:
        """Hold no more than may be held: the oldest of the ended tasks are left to the backend again."""
        ended = sorted(
            (age_of(task), task_id)
            for task_id, task in self.shown.items()
            if task.status in ENDED and task_id not in self.edited and task_id not in self.created
        )
        surplus = ended[: max(0, min(len(self.shown) - HELD_MOST, len(ended) - NEWEST_ENDED))]
        if surplus:
            self._let_go({task_id for _, task_id in surplus})
            self.horizon.draw_in(ended[len(surplus)][0], self.shown.values())
        self._let_go_from = len(self.shown) + LET_GO_AT_ONCE

    def _let_go(self, task_ids: set[str]) -> None:
        self.horizon.let_go([self.shown.pop(task_id) for task_id in task_ids], self.seq)
        for task_id in task_ids:
            self.under.pop(task_id, None)
            self._seen.pop(task_id, None)
        dirt = self.dirty()
        dirt.tasks |= task_ids
        dirt.older = True

    def _replace_repos(self, snapshot: TasksSnapshot, seq: int, afresh: bool) -> None:
        repos = {repo.repo_id: repo for repo in snapshot.repos}
        seen = dict.fromkeys(repos, seq)
        for repo_id, repo in self.repos.items():
            newest = self._repo_seen.get(repo_id)
            if not afresh and (repo_id not in repos if newest is None else newest > seq):
                repos[repo_id] = repo
                if newest is not None:
                    seen[repo_id] = newest
        if repos != self.repos:
            self.dirty().repos = True
        self.repos, self._repo_seen = repos, seen
