"""What an agent asks of a person, and what the answer can be; field names are the wire's."""

from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import field

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


class AnswerAction(StrEnum):
    """What a person does with a form or a page: fills it in or opens it, will not, or leaves it alone."""

    ACCEPT = "accept"
    DECLINE = "decline"
    CANCEL = "cancel"


class FieldType(OpenEnum):
    """What values a field of a form can have; of `select` one of its choices, of `multiselect` several."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    SELECT = "select"
    MULTISELECT = "multiselect"


FieldValue: TypeAlias = str | bool | int | float | tuple[str, ...]
"""What a field is filled in with."""


class FieldChoice(Record, frozen=True, kw_only=True):
    """One value that a field can have."""

    value: str
    name: str


class FormField(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a form asks for; `foundry_tui.contract.forms` has the rules.

    `min` and `max` are of a number itself, of a text's characters, or of how many choices are taken. `format` is
    email, uri, date or date-time; `pattern` a regular expression that is found in the text.
    """

    name: str
    type: FieldType
    required: bool = field(default_factory=bool)
    """Always said, other than what is omitted where it is nothing special."""
    title: str | None = None
    description: str | None = None
    default: FieldValue | None = None
    choices: tuple[FieldChoice, ...] = ()
    min: int | float | None = None
    max: int | float | None = None
    format: str | None = None
    pattern: str | None = None


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
    `tool_kind` is ACP's kind of the tool call (read, edit, execute, …). A form has `fields` in place of options, a
    question of kind `url` the page that a person is to open.
    """

    title: str
    options: tuple[PermissionOption, ...] = ()
    kind: QuestionKind = QuestionKind.PERMISSION
    tool_kind: str | None = None
    text: str | None = None
    edits: tuple[FileEdit, ...] = ()
    paths: tuple[str, ...] = ()
    fields: tuple[FormField, ...] = ()
    url: str | None = None


class Permission(Question, frozen=True, kw_only=True):
    """A question that the agent asked a person; `answer` is the option_id chosen, of a form or a page the action.
    `answered_by` names the rule that chose it, where one did.

    One that has ended keeps none of `text`, `edits` and `fields`: its transcript item has them, and what a form was
    filled in with.
    """

    permission_id: str
    task_id: str
    session_id: str
    state: PermissionState
    at: int
    answer: str | None = None
    answered_by: str | None = None


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
