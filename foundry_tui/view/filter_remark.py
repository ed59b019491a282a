"""What is to be said about a filter that does not mean what it seems to."""

from foundry_tui.contract.filter import FIELDS, TERM
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.task_words import STATUS_WORDS, Group
from foundry_tui.view.stepper import STEP_NAMES

STATUSES = ("needs", "queued", *STEP_NAMES.values(), "working", "ready", "failed", "refused", "done", "killed")
"""What `status:` is made for; any part of a status, its word or its group is found."""
_STATE_WORDS = frozenset({"needs", "queued", "working", "ready", "failed", "refused", "done", "archived", "killed"})
"""What a person may write who means a state; stages are words of many a title."""
_STATUS_TEXT = " ".join((*TaskStatus, *STATUS_WORDS.values(), *Group, "refused")).lower()


def remark(query: str) -> str:
    """What is to be said about a filter that does not mean what it seems to; empty for nothing."""
    words = [match.group() for match in TERM.finditer(query.lower())]
    for place, raw in enumerate(words):
        name, colon, value = raw.removeprefix("!").partition(":")
        if raw == "not" and place + 1 < len(words):
            return f"to leave tasks out, write !{words[place + 1]}"
        if raw.startswith("-") and raw.strip("-"):
            return f"to leave tasks out, write !{raw.lstrip('-')}"
        if colon and name.isalpha() and name not in FIELDS and not value.startswith("//"):
            return f"{name}: is no field, and looked for as it stands; fields are {', '.join(FIELDS)}"
        if name == "status" and value and value.strip('"') not in _STATUS_TEXT:
            return f"this version knows no status {value}; there are {', '.join(STATUSES)}"
        if name == "is" and value and not "unread".startswith(value):
            return "is: is made for is:unread"
        if raw in _STATE_WORDS:
            return f"a word of title, branch, repository or prompt; the state is status:{raw}"
    return ""
