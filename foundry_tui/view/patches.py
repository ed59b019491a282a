"""A file's patch as git prints it, taken apart: numbered lines of both sides, and what was said above them."""

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.view.diffs import DiffMark
from foundry_tui.view.word_changes import likeness

ALIGNED_LINES = 400
"""Removed lines times added ones up to which similar lines are looked for; beyond it they stand by their order."""
ALIKE = 0.5
"""How much two lines have in common, from 0 to 1, to be taken for one line that was changed."""

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")


class PatchLine(Struct, frozen=True, gc=False):
    """One line of a file, with its number in the old and in the new file where it is in these."""

    mark: DiffMark
    text: str
    old: int = 0
    new: int = 0
    ended: bool = True
    """False where the file ends without a newline here."""


class Hunk(Struct, frozen=True):
    """Lines that stand together: `lines[first:last]` of the patch. `skipped` lines of the file lie before them."""

    first: int
    last: int
    skipped: int
    heading: str
    """The function or section that git names for it; may be empty."""


class Patch(Struct, frozen=True):
    """A file's patch."""

    lines: Sequence[PatchLine] = ()
    hunks: Sequence[Hunk] = ()
    notes: Sequence[str] = ()
    """What is said of the file beside its lines: renamed from where, another mode, binary."""


def parse_patch(text: str) -> Patch:
    """Take the patch of one file apart. A patch that is cut short gives the lines that are there."""
    lines: list[PatchLine] = []
    hunks: list[Hunk] = []
    head: list[str] = []
    old = new = old_left = new_left = first = skipped = new_end = 0
    heading, inside = "", False
    for line in text.split("\n"):
        if old_left > 0 or new_left > 0:
            sign, code = line[:1], line[1:]
            if sign == "+":
                lines.append(PatchLine(DiffMark.ADDED, code, 0, new))
                new, new_left = new + 1, new_left - 1
            elif sign == "-":
                lines.append(PatchLine(DiffMark.REMOVED, code, old, 0))
                old, old_left = old + 1, old_left - 1
            elif sign == " ":
                lines.append(PatchLine(DiffMark.CONTEXT, code, old, new))
                old, new, old_left, new_left = old + 1, new + 1, old_left - 1, new_left - 1
            elif sign == "\\" and lines:
                lines[-1] = replace(lines[-1], ended=False)
        elif line.startswith("@@") and (found := _HUNK.match(line)) is not None:
            if inside:
                hunks.append(Hunk(first, len(lines), skipped, heading))
            old, new = int(found[1]), int(found[3])
            old_left, new_left = int(found[2] or 1), int(found[4] or 1)
            # Where a side has no lines its number is that of the line before.
            skipped = max(0, (new if new_left else new + 1) - max(1, new_end))
            new_end = new + new_left if new_left else new + 1
            first, heading, inside = len(lines), found[5], True
        elif line.startswith("\\") and lines:
            lines[-1] = replace(lines[-1], ended=False)
        elif line:
            head.append(line)
            new_end = 0 if line.startswith("diff --git ") else new_end
    if inside:
        hunks.append(Hunk(first, len(lines), skipped, heading))
    return Patch(_plain_line_ends(lines) if "\r" in text else lines, tuple(hunks), tuple(_notes(head)))


def _plain_line_ends(lines: Sequence[PatchLine]) -> Sequence[PatchLine]:
    """Lines that end as on Windows without that where all do, else with a mark: only then it is a difference."""
    ends = [line.text.endswith("\r") for line in lines]
    if not any(ends):
        return lines
    mark = "" if all(ends) else "^M"
    return [replace(line, text=line.text[:-1] + mark) if line.text.endswith("\r") else line for line in lines]


def _notes(head: Sequence[str]) -> list[str]:
    """What the lines above the first hunk say, in words."""
    notes, said = [], {}
    for line in head:
        for start in ("rename from ", "copy from ", "similarity index ", "old mode ", "new mode ", "new file mode "):
            if line.startswith(start):
                said[start] = line.removeprefix(start)
    if "rename from " in said:
        alike = said.get("similarity index ", "")
        notes.append(f"renamed from {said['rename from ']}" + (f", {alike} alike" if alike else ""))
    if "copy from " in said:
        notes.append(f"copied from {said['copy from ']}")
    if "old mode " in said:
        notes.append(f"mode {said['old mode ']} is now {said.get('new mode ', '?')}")
    if said.get("new file mode ") == "100755":
        notes.append("executable")
    if said.get("new file mode ") == "120000":
        notes.append("a link")
    return notes


def without_space_changes(patch: Patch) -> Patch:
    """The patch where lines that differ only in white space are context. Hunks without a change are left out."""
    lines: list[PatchLine] = []
    hunks: list[Hunk] = []
    skipped = 0
    for hunk in patch.hunks:
        kept = _without_space_changes(patch.lines[hunk.first : hunk.last])
        if all(line.mark is DiffMark.CONTEXT for line in kept):
            skipped += hunk.skipped + sum(1 for line in kept if line.new)
            continue
        hunks.append(Hunk(len(lines), len(lines) + len(kept), hunk.skipped + skipped, hunk.heading))
        lines += kept
        skipped = 0
    return Patch(lines, tuple(hunks), patch.notes)


def _without_space_changes(lines: Sequence[PatchLine]) -> list[PatchLine]:
    found: list[PatchLine] = []
    for removed, added, context in runs(lines):
        if context is not None:
            found.append(lines[context])
            continue
        at, bare = 0, [_bare(lines[place]) for place in added]
        for one in removed:
            wanted = _bare(lines[one])
            same = bare.index(wanted, at) if wanted in bare[at:] else None
            if same is None:
                found.append(lines[one])
                continue
            found += [lines[place] for place in added[at:same]]
            line = lines[added[same]]
            found.append(PatchLine(DiffMark.CONTEXT, line.text, lines[one].old, line.new, line.ended))
            at = same + 1
        found += [lines[place] for place in added[at:]]
    return found


def _bare(line: PatchLine) -> str:
    return "".join(line.text.split())


def runs(lines: Sequence[PatchLine], first: int = 0, last: int | None = None) -> list[tuple[range, range, int | None]]:
    """The lines in their order as (removed, added, None) for each run of changes and (…, …, place) for each other."""
    found: list[tuple[range, range, int | None]] = []
    at, end = first, len(lines) if last is None else last
    nothing = range(0)
    while at < end:
        if lines[at].mark is DiffMark.CONTEXT:
            found.append((nothing, nothing, at))
            at += 1
            continue
        middle = at
        while middle < end and lines[middle].mark is DiffMark.REMOVED:
            middle += 1
        behind = middle
        while behind < end and lines[behind].mark is DiffMark.ADDED:
            behind += 1
        found.append((range(at, middle), range(middle, behind), None))
        at = behind
    return found


def aligned(lines: Sequence[PatchLine], removed: range, added: range) -> list[tuple[int, int]]:
    """Which removed line stands beside which added one; -1 where a side has none."""
    pairs: list[tuple[int, int]] = []
    if len(removed) != len(added) and removed and added and len(removed) * len(added) <= ALIGNED_LINES:
        at = 0
        for one in removed:
            text = lines[one].text
            same = next((place for place in added[at:] if likeness(text, lines[place].text) >= ALIKE), None)
            if same is None:
                pairs.append((one, -1))
                continue
            pairs += [(-1, place) for place in added[at : same - added.start]]
            pairs.append((one, same))
            at = same - added.start + 1
        pairs += [(-1, place) for place in added[at:]]
        return pairs
    for place in range(max(len(removed), len(added))):
        left = removed[place] if place < len(removed) else -1
        pairs.append((left, added[place] if place < len(added) else -1))
    return pairs
