"""What is wrong with the names that a person gives to tasks, agents and sessions."""

import re
import unicodedata

from foundry_tui.contract.control_characters import first_control
from foundry_tui.contract.requests import CHOSEN_TITLE_LIMIT

MAX_NAME = 64
"""Characters of the name of an agent, a session or a host."""
INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters without a width of their own, which alone are no title."""


def check_title(title: str) -> str | None:
    """What is wrong with a title that a person chose, or None.

    It is kept as it came.
    """
    if found := first_control(title):
        return f"A title cannot contain line breaks, tabs or control characters; this one has {found}."
    if not INVISIBLE.sub("", title).strip():
        return "A title cannot be blank."
    if len(title) > CHOSEN_TITLE_LIMIT:
        return f"A title can have at most {CHOSEN_TITLE_LIMIT} characters; this one has {len(title)}."
    return None


def check_name(what: str, name: str) -> str | None:
    """What is wrong with the name of an agent, a session or a host."""
    if not INVISIBLE.sub("", name).strip():
        return f"{what} cannot be blank."
    if len(name) > MAX_NAME or any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return f"{what} is one line of at most {MAX_NAME} characters."
    return None
