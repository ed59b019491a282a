"""What a task's branch holds, and how it stands to where it came from; field names are the wire's."""

from foundry_tui.contract.record import Record


class Work(Record, frozen=True, kw_only=True):
    """What became of a task's branch, as found out behind at the time `at`.

    `ahead` and `behind` count commits against `base`, the remote's branch where there is one. `files`, `added` and
    `removed` are of all changes since the branch left its base, committed or not; null lines: not counted.
    `uncommitted` counts files that a commit would take. `pushed` says that a remote has all commits of the branch.
    `conflicts` are the paths that bringing in the base would not merge by itself; null: not known. `landed` says that
    the local base branch has all that the commits of the branch change.
    """

    base: str
    ahead: int
    behind: int
    files: int
    at: int
    added: int | None = None
    removed: int | None = None
    uncommitted: int = 0
    pushed: bool = False
    upstream: str | None = None
    conflicts: tuple[str, ...] | None = None
    landed: bool = False
