"""What a new task starts from, as it is written into the dialog's field and as people read it."""

import re
from collections.abc import Collection

from foundry_tui.contract.branches import check_branch
from foundry_tui.contract.starts import StartedFrom, StartFrom

_NUMBERED = re.compile(r"(?P<what>pr|pull|pull request|issue)\s*#?\s*(?P<number>\d{1,10})", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://\S+/(?P<what>pull|issues)/(?P<number>\d{1,10})(?:[/?#]\S*)?")
LARGEST = 2**31 - 1
"""The largest number of a pull request or an issue."""


def read_start(text: str) -> StartFrom | None:
    """What is meant by `pr 12`, `issue 12`, the address of either, or anything else: a branch. None for nothing."""
    text = text.strip()
    if not text:
        return None
    found = _NUMBERED.fullmatch(text) or _ADDRESS.fullmatch(text)
    number = int(found["number"]) if found is not None else 0
    if found is None or not 1 <= number <= LARGEST:
        return StartFrom(branch=text)
    return StartFrom(issue=number) if found["what"].lower().startswith("issue") else StartFrom(pull_request=number)


def written_start(start: StartFrom | None) -> str:
    """The same the other way round."""
    if start is None:
        return ""
    if start.issue is not None:
        return f"issue {start.issue}"
    return f"pr {start.pull_request}" if start.pull_request is not None else start.branch or ""


def start_again(start: StartedFrom | None) -> StartFrom | None:
    """What another task like this one starts from; an issue that is in the prompt by now does not go there twice."""
    if start is None or (start.issue is not None and start.title is not None):
        return None
    return StartFrom(branch=start.branch, pull_request=start.pull_request, issue=start.issue)


def wrong_start_field(text: str, branch: str, base_branch: str) -> str | None:
    """What is wrong with the field, or with it beside a new branch or a base that are asked for too."""
    start = read_start(text)
    if start is None:
        return None
    if start.branch is not None and (why := check_branch(start.branch)):
        return f"write a branch, pr 12 or issue 12: {why[0].lower()}{why[1:]}"
    if start.issue is None and branch:
        return "the task works on that branch itself: leave Branch empty"
    if start.pull_request is not None and base_branch:
        return "its base is the pull request's own: leave Base branch empty"
    return None


def start_meaning(text: str, branches: Collection[str]) -> str:
    """What the field would have the task do."""
    start = read_start(text)
    if start is None:
        return ""
    if start.issue is not None:
        return f"issue #{start.issue} goes before the prompt, and is closed by the pull request"
    if start.pull_request is not None:
        return f"works on the branch of pull request #{start.pull_request}"
    known = "" if not branches or start.branch in branches else "; none of this name is known yet"
    return f"works on this branch itself{known}"


def start_words(start: StartedFrom) -> str:
    """What a task was started from: `issue #7: Sums are wrong`."""
    if start.branch is not None:
        return f"the branch {start.branch}"
    what = f"issue #{start.issue}" if start.issue is not None else f"pull request #{start.pull_request}"
    return f"{what}: {start.title}" if start.title else what
