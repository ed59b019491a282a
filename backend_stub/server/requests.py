"""From requests to values: bodies, query parameters, and what is said when they are wrong."""

import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from backend_stub.problems import RefusedError, wrong_values
from foundry_tui.contract.codec import decode

T = TypeVar("T")

LARGEST = 2**53
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(?P<name>[^`]*)`")


async def read_body(request: Request, type_: type[T], *, empty: bytes | None = None) -> tuple[bytes, T]:
    """The body as sent and as the type; `empty` stands for no body at all.

    Raises `RefusedError`: 400 for malformed JSON, 422 for a wrong value, naming the field.
    """
    document = await request.body()
    if not document and empty is not None:
        document = empty
    try:
        return document, decode(document, type_)
    except msgspec.ValidationError as error:
        # A wrong value may stand before the place where the JSON breaks, so the whole is read once more.
        _check_json(document)
        raise _wrong_value(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, f"The body is no JSON: {error}") from None


def _check_json(document: bytes) -> None:
    try:
        decode(document, Any)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, f"The body is no JSON: {error}") from None


def _wrong_value(message: str) -> RefusedError:
    place = _PLACE.search(message)
    named = _NAMED.search(message)
    field = named["name"] if named else place["path"] if place else ""
    return wrong_values((field, message[: place.start()] + "." if place else message + "."))


def number(request: Request, name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
    """A whole number of the query; raises `RefusedError` (422)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18 or not least <= int(text) <= most:
        raise wrong_values((name, f"{name} is a whole number from {least} to {most}."))
    return int(text)
