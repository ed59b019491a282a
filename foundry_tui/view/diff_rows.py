"""The rows of a diff of many files: where each file, hunk and line stands, in one column or side by side."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from textwrap import wrap

from msgspec import Struct

from foundry_tui.client.comments import Comment
from foundry_tui.contract.pull_request import Comment as Reviewed
from foundry_tui.contract.records import FileDiff
from foundry_tui.view.comments import CommentState, PlacedComment, placed, placed_review, span
from foundry_tui.view.diffs import DiffMark
from foundry_tui.view.folded_files import is_binary, size_words, why_folded
from foundry_tui.view.patches import Patch, PatchLine, aligned, parse_patch, runs, without_space_changes
from foundry_tui.view.wrapped_code import LEAST_DIGITS, code_room, flat, row_starts

WANDERS = 500
"""Lines by which one may have moved in its file and still be the same one."""
CUT_NOTE = "… cut here; whole it is in: foundry diff ID | less"


class RowKind(IntEnum):
    """What a row shows."""

    FILE = 0
    GAP = 1
    CODE = 2
    NOTE = 3
    BLANK = 4
    COMMENT = 5
    """`left` is the comment among those of its file, `right` which of its rows."""


class Row(Struct, frozen=True, gc=False):
    """One row. `left` and `right` are places in the patch's lines, -1 for none; in one column both are the same."""

    kind: RowKind
    left: int = -1
    right: int = -1
    text: str = ""
    part: int = 0
    """Which row of a long line that is wrapped."""


_FILE, _BLANK = Row(RowKind.FILE), Row(RowKind.BLANK)


HEAD = -1
"""The place of a file's name, where its lines have theirs in the patch."""
PULL_REQUEST = "the pull request"
"""The name under which stands what reviewers said of no file."""
UNCHANGED = "="
"""The status of a file that has comments and is not changed any more; git has no letter for it."""


def _unchanged(path: str) -> FileDiff:
    return FileDiff(path=path, status=UNCHANGED, added=0, removed=0, patch="")


class Place(Struct, frozen=True):
    """A row by what it shows, so that it is found again in a newer diff."""

    path: str
    is_old: bool = False
    number: int = 0
    """The line in the new file, or in the old one of a line that was removed; 0 is the file's head."""
    below: int = 0
    """How many rows below it, among its comments."""
    text: str = ""
    """What the line says."""


class FileInDiff:
    """One file of a diff: its patch, taken apart once, and its rows."""

    def __init__(self, diff: FileDiff, *, ignores_space: bool = False, parsed: Patch | None = None) -> None:
        """`parsed` is the file's whole patch where that was taken apart before."""
        self.diff = diff
        self.parsed = parse_patch(diff.patch) if parsed is None else parsed
        self.patch: Patch = without_space_changes(self.parsed) if ignores_space else self.parsed
        self.only_space = bool(self.parsed.hunks) and not self.patch.hunks
        self.folds = why_folded(diff)
        self.rows: Sequence[Row] = (_FILE,)
        self.hunks: Sequence[int] = ()
        """The row of each hunk's first change."""
        self.partners: Mapping[int, int] = {}
        """Removed lines by the added ones that they became, and the other way round."""
        marks = {line.mark for line in self.patch.lines}
        self.one_sided = len(marks) == 1
        """All lines were added, or all were removed: side by side one side would be empty."""
        self.split = False
        self.comments: Sequence[PlacedComment] = ()
        self._room = 0
        self._unfolded: tuple[Sequence[Row], Sequence[int]] | None = None
        """The rows and hunks that it has, or had, when it is not folded."""
        self._laid_out_as: tuple[object, ...] | None = None
        self.digits = max((len(str(max(line.old, line.new))) for line in self.patch.lines[-2:]), default=1)

    @cached_property
    def text(self) -> str:
        """All lines in one, to find out quickly that something is in none of them."""
        return "\n".join(line.text for line in self.patch.lines)

    @cached_property
    def lower_text(self) -> str:
        """The same in small letters."""
        return self.text.lower()

    def lay_out(
        self,
        *,
        split: bool,
        folded: bool,
        comments: Sequence[Comment] = (),
        reviews: Sequence[Reviewed] = (),
        opened: frozenset[str] = frozenset(),
        width: int = 0,
        wraps_in: int = 0,
        whole: bool = True,
    ) -> None:
        """Make the rows, unless they are so already. Comments are written on lines of `width` cells; of what reviewers
        said and is resolved only those of the ids `opened` are whole. Long lines are wrapped in a view of `wraps_in`
        cells, 0 cuts them. `whole`: the file's patch has all that the task changed in it.
        """
        self.split = split and not self.one_sided
        digits = max(LEAST_DIGITS, self.digits)
        self._room = code_room(wraps_in, digits, split=self.split) if wraps_in else 0
        said = bool(comments or reviews)
        room, open_ones = width if said else 0, opened if reviews else None
        laid_out_as = (self.split, comments, reviews, open_ones, room, whole, self._room)
        if laid_out_as != self._laid_out_as:
            self._laid_out_as, self._unfolded = laid_out_as, None
            self.comments = (
                *(placed_review(each, self.patch.lines, whole=whole) for each in reviews),
                *(placed(each, self.patch.lines, whole=whole) for each in comments),
            )
        if folded:
            self.rows, self.hunks = (_FILE,), ()
        elif self._unfolded is not None:
            self.rows, self.hunks = self._unfolded
        else:
            self.rows = self._rows(self.split)
            if said:
                self._insert_comments(max(20, width), opened)
            self._unfolded = self.rows, self.hunks

    def _insert_comments(self, width: int, opened: frozenset[str]) -> None:
        """Put the comments behind the rows that they are on, and move the hunks that follow."""
        behind: dict[int, list[Row]] = {}
        for number, each in enumerate(self.comments):
            shown = (at for at, row in enumerate(self.rows) if each.place != HEAD and _shows(row, each.place))
            at = max(shown, default=0)
            behind.setdefault(at, []).extend(_comment_rows(number, each, width, opened))
        rows: list[Row] = []
        moved: dict[int, int] = {}
        for at, row in enumerate(self.rows):
            moved[at] = len(rows)
            rows += [row, *behind.get(at, ())]
        self.rows, self.hunks = rows, [moved[at] for at in self.hunks]

    def _rows(self, split: bool) -> Sequence[Row]:
        rows = [_FILE]
        hunks: list[int] = []
        partners: dict[int, int] = {}
        rows += [Row(RowKind.NOTE, text=note) for note in self.patch.notes]
        lines = self.patch.lines
        for hunk in self.patch.hunks:
            if hunk.skipped or hunk.first:
                rows.append(Row(RowKind.GAP, hunk.skipped, text=hunk.heading))
            first = -1
            for removed, added, context in runs(lines, hunk.first, hunk.last):
                if context is not None:
                    rows += self._code_rows([(context, context)])
                    continue
                first = len(rows) if first < 0 else first
                pairs = aligned(lines, removed, added)
                for left, right in pairs:
                    if left >= 0 and right >= 0:
                        partners[left], partners[right] = right, left
                rows += self._code_rows(pairs if split else [(place, place) for place in (*removed, *added)])
            hunks.append(max(0, first))
        if not self.patch.hunks and self.diff.path != PULL_REQUEST:
            rows.append(Row(RowKind.NOTE, text=self._no_lines()))
        if self.diff.cut:
            rows.append(Row(RowKind.NOTE, text=CUT_NOTE))
        self.hunks, self.partners = hunks, partners
        return rows

    def _code_rows(self, lines: Sequence[tuple[int, int]]) -> list[Row]:
        """The rows of lines, each as it is left and right: more than one of a line that is long and wrapped."""
        if not self._room:
            return [Row(RowKind.CODE, left, right) for left, right in lines]
        return [
            Row(RowKind.CODE, left, right, part=part)
            for left, right in lines
            for part in range(max(self._height(place) for place in {left, right} if place >= 0))
        ]

    def _height(self, place: int) -> int:
        line = self.patch.lines[place]
        return len(row_starts(flat(line.text), self._room, ended=line.ended))

    def _no_lines(self) -> str:
        if self.diff.status == UNCHANGED:
            return "This file is not changed."
        if self.only_space:
            return "Only white space was changed."
        if is_binary(self.diff):
            size = size_words(self.diff)
            return f"No lines to show: a binary file{', ' + size if size else ''}."
        if self.diff.cut:
            return "Its lines are too many to be brought here, or the backend cannot read them."
        if self.diff.added == 0 and self.diff.removed == 0:
            return "No line was changed." if self.patch.notes else "No line was changed: an empty file, or its mode."
        return "No lines to show: a binary file, or only its mode changed."

    def row_of(self, place: int) -> int:
        """The row that shows this line of the patch; its head if none does."""
        if place == HEAD:
            return 0
        return next((number for number, row in enumerate(self.rows) if _shows(row, place)), 0)


def _comment_rows(number: int, placed_comment: PlacedComment, width: int, opened: frozenset[str]) -> list[Row]:
    comment, state = placed_comment.comment, placed_comment.state
    said: list[str] = []
    if placed_comment.author:
        return _review_rows(number, placed_comment, width, opened)
    if state is CommentState.OUTDATED:
        first, *others = comment.code.split("\n")
        said.append(f"outdated, {_lines(comment)} was: {first.strip()}{' …' if others else ''}")
    elif state is CommentState.OUTSIDE:
        said.append(f"on {_lines(comment)}")
    for line in comment.text.split("\n"):
        said += wrap(line, width) or [""]
    return [Row(RowKind.COMMENT, number, place, text) for place, text in enumerate(said)]


def _review_rows(number: int, said: PlacedComment, width: int, opened: frozenset[str]) -> list[Row]:
    """Who said it and how it stands, then what; of what is resolved that is folded to its first words."""
    where = f"on {_lines(said.comment)}" if said.state is CommentState.OUTSIDE and said.comment.first else ""
    outdated = "outdated" if said.state is CommentState.OUTDATED else ""
    head = ", ".join(part for part in (said.author, "resolved" if said.is_settled else "", outdated, where) if part)
    if said.is_settled and said.comment.comment_id not in opened:
        return [Row(RowKind.COMMENT, number, 0, " ".join(f"{head}: {said.comment.text}".split()))]
    lines = [part for line in said.comment.text.split("\n") for part in wrap(line, width) or [""]]
    return [Row(RowKind.COMMENT, number, place, text) for place, text in enumerate((head, *lines))]


def _lines(comment: Comment) -> str:
    return f"line{'s' * (comment.first != comment.last)} {span(comment)}"


def _is_comment(rows: Sequence[Row], at: int) -> bool:
    return at < len(rows) and rows[at].kind is RowKind.COMMENT


def _shows(row: Row, place: int) -> bool:
    return row.kind is RowKind.CODE and place in (row.left, row.right)


class DiffDocument:
    """The files of a diff one below the other."""

    def __init__(self) -> None:
        self.files: Sequence[FileInDiff] = ()
        self.split = False
        self.ignores_space = False
        self.whole = True
        """Whether the files are all that the task changed, and not only what it changed lately."""
        self.width = 0
        """Cells that a comment has."""
        self.wraps_in = 0
        """Cells of the view in which long lines are wrapped, 0 where they are cut."""
        self._comments: dict[str, tuple[Comment, ...]] = {}
        self._reviews: dict[str, tuple[Reviewed, ...]] = {}
        self._opened: frozenset[str] = frozenset()
        self._folded: dict[str, bool] = {}
        """What a person folded or unfolded, by path; the others are as `why_folded` says."""
        self._starts: list[int] = []
        self.row_count = 0

    def show(self, diffs: Iterable[FileDiff]) -> None:
        """Show these files. What did not change since before is not taken apart again."""
        known = {file.diff.path: file for file in self.files}
        files = []
        told = tuple(diffs)
        paths = {diff.path for diff in told}
        others = {*self._comments, *(self._reviews if self.whole else ())} - paths
        for diff in (*told, *map(_unchanged, sorted(others))):
            file = known.get(diff.path)
            same = file is not None and file.diff == diff
            files.append(file if file and same else FileInDiff(diff, ignores_space=self.ignores_space))
        self.files = files
        self._lay_out()

    def set_comments(self, comments: Iterable[Comment]) -> None:
        """Show these comments under their lines; those of files that are not changed any more behind all others."""
        by_path: dict[str, list[Comment]] = {}
        for each in comments:
            by_path.setdefault(each.path, []).append(each)
        self._comments = {path: tuple(each) for path, each in by_path.items()}
        self.show(self.diffs)

    def set_reviews(self, reviews: Iterable[Reviewed]) -> None:
        """Show what reviewers said under its lines."""
        by_path: dict[str, list[Reviewed]] = {}
        for each in reviews:
            by_path.setdefault(each.path or PULL_REQUEST, []).append(each)
        self._reviews = {path: tuple(each) for path, each in by_path.items()}
        self.show(self.diffs)

    def open_review(self, comment_id: str) -> None:
        """Show what was resolved whole, or folded again."""
        self._opened ^= {comment_id}
        self._lay_out()

    @property
    def comments(self) -> Sequence[PlacedComment]:
        """All comments of one's own, where they stand now, in the order of their files."""
        return [each for file in self.files for each in file.comments if not each.author]

    @property
    def reviews(self) -> Sequence[PlacedComment]:
        """All that reviewers said, in the same way."""
        return [each for file in self.files for each in file.comments if each.author]

    def set_width(self, width: int) -> None:
        """A comment has so many cells now."""
        if width != self.width:
            self.width = width
            if self._comments or self._reviews:
                self._lay_out()

    def set_wrap(self, width: int) -> None:
        """Wrap long lines in a view of so many cells, or with 0 cut them."""
        if width != self.wraps_in:
            self.wraps_in = width
            self._lay_out()

    def set_split(self, split: bool) -> None:
        """Stand side by side, or in one column."""
        if split != self.split:
            self.split = split
            self._lay_out()

    def ignore_space(self, ignores: bool) -> None:
        """Take lines that differ only in white space for the same, or not."""
        self.ignores_space = ignores
        self.files = [FileInDiff(file.diff, ignores_space=ignores, parsed=file.parsed) for file in self.files]
        self._lay_out()

    def is_folded(self, file: int) -> bool:
        """Whether only the head of this file is shown."""
        diff = self.files[file]
        return self._folded.get(diff.diff.path, bool(diff.folds) and diff.folds != "binary")

    def fold(self, file: int, folded: bool) -> None:
        """Fold a file, or unfold it."""
        self._folded[self.files[file].diff.path] = folded
        self._lay_out()

    def fold_all(self, folded: bool) -> None:
        """Fold all files, or unfold all but those that nobody reads, if there are others."""
        read = [file for file in self.files if folded or not file.folds or file.folds == "binary"]
        self._folded.update((file.diff.path, folded) for file in read or self.files)
        self._lay_out()

    def _lay_out(self) -> None:
        at = 0
        self._starts = []
        for number, file in enumerate(self.files):
            comments = self._comments.get(file.diff.path, ())
            file.lay_out(
                split=self.split,
                folded=self.is_folded(number),
                comments=comments,
                reviews=self._reviews.get(file.diff.path, ()),
                opened=self._opened,
                width=self.width,
                wraps_in=self.wraps_in,
                whole=self.whole,
            )
            self._starts.append(at)
            # An empty row behind each file but the last; folded ones are a list.
            at += len(file.rows) + (not self.is_folded(number))
        self.row_count = max(0, at - (bool(self.files) and not self.is_folded(len(self.files) - 1)))

    def start_of(self, file: int) -> int:
        """The row of a file's head."""
        return self._starts[file]

    def file_at(self, row: int) -> int:
        """Which file a row belongs to; an empty one to the file above."""
        return max(0, bisect_right(self._starts, row) - 1)

    def row_at(self, row: int) -> tuple[int, Row]:
        """The file and what stands in this row."""
        file = self.file_at(row)
        rows, place = self.files[file].rows, row - self._starts[file]
        return file, rows[place] if place < len(rows) else _BLANK

    def hunk_rows(self) -> list[int]:
        """The rows at which hunks begin, and the heads of files that show none."""
        return [
            start + row for start, file in zip(self._starts, self.files, strict=True) for row in (file.hunks or (0,))
        ]

    def place_of(self, row: int) -> Place | None:
        """What stands in this row, to be found again; None where nothing does."""
        if not self.files:
            return None
        at = self.file_at(row)
        file, start = self.files[at], row - self._starts[at]
        within = start < len(file.rows)
        for back, found in enumerate(file.rows[start::-1] if within else ()):
            if found.kind is RowKind.CODE:
                below = back if file.rows[start].kind is RowKind.COMMENT else 0
                line = file.patch.lines[found.right if found.right >= 0 else found.left]
                is_old = line.mark is DiffMark.REMOVED
                return Place(file.diff.path, is_old, line.old if is_old else line.new, below, line.text)
        return Place(file.diff.path, below=start if within and file.rows[start].kind is RowKind.COMMENT else 0)

    def find(self, place: Place) -> int:
        """The row of this place, or the nearest one in its file; of a file that is gone, where it would stand."""
        at = next((number for number, file in enumerate(self.files) if file.diff.path == place.path), None)
        if at is None:
            following = (number for number, file in enumerate(self.files) if file.diff.path > place.path)
            return self._starts[next(following, len(self.files) - 1)] if self.files else 0
        file = self.files[at]
        # Lines that were put before it gave it another number: what it says finds it then.
        best, distance = 0, (1, place.number)
        for number, row in enumerate(file.rows):
            for side in (row.left, row.right) if row.kind is RowKind.CODE else ():
                line = file.patch.lines[side] if side >= 0 else None
                stands_at = (line.old if place.is_old else line.new) if line is not None else 0
                if line is None or not place.number or not stands_at:
                    continue
                far = abs(stands_at - place.number)
                another = line.text != place.text or not line.text.strip() or far > WANDERS
                if (another, far) < distance:
                    best, distance = number, (another, far)
        below = next((down for down in range(place.below, 0, -1) if _is_comment(file.rows, best + down)), 0)
        return self._starts[at] + best + below

    def search(self, wanted: str) -> list[tuple[int, int]]:
        """Where a text is found: files, and `HEAD` for their names or lines of their patches. Capital letters count if
        there are any in it.
        """
        if not wanted:
            return []
        exact = wanted != wanted.lower()
        found: list[tuple[int, int]] = []
        for number, file in enumerate(self.files):
            if wanted in (file.diff.path if exact else file.diff.path.lower()):
                found.append((number, HEAD))
            if wanted in (file.text if exact else file.lower_text):
                found += (
                    (number, place)
                    for place, line in enumerate(file.patch.lines)
                    if wanted in (line.text if exact else line.text.lower())
                )
        return found

    @property
    def diffs(self) -> list[FileDiff]:
        """What was shown, without the files that only have comments."""
        return [file.diff for file in self.files if file.diff.status != UNCHANGED]

    @property
    def file_count(self) -> int:
        """How many files were changed."""
        return len(self.diffs)

    def lines_between(self, first: int, last: int) -> tuple[str, Sequence[PatchLine]]:
        """The path, and the lines of the new file in these rows, or of the old one where there are no others."""
        at = self.file_at(first)
        file, start = self.files[at], self._starts[at]
        rows = [row for row in file.rows[first - start : last - start + 1] if row.kind is RowKind.CODE]
        new = [row.right for row in rows if row.right >= 0 and file.patch.lines[row.right].new]
        # A line that is wrapped has several rows.
        meant = dict.fromkeys(new or [row.left for row in rows if row.left >= 0])
        return file.diff.path, [file.patch.lines[place] for place in meant]

    def totals(self) -> tuple[int, int, int]:
        """Lines added, lines removed, and how many files were not counted."""
        counted = [
            file.diff
            for file in self.files
            if file.diff.status != UNCHANGED and file.diff.added is not None and file.diff.removed is not None
        ]
        added, removed = sum(file.added or 0 for file in counted), sum(file.removed or 0 for file in counted)
        return added, removed, self.file_count - len(counted)
