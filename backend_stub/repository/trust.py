"""Which repository's set-up a person has trusted: in the data folder, by repository and content.

A repository is its common git folder, so that all its worktrees are one, or its URL. What a person looks at and trusts
is what lies in the work tree of the repository's folder. What a task runs is what its own worktree got from the commit
that it starts from. Where these are not the same, what the task got is kept (`Wanted`) and shown from then on, to be
trusted for the next task, until the folder has another content or a later task wants another.
"""

import hashlib
import logging
import os
import threading
from pathlib import Path

import msgspec
from msgspec import Struct

from backend_stub.domain.errors import BackendError
from backend_stub.repository.location import NotARepositoryError, find_folders
from backend_stub.repository.setup_files import SetupFiles, read_setup_files
from foundry_tui.contract.codec import decode
from foundry_tui.contract.records import Repo, RepoTrust
from foundry_tui.contract.requests import RepoSetup, SetupFile

logger = logging.getLogger(__name__)

MOST_KEPT = 100
"""Contents of one repository that stay trusted; the oldest go first."""
_LOCK = threading.Lock()
"""Of all that is kept: one process owns a data folder, and several of its parts read and write this."""


class NotThatError(BackendError):
    """What was to be trusted is not what is there, or cannot be trusted; the message is a sentence for people."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What a task would have run, and could not; `beside` is the digest of what the repository's folder had then."""

    digest: str
    files: tuple[tuple[str, bytes], ...]
    problem: str = ""
    beside: str | None = None

    @property
    def content(self) -> SetupFiles:
        return SetupFiles(self.files, self.digest, self.problem)


class Kept(Struct, frozen=True, kw_only=True):
    """What is kept of one repository: `trusted` are digests, the latest last."""

    place: str
    trusted: tuple[str, ...] = ()
    wanted: Wanted | None = None


class Trust:
    """`trust/` in the data folder, a file a repository. Every method touches the disk and may be called in any thread;
    those that keep something raise `OSError` when it cannot be written.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "trust"

    def of(self, repo: Repo) -> RepoTrust | None:
        """What a repository's record says of it; None where there is nothing to trust."""
        content, trusted = self._now(repo)
        return None if content is None else RepoTrust(digest=content.digest, trusted=trusted, files=content.names)

    def whole(self, repo: Repo) -> RepoSetup:
        """The same with what the files say."""
        content, trusted = self._now(repo)
        if content is None:
            return RepoSetup()
        files = tuple(SetupFile(path=path, text=text.decode("utf-8", "replace")) for path, text in content.files)
        return RepoSetup(digest=content.digest, trusted=trusted, problem=content.problem or None, files=files)

    def give(self, repo: Repo, digest: str) -> None:
        """Trust what is there, which must have this digest; raises `NotThatError`."""
        content, _ = self._now(repo)
        if content is None:
            raise NotThatError("The repository has no set-up that could be trusted.")
        if content.digest != digest:
            raise NotThatError("The repository's set-up is not the one that was looked at. Look at it again.")
        if content.problem:
            raise NotThatError(f"This set-up cannot be trusted: {content.problem}.")
        self._add(repo, content)

    def give_now(self, repo: Repo) -> None:
        """Trust whatever is there, if it can be trusted."""
        content, trusted = self._now(repo)
        if content is not None and not trusted and not content.problem:
            self._add(repo, content)

    def admit(self, repo: Repo, worktree: Path, *, trust: bool) -> tuple[SetupFiles | None, bool]:
        """What a task's new worktree has, and whether it may be run; what may not is kept to be shown.

        `trust`: whoever made the task trusts what it gets.
        """
        content = read_setup_files(worktree)
        with _LOCK:
            kept = self._load(repo)
            if content is None:
                return None, False
            if trust and not content.problem and content.digest not in kept.trusted:
                kept = _with(kept, content)
                self._save(repo, kept)
            if content.digest in kept.trusted and not content.problem:
                return content, True
            beside = _content_of(repo)
            if beside is None or beside.digest != content.digest:
                wanted = Wanted(
                    digest=content.digest,
                    files=content.files,
                    problem=content.problem,
                    beside=None if beside is None else beside.digest,
                )
                self._save(repo, msgspec.structs.replace(kept, wanted=wanted))
            return content, False

    def _now(self, repo: Repo) -> tuple[SetupFiles | None, bool]:
        """What there is to be trusted now, and whether it is."""
        content = _content_of(repo)
        with _LOCK:
            if content is None and not self._folder.is_dir():
                return None, False
            kept = self._load(repo)
        wanted = kept.wanted
        if (
            wanted is not None
            and wanted.beside == (None if content is None else content.digest)
            and (content is None or wanted.digest not in kept.trusted)
        ):
            content = wanted.content
        return content, content is not None and not content.problem and content.digest in kept.trusted

    def _add(self, repo: Repo, content: SetupFiles) -> None:
        with _LOCK:
            self._save(repo, _with(self._load(repo), content))

    def _load(self, repo: Repo) -> Kept:
        place = _place(repo)
        try:
            kept = decode(self._file(place).read_bytes(), Kept)
        except FileNotFoundError:
            return Kept(place=place)
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("what was trusted of %s cannot be read, so nothing is: %s", place, error)
            return Kept(place=place)
        return kept if kept.place == place else Kept(place=place)

    def _save(self, repo: Repo, kept: Kept) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(_place(repo))
        new = file.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.encode(kept))
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _file(self, place: str) -> Path:
        name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self._folder / f"{name}.json"


def _with(kept: Kept, content: SetupFiles) -> Kept:
    others = tuple(digest for digest in kept.trusted if digest != content.digest)
    return msgspec.structs.replace(kept, trusted=(*others, content.digest)[-MOST_KEPT:])


def _content_of(repo: Repo) -> SetupFiles | None:
    return None if repo.path is None else read_setup_files(repo.path)


def _place(repo: Repo) -> str:
    """What a repository is known by, whichever of its worktrees is meant."""
    if repo.path is None:
        return repo.remote or repo.repo_id
    try:
        place = find_folders(repo.path).common
    except NotARepositoryError:
        place = repo.path
    return place.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
