"""The task list as lines: only what is seen is drawn, and only what changed is drawn again."""

from collections.abc import Callable, Container, Iterable
from time import monotonic
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING
from foundry_tui.contract.task_words import needs_person
from foundry_tui.view.clock import FRAMES_A_SECOND, Clock, LastHeard
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.groups import Grouping, Heading, ListLine, Sorting
from foundry_tui.view.labels import LEAVING, creation_word, is_animated
from foundry_tui.view.order import TaskOrder
from foundry_tui.view.roles import Role
from foundry_tui.view.rows import Columns, Moving, columns_for, moving_parts, row_pieces, says_all
from foundry_tui.view.says import RowKeys
from foundry_tui.widgets.drawn import Undecorated, blank
from foundry_tui.widgets.lines import page_lines
from foundry_tui.widgets.row_strips import RowStrips

if TYPE_CHECKING:
    from foundry_tui.client.store import Store

REARRANGE_SECONDS = 0.1
"""The list is put in order anew at most this often, however many tasks move."""


class TaskList(Undecorated, ScrollView, can_focus=True, inherit_bindings=False):
    """The tasks of the store. The cursor stands on a task, not on a line, and stays with it when it moves."""

    class Highlighted(Message):
        """The cursor came to stand on another task, or on none."""

    class Chosen(Message):
        """A task was clicked while the cursor stood on it already: it is to be opened."""

        def __init__(self, task_id: str) -> None:
            super().__init__()
            self.task_id = task_id

    class Marked(Message):
        """Marks came or went, or selection mode began or ended."""

    class Rearranged(Message):
        """The lines were put in order anew: counts may have changed, and whether anything is shown at all."""

    def __init__(self, store: "Store", clock: Clock, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.store = store
        self.clock = clock
        self._heard = LastHeard(clock, store.freshness)
        self.glyphs = glyphs
        self._leaving: frozenset[str] = frozenset()
        self.order = TaskOrder(lambda: store.tasks, self._is_refused)
        self.cursor: str | None = None
        """The task that the cursor stands on."""
        self.marked: set[str] = set()
        self.selecting = False
        self.placeholder = ""
        """What stands in the middle while there are no tasks."""
        self.keys = RowKeys()
        """The keys that lines name."""
        self._columns: Columns = columns_for(80)
        self._needs = self.order.needs
        self._strips = RowStrips(self, glyphs.rule)
        self._drawn: dict[str, Moving] = {}
        self._seen: tuple[int, list[ListLine]] = (0, [])
        self._hover = -1
        self._arranged_at = 0.0
        self._stale = False
        self._cursor_line = 0
        self._cursor_lives = False
        self._turning = True

    # What the screen asks for.

    @property
    def current(self) -> TaskSummary | None:
        """The task that the cursor stands on."""
        return self.store.tasks.get(self.cursor) if self.cursor is not None else None

    def take(self, task_ids: Iterable[str]) -> None:
        """Take in that these tasks came, changed or went."""
        ids = list(task_ids)
        if len(ids) > max(200, self.order.total // 2):
            self.order.reset()
            self._arranged()
            return
        position = self.order.position
        visible = self._visible_lines()
        for task_id in ids:
            line = position.get(task_id)
            if line is not None and line in visible:
                self.refresh_line(line)
        if self.order.touch(ids) and not self._stale:
            wait = self._arranged_at + REARRANGE_SECONDS - monotonic()
            self._stale = True
            # The first lines are waited for by whoever has pressed a key already.
            if wait <= 0 or not self.order.lines:
                self.settle()
            else:
                self.set_timer(wait, self.settle)

    def settle(self) -> None:
        """Put the lines in order now if they are to be."""
        if self._stale:
            self.order.arrange()
            self._arranged(same_looks=True)

    def filter(self, query: str) -> None:
        """Show only the tasks that a filter holds for."""
        self.order.filter(query)
        self._arranged()

    def regroup(self, grouping: Grouping, sorting: Sorting) -> None:
        """Group and sort by something else."""
        self.order.regroup(grouping, sorting)
        self._measure()
        self._arranged()

    def select(self, selecting: bool) -> None:
        """Enter or leave selection mode; leaving it forgets the marks."""
        if selecting == self.selecting:
            return
        self.selecting = selecting
        if not selecting:
            self.marked.clear()
        self._measure()
        self.refresh()
        self.post_message(self.Marked())

    def toggle_mark(self) -> None:
        """Mark or unmark the task under the cursor."""
        if self.cursor is not None:
            self._toggle(self.cursor)

    def unmark(self, task_ids: Iterable[str]) -> None:
        """Take away marks; selection mode ends with the last one."""
        if self.selecting:
            self.marked.difference_update(task_ids)
            if self.marked:
                self.refresh()
                self.post_message(self.Marked())
            else:
                self.select(False)

    def leave(self, task_ids: frozenset[str]) -> None:
        """Show that these tasks, and no others, are archived in a moment."""
        changed, self._leaving = self._leaving ^ task_ids, task_ids
        for task_id in changed & self.order.position.keys():
            self.refresh_line(self.order.position[task_id])

    def mark_all(self) -> None:
        """Mark the cursor's group, then all tasks that are shown, then none of these; what is filtered at once."""
        shown = set(self.order.ids())
        wanted = shown if self.order.terms else self.order.group_of(self.cursor)
        if wanted <= self.marked:
            wanted = shown
        self.marked = self.marked - shown if wanted <= self.marked else self.marked | wanted
        self.refresh()
        self.post_message(self.Marked())

    def move(self, by: int) -> None:
        """Move the cursor by so many tasks, stopping at the ends."""
        self._go_to(self.order.further(self.cursor, by))

    def move_page(self, pages: float) -> None:
        """Move the cursor by some screens, down if positive."""
        self.move(page_lines(pages, self.scrollable_content_region.height))

    def move_to_end(self, direction: int) -> None:
        """Move the cursor to the first or the last task."""
        self._go_to(self.order.nearest(0 if direction < 0 else len(self.order.lines) - 1))

    def move_group(self, direction: int) -> None:
        """Move the cursor to the first task of the group below, or above."""
        self._go_to(self.order.head_of_next_group(self.cursor, direction))

    def _go_to(self, task_id: str | None) -> None:
        if task_id is not None:
            self.put_cursor(task_id)

    def waiting(self) -> list[str]:
        """The tasks shown that wait for a person, top to bottom."""
        tasks = self.store.tasks
        return [id_ for id_ in self.order.ids() if (task := tasks.get(id_)) is not None and needs_person(task)]

    def shows_whole(self, permission_id: str) -> bool:
        """Whether the cursor's line is in view and has all of this question, which its task asks first."""
        task = self.current
        if task is None or not task.asks or task.asks[0].permission_id != permission_id or not self.sees(task.task_id):
            return False
        return says_all(task, self._columns, self.glyphs, self.keys)

    def move_waiting(self, direction: int, without: Container[str] = ()) -> bool:
        """Move the cursor to the next task that waits for a person, from the end on to the beginning, if there is one.

        The tasks `without` wait no more, though the list has not heard of that.
        """
        waiting = [task_id for task_id in self.waiting() if task_id not in without]
        if not waiting:
            return False
        here = self.order.position.get(self.cursor or "", -1)
        position = self.order.position
        if direction > 0:
            self.put_cursor(next((id_ for id_ in waiting if position[id_] > here), waiting[0]))
        else:
            self.put_cursor(next((id_ for id_ in reversed(waiting) if position[id_] < here), waiting[-1]))
        return True

    def go_on_from(self, done: Container[str], wanted: Callable[[TaskSummary], bool]) -> None:
        """These tasks were seen to: a cursor on one of them goes on to the next that is wanted, below or above."""
        here, tasks = self.order.position.get(self.cursor or ""), self.store.tasks
        if here is not None and self.cursor in done:
            self._go_to(self.order.nearest(here, lambda id_: id_ in tasks and id_ not in done and wanted(tasks[id_])))

    def put_cursor(self, task_id: str | None) -> None:
        """Put the cursor on a task and scroll to it."""
        old = self.cursor
        position = self.order.position
        self.cursor = task_id
        if old is not None and old in position:
            self.refresh_line(position[old])
        if task_id is not None and task_id in position:
            self.refresh_line(position[task_id])
            self._scroll_to_cursor()
        if old != task_id:
            self._cursor_lives = self._is_alive(self.current)
            self.post_message(self.Highlighted())

    def sees(self, task_id: str) -> bool:
        """Whether the task's line is on the screen."""
        line = self.order.position.get(task_id)
        return line is not None and self.is_on_screen and line in self._visible_lines()

    @property
    def is_at_end(self) -> bool:
        """Whether the last line is on the screen."""
        return self._visible_lines().stop >= len(self.order.lines)

    # Time.

    def tick(self) -> None:
        """Draw again what time has changed: the glyph alone where that is all."""
        now = self.clock.now_ms()
        tasks = self.store.tasks
        columns = self._columns
        top = self.scroll_offset.y
        for line in self._visible_lines():
            task_id = self.order.lines[line]
            task = tasks.get(task_id) if isinstance(task_id, str) else None
            if task is None:
                continue
            moving = moving_parts(task, columns, self.glyphs, now, self._heard, self._creation(task.task_id))
            drawn = self._drawn.get(task.task_id)
            if drawn is None or moving == drawn:
                continue
            if moving.state == drawn.state and moving.age == drawn.age:
                self.refresh(Region(columns.glyph_at, line - top, 1, 1))
            else:
                self.refresh_line(line)

    @property
    def turning(self) -> bool:
        """Whether spinners are woken, because one is on the screen."""
        return self._turning

    def turn(self) -> None:
        """The frame is another: spinners on the screen turn."""
        # What is not heard of any more does not look busy.
        if not self.store.freshness().is_live or not self.is_on_screen or self.app.animation_level == "none":
            return
        tasks = self.store.tasks
        for line in self._visible_lines():
            task_id = self.order.lines[line]
            task = tasks.get(task_id) if isinstance(task_id, str) else None
            if task is not None and is_animated(task):
                self.tick()
                return
        # Drawing a task that moves wakes it again.
        self._turning = False
        self._spinner.pause()

    # Textual.

    def on_mount(self) -> None:
        self._spinner = self.set_interval(1 / FRAMES_A_SECOND, self.turn)
        self._measure()
        self._arranged()

    def on_resize(self) -> None:
        self._measure()
        self._set_virtual_size()
        self._scroll_to_cursor()
        self.refresh()

    def watch_show_vertical_scrollbar(self) -> None:
        """A bar that comes or goes takes a column of the lines, or gives it back."""
        self._measure()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.forget(styles=True)

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        width = self._columns.width
        lines = self.order.lines
        line = lines[number] if 0 <= number < len(lines) else None
        if isinstance(line, Heading):
            return self._strips.heading(line, width)
        task = self.store.tasks.get(line) if line is not None else None
        if task is None:
            if self.placeholder and not lines and y == self.scrollable_content_region.height // 2:
                return Strip([Segment(f"{self.placeholder:^{width}}", self._strips.style(Role.DIM, ""))])
            return blank(width, self.base)
        return self._row(task, number)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._set_hover(self._line_at(event))

    def on_leave(self) -> None:
        self._set_hover(-1)

    def on_click(self, event: events.Click) -> None:
        line = self._line_at(event)
        task_id = self.order.lines[line] if line >= 0 else None
        if not isinstance(task_id, str):
            return
        event.stop()
        self.focus()
        if self.selecting and event.x <= self._columns.glyph_at:
            self._toggle(task_id)
        elif task_id == self.cursor:
            self.post_message(self.Chosen(task_id))
        self.put_cursor(task_id)

    # Inside.

    def _toggle(self, task_id: str) -> None:
        self.marked ^= {task_id}
        self.refresh_line(self.order.position[task_id])
        self.post_message(self.Marked())

    def _line_at(self, event: events.MouseEvent) -> int:
        offset = event.get_content_offset(self)
        if offset is None:
            return -1
        line = offset.y + self.scroll_offset.y
        return line if 0 <= line < len(self.order.lines) else -1

    def _set_hover(self, line: int) -> None:
        old, self._hover = self._hover, line
        if old != line:
            for number in (old, line):
                if number >= 0:
                    self.refresh_line(number)

    def _is_refused(self, task_id: str) -> bool:
        return self._creation(task_id) == "refused"

    def _creation(self, task_id: str) -> str | None:
        if task_id in self._leaving:
            return LEAVING
        creation = self.store.creations.get(task_id)
        return creation_word(str(creation.state), self.store.freshness()) if creation is not None else None

    def _visible_lines(self) -> range:
        top = self.scroll_offset.y
        return range(top, min(len(self.order.lines), top + self.scrollable_content_region.height))

    def _measure(self) -> None:
        width = self.scrollable_content_region.width or 80
        self._needs = self.order.needs
        with_repo = self.order.grouping is Grouping.STATE
        self._columns = columns_for(width, self.order.needs, marks=self.selecting, with_repo=with_repo)
        self._strips.forget()
        self._drawn.clear()

    @staticmethod
    def _is_alive(task: TaskSummary | None) -> bool:
        return task is not None and task.status not in ENDED and task.status not in RELEASING

    def _has_ended(self) -> bool:
        """Whether the cursor's task was archived or killed: the cursor lets it go, and keeps to those that live."""
        return self._cursor_lives and not self._is_alive(self.current)

    def _fit_names(self) -> None:
        """Give the columns of names other widths if the longest names are others."""
        if self.order.needs != self._needs:
            self._measure()
            self.refresh()

    def _set_virtual_size(self) -> None:
        size = Size(self.scrollable_content_region.width, len(self.order.lines))
        if size != self.virtual_size:
            self.virtual_size = size

    def _arranged(self, *, same_looks: bool = False) -> None:
        """The lines are new: keep the cursor on its task, and its task where it is on the screen.

        With `same_looks` a line that holds what it held before need not be drawn again.
        """
        self._stale = False
        self._arranged_at = monotonic()
        seen_before = self._seen
        position = self.order.position
        self.marked &= self.store.tasks.keys()
        old_line = self._cursor_line
        gone = self.cursor is None or self.cursor not in position
        if gone:
            self.put_cursor(self.order.nearest(old_line))
        elif self._has_ended() and position[self.cursor or ""] != old_line:
            self.put_cursor(self.order.nearest(old_line, lambda id_: self._is_alive(self.store.tasks.get(id_))))
        self._cursor_lives = self._is_alive(self.current)
        self._fit_names()
        self._set_virtual_size()
        new_line = position.get(self.cursor or "", 0)
        if self.scroll_offset.y > 0 and new_line != old_line:
            self.scroll_to(y=max(0, self.scroll_offset.y + new_line - old_line), animate=False, immediate=True)
        self._scroll_to_cursor()
        self._note_seen()
        self._draw_changed(seen_before if same_looks else None)
        self.post_message(self.Rearranged())

    def _note_seen(self) -> None:
        """Remember which lines are on the screen."""
        visible = self._visible_lines()
        self._seen = (self.scroll_offset.y, self.order.lines[visible.start : visible.stop])

    def _draw_changed(self, before: tuple[int, list[ListLine]] | None) -> None:
        """Draw again the lines on the screen that are not what they were; all where that is not known."""
        top, lines = self._seen
        if before is None or before[0] != top or len(before[1]) != len(lines):
            self._drawn.clear()
            self.refresh()
            return
        for number, (old, new) in enumerate(zip(before[1], lines, strict=True), top):
            if old != new:
                self.refresh_line(number)

    def _scroll_to_cursor(self) -> None:
        line = self.order.position.get(self.cursor or "")
        if line is None:
            return
        self._cursor_line = line
        height = self.scrollable_content_region.height
        if not height:
            return
        top = self.scroll_offset.y
        # The heading above a group's first task comes into view with it.
        first = line - 1 if line and isinstance(self.order.lines[line - 1], Heading) else line
        if first < top:
            self.scroll_to(y=first, animate=False, immediate=True)
        elif line >= top + height:
            self.scroll_to(y=line - height + 1, animate=False, immediate=True)

    def _row(self, task: TaskSummary, number: int) -> Strip:
        task_id = task.task_id
        creation = self._creation(task_id)
        columns = self._columns
        moving = moving_parts(task, columns, self.glyphs, self.clock.now_ms(), self._heard, creation)
        self._drawn[task_id] = moving
        if not self._turning and is_animated(task):
            self._turning = True
            self._spinner.resume()
        highlighted = task_id == self.cursor
        ground = "row-cursor" if highlighted else "row-hover" if number == self._hover else ""
        marked = task_id in self.marked
        # What a person edits is shown before the backend's answer, under the same revision.
        key = (task_id, task.revision, task.title, task.unread, moving, ground, marked, creation, self.order.terms)
        strip = self._strips.known(key)
        if strip is None:
            refusal = self.store.creations[task_id].problem if creation == "refused" else None
            pieces = row_pieces(
                task,
                columns,
                self.glyphs,
                moving,
                creation=creation,
                reason=refusal.detail if refusal is not None else None,
                highlighted=highlighted,
                marked=marked,
                terms=self.order.terms,
                keys=self.keys,
            )
            strip = self._strips.draw(key, pieces, ground, columns.width)
        return strip
