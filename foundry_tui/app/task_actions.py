"""What can be done to tasks from any screen: retry, archive with a moment to undo, kill, remove, copy."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from foundry_tui.actions.availability import failed_in_turn, has_ended, has_failed, is_living, lacks_option
from foundry_tui.app.archiving import UNDO_SECONDS, Archiving
from foundry_tui.app.confirmations import Confirmations, named, quantity
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.questions import POLICY_WORDS
from foundry_tui.contract.records import TaskDetail, TaskSummary
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.view.labels import retry_words
from foundry_tui.view.starts import start_again
from foundry_tui.view.way_home import GIVE_CHECKS, GIVE_COMMENTS

if TYPE_CHECKING:
    from foundry_tui.app.host import Host
    from foundry_tui.widgets.task_list import TaskList


class TaskActions:
    """The actions of the table on the tasks of the current context: `action_<id>` for each."""

    def __init__(self, host: "Host", confirmations: Confirmations, archiving: Archiving) -> None:
        self._host = host
        self._confirmations = confirmations
        self._archiving = archiving

    def action_retry(self) -> None:
        creations = self._host.store.creations
        targets = self._host.context().targets
        tasks = list(filter(has_failed, targets))
        for task in tasks:
            if task.task_id in creations:
                self._host.commands.retry_creation(task.task_id)
            else:
                self._host.commands.retry(task.task_id, resend=failed_in_turn(task))
        if len(tasks) > 1:
            self._host.reply(f"Retrying {quantity(tasks)}.")
        elif tasks and tasks[0].task_id not in creations:
            self._host.reply(retry_words(tasks[0], resent=failed_in_turn(tasks[0])), f"Retry {quantity(tasks)}")
        self._host.unmark(targets)
        self._go_on_from(tasks, has_failed)

    def action_make_ready(self) -> None:
        targets = self._host.context().targets
        tasks = list(filter(failed_in_turn, targets))
        for task in tasks:
            self._host.commands.retry(task.task_id)
        if tasks:
            self._host.reply("What failed is not sent again: write to go on.", f"Make {quantity(tasks)} ready")
        self._host.unmark(targets)
        self._go_on_from(tasks, has_failed)

    def action_leave_option_out(self) -> None:
        targets = self._host.context().targets
        tasks = list(filter(lacks_option, targets))
        names = [name for task in tasks if task.error is not None and isinstance(name := task.error.option, str)]
        for task, name in zip(tasks, names, strict=True):
            self._host.commands.retry(task.task_id, without=(name,))
        if tasks:
            said = f"It goes on without {', '.join(dict.fromkeys(names))}: that is as the agent has it by itself."
            self._host.reply(said, f"Retry {quantity(tasks)}")
        self._host.unmark(targets)
        self._go_on_from(tasks, has_failed)

    def action_archive(self) -> None:
        targets = self._host.context().targets
        tasks = list(filter(self._stays, targets))
        if not tasks:
            return
        self._archiving.begin(tasks)
        self._refresh_changes(tasks)
        self._host.unmark(targets)
        self._host.app.notify(f"Archiving {quantity(tasks)}. Press u to undo.", timeout=UNDO_SECONDS)
        self._host.context_changed()
        self._go_on_from(tasks, self._stays)

    def _stays(self, task: TaskSummary) -> bool:
        """Whether it lives and nobody has asked for its end."""
        return is_living(task) and task.task_id not in self._archiving.task_ids

    def action_undo(self) -> None:
        if task_ids := self._archiving.take_back():
            self._host.app.clear_notifications()
            more = " Press u again for what was archived before." if self._archiving.task_ids else ""
            self._host.app.notify(f"Not archived.{more}", timeout=2)
            self._host.context_changed()
            if (tasks := self._tasks_in_view()) is not None and task_ids[0] in tasks.order.position:
                tasks.put_cursor(task_ids[0])

    def _tasks_in_view(self) -> "TaskList | None":
        """The list, where it is on top."""
        screen = self._host.app.screen
        return screen.tasks if isinstance(screen, TasksScreen) else None

    def _go_on_from(self, done: Sequence[TaskSummary], wanted: Callable[[TaskSummary], bool]) -> None:
        """Where this was asked for in the list, its cursor goes on to the next task that it could be asked for."""
        if (tasks := self._tasks_in_view()) is not None:
            tasks.go_on_from({task.task_id for task in done}, wanted)

    def action_kill(self) -> None:
        targets = self._host.context().targets
        tasks = list(filter(is_living, targets))

        def kill() -> None:
            for task in tasks:
                self._host.commands.kill(task.task_id)
            self._host.unmark(targets)

        if len(tasks) == 1:
            self._confirmations.ask_to_kill(tasks[0], lambda: self._host.unmark(targets))
        elif tasks:
            self._refresh_changes(tasks)
            losses = ["Their sandboxes are destroyed; what was said stays readable.", *named(tasks)]
            self._confirmations.ask(f"Kill {quantity(tasks)}?", losses, "Kill", kill)

    def _refresh_changes(self, tasks: Sequence[TaskSummary]) -> None:
        """Have the backend compare these worktrees, so that it knows what would be lost when it is asked to kill."""

        async def refresh() -> None:
            for task in tasks:
                # Who asks for the changes has them computed anew. That fails where there is nothing to be lost.
                with suppress(RequestError):
                    await self._host.commands.diff(task.task_id)

        self._host.app.run_worker(refresh(), group="changes")

    def action_prune(self) -> None:
        targets = self._host.context().targets
        tasks = list(filter(has_ended, targets))

        def prune() -> None:
            for task in tasks:
                self._host.commands.prune(task.task_id)
            self._host.unmark(targets)

        if tasks:
            what = "Its history, log and transcript" if len(tasks) == 1 else "Their histories, logs and transcripts"
            losses = [f"{what} will be gone.", *named(tasks)]
            self._confirmations.ask(f"Remove {quantity(tasks)} for good?", losses, "Remove", prune)

    def action_trust_setup(self) -> None:
        task = self._host.context().task
        if task is not None:
            self._host.show_setup(task)

    def action_way_home(self) -> None:
        self._open_way_home()

    def action_give_checks(self) -> None:
        self._open_way_home(GIVE_CHECKS)

    def action_give_comments(self) -> None:
        self._open_way_home(GIVE_COMMENTS)

    def _open_way_home(self, taken: str | None = None) -> None:
        """Show what can be done next with the work; `taken` is what is done at once, by its key."""
        task = self._host.context().task
        if task is None:
            return
        from foundry_tui.screens.way_home import WayHomeScreen

        def closed(archives: bool | None) -> None:
            if archives:
                self._host.commands.archive(task.task_id)

        self._host.app.push_screen(WayHomeScreen(task.task_id, self._host.store, taken), closed)

    def action_discard(self) -> None:
        for task in self._host.context().targets:
            if task.task_id in self._host.store.creations:
                self._host.commands.discard_creation(task.task_id)

    def action_edit_again(self) -> None:
        task = self._host.context().task
        if task is None:
            return
        creation = self._host.store.creations.get(task.task_id)
        if creation is not None:
            request = creation.request
            draft = CreateTask(
                repo=request.repo,
                prompt=request.prompt,
                title=request.title,
                branch=request.branch,
                base_branch=request.base_branch,
                from_=request.from_,
                agent=request.agent,
                provider=request.provider,
                options=request.options,
                permissions=request.permissions,
            )
            self._host.open_new_task(task.repo_id, draft)
        elif (detail := self._host.store.detail(task.task_id)) is not None:
            self._host.open_new_task(task.repo_id, _drafted(detail))
        else:
            self._host.app.run_worker(self._edit_listed(task), group="edit", exclusive=True)

    async def _edit_listed(self, task: TaskSummary) -> None:
        """The same for a task that is not in view: what the list has of it is only its beginning."""
        try:
            detail = await self._host.commands.task(task.task_id)
        except RequestError as error:
            self._host.reply(f"Its whole prompt cannot be read now: {error}", severity="warning")
        else:
            self._host.open_new_task(task.repo_id, _drafted(detail))

    def action_toggle_unread(self) -> None:
        tasks = self._host.context().targets
        unread = not any(task.unread for task in tasks)
        for task in tasks:
            self._host.commands.mark(task.task_id, unread)
        self._host.unmark(tasks)

    def action_copy_branch(self) -> None:
        task = self._host.context().task
        if task is not None and task.branch:
            self._host.copy(task.branch)

    def action_copy_id(self) -> None:
        task = self._host.context().task
        if task is not None:
            self._host.copy(task.task_id)


def _drafted(task: TaskDetail) -> CreateTask:
    """The request that asks for a task like this one."""
    start = start_again(task.started_from)
    return CreateTask(
        repo=task.repo_id,
        prompt=task.prompt,
        base_branch=None if start is not None and start.pull_request else task.base_branch,
        from_=start,
        agent=task.agent,
        provider=task.provider,
        options=task.asked_options,
        permissions=POLICY_WORDS.get(task.permission_policy),
    )
