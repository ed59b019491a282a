"""Names of files as JSON and people's texts can have them, whatever bytes they are of.

A name with lone surrogates, as Python makes them of bytes that are no UTF-8, is written in quotation marks as git
writes it: `"caf\\351.txt"`. So is one that begins with a quotation mark itself; every other name is written as it is.
"""

import re

from foundry_tui.contract.control_characters import harmless

_ODD = re.compile("[\ud800-\udfff]")
_LETTERS = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
_CODES = {letter: code for code, letter in _LETTERS.items()}
_ESCAPE = re.compile(r'\\(?:([0-3][0-7]{2})|([abtnvfr"\\]))')
_QUOTED = re.compile(r'"(?:[^"\\]|\\(?:[0-3][0-7]{2}|[abtnvfr"\\]))*"')


def written(name: str) -> str:
    """The name as JSON can have it."""
    return quoted(name) if name.startswith('"') or _ODD.search(name) else name


def read(text: str) -> str:
    """The name that `written` wrote; a text in quotation marks that quotes nothing is a name as it stands."""
    if _QUOTED.fullmatch(text) is None:
        return text
    return unquoted(text)


def quoted(name: str) -> str:
    """The name in quotation marks, with escapes in place of all that a terminal obeys or nobody sees."""
    return f'"{"".join(map(_escaped, name))}"'


def unquoted(text: str) -> str:
    """The name that `quoted` quoted."""
    pieces: list[bytes] = []
    end = 1
    for found in _ESCAPE.finditer(text, 1, len(text) - 1):
        pieces.append(text[end : found.start()].encode("utf-8", "surrogateescape"))
        code = int(found[1], 8) if found[1] else _CODES[found[2]]
        pieces.append(bytes([code]))
        end = found.end()
    pieces.append(text[end:-1].encode("utf-8", "surrogateescape"))
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def _escaped(character: str) -> str:
    letter = _LETTERS.get(ord(character))
    if letter is not None:
        return f"\\{letter}"
    if character == " " or (harmless(character) == character and character.isprintable()):
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
