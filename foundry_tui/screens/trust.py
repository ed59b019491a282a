"""The question whether a repository's own set-up may run in its tasks' sandboxes: it shows all that this would run."""

from collections.abc import Iterable
from typing import ClassVar

from textual.widgets import Static
from textual.widgets.button import ButtonVariant

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.requests import RepoSetup
from foundry_tui.screens.confirm import ConfirmScreen


class TrustScreen(ConfirmScreen):
    """Answers True when what is shown is trusted. The focus begins on skipping it."""

    NOTE = "Until then tasks go on without it. Changed content is asked about again."
    YES: ClassVar[ButtonVariant] = "warning"

    def __init__(self, label: str, setup: RepoSetup) -> None:
        """`label` is the repository's."""
        super().__init__(f"Run the set-up of {label} in its tasks' sandboxes?", yes="Trust it", no="Skip it")
        self._setup = setup

    def statements(self) -> Iterable[Static]:
        for file in self._setup.files:
            yield Static(harmless(file.path), classes="path", markup=False)
            yield Static(harmless(file.text.expandtabs(4), lines=True).rstrip("\n"), classes="text", markup=False)
