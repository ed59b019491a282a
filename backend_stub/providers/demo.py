"""The demo provider: sandboxes that are only remembered, made and lost as a script says."""

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from backend_stub.agents.demo import DemoAgents
from backend_stub.clock import Chance
from backend_stub.providers.base import Call, ProviderError, Release, SandboxMade
from backend_stub.providers.demo_script import CallScript, ScriptError, ScriptFile
from backend_stub.providers.demo_world import World
from foundry_tui.contract.records import Sandbox, TaskDetail
from foundry_tui.contract.requests import Diff


class DemoProvider:
    """See `backend_stub.providers.base.Provider`; `folder` is where the world's journal is kept."""

    name = "demo"

    def __init__(self, folder: Path, script: ScriptFile, chance: Chance) -> None:
        self._folder = folder
        self._script = script
        self._chance = chance
        self._world = World(folder / "world.jsonl", script, chance)
        self.agents = DemoAgents(self._world, script, self._play)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()

    def state(self) -> str:
        return "ready"

    def default_agent(self) -> str:
        return "demo"

    async def ensure_name(self, call: Call) -> None:
        await self._play("ensure_name", call, lambda: None)

    async def create_sandbox(self, call: Call) -> SandboxMade:
        task_id = call.task.task_id
        resumed = False

        def make() -> None:
            nonlocal resumed
            resumed = task_id in self._world.sandboxes
            self._world.effect("resume_sandbox" if resumed else "create_sandbox", task_id, sandbox_id=task_id)

        await self._play("create_sandbox", call, make)
        sandbox = Sandbox(sandbox_id=task_id, cwd=str(self._folder / task_id), created_at=self._chance.now())
        return SandboxMade(sandbox, resumed)

    async def release_sandbox(self, call: Call, how: Release) -> None:
        await self._play("release_sandbox", call, lambda: self._remove("release_sandbox", call))

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        await self._play("destroy_sandbox", call, lambda: self._remove("destroy_sandbox", call))

    def would_lose(self, task: TaskDetail) -> Sequence[str]:
        try:
            return self._script.read().would_lose(task.prompt)
        except ScriptError:
            return ()

    def diff(self, task: TaskDetail) -> Diff | None:
        return None

    def _remove(self, name: str, call: Call) -> None:
        task_id = call.task.task_id
        if task_id in self._world.sandboxes:
            self._world.effect(name, task_id, sandbox_id=task_id)

    async def _play(self, name: str, call: Call, effect: Callable[[], None]) -> None:
        """One call as the script has it; the effect happens half-way."""
        try:
            script: CallScript = (await self._script.for_call()).call(name, call.task.prompt)
        except ScriptError as error:
            raise ProviderError(str(error)) from error
        number = self._world.call(name, call.task.task_id)
        for line in script.log:
            call.log(line)
        strikes = script.strikes(number)
        if strikes and script.fail is not None:
            await anyio.sleep(script.ms / 1000)
            raise ProviderError(script.fail, retryable=script.retryable)
        if strikes and script.hang == "before":
            await anyio.sleep_forever()
        await anyio.sleep(script.ms / 2000)
        effect()
        if strikes and script.hang == "after":
            await anyio.sleep_forever()
        await anyio.sleep(script.ms / 2000)
