"""What can be done with the changes of a task while they are open."""

from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.widgets.changes import ChangesView


class ReviewActions:
    """The actions of the table's group Changes."""

    _task: TaskInView

    @property
    def changes(self) -> ChangesView | None:
        """The view of the changes, if it was opened."""
        raise NotImplementedError

    @property
    def searching_changes(self) -> bool:
        """Whether something is searched for in the changes."""
        return self.changes is not None and self.changes.searching

    @property
    def _view(self) -> ChangesView:
        assert self.changes is not None, "these actions apply only while the changes are open"
        return self.changes

    def action_next_hunk(self) -> None:
        self._to_hunk(1)

    def action_previous_hunk(self) -> None:
        self._to_hunk(-1)

    def _to_hunk(self, direction: int) -> None:
        if self.searching_changes:
            self._view.lines.to_match(direction)
        elif not self._view.lines.to_hunk(direction):
            self._task.foundry.reply("That was the last hunk." if direction > 0 else "That was the first hunk.")

    def action_next_file(self) -> None:
        if not self._view.lines.to_file(1):
            self._task.foundry.reply("That was the last file.")

    def action_previous_file(self) -> None:
        if not self._view.lines.to_file(-1):
            self._task.foundry.reply("That was the first file.")

    def action_fold_file(self) -> None:
        self._view.lines.toggle_fold()

    def action_fold_files(self) -> None:
        self._view.lines.toggle_fold_all()

    def action_ignore_space(self) -> None:
        self._view.lines.toggle_space()

    def action_code_left(self) -> None:
        self._view.lines.move_columns(-1)

    def action_code_right(self) -> None:
        self._view.lines.move_columns(1)

    def action_search_changes(self) -> None:
        self._view.begin_search()

    def action_end_changes_search(self) -> None:
        self._view.end_search()
