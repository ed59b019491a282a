"""The home screen: every task, one line each, with filter, peek and selection."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer

from foundry_tui.actions.context import TASKS, Context
from foundry_tui.actions.table import bindings
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.screens.offline_banner import OfflineBannerScreen
from foundry_tui.view.clock import LastHeard
from foundry_tui.view.filter import load, remark
from foundry_tui.view.groups import Group, Grouping, Sorting
from foundry_tui.view.labels import UNSENT, creation_word
from foundry_tui.widgets.bars import ActionBar, StyledText, TopBar
from foundry_tui.widgets.task_list import TaskList

if TYPE_CHECKING:
    from textual.widgets import Input

    from foundry_tui.client.changes import Changes
    from foundry_tui.widgets.empty_state import EmptyList
    from foundry_tui.widgets.filter_row import FilterRow
    from foundry_tui.widgets.peek import Peek

PEEK_AFTER = 0.15
"""Seconds that the cursor rests on a task before the whole of it is asked for."""

ROOM_FOR_TOTAL = 80
"""Columns from which the bar counts all tasks before those of each group."""

_COUNTS: tuple[tuple[Group, str, str, str], ...] = (
    (Group.NEEDS_INPUT, "needs you", "need you", "bold $text-warning"),
    (Group.WORKING, "working", "working", "$text-working"),
    (Group.READY, "ready", "ready", "$text-success"),
    (Group.FAILED, "failed", "failed", "$text-error"),
)


class TasksScreen(OfflineBannerScreen[object]):
    """The task list. `esc` leads out of the filter, the selection and the peek, in this order.

    Filter, peek, banner and empty state are made when they are first wanted: the app's first picture has none of them.
    """

    SCREEN_NAME = TASKS
    BANNER_ABOVE = "#body"
    BINDINGS = bindings(TASKS)

    def __init__(self) -> None:
        super().__init__()
        self._filter: FilterRow | None = None
        self._peek: Peek | None = None
        self._empty_state: EmptyList | None = None
        self._release_peek: Callable[[], None] | None = None
        self._peek_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        app = self.foundry
        yield TopBar(app.store.freshness, app.clock, app.glyphs, lambda: app.loaded, lambda: app.starting)
        with Horizontal(id="body"):
            yield TaskList(app.store, app.clock, app.glyphs, id="tasks")
        yield ActionBar()

    def on_mount(self) -> None:
        self._list = self.query_one(TaskList)
        self._bar = self.query_one(TopBar)
        self._list.focus()
        self._show_empty_state()
        self._show_bar()

    def on_resize(self) -> None:
        self._show_bar()

    def on_unmount(self) -> None:
        self._hold_peek(None)

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        task_id, self.foundry.looked_at = self.foundry.looked_at, None
        self._list.settle()
        if task_id in self._list.order.position:
            self._list.put_cursor(task_id)

    # What is here.

    def context(self) -> Context:
        tasks = self._list
        task = tasks.current
        creation = self._creation_of(task.task_id) if task is not None else None
        store = self.foundry.store
        marked = tuple(store.tasks[id_] for id_ in tasks.order.ids() if id_ in tasks.marked) if tasks.marked else ()
        return Context(
            screen=TASKS,
            field=self.field,
            task=task,
            marked=marked,
            selecting=tasks.selecting,
            pending=creation in ("pending", UNSENT),
            refused=creation == "refused",
            filtered=self.filtering,
            peeking=self.peeking,
            shown=tasks.order.shown,
            waiting=tasks.order.counts[Group.NEEDS_INPUT],
            undoable=self.foundry.undoable,
            why_no_start=self.foundry.why_no_start,
        )

    @property
    def filtering(self) -> bool:
        """Whether the filter is open, be it empty."""
        return self._filter is not None and self._filter.display

    @property
    def peeking(self) -> bool:
        """Whether the highlighted task is shown beside the list."""
        return self._peek is not None and self._peek.display

    def shows_task(self, task_id: str) -> bool:
        return self._list.sees(task_id)

    # What changed.

    def show_actions(self) -> None:
        super().show_actions()
        self._list.leave(self.foundry.leaving)

    def on_store_changed(self, changes: "Changes") -> None:
        ids = changes.tasks | changes.creations
        if ids:
            self._list.take(ids)
            self._show_bar()
        if changes.freshness or self._list.cursor in ids | changes.details:
            self._show_peek()
        if ids or changes.freshness:
            self._show_empty_state()
        if changes.freshness:
            self._bar.refresh()
            self._list.tick()

    def on_tick(self) -> None:
        self._list.tick()
        self._bar.tick()
        if self._peek is not None and self._peek.display:
            self._peek.tick()
        if not self.foundry.store.freshness().is_live:
            self._show_empty_state()

    @on(TaskList.Rearranged)
    def _rearranged(self) -> None:
        self._show_empty_state()
        self._show_bar()
        self.show_actions()

    @on(TaskList.Marked)
    def _marked(self) -> None:
        self._show_bar()
        self.show_actions()

    @on(TaskList.Highlighted)
    def _highlighted(self) -> None:
        self._show_peek()
        if not self.shows_actions_on(self._list.current):
            self.show_actions()

    @on(TaskList.Chosen)
    def _chosen(self, message: TaskList.Chosen) -> None:
        self.foundry.open_task(message.task_id)

    def on_input_changed(self, message: "Input.Changed") -> None:
        self._list.filter(message.value)
        if self._filter is not None:
            self._filter.show_remark(remark(message.value))

    # What is shown around the list.

    def _show_bar(self) -> None:
        order = self._list.order
        roomy = self.size.width >= ROOM_FOR_TOTAL
        told: list[StyledText] = []
        if order.total and roomy:
            told.append((f"{order.total:,} task{'s' * (order.total != 1)}", "$foreground"))
        for group, one, many, style in _COUNTS:
            count = order.counts[group]
            if count:
                told.append((f"{count:,} {one if count == 1 else many}", style))
        notes = []
        if order.terms:
            notes.append(f"{order.shown:,} shown")
        if self._list.selecting:
            shown = len(self._list.marked.intersection(order.ids()))
            hidden = len(self._list.marked) - shown
            notes.append(f"{shown:,} marked{f', {hidden:,} more hidden' if hidden else ''}")
        if order.grouping is Grouping.REPO:
            notes.append("by repository")
        if order.sorting is not Sorting.NEWEST:
            notes.append(f"{order.sorting} first" if order.sorting is Sorting.CHANGED else f"by {order.sorting}")
        marks: list[StyledText] = [(note, "$text-primary") for note in notes]
        # Where there is little room, what was done to the list is said first, and the name of the app not at all.
        told = [*told, *marks] if roomy else [*marks, *told]
        pieces: list[StyledText] = []
        if roomy or not told:
            pieces.append(("Foundry", "bold $primary"))
            told[:1] = [(f"  {text}", style) for text, style in told[:1]]
        between = f" {self.foundry.glyphs.separator} " if roomy else "  "
        for place, piece in enumerate(told):
            pieces += [(between, "$text-faint"), piece] if place else [piece]
        self._bar.show(pieces)

    def _show_empty_state(self) -> None:
        store, order, glyphs = self.foundry.store, self._list.order, self.foundry.glyphs
        freshness = store.freshness()
        offline = freshness.state is FreshnessState.OFFLINE
        loading = not order.total and not offline and not self.foundry.loaded
        self._list.placeholder = f"Reading tasks {glyphs.separator} connecting" if loading else ""
        empty = not order.shown and not loading
        self._list.display = not empty
        if self._empty_state is not None:
            self._empty_state.display = empty
        self.show_offline_banner(*(() if empty else (freshness,)))
        if not empty:
            return
        if self._empty_state is None:
            from foundry_tui.widgets.empty_state import EmptyList

            self._empty_state = EmptyList(id="empty-state")
            self.query_one("#body").mount(self._empty_state, after=self._list)
        view = self._empty_state
        key = self.key_of
        if order.total:
            view.show_empty_state(
                glyphs.queued,
                "No task matches",
                f"“{order.query.strip()}” holds for none of {order.total:,} tasks.\n" + remark(order.query),
                [(key("back"), "clear the filter")],
            )
        elif offline and self.foundry.starting:
            view.show_empty_state(
                glyphs.pending,
                f"Starting the backend{glyphs.ellipsis}",
                "Tasks are safe: what was begun goes on as soon as it is there.",
                [(key("new_task"), "create a task meanwhile; it is sent when the backend is there")],
            )
        elif offline:
            start = [(key("start_backend"), "start it")] if self.foundry.why_no_start is None else []
            view.show_empty_state(
                glyphs.offline,
                "Cannot reach the backend",
                f"{freshness.reason or 'it does not answer'}\n"
                "Tasks are safe: they go on by themselves, or when the backend is back.",
                [
                    *start,
                    (key("reconnect"), "try again now"),
                    (key("diagnostics"), "see why"),
                    (key("new_task"), "create a task all the same; it is sent when the backend is back"),
                ],
                "$text-error",
            )
        else:
            view.show_empty_state(
                glyphs.full,
                "No tasks yet",
                "Hand a coding task to an agent and go on working.",
                [
                    (key("new_task"), "create your first task"),
                    (key("show_help"), "all keys"),
                    (key("command_palette"), "everything by name"),
                ],
            )

    def _creation_of(self, task_id: str) -> str | None:
        store = self.foundry.store
        creation = store.creations.get(task_id)
        return creation_word(str(creation.state), store.freshness()) if creation is not None else None

    def _show_peek(self) -> None:
        if self._peek is None or not self._peek.display:
            return
        summary = self._list.current
        task = (self.foundry.store.detail(summary.task_id) or summary) if summary is not None else None
        self._peek.show(task, self._creation_of(task.task_id) if task is not None else None)
        if self._peek_timer is not None:
            self._peek_timer.stop()
        self._peek_timer = self.set_timer(PEEK_AFTER, self.hold_highlighted)

    def hold_highlighted(self) -> None:
        """Subscribe to the whole of the task that is peeked at, in place of the one before."""
        self._hold_peek(self._list.cursor if self.peeking else None)

    def _hold_peek(self, task_id: str | None) -> None:
        release, self._release_peek = self._release_peek, None
        if task_id is not None:
            self._release_peek = self.foundry.commands.hold(Topic(TopicKind.TASK, task_id))
        if release is not None:
            release()

    # Actions.

    def action_open(self) -> None:
        if self._list.cursor is not None:
            self.foundry.open_task(self._list.cursor)

    def action_cursor_up(self) -> None:
        self._list.move(-1)

    def action_cursor_down(self) -> None:
        self._list.move(1)

    def action_page_up(self) -> None:
        self._list.move_page(-1)

    def action_page_down(self) -> None:
        self._list.move_page(1)

    def action_half_page_up(self) -> None:
        self._list.move_page(-0.5)

    def action_half_page_down(self) -> None:
        self._list.move_page(0.5)

    def action_cursor_top(self) -> None:
        self._list.move_to_end(-1)

    def action_cursor_bottom(self) -> None:
        self._list.move_to_end(1)

    def action_previous_group(self) -> None:
        self._list.move_group(-1)

    def action_next_group(self) -> None:
        self._list.move_group(1)

    def action_next_waiting(self) -> None:
        self._list.move_waiting(1)

    def action_previous_waiting(self) -> None:
        self._list.move_waiting(-1)

    async def action_filter(self) -> None:
        if self._filter is None:
            from foundry_tui.widgets.filter_row import FilterRow

            self.foundry.read_styles("widgets/filter_row.tcss")
            self._filter = FilterRow()
            await self.mount(self._filter, before="#body")
        self._filter.display = True
        self._filter.input.focus()
        self.run_worker(self._warm_filter(), exclusive=True, group="filter")

    async def _warm_filter(self) -> None:
        await asyncio.to_thread(load)
        for _ in self._list.order.warm():
            await asyncio.sleep(0)

    def action_keep_filter(self) -> None:
        self._list.focus()

    async def action_peek(self) -> None:
        if self._peek is None:
            from foundry_tui.widgets.peek import Peek

            app = self.foundry
            app.read_styles("widgets/peek.tcss", "widgets/stepper.tcss")
            heard = LastHeard(app.clock, app.store.freshness)
            self._peek = Peek(app.clock, heard, app.glyphs, ascii_only=app.options.ascii, id="peek")
            await self.query_one("#body").mount(self._peek)
        else:
            self._peek.display = not self._peek.display
        if self._peek.display:
            self._show_peek()
        else:
            self._hold_peek(None)

    def action_mark(self) -> None:
        self._list.toggle_mark()
        self._list.move(1)

    def action_select(self) -> None:
        self._list.select(True)
        self._list.toggle_mark()

    def unmark(self, task_ids: Iterable[str]) -> None:
        """Take away marks; selection ends with the last one."""
        self._list.unmark(task_ids)

    def action_mark_all(self) -> None:
        self._list.select(True)
        self._list.mark_all()

    def action_rename(self) -> None:
        task = self._list.current
        if task is None:
            return
        from foundry_tui.screens.rename import RenameScreen

        def answered(title: str | None) -> None:
            if title and title != task.title:
                self.foundry.commands.rename(task.task_id, title)

        self.app.push_screen(RenameScreen(task), answered)

    def action_group(self) -> None:
        order = self._list.order
        grouping = Grouping.REPO if order.grouping is Grouping.STATE else Grouping.STATE
        self._list.regroup(grouping, order.sorting)

    def action_sort(self) -> None:
        order = self._list.order
        sortings = list(Sorting)
        self._list.regroup(order.grouping, sortings[(sortings.index(order.sorting) + 1) % len(sortings)])

    async def action_back(self) -> None:
        if self._filter is not None and self._filter.display:
            self._filter.display = False
            self._filter.input.value = ""
            self._list.filter("")
            self._list.focus()
        elif self._list.selecting:
            self._list.select(False)
        elif self.peeking:
            await self.action_peek()
