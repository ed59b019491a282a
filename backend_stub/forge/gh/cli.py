"""GitHub by its own command `gh`, with the login that the person has there; it never asks anything."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeVar

import anyio
import msgspec
from anyio.abc import Process

from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import FailedCheck, ForgeError, ForgeLimitedError, Head, Issue, Proposal
from backend_stub.forge.gh.answers import Listed, Pull, Reported, Rollup, Threads, one_line
from backend_stub.forge.gh.check_logs import end_of_log
from backend_stub.forge.gh.refusals import limited, refused
from backend_stub.repository.git import end_group, exchange
from backend_stub.repository.git_errors import without_credentials
from foundry_tui.contract.codec import decode
from foundry_tui.contract.pull_request import Comment, PullRequest

T = TypeVar("T")

LIMIT = 60.0
"""Seconds that one command may take."""
_SILENT = {
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GH_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "NO_COLOR": "1",
    "LC_ALL": "C",
}
_FORGOTTEN = frozenset({"GH_REPO", "GH_FORCE_TTY", "CLICOLOR_FORCE", "GH_DEBUG", "DEBUG", "GIT_DIR", "GIT_WORK_TREE"})
"""Variables that would have gh speak of another repository, or print something else."""
_PATH = r"(?P<owner>[^/:]+)/(?P<name>[^/]+?)(?:\.git)?/?$"
_URL = re.compile(rf"^(?P<scheme>https?|ssh|git)://(?:[^/@]*@)?(?P<host>[^/:@]+)(?::\d+)?[/:]{_PATH}")
_SSH = re.compile(rf"^(?:[^/@:]+@)?(?P<host>[^/:@]{{2,}}):/?{_PATH}")
"""A remote as `git@github.com:acme/widgets.git` has it; somebody's own configuration may know it by host alone."""
_IS_HOST = re.compile(r"[A-Za-z0-9][\w.-]*")
_OTHER_FORGES = frozenset({"gitlab", "bitbucket", "codeberg", "gitea", "forgejo"})
"""Parts of the names of hosts that are certainly no GitHub."""
SSH_LIMIT = 5.0
"""Seconds within which ssh says what a host is in the person's own configuration."""
_FIELDS = "number,url,title,state,isDraft,statusCheckRollup,reviewDecision,mergeable"
_HEAD_FIELDS = "headRefName,baseRefName,isCrossRepository,headRepositoryOwner"
_JOB = re.compile(r"/actions/runs/\d+/jobs?/(?P<id>\d+)")
_NO_LOG = re.compile(r"HTTP (?:404|410)", re.IGNORECASE)
_LOG_BYTES = 1024 * 1024
"""Of a log so many bytes are read, from its end."""
_THREADS = (
    "query($o:String!,$n:String!,$p:Int!){repository(owner:$o,name:$n){pullRequest(number:$p)"
    "{reviewThreads(first:50){nodes{isResolved isOutdated path line comments(first:20)"
    "{nodes{databaseId author{login} body createdAt diffHunk}}}}}}}"
)


@dataclass(frozen=True)
class _Repository:
    host: str
    owner: str
    name: str

    @property
    def full(self) -> str:
        """As `--repo` takes it."""
        return f"{self.host}/{self.owner}/{self.name}"


class GitHubCli:
    """See `backend_stub.domain.forge.Forge`. `now` tells the time in milliseconds since the epoch."""

    def __init__(self, now: Callable[[], int], environ: Mapping[str, str] | None = None) -> None:
        self._now = now
        self._environ = environ
        self._hosts: dict[str, str] = {}
        """Hosts by what remotes call them."""

    async def expect_usable(self, remote: str) -> None:
        repository = await self._repository(remote)
        await self._run(repository, "--version")

    async def propose(self, remote: str, proposal: Proposal) -> PullRequest:
        repository = await self._repository(remote)
        found = await self._open_one(repository, proposal.head)
        if found is not None:
            await self._refresh(repository, found, proposal)
            return await self.look(remote, found.number)
        done = await self._gh(
            repository,
            *("pr", "create", "--repo", repository.full, "--head", proposal.head),
            *(("--base", proposal.base) if proposal.base is not None else ()),
            *("--title", proposal.title, "--body", proposal.body, *(("--draft",) if proposal.draft else ())),
            accept_existing=True,
        )
        if (said := re.search(r"/pull/(\d{1,9})\s*$", done)) is not None:
            return await self.look(remote, int(said[1]))
        found = await self._open_one(repository, proposal.head)
        if found is None:
            raise ForgeError(f"gh has opened a pull request in {repository.full} and does not say which.")
        return await self.look(remote, found.number)

    async def look(self, remote: str, number: int) -> PullRequest:
        repository = await self._repository(remote)
        return await self._record(remote, number, await self._view(repository, number, _FIELDS, Pull))

    async def head(self, remote: str, number: int) -> Head:
        repository = await self._repository(remote)
        told = await self._view(repository, number, f"{_FIELDS},{_HEAD_FIELDS}", Pull)
        owner = (told.head_repository_owner and told.head_repository_owner.login) or "ghost"
        return Head(
            pull_request=await self._record(remote, number, told),
            branch=told.head_ref_name or "",
            base=told.base_ref_name or "",
            fork=owner if told.is_cross_repository else None,
        )

    async def find(self, remote: str, head: str) -> PullRequest | None:
        found = await self._open_one(await self._repository(remote), head)
        return None if found is None else await self.look(remote, found.number)

    async def issue(self, remote: str, number: int) -> Issue:
        repository = await self._repository(remote)
        said = await self._gh(
            repository, "issue", "view", str(number), "--repo", repository.full, "--json", "title,body,url"
        )
        told = _decoded(said, Reported)
        if "/pull/" in told.url:
            raise ForgeError(
                f"#{number} of {repository.owner}/{repository.name} is a pull request, no issue. Create the task from "
                "it as such (--pr).",
                retryable=False,
            )
        return Issue(title=one_line(told.title), text=told.body or "", url=told.url)

    async def failed_checks(
        self, remote: str, number: int, names: Collection[str], logs: int, most: int
    ) -> Sequence[FailedCheck]:
        repository = await self._repository(remote)
        told = await self._view(repository, number, "statusCheckRollup", Rollup)
        failed = [
            FailedCheck(check.called, check.url)
            for check in told.newest()
            if check.failed and (not names or check.called in names)
        ]
        return [*[await self._with_log(repository, check, most) for check in failed[:logs]], *failed[logs:]]

    async def _repository(self, remote: str) -> _Repository:
        """The repository that a remote's URL names; raises `ForgeError`."""
        found = _URL.match(remote) or _SSH.match(remote)
        host = found["host"].lower() if found is not None else ""
        if found is not None and found.groupdict().get("scheme", "ssh") == "ssh":
            if host not in self._hosts:
                self._hosts[host] = await self._host_of(host)
            host = self._hosts[host]
        if found is None or not _OTHER_FORGES.isdisjoint(host.split(".")):
            raise ForgeError(
                f"The remote {without_credentials(remote)} is no repository of GitHub, the forge that is known here: "
                "there is no pull request and no issue to be had of it. Push, and open one by hand; or land the task.",
                retryable=False,
            )
        # GitHub answers ssh on the port of the web at a host of its own, and gh knows neither of the two.
        host = "github.com" if host in ("ssh.github.com", "www.github.com") else host
        return _Repository(host, found["owner"], found["name"])

    async def _host_of(self, name: str) -> str:
        """The host that ssh connects to under this name, by the person's own configuration."""
        said = b""
        if _IS_HOST.fullmatch(name) and name != "github.com":
            with suppress(OSError), anyio.move_on_after(SSH_LIMIT):
                done = await anyio.run_process(
                    ["ssh", "-G", name], stdin=subprocess.DEVNULL, check=False, env=self._environ
                )
                said = done.stdout
        told = re.search(rb"^hostname ([a-z][a-z0-9.-]*)$", said, re.MULTILINE | re.IGNORECASE)
        # An address is no name that the web's side of it would answer to.
        return told[1].decode().lower() if told is not None else name

    async def _with_log(self, repository: _Repository, check: FailedCheck, most: int) -> FailedCheck:
        """The check with its log, which only GitHub's own runner leaves there, and only for some time."""
        job = _JOB.search(check.url)
        log, cut = "", False
        if job is not None:
            path = f"repos/{repository.owner}/{repository.name}/actions/jobs/{job['id']}/logs"
            whole = await self._end_of_output(repository, "api", "--hostname", repository.host, path)
            log, cut = end_of_log(whole.decode("utf-8", "replace"), most)
            cut = cut or len(whole) == _LOG_BYTES
        return replace(check, log=log, cut=cut)

    async def _view(self, repository: _Repository, number: int, fields: str, type_: type[T]) -> T:
        """These fields of a pull request."""
        said = await self._gh(repository, "pr", "view", str(number), "--repo", repository.full, "--json", fields)
        return _decoded(said, type_)

    async def _record(self, remote: str, number: int, told: Pull) -> PullRequest:
        return told.record(number, await self.comments(remote, number), self._now())

    async def comments(self, remote: str, number: int) -> Sequence[Comment]:
        repository = await self._repository(remote)
        said = await self._gh(
            repository,
            *("api", "graphql", "--hostname", repository.host, "-f", f"query={_THREADS}"),
            *("-f", f"o={repository.owner}", "-f", f"n={repository.name}", "-F", f"p={number}"),
        )
        return _decoded(said, Threads).comments()

    async def _open_one(self, repository: _Repository, head: str) -> Listed | None:
        """The pull request of this repository's own branch that is open."""
        said = await self._gh(
            repository,
            *("pr", "list", "--repo", repository.full, "--head", head, "--state", "open"),
            *("--json", "number,isDraft,isCrossRepository"),
        )
        return next((each for each in _decoded(said, tuple[Listed, ...]) if not each.is_cross_repository), None)

    async def _refresh(self, repository: _Repository, found: Listed, proposal: Proposal) -> None:
        """Give it the title and text that a person said (`gh pr edit` asks for what GitHub has no more), and have it be
        a draft or none where that was said.
        """
        fields = {"title": proposal.title, "body": proposal.body}
        said = [word for name in sorted(proposal.said) for word in ("-f", f"{name}={fields[name]}")]
        if said:
            path = f"repos/{repository.owner}/{repository.name}/pulls/{found.number}"
            await self._gh(repository, "api", "--hostname", repository.host, "-X", "PATCH", path, *said)
        if proposal.draft not in (None, found.is_draft):
            words = ("pr", "ready", str(found.number), "--repo", repository.full)
            await self._gh(repository, *words, *(("--undo",) if proposal.draft else ()))

    async def _gh(self, repository: _Repository, *arguments: str, accept_existing: bool = False) -> str:
        """What gh prints; raises `ForgeError`. `accept_existing`: that one is there already is no failure."""
        done = await self._run(repository, *arguments)
        said = done.stdout.decode("utf-8", "replace")
        if done.returncode == 0:
            return said
        errors = done.stderr.decode("utf-8", "replace")
        if accept_existing and "already exists" in errors:
            return ""
        raise await self._refused(repository, done.returncode, errors)

    async def _refused(self, repository: _Repository, exit_code: int, errors: str) -> ForgeError:
        """Why gh did not do it."""
        refusal = refused(repository.host, f"{repository.owner}/{repository.name}", exit_code, errors)
        if isinstance(refusal, ForgeLimitedError):
            # What gh prints of it does not say how long.
            asked = await self._run(repository, "api", "--hostname", repository.host, "--include", "rate_limit")
            refusal = limited(repository.host, asked.stdout.decode("utf-8", "replace"), self._now())
        return refusal

    async def _end_of_output(self, repository: _Repository, *arguments: str) -> bytes:
        """The end of what gh prints, however long that is; nothing where GitHub has none of it any more."""
        with tempfile.TemporaryFile() as file:
            done = await self._run(repository, *arguments, into=file.fileno())
            if done.returncode != 0:
                errors = done.stderr.decode("utf-8", "replace")
                if _NO_LOG.search(errors):
                    return b""
                raise await self._refused(repository, done.returncode, errors)
            return await anyio.to_thread.run_sync(_end_of, file)

    async def _run(
        self, repository: _Repository, *arguments: str, into: int = subprocess.PIPE
    ) -> "subprocess.CompletedProcess[bytes]":
        environ = self._environ if self._environ is not None else os.environ
        kept = {name: value for name, value in environ.items() if name not in _FORGOTTEN}
        words = ["gh", *arguments]
        code: int | None = None
        process: Process | None = None
        try:
            with anyio.CancelScope(shield=True):
                # Cancelled half-way, it would leave a process that nobody ends.
                process = await anyio.open_process(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=into,
                    cwd=os.sep,
                    env={**kept, **_SILENT, "GH_HOST": repository.host},
                    start_new_session=True,
                )
            assert process is not None
            with anyio.fail_after(LIMIT):
                stdout, stderr = await exchange(process, b"")
                code = await process.wait()
            return subprocess.CompletedProcess(words, code, stdout, stderr)
        except FileNotFoundError:
            raise ForgeError(
                "gh, GitHub's own command, is not installed, or not on the backend's PATH. Install it (apt install gh, "
                "brew install gh), log in with gh auth login, then do this again.",
                retryable=False,
            ) from None
        except TimeoutError:
            raise ForgeError(f"{repository.host} did not answer gh within {LIMIT:g} s. Check the network.") from None
        except GitError as error:
            raise ForgeError(f"What gh says cannot be used. {error.message}", retryable=False) from None
        except OSError as error:
            raise ForgeError(f"gh cannot be started: {error.strerror}.", retryable=False) from error
        finally:
            if process is not None:
                with anyio.CancelScope(shield=True):
                    if code is None:
                        await end_group(process)
                    await process.aclose()


def _end_of(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LOG_BYTES))
    return file.read()


def _decoded(said: str, type_: type[T]) -> T:
    """What gh printed, by its shape; raises `ForgeError`."""
    try:
        return decode(said, type_)
    except msgspec.ValidationError as error:
        raise ForgeError(f"gh answered something else than was asked for ({error}): {said[:100]!r}.") from None
    except msgspec.DecodeError:
        raise ForgeError(
            f"gh answered something that is no JSON: {said[:100]!r}. Check the proxy, then do this again."
        ) from None
