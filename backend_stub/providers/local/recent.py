"""The diffs that are held in memory: those used last, as many as have room."""

from foundry_tui.contract.requests import Diff

_FILE = 200
"""What a file counts beside its texts."""


class RecentDiffs:
    """Diffs by task, of at most `limit` characters together. Where they are more, those go that were used longest ago;
    the one that was put last stays, however large it is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._held: dict[str, tuple[Diff, int]] = {}

    def get(self, task_id: str) -> Diff | None:
        """The diff, which counts as used now; None when it was never put, or let go."""
        held = self._held.pop(task_id, None)
        if held is None:
            return None
        self._held[task_id] = held
        return held[0]

    def put(self, task_id: str, diff: Diff) -> None:
        self.drop(task_id)
        size = sum(_FILE + len(file.path) + len(file.patch) for file in diff.files)
        self._held[task_id] = diff, size
        self._total += size
        while self._total > self._limit and len(self._held) > 1:
            self.drop(next(iter(self._held)))

    def drop(self, task_id: str) -> None:
        _, size = self._held.pop(task_id, (None, 0))
        self._total -= size
