"""What a provider does to bring a task's work home: operations with steps, each of which may be cut and go on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from backend_stub.domain.call import Call
from foundry_tui.contract.checkpoint_words import moment_of, occasion
from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.pull_request import Comment, PullRequest
from foundry_tui.contract.records import Operation, Repo, TaskDetail


def undone(to: Checkpoint, prompt: str, *more: str) -> str:
    """The notice of an undo to a checkpoint, which may belong to a prompt; `more` says more of what was done.

    An agent's session is not set back with the files.
    """
    return " ".join(
        (
            f"The files are again what they were {moment_of(to, prompt)}.",
            *more,
            f"What they were until now is kept too, among the checkpoints ({occasion(When.UNDO)}).",
            "The agent still remembers what it did.",
        )
    )


class Progress(Protocol):
    """Where an operation tells how far it is. Each method returns once that is kept."""

    @property
    def notes(self) -> Mapping[str, str]:
        """What the operation noted, also before a restart."""
        ...

    async def last_words(self) -> str | None:
        """What the agent said last in this task."""
        ...

    async def prompt(self, prompt_id: str | None) -> str:
        """The text of one of the task's prompts; "" where there is no such one."""
        ...

    async def step(self, name: str) -> None:
        """The step before has ended well, and this one begins. One that was begun before a restart begins again."""
        ...

    async def tell(self, detail: str) -> None:
        """What the step does, in a few words."""
        ...

    async def note(self, name: str, value: str) -> None:
        """Remember this for going on after a restart, before something is done that must not be done twice."""
        ...


@dataclass(frozen=True)
class Done:
    """What came of an operation: its `result`; a `prompt` that the agent gets because of it, but not again if it had
    that very one before and it is said `once`; a `notice` for its
    conversations; whether the task is to be archived now; `checkpoints` that were made; its `pull_request` as it is
    now, or that the branch was `pushed`, so that what is known of that is of an older commit.
    """

    result: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    notice: str | None = None
    archive: bool = False
    checkpoints: tuple[Checkpoint, ...] = ()
    pull_request: PullRequest | None = None
    pushed: bool = False
    once: bool = False


class WayHome(Protocol):
    """Does the operations of one provider's tasks."""

    def why_not(self, task: TaskDetail, repo: Repo, request: StartOperation) -> str | None:
        """Why this cannot be done now, as a sentence, from what is known: on a request's way, so it starts nothing."""
        ...

    async def operate(self, call: Call, operation: Operation, progress: Progress) -> Done:
        """Do the operation, or go on with it: whatever a step has done already is found and not done again.

        Raises `CallError` with what is in the way and what to do about it; then nothing of it is left half-way.
        """
        ...

    async def abandon(self, call: Call, operation: Operation, progress: Progress) -> None:
        """Take back what the operation has left half-way: it was cancelled, took too long, or ended unforeseen."""
        ...

    async def pull_request(self, call: Call) -> PullRequest | None:
        """The task's pull request as its forge tells of it now; None where it has none. Raises `CallError`."""
        ...

    async def comments(self, call: Call) -> Sequence[Comment]:
        """What was said about lines of the task's pull request, oldest first. Raises `CallError`."""
        ...
