"""From an agent's `session/request_permission` to the question that a person judges, whole."""

import shlex
from typing import Any

import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.updates import NOTHING, Item, Translation, excerpt
from foundry_tui.contract.records import FileEdit, PermissionOption, Question, TranscriptKind

UNTITLED = "The agent asks for permission"


class _Option(Struct, rename="camel"):
    option_id: str
    name: str | None = None
    kind: str | None = None


class _ToolCall(Struct, rename="camel"):
    tool_call_id: str = ""
    title: str | None = None
    kind: str | None = None
    content: Raw = NOTHING
    raw_input: Raw = NOTHING
    locations: Raw = NOTHING


class _Request(Struct, rename="camel"):
    tool_call: _ToolCall = msgspec.field(default_factory=_ToolCall)
    options: list[Raw] = []


_request = msgspec.json.Decoder(_Request)
_option = msgspec.json.Decoder(_Option)


def question_of(message: Message, translation: Translation) -> Question:
    """What the agent asks, with what is known of the tool call from before; nothing in it is cut.

    An option that cannot be read is left out. Raises `msgspec.DecodeError` when the request itself cannot be read.
    """
    request = _request.decode(message.params)
    call = request.tool_call
    known = translation.tools.get(call.tool_call_id)
    called_with = translation.input_of(call.tool_call_id, call.raw_input, call.locations)
    texts, edits = translation.shown(call.content) if bytes(call.content) != bytes(NOTHING) else ([], [])
    if known is not None:
        texts = texts or [known.content] * bool(known.content)
        edits = edits or list(known.edits)
    return Question(
        title=call.title or (known.title if known else UNTITLED),
        options=tuple(option for raw in request.options if (option := _readable(raw)) is not None),
        tool_kind=call.kind or (known.kind if known else "other"),
        text=_text(called_with.raw, texts, edits) or None,
        edits=tuple(edits),
        paths=called_with.paths,
    )


def unasked(number: int, message: Message, translation: Translation, why: str) -> Item:
    """The notice of a question that nobody could be asked; `number` is that of the event it came as."""
    try:
        title = question_of(message, translation).title
    except (msgspec.DecodeError, RecursionError):
        title = bytes(message.params).decode(errors="replace")
    text = f"The agent asked: {excerpt(title)}. It was answered with cancelled, because {why}."
    return Item(translation.key(f"unasked-{number}"), TranscriptKind.NOTICE, text)


def _readable(raw: Raw) -> PermissionOption | None:
    try:
        option = _option.decode(raw)
    except msgspec.DecodeError:
        return None
    name = option.name or option.option_id
    return PermissionOption(option_id=option.option_id, name=name, kind=option.kind or "other")


def _text(called_with: str, texts: list[str], edits: list[FileEdit]) -> str:
    """The command, what the agent says of it, and whatever else the tool is called with that these do not show."""
    value: Any = msgspec.json.decode(called_with) if called_with else None  # noqa: TID251  # the tool's own words
    command, rest = "", value
    if isinstance(value, dict):
        command = _command(value.get("command")) or _command(value.get("cmd"))
        shown = {command, *texts, *(edit.new for edit in edits), *(edit.old or "" for edit in edits)}
        rest = {
            name: each
            for name, each in value.items()
            if not (name in ("command", "cmd") and command) and not (isinstance(each, str) and each in shown)
        }
    parts = [command, *(text for text in texts if text != command)]
    if isinstance(rest, dict):
        parts.append("\n".join(f"{name}: {_plain(each)}" for name, each in rest.items()))
    elif rest is not None:
        parts.append(_plain(rest))
    return "\n\n".join(part for part in parts if part)


def _command(value: object) -> str:
    """A command as one would type it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return shlex.join(value)
    return ""


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
