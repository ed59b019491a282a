"""The states of a task's files that were kept: a list, what differs now from each, and the way back to it."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from foundry_tui.actions.checkpoints import why_no_undo
from foundry_tui.actions.context import CHECKPOINTS, TASK, Context
from foundry_tui.actions.table import bindings, find
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.checkpoint_words import first_line
from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.operations import Undo
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.screens.scrolling import Highlight, ScrollActions, Scrolled
from foundry_tui.screens.task_changes import compared_now
from foundry_tui.view.checkpoints import moment_within, occasion_of, set_back, size_of
from foundry_tui.view.clock import time_of_day
from foundry_tui.view.keys import key_label
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesView

if TYPE_CHECKING:
    from textual.screen import Screen

    from foundry_tui.client.store import Store
    from foundry_tui.screens.shell import Shell

T = TypeVar("T")

ROOM_FOR_PROMPT = 72
"""Cells from which a checkpoint's prompt stands on the same line."""
NOTHING = "No turn has changed anything yet."


class CheckpointsScreen(ScrollActions, FoundryDialog[None]):
    """The newest first. `enter` shows in the list's place what differs now from the highlighted one."""

    SCREEN_NAME = CHECKPOINTS
    BINDINGS = bindings(CHECKPOINTS)
    CSS_PATH: ClassVar[list[str | PurePath]] = ["checkpoints.tcss", "../widgets/changes.tcss"]
    AUTO_FOCUS = "OptionList"

    def __init__(self, task_id: str, store: "Store") -> None:
        """`store` is where the task and its prompts are looked up."""
        super().__init__()
        self._task_id = task_id
        self._store = store
        self._found: Sequence[Checkpoint] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="checkpoints-box"):
            yield Static("Checkpoints", id="heading", markup=False)
            yield OptionList(markup=False)
            yield ChangesView()
            yield Static("Looking for them", id="nothing")
            yield ActionBar()

    def on_mount(self) -> None:
        self.query_one(ChangesView).display = False
        self.query_one(OptionList).display = False
        self.run_worker(self._fetch(), group="checkpoints", exclusive=True)

    async def _fetch(self) -> None:
        found = await _asked(self, self.foundry.commands.checkpoints(self._task_id), "list the checkpoints")
        self._found = tuple(reversed(found.checkpoints)) if found is not None else ()
        nothing, choices = self.query_one("#nothing", Static), self.query_one(OptionList)
        nothing.update(NOTHING)
        nothing.display = not self._found
        choices.display = bool(self._found)
        self._list()
        if self._found:
            choices.highlighted = 0
            choices.focus()

    def on_resize(self) -> None:
        # The list's new width is known only when the box has been laid out.
        self.call_after_refresh(self._list)

    def _list(self) -> None:
        choices = self.query_one(OptionList)
        place, room = choices.highlighted, choices.scrollable_content_region.width or self.size.width
        choices.set_options([Option(checkpoint_line(self._store, self._task_id, each, room)) for each in self._found])
        choices.highlighted = place

    @property
    def scrolled(self) -> Scrolled:
        changes = self.query_one(ChangesView)
        return changes if changes.display else Highlight(self.query_one(OptionList))

    @property
    def _highlighted(self) -> Checkpoint | None:
        place = self.query_one(OptionList).highlighted
        return self._found[place] if place is not None and place < len(self._found) else None

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_compare_checkpoint()

    def action_compare_checkpoint(self) -> None:
        if (checkpoint := self._highlighted) is not None and not self.query_one(ChangesView).display:
            self.run_worker(self._compare(checkpoint), group="checkpoints", exclusive=True)

    async def _compare(self, checkpoint: Checkpoint) -> None:
        comparing = compared_now(self.foundry.commands, self._task_id, checkpoint.checkpoint_id)
        diff = await _asked(self, comparing, "compare the files")
        if diff is not None:
            self.query_one("#heading", Static).update(
                f"What differs from {clock_of(checkpoint)}, {occasion_of(checkpoint)}"
            )
            self._show_changes(True)
            self.query_one(ChangesView).show(diff.files, "Nothing differs now.")

    def _show_changes(self, shown: bool) -> None:
        self.set_class(shown, "-comparing")
        self.query_one(ChangesView).display = shown
        choices = self.query_one(OptionList)
        choices.display = not shown
        if not shown:
            self.query_one("#heading", Static).update("Checkpoints")
            choices.focus()

    def action_undo_to(self) -> None:
        if (checkpoint := self._highlighted) is not None:
            start_undo(self, self.foundry, self._task_id, self._store, checkpoint, then=self._undone)

    def _undone(self) -> None:
        self.dismiss(None)

    def action_close_checkpoints(self) -> None:
        if self.query_one(ChangesView).display:
            self._show_changes(False)
        else:
            self.dismiss(None)


def start_undo(
    screen: "Screen[Any]",
    foundry: "Shell",
    task_id: str,
    store: "Store",
    checkpoint: Checkpoint | None,
    then: Callable[[], None] | None = None,
) -> None:
    """Ask whether the files are to be what they were at a checkpoint, or (None) before the last prompt, and have it
    done if they are; what differs is named.
    """
    why = why_no_undo(Context(screen=TASK, task=store.detail(task_id) or store.tasks.get(task_id)))
    if why is not None:
        screen.notify(f"Cannot undo: {why}.", severity="warning")
        return
    screen.run_worker(_ask(screen, foundry, task_id, store, checkpoint, then), group="undo", exclusive=True)


async def _ask(
    screen: "Screen[Any]",
    foundry: "Shell",
    task_id: str,
    store: "Store",
    checkpoint: Checkpoint | None,
    then: Callable[[], None] | None,
) -> None:
    commands = foundry.commands
    if checkpoint is None:
        found = await _asked(screen, commands.checkpoints(task_id), "list the checkpoints")
        if found is None:
            return
        checkpoint = next((each for each in reversed(found.checkpoints) if each.when is When.BEFORE), None)
        if checkpoint is None:
            screen.notify(NOTHING, severity="warning")
            return
    wanted = checkpoint
    diff = await _asked(screen, compared_now(commands, task_id, wanted.checkpoint_id), "compare the files")
    if diff is None:
        return
    if not diff.files:
        nothing = "what differs is not known yet" if diff.computed_at is None else "nothing differs from it now"
        way = _way_to_checkpoints(foundry) if diff.computed_at is not None and then is None else ""
        others = f" The other states are among the checkpoints{way}." if way else ""
        screen.notify(f"Cannot undo: {nothing}.{others}", severity="warning")
        return

    def answered(agreed: bool | None) -> None:
        if agreed:
            commands.operate(task_id, Undo(checkpoint_id=wanted.checkpoint_id))
            way = _way_to_checkpoints(foundry)
            screen.app.notify(f"Setting the files back. What they are now is kept among the checkpoints{way}.")
            if then is not None:
                then()

    lines = [set_back(file) for file in diff.files]
    question = f"Set the files back to what they were {moment_within(wanted, prompt_of(store, task_id, wanted))}?"
    screen.app.push_screen(ConfirmScreen(question, lines, "Undo", "Keep them"), answered)


def _way_to_checkpoints(foundry: "Shell") -> str:
    """Under which key they are, where they have one."""
    keys = foundry.keys_of(find("show_checkpoints"))
    return f" under {key_label(keys[0], ascii_only=foundry.options.ascii)}" if keys else ""


def checkpoint_line(store: "Store", task_id: str, checkpoint: Checkpoint, room: int) -> Content:
    """A checkpoint in a list: when it was made and why, what its turn changed, and the prompt.

    Where there is little room the prompt stands below.
    """
    said = first_line(prompt_of(store, task_id, checkpoint))
    size = size_of(checkpoint)
    gap = " " if room >= ROOM_FOR_PROMPT else f"\n{' ' * 10}"
    return Content.assemble(
        (f"{clock_of(checkpoint)}  ", "$text-faint"),
        f"{occasion_of(checkpoint):<15}  ",
        (f"{size:<18}" if size else "", "$text-success" if checkpoint.files else "$text-faint"),
        (f"{gap}{harmless(said)}" if said else "", "$text-faint"),
    )


def clock_of(checkpoint: Checkpoint) -> str:
    """The time of day at which it was made, here."""
    return time_of_day(checkpoint.at)


def prompt_of(store: "Store", task_id: str, checkpoint: Checkpoint) -> str:
    """The prompt that a checkpoint belongs to, where it is known."""
    task = store.tasks.get(task_id)
    for session in task.sessions if task is not None else ():
        held = store.session(session.session_id)
        for prompt in held.prompts if held is not None else ():
            if prompt.prompt_id == checkpoint.prompt_id:
                return prompt.text
    return ""


async def _asked(screen: "Screen[None]", call: Awaitable[T], what: str) -> T | None:
    """The backend's answer; a refusal is said, and answered with None."""
    try:
        return await call
    except ProblemError as refusal:
        screen.notify(f"Could not {what}: {refusal.problem.detail}", severity="warning")
    except UnreachableError:
        screen.notify(f"Could not {what}: the backend does not answer", severity="warning")
    return None
