"""The fields of the new-task dialog that stand below its prompt, each with a line for what is said of it."""

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Input, Static

from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.new_task import CHOICES, HINTS, LABELS, OPTIONS, Remark


def field(name: str, value: str) -> ComposeResult:
    """A field with its label before it."""
    with Horizontal(classes="field"):
        yield Static(LABELS[name], classes="label")
        yield Input(value, placeholder=HINTS[name], id=name, compact=True)


def remark_line(name: str) -> Static:
    """The line for what is said of a field."""
    return Static("", id=f"{name}-remark", classes="remark", markup=False)


def show_remark(line: Static, remark: Remark, *, ascii_only: bool) -> None:
    """Say this of the line's field; a line that says nothing takes no room."""
    mark = ("! " if ascii_only else "✗ ") if remark.bad else ""
    line.update(harmless(f"{mark}{remark.text}", lines=True))
    line.set_class(remark.bad, "-bad")
    line.set_class(remark.warning, "-warning")
    line.display = bool(remark.text)


class ChoiceFields(Vertical):
    """Agent, model, mode and provider, two in a row."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(id="choices")
        self._values = values

    def compose(self) -> ComposeResult:
        for pair in CHOICES:
            with Container(classes="pair"):
                for name in pair:
                    yield from field(name, self._values[name])
                for name in pair:
                    yield remark_line(name)

    def stack(self, slim: bool) -> None:
        """Have what is said of a field below it also where there is no room for two in a row."""
        for pair in self.query(".pair"):
            first, second = pair.query(".field")
            pair.move_child(pair.query(".remark").first(), after=first if slim else second)

    def show(self, hints: Mapping[str, str], remarks: Mapping[str, Remark]) -> None:
        """Say what empty fields stand for, folded ones too; a mode to be wary of stands out."""
        for name, hint in hints.items():
            self.screen.query_one(f"#{name}", Input).placeholder = harmless(hint)
        self.query_one("#mode").set_class(remarks["mode"].warning, "-warning")


class OptionFields(Vertical):
    """What is folded away."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(id="options")
        self._values = values

    def compose(self) -> ComposeResult:
        for name in OPTIONS:
            yield from field(name, self._values[name])
            yield remark_line(name)
