"""Connections, freshness and counts: what the client knows about itself, drawn anew each second."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.coordinate import Coordinate
from textual.widgets import DataTable, Static

from foundry_tui.actions.context import DIAGNOSTICS
from foundry_tui.actions.table import bindings
from foundry_tui.contract.control_characters import harmless
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.screens.scrolling import Box, ScrollActions, Scrolled
from foundry_tui.view.report import TOPIC_COLUMNS, head_lines, log_lines, topic_row
from foundry_tui.view.usage import used_by, used_lines
from foundry_tui.widgets.bars import ActionBar, TopBar

LOG_LINES = 200
COLUMNS = 16
"""Cells by which a key moves the table of topics to a side."""


class DiagnosticsScreen(ScrollActions, FoundryScreen[None]):
    """The same figures as `foundry status --json`, as the app sees them."""

    SCREEN_NAME = DIAGNOSTICS
    BINDINGS = bindings(DIAGNOSTICS)
    CSS_PATH = "diagnostics.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._used_at: int | None = None
        self._used: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        app = self.foundry
        yield TopBar(app.store.freshness, app.clock, app.glyphs, lambda: app.loaded, lambda: app.starting)
        yield Static(id="figures")
        yield DataTable[Text](id="topics", cursor_type="none", zebra_stripes=False, show_cursor=False)
        yield Static("Connection log, newest first", id="log-title")
        with VerticalScroll(id="connection-log", can_focus=False):
            yield Static(id="log-lines", markup=False)
        yield ActionBar()

    def on_mount(self) -> None:
        self.query_one(TopBar).show([("Diagnostics", "bold $primary")])
        self.query_one("#topics", DataTable).add_columns(*TOPIC_COLUMNS)
        self._show()

    @property
    def scrolled(self) -> Scrolled:
        return Box(self.query_one("#connection-log"))

    def action_columns_left(self) -> None:
        self._scroll_topics(-COLUMNS)

    def action_columns_right(self) -> None:
        self._scroll_topics(COLUMNS)

    def _scroll_topics(self, cells: int) -> None:
        self.query_one("#topics", DataTable).scroll_relative(x=cells, animate=False, immediate=True)

    def _show_topics(self, topics: Sequence[Sequence[str]]) -> None:
        # Textual looks for markup in a string, and takes a text as it stands.
        rows = [[Text(harmless(cell)) for cell in row] for row in topics]
        table = self.query_one("#topics", DataTable)
        if [row[0] for row in rows] != [table.get_row_at(number)[0] for number in range(table.row_count)]:
            table.clear()
            for row in rows:
                table.add_row(*row)
            return
        # Clearing would scroll back to the first column, each second.
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if table.get_cell_at(Coordinate(number, column)) != value:
                    table.update_cell_at(Coordinate(number, column), value, update_width=True)

    def on_tick(self) -> None:
        self._show()
        self.query_one(TopBar).tick()

    def _show(self) -> None:
        ask = self.foundry.diagnostics
        figures = self.query_one("#figures", Static)
        if ask is None:
            figures.update("This app runs without connections of its own.")
            return
        report = ask()
        parts: list[tuple[str, str]] = []
        if report.flushes != self._used_at:
            # Going through all tasks is not worth it while none has changed.
            self._used_at, self._used = report.flushes, used_lines(used_by(self.foundry.store.tasks.values()))
        for name, value in [*head_lines(report), *self._used]:
            parts += [(f"{name:<20}", "$text-faint"), (f"{value}\n", "$foreground")]
        figures.update(Content.assemble(*parts[:-1], (parts[-1][0].rstrip("\n"), "$foreground")))
        self._show_topics([topic_row(topic, report.at) for topic in report.topics])
        zone = datetime.now().astimezone().tzinfo
        lines = log_lines(report.log[-LOG_LINES:], zone)
        self.query_one("#log-lines", Static).update("\n".join(lines) or "nothing yet")
