"""What was pasted, where a terminal gives the path of a file that was dropped on it."""

import shlex
from urllib.parse import unquote, urlsplit

LONGEST = 8_192
"""Characters of a text that may be paths."""


def pasted_paths(text: str) -> tuple[str, ...]:
    """The paths of a text that is nothing else; empty for any other text.

    Terminals write them bare, quoted or with backslashes, as file:// URLs, several with spaces or on lines of their
    own. Only absolute ones count, or ones below the home folder (`~/`).
    """
    text = text.strip()
    if not text.startswith(("/", "~/", "'", '"', "file://")) or len(text) > LONGEST:
        return ()
    paths: list[str] = []
    for line in text.splitlines():
        whole = _path_of(line.strip())
        try:
            words = [_path_of(word) for word in shlex.split(line)]
        except ValueError:
            words = [None]
        if all(words):
            paths += [word for word in words if word]
        elif whole is not None:
            # A name with spaces that nothing marks.
            paths.append(whole)
        elif line.strip():
            return ()
    return tuple(paths)


def _path_of(word: str) -> str | None:
    if word.startswith("file://"):
        url = urlsplit(word)
        return unquote(url.path) if url.path.startswith("/") and url.netloc in ("", "localhost") else None
    return word if word.startswith(("/", "~/")) and "\0" not in word else None
