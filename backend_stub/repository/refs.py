"""The branches of a repository as its files tell them: fast, without git, and unharmed by broken files."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backend_stub.repository.files import MachineFaultError, ToldApart, read_text
from backend_stub.repository.location import Folders, default_branch, find_folders
from foundry_tui.contract.branches import check_branch

_REMOTE = re.compile(r'^[ \t]*\[remote[ \t]+"((?:[^"\\\n]|\\.)*)"[ \t]*\]', re.MULTILINE | re.IGNORECASE)
_PACKED = re.compile(r"^[0-9a-f]{40,64} (refs/(?:heads|remotes)/[^\r\n]+)", re.MULTILINE)
_PACKED_LIMIT = 64 * 1024 * 1024
_CONFIG_LIMIT = 4 * 1024 * 1024
_DEPTH = 16


@dataclass(frozen=True)
class Branches:
    """The branches that a repository knows. `remote` has them without the name of their remote."""

    local: frozenset[str]
    remote: frozenset[str]
    default: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """All of them: the names that a new branch has to avoid."""
        return self.local | self.remote

    def sorted(self) -> tuple[str, ...]:
        """All of them once, the default branch first, the others by name."""
        return tuple(sorted(self.names, key=lambda name: (name != self.default, name.casefold(), name)))


NO_BRANCHES = Branches(frozenset(), frozenset())


def known_branches(path: str) -> Branches:
    """The branches of the repository at `path`, from its files.

    Touches the disk; safe to run in a thread. What cannot be read counts as absent; a repository that keeps its
    refs in a table (`reftable`) shows none here, and `backend_stub.repository.git.branches` asks git. Raises
    `backend_stub.repository.location.NotARepositoryError`, and `backend_stub.repository.files.MachineFaultError`.
    """
    return read_branches(find_folders(path))


def read_branches(folders: Folders) -> Branches:
    """The same for a repository that was found already."""
    common = Path(folders.common)
    refs = {*_packed(common), *_loose(common, "refs/heads"), *_loose(common, "refs/remotes")}
    return split_refs(refs, remote_names(common), default_branch(folders))


def split_refs(refs: Iterable[str], remotes: Iterable[str], default: str | None = None) -> Branches:
    """Full ref names (`refs/heads/a`, `refs/remotes/origin/b`) as branches; `remotes` are the names of the remotes."""
    # A remote's name may itself have slashes, so the longest that fits is meant.
    prefixes = sorted((f"{name}/" for name in remotes if name), key=len, reverse=True)
    local: set[str] = set()
    remote: set[str] = set()
    for ref in refs:
        if ref.startswith("refs/heads/"):
            local.add(ref.removeprefix("refs/heads/"))
        elif ref.startswith("refs/remotes/"):
            rest = ref.removeprefix("refs/remotes/")
            prefix = next((prefix for prefix in prefixes if rest.startswith(prefix)), rest.partition("/")[0] + "/")
            name = rest[len(prefix) :]
            if name != "HEAD":
                remote.add(name)
    return Branches(
        frozenset(name for name in local if check_branch(name) is None),
        frozenset(name for name in remote if check_branch(name) is None),
        default,
    )


def remote_names(common: Path) -> tuple[str, ...]:
    """The names of the remotes in a repository's own configuration."""
    text = read_text(common / "config", _CONFIG_LIMIT) or ""
    return tuple(re.sub(r"\\(.)", r"\1", name) for name in _REMOTE.findall(text))


def _packed(common: Path) -> Iterator[str]:
    text = read_text(common / "packed-refs", _PACKED_LIMIT) or ""
    return (match.group(1) for match in _PACKED.finditer(text))


def _loose(common: Path, under: str, depth: int = 0) -> Iterator[str]:
    try:
        with ToldApart(common / under), os.scandir(common / under) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except MachineFaultError:
        raise
    except OSError:
        return
    for name, is_folder in found:
        if not is_folder:
            yield f"{under}/{name}"
        elif depth < _DEPTH:
            yield from _loose(common, f"{under}/{name}", depth + 1)
