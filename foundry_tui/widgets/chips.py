"""What is attached to the text that is being written: the names of files, above or below the field."""

from collections.abc import Sequence
from pathlib import PurePath

from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of

MOST_ROWS = 3


class Chips(Drawn):
    """One chip a file, on as many lines as they take, up to `MOST_ROWS`. Only their paths are kept here."""

    ALLOW_SELECT = False

    class Changed(Message):
        """A file was attached, or taken off again."""

    def __init__(self, field: Widget, *, id: str | None = None) -> None:
        """`field` is told of changes."""
        super().__init__(id=id)
        self._field = field
        self.files: tuple[str, ...] = ()

    def show(self, files: Sequence[str]) -> None:
        """Show these, each once."""
        self.files = tuple(dict.fromkeys(files))
        self.display = bool(self.files)
        self.refresh(layout=True)

    def add(self, files: Sequence[str]) -> None:
        """Attach these too."""
        self.show((*self.files, *files))
        self._field.post_message(self.Changed())

    def remove_last(self) -> None:
        """Take off the file that was attached last."""
        self.show(self.files[:-1])
        self._field.post_message(self.Changed())

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        rows = self._rows(width)
        line = rows[y] if y < len(rows) else Text()
        return strip_of(line, width - 1, self.base).adjust_cell_length(width, self.base)

    def _rows(self, width: int) -> list[Text]:
        """The chips in lines of this width; what has no line any more is counted behind the last."""
        style, dim = style_of(self, "chips--file"), style_of(self, "chips--dim")
        rows = [Text()]
        for number, file in enumerate(self.files):
            chip = Text(f" + {PurePath(file).name or file} ", style)
            if rows[-1] and rows[-1].cell_len + 1 + chip.cell_len > width - 10:
                if len(rows) == MOST_ROWS:
                    rows[-1].append(f" {len(self.files) - number} more", dim)
                    return rows
                rows.append(Text())
            if rows[-1]:
                rows[-1].append(" ")
            rows[-1].append_text(chip)
        return rows
