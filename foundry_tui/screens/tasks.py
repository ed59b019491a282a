"""The home screen: every task, one line each, with filter, preview and selection."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal

from foundry_tui.actions.context import TASKS, Context
from foundry_tui.actions.table import bindings
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.contract.filter import load
from foundry_tui.contract.task_words import Group
from foundry_tui.screens.list_preview import ListPreview
from foundry_tui.screens.offline_banner import OfflineBannerScreen
from foundry_tui.view.answers import DIGITS
from foundry_tui.view.filter_remark import remark
from foundry_tui.view.first_run import LOOK_AROUND, NoAgent
from foundry_tui.view.groups import Grouping, Sorting
from foundry_tui.view.labels import UNSENT, creation_word
from foundry_tui.view.says import RowKeys
from foundry_tui.widgets.bars import ActionBar, StyledText, TopBar
from foundry_tui.widgets.task_list import TaskList

if TYPE_CHECKING:
    from textual.widgets import Input

    from foundry_tui.client.changes import Changes
    from foundry_tui.widgets.empty_state import EmptyList
    from foundry_tui.widgets.filter_row import FilterRow
    from foundry_tui.widgets.permission import PermissionRequest

ROOM_FOR_TOTAL = 80
"""Columns from which the bar counts all tasks before those of each group."""

_COUNTS: tuple[tuple[Group, str, str, str], ...] = (
    (Group.NEEDS_INPUT, "needs you", "need you", "bold $text-warning"),
    (Group.WORKING, "working", "working", "$text-working"),
    (Group.READY, "ready", "ready", "$text-success"),
    (Group.FAILED, "failed", "failed", "$text-error"),
)


class TasksScreen(OfflineBannerScreen[object]):
    """The task list. `esc` leads out of the filter, the selection and the preview, in this order.

    Filter, preview, banner and empty state are made when they are first wanted: the first picture has none of them.
    """

    SCREEN_NAME = TASKS
    BANNER_ABOVE = "#body"
    BINDINGS = bindings(TASKS)

    def __init__(self) -> None:
        super().__init__()
        self._filter: FilterRow | None = None
        self.preview = ListPreview(self)
        self._empty_state: EmptyList | None = None
        self._looked_for_agents = False

    def compose(self) -> ComposeResult:
        app = self.foundry
        yield TopBar(app.store.freshness, app.clock, app.glyphs, lambda: app.loaded, lambda: app.starting)
        with Horizontal(id="body"):
            yield TaskList(app.store, app.clock, app.glyphs, id="tasks")
        yield ActionBar()

    def on_mount(self) -> None:
        self._list = self.query_one(TaskList)
        self._bar = self.query_one(TopBar)
        answers = tuple(self.key_of(f"answer_{place}") for place in range(1, DIGITS + 1))
        of = self.key_of
        self._list.keys = RowKeys(answers, open=of("open"), retry=of("retry"), leave_out=of("leave_option_out"))
        self._list.focus()
        self.watch(self._list, "scroll_y", self._read_on, init=False)
        self._show_empty_state()
        self._show_bar()

    def on_resize(self) -> None:
        self._show_bar()
        self.preview.fit()

    def on_unmount(self) -> None:
        self.preview.hold(None)

    def on_screen_suspend(self) -> None:
        self.preview.leave()

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        self.preview.enter()
        task_id, self.foundry.looked_at = self.foundry.looked_at, None
        self._list.settle()
        if task_id in self._list.order.position:
            self._list.put_cursor(task_id)

    # What is here.

    def context(self) -> Context:
        tasks = self._list
        task = tasks.current
        creation = self.creation_of(task.task_id) if task is not None else None
        store = self.foundry.store
        # The lines may still have a task that was removed since they were put in order.
        shown = [id_ for id_ in tasks.order.ids() if id_ in tasks.marked and id_ in store.tasks] if tasks.marked else ()
        return Context(
            screen=TASKS,
            field=self.field,
            task=task,
            marked=tuple(store.tasks[id_] for id_ in shown),
            selecting=tasks.selecting,
            pending=creation in ("pending", UNSENT),
            refused=creation == "refused",
            filtered=self.filtering,
            peeking=self.preview.is_over_list,
            permission=self.preview.ask,
            shown=tasks.order.shown,
            waiting=tasks.order.counts[Group.NEEDS_INPUT],
            undoable=self.foundry.undoable,
            no_agent=self.foundry.no_agent is not None,
            why_no_start=self.foundry.why_no_start,
        )

    @property
    def filtering(self) -> bool:
        """Whether the filter is open, be it empty."""
        return self._filter is not None and self._filter.display

    @property
    def tasks(self) -> TaskList:
        """The list."""
        return self._list

    def shows_task(self, task_id: str) -> bool:
        return self._list.sees(task_id)

    # What changed.

    def show_actions(self) -> None:
        super().show_actions()
        self._list.leave(self.foundry.leaving)

    def on_store_changed(self, changes: "Changes") -> None:
        ids = changes.tasks | changes.creations
        if ids:
            self.preview.take(ids)
            self._list.take(ids)
            self._show_bar()
        if changes.freshness or self._list.cursor in ids | changes.details or changes.sessions:
            self.preview.show()
        if ids or changes.freshness:
            self._show_empty_state()
        if changes.older:
            self._show_bar()
            self._read_on()
        if changes.freshness:
            self._bar.refresh()
            self._list.tick()

    def on_tick(self) -> None:
        self._list.tick()
        self._bar.tick()
        self.preview.tick()
        if not self.foundry.store.freshness().is_live:
            self._show_empty_state()

    @on(TaskList.Rearranged)
    def _rearranged(self) -> None:
        self._show_empty_state()
        self._show_bar()
        self.show_actions()
        # The first picture is the list's alone.
        self.call_after_refresh(self.preview.fit)
        self._read_on()

    def _read_on(self) -> None:
        """Have older tasks come when the end of the list is seen."""
        if self.foundry.store.older and self._list.is_at_end:
            self.foundry.commands.read_older()

    @on(TaskList.Marked)
    def _marked(self) -> None:
        self._show_bar()
        self.show_actions()

    @on(TaskList.Highlighted)
    def _highlighted(self) -> None:
        self.preview.follow()
        if not self.shows_actions_on(self._list.current):
            self.show_actions()

    @on(TaskList.Chosen)
    def _chosen(self, message: TaskList.Chosen) -> None:
        self.foundry.open_task(message.task_id)

    def on_input_changed(self, message: "Input.Changed") -> None:
        self._list.filter(message.value)
        self.foundry.commands.search_older(message.value)
        if self._filter is not None:
            self._filter.show_remark(remark(message.value))

    # What is shown around the list.

    def _show_bar(self) -> None:
        order = self._list.order
        roomy = self.size.width >= ROOM_FOR_TOTAL
        told: list[StyledText] = []
        if order.total and roomy:
            told.append((f"{order.total:,} task{'s' * (order.total != 1)}", "$foreground"))
        if self.foundry.store.older and roomy:
            told.append((f"{self.foundry.store.older:,} older", "$text-faint"))
        # What was done to the list is said before the counts of groups, which give way where there is little room.
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
        told += [(note, "$text-primary") for note in notes]
        for group, one, many, style in _COUNTS:
            count = order.counts[group]
            if count:
                told.append((f"{count:,} {one if count == 1 else many}", style))
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
        no_agent = self._look_for_agents() if not order.total and not offline else None
        if order.total:
            view.show_empty_state(
                glyphs.queued,
                "No task matches",
                f"“{order.query.strip()}” holds for none of {order.total:,} tasks.\n"
                + (f"The {store.older:,} older ones are being looked through.\n" if store.older else "")
                + remark(order.query),
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
        elif no_agent is not None:
            install = [(key("install_agent"), "install one now")] if no_agent.here else []
            view.show_empty_state(
                glyphs.failed,
                no_agent.headline,
                no_agent.sentence,
                [
                    *install,
                    (key("new_task"), "write a task meanwhile; what is written is kept"),
                    (LOOK_AROUND, "in a shell: look around in a scripted world, which only simulates"),
                ],
                "$text-warning",
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

    def _look_for_agents(self) -> NoAgent | None:
        """What is known to keep any request from being answered; the backend is asked when first somebody wonders."""
        if not self._looked_for_agents:
            self._looked_for_agents = True
            self.run_worker(self.foundry.look_for_agents(), group="agents", exit_on_error=False)
        return self.foundry.no_agent

    def creation_of(self, task_id: str) -> str | None:
        """What `creation_word` says of a task that is no more than asked for."""
        store = self.foundry.store
        creation = store.creations.get(task_id)
        return creation_word(str(creation.state), store.freshness()) if creation is not None else None

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
        self._move_waiting(1)

    def action_previous_waiting(self) -> None:
        self._move_waiting(-1)

    def _move_waiting(self, direction: int) -> None:
        if not self._list.move_waiting(direction):
            self.foundry.reply("None of the tasks that the filter shows waits for you.")

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

    def action_peek(self) -> None:
        self.preview.toggle()

    def on_permission_request_answered(self, message: "PermissionRequest.Answered") -> None:
        """A question was answered in the preview."""
        self.preview.send(message.permission_id, message.option_id)

    def action_answer_1(self) -> None:
        self.preview.answer(1)

    def action_answer_2(self) -> None:
        self.preview.answer(2)

    def action_answer_3(self) -> None:
        self.preview.answer(3)

    def action_answer_4(self) -> None:
        self.preview.answer(4)

    def action_question_down(self) -> None:
        self.preview.scroll_question(1)

    def action_question_up(self) -> None:
        self.preview.scroll_question(-1)

    def action_mark(self) -> None:
        self._list.toggle_mark()
        self._list.move(1)

    def action_select(self) -> None:
        self._list.select(True)
        self.action_mark()

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

    def action_back(self) -> None:
        if self._filter is not None and self._filter.display:
            self._filter.display = False
            self._filter.input.value = ""
            self._list.filter("")
            self._list.focus()
        elif self._list.selecting:
            self._list.select(False)
        elif self.preview.is_over_list:
            self.preview.toggle()
