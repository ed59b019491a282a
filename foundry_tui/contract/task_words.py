"""What people call it where a task stands: one word for its status, and the group that it is one of.

The filter finds tasks by these words, in the app, on the command line and in the backend.
"""

from enum import StrEnum

from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING, TaskStatus
from foundry_tui.contract.wording import Wording

STATUS_WORDS: Wording[TaskStatus] = Wording(
    {
        TaskStatus.QUEUED: "queued",
        TaskStatus.ENSURE_NAME: "name",
        TaskStatus.CREATE_SANDBOX: "sandbox",
        TaskStatus.ENSURE_AGENT: "agent",
        TaskStatus.CREATE_SESSION: "session",
        TaskStatus.RUNNING: "working",
        TaskStatus.IDLE: "ready",
        TaskStatus.ERROR: "failed",
        TaskStatus.ARCHIVING: "archiving",
        TaskStatus.ARCHIVED: "archived",
        TaskStatus.KILLING: "killing",
        TaskStatus.KILLED: "killed",
    }
)
"""One word for each status; a provisioning status is called by its stage."""


class Group(StrEnum):
    """The groups by state, in the order in which they stand."""

    NEEDS_INPUT = "Needs input"
    WORKING = "Working"
    READY = "Ready"
    FAILED = "Failed"
    DONE = "Done"


def needs_person(task: TaskSummary) -> bool:
    """Whether the task waits for a person's answer."""
    return task.needs_input > 0 and task.status in (TaskStatus.RUNNING, TaskStatus.IDLE)


def waits_for_host(task: TaskSummary) -> bool:
    """Whether nothing goes on with the task before the host is back that has its sandbox."""
    said = task.activity.text if task.activity is not None else ""
    return task.host is not None and task.status not in ENDED and said == away_words(task.host)


def group_of(task: TaskSummary, refused: bool = False) -> Group:
    """The group by state; a task on its way out stands with those that have ended."""
    if refused or task.status is TaskStatus.ERROR:
        return Group.FAILED
    if needs_person(task):
        return Group.NEEDS_INPUT
    if task.status is TaskStatus.IDLE:
        return Group.READY
    if task.status in ENDED or task.status in RELEASING:
        return Group.DONE
    return Group.WORKING
