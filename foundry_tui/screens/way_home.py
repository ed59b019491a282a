"""The dialog that says what can be done next with a task's work, does it, and shows it being done."""

from contextlib import suppress
from textwrap import wrap
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from foundry_tui.actions.context import WAY_HOME, Context
from foundry_tui.actions.table import bindings
from foundry_tui.client.commands import cleared_key
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.pull_request import IN_PROGRESS
from foundry_tui.contract.records import Operation, OperationState, TaskDetail, TaskSummary
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.screens.checkpoints import start_undo
from foundry_tui.screens.held_topics import HeldTopics
from foundry_tui.screens.scrolling import Highlight, ScrollActions, Scrolled
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.way_home import (
    ARCHIVE,
    CANCEL,
    UNDO,
    Choice,
    choices,
    last_operation,
    operation_line,
    operation_name,
    outcome_line,
    pull_request_line,
    refreshed_line,
    still_holds,
)
from foundry_tui.view.work import standing_line
from foundry_tui.widgets.bars import ActionBar

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.client.store import Store


LEAST = 20
"""Cells that a line of words has at least."""
LEAST_ROWS = 3
"""Rows that the list has at least."""


class Steps(OptionList):
    """The list stops at its ends: a key that is held never leads on from the last step to the first."""

    def action_cursor_down(self) -> None:
        if self._leads_on(range((-1 if self.highlighted is None else self.highlighted) + 1, self.option_count)):
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        if self._leads_on(range(self.highlighted or 0)):
            super().action_cursor_up()

    def _leads_on(self, places: range) -> bool:
        return any(not self.get_option_at_index(place).disabled for place in places)


class WayHomeScreen(ScrollActions, FoundryDialog[bool]):
    """Stays open while an operation runs, so that its steps are seen; what is under way goes on without it.

    It is dismissed with whether the task is to be archived.
    """

    SCREEN_NAME = WAY_HOME
    BINDINGS = bindings(WAY_HOME)
    CSS_PATH = "way_home.tcss"
    AUTO_FOCUS = "OptionList"

    def __init__(self, task_id: str, store: "Store", taken: str | None = None) -> None:
        """`store` is where the task is looked up; `taken` is the key of what is done at once."""
        super().__init__()
        self._task_id = task_id
        self._store = store
        self._taken = taken
        self._choices: tuple[Choice, ...] = ()
        self._asked, self._asked_id = "", ""
        """What was asked for and the backend has not begun to tell of, and its operation_id."""
        self._took, self._put = "", ""
        """The keys of the choice that was taken last, and of the one that was highlighted without being asked."""

    def compose(self) -> ComposeResult:
        self._topics = HeldTopics(self.foundry.commands)
        with Vertical(id="way-home-box"):
            yield Static("Way home", id="heading")
            yield Static(id="standing", markup=False)
            yield Steps(markup=False)
            yield Static(id="operation", markup=False)
            yield ActionBar()

    def on_mount(self) -> None:
        self._topics.hold(Topic(TopicKind.TASK, self._task_id))
        self._show()
        taken = any(choice.key == self._taken and choice.why_not is None for choice in self._choices)
        if taken and self._taken is not None:
            self._stand_on(self._taken)
        if taken:
            self.action_take_step()
        pull = task.pull_request if (task := self._shown_task) is not None else None
        if pull is not None and pull.state in IN_PROGRESS:
            self.run_worker(self._look_again(), group="pull-request")

    async def _look_again(self) -> None:
        """Have the backend look at the pull request now: it does for whoever asks what is said of it."""
        with suppress(RequestError):
            await self.foundry.commands.review_comments(self._task_id)

    def on_unmount(self) -> None:
        self._topics.release_all()

    def on_store_changed(self, changes: "Changes") -> None:
        if self._task_id in changes.tasks or self._task_id in changes.details:
            self._show()

    @property
    def scrolled(self) -> Scrolled:
        return Highlight(self.query_one(OptionList))

    def context(self) -> Context:
        task = self._shown_task
        told = None if task is None or task.operation is not None or self._asked else self._told(task)
        failed = told is not None and told.state is not OperationState.DONE
        return replace(super().context(), tells_failure=failed)

    @property
    def _shown_task(self) -> TaskSummary | None:
        return self._store.detail(self._task_id) or self._store.tasks.get(self._task_id)

    def _show(self) -> None:
        task = self._shown_task
        if task is None:
            self.dismiss(False)
            return
        plain_glyphs = self.foundry.options.ascii
        found = tuple(choices(task))
        told = (*(task.operations if isinstance(task, TaskDetail) else ()), task.operation)
        if any(each is not None and each.operation_id == self._asked_id for each in told):
            self._asked = ""
        standing = [
            pull_request_line(task.pull_request, ascii_only=plain_glyphs) if task.pull_request is not None else "",
            standing_line(task.work, ascii_only=plain_glyphs) if task.work is not None else "",
        ]
        line = "   ".join(part for part in standing if part) or "nothing was found out about the branch yet"
        self.query_one("#standing", Static).update(harmless(line))
        self._show_operation(task)
        self.show_actions()
        self.call_after_refresh(self._fit)
        if found == self._choices:
            return
        stood = self._highlighted
        self._choices = found
        self._list()
        moved = [stood.key] if stood is not None and stood.key != self._put else []
        self._stand_on(*moved, *self._best(task))

    def _best(self, task: TaskSummary) -> list[str]:
        """The keys of what one would do now, best first."""
        possible = [choice for choice in self._choices if choice.why_not is None]
        likely = [choice.key for choice in possible if choice.next]
        if not self._took:
            # Where a pull request only waits, looking at it again is what changes nothing.
            return [self._put, *likely, "pull_request", *(choice.key for choice in possible)]
        if task.operation is not None:
            # Who presses a key twice is not to take back what was just begun.
            return []
        ended = last_operation(task)
        if ended is None or ended.operation_id != self._asked_id or ended.state is not OperationState.DONE:
            # What failed is read first: a key that was meant for it is not to hand anything over, or push it.
            return [self._took]
        return [*(key for key in likely if key != self._took), self._took]

    def _stand_on(self, *keys: str) -> None:
        """Highlight the first of these that can be done."""
        places = {choice.key: place for place, choice in enumerate(self._choices) if choice.why_not is None}
        self._put = next((key for key in keys if key in places), "")
        self.query_one(OptionList).highlighted = places.get(self._put)

    def on_resize(self) -> None:
        # The list's new width is known only when the box has been laid out.
        self.call_after_refresh(self._list)
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Have the list give way to all else in the box, whose keys stay in sight below it."""
        listed, box = self.query_one(OptionList), self.query_one("#way-home-box")
        others = box.outer_size.height - listed.outer_size.height
        listed.styles.max_height = max(LEAST_ROWS, self.size.height - others)

    def _list(self) -> None:
        """List what can be done, the words of each wrapped beside its name."""
        listed = self.query_one(OptionList)
        stood, widest = listed.highlighted, max((len(choice.label) for choice in self._choices), default=0)
        room = listed.scrollable_content_region.width or self.size.width
        listed.set_options(
            [Option(_row(choice, widest, room), disabled=choice.why_not is not None) for choice in self._choices]
        )
        listed.highlighted = stood if stood is not None and stood < len(self._choices) else None

    def _show_operation(self, task: TaskSummary) -> None:
        """What is under way, step by step, or what came of the one before."""
        shown = self.query_one("#operation", Static)
        glyphs = glyph_set(self.foundry.options.ascii)
        operation = task.operation
        if operation is not None:
            shown.update(Content("\n").join(self._steps(operation)))
        elif self._asked:
            shown.update(Content.styled(f"{glyphs.pending} {self._asked}", "$text-warning"))
        elif (ended := self._told(task)) is not None:
            good = ended.state is OperationState.DONE
            glyph, style = (glyphs.done, "$text-success") if good else (glyphs.failed, "$text-error")
            shown.update(
                Content.styled(f"{glyph} {harmless(refreshed_line(ended, task) or outcome_line(ended))}", style)
            )
        else:
            shown.update("")
        shown.display = bool(operation or self._asked or self._told(task))

    def _told(self, task: TaskSummary) -> Operation | None:
        """The operation that ended last, if what came of it is to be said."""
        ended = last_operation(task)
        if ended is None or not still_holds(ended, task):
            return None
        cleared = self.foundry.commands.drafts.get(cleared_key(self._task_id))
        return None if cleared is not None and cleared.prompt == ended.operation_id else ended

    def _steps(self, operation: Operation) -> list[Content]:
        glyphs = glyph_set(self.foundry.options.ascii)
        marks = {
            OperationState.DONE: (glyphs.done, "$text-success"),
            OperationState.RUNNING: (glyphs.working[0], "bold"),
        }
        lines = [
            Content.styled(
                harmless(operation_name(operation).capitalize() if operation.steps else operation_line(operation)),
                "bold",
            )
        ]
        for step in operation.steps:
            glyph, style = marks.get(step.state, (glyphs.failed, "$text-error"))
            detail = f"  {harmless(step.detail)}" if step.detail else ""
            lines.append(
                Content.assemble((f"  {glyph} {harmless(step.name.replace('_', ' '))}", style), (detail, "$text-faint"))
            )
        return lines

    @property
    def _highlighted(self) -> Choice | None:
        place = self.query_one(OptionList).highlighted
        return self._choices[place] if place is not None and place < len(self._choices) else None

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_take_step()

    def action_take_step(self) -> None:
        choice, task = self._highlighted, self._shown_task
        if choice is None or task is None or choice.why_not is not None or self._asked:
            return
        if choice.key == ARCHIVE:
            self.dismiss(True)
        elif choice.key == CANCEL and task.operation is not None:
            self.foundry.commands.cancel_operation(self._task_id, task.operation.operation_id)
        elif choice.key == UNDO:
            start_undo(self, self.foundry, self._task_id, self._store, None)
        elif choice.request is not None:
            self._asked, self._took, self._put = f"{choice.label}: asked for", choice.key, choice.key
            self._asked_id = self.foundry.commands.operate(self._task_id, choice.request)
            self.foundry.commands.drafts.discard(cleared_key(self._task_id))
            self._show()

    def refused(self) -> None:
        """What was asked for was not taken; the app says why."""
        self._asked = ""
        self._show()

    def action_clear_failure(self) -> None:
        task = self._shown_task
        told = None if task is None else self._told(task)
        if told is not None:
            cleared = CreateTask(repo=self._task_id, prompt=told.operation_id)
            self.foundry.commands.drafts.put(cleared_key(self._task_id), cleared)
            self._show()

    def action_close_way_home(self) -> None:
        self.dismiss(False)


def _row(choice: Choice, width: int, room: int) -> Content:
    """What a choice is called, in `width` cells, and what it would do or why not, in the `room` that there is."""
    label, possible = f"{choice.label:<{width}}  ", choice.why_not is None
    words = harmless(choice.does if choice.why_not is None else f"not now: {choice.why_not}")
    lines = wrap(words, max(LEAST, room - len(label))) or [""]
    told = f"\n{' ' * len(label)}".join(lines)
    return Content.assemble((label, "bold" if possible else "$text-faint"), (told, "" if possible else "$text-faint"))
