"""The transcript of a session. Only the items in view are drawn, and only those that changed are drawn again."""

from collections.abc import Mapping, Sequence

from textual.cache import LRUCache
from textual.strip import Strip

from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import Prompt
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.view.line_index import LineIndex
from foundry_tui.view.transcript import (
    Entry,
    entry_of,
    entry_of_prompt,
    estimated_height,
    first_difference,
    prompts_by_item,
)
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.transcript_strips import Drawer, TranscriptPalette, palette_of

REMEMBERED = 1024
"""Drawn items that are kept; the others are drawn again when they come into sight."""

_Mark = Prompt | Permission | None


class Transcript(Lines):
    """What was said and done in a session, the prompts that wait to be delivered behind it.

    An item that was never in view has an estimated height. It is drawn, and its height measured, before it comes into
    view. Lines in view do not move when the height of an item above them changes.
    """

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._items: Sequence[TranscriptItem] = ()
        self._told: Sequence[Prompt] = ()
        self._waiting: tuple[Prompt, ...] = ()
        self._prompts: Mapping[str, Prompt] = {}
        self._permissions: Mapping[str, Permission] = {}
        self._index = LineIndex()
        self._true: set[str] = set()
        self._drawn: LRUCache[str, tuple[object, _Mark, list[Strip]]] = LRUCache(REMEMBERED)
        self._drawer: Drawer | None = None
        self._drawer_key: tuple[int, TranscriptPalette, bool] | None = None
        self._unfolded = False

    @property
    def unfolded(self) -> bool:
        """Whether thoughts, output and diffs are shown whole."""
        return self._unfolded

    @property
    def line_count(self) -> int:
        return self._index.total

    def fold(self, unfolded: bool) -> None:
        """Show thoughts, output and diffs whole, or their first lines."""
        if unfolded != self._unfolded:
            self._unfolded = unfolded
            self._start_over()

    def show(
        self,
        items: Sequence[TranscriptItem],
        prompts: Sequence[Prompt] = (),
        permissions: Sequence[Permission] = (),
    ) -> None:
        """Show a version of the transcript; what did not change since the last one costs next to nothing."""
        old_items, old_waiting = self._items, self._waiting
        items = list(items)
        first = first_difference(old_items, items) if old_items else 0
        marks_before = (self._prompts, self._permissions)
        if prompts != self._told or any(item.kind is TranscriptKind.PROMPT for item in items[first:]):
            self._told = prompts
            self._prompts, self._waiting = prompts_by_item(items, prompts)
        self._permissions = {permission.permission_id: permission for permission in permissions}
        self._items = items
        marked = self._changed_marks(*marks_before) if (self._prompts, self._permissions) != marks_before else set()
        if first == len(old_items) == len(items) and old_waiting == self._waiting and not marked:
            return
        self._true.difference_update(item.item_id for item in items[first:])
        self._true -= marked
        self._true.difference_update(prompt.prompt_id for prompt in (*old_waiting, *self._waiting))
        # Also while there is no width to draw in: what is known of items that are gone must not outlive them.
        self._index.truncate(min(first, len(self._index)))
        self._settle()

    def _changed_marks(self, prompts: Mapping[str, Prompt], permissions: Mapping[str, Permission]) -> set[str]:
        changed = {key for key in self._prompts.keys() | prompts.keys() if self._prompts.get(key) != prompts.get(key)}
        if permissions != self._permissions:
            changed |= {item.item_id for item in self._items if item.kind is TranscriptKind.PERMISSION}
        return changed

    def _extend_index(self) -> None:
        width = self.lines_width - 2
        known = len(self._index)
        count = len(self._items)
        self._index.extend(estimated_height(item, width) for item in self._items[known:])
        self._index.extend(3 for _ in self._waiting[max(0, known - count) :])

    def _start_over(self) -> None:
        """Forget all that was drawn: width, colours or folding are others. What is in sight stays in sight."""
        self._true.clear()
        self._drawn.clear()
        if not self.lines_width:
            return
        anchor = self._anchor()
        self._index = LineIndex()
        self._extend_index()
        if anchor is not None and not self._follow:
            item, line = anchor
            self._make_true(item)
            self._settling = True
            self._set_line_count(self._index.total)
            self._jump(self._index.start(item) + min(line, self._index.height(item) - 1))
            self._settling = False
        self._settle()

    def _anchor(self) -> tuple[int, int] | None:
        top = round(self.scroll_y)
        return self._index.locate(top) if 0 <= top < self._index.total else None

    def resized(self) -> None:
        if self._drawer is None or self._drawer.width != self.lines_width:
            self._start_over()
        else:
            self._settle()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self._drawer_key is not None and self._palette() != self._drawer_key[1]:
            self._start_over()

    def scrolled(self) -> None:
        self._settle(keep_follow=False)

    def move_to_end(self) -> None:
        # The end is where it is only once what stands there has its true height.
        self._note_follow(True)
        self._settle()

    def _settle(self, *, keep_follow: bool = True) -> None:
        """Make true the heights of what is in sight and of a screen around it, and stand where one stood."""
        height = self.scrollable_content_region.height
        if not height or not self.lines_width or self._settling:
            return
        self._settling = True
        try:
            self._extend_index()
            if self._follow and keep_follow:
                self._settle_end(2 * height)
                self._set_line_count(self._index.total)
                self._jump(self.max_scroll_y)
            else:
                self._settle_around(round(self.scroll_y), height)
        finally:
            self._settling = False
        self.redraw()

    def _settle_end(self, lines: int) -> None:
        item = len(self._index) - 1
        while item >= 0 and lines > 0:
            self._make_true(item)
            lines -= self._index.height(item)
            item -= 1

    def _settle_around(self, top: int, height: int) -> None:
        total = self._index.total
        if not total:
            self._set_line_count(0)
            return
        anchor, inside = self._index.locate(min(top, total - 1))
        self._make_true(anchor)
        inside = min(inside, self._index.height(anchor) - 1)
        above, item = height, anchor - 1
        while item >= 0 and above > 0:
            self._make_true(item)
            above -= self._index.height(item)
            item -= 1
        below, item = 2 * height, anchor
        while item < len(self._index) and below > 0:
            self._make_true(item)
            below -= self._index.height(item)
            item += 1
        self._set_line_count(self._index.total)
        self._jump(min(self._index.start(anchor) + inside, self.max_scroll_y))

    def _make_true(self, item: int) -> None:
        key = self._key(item)
        if key not in self._true:
            self._index.set(item, len(self._strips(item)))
            self._true.add(key)

    def _key(self, item: int) -> str:
        if item < len(self._items):
            return self._items[item].item_id
        return self._waiting[item - len(self._items)].prompt_id

    def _strips(self, item: int) -> list[Strip]:
        """The lines of an item, from memory if neither it nor what is known about it changed."""
        key = self._key(item)
        record: TranscriptItem | Prompt
        if item < len(self._items):
            said = record = self._items[item]
            mark = self._mark(said)
        else:
            record, mark = self._waiting[item - len(self._items)], None
        kept = self._drawn.get(key)
        if kept is not None and kept[0] is record and kept[1] is mark:
            return kept[2]
        strips = self._draw(self._entry(record))
        # Setting a key that is there changes nothing.
        self._drawn.discard(key)
        self._drawn[key] = (record, mark, strips)
        return strips

    def _mark(self, item: TranscriptItem) -> _Mark:
        if item.kind is TranscriptKind.PROMPT:
            return self._prompts.get(item.item_id)
        if item.kind is TranscriptKind.PERMISSION and isinstance(item.body, dict):
            return self._permissions.get(str(item.body.get("permission_id")))
        return None

    def _entry(self, record: TranscriptItem | Prompt) -> Entry:
        if isinstance(record, Prompt):
            return entry_of_prompt(record)
        return entry_of(record, self._prompts, self._permissions)

    def _draw(self, entry: Entry) -> list[Strip]:
        width = self.lines_width
        key = (width, self._palette(), self._unfolded)
        if self._drawer is None or key != self._drawer_key:
            self._drawer_key = key
            self._drawer = Drawer(width, key[1], unfolded=self._unfolded)
        return self._drawer.draw(entry)

    def strip_at(self, line: int) -> Strip:
        item, inside = self._index.locate(line)
        strips = self._strips(item)
        return strips[inside] if inside < len(strips) else Strip.blank(self.lines_width)

    def _palette(self) -> TranscriptPalette:
        return palette_of(self, self._ascii)
