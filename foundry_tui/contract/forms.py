"""The rules of forms: what each field takes. Backend, app and command line judge what is filled in by these alone."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from foundry_tui.contract.options import SWITCH
from foundry_tui.contract.questions import FieldType, FieldValue, FormField

TEXT_LIMIT = 10_000
"""Characters that one field can be filled in with."""
LARGEST = 2**53 - 1
"""Beyond it not every whole number can be told from its neighbours in JSON."""
MOST_STEPS = 2_000_000
"""Steps that trying an expression on a text may take at worst: a fraction of a second."""
LONGEST_PATTERN = 1_000
"""Characters of an expression that is tried; making one ready takes its time too."""
_REPEATED_GROUP = re.compile(r"\)[*+{]|\\[1-9]")
_OWN_TO_PYTHON = re.compile(r"\(\?(?![:=!<])")
"""Flags and comments may stand between a group and its repetition; the JavaScript of agents has neither."""
_REPEAT = re.compile(r"[*+{]")
_EITHER = re.compile(r"\||(?<!\()\?")


def wrong_values(fields: Sequence[FormField], content: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with a filled-in form, by the name of the field; empty for nothing."""
    known = {field.name: field for field in fields}
    wrong = {name: _no_field(known) for name in content if name not in known}
    for field in fields:
        if (why := why_wrong(field, content.get(field.name))) is not None:
            wrong[field.name] = why
    return wrong


def why_wrong(field: FormField, value: object) -> str | None:
    """Why the field cannot have this value (None: none at all), as a sentence; None when it can."""
    if value is None:
        return "This is needed." if field.required else None
    judge = _JUDGES.get(field.type)
    return judge(field, value) if judge is not None else None


def wrong_fields(fields: Sequence[FormField]) -> str | None:
    """Why these are not the fields of a form that a person can fill in; None when they are."""
    names = [field.name for field in fields]
    if len(set(names)) < len(names) or "" in names:
        return "the fields of a form need names, each another one"
    for field in fields:
        if not field.type.is_known:
            return f"the field {field.name} has no type that is known: {field.type}"
        if field.type in (FieldType.SELECT, FieldType.MULTISELECT) and not field.choices:
            return f"the field {field.name} needs choices"
        if field.default is not None and (why := why_wrong(field, field.default)) is not None:
            return f"the default of the field {field.name} does not fit: {why}"
    return None


def read_value(field: FormField, written: str) -> Any:
    """The value that a person means by what was written; what is none for this field is given back as it is."""
    text = written.strip()
    if field.type is FieldType.BOOLEAN:
        return SWITCH.get(text.lower(), written)
    if field.type in (FieldType.NUMBER, FieldType.INTEGER):
        with suppress(ValueError):
            return int(text)
        with suppress(ValueError):
            return float(text)
        return written
    if field.type in (FieldType.SELECT, FieldType.MULTISELECT):
        value = _choice(field, text)
        return (value,) if field.type is FieldType.MULTISELECT else value
    return written


def defaults_of(fields: Sequence[FormField]) -> dict[str, FieldValue]:
    """What a form is filled in with before anybody has written in it."""
    return {field.name: field.default for field in fields if field.default is not None}


def needs(field: FormField) -> str:
    """What the field takes, in a few words: `text, at least 3 characters`."""
    words = [_WORDS.get(field.type, str(field.type))]
    if field.format:
        words.append(field.format)
    if (size := _size(field)) and field.type is not FieldType.BOOLEAN:
        words.append(size)
    if field.pattern:
        words.append(f"matching {field.pattern}")
    return ", ".join(words)


def shown_value(field: FormField, value: FieldValue) -> str:
    """A value as people read it: choices by their names, `yes` and `no`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    names = {choice.value: choice.name for choice in field.choices}
    if isinstance(value, tuple | list):
        return ", ".join(names.get(each, each) for each in value) or "none"
    return names.get(value, value) if isinstance(value, str) else str(value)


def written_value(value: FieldValue) -> str:
    """A value as `read_value` reads it; of several choices one after the other."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, tuple | list) else str(value)


def _no_field(known: Mapping[str, FormField]) -> str:
    return f"The form has no such field: {', '.join(known)}." if known else "Nothing is to be filled in."


def _text(field: FormField, value: object) -> str | None:
    if not isinstance(value, str):
        return "It must be a text."
    if len(value) > TEXT_LIMIT:
        return f"At most {TEXT_LIMIT:,} characters are taken."
    if (why := _within(field, len(value), "character")) is not None:
        return why
    is_right, what = _FORMATS.get(field.format or "", (None, ""))
    if is_right is not None and not is_right(value):
        return f"It must be {what}."
    return None if matches(field.pattern, value) else f"It must match {field.pattern}"


def _number(field: FormField, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "It must be a number."
    if not abs(value) <= LARGEST:
        return "It must be a number of usual size."
    if field.type is FieldType.INTEGER and value != int(value):
        return "It must be a whole number."
    return _within(field, value)


def _boolean(_: FormField, value: object) -> str | None:
    return None if isinstance(value, bool) else "It must be true or false."


def _one(field: FormField, value: object) -> str | None:
    return None if value in _values(field) else f"It must be one of {', '.join(_values(field))}."


def _several(field: FormField, value: object) -> str | None:
    if not isinstance(value, list | tuple):
        return "It must be a list."
    known = frozenset(_values(field))
    if not all(isinstance(each, str) and each in known for each in value):
        return f"Each must be one of {', '.join(_values(field))}."
    if len(set(value)) < len(value):
        return "Each can be taken once only."
    return _within(field, len(value), "choice")


_JUDGES: Mapping[FieldType, Callable[[FormField, object], str | None]] = {
    FieldType.STRING: _text,
    FieldType.NUMBER: _number,
    FieldType.INTEGER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.SELECT: _one,
    FieldType.MULTISELECT: _several,
}
_WORDS: Mapping[FieldType, str] = {
    FieldType.STRING: "text",
    FieldType.NUMBER: "a number",
    FieldType.INTEGER: "a whole number",
    FieldType.BOOLEAN: "true or false",
    FieldType.SELECT: "one of",
    FieldType.MULTISELECT: "any of",
}
_UNITS: Mapping[FieldType, str] = {FieldType.STRING: "character", FieldType.MULTISELECT: "choice"}


def _values(field: FormField) -> list[str]:
    return [choice.value for choice in field.choices]


def _choice(field: FormField, text: str) -> str:
    """The choice of this value, else of this name, whatever its case."""
    if text in _values(field):
        return text
    return next((choice.value for choice in field.choices if choice.name.lower() == text.lower()), text)


def _within(field: FormField, size: int | float, unit: str = "") -> str | None:
    low, high = field.min, field.max
    if (low is None or size >= low) and (high is None or size <= high):
        return None
    return f"It must be {_size(field)}." if not unit else f"It must have {_size(field)}."


def _size(field: FormField) -> str:
    """How much a field takes, as far as that is said."""
    low, high, unit = field.min, field.max, _UNITS.get(field.type, "")
    if low is None and high is None:
        return ""
    if low == high:
        return _counted(f"exactly {low}", low, unit)
    if low is None or high is None:
        return _counted(
            f"at {'most' if low is None else 'least'} {low if high is None else high}",
            low if high is None else high,
            unit,
        )
    return _counted(f"{low} to {high}", high, unit)


def _counted(words: str, number: int | float | None, unit: str) -> str:
    return f"{words} {unit}{'s' * (number != 1)}" if unit else words


def matches(pattern: str | None, text: str) -> bool:
    """Whether the expression is found in the text.

    One that may take longer than a person waits is not tried, nor is one that Python does not know: the agent, which
    has made it, judges then.
    """
    if not pattern or len(pattern) > LONGEST_PATTERN:
        return True
    if _REPEATED_GROUP.search(pattern) or _OWN_TO_PYTHON.search(pattern) or _steps(pattern, text) > MOST_STEPS:
        return True
    try:
        return re.search(pattern, text, re.ASCII) is not None
    except (re.error, RecursionError, OverflowError):
        return True


def _steps(pattern: str, text: str) -> int:
    """How many ways there are at worst in which the expression, in which no group repeats, could fit the text."""
    repeats = len(_REPEAT.findall(pattern)) + (not pattern.startswith("^"))
    places, ways = len(text) + 1, 1
    for factor in (*[places] * repeats, *[2] * len(_EITHER.findall(pattern))):
        ways *= factor
        if ways > MOST_STEPS:
            break
    return ways


def _is_email(text: str) -> bool:
    name, at, host = text.rpartition("@")
    return bool(at and name and host) and not any(letter.isspace() for letter in text)


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) and not any(letter.isspace() for letter in text)
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    with suppress(ValueError):
        return len(text) == 10 and text[4] == text[7] == "-" and bool(date.fromisoformat(text))
    return False


def _is_time(text: str) -> bool:
    with suppress(ValueError):
        return "T" in text.upper() and bool(datetime.fromisoformat(text.upper()))
    return False


_FORMATS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "email": (_is_email, "an email address"),
    "uri": (_is_uri, "an address that begins with its scheme, as https:"),
    "date": (_is_date, "a date as 2026-08-31"),
    "date-time": (_is_time, "a date and time as 2026-08-31T12:00:00Z"),
}
