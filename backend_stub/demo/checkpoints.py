"""Checkpoints of the demo world: each turn that changed files has two, and they are remembered in its journal."""

import hashlib
from collections.abc import Collection, Sequence
from typing import BinaryIO

import anyio.to_thread

from backend_stub.demo.edits import file_diff
from backend_stub.demo.script import ScriptError, ScriptFile
from backend_stub.demo.world import KeptFiles, World
from backend_stub.domain.call import Call
from backend_stub.domain.checkpoints import unknown_checkpoint
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import ProviderError
from foundry_tui.contract.checkpoints import LAST, Checkpoint, When
from foundry_tui.contract.records import FileDiff, Repo, TaskDetail


class DemoCheckpoints:
    """See `backend_stub.domain.checkpoints.CheckpointKeeper`."""

    def __init__(self, world: World, script: ScriptFile, runtime: Runtime) -> None:
        self._world = world
        self._script = script
        self._runtime = runtime

    async def begin(self, call: Call, prompt_id: str) -> None:
        """What a turn has edited is known from the world's journal at its end."""

    async def end(self, call: Call, prompt_ids: Collection[str]) -> Sequence[Checkpoint]:
        task_id, made = call.task.task_id, []
        known = {each.checkpoint.prompt_id for each in self._world.kept(task_id)}
        for prompt_id in prompt_ids:
            kept, now = self._world.kept(task_id), self._world.edited(task_id)
            was = frozenset(kept[-1].left if kept else ())
            changed = self._world.edits.get(prompt_id, frozenset()) & now - was
            if prompt_id in known or prompt_id not in self._world.prompts or not changed:
                continue
            begun = max(self._world.prompts[prompt_id].at, kept[-1].checkpoint.at if kept else 0)
            for when, edited, at in ((When.BEFORE, was, begun), (When.AFTER, now, None)):
                made.append(await self.keep(call.task, when, prompt_id, edited=edited, left=now, at=at, over=was))
        return made

    async def all(self, task: TaskDetail, repo: Repo) -> Sequence[Checkpoint]:
        return [each.checkpoint for each in self._world.kept(task.task_id)]

    async def check(self, call: Call, since: str) -> None:
        self._since(call.task, since)

    async def diff(self, call: Call, since: str) -> Sequence[FileDiff]:
        return self._since(call.task, since)

    async def write_patch(self, call: Call, since: str, into: BinaryIO) -> None:
        patch = "".join(file.patch for file in self._since(call.task, since))
        await anyio.to_thread.run_sync(into.write, patch.encode())

    def target(self, task_id: str, checkpoint_id: str | None) -> KeptFiles | None:
        """The checkpoint of this id, or (None) the one before the last prompt."""
        for each in reversed(self._world.kept(task_id)):
            if each.checkpoint.checkpoint_id == checkpoint_id:
                return each
            if checkpoint_id is None and each.checkpoint.when is When.BEFORE:
                return each
        return None

    async def undo(self, task: TaskDetail, operation_id: str, target: KeptFiles) -> Checkpoint:
        """The files are those of the target from now on; what they were is kept."""
        return await self.keep(
            task, When.UNDO, operation_id, edited=self._world.edited(task.task_id), left=target.edited
        )

    async def keep(
        self,
        task: TaskDetail,
        when: When,
        cause: str,
        *,
        edited: Collection[int],
        left: Collection[int],
        at: int | None = None,
        over: Collection[int] = (),
    ) -> Checkpoint:
        """Remember a checkpoint of files that have these of the script's edits; `left`: what they have after it.

        It is of now, or of the time `at`. `over` is what they had at the checkpoint before it.
        """
        files = self._diff(task, over, edited) if when is When.AFTER else ()
        checkpoint = Checkpoint(
            checkpoint_id=f"{when}-{hashlib.sha256(cause.encode()).hexdigest()[:12]}",
            prompt_id=None if when is When.UNDO else cause,
            when=when,
            at=self._runtime.now() if at is None else at,
            files=len(files),
            added=sum(file.added or 0 for file in files),
            removed=sum(file.removed or 0 for file in files),
        )
        kept = KeptFiles(checkpoint=checkpoint, edited=tuple(sorted(edited)), left=tuple(sorted(left)))
        await self._world.keep(task.task_id, kept)
        return checkpoint

    def _since(self, task: TaskDetail, since: str) -> tuple[FileDiff, ...]:
        then = self.target(task.task_id, None if since == LAST else since)
        if then is None:
            raise unknown_checkpoint(since)
        return self._diff(task, then.edited, self._world.edited(task.task_id))

    def _diff(self, task: TaskDetail, then: Collection[int], now: Collection[int]) -> tuple[FileDiff, ...]:
        """What makes files that have the script's edits of now of those that had the edits of then."""
        try:
            edits = self._script.read().turn(task.prompt).edits
        except ScriptError as error:
            raise ProviderError(str(error)) from error
        return tuple(
            file_diff(edit, back=place in then)
            for place, edit in enumerate(edits)
            if (place in then) is not (place in now)
        )
