"""What a checkpoint has, and what going back to one does to files, in words."""

from foundry_tui.contract.checkpoint_words import moment_of, occasion
from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.records import FileDiff
from foundry_tui.view.clock import time_of_day

_BACK = {"A": "D", "?": "D", "D": "A"}
"""What becomes, by git's letters, of a file that came or went since."""


def size_of(checkpoint: Checkpoint) -> str:
    """What differs in it from the one before: `3 files +12 -1`, or `no change`; nothing of one before an undo, which
    is there for the way back to what the undo took away.
    """
    if not checkpoint.files:
        return "" if checkpoint.when is When.UNDO else "no change"
    files = f"{checkpoint.files:,} {'file' if checkpoint.files == 1 else 'files'}"
    return f"{files} +{checkpoint.added:,} -{checkpoint.removed:,}"


def occasion_of(checkpoint: Checkpoint) -> str:
    """On what occasion it was made; an undo has its time: `before the undo of 15:54`."""
    return occasion(checkpoint.when, time_of_day(checkpoint.at, seconds=False))


def moment_within(checkpoint: Checkpoint, prompt: str) -> str:
    """The same within a sentence, with the first line of its prompt where that is known."""
    return moment_of(checkpoint, prompt, time_of_day(checkpoint.at, seconds=False))


def set_back(file: FileDiff) -> str:
    """What becomes of a file, of which it is known what differs since then, when it is set back: `D app.py  +0 -12`."""
    counted = "" if file.added is None or file.removed is None else f"  +{file.removed:,} -{file.added:,}"
    return f"{_BACK.get(file.status, file.status)} {file.path}{counted}"
