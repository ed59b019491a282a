"""What git says when it fails, as sentences that tell people what to do."""

import re
import shlex
from collections.abc import Collection

from backend_stub.domain.errors import GitError
from backend_stub.repository.location import NotARepositoryError, find_folders

_GONE = "{folder} is no git repository any more."
_UNREADABLE = "git could not read the repository {folder}, though there is one. Try again."
_FILTER = (
    "A filter that the repository wants its files to go through failed: {0}. Install what it needs (for LFS: git lfs "
    "install), or run it in {folder} to see why."
)
_SENTENCES: tuple[tuple[re.Pattern[str], str, bool], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), sentence, retryable)
    for pattern, sentence, retryable in (
        (
            r"dubious ownership in repository at '([^']*)'",
            "git does not trust {0}, since another user owns it. If you do: git config --global --add "
            "safe.directory {0}",
            False,
        ),
        (
            r"(too many open files(?: in system)?|cannot allocate memory|out of memory|cannot fork"
            r"|unable to create threaded|resource temporarily unavailable|input/output error|stale file handle)",
            "git could not work in {folder}, for a reason of this machine: {0}. Nothing was found wrong with the "
            "repository; try again when the machine has room.",
            True,
        ),
        (r"not a git repository", _GONE, False),
        (
            r"repository '?[^']*'? (?:not found|does not exist)|repository not found|does not appear to be a git repo",
            "{remote} is not there, or the login that git has here may not see it. Check its URL (git remote "
            "--verbose), and `{test}` by hand.",
            False,
        ),
        (r"branch named .* already exists", "A branch of this name exists already. Choose another.", False),
        (
            r"(?:checked out|used by worktree) at '([^']*)'",
            "The branch is checked out in another worktree, {0}. Switch to another branch there, or remove it.",
            False,
        ),
        (
            r"(?:smudge|clean|external) filter '?(.*?)'? failed",
            _FILTER,
            False,
        ),
        (
            # A filter that is not there at all ends before git has begun to speak to it.
            r"^(.+?): (?:line )?\d+: \S+?:(?: command)? not found\n(?:.*\n)*?fatal: the remote end hung up",
            _FILTER,
            False,
        ),
        (
            r"unknown repository extensions? found:\s+(\S+)",
            "{repository} was made by a newer git, one that knows `{0}`. Upgrade the git on the PATH of the backend.",
            False,
        ),
        (
            r"expected git repo version <= \d+, found (\d+)",
            "{repository} was made by a newer git: it is of version {0}. Upgrade the git on the PATH of the backend.",
            False,
        ),
        (
            r"'([^']*)' does not have a commit checked out",
            "{0} is a repository of its own that has no commit, which git cannot take in. Commit there, ignore it, or "
            "remove the .git in it.",
            False,
        ),
        (
            r"index file (?:corrupt|smaller)|bad index file|unknown index entry format",
            'The index of {folder} is damaged. Make it anew there, which changes no file: rm "$(git rev-parse '
            '--git-path index)" && git reset',
            False,
        ),
        (
            r"could not read (?:username|password)|authentication failed|permission denied \(|terminal prompts disabled"
            r"|host key verification failed",
            "{remote} wants a login that git does not have here. Try `{test}` by hand, then again.",
            False,
        ),
        (
            r"could not resolve host|could not read from remote|connection (?:refused|timed out|reset)|unable to access"
            r"|network is unreachable",
            "{remote} cannot be reached. Check the network and the URL.",
            True,
        ),
        (
            r"unable to create '([^']*\.lock)': file exists",
            "Another git command is at work in {folder}. If none is, it has left {0}: remove that file.",
            True,
        ),
        (
            r"\.lock': file exists|another git process",
            "Another git command is at work in {folder}. If none is, remove the .lock file that it left.",
            True,
        ),
        (r"no space left on device|disk quota exceeded", "The disk that {folder} is on is full.", True),
        (r"read-only file system", "{folder} is on a disk that is read-only.", False),
        (r"permission denied", "git may not read or write everything in {folder}. Check its permissions.", False),
        (
            r"couldn't find remote ref (?:refs/heads/)?(\S+)",
            "{remote} has no branch {0}. Look there what became of it.",
            False,
        ),
        (
            r"invalid reference|not a valid object name|unknown revision|bad revision",
            "The branch or commit that the task starts from does not exist in {folder}.",
            False,
        ),
        (
            r"loose object .* is corrupt|object file .* is empty|bad object"
            r"|unable to read",
            "{repository} is damaged. Look at it with `git fsck`.",
            False,
        ),
    )
)


def explain(
    arguments: Collection[str], folder: str, exit_code: int, errors: str, remote: tuple[str, str] | None = None
) -> GitError:
    """The failure of a git command as a sentence for people, with no credentials in it. May look at the folder.

    `remote` is the name and the URL of the one that was talked to.
    """
    words = tuple(arguments)
    # These two are no matter of the folder that they are run in.
    url = words[words.index("--") + 1] if verb_of(words) in ("clone", "ls-remote") else None
    address = url or (shlex.quote(remote[1]) if remote else None)
    place = {
        "folder": folder,
        "repository": url or f"The repository {folder}",
        "remote": url or (f"{remote[0]} ({remote[1]})" if remote else f"The remote of {folder}"),
        "test": f"git ls-remote {address}" if address else f"git -C {folder} fetch",
    }
    for pattern, sentence, retryable in _SENTENCES:
        match = pattern.search(errors)
        if match is not None and sentence is _GONE and _stands(folder):
            sentence, retryable = _UNREADABLE, True
        if match is not None:
            return GitError(without_credentials(sentence.format(*match.groups(), **place)), retryable=retryable)
    lines = [line for line in map(str.strip, errors.splitlines()) if line and not line.startswith("hint:")]
    said = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    reason = re.sub(r"^(?:fatal|error): ", "", said[-1])[:300] if said else f"exit code {exit_code}"
    by_hand = f"`{place['test']}` by hand" if url else f"it by hand in {folder}"
    return GitError(without_credentials(f"git {verb_of(words)} failed: {reason}. Try {by_hand}."))


def _stands(folder: str) -> bool:
    """Whether there is a repository in this very folder, as far as can be told: git says of one that it could not read
    that there is none.
    """
    try:
        return find_folders(folder).top == folder
    except NotARepositoryError:
        return False
    except OSError:
        return True


def without_credentials(text: str) -> str:
    """The text with what stands before the host of each URL left out."""
    return re.sub(r"(?<=://)[^/\s'\"]*@", "", text)


def verb_of(arguments: Collection[str]) -> str:
    """The command of these arguments of git."""
    words = iter(arguments)
    for word in words:
        if word == "-c":
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""
