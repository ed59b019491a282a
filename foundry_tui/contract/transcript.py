"""The items of a conversation and their bodies; field names are the wire's."""

from typing import Any

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.questions import FieldValue, FileEdit, FormField, QuestionKind
from foundry_tui.contract.record import Record


class TranscriptKind(OpenEnum):
    PROMPT = "prompt"
    MESSAGE = "message"
    THOUGHT = "thought"
    TOOL_CALL = "tool_call"
    PLAN = "plan"
    PERMISSION = "permission"
    NOTICE = "notice"


class TranscriptItem(Record, frozen=True, kw_only=True):
    """One piece of a conversation. `index` counts 0, 1, 2 … without gaps; a streaming item grows in place.

    `body` is a string for prompt, message, thought and notice; for the others an object, see `ToolCallBody`,
    `PlanBody` and `PermissionBody`, into which `msgspec.convert` turns it.
    """

    item_id: str
    session_id: str
    index: int
    kind: TranscriptKind
    body: str | dict[str, Any]
    at: int
    revision: int


class ToolCallBody(Record, frozen=True, kw_only=True):
    """Body of a `tool_call`. `status` is ACP's: pending, in_progress, completed, failed."""

    title: str
    kind: str = "other"
    status: str = "pending"
    content: str = ""
    edits: tuple[FileEdit, ...] = ()


class PlanEntry(Record, frozen=True, kw_only=True):
    """One line of a plan. `status` is ACP's: pending, in_progress, completed."""

    content: str
    status: str = "pending"
    priority: str = "medium"


class PlanBody(Record, frozen=True, kw_only=True):
    """Body of a `plan`."""

    entries: tuple[PlanEntry, ...]


class PermissionBody(Record, frozen=True, kw_only=True):
    """Body of a `permission`: which request stands here and what was asked; its state is in the task's permissions.

    `answered_by`: a rule answered it before anybody was asked, as "allowed by rule `pytest *`".
    `answer` and `content` are those of a form or a page, once it has ended well.
    """

    permission_id: str
    title: str
    kind: QuestionKind = QuestionKind.PERMISSION
    tool_kind: str | None = None
    text: str | None = None
    edits: tuple[FileEdit, ...] = ()
    paths: tuple[str, ...] = ()
    answered_by: str | None = None
    fields: tuple[FormField, ...] = ()
    url: str | None = None
    answer: str | None = None
    content: dict[str, FieldValue] | None = None
