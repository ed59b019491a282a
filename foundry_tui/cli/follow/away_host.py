"""What is said while a task is waited for whose host is away: nothing else would come before that is back."""

from foundry_tui.cli.output import tell
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING


class AwayHost:
    """Says on standard error that a task's host is away, and that it is back, each once."""

    def __init__(self) -> None:
        self._away = False

    def look(self, task: TaskSummary) -> bool:
        """Say what has changed; whether it is away."""
        from foundry_tui.contract.hosts import away_words
        from foundry_tui.contract.task_words import waits_for_host

        away = waits_for_host(task)
        if away and not self._away:
            tell(f"foundry: {harmless(away_words(task.host))}")
        elif self._away and not away and task.status not in ENDED | RELEASING:
            tell(f"foundry: the host {harmless(task.host or '')} is back")
        self._away = away
        return away
