"""What a repository's `.foundry/` would have us run or obey, read so that nothing outside of it is ever reached.

These are `setup`, `teardown`, `mcp.json` and what is named `rules` (a file, `rules.*`, or a folder). `copy` and
`submodules` only say which of a person's own files a sandbox gets, so they need no trust.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from os import PathLike

from backend_stub.repository.nofollow import UnusableError, folder_below, read_file

FOLDER = ".foundry"
SETUP = ".foundry/setup"
LIST_LIMIT = 64 * 1024
"""Bytes that `.foundry/copy` and the like may have."""
FILE_LIMIT = 64 * 1024
"""Bytes of one file that is trusted or not."""
MOST_FILES = 32
_DEPTH = 3


@dataclass(frozen=True)
class SetupFiles:
    """The files that trust is about, by their path in the repository, in order of it; `digest` is of all of it.

    `problem` says why they can be trusted by nobody, as `.foundry/setup is a symbolic link`; empty where they can.
    """

    files: tuple[tuple[str, bytes], ...]
    digest: str
    problem: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(path for path, _ in self.files)

    def has(self, path: str) -> bool:
        return path in self.names


def read_setup_files(top: str | PathLike[str]) -> SetupFiles | None:
    """Those of the folder `top`, the top of a work tree; None where there are none.

    Touches the disk; safe to run in a thread. What cannot be read is a `problem`, never an error.
    """
    files: list[tuple[str, bytes]] = []
    problems: list[str] = []
    _read(top, (FOLDER,), files, problems)
    if not files and not problems:
        return None
    files.sort()
    if len(files) > MOST_FILES:
        problems.append(f"{FOLDER} has more than {MOST_FILES} files")
    counted = hashlib.sha256()
    for path, content in files:
        for part in (path.encode(), content):
            counted.update(b"%d:" % len(part) + part)
    for problem in sorted(problems):
        counted.update(b"!" + problem.encode())
    return SetupFiles(tuple(files), counted.hexdigest(), problems[0] if problems else "")


def read_list(top: str | PathLike[str], name: str) -> bytes | None:
    """A small file of `.foundry/` that needs no trust, such as `copy`; None without one.

    Raises `UnusableError` that names it, for a link, for what is no regular file and for one over `LIST_LIMIT` bytes.
    """
    try:
        with folder_below(top, (FOLDER,)) as folder:
            return read_file(folder, name, LIST_LIMIT)
    except FileNotFoundError:
        return None
    except UnusableError as error:
        raise UnusableError(f"{FOLDER}/{name} cannot be used: it {error}") from None
    except OSError as error:
        raise UnusableError(f"{FOLDER}/{name} cannot be read: {error.strerror}") from None


def _read(
    top: str | PathLike[str], parts: tuple[str, ...], files: list[tuple[str, bytes]], problems: list[str]
) -> None:
    here = _shown("/".join(parts))
    try:
        with folder_below(top, parts) as folder, os.scandir(folder) as entries:
            for name in sorted(entry.name for entry in entries):
                if len(parts) > 1 or _counts(name):
                    _read_one(top, (*parts, name), folder, files, problems)
    except FileNotFoundError:
        return
    except UnusableError as error:
        # A file of this name is somebody else's, and nothing in it is asked for.
        if str(error) != "is a file":
            files.append((here, b""))
            problems.append(f"{here} {error}")
    except OSError as error:
        files.append((here, b""))
        problems.append(f"{here} cannot be read ({error.strerror})")


def _read_one(
    top: str | PathLike[str],
    parts: tuple[str, ...],
    folder: int,
    files: list[tuple[str, bytes]],
    problems: list[str],
) -> None:
    path = _shown("/".join(parts))
    if len(files) > MOST_FILES:
        return
    try:
        is_folder = stat.S_ISDIR(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode)
        if not is_folder:
            files.append((path, read_file(folder, parts[-1], FILE_LIMIT)))
        elif not parts[1].startswith("rules"):
            problems.append(f"{path} is a folder")
        elif len(parts) > _DEPTH:
            problems.append(f"{path} lies too deep")
        else:
            _read(top, parts, files, problems)
    except UnusableError as error:
        files.append((path, b""))
        problems.append(f"{path} {error}")
    except OSError as error:
        files.append((path, b""))
        problems.append(f"{path} cannot be read ({error.strerror})")


def _counts(name: str) -> bool:
    return name in ("setup", "teardown", "mcp.json", "rules") or name.startswith("rules.")


def _shown(path: str) -> str:
    """A path that can stand in JSON."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
