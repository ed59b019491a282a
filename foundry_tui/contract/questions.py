"""What an agent asks of a person, and what the answer can be; field names are the wire's."""

from typing import Literal

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


class PermissionPolicy(OpenEnum):
    """Which questions about permission are answered without a person: none, those about reading in the sandbox, all."""

    ASK = "ask"
    READS = "reads"
    ALL = "all"


PolicyWord = Literal["ask", "reads", "all"]
"""A policy as a request names it."""
POLICY_WORDS: dict[PermissionPolicy, PolicyWord] = {
    PermissionPolicy.ASK: "ask",
    PermissionPolicy.READS: "reads",
    PermissionPolicy.ALL: "all",
}


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
    """A question that the agent asked a person; `answer` is the option_id chosen, `answered_by` which rule chose it.

    One that has ended keeps neither `text` nor `edits`: its transcript item has them.
    """

    permission_id: str
    task_id: str
    session_id: str
    state: PermissionState
    at: int
    answer: str | None = None
    answered_by: str | None = None
