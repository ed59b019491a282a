"""The whole client as an app has it, in simulated time, in front of a backend in memory."""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from foundry_tui.client.commands import CommandProblem, Commands
from foundry_tui.client.connection import Target
from foundry_tui.client.foundry import Foundry
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.records import summary_of
from foundry_tui.contract.requests import CreateTask
from tests.client.loop import simulate
from tests.client.transport import Backend

REQUEST = CreateTask(repo="/repo", prompt="Mend it")


class App:
    """The whole client in front of a simulated backend, as an app has it."""

    def __init__(self, backend: Backend, keep: Path | None = None) -> None:
        self.backend = backend
        self.problems: list[CommandProblem] = []
        self.told = 0
        self.foundry = Foundry(
            Target("http://localhost"),
            keep=keep,
            transport=backend,
            now_ms=lambda: int(anyio.current_time() * 1000),
            rng=random.Random(3),
        )
        self.foundry.commands.on_problem = self.problems.append
        self.store = self.foundry.store
        self.commands: Commands = self.foundry.commands

    def up_to_date(self) -> bool:
        true = {task_id: summary_of(task) for task_id, task in self.backend.world.tasks.items()}
        return dict(self.store.tasks) == true and not self.store.creations

    def posts(self) -> int:
        return len(self.backend.asked("POST", "/v1/tasks"))


def with_app(
    test: Callable[[App], Awaitable[None]], backend: Backend | None = None, keep: Path | None = None
) -> Backend:
    """Run a test in simulated time with a client that runs and holds the list."""
    behind = backend or Backend()

    async def main() -> None:
        app = App(behind, keep)
        async with anyio.create_task_group() as group:
            await group.start(app.foundry.run)
            app.commands.hold(TASKS)
            await test(app)
            group.cancel_scope.cancel()
        assert behind.streams() == 0, "a connection outlived the app"

    simulate(main)
    return behind


def with_ids(number: int) -> CreateTask:
    return CreateTask(repo="/repo", prompt="Mend it", task_id=f"task-{number}", session_id=f"session-{number}")
