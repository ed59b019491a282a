"""Checkpoints in words."""

from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.wording import Wording

_OCCASIONS: Wording[When] = Wording(
    {
        When.BEFORE: "before a prompt",
        When.AFTER: "after a turn",
        When.UNDO: "before an undo",
        When.MANUAL: "by hand",
    }
)


def occasion(checkpoint: Checkpoint) -> str:
    """On what occasion it was made."""
    return _OCCASIONS[checkpoint.when]


def moment_of(checkpoint: Checkpoint, prompt: str) -> str:
    """The same within a sentence, with the beginning of the prompt where that is known: `before “fix it”`."""
    if prompt and checkpoint.when in (When.BEFORE, When.AFTER):
        return f"{checkpoint.when} “{prompt}”"
    return occasion(checkpoint)


def size_of(checkpoint: Checkpoint) -> str:
    """What differs in it from the one before: `3 files +12 -1`, or `no change`."""
    if not checkpoint.files:
        return "no change"
    files = f"{checkpoint.files:,} {'file' if checkpoint.files == 1 else 'files'}"
    return f"{files} +{checkpoint.added:,} -{checkpoint.removed:,}"
