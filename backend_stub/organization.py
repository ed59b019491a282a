"""Creates tasks, and knows the repositories that they are created in."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from backend_stub.domain.attachments import check_text_beside, wrong_attachments
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import (
    BranchTakenError,
    IdTakenError,
    RefusedError,
    StorageUnavailableError,
    TaskExistsError,
    TaskPrunedError,
    conflict,
    not_found,
    wrong_values,
)
from backend_stub.domain.hosts import Hosts
from backend_stub.domain.names import check_name, check_title
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import Settings
from backend_stub.domain.storage import Change, Private, Reader, Storage
from backend_stub.known_agents import KnownAgents
from backend_stub.repository.clones import Clones
from backend_stub.repository.files import MachineFaultError
from backend_stub.repository.location import NotARepositoryError, find_repository, is_repo_id
from backend_stub.repository.refs import NO_BRANCHES, Branches, known_branches
from backend_stub.repository.trust import NotThatError, Trust
from foundry_tui.contract.attachments import told
from foundry_tui.contract.branches import check_branch, conflicting_branch
from foundry_tui.contract.codec import encode
from foundry_tui.contract.filter import entry_of, matching, parse
from foundry_tui.contract.ids import is_id, is_task_id
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import (
    HistoryKind,
    Prompt,
    PromptState,
    Repo,
    SessionState,
    SessionStatus,
    SessionSummary,
    StageRecord,
    TaskDetail,
    TaskSummary,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import AddRepo, CreateTask, RepoSetup, TasksSnapshot, TrustRepo
from foundry_tui.contract.starts import StartedFrom, wrong_start
from foundry_tui.contract.status import STAGES, TaskStatus

T = TypeVar("T")

DISK_THREADS = 8
"""Threads that read repositories' disks at once."""
DISK_SECONDS = 2.0
"""How long the disk of one repository may take to be read."""
FILTER_LIMIT = 1000
"""Characters of a filter."""
LIST_SECONDS = 0.5
"""How long the disks of all repositories may take together when they are listed: what is known is told otherwise."""


@dataclass(frozen=True)
class Created:
    """The task of a request: created by it (`new`), or by an equal one before."""

    task: TaskDetail
    new: bool


class Organization:
    """All tasks and repositories. What happens to a task once it exists is its actor's."""

    def __init__(
        self,
        storage: Storage,
        providers: dict[str, Provider],
        settings: Settings,
        runtime: Runtime,
        clones: Clones,
        trust: Trust,
        agents: KnownAgents,
        hosts: Hosts,
        wake_provisioning: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._providers = providers
        self._settings = settings
        self._runtime = runtime
        self._clones = clones
        self._trust = trust
        self._agents = agents
        self._hosts = hosts
        self._disk_threads = anyio.CapacityLimiter(DISK_THREADS)
        self._being_listed: set[str] = set()
        """Ids of the repositories whose disks a thread reads for a list."""
        self._wake_provisioning = wake_provisioning

    async def create_task(self, request: CreateTask) -> Created:
        """Check, write the task's first rows in one commit, and have it provisioned.

        Raises `RefusedError`: 409 when the id is taken by another request, 422 for what is wrong.
        """
        # Requests that say the same are encoded the same: no matter the order of keys, or null for absent.
        if request.attachments:
            # Megabytes, perhaps.
            digest = await anyio.to_thread.run_sync(_digest, request)
        else:
            digest = _digest(request)
        self._check(request)
        await self._check_host(request.host)
        wrong = await self._why_no_agent(request)
        try:
            change, history = await self._storage.make_and_commit(partial(self._first_change, request, digest, wrong))
        except TaskExistsError as error:
            if error.request != digest:
                raise conflict(f"The task {request.task_id} was created by another request; use a new id.") from None
            return await self._existing(str(request.task_id))
        except TaskPrunedError:
            raise conflict(f"The task {request.task_id} existed and was pruned; use a new id.") from None
        except IdTakenError as error:
            raise conflict(f"This {error.field} belongs to another task.") from None
        except BranchTakenError as error:
            raise wrong_values(("branch", f"Another task has the branch {error.branch}. Choose another.")) from None
        self._wake_provisioning(change.task.task_id)
        return Created(replace(change.task, history=tuple(history)), new=True)

    async def ended_before(self, task_id: str, limit: int) -> TasksSnapshot:
        """The newest ended tasks that are older than this one; raises `RefusedError` (404) when there is none such."""
        return _page(await self._storage.ended_before(task_id, limit), task_id)

    async def find(self, query: str, before: str | None, limit: int) -> TasksSnapshot:
        """The newest of all tasks that the filter holds for, of those older than the task `before` if it is given.

        Raises `RefusedError`: 422 for a filter that is too long, 404 when there is no such task.
        """
        if len(query) > FILTER_LIMIT:
            raise wrong_values(("filter", f"A filter has {FILTER_LIMIT} characters at most."))
        terms = parse(query)

        def holding(tasks: Sequence[TaskSummary]) -> Collection[str]:
            return matching(terms, {task.task_id: entry_of(task) for task in tasks})

        return _page(await self._storage.find(holding, before, limit), before)

    async def add_repo(self, request: AddRepo) -> tuple[Repo, bool]:
        """The repository, and whether it is new; raises `RefusedError` (422)."""
        if (request.path is None) == (request.remote is None):
            raise wrong_values(("path", "Give either path or remote."))
        field = "path" if request.path is not None else "remote"
        place = request.path if request.path is not None else request.remote or ""
        with _within_disk_seconds(place):
            found = await self._read_disk(_find, field, place)
            if (found.path is None) != (field == "remote"):
                raise wrong_values((field, f"This is no {'folder' if field == 'path' else 'git URL'}."))
            found = await self._read_disk(self._with_trust, found)
        return await self._storage.put_repo(found)

    async def repos(self) -> Sequence[Repo]:
        """All repositories, with the trust in their set-up as it is now, or as it was if a disk does not answer."""
        kept = await self._storage.repos()
        now = {repo.repo_id: repo for repo in kept}

        async def refresh(repo: Repo) -> None:
            found = await self._read_disk(self._with_trust_unless_read, repo)
            if found != repo:
                now[repo.repo_id], _ = await self._storage.put_repo(found)

        with anyio.move_on_after(LIST_SECONDS):
            async with anyio.create_task_group() as readers:
                for repo in kept:
                    readers.start_soon(refresh, repo)
        return list(now.values())

    async def setup(self, repo_id: str) -> RepoSetup | None:
        """What the repository's set-up says, to be read before it is trusted; None when there is no such repository."""
        repo = await self._storage.repo(repo_id)
        if repo is None:
            return None
        with _within_disk_seconds(repo.label):
            return await self._read_disk(self._trust.whole, repo)

    async def trust(self, repo_id: str, request: TrustRepo) -> Repo | None:
        """Trust the repository's set-up; None when there is no such repository.

        Raises `RefusedError`: 422 for what is no digest, 409 when it is not that of what is there now.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", request.digest):
            raise wrong_values(("digest", "A digest is 64 hexadecimal digits, as in the repository's trust."))
        repo = await self._storage.repo(repo_id)
        if repo is None:
            return None
        try:
            with _within_disk_seconds(repo.label):
                await self._read_disk(self._trust.give, repo, request.digest)
                trusted = await self._read_disk(self._with_trust, repo)
        except NotThatError as error:
            raise conflict(str(error)) from None
        except OSError as error:
            raise _not_kept(error) from error
        kept, _ = await self._storage.put_repo(trusted)
        return kept

    async def _read_disk(self, read: Callable[..., T], *arguments: object) -> T:
        """Read in a thread of our own few, which is abandoned to a disk that does not answer."""
        return await anyio.to_thread.run_sync(read, *arguments, abandon_on_cancel=True, limiter=self._disk_threads)

    def _with_trust(self, repo: Repo) -> Repo:
        """In a thread: the repository with the trust in its set-up as it is now."""
        return replace(repo, trust=self._trust.of(repo))

    def _with_trust_unless_read(self, repo: Repo) -> Repo:
        """The same, or the repository as it is where a thread reads its disk already: a dead disk holds no second."""
        if repo.repo_id in self._being_listed:
            return repo
        self._being_listed.add(repo.repo_id)
        try:
            return self._with_trust(repo)
        finally:
            self._being_listed.discard(repo.repo_id)

    async def branches(self, repo_id: str) -> tuple[str, ...] | None:
        """The branches that its files tell of, the default first; None when there is no such repository."""
        repo = await self._storage.repo(repo_id)
        if repo is None:
            return None
        with _within_disk_seconds(repo.label):
            return (await self._read_disk(self._known_branches, repo)).sorted()

    def _known_branches(self, repo: Repo) -> Branches:
        """In a thread: the branches of the repository's folder or clone; none where there is neither."""
        place = self._clones.place(repo)
        try:
            return known_branches(place) if place is not None else NO_BRANCHES
        except NotARepositoryError:
            return NO_BRANCHES
        except MachineFaultError as error:
            raise RefusedError(503, error.message) from None

    async def _existing(self, task_id: str) -> Created:
        task = await self._storage.task(task_id)
        if task is None:
            raise conflict(f"The task {task_id} existed and was pruned; use a new id.")
        return Created(task, new=False)

    def _check(self, request: CreateTask) -> None:
        wrong: list[tuple[str, str]] = []
        if request.task_id is not None and not is_task_id(request.task_id):
            wrong.append(("task_id", "A task_id is a UUIDv7 in lower case."))
        if request.session_id is not None and not is_id(request.session_id):
            wrong.append(("session_id", "A session_id is 1 to 128 letters, digits, dots, dashes or underscores."))
        if not request.prompt.strip():
            wrong.append(("prompt", "Say what is to be done: the prompt is empty."))
        if request.title is not None and (why := check_title(request.title)):
            wrong.append(("title", why))
        for field, branch in (("branch", request.branch), ("base_branch", request.base_branch)):
            if branch is not None and (why := check_branch(branch)):
                wrong.append((field, why))
        wrong += wrong_start(request.from_, branch=request.branch, base_branch=request.base_branch)
        if request.agent is not None and (why := check_name("An agent's name", request.agent)):
            wrong.append(("agent", why))
        if request.provider is not None and request.provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            wrong.append(("provider", f"There is no provider {request.provider!r}; there is {known}."))
        wrong += wrong_attachments(request.attachments)
        if wrong:
            raise wrong_values(*wrong)
        check_text_beside(request.attachments, request.prompt)

    async def _check_host(self, host: str | None) -> None:
        """Refuse a host that is not this one."""
        me = self._hosts.me
        if host not in (None, me.name, me.host_id):
            known = ", ".join(each.name for each in await self._hosts.all())
            raise wrong_values(("host", f"There is no host {host!r}; there is {known}."))

    async def _why_no_agent(self, request: CreateTask) -> tuple[str, str] | None:
        """The field, and what is wrong with the agent that a task of this request would have."""
        provider = self._provider_of(request).name
        if request.agent is not None:
            why = await self._agents.why_not(provider, request.agent)
            return None if why is None else ("agent", why)
        if request.provider is not None or self._settings.provider is not None:
            return None
        why = await self._agents.why_none(provider)
        return None if why is None else ("provider", why)

    def _provider_of(self, request: CreateTask) -> Provider:
        return self._providers[request.provider or next(iter(self._providers))]

    def _repository_for(self, request: CreateTask, wrong_agent: tuple[str, str] | None, reader: Reader) -> Repo:
        """Where a new task works; raises `TaskExistsError` when the task exists."""
        try:
            if wrong_agent is not None:
                raise wrong_values(wrong_agent)
            return self._checked_repository(request, reader)
        except RefusedError:
            # The same request may have been good when the task was made: its branch exists by now.
            known = reader.request_of(request.task_id) if request.task_id is not None else None
            if known is None:
                raise
            raise TaskExistsError(known) from None

    def _checked_repository(self, request: CreateTask, reader: Reader) -> Repo:
        if is_repo_id(request.repo):
            kept = reader.repo(request.repo)
            if kept is None:
                raise wrong_values(("repo", f"There is no repository {request.repo}."))
            repo = _find("repo", kept.path) if kept.path is not None else kept
            repo = kept if repo.repo_id != kept.repo_id else repo
        else:
            repo = _find("repo", request.repo)
        if request.branch is not None:
            self._check_branch_free(repo, request.branch, request.task_id, reader)
        return repo

    def _check_branch_free(self, repo: Repo, branch: str, task_id: str | None, reader: Reader) -> None:
        # The same request, sent twice at once, must not stand in its own way.
        if reader.branch_holder(repo.repo_id, branch) not in (None, task_id):
            raise wrong_values(("branch", f"Another task has the branch {branch}. Choose another, or leave it out."))
        taken = conflicting_branch(branch, self._known_branches(repo).names)
        if taken == branch:
            raise wrong_values(("branch", f"The branch {branch} exists already. Choose another, or leave it out."))
        if taken is not None:
            raise wrong_values(("branch", f"The branch {branch} cannot stand beside the branch {taken}."))

    def _first_change(
        self, request: CreateTask, digest: bytes, wrong_agent: tuple[str, str] | None, reader: Reader
    ) -> Change:
        """The first rows of a new task, once its repository has been looked at: that may take its time.

        `wrong_agent` is a field and why a new task cannot have the agent that this asks for.
        """
        repo = self._repository_for(request, wrong_agent, reader)
        if request.trust and (request.task_id is None or reader.request_of(request.task_id) is None):
            try:
                self._trust.give_now(repo)
            except OSError as error:
                raise _not_kept(error) from error
        repo = self._with_trust(repo)
        provider = self._provider_of(request)
        now = self._runtime.now()
        start = request.from_
        task_id = request.task_id or self._runtime.new_id()
        agent = request.agent or provider.default_agent()
        session = SessionSummary(
            session_id=request.session_id or self._runtime.new_id(),
            task_id=task_id,
            name=agent,
            agent=agent,
            status=SessionStatus.PENDING_PROVISION,
            created_at=now,
            updated_at=now,
            revision=1,
        )
        prompt = Prompt(
            prompt_id=self._runtime.new_id(),
            session_id=session.session_id,
            text=request.prompt,
            attachments=tuple(map(told, request.attachments)),
            state=PromptState.QUEUED,
            at=now,
        )
        task = TaskDetail(
            task_id=task_id,
            repo_id=repo.repo_id,
            repo_label=repo.label,
            title=request.title,
            branch=request.branch or (start.branch if start is not None else None),
            prompt=request.prompt,
            agent=agent,
            provider=provider.name,
            status=TaskStatus.QUEUED,
            status_since=now,
            created_at=now,
            updated_at=now,
            revision=1,
            sessions=(session,),
            base_branch=request.base_branch,
            host=self._hosts.me.name,
            started_from=None
            if start is None
            else StartedFrom(branch=start.branch, pull_request=start.pull_request, issue=start.issue),
            asked_options=request.options or None,
            permission_policy=PermissionPolicy(request.permissions or provider.default_permissions()),
            stages=tuple(StageRecord(name=stage, max_attempts=self._settings.attempts) for stage in STAGES),
        )
        fields = {name: getattr(session, name) for name in SessionSummary.__struct_fields__}
        return Change(
            at=now,
            expected=0,
            task=task,
            private=Private(
                trust=request.trust,
                asked_options={session.session_id: request.options} if request.options else {},
            ),
            history=(
                (HistoryKind.TASK_CREATED, {"repo_id": repo.repo_id, "provider": provider.name, "agent": agent}),
                (HistoryKind.PROVISION_QUEUED, {}),
                (HistoryKind.SESSION_REQUESTED, {"session_id": session.session_id}),
                (HistoryKind.PROMPT_QUEUED, _queued(prompt)),
            ),
            sessions=[SessionState(**fields, prompts=(prompt,))],
            prompts=[prompt],
            attachments={prompt.prompt_id: request.attachments} if request.attachments else {},
            moved=True,
            request=digest,
            repo=repo,
            hold_branch=request.branch,
        )


def _queued(prompt: Prompt) -> dict[str, object]:
    attached = {"attachments": [each.name for each in prompt.attachments]} if prompt.attachments else {}
    return {"session_id": prompt.session_id, "prompt_id": prompt.prompt_id, **attached}


def _page(page: TasksSnapshot | None, before: str | None) -> TasksSnapshot:
    if page is None:
        raise not_found(f"task {before}")
    return page


def _digest(request: CreateTask) -> bytes:
    return hashlib.sha256(encode(request)).digest()


@contextmanager
def _within_disk_seconds(place: str) -> Iterator[None]:
    """Bound what reads a repository's disk; raises `StorageUnavailableError` when that does not answer in time."""
    try:
        with anyio.fail_after(DISK_SECONDS):
            yield
    except TimeoutError:
        raise StorageUnavailableError(f"the disk of {place} does not answer") from None


def _not_kept(error: OSError) -> StorageUnavailableError:
    return StorageUnavailableError(f"what is trusted cannot be kept in the data folder: {error.strerror or error}")


def _find(field: str, place: str) -> Repo:
    """In a thread: the repository at a path or URL; raises `RefusedError`, which names the request's field."""
    try:
        return find_repository(place)
    except NotARepositoryError as error:
        raise wrong_values((field, error.message)) from None
    except MachineFaultError as error:
        raise RefusedError(503, error.message) from None
