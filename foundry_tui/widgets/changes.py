"""The files that a task changed, and the patch of the one that is highlighted."""

from collections.abc import Sequence

from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from foundry_tui.contract.records import FileDiff
from foundry_tui.view.diffs import DiffLine, DiffMark, patch_lines
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, spread, strip_of

_STATUS_WORDS = {"A": "added", "M": "changed", "D": "deleted", "R": "renamed", "T": "other type", "?": "untracked"}
CUT_NOTE = "… cut here; whole it is in: foundry diff ID | less"
MOST_FILES = 12
"""Files in sight above the patch; more of them scroll."""


class FileList(Lines):
    """One line a file; the highlighted one's patch is shown."""

    class Highlighted(Message):
        """Another file is highlighted."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(follow=False, id=id)
        self._files: Sequence[FileDiff] = ()
        self.cursor = 0

    def show(self, files: Sequence[FileDiff]) -> None:
        """Show these files, the highlighted one kept by its path."""
        path = self._files[self.cursor].path if self.cursor < len(self._files) else None
        self._files = tuple(files)
        self.cursor = next((place for place, file in enumerate(files) if file.path == path), 0)
        # One line more is the border.
        self.styles.height = 1 + max(1, min(MOST_FILES, len(files)))
        self.lines_changed()

    def highlight(self, place: int) -> None:
        """Highlight the file of this place, as near as there is one."""
        place = max(0, min(place, len(self._files) - 1))
        if place != self.cursor:
            self.cursor = place
            top, height = round(self.scroll_y), max(1, self.size.height)
            if place < top:
                self.move(place - top)
            elif place >= top + height:
                self.move(place - top - height + 1)
            self.refresh()
            self.post_message(self.Highlighted(place))

    @property
    def line_count(self) -> int:
        return len(self._files)

    def strip_at(self, line: int) -> Strip:
        file = self._files[line]
        dim = style_of(self, "file-list--dim")
        left = Text.assemble((f" {file.status} ", dim), (file.path, style_of(self, "file-list--path")))
        right = Text.assemble(
            *self._counts(file),
            ("cut " if file.cut else "", dim),
            (f"{_STATUS_WORDS.get(file.status[:1], ''):<9} ", dim),
        )
        base = self.base
        if line == self.cursor:
            base = base + style_of(self, "file-list--cursor")
        return strip_of(spread(left, right, self.lines_width), self.lines_width, base)

    def _counts(self, file: FileDiff) -> list[tuple[str, Style]]:
        """Lines added and removed; of what has no lines nothing is claimed."""
        if file.added is None or file.removed is None:
            return [("not counted ", style_of(self, "file-list--dim"))]
        return [
            (f"+{file.added} ", style_of(self, "file-list--added")),
            (f"-{file.removed} ", style_of(self, "file-list--removed")),
        ]

    def on_click(self, event: events.Click) -> None:
        self.highlight(round(self.scroll_y) + event.y)


class Patch(Lines):
    """One file's patch with line numbers."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(follow=False, id=id)
        self._patch: list[DiffLine] = []
        self._note = ""

    def show(self, patch: str, note: str = "", *, cut: bool = False) -> None:
        """Show a patch; `note` stands in place of one that has no lines, and `cut` says below it that there is more."""
        self._patch = patch_lines(patch)
        if cut and self._patch:
            self._patch.append(DiffLine(DiffMark.HUNK, CUT_NOTE))
        self._note = note or "No lines to show: a binary file, or only its mode changed."
        self.move_to_start()
        self.lines_changed()

    @property
    def line_count(self) -> int:
        return max(1, len(self._patch))

    def strip_at(self, line: int) -> Strip:
        width, base = self.lines_width, self.base
        if not self._patch:
            return strip_of(Text(f" {self._note}", style_of(self, "patch--number")), width, base)
        part = self._patch[line]
        if part.mark is DiffMark.HUNK:
            return strip_of(Text(f" {part.text}", style_of(self, "patch--hunk")), width, base)
        name = {DiffMark.ADDED: "added", DiffMark.REMOVED: "removed"}.get(part.mark, "context")
        style = style_of(self, f"patch--{name}")
        number = f"{part.number:>5} " if part.number is not None else "      "
        code = "".join(character if character.isprintable() else "�" for character in part.text.expandtabs(4))
        text = Text.assemble((number, style_of(self, "patch--number")), (f"{part.mark.value} {code}", style))
        return strip_of(text, width, base + style if name != "context" else base)


class ChangesView(Vertical):
    """Files above, the patch of the highlighted one below. Up and down move through the files."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._files: Sequence[FileDiff] = ()

    def compose(self) -> ComposeResult:
        yield FileList()
        yield Patch()

    def show(self, files: Sequence[FileDiff], note: str = "") -> None:
        """Show these files; `note` is said when there are none."""
        self._files = tuple(files)
        names = self.query_one(FileList)
        names.display = bool(files)
        names.show(files)
        self._show_patch(names.cursor, note)

    def _show_patch(self, place: int, note: str = "") -> None:
        patch = self.query_one(Patch)
        if place >= len(self._files):
            patch.show("", note)
            return
        file = self._files[place]
        patch.show(file.patch, CUT_NOTE if file.cut else note, cut=file.cut)

    def on_file_list_highlighted(self, message: FileList.Highlighted) -> None:
        message.stop()
        self._show_patch(message.place)

    def highlight(self, path: str) -> None:
        """Highlight the file of this path, if there is one."""
        place = next((place for place, file in enumerate(self._files) if file.path == path), None)
        if place is not None:
            self.query_one(FileList).highlight(place)

    def move(self, steps: int) -> None:
        """Highlight another file."""
        names = self.query_one(FileList)
        names.highlight(names.cursor + steps)

    def move_page(self, pages: float) -> None:
        """Scroll the patch by some screens."""
        self.query_one(Patch).move_page(pages)

    def move_to_start(self) -> None:
        """To the beginning of the patch."""
        self.query_one(Patch).move_to_start()

    def move_to_end(self) -> None:
        """To the end of the patch."""
        self.query_one(Patch).move_to_end()
