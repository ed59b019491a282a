"""Where a person is, and what an action would act on."""

from msgspec import Struct

from foundry_tui.contract.questions import Ask, Permission
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
INSTALL = "install"
RENAME = "rename"
HELP = "help"
DIAGNOSTICS = "diagnostics"
APP = "app"
"""Names of screens as `Action.screens` says them; `APP` stands for every screen that is no dialog."""

CHANGES = "changes"
"""The name of a task's view, as `Context.pane` says it."""

COMPOSER = "composer"
CHANGES_SEARCH = "changes_search"
CHANGES_SINCE = "changes_since"
COMMENT = "comment"
FILTER = "filter"
PROMPT = "prompt"
SEARCH = "search"
TITLE = "title"
WORK = "work"
"""Names of fields that have actions of their own: those in which one writes, and the list of changed files."""


class Review(Struct, frozen=True):
    """Where a person is in the changes of a task."""

    why_empty: str | None = None
    """Why there is no file in them, in words for after “Not now:”; None where there is one."""
    choosing: bool = False
    """A moment is being chosen that they are told against."""
    searching: bool = False
    """Something is searched for in them."""
    at_head: bool = False
    """On the name of a file, or on something else that is folded there."""
    marking: bool = False
    """A range of lines was begun."""
    comments: int = 0
    """Comments that were not sent yet."""


class Context(Struct, frozen=True, kw_only=True):
    """What decides whether an action can be done now: where one is, and what it would act on."""

    screen: str
    field: str = ""
    """The field with actions of its own that has the keys now."""
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
    """Tasks that wait for a person; of a task's screen, the others."""
    undoable: bool = False
    session: SessionSummary | None = None
    given: bool = False
    """The open question is answered, and that is kept for a backend that is away."""
    why_no_start: str | None = "it has not gone away"
    """Why the backend cannot be started from here."""
    no_agent: bool = False
    """No agent could answer a request, as far as is known."""
    touring: bool = False
    """The demo's tour is shown, and escape leaves it."""
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
    pane: str = ""
    """The view of the task that is open in the conversation's stead; empty for none."""
    review: Review = Review()
    permission: Ask | Permission | None = None
    """The open question that would be answered."""
    reading: bool = False
    """The conversation of a session is in sight, and something was said in it."""
    foldable: bool = False
    """Something in sight in the conversation is folded, or could be."""
    answered: bool = False
    """The agent has said something in the visible session."""
    code: bool = False
    """A block of code is in sight in the conversation."""
    picking_code: bool = False
    """The blocks of code in sight have numbers: a digit copies one."""
    searching: bool = False
    """Something is searched for in the conversation."""
    found: int = 0
    """How often it was found."""
    files: int = 0
    """Changed files that are listed beside the conversation."""
    tells_failure: bool = False
    """It is said why an operation was not done."""

    @property
    def targets(self) -> tuple[TaskSummary, ...]:
        """The tasks that an action would act on: in selection mode those marked and no other."""
        if self.selecting:
            return self.marked
        return (self.task,) if self.task is not None else ()
