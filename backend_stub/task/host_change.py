"""What can happen to a task as hosts come and go: a part of a `TaskChange`."""

from backend_stub.domain.hosts import HostIdentity
from backend_stub.task.rows import TaskRows
from foundry_tui.contract.activity import Activity, ActivityKind
from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.replace import replace


class HostChange:
    """On another host, waiting for one, or going on there."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    def stand_on(self, host: HostIdentity) -> None:
        """From now on its sandbox is on this host, which is there."""
        task = self._rows.task
        if task.host != host.name:
            activity = None if self._waits() else task.activity
            self._rows.put_task(replace(task, host=host.name, activity=activity))

    def wait(self) -> None:
        """Its sandbox is on a host that is lost: nothing goes on before that is back."""
        if not self._waits():
            said = Activity(kind=ActivityKind.NOTICE, text=away_words(self._rows.task.host), at=self._rows.now)
            self._rows.put_task(replace(self._rows.task, activity=said))

    def be_back(self) -> None:
        """Its host is there again: the task no longer says that it waits for it."""
        if self._waits():
            self._rows.put_task(replace(self._rows.task, activity=None))

    def _waits(self) -> bool:
        """Whether the task says that it waits for its host. That is told by its very words: no other field says so."""
        activity = self._rows.task.activity
        return activity is not None and activity.text == away_words(self._rows.task.host)
