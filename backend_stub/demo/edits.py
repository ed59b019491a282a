"""What the script's edits come to as changes of files."""

import difflib

from foundry_tui.contract.questions import FileEdit
from foundry_tui.contract.records import FileDiff


def file_diff(edit: FileEdit, *, back: bool = False) -> FileDiff:
    """The edit as a patch; `back`: what takes it back."""
    old, new = (edit.old or "").splitlines(keepends=True), edit.new.splitlines(keepends=True)
    before, after = "/dev/null" if edit.old is None else f"a/{edit.path}", f"b/{edit.path}"
    status = "A" if edit.old is None else "M"
    if back:
        old, new = new, old
        before, after = f"a/{edit.path}", "/dev/null" if edit.old is None else f"b/{edit.path}"
        status = "D" if edit.old is None else "M"
    hunks = list(difflib.unified_diff(old, new, before, after))
    return FileDiff(
        path=edit.path,
        status=status,
        added=sum(line.startswith("+") for line in hunks[2:]),
        removed=sum(line.startswith("-") for line in hunks[2:]),
        patch="".join((f"diff --git a/{edit.path} b/{edit.path}\n", *hunks)),
    )
