"""What changed since listeners were last told: a set of ids, so that any number of events costs one telling."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

_NONE: frozenset[str] = frozenset()
_NO_TRANSCRIPTS: Mapping[str, int] = MappingProxyType({})


class Changes(Struct, frozen=True, kw_only=True):
    """What a flush tells listeners. Ids name what was added, changed or removed; look in the store for what is now.

    `tasks`, `creations` and `details` are task ids, `sessions` session ids, `logs` task ids. `transcripts` maps the
    session ids whose transcript changed to the lowest index that did; `repos`, `freshness` and `older` (how many
    tasks the backend has beside those held) say only that they did.
    """

    tasks: frozenset[str] = _NONE
    details: frozenset[str] = _NONE
    sessions: frozenset[str] = _NONE
    logs: frozenset[str] = _NONE
    creations: frozenset[str] = _NONE
    transcripts: Mapping[str, int] = _NO_TRANSCRIPTS
    repos: bool = False
    freshness: bool = False
    older: bool = False


class Dirt:
    """Gathers changes between two flushes."""

    __slots__ = ("creations", "details", "freshness", "logs", "older", "repos", "sessions", "tasks", "transcripts")

    def __init__(self) -> None:
        self.tasks: set[str] = set()
        self.details: set[str] = set()
        self.sessions: set[str] = set()
        self.logs: set[str] = set()
        self.creations: set[str] = set()
        self.transcripts: dict[str, int] = {}
        self.repos = False
        self.freshness = False
        self.older = False

    def transcript(self, session_id: str, index: int) -> None:
        """The transcript of a session changed from `index` on."""
        lowest = self.transcripts.get(session_id)
        if lowest is None or index < lowest:
            self.transcripts[session_id] = index
        self.sessions.add(session_id)

    def freeze(self) -> Changes:
        """What was gathered, as listeners get it."""
        return Changes(
            tasks=frozenset(self.tasks),
            details=frozenset(self.details),
            sessions=frozenset(self.sessions),
            logs=frozenset(self.logs),
            creations=frozenset(self.creations),
            transcripts=MappingProxyType(self.transcripts),
            repos=self.repos,
            freshness=self.freshness,
            older=self.older,
        )
