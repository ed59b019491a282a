"""The files of sandboxes and repositories, as they are known: listed behind, kept for a while, answered at once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio.to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.errors import CallError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Storage
from backend_stub.known_documents import KnownDocuments
from backend_stub.repository.clones import Clones
from backend_stub.repository.listing import files_of_branch
from foundry_tui.contract.codec import encode
from foundry_tui.contract.file_names import written
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.requests import FileList
from foundry_tui.contract.status import PROVISIONING

MOST_FILES = 100_000
"""Files of one list; of more the first are told."""
LARGEST_LIST = 8_000_000
"""Characters that the names of one list have together."""
FRESH_MS = 2_000
"""What was listed so lately is not listed anew unless somebody waits for newer."""

Listing = Callable[[], Awaitable[Sequence[str] | None]]
NOTHING = encode(FileList(paths=()))


class KnownFiles:
    """Answers are `FileList` as JSON, out of `lists`."""

    def __init__(
        self, storage: Storage, providers: Mapping[str, Provider], clones: Clones, lists: KnownDocuments
    ) -> None:
        self._storage = storage
        self._providers = providers
        self._clones = clones
        self._lists = lists

    async def of_task(self, task: TaskDetail, newer: int | None) -> bytes:
        """The files of the task's sandbox; until there is one, those that it will have.

        `newer`: wait for a list of a later `computed_at`, for a while.
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
        async def make(at: int) -> bytes:
            return await anyio.to_thread.run_sync(_document, await listing() or (), at)

        try:
            return await self._lists.answer(key, make, newer) or NOTHING
        except (CallError, OSError):
            # What cannot be listed now keeps its last list.
            return self._lists.known(key) or NOTHING


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
