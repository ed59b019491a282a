"""The demo provider: sandboxes that are empty folders, made and lost as a script says."""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from backend_stub.demo.checkpoints import DemoCheckpoints
from backend_stub.demo.edits import file_diff
from backend_stub.demo.script import ScriptError, ScriptFile
from backend_stub.demo.way_home import DemoWayHome
from backend_stub.demo.world import World
from backend_stub.domain.agent import AgentRuntime
from backend_stub.domain.call import Call
from backend_stub.domain.clock import Runtime
from backend_stub.domain.provider import Existing, Release, SandboxMade
from backend_stub.domain.start import Start
from backend_stub.repository.checkouts import expect_free, no_such_branch
from backend_stub.repository.git import Command, branches_near
from foundry_tui.contract.agents import KNOWN
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import FileDiff, Sandbox, TaskDetail
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.starts import StartedFrom
from foundry_tui.contract.work import Work


class PlayedAgents(AgentRuntime, Protocol):
    """Agents that are played in this process."""

    def use(self, group: TaskGroup) -> None:
        """Say in this task group what is said after turns."""
        ...


class DemoProvider:
    """See `backend_stub.domain.provider.Provider`; the sandboxes are kept in `folder`."""

    name = SIMULATED
    bound = False

    def __init__(
        self,
        folder: Path,
        world: World,
        script: ScriptFile,
        runtime: Runtime,
        agents: PlayedAgents,
        configured: Collection[str] = (),
    ) -> None:
        """`configured` are the names of the config's agents."""
        self._sandboxes = folder / "sandboxes"
        self._world = world
        self._script = script
        self._runtime = runtime
        self.agents = agents
        self.checkpoints = DemoCheckpoints(world, script, runtime)
        self.way_home = DemoWayHome(world, script, runtime, self.checkpoints)
        self._configured = configured

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with anyio.create_task_group() as group:
            self.agents.use(group)
            task_status.started()
            await anyio.sleep_forever()

    def state(self) -> str:
        return "ready"

    def default_agent(self) -> str:
        return "demo"

    def agents_here(self) -> Sequence[AgentInfo]:
        """It plays every agent that there is elsewhere, and each offers what the script says."""
        try:
            options = self._script.read().agent("").options
        except ScriptError:
            options = ()
        names = dict.fromkeys((self.default_agent(), *KNOWN, *self._configured))
        return [
            AgentInfo(name=name, provider=self.name, state=AgentState.READY, how="", options=options) for name in names
        ]

    def default_permissions(self) -> PermissionPolicy:
        return PermissionPolicy.ASK

    async def ensure_name(self, call: Call) -> Existing:
        await self._world.play("ensure_name", call, _nothing)
        place = call.repo.path
        call.detail("comparing branches")

        async def existing(names: Sequence[str]) -> Collection[str]:
            if place is None:
                return ()
            return await branches_near(place, names, told=lambda command: call.log(str(command)))

        return existing

    async def find_start(self, call: Call, start: StartedFrom) -> Start:
        """A branch has to be one of the repository, where that is here; the forge is made up."""
        if not start.on_its_branch:
            return self.way_home.start_of(call, start)
        await self._world.play("ensure_name", call, _nothing)
        place = call.repo.path
        if start.branch is not None and place is not None:

            def told(command: Command) -> None:
                call.log(str(command))

            if start.branch not in await branches_near(place, [start.branch], told=told):
                raise no_such_branch(start.branch, place)
            await expect_free(place, start.branch, told)
        return self.way_home.start_of(call, start)

    async def create_sandbox(self, call: Call) -> SandboxMade:
        task_id = call.task.task_id
        resumed = False

        async def make() -> None:
            nonlocal resumed
            self._cwd(task_id).mkdir(parents=True, exist_ok=True)
            resumed = task_id in self._world.sandboxes or not await self._world.effect(
                "create_sandbox", task_id, sandbox_id=task_id
            )
            if resumed:
                await self._world.effect("resume_sandbox", task_id, sandbox_id=task_id, once=False)

        await self._world.play("create_sandbox", call, make)
        sandbox = Sandbox(sandbox_id=task_id, cwd=str(self._cwd(task_id)), created_at=self._runtime.now())
        return SandboxMade(sandbox, resumed)

    async def find_branch(self, call: Call) -> str | None:
        return call.task.branch

    async def restore_sandbox(self, call: Call) -> bool:
        folder = anyio.Path(self._cwd(call.task.task_id))
        if await folder.is_dir():
            return False
        await folder.mkdir(parents=True, exist_ok=True)
        return True

    async def release_sandbox(self, call: Call, how: Release) -> None:
        await self._world.play("release_sandbox", call, lambda: self._remove("release_sandbox", call))

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        await self._world.play("destroy_sandbox", call, lambda: self._remove("destroy_sandbox", call))

    def would_lose(self, task: TaskDetail, *, delete_branch: bool) -> Sequence[str]:
        try:
            return self._script.read().would_lose(task.prompt)
        except ScriptError:
            return ()

    async def diff(self, task: TaskDetail, newer: int | None = None) -> Diff | None:
        """What the task's turns have edited so far."""
        if task.sandbox is None:
            return None
        try:
            return Diff(files=self._edited(task), computed_at=self._runtime.now())
        except ScriptError:
            return None

    def _edited(self, task: TaskDetail) -> tuple[FileDiff, ...]:
        """What turns of the task have edited by the script, and nobody has undone; raises `ScriptError`."""
        made, edits = self._world.edited(task.task_id), self._script.read().turn(task.prompt).edits
        return tuple(file_diff(edit) for place, edit in enumerate(edits) if place in made)

    async def work(self, call: Call, *, after_turn: bool = False) -> Work | None:
        """A branch without commits of its own, in which the edits of the turns so far stand uncommitted."""
        try:
            files = self._edited(call.task)
        except ScriptError:
            return None
        done = [each.kind for each in self._world.operations.values() if each.task_id == call.task.task_id]
        committed = any(kind in ("commit", "pull_request", "land") for kind in done)
        pushed = any(kind in ("push", "pull_request") for kind in done)
        return Work(
            base=call.task.base_branch or call.repo.default_branch or "main",
            ahead=int(committed and "land" not in done),
            behind=0,
            files=len(files),
            added=sum(file.added or 0 for file in files),
            removed=sum(file.removed or 0 for file in files),
            uncommitted=0 if committed else len(files),
            pushed=pushed,
            upstream=f"origin/{call.task.branch}" if pushed else None,
            conflicts=(),
            landed="land" in done,
            at=self._runtime.now(),
        )

    async def files(self, call: Call) -> Sequence[str] | None:
        """What the script says that the sandbox has, what the task's turns edit, and what lies there."""
        if call.task.sandbox is None:
            return None
        script = self._script.read()
        edited = [edit.path for step in script.turn(call.task.prompt).steps for edit in step.all_edits]
        here = await anyio.to_thread.run_sync(_files_in, self._cwd(call.task.task_id))
        return tuple(dict.fromkeys((*script.files(call.task.prompt), *edited, *here)))

    async def write_patch(self, call: Call, into: BinaryIO) -> bool:
        diff = await self.diff(call.task)
        if diff is not None:
            await anyio.to_thread.run_sync(into.write, "".join(file.patch for file in diff.files).encode())
        return diff is not None

    def _cwd(self, task_id: str) -> Path:
        return self._sandboxes / task_id

    def forget(self, task_id: str) -> None:
        """The world's journal has an end for every sandbox already."""

    async def _remove(self, name: str, call: Call) -> None:
        task_id = call.task.task_id
        shutil.rmtree(self._cwd(task_id), ignore_errors=True)
        if task_id in self._world.sandboxes:
            await self._world.effect(name, task_id, sandbox_id=task_id)


async def _nothing() -> None:
    """What a call without an effect does."""


def _files_in(folder: Path) -> list[str]:
    """In a thread: the files in a folder, by their paths in it."""
    places = [(Path(place), names) for place, _, names in os.walk(folder)]
    return sorted(str((place / name).relative_to(folder)) for place, names in places for name in names)
