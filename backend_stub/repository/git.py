"""Running the real git: argument vectors only, deaf to terminals, hooks and pagers, and killed with all it started."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from backend_stub.domain.errors import GitError
from backend_stub.machine import privacy
from backend_stub.repository.letter_case import tells_case_apart
from backend_stub.repository.location import NotARepositoryError, find_folders
from backend_stub.repository.refs import split_refs
from foundry_tui.contract.branches import near_branches

Told = Callable[["Command"], None]
"""Told of every command that was run; must return at once."""

TIMEOUT = 30.0
"""Seconds that a command may take unless told otherwise."""
TREE_TIMEOUT = 1800.0
"""Seconds for a checkout or a clone; the stage's own time-out is what ends it sooner."""
_PATIENCE = 1.0
_OUTPUT_LIMIT = 64 * 1024 * 1024

_QUIET = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "core.editor": "true",
    "sequence.editor": "true",
    "credential.interactive": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "advice.detachedHead": "false",
    "safe.bareRepository": "explicit",
}
"""Configuration that outweighs the user's: nothing starts a program of its own or asks, and no folder that only looks
like the inside of a repository is taken for one. Filters of the repository (`filter.NAME.clean`, as LFS needs) are
run all the same where files are compared: without them the comparison would be wrong."""

_FORGOTTEN = frozenset(
    [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_ATTR_SOURCE",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DEFAULT_HASH",
        "GIT_DIFF_OPTS",
        "GIT_DIR",
        "GIT_EDITOR",
        "GIT_EXTERNAL_DIFF",
        "GIT_GLOB_PATHSPECS",
        "GIT_GRAFT_FILE",
        "GIT_ICASE_PATHSPECS",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NAMESPACE",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SEQUENCE_EDITOR",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    ]
)
"""Variables that would point git at another repository than the one it is run in, or change what it prints."""


_TALKING = frozenset(["clone", "fetch", "ls-remote", "push", "submodule"])
"""Commands that talk to a remote."""
_SSH = re.compile(r"^(?:\S*/)?ssh(?=\s|$)(?!.*batchmode)", re.IGNORECASE | re.DOTALL)
"""The program of a command that is ssh itself and is not told about questions; what else it may be takes no options."""


@dataclass(frozen=True)
class Command:
    """A command that was run: `exit_code` is negative when a signal ended it, None when it could not be started."""

    argv: tuple[str, ...]
    duration_ms: int
    exit_code: int | None

    def __str__(self) -> str:
        """One line for a stage log."""
        end = "not started" if self.exit_code is None else f"exit {self.exit_code}"
        line = without_credentials(shlex.join(self.argv)).replace("\n", "\\n")
        return f"$ {line} ({end}, {self.duration_ms} ms)"


@dataclass(frozen=True)
class Output:
    """What a command printed, and how it ended."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """The standard output; bytes that are no UTF-8 become lone surrogates, as in file names."""
        return self.stdout.decode("utf-8", "surrogateescape")


async def run_git(
    folder: str,
    *arguments: str,
    told: Told | None = None,
    timeout: float = TIMEOUT,
    accept: Collection[int] = (0,),
    environment: Mapping[str, str] | None = None,
    bare: bool = False,
    given: bytes = b"",
    into: int | None = None,
    hooks: bool = False,
) -> Output:
    """Run `git ARGUMENTS` in the repository whose top level is `folder`; callers put `--` before names.

    An exit code that is not in `accept`, a time-out (seconds) and a git that cannot be started raise `GitError`
    with a sentence for people. On a time-out or a cancellation git and all it started are ended before this
    returns. `environment` adds variables to those of this process. `bare`: the folder may itself be the inside of a
    repository; callers know that nobody but the repository's owner made it. `given` is the standard input; the
    standard output goes to the descriptor `into`, however long it is, and is kept in memory otherwise. `hooks`: those
    of the person are run, for what they would do themselves.
    """
    argv = ("git", *arguments)
    cased = await tells_case_apart(folder)
    variables = {**_environment(folder, bare, hooks, cased), **(environment or {})}
    if _verb(arguments) in _TALKING:
        variables |= await _ssh(folder, variables, told, timeout, bare)
    started = time.monotonic_ns()
    exit_code: int | None = None
    process: Process | None = None
    try:
        with anyio.CancelScope(shield=True):
            # Cancelled half-way, it would leave a process that nobody ends.
            process = await _start(argv, folder, variables, given, into)
        assert process is not None
        with anyio.fail_after(timeout):
            stdout, stderr = await exchange(process, given)
            exit_code = await process.wait()
    except TimeoutError:
        raise GitError(
            f"git {_verb(arguments)} was stopped: it took longer than {timeout:g} s. Check "
            f"{_slow(_verb(arguments), hooks=hooks)}."
        ) from None
    finally:
        if process is not None:
            with anyio.CancelScope(shield=True):
                if exit_code is None:
                    exit_code = await end_group(process)
                await process.aclose()
        if told is not None:
            told(Command(argv, (time.monotonic_ns() - started) // 1_000_000, exit_code))
    errors = stderr.decode("utf-8", "replace")
    if exit_code not in accept:
        raise await anyio.to_thread.run_sync(explain, arguments, folder, exit_code, errors)
    return Output(exit_code, stdout, errors)


async def branches(folder: str, *, told: Told | None = None, timeout: float = TIMEOUT) -> frozenset[str]:
    """All branch names that the repository knows, local and remote, the remotes' names left out; raises `GitError`."""
    remotes = await run_git(folder, "remote", told=told, timeout=timeout, bare=True)
    refs = await run_git(
        folder,
        "for-each-ref",
        "--format=%(refname)",
        "--",
        "refs/heads",
        "refs/remotes",
        told=told,
        timeout=timeout,
        bare=True,
    )
    return split_refs(refs.text.split("\n"), remotes.text.split("\n")).names


async def branches_near(
    folder: str, names: Sequence[str], *, told: Told | None = None, timeout: float = TIMEOUT
) -> frozenset[str]:
    """The branches, local and of all remotes, that one of these names cannot stand beside: it itself in any case, what
    is a folder of it, what it is a folder of. Raises `GitError`.
    """
    if not all(name.isascii() for name in names):
        # Git compares case and composition in ASCII only.
        return frozenset(near_branches(names, await branches(folder, told=told, timeout=timeout)))
    remotes = await run_git(folder, "remote", told=told, timeout=timeout, bare=True)
    roots = ["refs/heads", *(f"refs/remotes/{name}" for name in remotes.text.split("\n") if name)]
    above = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    patterns = [f"{root}/{name}" for root in roots for name in names]
    # Escaped it is a pattern and means this ref only; as a plain name it would mean all below it too.
    patterns += [f"{root}/{name[:-1]}\\{name[-1]}" for root in roots for name in sorted(above)]
    refs = await run_git(
        folder,
        "for-each-ref",
        "--ignore-case",
        "--format=%(refname)",
        "--",
        *patterns,
        told=told,
        timeout=timeout,
        bare=True,
    )
    return split_refs(refs.text.split("\n"), remotes.text.split("\n")).names


async def branches_of_remote(remote: str, *, told: Told | None = None, timeout: float = TIMEOUT) -> frozenset[str]:
    """All branch names that the repository of this URL has now; raises `GitError`."""
    heads = await run_git(os.sep, "ls-remote", "--quiet", "--heads", "--", remote, told=told, timeout=timeout)
    return split_refs((line.partition("\t")[2] for line in heads.text.split("\n")), ()).names


def explain(
    arguments: Collection[str], folder: str, exit_code: int, errors: str, remote: tuple[str, str] | None = None
) -> GitError:
    """The failure of a git command as a sentence for people, with no credentials in it. May look at the folder.

    `remote` is the name and the URL of the one that was talked to.
    """
    words = tuple(arguments)
    # These two are no matter of the folder that they are run in.
    url = words[words.index("--") + 1] if _verb(words) in ("clone", "ls-remote") else None
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
    return GitError(without_credentials(f"git {_verb(words)} failed: {reason}. Try {by_hand}."))


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


def _slow(verb: str, *, hooks: bool) -> str:
    """What may take a git command so long."""
    if verb in _TALKING:
        return "the network, and what a hook waits for" if hooks and verb == "push" else "the network"
    return "the disk, and what a hook or the signing of commits waits for" if hooks else "the disk"


def _verb(arguments: Collection[str]) -> str:
    words = iter(arguments)
    for word in words:
        if word == "-c":
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""


def _environment(folder: str, bare: bool, hooks: bool, cased: bool) -> dict[str, str]:
    quiet = {**_QUIET, "safe.bareRepository": "all"} if bare else dict(_QUIET)
    if cased:
        quiet["core.ignoreCase"] = "false"
    if hooks:
        del quiet["core.hooksPath"]
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _FORGOTTEN and not name.startswith(("GIT_TRACE", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }
    kept |= {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "GIT_PAGER": "cat",
        "GIT_OPTIONAL_LOCKS": "0",
        # A repository that was removed must not be mistaken for one that lies above it.
        "GIT_CEILING_DIRECTORIES": str(PurePath(folder).parent),
        "GIT_CONFIG_COUNT": str(len(quiet)),
    }
    for number, (name, value) in enumerate(quiet.items()):
        kept[f"GIT_CONFIG_KEY_{number}"] = name
        kept[f"GIT_CONFIG_VALUE_{number}"] = value
    return kept


async def _ssh(
    folder: str, environment: Mapping[str, str], told: Told | None, timeout: float, bare: bool
) -> dict[str, str]:
    """The variable that has the person's own ssh command run, in git's order of precedence, and without questions."""
    command = environment.get("GIT_SSH_COMMAND")
    if not command:
        configured = await run_git(
            folder, "config", "--default", "", "--get", "core.sshCommand", told=told, timeout=timeout, bare=bare
        )
        command = configured.text.strip()
    if not command and environment.get("GIT_SSH"):
        return {}
    return {"GIT_SSH_COMMAND": _SSH.sub(r"\g<0> -o BatchMode=yes", command or "ssh", count=1)}


async def _start(
    argv: tuple[str, ...], folder: str, environment: Mapping[str, str], given: bytes, into: int | None
) -> Process:
    try:
        return await anyio.open_process(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE if into is None else into,
            start_new_session=True,
            umask=privacy.umask_of_children(),
        )
    except (FileNotFoundError, NotADirectoryError):
        if not await anyio.Path(folder).is_dir():
            raise GitError(f"The folder {folder} is not there any more.", retryable=False) from None
        raise GitError(
            "git is not installed, or not on the PATH of the backend. Install it.", retryable=False
        ) from None
    except PermissionError:
        raise GitError(f"git cannot be started in {folder}: permission denied.", retryable=False) from None
    except OSError as error:
        raise GitError(f"git cannot be started: {error.strerror or error}.") from None
    except ValueError:
        raise GitError("git cannot be given a null character.", retryable=False) from None


async def exchange(process: Process, given: bytes) -> tuple[bytes, bytes]:
    """Give the process its input and read what it prints, both at once; raises `GitError` when that is too much."""
    chunks: tuple[list[bytes], list[bytes]] = ([], [])
    too_much = False

    async def collect(stream: ByteReceiveStream | None, into: list[bytes]) -> None:
        nonlocal too_much
        size = 0
        if stream is None:
            return
        async for chunk in stream:
            size += len(chunk)
            if size > _OUTPUT_LIMIT:
                too_much = True
                group.cancel_scope.cancel()
                return
            into.append(chunk)

    async def give() -> None:
        # A git that ended early has said why.
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            if process.stdin is not None:
                await process.stdin.send(given)
                await process.stdin.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(give)
        group.start_soon(collect, process.stdout, chunks[0])
        group.start_soon(collect, process.stderr, chunks[1])
    if too_much:
        raise GitError(f"It printed more than {_OUTPUT_LIMIT >> 20} MiB and was stopped.", retryable=False)
    return b"".join(chunks[0]), b"".join(chunks[1])


async def end_group(process: Process) -> int:
    """End the process with all it started and wait for it; the exit code."""
    # git removes its lock files when it is asked to end; only then it is made to.
    _signal_group(process, force=False)
    with anyio.move_on_after(_PATIENCE):
        await process.wait()
    _signal_group(process, force=True)
    return await process.wait()


def _signal_group(process: Process, *, force: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill() if force else process.terminate()
        else:
            os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)


_GONE = "{folder} is no git repository any more."
_UNREADABLE = "git could not read the repository {folder}, though there is one. Try again."
_SENTENCES: tuple[tuple[re.Pattern[str], str, bool], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence, retryable)
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
            "A filter that the repository wants its files to go through failed: {0}. Install what it needs (for LFS: "
            "git lfs install), or run it in {folder} to see why.",
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
            r"index file (?:corrupt|smaller)|loose object .* is corrupt|object file .* is empty|bad object"
            r"|unable to read",
            "{repository} is damaged. Look at it with `git fsck`.",
            False,
        ),
    )
)
