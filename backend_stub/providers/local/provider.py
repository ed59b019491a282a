"""The provider `local`: a worktree of the repository for each task, and a sandbox-agent server in it."""

import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from backend_stub.domain.call import Call
from backend_stub.domain.clock import wall_clock
from backend_stub.domain.errors import CallError, ProviderError
from backend_stub.domain.forge import Forge
from backend_stub.domain.provider import Existing, Release, SandboxMade
from backend_stub.domain.start import Start
from backend_stub.machine import privacy
from backend_stub.providers.local.agents import LocalAgents
from backend_stub.providers.local.branch_start import Plan
from backend_stub.providers.local.changes import Changes
from backend_stub.providers.local.checkpoints import LocalCheckpoints
from backend_stub.providers.local.comparison import write_patch
from backend_stub.providers.local.copying import copy_files
from backend_stub.providers.local.known_agents import look_for_agents
from backend_stub.providers.local.losses import NAMED, losses_of
from backend_stub.providers.local.remotes import fetch, main_remote, remote_branches
from backend_stub.providers.local.rules import read_rules
from backend_stub.providers.local.sandbox_record import Made, Record, Records
from backend_stub.providers.local.settings import LocalSettings
from backend_stub.providers.local.setup import run_setup
from backend_stub.providers.local.starting import Starts
from backend_stub.providers.local.submodules import fill_submodules
from backend_stub.providers.local.way_home import LocalWayHome
from backend_stub.providers.local.work import work_of
from backend_stub.providers.local.worktree import Worktrees, common_of, git_dir_of
from backend_stub.repository.checkouts import commit_of
from backend_stub.repository.clones import Clones
from backend_stub.repository.git import Command, Told, branches_near, run_git
from backend_stub.repository.listing import files_of
from backend_stub.repository.setup_files import SETUP, SetupFiles
from backend_stub.repository.trust import Trust
from foundry_tui.contract import mcp
from foundry_tui.contract.agents import KNOWN, installed_agents
from foundry_tui.contract.branches import near_branches
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import Repo, Sandbox, TaskDetail
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.rules import Rule
from foundry_tui.contract.starts import StartedFrom
from foundry_tui.contract.work import Work

logger = logging.getLogger(__name__)


class LocalProvider:
    """Sandboxes in the data folder. `run` must run in the backend's task group as long as the provider is used."""

    name = "local"
    bound = True

    def __init__(
        self, data_dir: Path, settings: LocalSettings, environ: Mapping[str, str], agents: LocalAgents, forge: Forge
    ) -> None:
        self._data_dir = data_dir
        self._settings = settings
        self._environ = environ
        self._records = Records(data_dir)
        self._worktrees = Worktrees(self._records)
        self._clones = Clones(data_dir)
        self._trust = Trust(data_dir)
        self.changes = Changes(self._records)
        self.checkpoints = LocalCheckpoints(data_dir, self._records)
        self._starts = Starts(self._clones, forge, self._patience)
        self.way_home = LocalWayHome(self._records, self.checkpoints, forge)
        self.agents = agents
        self.agents.files = self.changes
        self._group: TaskGroup | None = None
        self._made_from: dict[str, dict[str, str]] = {}
        """By the folder of a repository: the tasks that were made from it, and their branches."""

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read the agents' streams and compute changes until cancelled; agents go on when this ends."""
        for record, losses in await anyio.to_thread.run_sync(lambda: list(self._records.all_with_losses())):
            self._note(record)
            if losses is not None:
                self.changes.know(record.task_id, losses)
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

    def _note(self, record: Record) -> None:
        """Know what the task was made from as long as it has a worktree."""
        tasks = self._made_from.setdefault(record.repository, {})
        if record.made is Made.RELEASED:
            tasks.pop(record.task_id, None)
        else:
            tasks[record.task_id] = record.branch

    def state(self) -> str:
        if shutil.which("git", path=self._environ.get("PATH")) is None:
            return "git is not installed: install it with your package manager"
        agents = self.agents.state()
        if agents != "ready":
            return agents
        if self._settings.bubblewrap and shutil.which("bwrap", path=self._environ.get("PATH")) is None:
            return "bubblewrap is configured but not installed: install the package bubblewrap, or set it off"
        return "ready"

    def default_agent(self) -> str:
        if self._settings.agent:
            return self._settings.agent
        return next(iter(installed_agents(self._data_dir, self._environ, shutil.which)), KNOWN[0])

    def default_permissions(self) -> PermissionPolicy:
        return self._settings.policy

    def agents_here(self) -> Sequence[AgentInfo]:
        return look_for_agents(self._data_dir, self._environ, self._settings.agents, self.agents.logins.of)

    # Stages

    async def ensure_name(self, call: Call) -> Existing:
        """Ask the remote, so that branches are compared with what it has now; one out of reach is no failure."""
        with _named_errors("the repository cannot be looked at"):
            folder = await anyio.to_thread.run_sync(self._clones.place, call.repo)
        if folder is None:
            known = await remote_branches(call, _told(call), self._patience(call))
            return lambda names: anyio.to_thread.run_sync(near_branches, names, known)
        place = folder
        await fetch(place, call, _told(call), self._patience(call))
        call.detail("comparing branches")
        return lambda names: branches_near(place, names, told=_told(call))

    def _patience(self, call: Call) -> float:
        return min(self._settings.fetch_timeout, _seconds_left(call) / 2)

    async def find_start(self, call: Call, start: StartedFrom) -> Start:
        with _named_errors("the repository cannot be looked at"):
            return await self._starts.find(call, start, _told(call))

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
        start = task.started_from
        exists = start is not None and start.on_its_branch
        plan = Plan(
            task_id=task.task_id,
            repository=repository,
            branch=task.branch,
            base=base,
            cloned=call.repo.path is None,
            exists=exists,
            forward=start is not None and start.pull_request is not None,
            remote=(await main_remote(repository, _told(call)) if exists else None) or "origin",
        )
        record, resumed = await self._worktrees.make(plan, _told(call))
        self._note(record)
        if record.own_branch and not resumed:
            await self._say_where_it_begins(call, record)
        notice, repo = "", None
        if record.made is not Made.READY:
            notice = await self._set_up(call, record)
            repo = await anyio.to_thread.run_sync(self._judged, call.repo)
        rules, left_out = await anyio.to_thread.run_sync(self._rules_of, call.repo, record)
        self.changes.watch(task.task_id)
        if self._group is not None:
            self._group.start_soon(self.checkpoints.prepare, call)
        sandbox = Sandbox(sandbox_id=task.task_id, cwd=record.worktree, created_at=record.created_at)
        return SandboxMade(
            sandbox,
            resumed=resumed,
            notice="\n\n".join(filter(None, (notice, left_out))),
            repo=repo if repo not in (None, call.repo) else None,
            rules=rules,
        )

    async def _say_where_it_begins(self, call: Call, record: Record) -> None:
        local = await commit_of(record.common or record.repository, f"refs/heads/{record.base_name}", _told(call))
        if record.base.startswith("refs/heads/") and local not in (None, record.base_commit):
            call.log(f"it begins at origin/{record.base_name}, which has more than your {record.base_name}")

    def _rules_of(self, repo: Repo, record: Record) -> tuple[tuple[Rule, ...], str]:
        """In a thread: the trusted rules about permission that a new worktree brings; why they are left out, if so."""
        content, trusted = self._trust.admit(repo, Path(record.worktree), trust=False)
        return read_rules(content) if content is not None and trusted else ((), "")

    async def _set_up(self, call: Call, record: Record) -> str:
        """Make a new worktree ready to be worked in; what a person should know of how that went."""
        await anyio.to_thread.run_sync(_close, record, call.repo.path is None)
        notice = await self._prepare(call, record)
        await self._worktrees.finish(record)
        return notice

    async def find_branch(self, call: Call) -> str | None:
        with _named_errors("the worktree cannot be looked at"):
            record = await self._record(call)
            if record is None:
                raise ProviderError(
                    f"What Foundry noted of this task's worktree is gone from {self._records.root}, so it is not known "
                    "where to work. Kill the task and create it again; its branch is kept.",
                    retryable=False,
                )
            return await self._worktrees.look(record, _told(call))

    async def restore_sandbox(self, call: Call) -> bool:
        with _named_errors("the worktree cannot be made again"):
            record = await self._record(call)
            if record is None:
                return False
            if record.made is Made.READY:
                restored = await self._worktrees.restore(record, _told(call))
                if restored is None:
                    return False
                # The agent's folder is the one that was removed, though it has the same name.
                await self.agents.end(call)
                record = restored
                self.checkpoints.leave(record.task_id)
            if record.made is Made.MADE:
                await self._set_up(call, record)
            self.changes.watch(call.task.task_id)
            return True

    def _judged(self, repo: Repo) -> Repo:
        return msgspec.structs.replace(repo, trust=self._trust.of(repo))

    async def _prepare(self, call: Call, record: Record) -> str:
        """Fill submodules, copy files and run the set-up, if it is trusted; what a person should know of it."""
        worktree = Path(record.worktree)
        # The folder that was named may be gone by now, if it was itself a linked worktree.
        common = await anyio.to_thread.run_sync(common_of, record) or record.repository
        if await anyio.to_thread.run_sync(os.path.lexists, worktree / ".gitmodules"):
            call.detail("filling submodules")
            await fill_submodules(worktree, Path(common), call.log, _told(call))
        scratch = self._records.folder(call.task.task_id) / "copied"
        await copy_files(record.repository, worktree, self._settings.copy, scratch, call.log, _told(call))
        # Once it was ready an agent may have worked in it: what a person trusted is what they asked for.
        trust = call.trust and not record.ready_at
        content, trusted = await anyio.to_thread.run_sync(partial(self._trust.admit, call.repo, worktree, trust=trust))
        if content is None or not trusted:
            await self.agents.use_mcp(record.task_id, None)
            return "" if content is None else _skipped(call, content)
        await self.agents.use_mcp(record.task_id, dict(content.files).get(mcp.FILE))
        script = dict(content.files).get(SETUP)
        if script is not None:
            await self._run_setup(call, record, script)
        return ""

    async def _run_setup(self, call: Call, record: Record, script: bytes) -> None:
        call.detail("running the repository's set-up")
        await run_setup(
            Path(record.worktree),
            script,
            sandbox_id=call.task.task_id,
            repository=record.repository,
            environ=self._environ,
            timeout=self._settings.setup_timeout,
            log=call.log,
        )

    # Letting go

    async def release_sandbox(self, call: Call, how: Release) -> None:
        """End the agents, remove the worktree, and the branch too if that was asked for; the record stays."""
        await self.agents.end(call)
        with _named_errors("the worktree cannot be removed"):
            record = await self._record(call)
            if record is None:
                return
            if record.made is not Made.RELEASED:
                await self._keep_patch(call, record)
            await self._remove(call, record, how)
            await self._delete_branch(call, record, how)
            self._note(await self._worktrees.released(record))
        self.changes.forget(call.task.task_id)

    async def _keep_patch(self, call: Call, record: Record) -> None:
        """Keep what the task changed, for reading after its worktree is gone."""
        try:
            async with self._records.patch_to_keep(record.task_id) as file:
                await write_patch(record, file)
        except (CallError, OSError) as error:
            call.log(f"the task's patch is not kept: {error}")

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        """End the agents, remove the worktree, and the branch too if that was asked for."""
        await self.agents.end(call)
        with _named_errors("the sandbox cannot be removed"):
            record = await self._record(call)
            if record is None:
                return
            await self._remove(call, record, how)
            await self._delete_branch(call, record, how)
            await anyio.to_thread.run_sync(self._records.forget, call.task.task_id)
            self._made_from.get(record.repository, {}).pop(record.task_id, None)
        self.changes.forget(call.task.task_id)

    async def _remove(self, call: Call, record: Record, how: Release) -> None:
        await self.changes.leave(call.task.task_id)
        self.checkpoints.leave(call.task.task_id)
        await self.way_home.settle(call)
        try:
            # What was known when the person was asked may have changed since.
            if not how.force and record.made is not Made.RELEASED:
                losses = (await losses_of(record, _told(call))).of(delete_branch=how.delete_branch)
                if losses:
                    what = "; ".join(losses)
                    raise ProviderError(
                        f"{record.worktree} is kept: it has {what}. Commit and push, or remove it yourself",
                        retryable=False,
                    )
            await self._worktrees.remove(record, _told(call), force=how.force)
        except BaseException:
            self.changes.watch(call.task.task_id)
            raise

    async def _delete_branch(self, call: Call, record: Record, how: Release) -> None:
        if how.delete_branch and record.own_branch:
            await self._worktrees.delete_branch(record, _told(call), force=how.force)
        elif how.delete_branch:
            call.log(f"the branch {record.branch} is kept: it was there before the task")

    # From what is known

    def would_lose(self, task: TaskDetail, *, delete_branch: bool) -> Sequence[str]:
        losses = self.changes.losses(task.task_id).of(delete_branch=delete_branch)
        if losses:
            # They may be of before somebody committed; who asks again is told of now.
            self.changes.refresh(task.task_id)
        others = sorted(self._made_from.get(task.sandbox.cwd, {}).values()) if task.sandbox is not None else []
        if not others:
            return losses
        named = ", ".join(others[:NAMED]) + (f" and {len(others) - NAMED} more" if len(others) > NAMED else "")
        one = len(others) == 1
        who = f"{'another task was' if one else f'{len(others)} other tasks were'} made from: {named}"
        return (*losses, f"the folder that {who} ({'it keeps its' if one else 'they keep their'} own)")

    async def work(self, call: Call, *, after_turn: bool = False) -> Work | None:
        with _named_errors("the branch cannot be looked at"):
            record = await self._record(call)
            if record is None or record.made is not Made.READY:
                return None
            if not after_turn:
                self.changes.refresh(record.task_id)
            await self.changes.computed(record.task_id)
            diff = self.changes.diff(record.task_id)
            return await work_of(record, diff.files if diff is not None else (), wall_clock())

    async def diff(self, task: TaskDetail, newer: int | None = None) -> Diff | None:
        if task.sandbox is None:
            return None
        if newer is None:
            self.changes.refresh(task.task_id)
        else:
            await self.changes.newer(task.task_id, newer)
        return self.changes.diff(task.task_id)

    async def files(self, call: Call) -> Sequence[str] | None:
        with _named_errors("the files cannot be listed"):
            record = await self._record(call)
            if record is None or record.made is Made.RELEASED:
                return None
            git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
            if git_dir is None:
                return None
            return await files_of(record.worktree, {"GIT_DIR": git_dir, "GIT_WORK_TREE": record.worktree})

    async def write_patch(self, call: Call, into: BinaryIO) -> bool:
        """The patch of the worktree as it is now, or of an archived task as it was then, where that was kept."""
        with _named_errors("the changes cannot be compared"):
            record = await self._record(call)
            if record is None:
                return False
            if record.made is Made.RELEASED:
                return await anyio.to_thread.run_sync(self._records.copy_patch, record.task_id, into)
            await self._worktrees.look(record, _told(call))
            await write_patch(record, into)
            return True

    def forget(self, task_id: str) -> None:
        if self._group is not None:
            self._group.start_soon(self._forget, task_id)

    async def _forget(self, task_id: str) -> None:
        """Remove the record with what was kept beside it; a worktree that was kept stays, and its record with it."""
        await self.changes.leave(task_id)
        self.changes.forget(task_id, diff=True)
        try:
            await self.checkpoints.forget(task_id)
            await anyio.to_thread.run_sync(self._records.forget, task_id)
        except (CallError, OSError) as error:
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
        done = await run_git(
            repository, "symbolic-ref", "--short", "-q", "HEAD", told=_told(call), accept=(0, 1), bare=True
        )
        return done.text.strip() or "HEAD"

    async def _record(self, call: Call) -> Record | None:
        try:
            return await anyio.to_thread.run_sync(self._records.load, call.task.task_id)
        except ValueError:
            return None


@contextmanager
def _named_errors(what: str) -> Iterator[None]:
    """What the file system refuses, in the words of a provider."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise ProviderError(f"{what}: {error.strerror or error}{place}") from error


def _close(record: Record, cloned: bool) -> None:
    """A new worktree is entered by nobody else, and what git notes of it in a clone of ours is read by nobody else."""
    Path(record.worktree).chmod(0o700)
    if cloned:
        privacy.close_tree(Path(record.repository) / ".git" / "worktrees")


def _skipped(call: Call, content: SetupFiles) -> str:
    """Say in the log that what the repository brought is not run, and the same for a person."""
    why = content.problem or "this content of it was not trusted"
    skipped = f"{', '.join(content.names)} of {call.repo.label} skipped: {why}"
    call.log(skipped)
    if content.problem:
        return f"{skipped}."
    which = call.repo.repo_id
    return (
        f"{skipped}. `foundry trust --show {which}` shows what it says; after `foundry trust {which}` new tasks "
        "run it. In this one it can be run by hand."
    )


def _seconds_left(call: Call) -> float:
    """Until the deadline of the stage that runs."""
    deadline = next((stage.deadline_at for stage in call.task.stages if stage.deadline_at), None)
    return math.inf if deadline is None else max(0.0, deadline / 1000 - time.time())


def _told(call: Call) -> Told:
    def told(command: Command) -> None:
        call.log(str(command))

    return told
