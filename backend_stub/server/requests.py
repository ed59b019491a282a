"""From requests to values: bodies, query parameters, and what is said when they are wrong."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from backend_stub.domain.errors import RefusedError, wrong_values
from foundry_tui.contract.codec import check_depth, convert, decode
from foundry_tui.contract.problems import LARGEST_BODY

T = TypeVar("T", bound=msgspec.Struct)

LARGEST = 2**53
"""The largest whole number that every JSON reader keeps to the last digit."""

_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_UNKNOWN = re.compile(r"contains unknown field `(?P<name>.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`")
_WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request that needs none."""


async def read_body(request: Request, type_: type[T], *, empty: bytes | None = None) -> T:
    """The body as the type; `empty` stands for no body at all.

    Raises `RefusedError`: 400 for malformed JSON, 422 for a wrong value, naming the field.
    """
    document = await request.body()
    if not document and empty is not None:
        document = empty
    try:
        check_depth(document)
        body = decode(document, type_)
        _check_size(document, getattr(body, "attachments", ()))
    except msgspec.ValidationError:
        # A wrong value may stand before the place where the JSON breaks, so the whole is read once more.
        value = _plain(document)
        _check_size(document, isinstance(value, dict) and value.get("attachments"))
        return _without_nulls(value, type_)
    except msgspec.DecodeError as error:
        raise _malformed(error, document) from None
    return body


def _check_size(document: bytes, attachments: object) -> None:
    """Raises `RefusedError` (413): what comes without attachments is to be no longer than elsewhere."""
    if len(document) > LARGEST_BODY and not attachments:
        raise RefusedError(413, f"A request's body can have at most {LARGEST_BODY} bytes without attachments.")


async def read_tagged(request: Request, tag: str, types: Mapping[str, type[T]]) -> T:
    """The body as the type that its field `tag` names; raises as `read_body` does."""
    document = await request.body()
    try:
        check_depth(document)
        value = decode(document, dict[str, Any])
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error)) from None
    except msgspec.DecodeError as error:
        raise _malformed(error, document) from None
    name = value.get(tag)
    type_ = types.get(name) if isinstance(name, str) else None
    if type_ is None:
        raise wrong_values((tag, f"{tag} is one of {', '.join(types)}."))
    return _without_nulls(value, type_)


def number(request: Request, name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
    """A whole number of the query, `default` where there is none or it is empty; raises `RefusedError` (422)."""
    text = request.query_params.get(name)
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18 or not least <= int(text) <= most:
        raise wrong_values((name, f"{name} is a whole number from {least} to {most}."))
    return int(text)


def newer_than(request: Request) -> int | None:
    """The `newer` of the query, a `computed_at` that somebody has; None where there is none."""
    return number(request, "newer", 0) if request.query_params.get("newer") else None


def _plain(document: bytes) -> Any:
    try:
        return decode(document, Any)
    except msgspec.DecodeError as error:
        raise _malformed(error, document) from None


def _without_nulls(value: Any, type_: type[T]) -> T:
    """The value as the type, its null fields left out: null and absent are the same."""
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if each is not None or name not in type_.__struct_fields__}
    try:
        return convert(value, type_)
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error)) from None


def _malformed(error: Exception, document: bytes) -> RefusedError:
    _check_size(document, attachments=None)
    return RefusedError(400, f"The body is no JSON: {error}")


def _wrong_value(message: str) -> RefusedError:
    place = _PLACE.search(message)
    field = place["path"] if place else ""
    within = f"{field}." if field else ""
    message = message[: place.start()] if place else message
    if missing := _MISSING.search(message):
        return wrong_values((within + missing["name"], f"{within}{missing['name']} is missing."))
    if unknown := _UNKNOWN.search(message):
        return wrong_values((within + unknown["name"], f"There is no field {unknown['name']}."))
    if expected := _EXPECTED.search(message):
        wanted = " or ".join(_WORDS.get(word, word) for word in expected["wanted"].split(" | ") if word != "null")
        given = _WORDS.get(expected["given"], expected["given"])
        message = f"{field or 'The body'} must be {wanted}, not {given}."
    return wrong_values((field, message))
