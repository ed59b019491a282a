"""What a person can ask of the backend, as screens see it: calls that return at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from foundry_tui.client.comments import KeptComments
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.attachments import NewAttachment
from foundry_tui.contract.checkpoints import BASE, CheckpointList
from foundry_tui.contract.events import Topic
from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.pull_request import CommentList
from foundry_tui.contract.questions import AnswerAction, FieldValue
from foundry_tui.contract.records import Health, HistoryEvent, Repo, TaskDetail
from foundry_tui.contract.requests import AgentList, CreateTask, Diff, FileList, RepoSetup


class CommandProblem(Struct, frozen=True, kw_only=True):
    """A command that did not succeed. `problem` is None when the backend could not be reached.

    `action` is the command's method name. `message` is a sentence for a person. An archive or kill that was
    refused because work would be lost has `problem.would_lose`; ask, then repeat it with `force`.
    """

    action: str
    message: str
    task_id: str | None = None
    session_id: str | None = None
    problem: Problem | None = None


class Drafts(Protocol):
    """What was written and not sent, kept across restarts.

    Keys: a repository for its new-task dialog (`""` for the last dialog of any), `session_draft_key` for a new session,
    `session:<id>` for the text of a session's composer, `form_draft_key` for a half-filled form, and `cleared_key` for
    the operation of which a person wants to read no more.
    """

    def get(self, key: str) -> CreateTask | None:
        """The draft kept under `key`, or None."""

    def put(self, key: str, draft: CreateTask) -> None:
        """Keep `draft` under `key`, in place of the one before."""

    def discard(self, key: str) -> None:
        """Forget the draft under `key`; nothing happens when there is none."""


def session_draft_key(task_id: str) -> str:
    """Under which key of the drafts a task's session that was not opened is kept."""
    return f"new_session:{task_id}"


def form_draft_key(permission_id: str) -> str:
    """Under which key of `Drafts` a half-filled form is kept."""
    return f"form:{permission_id}"


def cleared_key(task_id: str) -> str:
    """Under which key of `Drafts` it is kept which failure of a task's operations was cleared away last."""
    return f"cleared:{task_id}"


class Commands(Protocol):
    """Everything that changes something returns at once: the store shows it, the backend's answer settles it.

    Failures reach `on_problem`. The methods that read (`diff`, `checkpoints`, `branches`, `task_files`, `history`,
    `add_repo`) wait for the backend, raise `RequestError`, and belong in workers.
    """

    on_problem: Callable[[CommandProblem], None] | None
    drafts: Drafts
    comments: KeptComments
    """What was said of changes and not sent yet."""

    def create(self, request: CreateTask, defaults: TaskDefaults | None = None) -> str:
        """Show a new task at once and create it; returns its task_id (made here, like session_id, if absent).

        `defaults`: it is filled with these before it is sent, by the provider that the backend then says it takes.
        """

    def retry_creation(self, task_id: str) -> None:
        """Send a refused creation again, with the same id."""

    def discard_creation(self, task_id: str) -> None:
        """Drop a refused creation from the store."""

    def retry(self, task_id: str, resend: bool = False, without: Sequence[str] = ()) -> None:
        """Go on from the stage that failed (a refused creation is sent again); `resend`: the failed prompts too.
        `without` these options that were asked for.
        """

    def archive(self, task_id: str, force: bool = False) -> None: ...

    def kill(self, task_id: str, force: bool = False, delete_branch: bool = False) -> None: ...

    def prune(self, task_id: str) -> None:
        """Remove an archived or killed task for good (a refused creation is dropped)."""

    def restart_agent(self, task_id: str) -> None:
        """End the task's agent, with the turns that run, and begin it anew."""

    def rename(self, task_id: str, title: str) -> None: ...

    def operate(self, task_id: str, request: StartOperation) -> str:
        """Have something done to bring the task's work home; returns its operation_id (made here if absent)."""

    def cancel_operation(self, task_id: str, operation_id: str) -> None:
        """Give an operation up; what it has left half-way is taken back."""

    def mark(self, task_id: str, unread: bool) -> None: ...

    def add_session(self, task_id: str, name: str | None = None, agent: str | None = None) -> str:
        """Show a new session at once and ask for it; returns its session_id."""

    def close_session(self, session_id: str) -> None: ...

    def stop(self, session_id: str) -> None:
        """Stop the running turn, and hold what waits."""

    def go_on(self, session_id: str) -> None:
        """Have what waits handed over though it was held."""

    def prompt(self, session_id: str, text: str, steer: bool = False, attachments: Sequence[NewAttachment] = ()) -> str:
        """Show a prompt as queued at once and send it; returns its prompt_id.

        `steer`: it goes into the turn that runs, before all that wait. `attachments` hold what was read of files and
        images, which is kept with the prompt until the backend has it.
        """

    def discard_prompt(self, session_id: str, prompt_id: str) -> None:
        """Show a prompt that the backend refused (state `failed`) no longer."""

    def edit_prompt(self, session_id: str, prompt_id: str, text: str) -> None:
        """Show another text of a queued prompt at once, and ask for it.

        When the agent has the prompt already, the problem says so and the text stays as a prompt in state `failed`.
        """

    def withdraw_prompt(self, session_id: str, prompt_id: str) -> None:
        """Show a queued prompt as withdrawn at once, and take it back; the problem says when the agent has it."""

    def set_option(self, session_id: str, option_id: str, value: str | bool) -> None:
        """Show another value of an option of the session's agent at once, and set it, also while the agent works."""

    def answer(self, permission_id: str, option_id: str) -> None:
        """Answer a permission with one of its options."""

    def reply(self, permission_id: str, action: AnswerAction, content: Mapping[str, FieldValue] | None = None) -> None:
        """Answer a form, with what it is filled in with, or a page. Its draft is kept until the backend has that."""

    def given(self, permission_id: str) -> str | None:
        """The answer to a question that the backend is not known to have: the option's id, or what is done with a form
        or a page.
        """

    def hold(self, topic: Topic) -> Callable[[], None]:
        """Subscribe to a topic; the answer releases it (calling it twice releases once)."""

    def read_older(self) -> None:
        """Somebody is at the end of the list: have some of the tasks come that are older, if there are any."""

    def search_older(self, query: str) -> None:
        """Have the older tasks come that this filter holds for, until another one is given; empty: none."""

    def reconnect(self) -> None:
        """Try all lost connections again now, without waiting for their back-off."""

    async def agents(self) -> AgentList:
        """The agents of each provider, with what is to be done about those that cannot be given work."""

    async def task(self, task_id: str) -> TaskDetail:
        """A task whole: one that is only listed has the beginning of its prompt."""

    async def memory(self, task_id: str) -> MemoryReport:
        """What the task's agents take now."""

    async def health(self) -> Health:
        """What the backend says of itself; it names its default provider first."""

    async def diff(self, task_id: str, since: str = BASE, newer: int | None = None) -> Diff:
        """What differs since the base, the last prompt or a checkpoint, as it was compared last; it is compared anew
        behind the answer. `newer`: wait for one of a later `computed_at`.
        """

    async def checkpoints(self, task_id: str) -> CheckpointList: ...

    async def review_comments(self, task_id: str) -> CommentList:
        """What reviewers said about the task's pull request."""

    async def task_files(self, task_id: str, newer: int | None = None) -> FileList:
        """The files of the task's sandbox as they are known; `newer`: wait for a list of a later `computed_at`."""

    async def repo_files(self, repo_id: str, newer: int | None = None) -> FileList:
        """The files that a new task of the repository would have, in the same way."""

    async def branches(self, repo_id: str) -> Sequence[str]: ...

    async def history(self, task_id: str) -> Sequence[HistoryEvent]:
        """All of a task's history, from the beginning."""

    async def add_repo(self, *, path: str | None = None, remote: str | None = None) -> Repo: ...

    async def repo_setup(self, repo_id: str) -> RepoSetup:
        """What the repository's `.foundry/` would run, to be shown before it is trusted."""

    async def trust(self, repo_id: str, digest: str) -> Repo:
        """Let the repository's set-up run, as it was shown."""
