"""The rows of a diff of many files: where each file, hunk and line stands, in one column or side by side."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property

from msgspec import Struct

from foundry_tui.contract.records import FileDiff
from foundry_tui.view.diffs import DiffMark
from foundry_tui.view.folded_files import is_binary, size_words, why_folded
from foundry_tui.view.patches import Patch, aligned, parse_patch, runs, without_space_changes

CUT_NOTE = "… cut here; whole it is in: foundry diff ID | less"


class RowKind(IntEnum):
    """What a row shows."""

    FILE = 0
    GAP = 1
    CODE = 2
    NOTE = 3
    BLANK = 4


class Row(Struct, frozen=True, gc=False):
    """One row. `left` and `right` are places in the patch's lines, -1 for none; in one column both are the same."""

    kind: RowKind
    left: int = -1
    right: int = -1
    text: str = ""


_FILE, _BLANK = Row(RowKind.FILE), Row(RowKind.BLANK)


class Place(Struct, frozen=True):
    """A row by what it shows, so that it is found again in a newer diff."""

    path: str
    is_old: bool = False
    number: int = 0
    """The line in the new file, or in the old one of a line that was removed; 0 is the file's head."""


class FileInDiff:
    """One file of a diff: its patch, taken apart once, and its rows."""

    def __init__(self, diff: FileDiff, *, ignores_space: bool = False) -> None:
        self.diff = diff
        patch = parse_patch(diff.patch)
        self.patch: Patch = without_space_changes(patch) if ignores_space else patch
        self.only_space = bool(patch.hunks) and not self.patch.hunks
        self.folds = why_folded(diff)
        self.rows: Sequence[Row] = (_FILE,)
        self.hunks: Sequence[int] = ()
        """The row of each hunk's first change."""
        self.partners: Mapping[int, int] = {}
        """Removed lines by the added ones that they became, and the other way round."""
        self._shown_as: tuple[bool, bool] | None = None
        self.digits = max((len(str(max(line.old, line.new))) for line in self.patch.lines[-2:]), default=1)

    @cached_property
    def text(self) -> str:
        """All lines in one, to find out quickly that something is in none of them."""
        return "\n".join(line.text for line in self.patch.lines)

    @cached_property
    def lower_text(self) -> str:
        """The same in small letters."""
        return self.text.lower()

    def lay_out(self, *, split: bool, folded: bool) -> None:
        """Make the rows, unless they are so already."""
        if (split, folded) != self._shown_as:
            self._shown_as = (split, folded)
            self.hunks = ()
            self.rows = (_FILE,) if folded else self._rows(split)

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
                    rows.append(Row(RowKind.CODE, context, context))
                    continue
                first = len(rows) if first < 0 else first
                pairs = aligned(lines, removed, added)
                for left, right in pairs:
                    if left >= 0 and right >= 0:
                        partners[left], partners[right] = right, left
                if split:
                    rows += [Row(RowKind.CODE, left, right) for left, right in pairs]
                else:
                    rows += [Row(RowKind.CODE, place, place) for place in (*removed, *added)]
            hunks.append(max(0, first))
        if not self.patch.hunks:
            rows.append(Row(RowKind.NOTE, text=self._no_lines()))
        if self.diff.cut:
            rows.append(Row(RowKind.NOTE, text=CUT_NOTE))
        self.hunks, self.partners = hunks, partners
        return rows

    def _no_lines(self) -> str:
        if self.only_space:
            return "Only white space was changed."
        if is_binary(self.diff):
            size = size_words(self.diff)
            return f"No lines to show: a binary file{', ' + size if size else ''}."
        if self.diff.cut:
            return "Its lines are too many to be brought here."
        if self.diff.added == 0 and self.diff.removed == 0:
            return "No line was changed." if self.patch.notes else "No line was changed: an empty file, or its mode."
        return "No lines to show: a binary file, or only its mode changed."

    def row_of(self, place: int) -> int:
        """The row that shows this line of the patch; its head if none does."""
        return next((number for number, row in enumerate(self.rows) if _shows(row, place)), 0)


def _shows(row: Row, place: int) -> bool:
    return row.kind is RowKind.CODE and place in (row.left, row.right)


class DiffDocument:
    """The files of a diff one below the other."""

    def __init__(self) -> None:
        self.files: Sequence[FileInDiff] = ()
        self.split = False
        self.ignores_space = False
        self._folded: dict[str, bool] = {}
        """What a person folded or unfolded, by path; the others are as `why_folded` says."""
        self._starts: list[int] = []
        self.row_count = 0

    def show(self, diffs: Iterable[FileDiff]) -> None:
        """Show these files. What did not change since before is not taken apart again."""
        known = {file.diff.path: file for file in self.files}
        files = []
        for diff in diffs:
            file = known.get(diff.path)
            same = file is not None and file.diff == diff
            files.append(file if file and same else FileInDiff(diff, ignores_space=self.ignores_space))
        self.files = files
        self._lay_out()

    def set_split(self, split: bool) -> None:
        """Stand side by side, or in one column."""
        if split != self.split:
            self.split = split
            self._lay_out()

    def ignore_space(self, ignores: bool) -> None:
        """Take lines that differ only in white space for the same, or not."""
        self.ignores_space = ignores
        self.files = [FileInDiff(file.diff, ignores_space=ignores) for file in self.files]
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
        """Fold all files, or unfold all."""
        self._folded.update((file.diff.path, folded) for file in self.files)
        self._lay_out()

    def _lay_out(self) -> None:
        at = 0
        self._starts = []
        for number, file in enumerate(self.files):
            file.lay_out(split=self.split, folded=self.is_folded(number))
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
        file = self.files[at]
        for found in file.rows[row - self._starts[at] :: -1] if row < self._starts[at] + len(file.rows) else ():
            if found.kind is RowKind.CODE:
                line = file.patch.lines[found.right if found.right >= 0 else found.left]
                is_old = line.mark is DiffMark.REMOVED
                return Place(file.diff.path, is_old, line.old if is_old else line.new)
        return Place(file.diff.path)

    def find(self, place: Place) -> int:
        """The row of this place, or the nearest one in its file; of a file that is gone, where it would stand."""
        at = next((number for number, file in enumerate(self.files) if file.diff.path == place.path), None)
        if at is None:
            following = (number for number, file in enumerate(self.files) if file.diff.path > place.path)
            return self._starts[next(following, 0)] if self.files else 0
        best, distance = 0, place.number
        file = self.files[at]
        for number, row in enumerate(file.rows):
            for side in (row.left, row.right) if row.kind is RowKind.CODE else ():
                line = file.patch.lines[side] if side >= 0 else None
                stands_at = (line.old if place.is_old else line.new) if line is not None else 0
                if place.number and stands_at and abs(stands_at - place.number) < distance:
                    best, distance = number, abs(stands_at - place.number)
        return self._starts[at] + best

    def search(self, wanted: str) -> list[tuple[int, int]]:
        """Where a text is found: files and lines of their patches. Capital letters count if there are any in it."""
        if not wanted:
            return []
        exact = wanted != wanted.lower()
        return [
            (number, place)
            for number, file in enumerate(self.files)
            if wanted in (file.text if exact else file.lower_text)
            for place, line in enumerate(file.patch.lines)
            if wanted in (line.text if exact else line.text.lower())
        ]

    def totals(self) -> tuple[int, int, int]:
        """Lines added, lines removed, and how many files were not counted."""
        counted = [file.diff for file in self.files if file.diff.added is not None and file.diff.removed is not None]
        added, removed = sum(file.added or 0 for file in counted), sum(file.removed or 0 for file in counted)
        return added, removed, len(self.files) - len(counted)
