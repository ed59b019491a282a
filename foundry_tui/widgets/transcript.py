"""The transcript of a session. Only the items in view are drawn, and only those that changed are drawn again."""

from collections.abc import Mapping, Sequence

from rich.segment import Segment
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.strip import Strip

from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import Prompt
from foundry_tui.contract.transcript import PlanBody, TranscriptItem, TranscriptKind
from foundry_tui.view.code_blocks import blocks_between
from foundry_tui.view.line_index import LineIndex
from foundry_tui.view.transcript import (
    Entry,
    body_of,
    entry_of,
    entry_of_prompt,
    estimated_height,
    first_difference,
    is_asked_below,
    is_cut,
    prompts_by_item,
)
from foundry_tui.view.transcript_search import Match, Span, TranscriptSearch, occurrences
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.overlays import marked, with_label
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.transcript_strips import Drawer, TranscriptPalette, palette_of

REMEMBERED = 1024
"""Drawn items that are kept; the others are drawn again when they come into sight."""

FOLDABLE = frozenset({TranscriptKind.TOOL_CALL, TranscriptKind.THOUGHT})
"""Kinds of items that are marked one after the other, to be shown whole."""
MOST_NUMBERS = 9
"""Blocks of code that have a number at a time: one digit each."""

_Mark = Prompt | Permission | bool | None


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
        self._drawer_key: tuple[int, TranscriptPalette] | None = None
        self._unfolded = False
        self._others: set[str] = set()
        """Items that are shown whole while all are folded, or folded while all are shown whole."""
        self._foldable: set[str] = set()
        """Items of which something is left out while they are folded; of those that were drawn."""
        self._latest: dict[TranscriptKind, int] = {}
        self._search = TranscriptSearch()
        self._spans: LRUCache[str, tuple[list[Strip], str, Sequence[tuple[Span, ...]]]] = LRUCache(REMEMBERED)
        self._numbers: dict[int, int] = {}
        self._picking = False
        self._chosen: str | None = None

    @property
    def unfolded(self) -> bool:
        """Whether thoughts, output and diffs are shown whole."""
        return self._unfolded

    @property
    def line_count(self) -> int:
        return self._index.total

    def fold(self, unfolded: bool) -> None:
        """Show thoughts, output and diffs whole, or their first lines."""
        if unfolded != self._unfolded or self._others:
            self._unfolded = unfolded
            self._others.clear()
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
        self._note_latest(items, first)
        marks_before = (self._prompts, self._permissions)
        if prompts != self._told or any(item.kind is TranscriptKind.PROMPT for item in items[first:]):
            self._told = prompts
            self._prompts, self._waiting = prompts_by_item(items, prompts)
        self._permissions = {permission.permission_id: permission for permission in permissions}
        self._items = items
        if self._search.wanted:
            self._search.items_changed(items, first)
        changed = self._changed_marks(*marks_before) if (self._prompts, self._permissions) != marks_before else set()
        if first == len(old_items) == len(items) and old_waiting == self._waiting and not changed:
            return
        self._true.difference_update(item.item_id for item in items[first:])
        self._true -= changed
        self._true.difference_update(prompt.prompt_id for prompt in (*old_waiting, *self._waiting))
        # Also while there is no width to draw in: what is known of items that are gone must not outlive them.
        self._index.truncate(min(first, len(self._index)))
        self._settle()

    def _changed_marks(self, prompts: Mapping[str, Prompt], permissions: Mapping[str, Permission]) -> set[str]:
        changed = {key for key in self._prompts.keys() | prompts.keys() if self._prompts.get(key) != prompts.get(key)}
        if permissions != self._permissions:
            changed |= {item.item_id for item in self._items if item.kind is TranscriptKind.PERMISSION}
        return changed

    def _note_latest(self, items: Sequence[TranscriptItem], first: int) -> None:
        """Keep in mind where the last plan and the last message stand; before `first` nothing has changed."""
        for kind in (TranscriptKind.PLAN, TranscriptKind.MESSAGE):
            known = self._latest.pop(kind, -1)
            unread = range(len(items) - 1, (first if known < first else 0) - 1, -1)
            place = next((place for place in unread if items[place].kind is kind), known if known < first else -1)
            if place >= 0:
                self._latest[kind] = place

    @property
    def plan(self) -> PlanBody | None:
        """The agent's plan as it told it last."""
        place = self._latest.get(TranscriptKind.PLAN)
        body = body_of(self._items[place]) if place is not None else None
        return body if isinstance(body, PlanBody) else None

    @property
    def last_answer(self) -> str:
        """What the agent said last; empty for nothing."""
        place = self._latest.get(TranscriptKind.MESSAGE)
        return str(self._items[place].body) if place is not None else ""

    @property
    def last_item(self) -> TranscriptItem | None:
        """What was said or done last."""
        return self._items[-1] if self._items else None

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
            self.jump(self._index.start(item) + min(line, self._index.height(item) - 1))
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
        if not height or not self.lines_width:
            # Out of sight, and in sight again perhaps with the size that was drawn last.
            self._drawn_size = Size()
            return
        if self._settling:
            return
        self._settling = True
        try:
            self._extend_index()
            if self._follow and keep_follow:
                self._settle_end(2 * height)
                self._set_line_count(self._index.total)
                self.jump(self.max_scroll_y)
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
        self.jump(min(self._index.start(anchor) + inside, self.max_scroll_y))

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
            record, mark = self._items[item], self._mark(item)
        else:
            record, mark = self._waiting[item - len(self._items)], None
        kept = self._drawn.get(key)
        if kept is not None and kept[0] is record and kept[1] is mark:
            return kept[2]
        if isinstance(record, Prompt):
            entry = entry_of_prompt(record)
        else:
            entry = entry_of(record, self._prompts, self._permissions, cut=mark is True)
        strips = [] if is_asked_below(entry) else self._draw(entry, unfolded=self._unfolded ^ (key in self._others))
        # Setting a key that is there changes nothing.
        self._drawn.discard(key)
        self._drawn[key] = (record, mark, strips)
        return strips

    def _mark(self, place: int) -> _Mark:
        item = self._items[place]
        if item.kind is TranscriptKind.TOOL_CALL:
            return is_cut(self._items, place, self._prompts)
        if item.kind is TranscriptKind.PROMPT:
            return self._prompts.get(item.item_id)
        if item.kind is TranscriptKind.PERMISSION and isinstance(item.body, dict):
            return self._permissions.get(str(item.body.get("permission_id")))
        return None

    def _draw(self, entry: Entry, *, unfolded: bool) -> list[Strip]:
        key = (self.lines_width, self._palette())
        if self._drawer is None or key != self._drawer_key:
            self._drawer_key = key
            self._drawer = Drawer(*key)
        self._drawer.unfolded, self._drawer.folds = unfolded, False
        strips = self._drawer.draw(entry)
        (self._foldable.add if self._drawer.folds else self._foldable.discard)(entry.key)
        return strips

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._picking:
            self._numbers = {line: number for number, (line, _) in enumerate(self.code_in_view(), 1)}
        return super().render_lines(crop)

    def strip_at(self, line: int) -> Strip:
        item, inside = self._index.locate(line)
        strips = self._strips(item)
        if inside >= len(strips):
            return Strip.blank(self.lines_width)
        strip = strips[inside]
        if self._search.count(item):
            strip = self._with_matches(strip, item, inside)
        if not inside and self._chosen is not None and self._key(item) == self._chosen:
            strip = self._as_chosen(strip)
        if line in self._numbers:
            strip = with_label(strip, f" {self._numbers[line]} ", style_of(self, "transcript--number"))
        return strip

    def _as_chosen(self, strip: Strip) -> Strip:
        """The first line of the marked item: a mark of its own before it, and a row one sees."""
        style = style_of(self, "transcript--chosen")
        text = ("> " if self._ascii else "▶ ") + strip.text[2:]
        if self.app.current_theme.ansi:
            # Reversed colours of several pieces would look like several things.
            return Strip([Segment(text, style)])
        rest = marked(strip, 0, len(strip.text), style)
        return Strip.join([Strip([Segment(text[:2], style)]), rest.crop(2)])

    def on_click(self, event: events.Click) -> None:
        """A click on the first line of something folded, or on what stands for the rest, shows it whole, or not."""
        line = round(self.scroll_y) + event.y
        if not 0 <= line < self.line_count:
            return
        item, inside = self._index.locate(line)
        if self._key(item) in self._foldable and (not inside or inside == len(self._strips(item)) - 2):
            self._toggle(item)

    # Tool calls and thoughts, one by one.

    def _in_view(self) -> range:
        """The items of which something is in sight."""
        top, height = round(self.scroll_y), self.scrollable_content_region.height
        total = self._index.total
        if not total or not height:
            return range(0)
        first, _ = self._index.locate(min(top, total - 1))
        last, _ = self._index.locate(min(top + height, total) - 1)
        return range(first, last + 1)

    @property
    def has_folds(self) -> bool:
        """Whether something in sight can be shown whole, or folded."""
        return any(self._key(item) in self._foldable for item in self._in_view())

    def choose(self, direction: int) -> bool:
        """Mark the next tool call or thought in this direction; whether there is one."""
        seen = self._in_view()
        at = next((place for place, item in enumerate(self._items) if item.item_id == self._chosen), None)
        if at is None or at not in seen:
            at = seen.start - 1 if direction > 0 else seen.stop
        places = range(at + 1, len(self._items)) if direction > 0 else range(min(at, len(self._items)) - 1, -1, -1)
        place = next((place for place in places if self._items[place].kind in FOLDABLE), None)
        if place is None:
            return False
        self._chosen = self._items[place].item_id
        self._bring(place, 0)
        self.redraw()
        return True

    def release(self) -> bool:
        """Mark none any more; whether one was marked."""
        chosen, self._chosen = self._chosen, None
        if chosen is not None:
            self.redraw()
        return chosen is not None

    def toggle_fold(self) -> bool:
        """Show the marked item whole, or folded; the lowest one in sight if none is marked. Whether there is one."""
        keys = {place: self._key(place) for place in self._in_view()}
        chosen = [place for place, key in keys.items() if key == self._chosen]
        place = next((place for place in chosen or sorted(keys, reverse=True) if keys[place] in self._foldable), None)
        if place is not None:
            self._toggle(place)
        return place is not None

    def _toggle(self, item: int) -> None:
        key = self._key(item)
        self._others ^= {key}
        self._drawn.discard(key)
        self._true.discard(key)
        self._note_follow(False)
        self._settle()
        # As much of it as there is room for, from its first line on.
        start, top = self._index.start(item), round(self.scroll_y)
        below = start + self._index.height(item) - top - self.scrollable_content_region.height
        if start < top or below > 0:
            self.move(min(start - top, max(0, below)))
        self._note_follow(self.scroll_y >= self.max_scroll_y)

    def _bring(self, item: int, line: int) -> None:
        """Have this line of an item in sight; again if the heights of items on the way were estimated wrongly."""
        for _ in range(3):
            self._make_true(item)
            at = self._index.start(item) + min(line, self._index.height(item) - 1)
            top, height = round(self.scroll_y), max(1, self.scrollable_content_region.height)
            if top <= at < top + height:
                return
            self._set_line_count(self._index.total)
            self.move(at - top - height // 3)

    # Search.

    @property
    def search(self) -> TranscriptSearch:
        """What is searched for, and where it was found."""
        return self._search

    def search_for(self, wanted: str) -> None:
        """Search for a text, and show where it stands from what is in sight on; empty: end the search."""
        seen = self._in_view()
        self._search.begin(wanted, self._items)
        self._spans.clear()
        found = self._search.nearest(seen.start, 0) if wanted else None
        if found is not None:
            self._go_to(found)
        self.redraw()

    def find(self, direction: int) -> None:
        """Go to the next match, or to the one before."""
        found = self._search.step(direction)
        if found is not None:
            self._go_to(found)
        self.redraw()

    def _go_to(self, match: Match) -> None:
        self._search.current = match
        key = self._key(match.item)
        pieces = self._matches(match.item)
        if match.nth >= len(pieces) and key in self._foldable and not self._unfolded ^ (key in self._others):
            self._toggle(match.item)
            pieces = self._matches(match.item)
        line = pieces[min(match.nth, len(pieces) - 1)][0].line if pieces else 0
        self._bring(match.item, line)

    def _matches(self, item: int) -> Sequence[tuple[Span, ...]]:
        """Where it stands in the lines of this item, as they are drawn."""
        key, strips = self._key(item), self._strips(item)
        kept = self._spans.get(key)
        if kept is None or kept[0] is not strips or kept[1] != self._search.wanted:
            kept = (strips, self._search.wanted, occurrences([strip.text for strip in strips], self._search.wanted))
            self._spans.discard(key)
            self._spans[key] = kept
        return kept[2]

    def _with_matches(self, strip: Strip, item: int, inside: int) -> Strip:
        here = self._search.current
        for nth, pieces in enumerate(self._matches(item)):
            name = "transcript--found-here" if here == Match(item, nth) else "transcript--found"
            for piece in pieces:
                if piece.line == inside:
                    strip = marked(strip, piece.start, piece.end, style_of(self, name))
        return strip

    # Code.

    @property
    def has_code(self) -> bool:
        """Whether a message that is in sight has a block of code."""
        return any("```" in body or "~~~" in body for _, body in self._messages_in_view())

    def _messages_in_view(self) -> list[tuple[int, str]]:
        return [
            (place, str(self._items[place].body))
            for place in self._in_view()
            if place < len(self._items) and self._items[place].kind is TranscriptKind.MESSAGE
        ]

    def code_in_view(self) -> list[tuple[int, str]]:
        """The blocks of code in sight: the first line of each that is, and its text."""
        top = round(self.scroll_y)
        bottom = top + self.scrollable_content_region.height
        found: list[tuple[int, str]] = []
        for place, body in self._messages_in_view():
            drawn = [strip.text for strip in self._strips(place)]
            found += blocks_between(top, bottom, body, drawn, self._index.start(place))
        return found[:MOST_NUMBERS]

    def number_code(self, shown: bool) -> None:
        """Show numbers at the blocks of code in sight, or no more."""
        self._picking = shown
        self._numbers = {}
        self.redraw()

    def _palette(self) -> TranscriptPalette:
        return palette_of(self, self._ascii)
