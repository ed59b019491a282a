"""The provider `local`: a worktree of the repository for each task, and a sandbox-agent server in it."""

import logging
import math
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from backend_stub.agents.sandbox_agent.runtime import SandboxAgentRuntime
from backend_stub.agents.sandbox_agent.server import HOW_TO_GET
from backend_stub.providers.base import Call, GitError, ProviderError, Release, SandboxMade
from backend_stub.providers.local.bubblewrap import wrapped
from backend_stub.providers.local.changes import Changes, losses_of
from backend_stub.providers.local.record import Made, Record, Records
from backend_stub.providers.local.settings import LocalSettings
from backend_stub.providers.local.setup import run_setup
from backend_stub.providers.local.worktree import Plan, Worktrees, copy_files
from backend_stub.repository.clones import Clones
from backend_stub.repository.git import Command, Told, branches, branches_of_remote, run_git
from foundry_tui.contract.agents import installed_agents
from foundry_tui.contract.records import Sandbox, TaskDetail
from foundry_tui.contract.requests import Diff

logger = logging.getLogger(__name__)

COPY_LIST = Path(".foundry") / "copy"
"""A repository's own list of untracked files to copy, one a line."""


class LocalProvider:
    """Sandboxes in the data folder. `run` must run in the backend's task group as long as the provider is used."""

    name = "local"

    def __init__(self, data_dir: Path, settings: LocalSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._data_dir = data_dir
        self._records = Records(data_dir)
        self._worktrees = Worktrees(self._records)
        self._clones = Clones(data_dir)
        self.changes = Changes(self._records)
        self.agents = SandboxAgentRuntime(
            data_dir,
            self._records.agent_folder,
            environ=environ,
            policy=settings.policy,
            configured=settings.agents,
            wrap=self._wrap if settings.bubblewrap else None,
        )
        self.agents.files = self.changes
        self._group: TaskGroup | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read the agents' streams and compute changes until cancelled; agents go on when this ends."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self.agents.use(group)
                await group.start(self.changes.run)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self.agents.close()

    def state(self) -> str:
        if shutil.which("git", path=self._environ.get("PATH")) is None:
            return "git is not installed: install it with your package manager"
        if self.agents.binary() is None:
            return f"sandbox-agent is not installed: {HOW_TO_GET}"
        if self._settings.bubblewrap and shutil.which("bwrap", path=self._environ.get("PATH")) is None:
            return "bubblewrap is configured but not installed: install the package bubblewrap, or set it off"
        return "ready"

    def default_agent(self) -> str:
        if self._settings.agent:
            return self._settings.agent
        return next(iter(installed_agents(self._environ)), "claude")

    # Stages

    async def ensure_name(self, call: Call) -> Collection[str]:
        """Ask the remote, so that branches are compared with what it has now; one out of reach is no failure."""
        folder = await anyio.to_thread.run_sync(self._clones.place, call.repo)
        if folder is None:
            return await self._remote_branches(call)
        await self._fetch(folder, call)
        call.detail("comparing branches")
        return await branches(folder, told=_told(call))

    async def _fetch(self, folder: str, call: Call) -> None:
        remotes = await run_git(folder, "remote", told=_told(call))
        if not remotes.text.strip():
            return
        call.detail("fetching")
        try:
            await run_git(
                folder,
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-recurse-submodules",
                "--no-write-fetch-head",
                told=_told(call),
                timeout=self._patience(call),
            )
        except GitError as error:
            call.log(f"fetching failed, going on with what is known: {error.message}")

    async def _remote_branches(self, call: Call) -> Collection[str]:
        """The branches of a repository that is not cloned yet; none when its remote does not answer in time."""
        if call.repo.remote is None:
            return ()
        call.detail("asking the remote")
        try:
            return await branches_of_remote(call.repo.remote, told=_told(call), timeout=self._patience(call))
        except GitError as error:
            call.log(f"asking the remote failed, going on without its branches: {error.message}")
            return ()

    def _patience(self, call: Call) -> float:
        return min(self._settings.fetch_timeout, _seconds_left(call) / 2)

    async def create_sandbox(self, call: Call) -> SandboxMade:
        with _named_errors("the sandbox cannot be made"):
            return await self._make(call)

    async def _make(self, call: Call) -> SandboxMade:
        task = call.task
        if not task.branch:
            raise ProviderError("the task has no branch yet")
        repository = await self._folder(call)
        base = task.base_branch or call.repo.default_branch or await self._head(repository, call)
        call.detail(f"making a worktree of {call.repo.label}")
        plan = Plan(
            task_id=task.task_id,
            repository=repository,
            branch=task.branch,
            base=base,
            cloned=call.repo.path is None,
        )
        record, resumed = await self._worktrees.make(plan, _told(call))
        if record.made is not Made.READY:
            await self._prepare(call, record)
            record = await self._worktrees.finish(record)
        self.changes.watch(task.task_id)
        sandbox = Sandbox(sandbox_id=task.task_id, cwd=record.worktree, created_at=record.created_at)
        return SandboxMade(sandbox, resumed=resumed)

    async def _prepare(self, call: Call, record: Record) -> None:
        worktree = Path(record.worktree)
        listed = await anyio.to_thread.run_sync(_read_list, worktree / COPY_LIST)
        names = tuple(dict.fromkeys((*self._settings.copy, *listed)))
        if names:
            call.detail("copying files")
            await copy_files(Path(record.repository), worktree, names, call.log)
        call.detail("running the repository's set-up")
        await run_setup(
            worktree,
            sandbox_id=call.task.task_id,
            repository=record.repository,
            environ=self._environ,
            timeout=self._settings.setup_timeout,
            log=call.log,
        )

    # Letting go

    async def release_sandbox(self, call: Call, how: Release) -> None:
        """End the agents and remove the worktree; the branch stays, and so does the record, which knows it."""
        await self.agents.end(call)
        with _named_errors("the worktree cannot be removed"):
            record = await self._record(call)
            if record is None:
                return
            await self._remove(call, record, force=how.force)
            await self._worktrees.released(record)
        self.changes.forget(call.task.task_id)

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        """End the agents, remove the worktree, and the branch too if that was asked for."""
        await self.agents.end(call)
        with _named_errors("the sandbox cannot be removed"):
            record = await self._record(call)
            if record is None:
                return
            await self._remove(call, record, force=how.force)
            if how.delete_branch:
                await self._worktrees.delete_branch(record, _told(call), force=how.force)
            await anyio.to_thread.run_sync(self._records.forget, call.task.task_id)
        self.changes.forget(call.task.task_id)

    async def _remove(self, call: Call, record: Record, *, force: bool) -> None:
        await self.changes.leave(call.task.task_id)
        try:
            # What was known when the person was asked may have changed since.
            if not force and await anyio.to_thread.run_sync(Path(record.worktree).is_dir):
                losses = await losses_of(record, _told(call))
                if losses:
                    what = "; ".join(losses)
                    raise ProviderError(
                        f"{record.worktree} is kept: it has {what}. Commit and push, or remove it yourself",
                        retryable=False,
                    )
            await self._worktrees.remove(record, _told(call), force=force)
        except BaseException:
            self.changes.watch(call.task.task_id)
            raise

    # From what is known

    def would_lose(self, task: TaskDetail) -> Sequence[str]:
        return self.changes.losses(task.task_id)

    def diff(self, task: TaskDetail) -> Diff | None:
        if task.sandbox is None:
            return None
        self.changes.refresh(task.task_id)
        return self.changes.diff(task.task_id)

    def forget(self, task_id: str) -> None:
        if self._group is not None:
            self._group.start_soon(self._forget, task_id)

    async def _forget(self, task_id: str) -> None:
        """Remove the record with what was kept beside it; a worktree that was kept stays, and its record with it."""
        await self.changes.leave(task_id)
        self.changes.forget(task_id, diff=True)
        try:
            await anyio.to_thread.run_sync(self._records.forget, task_id)
        except OSError as error:
            logger.warning("what was kept of task %s is not removed: %s", task_id, error)

    # Repositories

    async def _folder(self, call: Call) -> str:
        """The repository as a folder; one that is known by its URL only is cloned into the data folder first."""
        known = await anyio.to_thread.run_sync(self._clones.place, call.repo)
        if known is not None:
            return known
        if call.repo.remote is None:
            raise ProviderError(f"the repository {call.repo.label} has neither a folder nor a URL", retryable=False)
        call.detail("cloning the repository")
        return await self._clones.make(call.repo, call.repo.remote, _told(call), name=call.task.task_id)

    async def _head(self, repository: str, call: Call) -> str:
        done = await run_git(repository, "symbolic-ref", "--short", "-q", "HEAD", told=_told(call), accept=(0, 1))
        return done.text.strip() or "HEAD"

    async def _record(self, call: Call) -> Record | None:
        try:
            return await anyio.to_thread.run_sync(self._records.load, call.task.task_id)
        except ValueError:
            return None

    def _wrap(self, argv: Sequence[str], cwd: Path) -> Sequence[str]:
        return wrapped(argv, cwd, self._data_dir, self._settings.writable, self._environ)


@contextmanager
def _named_errors(what: str) -> Iterator[None]:
    """What the file system refuses, in the words of a provider."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise ProviderError(f"{what}: {error.strerror or error}{place}") from error


def _seconds_left(call: Call) -> float:
    """Until the deadline of the stage that runs."""
    deadline = next((stage.deadline_at for stage in call.task.stages if stage.deadline_at), None)
    return math.inf if deadline is None else max(0.0, deadline / 1000 - time.time())


def _told(call: Call) -> Told:
    def told(command: Command) -> None:
        call.log(str(command))

    return told


def _read_list(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return ()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
