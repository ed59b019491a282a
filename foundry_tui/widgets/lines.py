"""Lines that scroll, follow their end unless one has scrolled away, and can be selected with the mouse."""

from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from foundry_tui.widgets.drawn import Undecorated
from foundry_tui.widgets.overlays import marked


def page_lines(pages: float, height: int) -> int:
    """How many lines so many screens of this height are, when one line of each stays in sight; never none."""
    lines = round(pages * max(1, height - 1))
    return lines or (1 if pages > 0 else -1)


class Lines(Undecorated, ScrollView, can_focus=False, inherit_bindings=False):
    """The base of views made of lines. Keys are the screen's: it calls `move` and its like.

    Subclasses say `line_count` and `strip_at`, and call `lines_changed` when either answers otherwise.
    """

    ALLOW_SELECT = True
    DEFAULT_CSS = """
    Lines {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        background: $background;
        color: $foreground;
    }
    """

    class FollowChanged(Message):
        """The view began or ceased to follow its end."""

        def __init__(self, view: "Lines", following: bool) -> None:
            super().__init__()
            self.view = view
            self.following = following

        @property
        def control(self) -> "Lines":
            return self.view

    def __init__(self, *, follow: bool = True, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._follow = follow
        self._wants_end = follow
        self._settling = False
        self._shown = 0
        self._drawn_size = Size()

    @property
    def following(self) -> bool:
        """Whether new lines move the view, so that the last one stays in sight."""
        return self._follow

    @property
    def lines_below(self) -> int:
        """How many lines there are below those in sight."""
        return max(0, self.line_count - round(self.scroll_y) - self.scrollable_content_region.height)

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return 0

    def strip_at(self, line: int) -> Strip:
        """The strip of a line, as wide as it likes."""
        raise NotImplementedError

    @property
    def lines_width(self) -> int:
        """Cells that a line has."""
        return int(self.scrollable_content_region.width)

    def lines_changed(self) -> None:
        """The lines are others: take their number, keep to the end if that is followed, and draw."""
        self._set_line_count(self.line_count)
        if self._follow:
            self.jump(self.max_scroll_y)
        self.redraw()

    def redraw(self) -> None:
        """Draw anew; what lies behind the last line was blank and stays so."""
        shown = min(self.size.height, max(0, self.line_count - round(self.scroll_y)))
        if last := max(shown, self._shown):
            self.refresh(Region(0, 0, self.size.width, last))
        self._shown = shown

    def _set_line_count(self, count: int) -> None:
        """Tell the scrollbar without laying the whole screen out anew, as setting `virtual_size` would."""
        size = Size(max(0, self.lines_width), count)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            height = self.container_size.height
            self.show_vertical_scrollbar = self.vertical_scrollbar.display = count > height
            self.vertical_scrollbar.window_virtual_size = count
            self.vertical_scrollbar.window_size = height
            self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def jump(self, line: float) -> None:
        if line != self.scroll_y:
            self.set_reactive(Widget.scroll_target_y, line)
            self.scroll_y = line

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._settling:
            return
        self.scrolled()
        self._note_follow(self.scroll_y >= self.max_scroll_y)

    def scrolled(self) -> None:
        """The view stands elsewhere now; called before it is drawn there."""

    def _note_follow(self, following: bool) -> None:
        if following != self._follow and self._wants_end:
            self._follow = following
            self.post_message(self.FollowChanged(self, following))

    def render_lines(self, crop: Region) -> list[Strip]:
        # A resize event comes only after the new size was drawn once: too late for lines that depend on the width.
        if self.size != self._drawn_size:
            self._drawn_size = self.size
            self.resized()
        return super().render_lines(crop)

    def resized(self) -> None:
        """The view has another size now."""
        self.lines_changed()

    def move(self, lines: int) -> None:
        """Scroll by some lines, down if positive."""
        self.jump(min(max(0, round(self.scroll_y) + lines), self.max_scroll_y))

    def move_page(self, pages: float) -> None:
        """Scroll by some screens, down if positive, keeping one line in sight."""
        self.move(page_lines(pages, self.scrollable_content_region.height))

    def move_to_start(self) -> None:
        """Scroll to the first line."""
        self.jump(0)

    def move_to_end(self) -> None:
        """Scroll to the last line, and follow it from now on."""
        self.jump(self.max_scroll_y)
        self._note_follow(True)

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        line = round(self.scroll_y) + y
        base = self.base
        if not 0 <= line < self.line_count:
            return Strip.blank(width, base)
        strip = self.strip_at(line).apply_style(base).adjust_cell_length(width, base)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(line)) is not None:
            strip = _selected(strip, span, self.screen.get_component_rich_style("screen--selection"))
        return strip.apply_offsets(0, line)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self.line_count - 1
        texts = []
        for line in range(max(0, first), min(last, self.line_count - 1) + 1):
            text = self.strip_at(line).text
            span = selection.get_span(line)
            if span is not None:
                texts.append((text[span[0] :] if span[1] < 0 else text[span[0] : span[1]]).rstrip())
        return ("\n".join(texts), "\n") if texts else None

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh(self.size.region)


def _selected(strip: Strip, span: tuple[int, int], style: Style) -> Strip:
    """The strip with the characters of `span` (an end of -1 is that of the line) shown as selected."""
    end = span[1] if span[1] >= 0 else len(strip.text.rstrip())
    return marked(
        strip, span[0], end, Style(bgcolor=style.bgcolor) if style.bgcolor is not None else Style(reverse=True)
    )
