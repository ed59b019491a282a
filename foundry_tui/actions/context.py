"""Where a person is, and what an action would act on."""

from msgspec import Struct

from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import SessionSummary, TaskSummary

TASKS = "tasks"
TASK = "task"
NEW_TASK = "new_task"
NEW_SESSION = "new_session"
CONFIRM = "confirm"
KILL = "kill"
OPTIONS = "options"
CHECKPOINTS = "checkpoints"
WAY_HOME = "way_home"
FORM = "form"
RENAME = "rename"
HELP = "help"
DIAGNOSTICS = "diagnostics"
APP = "app"
"""Names of screens as `Action.screens` says them; `APP` stands for every screen that is no dialog."""

COMPOSER = "composer"
FILTER = "filter"
PROMPT = "prompt"
TITLE = "title"
"""Names of fields in which one writes, and which have actions of their own."""


class Context(Struct, frozen=True, kw_only=True):
    """What decides whether an action can be done now: where one is, and what it would act on."""

    screen: str
    field: str = ""
    """The field with actions of its own in which one writes now."""
    task: TaskSummary | None = None
    """The highlighted or open task."""
    marked: tuple[TaskSummary, ...] = ()
    """The tasks marked in selection mode, in the order of the list."""
    selecting: bool = False
    pending: bool = False
    """The task is a creation that the backend has not answered yet."""
    refused: bool = False
    """The task is a creation that the backend refused."""
    filtered: bool = False
    peeking: bool = False
    shown: int = 0
    """Tasks in the list, after filtering."""
    waiting: int = 0
    """Tasks that wait for a person."""
    undoable: bool = False
    session: SessionSummary | None = None
    why_no_start: str | None = "it has not gone away"
    """Why the backend cannot be started from here."""
    bare_branch: bool = False
    """The task's branch has no commit of its own, so that it can go with the task."""
    queued: int = 0
    """Prompts of the visible session that stand above the composer, waiting to be delivered."""
    changing: bool = False
    """The composer shows a prompt that waits, to be changed."""
    recallable: bool = False
    """`up` in the composer shows an earlier prompt there."""
    naming: bool = False
    """A list of choices is open beside the field in which one writes."""
    choosing: bool = False
    """`enter` takes the highlighted one of them."""
    detachable: bool = False
    """`backspace` in the field takes off the file that was attached last."""
    permission: Permission | None = None
    """The open request that would be answered."""

    @property
    def targets(self) -> tuple[TaskSummary, ...]:
        """The tasks that an action would act on: in selection mode those marked and no other."""
        if self.selecting:
            return self.marked
        return (self.task,) if self.task is not None else ()
