"""What agents say of themselves where their model speaks: warnings of codex, and the mode that gemini is in now.

Nothing in the protocol's message tells such a text from an answer. What does is that it comes as one piece, whole, in
words that the agent's program has and that do not change.
"""

import re

_WARNING = re.compile(
    r"Model metadata for `[^`\n]*` not found\. Defaulting to fallback metadata; [^\n]*"
    r"|Heads up: Long threads and multiple compactions can cause the model to be less accurate\.[^\n]*"
    r"|Falling back from WebSockets to HTTPS transport\.[^\n]*"
    r"|Skill descriptions were shortened to fit the [^\n]*skills context budget\.[^\n]*"
    r"|Exceeded skills context budget[^\n]*"
    r"|Under-development features enabled: [^\n]*"
)
_MODE = re.compile(r"\[MODE_UPDATE\] (\S+)")
MODE_MARK = b"[MODE_UPDATE] "
"""Stands in an update that says a mode; most updates are looked at for this alone."""


def is_warning(text: str) -> bool:
    """Whether this piece of a message is a warning of the agent's program, and no word of its model."""
    return _WARNING.fullmatch(text.strip()) is not None


def mode_said(text: str) -> str | None:
    """The id of the mode that this piece of a message says the agent is in now."""
    found = _MODE.fullmatch(text.strip())
    return None if found is None else found[1]
