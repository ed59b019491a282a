"""The rows of a diff as strips: numbers of both sides, marks, and code with its colours and its changed words."""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from foundry_tui.contract.records import FileDiff
from foundry_tui.view.cells import fit
from foundry_tui.view.comments import CommentState
from foundry_tui.view.diff_rows import PULL_REQUEST, UNCHANGED, DiffDocument, FileInDiff, Row, RowKind
from foundry_tui.view.diffs import DiffMark
from foundry_tui.view.folded_files import size_words
from foundry_tui.view.patches import PatchLine
from foundry_tui.view.word_changes import Spans, word_changes
from foundry_tui.view.wrapped_code import LEAST_DIGITS, UNENDED, code_room, flat, row_starts
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.syntax_colours import CODE_LINES, CODE_WIDTH, Coloured, SyntaxColours, language_of
from foundry_tui.widgets.text_lines import Text, spread, strip_of

STATUS_WORDS = {"A": "added", "C": "copied", "D": "deleted", "R": "renamed", "T": "other type", "?": "new"}
"""What git's letters mean; that a file was changed goes without saying."""
COMMENT_INDENT = 8
"""Cells before the text of a comment."""
LEAST_SEEN = 12
"""Cells of a changed word that are in sight at least, where there is room."""


class DiffGlyphs(Struct, frozen=True):
    """The signs of a diff."""

    unfolded: str
    folded: str
    gap: str
    between: str
    ellipsis: str
    cursor: str
    fill: str
    separator: str
    comment: str


UNICODE_GLYPHS = DiffGlyphs("▾", "▸", "⋯", "│", "…", "▌", "╱", "·", "┃")
ASCII_GLYPHS = DiffGlyphs("v", ">", "...", "|", "~", ">", " ", "-", "|")


class DiffPalette(Struct, frozen=True, kw_only=True):
    """The styles that a diff is drawn with."""

    text: Style
    dim: Style
    file: Style
    gap: Style
    comment: Style
    comment_bar: Style
    added: Style
    removed: Style
    added_word: Style
    removed_word: Style
    fill: Style
    """Where a side has no line."""
    found: Style
    cursor: Style
    warning: Style
    plain_code: bool
    """The terminal has no shades: changed lines have the colour of their mark, not that of the code."""


def diff_palette(widget: Widget) -> DiffPalette:
    """The palette of the app's theme."""

    def style(name: str) -> Style:
        return style_of(widget, f"diff--{name}")

    plain = style("added").bgcolor is None
    word = Style(bold=True, underline=True)
    return DiffPalette(
        text=style("text"),
        dim=style("number"),
        file=style("file") if not plain else Style(bold=True),
        gap=style("gap"),
        comment=style("comment"),
        comment_bar=style("comment-bar"),
        added=style("added"),
        removed=style("removed"),
        added_word=style("added") + word if plain else style("added-word"),
        removed_word=style("removed") + word if plain else style("removed-word"),
        fill=style("fill"),
        found=style("found") if not plain else Style(reverse=True),
        cursor=style("cursor"),
        warning=style("warning"),
        plain_code=plain,
    )


class DiffStrips:
    """Draws the rows of one document."""

    def __init__(self, document: DiffDocument, colours: SyntaxColours, *, ascii_only: bool = False) -> None:
        self._document = document
        self._colours = colours
        self.glyphs = ASCII_GLYPHS if ascii_only else UNICODE_GLYPHS
        self.palette: DiffPalette | None = None
        self.width = 0
        self.shift = 0
        """Columns of the code that lie to the left of what is shown."""
        self.searched = ""
        self._chunks: dict[tuple[int, int], tuple[tuple[str, ...], int]] = {}

    def forget(self) -> None:
        """The files are others."""
        self._chunks.clear()

    def strip(self, number: int, file: FileInDiff, row: Row) -> Strip:
        """One row of a file, `width` cells less one: what is left of it says where the cursor is."""
        palette, width = self._palette, self.width - 1
        if row.kind is RowKind.FILE:
            return self.head(number, file)
        if row.kind is RowKind.GAP:
            return self._gap(file, row)
        if row.kind is RowKind.NOTE:
            return strip_of(Text(f"{' ' * (self._digits(file) + 2)}{row.text}", palette.dim), width, palette.text)
        if row.kind is RowKind.COMMENT:
            return self._comment(file, row)
        if row.kind is RowKind.BLANK:
            return Strip.blank(width, palette.text)
        lines, digits = file.patch.lines, self._digits(file)
        if not file.split:
            line = lines[row.left]
            ground = self._ground(line)
            numbers = f"{line.old or '':>{digits}} {line.new or '':>{digits}} "
            room = width - len(numbers)
            shown = Segment(" " * len(numbers) if row.part else numbers, palette.dim + ground)
            return Strip([shown, *self._code(number, file, row.left, room, row.part)])
        half = (width - 1) // 2
        parts = self._side(number, file, row.left, half, row.part, old=True)
        parts.append(Segment(self.glyphs.between, palette.dim))
        return Strip([*parts, *self._side(number, file, row.right, width - half - 1, row.part, old=False)])

    def head(self, number: int, file: FileInDiff) -> Strip:
        """The row that names a file, with what is known of its lines."""
        palette, glyphs, diff = self._palette, self.glyphs, file.diff
        folded = self._document.is_folded(number)
        found = [(span, palette.found) for span in self._found(diff.path)]
        path = _overlaid([(diff.path, Style.null())], found)
        left = Text.assemble((f"{glyphs.folded if folded else glyphs.unfolded} ", palette.dim), *path)
        left.append(f"  {self._about(file, folded)}", palette.dim + Style(bold=False))
        return strip_of(spread(left, self.counts(diff), self.width - 2), self.width - 1, palette.file)

    def _about(self, file: FileInDiff, folded: bool) -> str:
        diff = file.diff
        word = STATUS_WORDS.get(diff.status[:1], "")
        if folded:
            # Else it stands below.
            beginning = f"{word} from " if word else "mode "
            word = next((note for note in file.patch.notes if note.startswith(beginning)), word)
        said = [word, *((file.folds, size_words(diff)) if folded and file.folds else ())]
        if folded and file.comments:
            said.append(f"{len(file.comments)} comment{'s' * (len(file.comments) != 1)}")
        return f" {self.glyphs.separator} ".join(part for part in said if part)

    def counts(self, diff: FileDiff) -> Text:
        """Lines added and removed; of what has no lines nothing is claimed."""
        palette = self._palette
        if diff.status == UNCHANGED:
            return Text("not changed " if diff.path != PULL_REQUEST else "", palette.dim)
        if diff.added is None or diff.removed is None:
            return Text("not counted ", palette.dim)
        cut = ("  cut", palette.warning) if diff.cut else ("", "")
        return Text.assemble(
            (f"+{diff.added:,}", Style(color=palette.added.color)),
            (f" -{diff.removed:,}", Style(color=palette.removed.color)),
            cut,
            " ",
        )

    def _comment(self, file: FileInDiff, row: Row) -> Strip:
        palette, said = self._palette, file.comments[row.left]
        outdated = said.state is CommentState.OUTDATED
        about = (said.state is not CommentState.CURRENT or said.author) and not row.right
        style = (
            palette.comment + Style(color=palette.warning.color if outdated else palette.dim.color)
            if about
            else palette.comment
        )
        bar = Segment(f"{' ' * (COMMENT_INDENT - 3)}{self.glyphs.comment} ", palette.comment_bar)
        width = self.width - 1
        strip = Strip([bar, Segment(fit(row.text, self.comment_width, self.glyphs.ellipsis), style)])
        if not file.split or not said.comment.first:
            return strip.adjust_cell_length(width, palette.comment)
        # Side by side it stands on the side of its lines.
        half, between = (width - 1) // 2, Segment(self.glyphs.between, palette.dim)
        if said.comment.old:
            left = strip.adjust_cell_length(half, palette.comment)
            return Strip([*left, between]).adjust_cell_length(width, palette.text)
        right = strip.adjust_cell_length(width - half - 1, palette.comment)
        return Strip([Segment(" " * half, palette.text), between, *right])

    @property
    def comment_width(self) -> int:
        """Cells that a line of a comment has."""
        room = (self.width - 2) // 2 if self._document.split else self.width - 1
        return max(1, room - COMMENT_INDENT)

    def _gap(self, file: FileInDiff, row: Row) -> Strip:
        palette, glyphs = self._palette, self.glyphs
        count = f"{row.left:,} line{'s' * (row.left != 1)}" if row.left else ""
        words = "  ".join(part for part in (glyphs.gap, count, row.text) if part)
        text = Text(f"{' ' * (self._digits(file) - 1)}{words}", palette.gap + Style(italic=True))
        return strip_of(text, self.width - 1, palette.text)

    @property
    def _palette(self) -> DiffPalette:
        assert self.palette is not None, "nothing is drawn before the colours are known"
        return self.palette

    def _digits(self, file: FileInDiff) -> int:
        return max(LEAST_DIGITS, file.digits)

    def _ground(self, line: PatchLine) -> Style:
        palette = self._palette
        style = {DiffMark.ADDED: palette.added, DiffMark.REMOVED: palette.removed}.get(line.mark)
        return Style(bgcolor=style.bgcolor) if style is not None else Style.null()

    def _side(self, number: int, file: FileInDiff, place: int, width: int, part: int, *, old: bool) -> list[Segment]:
        palette, digits = self._palette, self._digits(file)
        if place < 0:
            return [Segment(self.glyphs.fill * width, palette.fill)]
        line = file.patch.lines[place]
        told = "" if part else (line.old if old else line.new) or ""
        gutter = f"{told:>{digits}} "
        code = self._code(number, file, place, width - len(gutter), part)
        return [Segment(gutter, palette.dim + self._ground(line)), *code]

    def _code(self, number: int, file: FileInDiff, place: int, width: int, part: int) -> list[Segment]:
        """Mark and text of a line, or where lines are wrapped that part of it, in exactly `width` cells."""
        palette, line = self._palette, file.patch.lines[place]
        base, word = palette.text, palette.text
        if line.mark is DiffMark.ADDED:
            base, word = palette.added, palette.added_word
        elif line.mark is DiffMark.REMOVED:
            base, word = palette.removed, palette.removed_word
        room = max(0, width - 2)
        wraps_in = self._document.wraps_in
        words, changed = self._words(file, place, line)
        # What was changed far to the right is brought into sight, unless one has chosen what is.
        # Both sides by the narrower one, so that they show the same part of it.
        least = min(room, (self.width - 2) // 2 - self._digits(file) - 3) if file.split else room
        is_far = changed >= least - LEAST_SEEN and not self.shift and not wraps_in
        brought = max(0, changed - least // 3) if is_far else 0
        shift = 0 if wraps_in else self.shift + brought
        text = flat(line.text if wraps_in else line.text[: shift + width + 1])
        parts: Coloured | None = None
        if not (palette.plain_code and line.mark is not DiffMark.CONTEXT):
            parts = self._coloured(number, file, place)
        ground = base if parts is None else palette.text + self._ground(line)
        overlays = [(span, word) for span in words]
        overlays += [(span, palette.found) for span in self._found(text)]
        segments = list(_overlaid(_cut_to(parts, text) if parts is not None else [(text, Style.null())], overlays))
        if not line.ended:
            segments.append((f" {self.glyphs.gap} {UNENDED}", palette.dim))
        if wraps_in:
            starts = row_starts(text, code_room(wraps_in, self._digits(file), split=file.split), ended=line.ended)
            segments = _between(segments, *(*starts, None, None)[part : part + 2]) if part < len(starts) else []
        code = [Segment(piece, ground + style) for piece, style in segments]
        length = sum(segment.cell_length for segment in code)
        if shift or length > room:
            code, length = list(self._in_sight(Strip(code, length), shift, room, ground, brought=bool(brought))), room
        mark = Segment("  " if part else f"{line.mark.value} ", base)
        return [mark, *code, Segment(" " * (room - length), ground)] if length < room else [mark, *code]

    def _in_sight(self, code: Strip, shift: int, room: int, ground: Style, *, brought: bool) -> Strip:
        """`room` cells of a line from `shift` on, with a sign where some are left out. `brought`: they were moved into
        sight by themselves, so that there is a sign at the beginning too.
        """
        shown = code.crop(shift, shift + room)
        more = Segment(self.glyphs.ellipsis, self._palette.dim + Style(bgcolor=ground.bgcolor))
        if code.cell_length > shift + room and room:
            shown = Strip([*shown.crop(0, room - 1), more])
        if brought:
            shown = Strip([more, *shown.crop(1)])
        return shown.adjust_cell_length(room, ground)

    def _words(self, file: FileInDiff, place: int, line: PatchLine) -> tuple[Spans, int]:
        """The words of the line that were changed, and where in it or in its other side the first of them is."""
        partner = file.partners.get(place)
        if partner is None:
            return (), 0
        is_old, text, other = line.mark is DiffMark.REMOVED, flat(line.text), flat(file.patch.lines[partner].text)
        old, new = word_changes(text, other) if is_old else word_changes(other, text)
        return old if is_old else new, min((span[0] for span in (*old, *new)), default=0)

    def _found(self, text: str) -> Spans:
        wanted, spans = self.searched, []
        if wanted:
            where = text if wanted != wanted.lower() else text.lower()
            at = where.find(wanted)
            while at >= 0:
                spans.append((at, at + len(wanted)))
                at = where.find(wanted, at + len(wanted))
        return spans

    def _coloured(self, number: int, file: FileInDiff, place: int) -> Coloured | None:
        language = language_of(file.diff.path)
        if not language:
            return None
        chunk = self._chunks.get((number, place))
        if chunk is None:
            self._take_chunks(number, file, place)
            chunk = self._chunks.get((number, place))
            if chunk is None:
                return None
        code, offset = chunk
        lines = self._colours.lines(language, code)
        return lines[offset] if lines is not None and offset < len(lines) else None

    def _take_chunks(self, number: int, file: FileInDiff, place: int) -> None:
        """Cut the hunk of this line into pieces that are coloured together, one side for itself."""
        hunk = next((hunk for hunk in file.patch.hunks if hunk.first <= place < hunk.last), None)
        if hunk is None:
            return
        lines = file.patch.lines
        for left_out, own in ((DiffMark.REMOVED, True), (DiffMark.ADDED, False)):
            side = [at for at in range(hunk.first, hunk.last) if lines[at].mark is not left_out]
            for start in range(0, len(side), CODE_LINES):
                piece = side[start : start + CODE_LINES]
                code = tuple(flat(lines[at].text[:CODE_WIDTH]) for at in piece)
                for offset, at in enumerate(piece):
                    if own or lines[at].mark is DiffMark.REMOVED:
                        self._chunks[number, at] = (code, offset)


def _cut_to(parts: Coloured, text: str) -> Sequence[tuple[str, Style]]:
    """The parts as far as the text goes; what of it they do not have is plain."""
    found: list[tuple[str, Style]] = []
    at = 0
    for part, style in parts:
        found.append((part[: len(text) - at], style))
        at += len(part)
        if at >= len(text):
            return found
    found.append((text[at:], Style.null()))
    return found


def _between(parts: Sequence[tuple[str, Style]], first: int | None, last: int | None) -> list[tuple[str, Style]]:
    """What of the parts stands from one character to another."""
    found: list[tuple[str, Style]] = []
    at = 0
    for text, style in parts:
        found.append((text[max(0, (first or 0) - at) : None if last is None else max(0, last - at)], style))
        at += len(text)
    return [part for part in found if part[0]]


def _overlaid(
    parts: Sequence[tuple[str, Style]], overlays: Sequence[tuple[tuple[int, int], Style]]
) -> Sequence[tuple[str, Style]]:
    """The parts with other styles laid over some characters."""
    if not overlays:
        return [part for part in parts if part[0]]
    cuts = sorted({place for span, _ in overlays for place in span})
    found: list[tuple[str, Style]] = []
    at = 0
    for text, style in parts:
        end = at + len(text)
        edges = [at, *(cut for cut in cuts if at < cut < end), end]
        for first, last in pairwise(edges):
            over = style
            for (start, stop), laid in overlays:
                if start <= first and last <= stop and first < last:
                    over = over + laid
            if first < last:
                found.append((text[first - at : last - at], over))
        at = end
    return found


def padded(strip: Strip, lead: str, style: Style) -> Strip:
    """The strip behind one cell of its own."""
    return Strip([Segment(lead if cell_len(lead) == 1 else " ", style), *strip])
