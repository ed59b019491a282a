"""What changes are told against: a list of moments over the diff, from which one is chosen."""

from collections.abc import Sequence

from msgspec import Struct
from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from foundry_tui.actions.context import CHANGES_SINCE
from foundry_tui.actions.table import bindings
from foundry_tui.contract.checkpoints import BASE, LAST


class Moment(Struct, frozen=True):
    """A moment that changes are told against: `since` of a diff, and how that is said behind “since”."""

    since: str
    told: str


SINCE_BASE = Moment(BASE, "base")
SINCE_LAST = Moment(LAST, "the last prompt")


class SinceChooser(OptionList):
    """The moments; the highlighted one stays highlighted when more of them come to be known."""

    FIELD = CHANGES_SINCE
    BINDINGS = bindings(CHANGES_SINCE)

    class Chosen(Message):
        """Changes are to be told against this; None: as before."""

        def __init__(self, moment: Moment | None) -> None:
            super().__init__()
            self.moment = moment

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__(markup=False, compact=True)
        self._mark = "* " if ascii_only else "• "
        self._moments: Sequence[Moment] = ()

    def offer(self, moments: Sequence[tuple[Moment, Content]], shown: str) -> None:
        """Offer these, each as it is written; `shown` is what is told against now."""
        place = self.highlighted
        kept = self._moments[place].since if place is not None and self.display else shown
        self._moments = [moment for moment, _ in moments]
        self.set_options(
            [Option(Content(self._mark if each.since == shown else "  ") + line) for each, line in moments]
        )
        self.highlighted = next((at for at, each in enumerate(self._moments) if each.since == kept), 0)

    @on(OptionList.OptionSelected)
    def _clicked(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self.action_take_since()

    def action_take_since(self) -> None:
        place = self.highlighted
        self.post_message(self.Chosen(self._moments[place] if place is not None else None))

    def action_leave_since(self) -> None:
        self.post_message(self.Chosen(None))
