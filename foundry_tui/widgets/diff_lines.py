"""A diff of many files as lines that scroll: only what is in view is drawn."""

import asyncio
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from foundry_tui.client.comments import Comment
from foundry_tui.contract.pull_request import Comment as Reviewed
from foundry_tui.contract.records import FileDiff
from foundry_tui.view.comments import PlacedComment
from foundry_tui.view.diff_rows import HEAD, DiffDocument, FileInDiff, Place, RowKind
from foundry_tui.widgets.diff_strips import DiffPalette, DiffStrips, diff_palette, padded
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.syntax_colours import SyntaxColours
from foundry_tui.widgets.transcript_strips import code_theme

SPLIT_FROM = 140
"""Columns of the terminal from which old and new stand side by side."""
SPLIT_LEAST = 110
"""Columns that the diff itself needs for that."""
KEPT_STRIPS = 1_000
SHIFT = 8
"""Columns by which long lines are moved at a time."""


class DiffLines(Lines):
    """All files of a diff, with a cursor. The head of the file that is in view stays at the top."""

    class Moved(Message):
        """The cursor stands elsewhere, or what is shown is something else."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(follow=False, id=id)
        self.document = DiffDocument()
        self.cursor = 0
        self._jumping = False
        """Whether the view is moved to where the cursor is, and not the other way round."""
        self.marked: int | None = None
        """The row at which a range of lines begins that ends at the cursor."""
        self.matches: Sequence[tuple[int, int]] = ()
        """Where what is searched for was found: files, and their heads or lines of their patches."""
        self.match = 0
        """Which of them one is at, counted from 1; 0 for none."""
        self._colours = SyntaxColours(self._load)
        self._strips = DiffStrips(self.document, self._colours, ascii_only=ascii_only)
        self._drawn: LRUCache[int, Strip] = LRUCache(KEPT_STRIPS)
        self._drawn_with: tuple[DiffPalette, str, int] | None = None
        self.wraps = False
        """Whether long lines have several rows; else they are cut."""
        self.note = ""
        """What is said where there are no files."""
        self._ascii = ascii_only

    # What is shown.

    def show(self, diffs: Sequence[FileDiff], note: str, *, whole: bool = True) -> None:
        """Show these files, where one was; `note` is said when there are none. `whole`: they are all that changed."""
        if diffs and list(diffs) == self.document.diffs and whole == self.document.whole:
            return
        self.note = note
        # Before there were changes nobody stood anywhere in them.
        held = self._held() if self.document.file_count else (None, 0)
        marked = self.document.place_of(self.marked) if self.marked is not None else None
        self.document.set_split(self._fits_split)
        self.document.whole = whole
        self.document.show(diffs)
        self.marked = self.document.find(marked) if marked is not None else None
        self._strips.forget()
        self._search_again()
        self._take(held)

    def _held(self) -> tuple[Place | None, int]:
        """Where the cursor is, and how far below the top."""
        return self.document.place_of(self.cursor), self.cursor - round(self.scroll_y)

    def _take(self, held: tuple[Place | None, int]) -> None:
        """Others are the rows: stand where one was."""
        place, below = held
        self._drawn.clear()
        self.cursor = self.document.find(place) if place is not None else 0
        self.lines_changed()
        self.jump(max(0, min(self.cursor - below, self.max_scroll_y)))
        self.post_message(self.Moved())

    @property
    def searched(self) -> str:
        """What is searched for; empty for nothing."""
        return self._strips.searched

    def resized(self) -> None:
        held = self._held()
        self.document.set_split(self._fits_split)
        self._strips.width = self.lines_width
        self.document.set_width(self._strips.comment_width - 1)
        self.document.set_wrap(self.lines_width if self.wraps else 0)
        self._take(held)
        self.to_row(self.cursor)

    @property
    def line_count(self) -> int:
        return max(1, self.document.row_count)

    @property
    def _fits_split(self) -> bool:
        return self.app.size.width >= SPLIT_FROM and self.size.width >= SPLIT_LEAST

    # Comments.

    def show_comments(self, comments: Sequence[Comment]) -> None:
        """Show these comments under their lines."""
        held = self._held()
        self.document.set_comments(comments)
        self._strips.forget()
        self._take(held)

    def show_reviews(self, reviews: Sequence[Reviewed]) -> None:
        """Show what reviewers said under its lines."""
        held = self._held()
        self.document.set_reviews(reviews)
        self._strips.forget()
        self._take(held)

    @property
    def range(self) -> tuple[int, int]:
        """The rows that are marked, or that of the cursor; all of one file."""
        if self.marked is None or self.document.file_at(self.marked) != self.document.file_at(self.cursor):
            return self.cursor, self.cursor
        return min(self.marked, self.cursor), max(self.marked, self.cursor)

    @property
    def comment_here(self) -> Comment | None:
        """The comment of one's own in the row of the cursor."""
        said = self._said_here
        return said.comment if said is not None and not said.author else None

    @property
    def _said_here(self) -> PlacedComment | None:
        """What is said in the row of the cursor, by whomever."""
        if not self.document.files:
            return None
        number, row = self.document.row_at(self.cursor)
        return self.document.files[number].comments[row.left] if row.kind is RowKind.COMMENT else None

    def mark(self, marked: bool) -> None:
        """Begin a range of lines at the cursor, or mark none."""
        self.marked = self.cursor if marked else None
        self.refresh()
        self.post_message(self.Moved())

    # Where one is.

    @property
    def file(self) -> FileInDiff | None:
        """The file at the cursor."""
        files = self.document.files
        return files[self.document.file_at(self.cursor)] if files else None

    def to_row(self, row: int, *, context: bool = False) -> None:
        """Put the cursor there and in sight; `context`: with what follows it in sight too."""
        last = self.line_count - 1
        self.cursor = max(0, min(row, last))
        top, height = round(self.scroll_y), max(1, self.scrollable_content_region.height)
        # The first row in sight is the head of the file.
        lowest = top + (height * 2 // 3 if context else height - 1)
        covered = top > 0 and self.document.row_at(top)[1].kind is not RowKind.FILE
        if not top + covered <= self.cursor <= lowest:
            if context:
                top = self.cursor - height // 4
            else:
                top = self.cursor - 1 if self.cursor <= top else self.cursor - height + 1
            self.jump(max(0, min(top, self.max_scroll_y)))
        self.refresh()
        self.post_message(self.Moved())

    def leave_gap(self) -> None:
        """Go from a gap, or from what is said above the lines, to the next line of the file's code, if there is one."""
        if self.marked is not None or not self.document.files or self._is_at_name:
            return
        here = self.document.file_at(self.cursor)
        for row in range(self.cursor, self.line_count):
            number, found = self.document.row_at(row)
            if number != here:
                return
            if found.kind is RowKind.CODE:
                self.to_row(row)
                return

    def jump(self, line: float) -> None:
        self._jumping = True
        super().jump(line)
        self._jumping = False

    def lines_changed(self) -> None:
        self._jumping = True
        super().lines_changed()
        self._jumping = False

    def scrolled(self) -> None:
        # The wheel and the scrollbar take the cursor along: keys go on from what is in sight.
        top, height = round(self.scroll_y), max(1, self.scrollable_content_region.height)
        cursor = max(top + (top > 0), min(self.cursor, top + height - 1, self.line_count - 1))
        if not self._jumping and cursor != self.cursor:
            self.cursor = cursor
            self.post_message(self.Moved())

    def move(self, lines: int) -> None:
        self.to_row(self.cursor + lines)

    def move_page(self, pages: float) -> None:
        lines = round(pages * max(1, self.scrollable_content_region.height - 2))
        self.jump(max(0, min(round(self.scroll_y) + lines, self.max_scroll_y)))
        self.to_row(self.cursor + lines)

    def move_to_start(self) -> None:
        self.to_row(0)

    def move_to_end(self) -> None:
        self.to_row(self.line_count - 1)

    def to_hunk(self, direction: int) -> bool:
        """To the next hunk, or the one before. Whether there is one."""
        rows = self.document.hunk_rows()
        ahead = [row for row in rows if (row > self.cursor if direction > 0 else row < self.cursor)]
        if ahead:
            self.to_row(ahead[0 if direction > 0 else -1], context=True)
        return bool(ahead)

    def to_file(self, direction: int) -> bool:
        """To the next file, or to the beginning of this one, then to the one before. Whether there is one."""
        if not self.document.files:
            return False
        at = self.document.file_at(self.cursor)
        start = self.document.start_of(at)
        to = at + 1 if direction > 0 else at if self.cursor > start else at - 1
        if not 0 <= to < len(self.document.files):
            return False
        self.cursor = self.document.start_of(to)
        self.jump(max(0, min(self.cursor, self.max_scroll_y)))
        self.to_row(self.cursor)
        return True

    def to_path(self, path: str) -> None:
        """To the file of this path, if there is one."""
        for number, file in enumerate(self.document.files):
            if file.diff.path == path:
                self.jump(max(0, min(self.document.start_of(number), self.max_scroll_y)))
                self.to_row(self.document.start_of(number))

    @property
    def at_head(self) -> bool:
        """Whether the cursor is where something is folded: on a file's name, or on what was said and is resolved."""
        if not self.document.files:
            return False
        said = self._said_here
        return said.is_settled if said is not None else self._is_at_name

    @property
    def _is_at_name(self) -> bool:
        return self.document.row_at(self.cursor)[1].kind is RowKind.FILE

    # How it is shown.

    def toggle_fold(self) -> None:
        """Fold the file at the cursor, or unfold it; where something resolved is said, that."""
        if (said := self._said_here) is not None and said.is_settled:
            held = self._held()
            self.document.open_review(said.comment.comment_id)
            self._take(held)
        elif self.document.files:
            at = self.document.file_at(self.cursor)
            folded = not self.document.is_folded(at)
            held = (Place(self.document.files[at].diff.path), max(0, self.cursor - round(self.scroll_y)))
            self.document.fold(at, folded)
            self._take(held if folded else self._held())

    def toggle_fold_all(self) -> None:
        """Fold all files, or unfold all where none is unfolded."""
        held = self._held()
        self.document.fold_all(not all(map(self.document.is_folded, range(len(self.document.files)))))
        self._take(held)

    def toggle_space(self) -> None:
        """Ignore changes of white space, or not."""
        held = self._held()
        self.document.ignore_space(not self.document.ignores_space)
        self._strips.forget()
        self._search_again()
        self._take(held)

    def toggle_wrap(self) -> None:
        """Wrap long lines, or cut them at the edge."""
        held = self._held()
        self.wraps = not self.wraps
        self._strips.shift = 0
        self.document.set_wrap(self.lines_width if self.wraps else 0)
        self._take(held)
        self.to_row(self.cursor)

    def move_columns(self, direction: int) -> None:
        """Show what lies further right in long lines, or further left."""
        self._strips.shift = max(0, self._strips.shift + direction * SHIFT)
        self._drawn.clear()
        self.refresh()

    # Search.

    def search(self, wanted: str) -> None:
        """Mark what is searched for, and go to the first match from the cursor on."""
        self._strips.searched = wanted
        self._search_again()
        self._drawn.clear()
        self.refresh()
        if self.matches:
            here = self.document.file_at(self.cursor)
            ahead = (
                place
                for place, (file, line) in enumerate(self.matches)
                if file > here or (file == here and self._row_of(file, line) >= self.cursor)
            )
            self._to_match(next(ahead, 0))
        else:
            self.post_message(self.Moved())

    def _search_again(self) -> None:
        self.matches = self.document.search(self._strips.searched)
        self.match = min(self.match, len(self.matches))

    def _row_of(self, file: int, line: int) -> int:
        """The row of a line; of one in a folded file, the file's head."""
        return self.document.start_of(file) + self.document.files[file].row_of(line)

    def to_match(self, direction: int) -> None:
        """To the next match, or the one before; behind the last one comes the first."""
        if self.matches:
            self._to_match((self.match - 1 + direction) % len(self.matches))

    def _to_match(self, place: int) -> None:
        self.match = place + 1
        file, line = self.matches[place]
        if line != HEAD and self.document.is_folded(file):
            self.document.fold(file, False)
            self._drawn.clear()
            self.lines_changed()
        self.to_row(self._row_of(file, line), context=True)

    # Drawing.

    def _load(self, language: str) -> None:
        async def load() -> None:
            await asyncio.to_thread(self._colours.read, language)
            self._drawn.clear()
            self.refresh()

        self.run_worker(load(), group="syntax")

    def render_lines(self, crop: Region) -> list[Strip]:
        self._prepare()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        top = round(self.scroll_y)
        if y == 0 and top and self.document.files and top != self.cursor:
            file, row = self.document.row_at(top)
            if row.kind not in (RowKind.FILE, RowKind.BLANK):
                strip = self._strips.head(file, self.document.files[file])
                return padded(strip, " ", self.base).adjust_cell_length(self.lines_width, self.base)
        return super().render_line(y)

    def _prepare(self) -> None:
        """Take the width and the colours of now."""
        drawn_with = (diff_palette(self), code_theme(self.app.current_theme, self._ascii), self.lines_width)
        if drawn_with != self._drawn_with:
            self._drawn_with = drawn_with
            self._strips.palette, theme, self._strips.width = drawn_with
            self._colours.use(theme)
            self._drawn.clear()

    @property
    def _palette(self) -> DiffPalette:
        return self._strips.palette or diff_palette(self)

    def strip_at(self, line: int) -> Strip:
        if self._drawn_with is None:
            self._prepare()
        palette, glyphs = self._palette, self._strips.glyphs
        if not self.document.files:
            return padded(Strip([]), " ", palette.dim).adjust_cell_length(1) if not self.note else self._note_strip()
        strip = self._drawn.get(line)
        if strip is None:
            number, row = self.document.row_at(line)
            drawn = self._strips.strip(number, self.document.files[number], row).simplify()
            strip = self._drawn[line] = padded(drawn, " ", Style.null())
        first, last = self.range
        return padded(strip.crop(1), glyphs.cursor, palette.cursor) if first <= line <= last else strip

    def _note_strip(self) -> Strip:
        return Strip([Segment(f" {self.note}", self._palette.dim)])

    def on_click(self, event: events.Click) -> None:
        row = round(self.scroll_y) + event.y
        if self.document.files and row < self.line_count:
            self.to_row(row)
            if self.document.row_at(row)[1].kind is RowKind.FILE:
                self.toggle_fold()
