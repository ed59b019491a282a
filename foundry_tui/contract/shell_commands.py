"""What commands stand in a text that a shell is given: found out without running or expanding anything.

The two who ask want opposite things. Who wants to allow must not be fooled: `single` is true only for one simple
command whose words stand in the text as they are. Who wants to deny must not miss anything: `commands` are all that
can be found, also within `$(…)`, backticks and quotes of these.
"""

import re
import unicodedata
from typing import NamedTuple

LONGEST = 20_000
"""Characters of a text that is read; a longer one is not judged."""
DEEPEST = 16
"""How deep substitutions within each other are read."""
UNKNOWN = "\ufffc"
"""Stands in a word for what only the shell knows: the value of a variable, the output of a command."""
_ESCAPED_IN_QUOTES = '"\\$`\n'
_BLANK = re.compile(r"IFS\b|\{IFS\b[^}]*\}")
"""The variable that holds what parts words, as it stands behind a dollar."""
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}


class ShellText(NamedTuple):
    """What was found in a text that a shell would get."""

    commands: tuple[tuple[str, ...], ...]
    """The words of each simple command, in order."""
    single: bool
    """The text is one simple command and nothing else, whose words stand in it as they are."""
    readable: bool
    """False where it is too long, too deep or ends within quotes: there may be more commands in it than were found."""


def read_shell(text: str) -> ShellText:
    """The commands that a POSIX shell, bash or zsh would find in `text`."""
    if len(text) > LONGEST:
        return ShellText((), single=False, readable=False)
    reader = _Reader(text)
    reader.read("", 0)
    single = reader.plain and len(reader.commands) == 1 and _is_plain_program(text, reader.commands[0][0])
    return ShellText(tuple(reader.commands), single, reader.readable)


def _is_plain_program(text: str, program: str) -> bool:
    """Whether the first word is written as it is, and is neither an assignment nor anything that a shell expands."""
    return text.lstrip(" \t").startswith(program) and not any(each in "=*?[]~#%^'\"\\" for each in program)


class _Reader:
    """Reads a text once, from its beginning; what stands in a substitution is read by the same reader."""

    def __init__(self, text: str) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.plain = not any(unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp") for each in text if each != "\t")
        self.readable = True
        self._text = text
        self._at = 0

    def read(self, end: str, depth: int) -> None:
        """Read up to the character `end`, or all; each command is noted once it is whole."""
        if depth > DEEPEST:
            self._give_up()
            return
        words: list[str] = []
        word: list[str] | None = None
        redirected = False
        """The next word is where output goes, or input comes from."""

        def end_word() -> None:
            nonlocal word, redirected
            if word is not None and not redirected:
                words.append("".join(word))
            redirected = redirected and word is None
            word = None

        def end_command() -> None:
            nonlocal redirected
            end_word()
            redirected = False
            if words:
                self.commands.append(tuple(words))
            words.clear()

        while (character := self._next()) is not None:
            if character == end:
                end_command()
                return
            if character in " \t":
                end_word()
            elif character in ";&|\n\r()":
                self.plain = False
                end_command()
            elif character in "<>":
                self.plain = False
                if word is not None and "".join(word).isdigit():
                    word = None
                end_word()
                redirected = True
                self._skip_redirection()
                if self._peek() == "(":
                    self._at += 1
                    redirected = False
                    self.read(")", depth + 1)
                    word = [UNKNOWN]
            elif character == "#" and word is None:
                self.plain = False
                self._skip_line()
            elif character == "$" and (blank := _BLANK.match(self._text, self._at)) is not None:
                self.plain = False
                self._at = blank.end()
                end_word()
            else:
                word = [] if word is None else word
                self._read_part(character, word, depth)
        end_command()
        if end:
            self._give_up()

    def _read_part(self, character: str, word: list[str], depth: int) -> None:
        """Add what begins with this character to the word."""
        if character == "'":
            word.append(self._up_to("'"))
        elif character == '"':
            self._read_quoted(word, depth)
        elif character == "\\":
            following = self._next()
            if following is None:
                self._give_up()
            elif following != "\n":
                word.append(following)
            else:
                self.plain = False
        elif character == "`":
            self._read_backticks(word, depth)
        elif character == "$":
            self._read_dollar(word, depth, quoted=False)
        else:
            if character in "{}!":
                self.plain = False
            word.append(character)

    def _read_quoted(self, word: list[str], depth: int) -> None:
        word.append("")
        while (character := self._next()) != '"':
            if character is None:
                self._give_up()
                return
            if character == "\\":
                following = self._next() or ""
                word.append(following if following in _ESCAPED_IN_QUOTES else f"\\{following}")
            elif character == "`":
                self._read_backticks(word, depth)
            elif character == "$":
                self._read_dollar(word, depth, quoted=True)
            else:
                if character == "!":
                    self.plain = False
                word.append(character)

    def _read_backticks(self, word: list[str], depth: int) -> None:
        self.plain = False
        inner: list[str] = []
        while (character := self._next()) != "`":
            if character is None:
                self._give_up()
                break
            inner.append((self._next() or "") if character == "\\" else character)
        nested = _Reader("".join(inner))
        nested.read("", depth + 1)
        self.commands += nested.commands
        self.readable = self.readable and nested.readable
        word.append(UNKNOWN)

    def _read_dollar(self, word: list[str], depth: int, *, quoted: bool) -> None:
        self.plain = False
        following = self._peek()
        if following == "(":
            self._at += 1
            self.read(")", depth + 1)
            word.append(UNKNOWN)
        elif following == "'" and not quoted:
            self._at += 1
            word.append(self._read_ansi())
        elif following == '"' and not quoted:
            self._at += 1
            self._read_quoted(word, depth)
        elif following == "{":
            self._at += 1
            self._read_braces(word, depth)
        else:
            name = self._read_name()
            word.append(UNKNOWN if name or following is not None else "$")

    def _read_braces(self, word: list[str], depth: int) -> None:
        """The value of a variable, with the commands in what stands for it."""
        word.append(UNKNOWN)
        if depth > DEEPEST:
            self._give_up()
            return
        while (character := self._next()) != "}":
            if character is None:
                self._give_up()
                return
            ignored: list[str] = []
            if character in "'\"\\`$":
                self._read_part(character, ignored, depth + 1)

    def _read_name(self) -> str:
        start = self._at
        while (character := self._peek()) is not None and (character.isalnum() or character == "_"):
            self._at += 1
        if start == self._at and self._peek() in tuple("@*#?-$!"):
            self._at += 1
        return self._text[start : self._at]

    def _read_ansi(self) -> str:
        """The text of `$'…'`, in which escapes stand for characters."""
        found: list[str] = []
        while (character := self._next()) != "'":
            if character is None:
                self._give_up()
                break
            if character != "\\":
                found.append(character)
                continue
            kind = self._next() or ""
            if kind in ("x", "u", "U"):
                found.append(self._number(16, {"x": 2, "u": 4, "U": 8}[kind]))
            elif kind.isdigit():
                self._at -= 1
                found.append(self._number(8, 3))
            else:
                found.append(_NAMED.get(kind, kind))
        return "".join(found)

    def _number(self, base: int, most: int) -> str:
        digits = ""
        known = "01234567" if base == 8 else "0123456789abcdefABCDEF"
        while len(digits) < most and (each := self._peek()) is not None and each in known:
            digits += each
            self._at += 1
        value = int(digits, base) if digits else 0
        return chr(value) if value < 0x110000 else ""

    def _skip_redirection(self) -> None:
        while self._peek() in ("<", ">", "&", "|"):
            self._at += 1

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _up_to(self, end: str) -> str:
        start, found = self._at, self._text.find(end, self._at)
        if found < 0:
            self._give_up()
            self._at = len(self._text)
            return self._text[start:]
        self._at = found + 1
        return self._text[start:found]

    def _give_up(self) -> None:
        self.plain = self.readable = False

    def _next(self) -> str | None:
        character = self._peek()
        self._at += character is not None
        return character

    def _peek(self) -> str | None:
        return self._text[self._at] if self._at < len(self._text) else None
