"""What a checkpoint has, in words."""

from foundry_tui.contract.checkpoints import Checkpoint


def size_of(checkpoint: Checkpoint) -> str:
    """What differs in it from the one before: `3 files +12 -1`, or `no change`."""
    if not checkpoint.files:
        return "no change"
    files = f"{checkpoint.files:,} {'file' if checkpoint.files == 1 else 'files'}"
    return f"{files} +{checkpoint.added:,} -{checkpoint.removed:,}"
