"""Checkpoints in words."""

from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.view.wording import Wording

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


def size_of(checkpoint: Checkpoint) -> str:
    """What differs in it from the one before: `3 files +12 -1`, or `nothing`."""
    if not checkpoint.files:
        return "nothing"
    files = f"{checkpoint.files:,} {'file' if checkpoint.files == 1 else 'files'}"
    return f"{files} +{checkpoint.added:,} -{checkpoint.removed:,}"
