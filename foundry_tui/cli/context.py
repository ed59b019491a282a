"""What every command is given: the settings, read when asked for, and a client of the backend, started when needed."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from foundry_tui.cli import problems
from foundry_tui.cli.problems import CommandError, NoTaskError, asking_about
from foundry_tui.client.connection import Target
from foundry_tui.settings import config

if TYPE_CHECKING:
    from foundry_tui.client.blocking import BlockingClient
    from foundry_tui.contract.records import Health, TaskDetail, TaskSummary

PATCH_SECONDS = 150.0
"""How long a backend that answers has to compare a sandbox with its base; it gives up a little earlier by itself."""


T = TypeVar("T")


class Context:
    """One run of the command line."""

    def __init__(self, flags: Mapping[str, object]) -> None:
        self._flags = flags
        self._untaken: tuple[str, ...] = ()
        self._health: Health | None = None

    def with_flags(self, flags: Mapping[str, object]) -> "Context":
        """The same run with more flags, which win."""
        return Context({**self._flags, **flags})

    @cached_property
    def loaded(self) -> config.Loaded:
        """The settings in force; raises `config.ConfigError`."""
        return config.load(self._flags)

    @property
    def settings(self) -> config.Settings:
        return self.loaded.settings

    @cached_property
    def target(self) -> tuple[Target, bool]:
        """The backend that is meant, and whether it is our own."""
        return config.target(self.settings)

    @cached_property
    def client(self) -> "BlockingClient":
        """A client of the backend; our own is started when none runs.

        Raises `CommandError` with exit code 6 when it cannot be started.
        """
        from foundry_tui.client.blocking import OWN_SECONDS, BlockingClient

        target, own = self.target
        if not own:
            where = self.loaded.origins.get("backend.address", "FOUNDRY_BACKEND")
            hint = f"{where} names it, so it is not started from here: start it there, or unset that"
            return BlockingClient(target, hint=hint)
        from foundry_tui.process import backend as daemon

        try:
            running = daemon.ensure(daemon.plan(self.settings))
        except daemon.DaemonError as error:
            raise CommandError(error.message, hint=error.hint, exit_code=problems.UNREACHABLE) from None
        if running.news:
            from foundry_tui.cli.output import tell

            tell(f"foundry: {running.news}")
        self._untaken, self._health = running.untaken, running.health
        return BlockingClient(target, patience=OWN_SECONDS)

    def tell_untaken(self) -> None:
        """Say on standard error which variables that are set here the running backend does not take."""
        self.client  # noqa: B018 - finds the backend
        if self._untaken:
            from foundry_tui.cli.output import tell
            from foundry_tui.process import backend as daemon

            tell(f"foundry: {daemon.not_taken(self._untaken)}")

    def default_provider(self, timeout: float | None) -> str | None:
        """The provider of a task that names none. Our own backend has told it as it was found; another one is asked.

        Raises `ProblemError` and `UnreachableError`.
        """
        from foundry_tui.client.blocking import HEALTH
        from foundry_tui.contract.records import Health

        client = self.client
        patience = client.patience if timeout is None else min(client.patience, timeout)
        health = self._health or client.call("GET", HEALTH, Health, timeout=patience)
        return next(iter(health.providers), None)

    def revive(self) -> None:
        """Start our own backend again if it is gone; what comes of it the next request tells."""
        from foundry_tui.process import backend as daemon

        if self.target[1]:
            with suppress(daemon.DaemonError):
                daemon.ensure(daemon.plan(self.settings))

    def task_id(self, given: str) -> str:
        """The id of the task that is meant by an id, a branch, or the beginning of either.

        Raises `NoTaskError`, and `CommandError` (usage) when several tasks are meant.
        """
        from foundry_tui.contract.ids import is_task_id
        from foundry_tui.contract.requests import TasksSnapshot

        if is_task_id(given):
            return given
        snapshot = self.client.call("GET", "/v1/tasks", TasksSnapshot)
        try:
            return match(given, snapshot.tasks).task_id
        except NoTaskError:
            if not snapshot.older or not given or '"' in given:
                raise
        from foundry_tui.cli.older import found_pages

        # It may be one of those that ended long ago.
        fields = (f'id:"{given}"', f'branch:"{given}"')
        found = {
            task.task_id: task for one in fields for _, page in found_pages(self.client, one) for task in page.tasks
        }
        return match(given, tuple(found.values())).task_id

    def task(self, given: str) -> "TaskDetail":
        """The task that is meant, whole; raises as `task_id` does."""
        task_id = self.task_id(given)
        return self.on_task(given, "GET", f"/v1/tasks/{task_id}")

    def on_task(self, given: str, method: str, path: str, body: object = None) -> "TaskDetail":
        """A call on a task that answers with it; raises `NoTaskError` where the backend knows none."""
        from foundry_tui.contract.records import TaskDetail

        with asking_about(given):
            return self.client.call(method, path, TaskDetail, body=body)

    def read(self, path: str, type_: type[T], given: str | None = None) -> tuple[bytes, T]:
        """The JSON of a GET as the backend wrote it, and its record; a 404 means that there is no task `given`."""
        with asking_about(given):
            return self.client.read("GET", path, type_)

    def patch(self, task_id: str, given: str, since: str) -> bytes:
        """The task's patch as git makes it; a 404 means that there is no task `given`."""
        from foundry_tui.contract.checkpoints import PATCH_TYPE

        # It is made while we wait, and a large worktree takes its time.
        query = {"format": "patch", "since": since}
        with asking_about(given):
            path = task_path(task_id, "/diff")
            return self.client.send("GET", path, query=query, at_work=PATCH_SECONDS, media=PATCH_TYPE)[1]


def match(given: str, tasks: "tuple[TaskSummary, ...]") -> "TaskSummary":
    """The task that `given` means: its branch, the beginning of its id, or that of its branch, in this order.

    Of several with a branch, those that are not archived or killed come first.
    """
    from foundry_tui.contract.status import ENDED

    if not given:
        raise NoTaskError(given)
    by_id = [task for task in tasks if task.task_id.startswith(given.lower())]
    begun = [task for task in tasks if task.branch is not None and task.branch.startswith(given)]
    named = [task for task in begun if task.branch == given]
    found = named or by_id or begun
    if found is not by_id:
        found = [task for task in found if task.status not in ENDED] or found
    if not found:
        raise NoTaskError(given)
    if len(found) > 1:
        shown = "\n".join(f"  {task.task_id}  {task.repo_label}  {task.branch or ''}" for task in found[:10])
        more = f"\n  … and {len(found) - 10} more" if len(found) > 10 else ""
        raise CommandError(
            f"{given!r} means several tasks:\n{shown}{more}",
            hint="give more of the id, or of the branch",
            exit_code=problems.USAGE,
        )
    return found[0]


def task_path(task_id: str, rest: str = "") -> str:
    """The path of a task's route."""
    from foundry_tui.client.blocking import segment

    return f"/v1/tasks/{segment(task_id)}{rest}"
