"""Where a text occurs in a conversation: in which items, how often, and in which cells of their drawn lines."""

from collections.abc import Sequence

from msgspec import Struct

from foundry_tui.contract.transcript import PermissionBody, PlanBody, ToolCallBody, TranscriptItem, TranscriptKind
from foundry_tui.view.diffs import edit_lines
from foundry_tui.view.transcript import body_of


class Span(Struct, frozen=True):
    """A piece of an occurrence: characters of one drawn line. One that is wrapped has a piece on each of its lines."""

    line: int
    start: int
    end: int


class Match(Struct, frozen=True):
    """One occurrence: the item, and which one of those in the item it is, counted from 0."""

    item: int
    nth: int


def folded(text: str) -> str:
    """A text as it is compared: case and the kind of white space make no difference."""
    return " ".join(text.lower().split())


def searchable(item: TranscriptItem) -> str:
    """All that is drawn of an item when nothing of it is folded away, as it is compared."""
    body = body_of(item)
    if isinstance(body, ToolCallBody):
        diffs = [part for edit in body.edits for part in (edit.path, *_lines(edit.old, edit.new))]
        return folded(" ".join((body.title, body.kind, body.content, *diffs)))
    if isinstance(body, PlanBody):
        return folded(" ".join(("plan", *(entry.content for entry in body.entries))))
    if isinstance(body, PermissionBody):
        diffs = [part for edit in body.edits for part in (edit.path, *_lines(edit.old, edit.new))]
        return folded(" ".join((body.title, body.text or "", *body.paths, *diffs)))
    # What Markdown makes bold or code is drawn without its signs.
    return folded(body.replace("**", "").replace("`", "") if item.kind is TranscriptKind.MESSAGE else body)


def _lines(old: str | None, new: str) -> list[str]:
    return [line.text for line in edit_lines(old, new)]


def occurrences(lines: Sequence[str], wanted: str) -> list[tuple[Span, ...]]:
    """Where a text stands in drawn lines, also across their ends, as `folded` compares; pieces in order."""
    needle = folded(wanted)
    if not needle:
        return []
    text: list[str] = []
    places: list[tuple[int, int] | None] = []
    for number, line in enumerate(lines):
        for column, character in enumerate(line):
            if character.isspace():
                if text and text[-1] != " ":
                    text.append(" ")
                    places.append((number, column))
                continue
            for lower in character.lower():
                text.append(lower)
                places.append((number, column))
        if text and text[-1] != " ":
            text.append(" ")
            places.append(None)
    whole, found, at = "".join(text), [], 0
    while (at := whole.find(needle, at)) >= 0:
        pieces: dict[int, list[int]] = {}
        for place in places[at : at + len(needle)]:
            if place is not None:
                pieces.setdefault(place[0], []).append(place[1])
        found.append(tuple(Span(line, min(columns), max(columns) + 1) for line, columns in pieces.items()))
        at += len(needle)
    return found


class TranscriptSearch:
    """Counts a text in the items of a conversation. Items that did not change are not looked through again."""

    def __init__(self) -> None:
        self.wanted = ""
        """What is searched for, as it was typed; empty for nothing."""
        self._needle = ""
        self._texts: dict[str, tuple[TranscriptItem, str]] = {}
        self._counts: list[int] = []
        self.current: Match | None = None
        """The occurrence at which one is."""

    @property
    def total(self) -> int:
        """How often it occurs."""
        return sum(self._counts)

    @property
    def place(self) -> int:
        """Which occurrence is the current one, counted from 1; 0 for none."""
        here = self.current
        return sum(self._counts[: here.item]) + here.nth + 1 if here is not None else 0

    def begin(self, wanted: str, items: Sequence[TranscriptItem]) -> None:
        """Search for something else."""
        self.wanted, self._needle, self.current = wanted, folded(wanted), None
        self._counts = []
        self.items_changed(items, 0)

    def items_changed(self, items: Sequence[TranscriptItem], first: int) -> None:
        """From `first` on the items are others now."""
        if not self._needle:
            self._counts = []
            return
        del self._counts[first:]
        self._counts += [self._text(item).count(self._needle) for item in items[len(self._counts) :]]
        here = self.current
        if here is not None and (here.item >= len(self._counts) or here.nth >= self._counts[here.item]):
            self.current = None

    def _text(self, item: TranscriptItem) -> str:
        known = self._texts.get(item.item_id)
        if known is None or known[0] is not item:
            known = self._texts[item.item_id] = (item, searchable(item))
        return known[1]

    def count(self, item: int) -> int:
        """How often it occurs in this item."""
        return self._counts[item] if item < len(self._counts) else 0

    def nearest(self, item: int, nth: int) -> Match | None:
        """The occurrence here or further down; failing that the last one."""
        for place in range(item, len(self._counts)):
            from_ = nth if place == item else 0
            if self._counts[place] > from_:
                return Match(place, from_)
        return self._before(len(self._counts), 0)

    def step(self, direction: int) -> Match | None:
        """The occurrence behind the current one, or before it; from the last one on to the first."""
        here = self.current
        if here is None:
            return self.nearest(0, 0) if direction > 0 else self._before(len(self._counts), 0)
        if direction > 0:
            found = self.nearest(here.item, here.nth + 1)
            return found if found is not None and self._order(found) > self._order(here) else self.nearest(0, 0)
        return self._before(here.item, here.nth) or self._before(len(self._counts), 0)

    def _before(self, item: int, nth: int) -> Match | None:
        if nth > 0:
            return Match(item, nth - 1)
        for place in range(min(item, len(self._counts)) - 1, -1, -1):
            if self._counts[place]:
                return Match(place, self._counts[place] - 1)
        return None

    @staticmethod
    def _order(match: Match) -> tuple[int, int]:
        return match.item, match.nth
