"""What can be done with the folder of the task that a screen shows."""

from functools import partial

from foundry_tui.contract.records import Sandbox, TaskDetail
from foundry_tui.process.editors import editor_command, is_windowed
from foundry_tui.screens.editor import EditorError, lend_terminal, open_folder
from foundry_tui.screens.task_in_view import TaskInView


class SandboxActions:
    """The actions on the task's sandbox."""

    def __init__(self, task: TaskInView) -> None:
        self._task = task

    @property
    def _sandbox(self) -> Sandbox | None:
        task = self._task.record
        return task.sandbox if isinstance(task, TaskDetail) else None

    def action_copy_path(self) -> None:
        if (sandbox := self._sandbox) is not None:
            self._task.foundry.copy(sandbox.cwd)

    def action_open_sandbox(self) -> None:
        if (sandbox := self._sandbox) is not None:
            self._task.screen.run_worker(self._open(sandbox.cwd), group="editor", exclusive=True)

    def action_undo_turn(self) -> None:
        from foundry_tui.screens.checkpoints import start_undo

        start_undo(self._task.screen, self._task.foundry, self._task.task_id, self._task.store, None)

    def action_show_checkpoints(self) -> None:
        from foundry_tui.screens.checkpoints import CheckpointsScreen

        self._task.screen.app.push_screen(CheckpointsScreen(self._task.task_id, self._task.store))

    async def _open(self, folder: str) -> None:
        command = editor_command()
        if not is_windowed(command):
            await lend_terminal(self._task.screen, partial(open_folder, folder))
            return
        try:
            await open_folder(folder)
        except EditorError as failure:
            self._task.screen.notify(str(failure), severity="error")
        else:
            self._task.screen.notify(f"Opened in {command[0]}", timeout=2)
