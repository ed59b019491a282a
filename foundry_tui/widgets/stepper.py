"""The stepper: five steps with their state, seconds, attempts and what they do, on one line or on several."""

from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip

from foundry_tui.view.ages import running_time
from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import UNKNOWN, glyph_set
from foundry_tui.view.stepper import Step, StepState, spent_text
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of, wrapped

ROOM_FOR_DETAIL = 64
"""Cells from which a step and what it does stand on one line."""
ROOM_FOR_COMPACT = 84
"""Cells from which the compact form names each step."""

DETAIL_LINES = 3
"""Lines that a step's detail takes at most where there is no room beside it."""

MOVING = frozenset({StepState.RUNNING, StepState.ASKING, StepState.WAITING})
"""States in which a step's line changes with time."""

UNTOLD = frozenset({StepState.PENDING, StepState.FAILED})
"""States of which a step's line says no more: what failed has a face of its own."""

_STYLE_NAMES: dict[StepState, str] = {
    StepState.PENDING: "pending",
    StepState.ASKING: "running",
    StepState.RUNNING: "running",
    StepState.WAITING: "waiting",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.CANCELLED: "cancelled",
    StepState.UNKNOWN: "waiting",
}
_GLYPHS: dict[StepState, tuple[str, str]] = {
    StepState.PENDING: ("○", "."),
    StepState.WAITING: ("↻", "~"),
    StepState.DONE: ("✓", "+"),
    StepState.FAILED: ("✗", "x"),
    StepState.CANCELLED: ("⊘", "-"),
    StepState.UNKNOWN: (UNKNOWN, UNKNOWN),
}


class Stepper(Drawn):
    """Shows steps; drawn anew by `show`, and only its moving lines by `tick` and `spin`."""

    def __init__(self, clock: Clock, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._set = 1 if ascii_only else 0
        self._spinner = glyph_set(ascii_only).spinner
        self._steps: tuple[Step, ...] = ()
        self._compact = False
        self._rows_key: tuple[tuple[Step, ...], int, int] | None = None
        self._kept_rows: list[tuple[Step, int]] = []

    @property
    def moving(self) -> bool:
        """Whether a line changes with time."""
        return any(step.state in MOVING for step in self._steps)

    def show(self, steps: tuple[Step, ...], *, compact: bool) -> None:
        """Show these steps, on one line if `compact`."""
        if (steps, compact) == (self._steps, self._compact):
            return
        before = self._drawn_lines()
        self._steps, self._compact = steps, compact
        after = self._drawn_lines()
        if len(after) != len(before):
            self.refresh(layout=True)
            return
        for y, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                self.redraw_line(y)

    def tick(self) -> None:
        """A second has passed."""
        if not self._compact and self._height(self.size.width) != self.size.height:
            self.refresh(layout=True)
            return
        for y in self._moving_lines():
            self.redraw_line(y)

    def spin(self) -> None:
        """The frame is another: the spinners turn."""
        if not self._compact:
            for y, (step, part) in enumerate(self._rows(self.size.width)):
                if step.state in MOVING and part < 2:
                    self.refresh(Region(1, y, 1, 1))

    def _drawn_lines(self) -> list[object]:
        """What each line is made of."""
        if not self._steps:
            return []
        return [self._steps] if self._compact else [*self._rows(self.size.width)]

    def _moving_lines(self) -> list[int]:
        if self._compact:
            return [0] if self.moving else []
        return [y for y, (step, part) in enumerate(self._rows(self.size.width)) if step.state in MOVING]

    def _height(self, width: int) -> int:
        return 1 if self._compact else len(self._rows(width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._height(width)

    def _rows(self, width: int) -> list[tuple[Step, int]]:
        """Which step stands on each line: part 0 is a whole line, 1 the first of several, 2 and more are the others."""
        now = self._clock.now_ms()
        key = (self._steps, width, now // 1000)
        if key == self._rows_key:
            return self._kept_rows
        rows: list[tuple[Step, int]] = []
        for step in self._steps:
            told = step.state not in UNTOLD and (step.state is not StepState.DONE or step.attempt > 1)
            detail = self._detail(step, now) if told and width < ROOM_FOR_DETAIL else ""
            if not detail:
                rows.append((step, 0))
            else:
                rows.append((step, 1))
                rows += [(step, 2 + part) for part in range(len(self._detail_lines(detail, width)))]
        self._rows_key, self._kept_rows = key, rows
        return rows

    def _detail_lines(self, detail: str, width: int) -> list[Text]:
        lines = wrapped(Text(detail, self._style("detail")), max(10, width - 4))
        return lines[:DETAIL_LINES]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._compact:
            text = self._compact_line(width) if y == 0 else Text()
        else:
            rows = self._rows(width)
            text = self._line(*rows[y], width) if y < len(rows) else Text()
        return strip_of(text, width, self.base)

    def _style(self, name: str) -> Style:
        return style_of(self, f"stepper--{name}")

    def _glyph(self, step: Step) -> str:
        if step.state in (StepState.RUNNING, StepState.ASKING):
            return self._spinner[self._clock.frame() % len(self._spinner)]
        return _GLYPHS[step.state][self._set]

    def _line(self, step: Step, part: int, width: int) -> Text:
        style = self._style(_STYLE_NAMES[step.state])
        now = self._clock.now_ms()
        if part >= 2:
            lines = self._detail_lines(self._detail(step, now), width)
            return Text.assemble("   ", lines[part - 2]) if part - 2 < len(lines) else Text()
        text = Text(" ")
        text.append(f"{self._glyph(step)} ", style)
        text.append(f"{step.name:<8}", style + Style(bold=step.state not in (StepState.PENDING, StepState.DONE)))
        text.append(f" {step.word:<9}", style)
        text.append(f" {spent_text(step, now):>7}", style)
        told = part == 0 and width >= ROOM_FOR_DETAIL and step.state not in UNTOLD
        detail = self._detail(step, now) if told else ""
        if detail:
            text.append(f"   {detail}", self._style("detail"))
        return text

    def _detail(self, step: Step, now: int) -> str:
        """Attempt, count-down and what is done, as far as each says something."""
        parts = []
        if step.state is StepState.WAITING and step.resumes_at is not None:
            parts.append(
                f"attempt {step.attempt + 1} of {step.max_attempts} in {running_time(step.resumes_at - now + 999)}"
            )
        elif step.attempt > 1 or (step.state is StepState.RUNNING and step.stage and step.max_attempts > 1):
            parts.append(f"attempt {step.attempt} of {step.max_attempts}")
        if step.detail and step.state is not StepState.PENDING:
            parts.append(step.detail.partition("\n")[0])
        return " · ".join(parts) if not self._set else " - ".join(parts)

    def _compact_line(self, width: int) -> Text:
        now = self._clock.now_ms()
        text = Text(" ")
        roomy = width >= ROOM_FOR_COMPACT
        for place, step in enumerate(self._steps):
            style = self._style(_STYLE_NAMES[step.state])
            if place:
                text.append((" ── ", " -- ")[self._set] if roomy else " ", self._style("pending"))
            text.append(f"{self._glyph(step)} {step.name}", style)
            if roomy:
                text.append(f" {spent_text(step, now)}".rstrip(), self._style("detail"))
        return text
