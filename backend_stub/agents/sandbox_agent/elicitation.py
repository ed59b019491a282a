"""From an agent's `elicitation/create` to a form or a page that a person is asked for, and back to its answer."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.connection import CANCELLED
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.domain.agent import Reply
from foundry_tui.contract.forms import why_wrong
from foundry_tui.contract.questions import AnswerAction, FieldChoice, FieldType, FormField, Question, QuestionKind
from foundry_tui.contract.replace import replace

PERMISSION = "session/request_permission"
ELICITATION = "elicitation/create"
COMPLETED = "elicitation/complete"
QUESTIONS = frozenset({PERMISSION, ELICITATION})
"""The requests of an agent that a person answers."""
UNTITLED = "The agent asks for something"
MOST_FIELDS = 100
MOST_CHOICES = 1_000
LONGEST_URL = 8_192
_SCHEMES = frozenset({"http", "https"})
_FIELD_TYPES = {
    "string": FieldType.STRING,
    "number": FieldType.NUMBER,
    "integer": FieldType.INTEGER,
    "boolean": FieldType.BOOLEAN,
    "array": FieldType.MULTISELECT,
}
_NESTED = ("properties", "$ref", "allOf", "not", "if", "additionalProperties", "patternProperties")
"""What a schema says that has more in it than one value."""


class UnshowableError(Exception):
    """No person can be shown this; the message says why."""


class _Request(Struct, rename="camel"):
    message: str = ""
    mode: str = "form"
    requested_schema: Raw = Raw(b"{}")
    url: str = ""
    elicitation_id: str | None = None


class _Completed(Struct, rename="camel"):
    elicitation_id: str = ""


class _Choice(Struct):
    const: str
    title: str | None = None


class _Items(Struct, rename={"any_of": "anyOf", "one_of": "oneOf", "values": "enum"}):
    values: list[str] = []
    any_of: list[_Choice] = []
    one_of: list[_Choice] = []


class _Property(Struct, rename="camel"):
    type: str | list[str] = "string"
    title: str | None = None
    description: str | None = None
    enum: list[str] = []
    enum_names: list[str] = []
    one_of: list[_Choice] = []
    any_of: list[_Choice] = []
    items: _Items | None = None
    default: Any = None
    format: str | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    min_items: int | None = None
    max_items: int | None = None


class _Schema(Struct):
    type: str = "object"
    title: str | None = None
    description: str | None = None
    properties: dict[str, Raw] = {}
    required: list[str] = []


_request = msgspec.json.Decoder(_Request)
_completed = msgspec.json.Decoder(_Completed)
_schema = msgspec.json.Decoder(_Schema)
_property = msgspec.json.Decoder(_Property)
_anything = msgspec.json.Decoder(dict[str, Any])


def question_of(message: Message) -> Question:
    """The form or the page that a person is asked for.

    Raises `UnshowableError` for what is neither, and `msgspec.DecodeError` for what cannot be read at all.
    """
    request = _request.decode(message.params)
    if request.mode == "url":
        return _asked(request, QuestionKind.URL, url=_page(request.url))
    if request.mode != "form":
        raise UnshowableError(f"it is of a kind that is not known here ({request.mode})")
    try:
        schema = _schema.decode(request.requested_schema)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnshowableError(f"its form cannot be read ({error})") from error
    if schema.type != "object" or len(schema.properties) > MOST_FIELDS:
        why = f"has more than {MOST_FIELDS} fields" if schema.type == "object" else f"is no object but {schema.type}"
        raise UnshowableError(f"its form {why}")
    missing = [name for name in schema.required if name not in schema.properties]
    if missing:
        raise UnshowableError(f"its form needs a field that it does not have ({missing[0]})")
    fields = tuple(_field(name, schema.properties[name], name in schema.required) for name in _in_order(schema))
    return _asked(request, QuestionKind.FORM, fields=fields, about=schema.description or schema.title or "")


def _in_order(schema: _Schema) -> Sequence[str]:
    """The names of the fields. sandbox-agent sorts what is no list by its names, so that the order in which the agent
    asks is known of those alone that are required: they have the places of such, in their own order.
    """
    names = list(schema.properties)
    if names != sorted(names):
        return names
    required = iter(dict.fromkeys(schema.required))
    return [next(required) if name in schema.required else name for name in names]


def elicitation_of(message: Message) -> str | None:
    """By which id the agent will tell that a page has done what it was for."""
    return _request.decode(message.params).elicitation_id


def completed_id(message: Message) -> str:
    """Which page has done what it was for; empty where it cannot be read."""
    try:
        return _completed.decode(message.params).elicitation_id
    except (msgspec.DecodeError, RecursionError):
        return ""


def title_of(message: Message) -> str:
    """What the agent says that it asks for; raises `msgspec.DecodeError`."""
    return _request.decode(message.params).message.strip() or UNTITLED


def answer_of(reply: Reply, kind: QuestionKind) -> dict[str, Any]:
    """The protocol's answer to the request."""
    filled = {"content": dict(reply.content)} if kind is QuestionKind.FORM else {}
    return {"action": str(reply.action)} | (filled if reply.action is AnswerAction.ACCEPT else {})


def cancelled_answer(method: str | None) -> dict[str, Any]:
    """The protocol's answer to a question of this method that nobody answers."""
    return {"action": str(AnswerAction.CANCEL)} if method == ELICITATION else CANCELLED


def _asked(
    request: _Request, kind: QuestionKind, *, fields: Sequence[FormField] = (), url: str | None = None, about: str = ""
) -> Question:
    title, about = request.message.strip() or UNTITLED, about.strip()
    # Of a title that has several lines only the first is shown where the text has them all.
    parts = [title] * ("\n" in title) + [about] * (about not in ("", title))
    return Question(title=title, kind=kind, text="\n\n".join(parts) or None, fields=tuple(fields), url=url)


def _page(url: str) -> str:
    """The address, if it is one of a page that a browser opens without doing anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise UnshowableError(f"the address of its page makes no sense ({error})") from error
    if parts.scheme not in _SCHEMES or not host:
        raise UnshowableError("the address of its page is not one of http or https")
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise UnshowableError("the address of its page is longer than a person reads, or has characters that none has")
    return url


def _field(name: str, raw: Raw, required: bool) -> FormField:
    try:
        said, all_said = _property.decode(raw), _anything.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnshowableError(f"its field {name} cannot be read ({error})") from error
    nested = next((word for word in _NESTED if word in all_said), None)
    types = [said.type] if isinstance(said.type, str) else [each for each in said.type if each != "null"]
    if nested is not None or len(types) != 1 or types[0] not in _FIELD_TYPES:
        raise UnshowableError(f"its field {name} is more than one value ({nested or ' or '.join(types)})")
    type_ = _FIELD_TYPES[types[0]]
    low, high = said.minimum, said.maximum
    choices = tuple(_choices(said))
    if type_ is FieldType.MULTISELECT:
        low, high = said.min_items, said.max_items
        choices = tuple(_items(said.items))
        if not choices:
            raise UnshowableError(f"its field {name} is a list of anything")
    elif type_ is FieldType.STRING:
        low, high = said.min_length, said.max_length
        if choices:
            type_, low, high = FieldType.SELECT, None, None
    elif choices:
        raise UnshowableError(f"its field {name} has choices that are no texts")
    if len(choices) > MOST_CHOICES:
        raise UnshowableError(f"its field {name} has more than {MOST_CHOICES:,} choices")
    is_text = type_ is FieldType.STRING
    field = FormField(
        name=name,
        type=type_,
        required=required,
        title=said.title,
        description=said.description,
        choices=choices,
        min=low,
        max=high,
        format=said.format if is_text else None,
        pattern=said.pattern if is_text else None,
    )
    default = tuple(said.default) if isinstance(said.default, list) else said.default
    return field if default is None or why_wrong(field, default) else replace(field, default=default)


def _choices(said: _Property) -> Iterator[FieldChoice]:
    for choice in (*said.one_of, *said.any_of):
        yield FieldChoice(value=choice.const, name=choice.title or choice.const)
    for place, value in enumerate(said.enum):
        name = said.enum_names[place] if place < len(said.enum_names) else value
        yield FieldChoice(value=value, name=name or value)


def _items(items: _Items | None) -> Iterator[FieldChoice]:
    if items is not None:
        for choice in (*items.any_of, *items.one_of):
            yield FieldChoice(value=choice.const, name=choice.title or choice.const)
        for value in items.values:
            yield FieldChoice(value=value, name=value)
