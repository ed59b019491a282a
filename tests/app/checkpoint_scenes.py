"""Checkpoints of the task of `task_scenes`, and what differs from them."""

from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.records import FileDiff
from tests.app.factories import NOW

_MINUTE = 60_000

KEPT = (
    Checkpoint(checkpoint_id="before-1", prompt_id="prompt-1", when=When.BEFORE, at=NOW - 52 * _MINUTE),
    Checkpoint(
        checkpoint_id="after-1",
        prompt_id="prompt-1",
        when=When.AFTER,
        at=NOW - 48 * _MINUTE,
        files=3,
        added=41,
        removed=7,
    ),
    Checkpoint(
        checkpoint_id="before-2",
        prompt_id="prompt-2",
        when=When.BEFORE,
        at=NOW - 9 * _MINUTE,
        files=1,
        added=1,
        removed=0,
    ),
    Checkpoint(
        checkpoint_id="after-2",
        prompt_id="prompt-2",
        when=When.AFTER,
        at=NOW - 7 * _MINUTE,
        files=12,
        added=380,
        removed=95,
    ),
    Checkpoint(checkpoint_id="undo-1", when=When.UNDO, at=NOW - 2 * _MINUTE),
)
DIFFERING = FileDiff(
    path="shop/auth.py",
    status="M",
    added=1,
    removed=1,
    patch="diff --git a/shop/auth.py b/shop/auth.py\n--- a/shop/auth.py\n+++ b/shop/auth.py\n@@ -1 +1 @@\n-old\n+new\n",
)
