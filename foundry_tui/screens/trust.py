"""The question whether a repository's own set-up may run in its tasks' sandboxes: it shows all that this would run."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.requests import RepoSetup
from foundry_tui.screens.confirm import ConfirmScreen


class TrustScreen(ConfirmScreen):
    """Answers True when what is shown is trusted. The focus begins on skipping it."""

    def __init__(self, label: str, setup: RepoSetup) -> None:
        """`label` is the repository's."""
        super().__init__(f"Run the set-up of {label} in its tasks' sandboxes?", yes="Trust it", no="Skip it")
        self._setup = setup

    def compose(self) -> ComposeResult:
        with Vertical(id="question-box"):
            yield Static(self._question, id="question", markup=False)
            with VerticalScroll(id="files"):
                for file in self._setup.files:
                    yield Static(harmless(file.path), classes="path", markup=False)
                    shown = harmless(file.text.expandtabs(4), lines=True)
                    yield Static(shown.rstrip("\n"), classes="text", markup=False)
            yield Static("Until then tasks go on without it. Another content is asked about again.", id="note")
            with Horizontal(id="answers"):
                yield Button(f"{self._no}  {self.key_of('decline')}", id="no", compact=True)
                yield Button(f"{self._yes}  {self.key_of('confirm')}", id="yes", variant="warning", compact=True)
