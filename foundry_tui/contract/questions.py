"""What an agent asks of a person, and what the answer can be; field names are the wire's."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record


class QuestionKind(OpenEnum):
    """What a person is asked for: to allow something, to fill in a form, or to open a page."""

    PERMISSION = "permission"
    FORM = "form"
    URL = "url"


class PermissionState(OpenEnum):
    OPEN = "open"
    ANSWERED = "answered"
    CANCELLED = "cancelled"


class FileEdit(Record, frozen=True, kw_only=True):
    """A file as a tool call changed it; `old` is null for a new file."""

    path: str
    new: str
    old: str | None = None


class PermissionOption(Record, frozen=True, kw_only=True):
    """One answer to a request; `kind` is ACP's: allow_once, allow_always, reject_once, reject_always."""

    option_id: str
    name: str
    kind: str


class Question(Record, frozen=True, kw_only=True):
    """What an agent asks, with all that a person has to judge, uncut.

    `text` is what would be run or done, `edits` are the changes it would make, `paths` the places it names;
    `tool_kind` is ACP's kind of the tool call (read, edit, execute, …).
    """

    title: str
    options: tuple[PermissionOption, ...]
    kind: QuestionKind = QuestionKind.PERMISSION
    tool_kind: str | None = None
    text: str | None = None
    edits: tuple[FileEdit, ...] = ()
    paths: tuple[str, ...] = ()


class Permission(Question, frozen=True, kw_only=True):
    """A question that the agent asked a person; `answer` is the option_id chosen.

    One that has ended keeps neither `text` nor `edits`: its transcript item has them.
    """

    permission_id: str
    task_id: str
    session_id: str
    state: PermissionState
    at: int
    answer: str | None = None


MOST_ASKS = 5
"""Questions that a `TaskSummary` carries: the oldest open ones."""
MAX_ASK = 2_000
"""Characters of a question's text that come with them."""


class Ask(Record, frozen=True, kw_only=True):
    """An open question as lists have it; `whole` false: its `Permission` has more that a person has to judge."""

    permission_id: str
    session_id: str
    title: str
    at: int
    kind: QuestionKind = QuestionKind.PERMISSION
    text: str | None = None
    whole: bool = True
    options: tuple[PermissionOption, ...] = ()
