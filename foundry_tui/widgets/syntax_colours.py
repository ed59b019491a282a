"""The colours of code, some lines at a time: only of those that are drawn, and remembered for a while."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from rich.style import Style
from rich.syntax import Syntax, SyntaxTheme

CODE_LINES = 40
"""Lines that are coloured at a time."""
CODE_WIDTH = 400
"""Characters of a line that are coloured; the rest stays plain."""

_BY_NAME = {"Dockerfile": "docker", "Makefile": "make", "CMakeLists.txt": "cmake", "Jenkinsfile": "groovy"}
_BY_ENDING = {
    ending: language
    for language, endings in {
        "python": "py pyi",
        "javascript": "js mjs cjs jsx",
        "typescript": "ts mts cts",
        "tsx": "tsx",
        "go": "go",
        "rust": "rs",
        "c": "c h",
        "cpp": "cc cpp cxx hh hpp",
        "csharp": "cs",
        "java": "java",
        "kotlin": "kt kts",
        "swift": "swift",
        "scala": "scala",
        "ruby": "rb",
        "php": "php",
        "bash": "sh bash zsh",
        "json": "json",
        "yaml": "yaml yml",
        "toml": "toml",
        "ini": "ini cfg",
        "html": "html htm vue svelte",
        "xml": "xml",
        "css": "css tcss",
        "scss": "scss",
        "sql": "sql",
        "lua": "lua",
        "elixir": "ex exs",
        "haskell": "hs",
        "terraform": "tf",
        "protobuf": "proto",
        "zig": "zig",
        "dart": "dart",
        "make": "mk",
        "perl": "pl pm",
        "r": "r",
    }.items()
    for ending in endings.split()
}

Coloured = Sequence[tuple[str, Style]]
"""A line in parts, each with its colour."""


def language_of(path: str) -> str:
    """The language of a file by its name; empty where none is known."""
    name = path.rpartition("/")[2]
    return _BY_NAME.get(name) or _BY_ENDING.get(name.rpartition(".")[2].lower(), "")


class SyntaxColours:
    """Colours code. A language is loaded on a thread when it is met first; until then its lines are plain."""

    def __init__(self, load: Callable[[str], None]) -> None:
        """`load` is told that a language is wanted: it has `read` called on a thread, and the lines drawn again."""
        self._load = load
        self._lexers: dict[str, Any] = {}
        self._theme: SyntaxTheme = Syntax.get_theme("ansi_dark")
        self._theme_name = ""
        self._styles: dict[Any, Style] = {}
        self._coloured = lru_cache(maxsize=512)(self._colour)

    def use(self, theme: str) -> None:
        """Use these colours, by their name as Rich has it."""
        if theme != self._theme_name:
            self._theme_name, self._theme = theme, Syntax.get_theme(theme)
            self._styles.clear()
            self._coloured.cache_clear()

    def read(self, language: str) -> None:
        """Load a language: this reads files, and takes some hundredths of a second."""
        self._lexers[language] = Syntax("", language).lexer

    def lines(self, language: str, code: tuple[str, ...]) -> Sequence[Coloured] | None:
        """These lines in their colours; None for plain ones."""
        if not language:
            return None
        if language not in self._lexers:
            self._lexers[language] = None
            self._load(language)
        return self._coloured(language, code) if self._lexers[language] is not None else None

    def _colour(self, language: str, code: tuple[str, ...]) -> Sequence[Coloured]:
        found: list[list[tuple[str, Style]]] = [[]]
        text = "\n".join(line[:CODE_WIDTH] for line in code)
        lexer = self._lexers[language]
        # Otherwise blank lines at the beginning are left out, and every line after them has another's colours.
        lexer.stripnl, lexer.ensurenl = False, False
        for kind, value in lexer.get_tokens(text):
            style = self._style(kind)
            first, *others = value.split("\n")
            if first:
                found[-1].append((first, style))
            found.extend([(part, style)] if part else [] for part in others)
        return found

    def _style(self, kind: Any) -> Style:
        style = self._styles.get(kind)
        if style is None:
            whole = self._theme.get_style_for_token(kind)
            # The ground says whether a line was added or removed.
            style = self._styles[kind] = Style(color=whole.color, italic=whole.italic)
        return style
