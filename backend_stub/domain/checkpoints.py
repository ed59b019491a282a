"""What a provider does to keep the files of its sandboxes before and after each turn."""

from collections.abc import Collection, Sequence
from typing import BinaryIO, Protocol

from backend_stub.domain.call import Call
from backend_stub.domain.errors import CallError
from foundry_tui.contract.checkpoints import LAST, Checkpoint
from foundry_tui.contract.records import FileDiff, Repo, TaskDetail


class UnknownCheckpointError(CallError):
    """The task has no such checkpoint."""


def unknown_checkpoint(since: str) -> UnknownCheckpointError:
    """That nothing can differ from this."""
    why = "No prompt was handed over yet" if since == LAST else f"There is no checkpoint {since}"
    return UnknownCheckpointError(f"{why}.", retryable=False)


class CheckpointKeeper(Protocol):
    """Keeps checkpoints. Calls raise `CallError`; made twice for the same turn they keep one."""

    async def begin(self, call: Call, prompt_id: str) -> None:
        """This prompt is about to be handed over: keep the files as they are."""
        ...

    async def end(self, call: Call, prompt_ids: Collection[str]) -> Sequence[Checkpoint]:
        """The turns of these prompts are over, those that were begun and not ended: what is kept of them from now on,
        oldest first. A turn that changed nothing leaves nothing.
        """
        ...

    async def all(self, task: TaskDetail, repo: Repo) -> Sequence[Checkpoint]:
        """The task's checkpoints, oldest first."""
        ...

    async def check(self, call: Call, since: str) -> None:
        """Raises `UnknownCheckpointError` where nothing can differ from this, as far as can be told without looking at
        the sandbox's files.
        """
        ...

    async def diff(self, call: Call, since: str) -> Sequence[FileDiff]:
        """What differs now from a checkpoint, or from `LAST`; raises `UnknownCheckpointError`."""
        ...

    async def write_patch(self, call: Call, since: str, into: BinaryIO) -> None:
        """The same as a patch, whole, that git makes. `into` is a file with a descriptor."""
        ...
