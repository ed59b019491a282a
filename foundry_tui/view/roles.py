"""What a piece of a row of the task list is; its colour depends on that, see `widgets/row_styles.py`."""

from enum import StrEnum


class Role(StrEnum):
    """What a piece of a row is."""

    CURSOR = "cursor-mark"
    MARK = "mark"
    TITLE = "title"
    DIM = "dim"
    REPO = "repo"
    BRANCH = "branch"
    SAID = "said"
    KEY = "key"
    ASKS = "asks"
    WORKING = "working"
    PROVISIONING = "provisioning"
    READY = "ready"
    FAILED = "failed"
    DONE = "done"
    PENDING = "pending"
    MATCH = "match"
    AGE = "age"


RowPiece = tuple[str, Role]
