"""What the agent is given of a pull request: what its checks and its reviewers said, quoted and of a bounded size."""

from collections.abc import Sequence

from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import FailedCheck
from backend_stub.domain.way_home import Done
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.pull_request import Comment
from foundry_tui.contract.quoting import fenced, quoted

NO_PULL_REQUEST = "The task has no pull request yet: there are no checks and no comments to hand over."
LOG_CHARACTERS = 12_000
"""Of the log of each check, from its end."""
MOST_LOGS = 5
"""Checks whose logs are given; further ones are named."""
MOST_COMMENTS = 50
"""Comments that are given, the newest; how many there are more is said."""
COMMENT_CHARACTERS = 2_000
"""Of each comment, from its beginning."""


def give_checks(number: int, checks: Sequence[FailedCheck], asked: Sequence[str]) -> Done:
    """Have the agent given those that failed; raises `GitError` where none has, of those `asked` for if any."""
    if not checks:
        more = f" or {len(asked) - MOST_LOGS} others" if len(asked) > MOST_LOGS else ""
        which = f" called {' or '.join(asked[:MOST_LOGS])}{more}" if asked else ""
        raise GitError(f"No check{which} of #{number} has failed: there is nothing to hand over.", retryable=False)
    names = [check.name for check in checks]
    return Done(result={"checks": names}, prompt=_checks_prompt(number, checks), once=True)


def give_comments(number: int, comments: Sequence[Comment]) -> Done:
    """Have the agent given those that are not resolved; raises `GitError` where there is none."""
    waiting = [comment for comment in comments if not comment.resolved]
    if not waiting:
        raise GitError(f"No comment on #{number} waits for an answer: there is nothing to hand over.", retryable=False)
    return Done(result={"comments": len(waiting)}, prompt=_comments_prompt(number, waiting), once=True)


def _checks_prompt(number: int, checks: Sequence[FailedCheck]) -> str:
    """What failed on the pull request `number`, with the ends of the logs."""
    one = len(checks) == 1
    names = ", ".join(_name(check) for check in checks)
    parts = [
        f"{'A check' if one else 'Checks'} of pull request #{number} {'has' if one else 'have'} failed: {names}. Find "
        f"out why, and mend it. What is quoted here is what {'it' if one else 'they'} printed."
    ]
    for check in checks[:MOST_LOGS]:
        where = f" ({harmless(check.url)})" if check.url else ""
        if not check.log:
            parts.append(f"**{_name(check)}**{where}: its log cannot be read from here.")
            continue
        part = "the end of its log" if check.cut else "its log"
        parts.append(f"**{_name(check)}**{where}, {part}:\n{fenced(harmless(check.log, lines=True))}")
    return "\n\n".join(parts)


def _comments_prompt(number: int, comments: Sequence[Comment]) -> str:
    """What reviewers said about lines of the pull request `number`, in the order of the files."""
    given = comments[-MOST_COMMENTS:]
    many = f"{len(comments)} comments" if len(comments) != 1 else "A comment"
    left_out = f", of which these are the newest {len(given)}" if len(given) < len(comments) else ""
    parts = [
        f"{many} of reviewers on pull request #{number}{left_out}. Do what they ask for, or say why it should stay as "
        "it is."
    ]
    for each in sorted(given, key=lambda comment: (comment.path or "", comment.line or 0, comment.at)):
        line = f":{each.line}" if each.line is not None else ""
        place = f"**{harmless(each.path)}{line}**, " if each.path else ""
        body = harmless(each.body, lines=True)
        if len(body) > COMMENT_CHARACTERS:
            body = f"{body[:COMMENT_CHARACTERS]}…"
        parts.append(f"{place}{harmless(each.author)}:\n{quoted(body)}")
    return "\n\n".join(parts)


def _name(check: FailedCheck) -> str:
    return harmless(check.name)
