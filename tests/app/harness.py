"""An app on a real store that is fed by hand, with commands that are only written down and a clock that stands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual._xterm_parser import XTermParser
from textual.pilot import Pilot
from textual.screen import Screen

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.commands import CommandProblem, Drafts
from foundry_tui.client.comments import KeptComments
from foundry_tui.client.errors import UnreachableError
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.attachments import NewAttachment
from foundry_tui.contract.checkpoints import BASE, Checkpoint, CheckpointList
from foundry_tui.contract.events import TASKS, EventName, TaskRemoved, Topic, TopicKind, parse_event_id
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.memory import AgentMemory, MemoryReport
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.pull_request import Comment, CommentList
from foundry_tui.contract.questions import AnswerAction, FieldValue
from foundry_tui.contract.records import Health, HistoryEvent, Repo, RepoTrust, TaskDetail, TaskSummary
from foundry_tui.contract.requests import AgentList, CreateTask, Diff, FileList, RepoSetup, TaskSnapshot, TasksSnapshot
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.task_list import TaskList
from tests.app.factories import NOW, make_repo, task_id
from tests.fixed_clock import FixedClock

Dialog: TypeAlias = type[Screen[Any]]
PATIENCE = 20.0
"""Seconds after which what opens by itself counts as never opening."""
Call = tuple[object, ...]
"""A command that was asked for: its name, then its arguments in order."""


class MemoryDrafts:
    """Drafts that live as long as the test."""

    def __init__(self) -> None:
        self.kept: dict[str, CreateTask] = {}

    def get(self, repo: str) -> CreateTask | None:
        return self.kept.get(repo)

    def put(self, repo: str, draft: CreateTask) -> None:
        self.kept[repo] = draft

    def discard(self, repo: str) -> None:
        self.kept.pop(repo, None)


class FakeCommands:
    """Commands that write down what was asked and do nothing; ids are counted from `next_id`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.older_read = 0
        self.searched: list[str] = []
        """What was looked for among older tasks."""
        self.held: list[Topic] = []
        """Topics subscribed to now, in the order of asking."""
        self.created: list[CreateTask] = []
        self.owed_defaults: list[TaskDefaults | None] = []
        """What each of them is still to be filled with."""
        self.on_problem: Callable[[CommandProblem], None] | None = None
        self.drafts: Drafts = MemoryDrafts()
        self.comments = KeptComments(None)
        self.next_id = 9_001
        self.providers = {"demo": "ready", "local": "sandbox-agent is not installed"}
        self.agents_told: tuple[AgentInfo, ...] = ()
        self.default_agents: dict[str, str] = {}
        self.details: dict[str, TaskDetail] = {}
        """Tasks that the backend has; it is away for whoever asks for others."""
        self.memory_of: dict[str, tuple[AgentMemory, ...]] = {}
        self.diffs: dict[str, Diff] = {}
        self.kept: dict[str, tuple[Checkpoint, ...]] = {}
        self.looked_at: list[str] = []
        self.reviewed: dict[str, tuple[Comment, ...]] = {}
        self.review_read: list[str] = []
        """Tasks of which it was asked what reviewers said, so that their pull requests are looked at."""
        self.diffs_since: dict[str, Diff] = {}
        """Tasks whose changes were asked for, in this order."""
        self.files: dict[str, Sequence[str]] = {}
        self.branch_names: dict[str, Sequence[str]] = {}
        self.histories: dict[str, Sequence[HistoryEvent]] = {}
        self.setups: dict[str, RepoSetup] = {}

    def fail(self, problem: CommandProblem) -> None:
        """Report a problem as the client would."""
        assert self.on_problem is not None
        self.on_problem(problem)

    def _id(self) -> str:
        self.next_id += 1
        return task_id(self.next_id - 1)

    def create(self, request: CreateTask, defaults: TaskDefaults | None = None) -> str:
        self.created.append(request)
        self.owed_defaults.append(defaults)
        self.calls.append(("create", request))
        return request.task_id or self._id()

    def retry_creation(self, task_id: str) -> None:
        self.calls.append(("retry_creation", task_id))

    def discard_creation(self, task_id: str) -> None:
        self.calls.append(("discard_creation", task_id))

    def retry(self, task_id: str, resend: bool = False, without: Sequence[str] = ()) -> None:
        self.calls.append(("resend" if resend else "retry", task_id, *without))

    def archive(self, task_id: str, force: bool = False) -> None:
        self.calls.append(("archive", task_id, force))

    def kill(self, task_id: str, force: bool = False, delete_branch: bool = False) -> None:
        self.calls.append(("kill", task_id, force, delete_branch))

    def prune(self, task_id: str) -> None:
        self.calls.append(("prune", task_id))

    def restart_agent(self, task_id: str) -> None:
        self.calls.append(("restart_agent", task_id))

    def rename(self, task_id: str, title: str) -> None:
        self.calls.append(("rename", task_id, title))

    def operate(self, task_id: str, request: StartOperation) -> str:
        self.calls.append(("operate", task_id, request))
        return request.operation_id or self._id()

    def cancel_operation(self, task_id: str, operation_id: str) -> None:
        self.calls.append(("cancel_operation", task_id, operation_id))

    def mark(self, task_id: str, unread: bool) -> None:
        self.calls.append(("mark", task_id, unread))

    def add_session(self, task_id: str, name: str | None = None, agent: str | None = None) -> str:
        self.calls.append(("add_session", task_id, name, agent))
        return self._id()

    def close_session(self, session_id: str) -> None:
        self.calls.append(("close_session", session_id))

    def stop(self, session_id: str) -> None:
        self.calls.append(("stop", session_id))

    def go_on(self, session_id: str) -> None:
        self.calls.append(("go_on", session_id))

    def prompt(self, session_id: str, text: str, steer: bool = False, attachments: Sequence[NewAttachment] = ()) -> str:
        self.calls.append(("steer" if steer else "prompt", session_id, text, *attachments))
        return self._id()

    def discard_prompt(self, session_id: str, prompt_id: str) -> None:
        self.calls.append(("discard_prompt", session_id, prompt_id))

    def edit_prompt(self, session_id: str, prompt_id: str, text: str) -> None:
        self.calls.append(("edit_prompt", session_id, prompt_id, text))

    def withdraw_prompt(self, session_id: str, prompt_id: str) -> None:
        self.calls.append(("withdraw_prompt", session_id, prompt_id))

    def set_option(self, session_id: str, option_id: str, value: str | bool) -> None:
        self.calls.append(("set_option", session_id, option_id, value))

    def answer(self, permission_id: str, option_id: str) -> None:
        self.calls.append(("answer", permission_id, option_id))

    def reply(self, permission_id: str, action: AnswerAction, content: Mapping[str, FieldValue] | None = None) -> None:
        self.calls.append(("reply", permission_id, str(action), content))

    def given(self, permission_id: str) -> str | None:
        said = (call[2] for call in reversed(self.calls) if call[0] in ("answer", "reply") and call[1] == permission_id)
        return str(found) if (found := next(said, None)) is not None else None

    def hold(self, topic: Topic) -> Callable[[], None]:
        self.held.append(topic)

        def release() -> None:
            if topic in self.held:
                self.held.remove(topic)

        return release

    def read_older(self) -> None:
        self.older_read += 1

    def search_older(self, query: str) -> None:
        self.searched.append(query)

    def reconnect(self) -> None:
        self.calls.append(("reconnect",))

    async def task(self, task_id: str) -> TaskDetail:
        if task_id not in self.details:
            raise UnreachableError("nobody answers")
        return self.details[task_id]

    async def memory(self, task_id: str) -> MemoryReport:
        return MemoryReport(agents=self.memory_of.get(task_id, ()))

    async def agents(self) -> AgentList:
        return AgentList(agents=self.agents_told, defaults=self.default_agents)

    async def health(self) -> Health:
        return Health(status="ok", version="0.1.0", pid=1, started_at=NOW, providers=self.providers)

    async def checkpoints(self, task_id: str) -> CheckpointList:
        return CheckpointList(checkpoints=self.kept.get(task_id, ()))

    async def diff(self, task_id: str, since: str = BASE, newer: int | None = None) -> Diff:
        self.looked_at.append(task_id)
        known = self.diffs.get(task_id, Diff(files=(), computed_at=1))
        diff = known if since == BASE else self.diffs_since.get(since, known)
        # As the backend does, each asking has it computed anew.
        return diff if diff.computed_at is None else replace(diff, computed_at=diff.computed_at + len(self.looked_at))

    async def review_comments(self, task_id: str) -> CommentList:
        self.review_read.append(task_id)
        return CommentList(comments=self.reviewed.get(task_id, ()))

    async def task_files(self, task_id: str, newer: int | None = None) -> FileList:
        self.calls.append(("task_files", task_id, newer))
        return self._files(task_id, newer)

    async def repo_files(self, repo_id: str, newer: int | None = None) -> FileList:
        self.calls.append(("repo_files", repo_id, newer))
        return self._files(repo_id, newer)

    def _files(self, of: str, newer: int | None) -> FileList:
        """As the backend does: nothing is known before somebody waits for it."""
        paths = self.files.get(of, ())
        return FileList(paths=()) if newer is None else FileList(paths=tuple(paths), computed_at=newer + 1)

    async def branches(self, repo_id: str) -> Sequence[str]:
        return self.branch_names.get(repo_id, ())

    async def history(self, task_id: str) -> Sequence[HistoryEvent]:
        return self.histories.get(task_id, ())

    async def add_repo(self, *, path: str | None = None, remote: str | None = None) -> Repo:
        self.calls.append(("add_repo", path, remote))
        repo = make_repo((path or remote or "").rstrip("/").rpartition("/")[2])
        setup = self.setups.get(repo.repo_id)
        if setup is None or setup.digest is None:
            return repo
        files = tuple(file.path for file in setup.files)
        return replace(repo, trust=RepoTrust(digest=setup.digest, trusted=setup.trusted, files=files))

    async def repo_setup(self, repo_id: str) -> RepoSetup:
        return self.setups.get(repo_id, RepoSetup())

    async def trust(self, repo_id: str, digest: str) -> Repo:
        self.calls.append(("trust", repo_id, digest))
        return make_repo(repo_id.removeprefix("repo-"))


LIVE = Freshness(FreshnessState.LIVE, NOW)
OFFLINE = Freshness(FreshnessState.OFFLINE, NOW, retry_at=NOW + 3_000, reason="connection refused")


def make_store(tasks: Iterable[TaskSummary] = (), repos: Iterable[Repo] = (), *, freshness: Freshness = LIVE) -> Store:
    """A store that has just read a snapshot with these tasks and repositories."""
    store = Store(now_ms=lambda: NOW)
    snapshot = TasksSnapshot(seq=1, repos=tuple(repos), tasks=tuple(tasks))
    store.open(TASKS)
    store.apply(TASKS, EventName.SNAPSHOT, snapshot, 1)
    store.set_freshness(TASKS, freshness)
    store.flush()
    return store


def put(store: Store, *tasks: TaskSummary) -> None:
    """Have the tasks come as events, each newer than what is held; not flushed."""
    for task in tasks:
        held = store.tasks.get(task.task_id)
        if held is not None and task.revision <= held.revision:
            task = replace(task, revision=held.revision + 1)
        store.apply(TASKS, EventName.TASK, task, _next_seq(store))


def remove(store: Store, *task_ids: str) -> None:
    """Have the tasks be removed by events; not flushed."""
    for id_ in task_ids:
        store.apply(TASKS, EventName.TASK_REMOVED, TaskRemoved(task_id=id_), _next_seq(store))


def put_detail(store: Store, detail: TaskDetail) -> None:
    """Have the task's own topic be read, as its screen or the preview would; not flushed."""
    topic = Topic(TopicKind.TASK, detail.task_id)
    fields = {name: getattr(detail, name) for name in TaskDetail.__struct_fields__}
    seq = _next_seq(store)
    store.open(topic)
    store.apply(topic, EventName.SNAPSHOT, TaskSnapshot(**fields, seq=seq), seq)
    store.set_freshness(topic, LIVE)


def _next_seq(store: Store) -> int:
    cursor = store.cursor(TASKS)
    return parse_event_id(cursor)[1] + 1 if cursor is not None else 1


@dataclass(frozen=True)
class Stage:
    """A running app and what stands around it."""

    app: FoundryApp
    pilot: Pilot[None]
    store: Store
    commands: FakeCommands
    clock: FixedClock

    async def flush(self) -> None:
        """Let the store tell the app what changed, and wait until it is drawn."""
        self.store.flush()
        await self.pilot.pause()
        for task_list in self.app.screen_stack[0].query(TaskList):
            task_list.settle()
        await self.pilot.pause()

    async def burst(self, typed: str) -> None:
        """Have all this typed at once, and wait until its effects are drawn."""
        self.type(typed)
        await self.quiet()

    def type(self, typed: str) -> None:
        """Have a terminal send all this at once, as a slow line or a macro does."""
        for event in XTermParser().feed(typed):
            self.app.post_message(event)

    async def press(self, *keys: str) -> None:
        """Press keys and wait until their effects are drawn."""
        await self.pilot.press(*keys)
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until all that was typed is over and drawn."""
        await self.pilot.pause()
        while self.app.typing:
            await self.pilot.pause()
        rest(self.app)
        await self.pilot.pause()

    async def found(self) -> None:
        """Wait until the palette has found all that what was typed means, as until the end of all that is at work."""
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    async def opens(self, dialog: Dialog) -> None:
        """Wait until this dialog has opened by itself."""
        opened = asyncio.Event()
        self.app.screen_change_signal.subscribe(self.app, lambda screen: opened.set(), immediate=True)
        try:
            async with asyncio.timeout(PATIENCE):
                while not isinstance(self.app.screen, dialog):
                    await opened.wait()
                    opened.clear()
        finally:
            self.app.screen_change_signal.unsubscribe(self.app)
        await self.quiet()


def rest(app: FoundryApp) -> None:
    """Have the cursor of the list have rested, so that its task is previewed."""
    for screen in app.screen_stack:
        if isinstance(screen, TasksScreen):
            screen.preview.settle()


def make_app(
    store: Store,
    *,
    commands: FakeCommands | None = None,
    clock: FixedClock | None = None,
    options: Options | None = None,
    run_backend: Callable[[], bool] | None = None,
) -> FoundryApp:
    """The real app on a fed store, with a still clock and a cursor that does not blink."""
    app = FoundryApp(
        store,
        commands or FakeCommands(),
        clock=clock or FixedClock(NOW),
        options=options or Options(bell=False, terminal_notifications=False),
        run_backend=run_backend,
    )
    app.animation_level = "none"
    return app


@contextmanager
def drawn_when_looked_at() -> Iterator[None]:
    """Frames are laid out as ever, but rendered only when a test looks: most of them nobody sees.

    What knows more once it is drawn, as a transcript knows how high its items are, is drawn with each frame.
    """
    whole = Compositor.render_update

    def render(
        self: Compositor, full: bool = False, screen_stack: list[Screen[object]] | None = None, simplify: bool = False
    ) -> object:
        if full:
            return whole(self, full, screen_stack, simplify)
        visible_screen_stack.set(screen_stack or [])
        for widget, (region, clip) in self.visible_widgets.items():
            if isinstance(widget, Drawn) and any(each.overlaps(clip) for each in self._dirty_regions):
                widget.render_lines(region.reset_offset)
        self._dirty_regions.clear()
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compositor, "render_update", render)
        yield


@asynccontextmanager
async def stage(
    store: Store,
    *,
    size: tuple[int, int] = (120, 36),
    options: Options | None = None,
    notifications: bool = False,
    every_frame: bool = False,
) -> AsyncIterator[Stage]:
    """Run the app on `store` for the length of the block, `size` in columns and rows; `notifications` are drawn too.

    It is drawn when the test looks, and at the end; with `every_frame` all is drawn that a person would be shown.
    """
    commands = FakeCommands()
    clock = FixedClock(NOW)
    app = make_app(store, commands=commands, clock=clock, options=options)
    with nullcontext() if every_frame else drawn_when_looked_at():
        async with app.run_test(size=size, notifications=notifications) as pilot:
            await pilot.pause()
            yield Stage(app, pilot, store, commands, clock)
            if app.screen_stack:
                app.screen._compositor.render_strips()
