"""What is named in a text that is written for an agent: files after `@`, a command of the agent at its beginning."""

import re
from collections.abc import Container
from enum import Enum

from msgspec import Struct

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.file_names import quoted, read, unquoted, written


class Naming(Enum):
    """What somebody is about to name."""

    COMMAND = "/"
    FILE = "@"


class Query(Struct, frozen=True):
    """What has been written of a name before the cursor: its mark stands at `start` in the line, `text` behind it."""

    naming: Naming
    start: int
    text: str


_OPEN = r"""(?:^|(?<=[\s(\[{<,;:'"=]))@"""
"""Where a file may be named: not in the middle of a word, as in an address of mail."""
_WRITING = re.compile(rf'{_OPEN}(?:"(?P<quoted>(?:[^"\\]|\\.)*)|(?P<bare>[^\s"]*))$')
_WRITTEN = re.compile(rf'{_OPEN}(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<bare>[^\s"]+))')
_COMMAND = re.compile(r"/(\S*)$")
_BARE = re.compile(r'[^\s"\\]+')
_BEHIND = ".,;:!?)]}>'"
"""What may stand behind a name and be no part of it."""


def query_of(line: str, *, first: bool) -> Query | None:
    """What is being named at the end of `line`, which stands before the cursor; `first`: it begins the text."""
    if first and (command := _COMMAND.fullmatch(line)) is not None:
        return Query(Naming.COMMAND, 0, command[1])
    found = _WRITING.search(line)
    if found is None:
        return None
    return Query(Naming.FILE, found.start(), found["quoted"] if found["bare"] is None else found["bare"])


def mention_of(path: str) -> str:
    """How a file stands in a text; `path` as `file_names.written` writes it."""
    name = read(path)
    plain = (
        _BARE.fullmatch(name) is not None and harmless(name) == name and name.isprintable() and written(name) == name
    )
    return f"@{name if plain else quoted(name)}"


def mentioned(text: str, known: Container[str], most: int) -> tuple[str, ...]:
    """The files of `known` that a text names, each once, `most` at most; what names nothing is text."""
    found: dict[str, None] = {}
    for mention in _WRITTEN.finditer(text):
        names = [written(unquoted(mention["quoted"]))] if mention["bare"] is None else _endings(mention["bare"])
        named = next((name for name in names if name in known), None)
        if named is not None:
            found[named] = None
    return tuple(found)[:most]


def _endings(name: str) -> list[str]:
    """The name, and what is left of it without the marks that may stand behind it."""
    names = [name]
    while name and name[-1] in _BEHIND:
        name = name[:-1]
        names.append(name)
    return names
