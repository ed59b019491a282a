"""The question whether a repository's own set-up may run in its tasks' sandboxes: it shows all that this would run."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from foundry_tui.contract.records import Repo
from foundry_tui.contract.requests import RepoSetup
from foundry_tui.screens.confirm import ConfirmScreen

SIMULATED = "demo"
"""The provider that runs nothing of a repository."""


class TrustScreen(ConfirmScreen):
    """Answers True when what is shown is trusted. The focus begins on skipping it."""

    def __init__(self, repo: Repo, setup: RepoSetup) -> None:
        super().__init__(f"Run the set-up of {repo.label} in its tasks' sandboxes?", yes="Trust it", no="Skip it")
        self._setup = setup

    def compose(self) -> ComposeResult:
        with Vertical(id="question-box"):
            yield Static(self._question, id="question", markup=False)
            with VerticalScroll(id="files"):
                for file in self._setup.files:
                    yield Static(visible(file.path), classes="path", markup=False)
                    yield Static(visible(file.text).rstrip("\n"), classes="text", markup=False)
            yield Static("Until then tasks go on without it. Another content is asked about again.", id="note")
            with Horizontal(id="answers"):
                yield Button(f"{self._no}  {self.key_of('decline')}", id="no", compact=True)
                yield Button(f"{self._yes}  {self.key_of('confirm')}", id="yes", variant="warning", compact=True)


def visible(text: str) -> str:
    """A file's text with all that a terminal would obey, or that would be read in another order, made `�`."""
    return "".join(each if each == "\n" or each.isprintable() else "�" for each in text.expandtabs(4))
