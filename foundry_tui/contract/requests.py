"""What the client asks: bodies of requests, which refuse unknown fields, and answers that wrap records."""

from typing import Any

from msgspec import Struct, field

from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.questions import AnswerAction, PolicyWord
from foundry_tui.contract.record import Record
from foundry_tui.contract.records import FileDiff, HistoryEvent, LogLine, Repo, SessionDetail, TaskDetail, TaskSummary
from foundry_tui.contract.starts import StartFrom

CHOSEN_TITLE_LIMIT = 200
"""Characters of a title that a person chose."""
NEWEST_ENDED = 1000
"""Of the tasks that have ended, as many of those created last come with all others; also the most of one page."""


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of all request bodies."""


class CreateTask(Request, frozen=True, kw_only=True):
    """`POST /v1/tasks`. `repo` is an absolute path, a git URL or a repo_id.

    `options` are set before the first prompt, each by its option_id or its category.
    `permissions`: which questions are answered without a person.
    `from` is what it starts from where that exists. `trust`: the repository's set-up is trusted as it is now and as
    this task gets it. `host`: name or id of the host that the sandbox is made on.
    """

    repo: str
    prompt: str
    task_id: str | None = None
    title: str | None = None
    branch: str | None = None
    base_branch: str | None = None
    agent: str | None = None
    provider: str | None = None
    session_id: str | None = None
    options: dict[str, str | bool] | None = None
    permissions: PolicyWord | None = None
    attachments: NewAttachments = ()
    from_: StartFrom | None = field(default=None, name="from")
    trust: bool = False
    host: str | None = None


class PatchTask(Request, frozen=True, kw_only=True):
    """`PATCH /v1/tasks/{id}`; what is absent stays as it is."""

    title: str | None = None
    unread: bool | None = None


class ReleaseTask(Request, frozen=True, kw_only=True):
    """`POST /v1/tasks/{id}/archive` and `/kill`."""

    force: bool = False
    delete_branch: bool = False


class RetryTask(Request, frozen=True, kw_only=True):
    """`POST /v1/tasks/{id}/retry`. `resend`: the prompts whose turns failed are sent again; else it is made ready.
    `without`: options that were asked for and are left out, each by the name that it was asked by.
    """

    resend: bool = False
    without: tuple[str, ...] = ()


class CreateSession(Request, frozen=True, kw_only=True):
    """`POST /v1/tasks/{id}/sessions`."""

    session_id: str | None = None
    agent: str | None = None
    name: str | None = None
    options: dict[str, str | bool] | None = None


class SetOption(Request, frozen=True, kw_only=True):
    """`POST /v1/sessions/{id}/options/{option_id}`."""

    value: str | bool


class StopTurn(Request, frozen=True, kw_only=True):
    """`POST /v1/sessions/{id}/stop`. `hold`: prompts that wait are not handed over until somebody says more, or
    `POST /v1/sessions/{id}/go-on` has them go on; without it the next one begins at once.
    """

    hold: bool = False


class CreatePrompt(Request, frozen=True, kw_only=True):
    """`POST /v1/sessions/{id}/prompts`. `steer`: it goes into a turn that runs, where the agent takes it there; else
    that is stopped, and this prompt is the next.
    """

    prompt_id: str
    text: str
    attachments: NewAttachments = ()
    steer: bool = False


class EditPrompt(Request, frozen=True, kw_only=True):
    """`PATCH /v1/sessions/{id}/prompts/{prompt_id}`: the text of a prompt that is still queued."""

    text: str


class AnswerPermission(Request, frozen=True, kw_only=True):
    """`POST /v1/permissions/{id}`: an option of a permission, or what is done with a form or a page.

    `content` has what a form is filled in with, by the names of its fields.
    """

    option_id: str | None = None
    action: AnswerAction | None = None
    content: dict[str, Any] | None = None


class AddRepo(Request, frozen=True, kw_only=True):
    """`POST /v1/repos`: exactly one of the two."""

    path: str | None = None
    remote: str | None = None


class TrustRepo(Request, frozen=True, kw_only=True):
    """`POST /v1/repos/{id}/trust`: what was looked at, by its digest."""

    digest: str


class TasksSnapshot(Record, frozen=True, kw_only=True):
    """`GET /v1/tasks`, and the snapshot of topic `tasks`, as of `seq`.

    It has all tasks that have not ended, and the newest `NEWEST_ENDED` of those that have; `older` counts the rest.
    A page (`?before=TASK_ID&limit=N`) has the newest ended tasks that are older than that one, newest first; `older`
    counts those that are older still. With `?filter=F` it has those of all tasks, ended or not, that the filter holds
    for; `older` counts those that were not looked at, since `limit` were found before: 0 when these are all.
    """

    seq: int
    repos: tuple[Repo, ...]
    tasks: tuple[TaskSummary, ...]
    older: int = 0


class HistoryPage(Record, frozen=True, kw_only=True):
    events: tuple[HistoryEvent, ...]


class LogPage(Record, frozen=True, kw_only=True):
    lines: tuple[LogLine, ...]


class TaskSnapshot(TaskDetail, frozen=True, kw_only=True):
    """The snapshot of topic `task:{id}`, as of `seq`."""

    seq: int


class SessionSnapshot(SessionDetail, frozen=True, kw_only=True):
    """The snapshot of topic `session:{id}`, as of `seq`."""

    seq: int


class LogSnapshot(LogPage, frozen=True, kw_only=True):
    """The snapshot of topic `log:{id}`, as of `seq`."""

    seq: int


class Diff(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`GET /v1/tasks/{id}/diff`; `computed_at` is null until it was computed for the first time.

    `commits` is how many the task's branch has that no other branch has, null where there is none to count.
    """

    files: tuple[FileDiff, ...]
    computed_at: int | None = None
    commits: int | None = None


class SetupFile(Record, frozen=True, kw_only=True):
    """A file of a repository's `.foundry/`, by its path in the repository; what is no UTF-8 in it shows as �."""

    path: str
    text: str


class RepoSetup(Record, frozen=True, kw_only=True):
    """`GET /v1/repos/{id}/setup`: what `Repo.trust` is about, to be read before it is trusted.

    `digest` is null where the repository has nothing of the kind; `problem` says why what is there can be trusted by
    nobody, if that is so.
    """

    digest: str | None = None
    trusted: bool = False
    problem: str | None = None
    files: tuple[SetupFile, ...] = ()


class AgentList(Record, frozen=True, kw_only=True):
    """`GET /v1/agents`. `defaults` has, by provider, the agent of a task that names none."""

    agents: tuple[AgentInfo, ...]
    defaults: dict[str, str] = field(default_factory=dict)


class RepoList(Record, frozen=True, kw_only=True):
    repos: tuple[Repo, ...]


class FileList(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`GET /v1/tasks/{id}/files` and `GET /v1/repos/{id}/files`: what is known, listed anew behind.

    Paths are relative and as `file_names.written` writes them; `cut`: there are more. `computed_at` is null until the
    files were listed for the first time. `?newer=COMPUTED_AT` waits some seconds for a list that is newer than that.
    """

    paths: tuple[str, ...]
    cut: bool = False
    computed_at: int | None = None


class BranchList(Record, frozen=True, kw_only=True):
    branches: tuple[str, ...]
