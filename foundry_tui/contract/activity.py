"""What a task says now, for one line of a list; field names are the wire's."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record

MAX_ACTIVITY = 200
"""Characters that the text of an `Activity` may have."""


class ActivityKind(OpenEnum):
    """What sort of thing is said."""

    QUESTION = "question"
    TOOL = "tool"
    MESSAGE = "message"
    PLAN = "plan"
    NOTICE = "notice"
    ERROR = "error"


class Activity(Record, frozen=True, kw_only=True):
    """The last thing that is worth a line: `text` is one line of at most `MAX_ACTIVITY` characters.

    A message has its first words, a tool its title, a plan the entry that is being worked on.
    """

    kind: ActivityKind
    text: str
    at: int


class PlanProgress(Record, frozen=True, kw_only=True):
    """How many entries of the agent's plan are done, of how many."""

    done: int
    total: int
