"""The dialog in which one chooses what the agent of a session offers: its model, its mode, and whatever comes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from foundry_tui.actions.context import OPTIONS
from foundry_tui.actions.table import bindings
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.options import OptionValue, choices_of
from foundry_tui.contract.records import SessionOption, SessionStatus
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.screens.scrolling import Highlight, ScrollActions, Scrolled
from foundry_tui.widgets.bars import ActionBar

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.client.store import Store

NOTHING = "The agent has offered nothing to choose."


class _Row(Struct, frozen=True):
    """A line of the list: a value of an option, or what stands above its values (`value` is None)."""

    option_id: str
    value: OptionValue | None
    text: Content


class SessionOptionsScreen(ScrollActions, FoundryDialog[None]):
    """Sets a value as it is chosen and stays open, so that one sees what the agent makes of it."""

    SCREEN_NAME = OPTIONS
    BINDINGS = bindings(OPTIONS)
    CSS_PATH = "session_options.tcss"
    AUTO_FOCUS = "OptionList"

    def __init__(self, session_id: str, store: "Store") -> None:
        """`store` is where the session is looked up."""
        super().__init__()
        self._session_id = session_id
        self._store = store
        self._rows: list[_Row] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="options-box"):
            yield Static("Options of the agent", id="heading")
            yield OptionList(markup=False)
            yield Static(NOTHING, id="nothing")
            yield ActionBar()

    def on_mount(self) -> None:
        self._show()
        offered = self._offered()
        if offered:
            self._highlight(offered[0].option_id, offered[0].value)

    def on_store_changed(self, changes: "Changes") -> None:
        if self._session_id in changes.sessions:
            self._show()

    @property
    def scrolled(self) -> Scrolled:
        return Highlight(self.query_one(OptionList))

    def _offered(self) -> tuple[SessionOption, ...]:
        session = self._store.session(self._session_id)
        return () if session is None else session.options

    def _show(self) -> None:
        offered = self._offered()
        rows = [row for option in offered for row in self._rows_of(option)]
        choices = self.query_one(OptionList)
        choices.display = bool(rows)
        self.query_one("#nothing").display = not rows
        if rows == self._rows:
            return
        stood = self._highlighted
        self._rows = rows
        choices.set_options([Option(row.text, disabled=row.value is None) for row in rows])
        if stood is not None:
            self._highlight(stood.option_id, stood.value)

    def _rows_of(self, option: SessionOption) -> Iterator[_Row]:
        plain_glyphs = self.foundry.options.ascii
        told = f"  {harmless(option.description)}" if option.description else ""
        waiting = "  setting it" if option.option_id in self._store.unset_options(self._session_id) else ""
        head = Content.assemble((harmless(option.name), "bold"), (waiting, "$text-warning"), (told, "$text-faint"))
        yield _Row(option.option_id, None, head)
        if option.error is not None:
            mark = "! " if plain_glyphs else "✗ "
            yield _Row(option.option_id, None, Content.styled(f"{mark}{harmless(option.error)}", "$text-error"))
        for value, choice in choices_of(option):
            chosen = value == option.value
            mark = ("* " if plain_glyphs else "● ") if chosen else "  "
            about = "  ".join(harmless(each) for each in (choice.group, choice.description) if each)
            text = Content.assemble(
                (mark, "$text-success"),
                (harmless(choice.name), "$text-success" if chosen else ""),
                (f"  {about}" if about else "", "$text-faint"),
            )
            yield _Row(option.option_id, value, text)

    @property
    def _highlighted(self) -> _Row | None:
        place = self.query_one(OptionList).highlighted
        return self._rows[place] if place is not None and place < len(self._rows) else None

    def _highlight(self, option_id: str, value: OptionValue | None) -> None:
        """Highlight this value, where it is offered."""
        places = [place for place, row in enumerate(self._rows) if (row.option_id, row.value) == (option_id, value)]
        if places:
            self.query_one(OptionList).highlighted = places[0]

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_set_option()

    def action_set_option(self) -> None:
        row = self._highlighted
        option = next((each for each in self._offered() if row is not None and each.option_id == row.option_id), None)
        if row is None or row.value is None or option is None:
            return
        session = self._store.session(self._session_id)
        # One that could not be opened was asked for something else than its agent has now.
        opened = session is not None and session.status in (SessionStatus.READY, SessionStatus.RUNNING)
        if option.value != row.value or option.error is not None or not opened:
            self.foundry.commands.set_option(self._session_id, option.option_id, row.value)

    def action_next_option(self) -> None:
        self._step(1)

    def action_previous_option(self) -> None:
        self._step(-1)

    def _step(self, direction: int) -> None:
        """Highlight the chosen value of the option behind this one, or before it."""
        offered, row = self._offered(), self._highlighted
        if offered:
            ids = [option.option_id for option in offered]
            place = ids.index(row.option_id) + direction if row is not None and row.option_id in ids else 0
            option = offered[place % len(offered)]
            self._highlight(option.option_id, option.value)

    def action_close_options(self) -> None:
        self.dismiss(None)
