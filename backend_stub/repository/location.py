"""Which repository a person means by a path or a git URL, judged by looking at folders and never by running git."""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from backend_stub.domain.errors import BackendError
from backend_stub.repository.files import (
    TABLE_HEAD,
    MachineFaultError,
    ToldApart,
    inside_of,
    mode_of,
    read_text,
    symbolic_ref,
)
from foundry_tui.contract.records import Repo
from foundry_tui.contract.repositories import is_remote

_SCHEMES = {"https": 443, "http": 80, "ssh": 22, "git": 9418, "file": None}
_ANY_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_AUTHORITY = re.compile(r"(?:([^@/]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(\d{1,5})?)?")
_SCP = re.compile(r"(?:([A-Za-z0-9._][A-Za-z0-9._+-]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*):([^:].*)")
_REPO_ID = re.compile(r"repo-[0-9a-f]{12}")
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")
_LONGEST = 4_096
_CREDENTIALS = (
    "This URL carries a password or token. Leave it out: git asks your credential helper or ssh agent for it."
)


class NotARepositoryError(BackendError):
    """What was given is no repository; the message is one sentence or two that say what to do, without secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Folders:
    """Where a repository is on disk, all real absolute paths.

    `top` is the folder that people know (the work tree, or the bare repository), `git_dir` the repository's inside,
    `common` where refs live (another folder than `git_dir` in a linked worktree), `head` the text of HEAD.
    """

    top: str
    git_dir: str
    common: str
    head: str | None


def find_repository(place: str) -> Repo:
    """The repository of an absolute path (any folder inside it will do) or of a git URL; counts are left at zero.

    A URL is taken at its word: nothing is asked over the network. Touches the disk for paths; safe to run in a
    thread. Raises `NotARepositoryError`.
    """
    text = place.strip() if not place.startswith("/") else place
    if not text:
        raise NotARepositoryError("Name a repository: the absolute path of its folder, or a git URL.")
    if len(text) > _LONGEST:
        raise NotARepositoryError(f"A repository's path or URL can have at most {_LONGEST} characters.")
    if is_remote(text):
        return find_remote(text)
    folders = find_folders(text)
    top = folders.top
    if not is_text(top):
        raise NotARepositoryError("The folder's real name is not UTF-8, so it cannot be told. Rename it.")
    return Repo(
        repo_id=_id_of(top),
        label=os.path.basename(top).removesuffix(".git") or top,
        path=top,
        default_branch=default_branch(folders),
    )


def is_repo_id(text: str) -> bool:
    """Whether this has the form of the ids that `find_repository` gives."""
    return _REPO_ID.fullmatch(text) is not None


def find_remote(url: str) -> Repo:
    """The repository of a git URL, without asking the network; raises `NotARepositoryError`.

    Host case, default ports, trailing slashes and `.git` make no difference to its id.
    """
    if _UNSEEN.search(url):
        raise NotARepositoryError("A git URL cannot contain spaces or control characters.")
    scheme = _ANY_SCHEME.match(url)
    if scheme is not None:
        remote, path = _with_scheme(scheme.group(1).lower(), url[scheme.end() :])
    else:
        remote, path = _scp_like(url)
    names = [part for part in path.removesuffix(".git").split("/") if part and part != "~"]
    if not names or names == [".."]:
        raise NotARepositoryError("This URL names a host but no repository on it.")
    label = "/".join(names[-2:]) if not remote.startswith("file:") else names[-1]
    return Repo(repo_id=_id_of(remote.removesuffix(".git")), label=label, remote=remote)


def find_folders(path: str) -> Folders:
    """The repository that an absolute path is in: it, or the nearest folder above it that is one.

    Touches the disk; safe to run in a thread. Raises `NotARepositoryError`, and `MachineFaultError` when that cannot
    be told now.
    """
    start = _real_folder(path)
    for folder in _upwards(start):
        try:
            found = _repository_at(folder)
        except MachineFaultError:
            raise
        except PermissionError:
            raise NotARepositoryError(
                f"{folder} cannot be read: permission denied. Give the backend's user access to it."
            ) from None
        except OSError as error:
            raise NotARepositoryError(f"{folder} cannot be read: {_reason(error)}.") from None
        if found is not None:
            _refuse_planted(found)
            return found
    if mode_of(os.path.join(start, ".git"), follow=False) is not None:
        raise NotARepositoryError(
            f"{start} has a .git, but it is empty or damaged. Repair it, or run `git init` in the folder."
        )
    raise NotARepositoryError(
        f"{start} is not in a git repository. Choose a folder that is, or run `git init` in this one."
    )


def default_branch(folders: Folders) -> str | None:
    """The branch that tasks start from unless told otherwise: origin's default, else the one checked out.

    Touches the disk; safe to run in a thread.
    """
    origin = _told_ref(read_text(f"{folders.common}/refs/remotes/origin/HEAD"))
    if origin is not None and origin.startswith("refs/remotes/origin/"):
        return origin.removeprefix("refs/remotes/origin/")
    head = _told_ref(folders.head)
    if head is not None and head.startswith("refs/heads/") and head != TABLE_HEAD:
        return head.removeprefix("refs/heads/")
    return None


def _told_ref(text: str | None) -> str | None:
    ref = symbolic_ref(text)
    return ref if ref is not None and is_text(ref) else None


def is_text(name: str) -> bool:
    """Whether a name that came from the disk can stand in JSON."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _real_folder(path: str) -> str:
    if path.startswith("~"):
        raise NotARepositoryError("Write the path in full: the backend does not know whose home folder ~ means.")
    if not os.path.isabs(path):
        raise NotARepositoryError("Give an absolute path (one that begins with /) or a git URL.")
    try:
        with ToldApart(path):
            real = os.path.realpath(path, strict=True)
            mode = os.stat(real).st_mode
    except MachineFaultError:
        raise
    except FileNotFoundError:
        raise NotARepositoryError(f"There is no folder {path}. Check the spelling.") from None
    except NotADirectoryError:
        raise NotARepositoryError(f"There is no folder {path}: a part of that path is a file.") from None
    except PermissionError:
        raise NotARepositoryError(
            f"{path} cannot be read: permission denied. Give the backend's user access to it."
        ) from None
    except OSError as error:
        raise NotARepositoryError(f"{_excerpt(path)} cannot be read: {_reason(error)}.") from None
    except ValueError:
        raise NotARepositoryError("A path cannot contain null characters or broken Unicode.") from None
    if not stat.S_ISDIR(mode):
        raise NotARepositoryError(f"{path} is a file. Give the repository's folder.")
    return real


def _upwards(folder: str) -> Iterator[str]:
    """A real folder and all that it is in."""
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        folder = above
        yield folder


def _repository_at(folder: str) -> Folders | None:
    inside = os.path.join(folder, ".git")
    mode = mode_of(inside, follow=False)
    if mode is not None:
        if stat.S_ISDIR(mode) or os.path.isdir(inside):
            real = os.path.realpath(inside) if stat.S_ISLNK(mode) else inside
            found = inside_of(real)
            if found is not None:
                common = found.common if found.common is real else os.path.realpath(found.common)
                return Folders(folder, real, common, found.head)
        else:
            return _pointed_to(folder, inside)
    found = inside_of(folder)
    if found is not None and os.path.isdir(os.path.join(folder, "objects")):
        top = os.path.dirname(folder) if os.path.basename(folder) == ".git" else folder
        return Folders(top, folder, found.common, found.head)
    return None


def _refuse_planted(found: Folders) -> None:
    """Raise `NotARepositoryError` for a bare repository among the files of another one.

    Whoever wrote those files wrote its configuration too, which may name programs to run.
    """
    if found.git_dir != found.top or f"{os.sep}.git{os.sep}" in f"{found.top}{os.sep}":
        return
    for above in _upwards(os.path.dirname(found.top)):
        if mode_of(os.path.join(above, ".git"), follow=False) is not None:
            raise NotARepositoryError(
                f"{found.top} is a bare repository among the files of {above}, whose configuration could run programs "
                f"that came with those. Give {above}, or clone it to a folder of its own."
            )


def _pointed_to(folder: str, pointer: str) -> Folders:
    """The repository whose `.git` is a file: a linked worktree or a submodule."""
    text = read_text(pointer)
    if text is None or not text.startswith("gitdir:"):
        if not os.access(pointer, os.R_OK):
            raise PermissionError(errno.EACCES, "permission denied", pointer)
        raise NotARepositoryError(
            f"{pointer} does not say where its repository is. Repair it with `git worktree repair`."
        )
    git_dir = os.path.realpath(os.path.join(folder, text[7:].strip()))
    found = inside_of(git_dir)
    if found is None:
        raise NotARepositoryError(
            f"{pointer} points to {git_dir}, which is no repository. If it was moved, run `git worktree repair` there."
        )
    return Folders(folder, git_dir, os.path.realpath(found.common), found.head)


def _with_scheme(scheme: str, rest: str) -> tuple[str, str]:
    """The normalised URL and its path."""
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        raise NotARepositoryError(f"Foundry knows no URLs of this kind. Use {known} or git@host:path.")
    authority, slash, path = rest.partition("/")
    path = slash + re.sub(r"/+$", "", path)
    if scheme == "file":
        if authority not in ("", "localhost"):
            raise NotARepositoryError("A file URL has three slashes: file:///path/to/repository.")
        return f"file://{path}", path
    if "?" in path or "#" in path:
        raise NotARepositoryError("A git URL cannot have a query (?) or a fragment (#). Leave them out.")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        user = authority.rpartition("@")[0]
        raise NotARepositoryError(_CREDENTIALS if ":" in user else "This URL's host is not one that git can reach.")
    user, host, port = match.groups()
    if user and ":" in user:
        raise NotARepositoryError(_CREDENTIALS)
    if user and user.startswith("-"):
        raise NotARepositoryError("The user in this URL cannot begin with a dash.")
    # Before a web host the user is mostly a token, and git asks the credential helper anyway.
    who = f"{user}@" if user and scheme not in ("http", "https") else ""
    where = host.lower() if not port or int(port) == _SCHEMES[scheme] else f"{host.lower()}:{int(port)}"
    return f"{scheme}://{who}{where}{path}", path


def _scp_like(url: str) -> tuple[str, str]:
    """`user@host:path`, as ssh's own copy program writes it."""
    match = _SCP.fullmatch(url)
    if match is None or _HELPER.match(url):
        before = url.partition("@")[0]
        if "@" in url and ":" in before:
            raise NotARepositoryError(_CREDENTIALS)
        raise NotARepositoryError("This is no git URL. Write it as https://host/owner/name or git@host:owner/name.")
    user, host, path = match.groups()
    if "@" in path.split("/", 1)[0]:
        raise NotARepositoryError(_CREDENTIALS)
    path = re.sub(r"/+$", "", path)
    return (f"{user}@" if user else "") + f"{host.lower()}:{path}", path


def _id_of(place: str) -> str:
    return "repo-" + hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "its symbolic links lead in a circle"
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long"
    return (error.strerror or "the system gave no reason").lower()


def _excerpt(path: str) -> str:
    return path if len(path) <= 200 else path[:199] + "…"
