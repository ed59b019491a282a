"""A text area in which files are named after `@`, and commands of an agent after a `/` at the beginning."""

from textual import events
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Location

from foundry_tui.view.mentions import Naming, Query, query_of
from foundry_tui.widgets.choices import ChoiceList


class NamingArea(TextArea):
    """Asks what could be meant by what is being typed, and has `choices` for the answer, which its screen mounts.

    Only typing opens the list: what was pasted, recalled or restored is text, and so is what one has said no to.
    """

    class Asked(Message):
        """Something else is being named, or nothing any more."""

        def __init__(self, area: "NamingArea", query: Query | None) -> None:
            super().__init__()
            self.area = area
            self.query = query

        @property
        def control(self) -> "NamingArea":
            return self.area

    def __init__(self, text: str = "", *, id: str | None = None, placeholder: str = "") -> None:
        super().__init__(
            text,
            id=id,
            placeholder=placeholder,
            soft_wrap=True,
            compact=True,
            show_line_numbers=False,
            tab_behavior="focus",
        )
        self.choices = ChoiceList(self, self.action_take_choice)
        self.chosen: set[str] = set()
        """The files that were chosen from the list, as their paths are written."""
        self._query: Query | None = None
        self._typed = False
        self._declined: tuple[int, int] | None = None
        """Where the name begins that is to be text."""

    @property
    def choosing(self) -> bool:
        """Whether `enter` takes a choice: there is one, and it says more than what is written already."""
        choice, query = self.choices.highlighted, self._query
        return choice is not None and query is not None and choice.text != f"{query.naming.value}{query.text}"

    @property
    def naming(self) -> bool:
        """Whether the list of choices is open."""
        return self.choices.display

    def load_text(self, text: str) -> None:
        self._typed = False
        super().load_text(text)

    async def on_key(self, event: events.Key) -> None:
        self._typed = True
        # TextArea would take enter for itself before bindings are looked at.
        if event.key == "enter" and self.choosing:
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        self._typed = False

    def on_text_area_changed(self) -> None:
        row, _ = self.cursor_location
        query = self._written()
        if query is None:
            self._declined = None
        elif not self._typed:
            self._declined = (row, query.start)
        self._ask(query if query is not None and self._declined != (row, query.start) else None)

    def on_text_area_selection_changed(self) -> None:
        if self._query is not None:
            query = self._written()
            self._ask(query if query is not None and query.start == self._query.start else None)

    def on_blur(self) -> None:
        self._ask(None)

    def _written(self) -> Query | None:
        """What is being named where the cursor is."""
        row, column = self.cursor_location
        if not self.selection.is_empty:
            return None
        return query_of(self.document[row][:column], first=row == 0)

    def _ask(self, query: Query | None) -> None:
        if query != self._query:
            self._query = query
            self.post_message(self.Asked(self, query))

    def begin(self, words: str) -> None:
        """Put these words before what is written."""
        self._typed = False
        self.insert(words, (0, 0))
        self.move_cursor(self.document.end)

    def action_take_choice(self) -> None:
        choice, query = self.choices.highlighted, self._query
        if choice is None or query is None:
            return
        row, column = self.cursor_location
        start: Location = (row, query.start)
        behind = self.document[row][column : column + 1]
        done = self.replace(choice.text + ("" if behind.isspace() else " "), start, (row, column))
        self.move_cursor((done.end_location[0], done.end_location[1] + behind.isspace()))
        if query.naming is Naming.FILE and choice.path is not None:
            self.chosen.add(choice.path)
        self._ask(None)

    def action_complete_choice(self) -> None:
        self.action_take_choice()

    def action_close_choices(self) -> None:
        if self._query is not None:
            self._declined = (self.cursor_location[0], self._query.start)
        self._ask(None)

    def action_next_choice(self) -> None:
        self.choices.move(1)

    def action_previous_choice(self) -> None:
        self.choices.move(-1)
