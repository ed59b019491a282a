"""What a provider of sandboxes promises."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from backend_stub.domain.agent import AgentRuntime
from backend_stub.domain.call import Call
from backend_stub.domain.checkpoints import CheckpointKeeper
from backend_stub.domain.start import Start
from backend_stub.domain.way_home import WayHome
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import Repo, Sandbox, TaskDetail
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.rules import Rule
from foundry_tui.contract.starts import StartedFrom
from foundry_tui.contract.work import Work


@dataclass(frozen=True)
class Release:
    """How a task is archived or killed. `force`: the person knows what would be lost."""

    force: bool = False
    delete_branch: bool = False


@dataclass(frozen=True)
class SandboxMade:
    """The outcome of `create_sandbox`; `resumed` says that it was there already and was adopted.

    `notice` is what a person should know of it, empty for nothing; `repo` the repository as it is known by now, None
    for as it was; `rules` those about permission that the repository brings and that are trusted.
    """

    sandbox: Sandbox
    resumed: bool = False
    notice: str = ""
    repo: Repo | None = None
    rules: tuple[Rule, ...] = ()


Existing = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Tells the branches of a repository that may be in the way of these names, without asking for all that it has."""


class Provider(Protocol):
    """Makes and removes sandboxes. Every call is idempotent by task id and may be cancelled at any await.

    Calls raise `CallError` (or a subclass); anything else counts as a defect of the provider.
    """

    @property
    def name(self) -> str: ...

    @property
    def bound(self) -> bool:
        """Whether its sandboxes lie on this machine. Tasks of a provider that is not bound are taken over by another
        host when theirs is lost (`task/placement.py`).
        """
        ...

    @property
    def agents(self) -> AgentRuntime:
        """Who talks to the agents in this provider's sandboxes."""
        ...

    @property
    def way_home(self) -> WayHome:
        """Who does the operations of this provider's tasks."""
        ...

    @property
    def checkpoints(self) -> CheckpointKeeper:
        """Who keeps the files of this provider's sandboxes before and after each turn."""
        ...

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """What the provider has to do beside its calls, while the backend runs; it is started before any call."""
        ...

    def state(self) -> str:
        """`ready`, or why it cannot be used and what to do about it."""
        ...

    def default_agent(self) -> str:
        """The agent of a task that names none."""
        ...

    def default_permissions(self) -> PermissionPolicy:
        """What a task that does not say answers without a person."""
        ...

    def agents_here(self) -> Sequence[AgentInfo]:
        """The agents that a task can name, and what is known of each. Looks at files, so call it in a thread."""
        ...

    async def ensure_name(self, call: Call) -> Existing:
        """Get ready to name the task's branch. What comes back is asked with names, and tells which branches there are
        that a new one of such a name would collide with, local and remote, as far as can be told now.
        """
        ...

    async def find_start(self, call: Call, start: StartedFrom) -> Start:
        """What the task starts from, found out now. Raises `CallError` with what to do where it cannot be: there is no
        such thing, or a worktree has the branch.
        """
        ...

    async def create_sandbox(self, call: Call) -> SandboxMade:
        """Make the task's sandbox, or find, adopt or complete the one that is there."""
        ...

    async def find_branch(self, call: Call) -> str | None:
        """The branch that the sandbox of a ready task is on now, None where that cannot be said.

        Raises `CallError` when there is no sandbox to work in, with what happened and what to do.
        """
        ...

    async def restore_sandbox(self, call: Call) -> bool:
        """Make the sandbox of a task that was ready again if somebody removed it; whether that was done."""
        ...

    async def release_sandbox(self, call: Call, how: Release) -> None:
        """Archive: let go of what costs; nothing to release is success."""
        ...

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        """Kill: remove what was made for the task; nothing to destroy is success."""
        ...

    def would_lose(self, task: TaskDetail, *, delete_branch: bool) -> Sequence[str]:
        """What archive or kill would lose, with the branch or without, from what is known: called on a request's way,
        so it waits for nothing. What it has told of is looked at again behind, for whoever asks again.
        """
        ...

    async def work(self, call: Call, *, after_turn: bool = False) -> Work | None:
        """What became of the branch of a task that has a sandbox, found out now; None where there is nothing to tell.

        `after_turn`: a turn has just ended, so that the task's changes are known already.
        """
        ...

    async def diff(self, task: TaskDetail, newer: int | None = None) -> Diff | None:
        """The task's changes as they were computed last, at once; None if it has none. The call also begins to compute
        them anew, for the next one who asks.

        With `newer`, wait some seconds for a computation whose `computed_at` is later than that; where none comes, the
        last one is told all the same.
        """
        ...

    async def files(self, call: Call) -> Sequence[str] | None:
        """The files in the task's sandbox, without those that are ignored: paths relative to it, with lone surrogates
        where they are no UTF-8; None where there is no sandbox. Never asked on a request's way.
        """
        ...

    async def write_patch(self, call: Call, into: BinaryIO) -> bool:
        """Write the task's changes as they are now, whole, as a patch that `git apply` takes; False when there are none
        to be told of, since there is no sandbox. `into` is a file with a descriptor.
        """
        ...

    def forget(self, task_id: str) -> None:
        """The task was pruned: let go of what was kept of it for reading, behind the call."""
        ...
