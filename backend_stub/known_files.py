"""The files of sandboxes and repositories, as they are known: listed behind, kept for a while, answered at once."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from msgspec import Struct

from backend_stub.domain.call import Call
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import CallError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Storage
from backend_stub.repository.clones import Clones
from backend_stub.repository.listing import files_of_branch
from foundry_tui.contract.codec import encode
from foundry_tui.contract.file_names import written
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.requests import FileList
from foundry_tui.contract.status import PROVISIONING

logger = logging.getLogger(__name__)

MOST_FILES = 100_000
"""Files of one list; of more the first are told."""
LARGEST_LIST = 8_000_000
"""Characters that the names of one list have together."""
HELD = 32_000_000
"""Bytes of all lists that are held in memory; that used longest ago goes first, the last one never."""
FRESH_MS = 2_000
"""What was listed so lately is not listed anew unless somebody waits for newer."""
AT_ONCE = 2
"""Lists that are made at the same time."""
WAIT_SECONDS = 20.0
"""How long somebody may wait for a newer list; then what is known counts."""

Listing = Callable[[], Awaitable[Sequence[str] | None]]
NOTHING = encode(FileList(paths=()))


class _Known(Struct, frozen=True):
    document: bytes
    computed_at: int


class KnownFiles:
    """Answers are `FileList` as JSON. `tasks` is where lists are made, on nobody's way."""

    def __init__(
        self,
        storage: Storage,
        providers: Mapping[str, Provider],
        clones: Clones,
        runtime: Runtime,
        tasks: TaskGroup,
    ) -> None:
        self._storage = storage
        self._providers = providers
        self._clones = clones
        self._runtime = runtime
        self._tasks = tasks
        self._known: dict[str, _Known] = {}
        self._held = 0
        self._being_listed: dict[str, anyio.Event] = {}
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def of_task(self, task: TaskDetail, newer: int | None) -> bytes:
        """The files of the task's sandbox; until there is one, those that it will have.

        `newer`: wait for a list of a later `computed_at`, for `WAIT_SECONDS` at most.
        """
        provider, repo = self._providers.get(task.provider), await self._storage.repo(task.repo_id)
        if provider is None or repo is None:
            return NOTHING
        if task.sandbox is None:
            return await self.of_repo(repo.repo_id, newer) or NOTHING if task.status in PROVISIONING else NOTHING
        call = Call(task=task, repo=repo, log=lambda text: None, detail=lambda text: None)
        return await self._answer(f"task:{task.task_id}", lambda: provider.files(call), newer)

    async def of_repo(self, repo_id: str, newer: int | None) -> bytes | None:
        """The files that a new task's sandbox would have; None when there is no such repository."""
        repo = await self._storage.repo(repo_id)
        if repo is None:
            return None

        async def list_() -> Sequence[str] | None:
            folder = await anyio.to_thread.run_sync(self._clones.place, repo)
            return None if folder is None else await files_of_branch(folder, repo.default_branch)

        return await self._answer(f"repo:{repo_id}", list_, newer)

    async def _answer(self, key: str, listing: Listing, newer: int | None) -> bytes:
        known = self._known.pop(key, None)
        if known is not None:
            # That used last stands at the end.
            self._known[key] = known
        if newer is None:
            if known is None or self._runtime.now() - known.computed_at > FRESH_MS:
                self._list_behind(key, listing)
        elif known is None or known.computed_at <= newer:
            with anyio.move_on_after(WAIT_SECONDS):
                await self._list_behind(key, listing).wait()
            known = self._known.get(key)
        return known.document if known is not None else NOTHING

    def _list_behind(self, key: str, listing: Listing) -> anyio.Event:
        """Have it listed, once at a time; the event is set when that has come to its end."""
        done = self._being_listed.get(key)
        if done is None:
            done = self._being_listed[key] = anyio.Event()
            self._tasks.start_soon(self._list, key, listing, done)
        return done

    async def _list(self, key: str, listing: Listing, done: anyio.Event) -> None:
        try:
            async with self._limiter:
                paths = await listing()
            before = self._known.get(key)
            at = max(self._runtime.now(), before.computed_at + 1 if before is not None else 0)
            document = await anyio.to_thread.run_sync(_document, paths or (), at)
            self._keep(key, _Known(document, at))
        except (CallError, OSError) as error:
            # What cannot be listed now keeps its last list.
            logger.info("the files of %s cannot be listed: %s", key, error)
        except Exception:  # a defect here must not end the backend
            logger.exception("listing the files of %s failed", key)
        finally:
            del self._being_listed[key]
            done.set()

    def _keep(self, key: str, known: _Known) -> None:
        self._drop(key)
        self._known[key] = known
        self._held += len(known.document)
        while self._held > HELD and len(self._known) > 1:
            self._drop(next(iter(self._known)))

    def _drop(self, key: str) -> None:
        known = self._known.pop(key, None)
        self._held -= len(known.document) if known is not None else 0


def _document(paths: Sequence[str], at: int) -> bytes:
    """In a thread: the list as JSON, as far as it has room."""
    told: list[str] = []
    room = LARGEST_LIST
    for path in paths[:MOST_FILES]:
        name = written(path)
        room -= len(name)
        if room < 0:
            break
        told.append(name)
    return encode(FileList(paths=tuple(told), cut=len(told) < len(paths), computed_at=at))
