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
from backend_stub.repository.git_errors import explain, verb_of, without_credentials
from backend_stub.repository.letter_case import tells_case_apart
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
    "core.splitIndex": "false",
    "core.ignoreStat": "false",
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
"""Configuration that outweighs the user's: nothing starts a program of its own or asks, an index of ours leaves nothing
in the repository and hides no change, and no folder that only looks like the inside of a repository is taken for one.
Filters of the repository (`filter.NAME.clean`, as LFS needs) are
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
    if verb_of(arguments) in _TALKING:
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
            f"git {verb_of(arguments)} was stopped: it took longer than {timeout:g} s. Check "
            f"{_slow(verb_of(arguments), hooks=hooks)}."
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


def _slow(verb: str, *, hooks: bool) -> str:
    """What may take a git command so long."""
    if verb in _TALKING:
        return "the network, and what a hook waits for" if hooks and verb == "push" else "the network"
    return "the disk, and what a hook or the signing of commits waits for" if hooks else "the disk"


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
