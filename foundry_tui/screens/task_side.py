"""What stands beside the conversation of a task: its steps while they matter, then the work."""

from textual.containers import Vertical

from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.task_changes import TaskChanges
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.screens.task_panes import TaskPanes
from foundry_tui.view.clock import LastHeard
from foundry_tui.view.stepper import is_being_prepared, prepared_step, steps
from foundry_tui.view.task_notices import open_permissions
from foundry_tui.widgets.stepper import Stepper
from foundry_tui.widgets.transcript import Transcript
from foundry_tui.widgets.work import WorkColumn, WorkShown


class TaskSide:
    """The column at the left of a wide screen, or the line above the conversation of a narrow one."""

    def __init__(self, task: TaskInView, heard: LastHeard, transcript: Transcript, *, wide: int) -> None:
        """`heard` is the clock of what moves; from `wide` columns there is room for a column."""
        ascii_only = task.foundry.options.ascii
        self._task = task
        self._transcript = transcript
        self._wide = wide
        self.stepper = Stepper(heard, ascii_only=ascii_only)
        self.work = WorkColumn(ascii_only=ascii_only)
        self.box = Vertical(self.stepper, self.work, id="side")
        self.changes = TaskChanges(task, self._changes_known)

    def show(self, task: TaskSummary | None) -> None:
        """Show the steps of the task, or the work."""
        context = self._task.context()
        if context.refused:
            # Nothing was begun, and what there is to say stands beside the prompt.
            task = None
        matter = task is not None and is_being_prepared(task, unanswered=context.pending)
        compact = self._task.screen.app.size.width < self._wide
        self.stepper.display = matter
        if task is not None and matter:
            unsent = context.pending and not self._task.freshness().is_live
            found = steps(task, pending=context.pending, unsent=unsent)
            # Where there is little room, what failed has it.
            self.stepper.show(found, compact=compact and task.status is TaskStatus.ERROR)
            self.work.show(None, compact=compact)
        elif task is not None:
            self._look(task, compact=compact)
            self.show_work()
        self.box.display = task is not None and (matter or self.work.display)

    def _look(self, task: TaskSummary, *, compact: bool) -> None:
        """Ask which files were changed, once the screen stands and where there is room to list them."""
        if not compact and self._task.screen.is_mounted and not self._task.is_stand_in:
            self._task.screen.call_after_refresh(self.changes.look, task)

    def show_work(self) -> None:
        """Show the plan, the changed files and the sessions."""
        task = self._task.record
        if task is None or self.stepper.display:
            return
        asking = frozenset(permission.session_id for permission in open_permissions(task, None))
        work = WorkShown(
            task=task,
            prepared=prepared_step(task),
            plan=self._transcript.plan,
            files=self.changes.files,
            note=self.changes.note,
            asking=asking,
            comments=self._task.foundry.commands.comments.count(self._task.task_id),
        )
        self.work.show(work, compact=self._task.screen.app.size.width < self._wide)
        self.box.display = self.work.display

    def _changes_known(self) -> None:
        self.show_work()
        self._task.changes_known()

    async def open(self, chosen: WorkColumn.Chosen, panes: TaskPanes) -> None:
        """Show what was chosen in the column."""
        if chosen.session_id is not None:
            self._task.choose_session(chosen.session_id)
        elif chosen.path is not None:
            await panes.open_file(chosen.path)
        else:
            await self._task.toggle_pane("changes")

    def action_to_files(self) -> None:
        self.work.go_to_files()
