"""States of a task's files that were kept, before and after each turn that changed something."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record

BASE = "base"
"""`since` of a diff: where the task's branch left its base."""
LAST = "last"
"""`since` of a diff: the state before the last prompt."""
PATCH_TYPE = "text/x-diff"
"""What a diff is that git itself made."""


class When(OpenEnum):
    """On what occasion a checkpoint was made."""

    BEFORE = "before"
    AFTER = "after"
    UNDO = "undo"
    MANUAL = "manual"


class Checkpoint(Record, frozen=True, kw_only=True):
    """The files of a sandbox as they were. `files`, `added` and `removed` count what differs from the checkpoint
    before it: after a turn that is what the turn did. Lines of binary files are not counted.
    """

    checkpoint_id: str
    prompt_id: str | None = None
    when: When
    at: int
    files: int = 0
    added: int = 0
    removed: int = 0


class CheckpointList(Record, frozen=True, kw_only=True):
    """`GET /v1/tasks/{id}/checkpoints`, oldest first."""

    checkpoints: tuple[Checkpoint, ...]
