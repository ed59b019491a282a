"""How a repository is written where one is asked for: as the path of a folder, or as a git URL."""

import re

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z0-9+.-]+::")


def is_remote(text: str) -> bool:
    """Whether this is written as a URL (or `git@host:path`) rather than as a path."""
    if text.startswith(("/", "~", ".")):
        return False
    if _URL.match(text):
        return True
    before, colon, _ = text.partition(":")
    return bool(colon) and "/" not in before and ("@" in before or "." in before or before == "localhost")
