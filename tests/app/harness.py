"""An app on a real store that is fed by hand, with commands that are only written down and a clock that stands."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from foundry_tui.client.store import Store
from textual.pilot import Pilot

from foundry_tui.app import FoundryApp, Options
from foundry_tui.client.commands import CommandProblem
from foundry_tui.contract.events import Topic
from foundry_tui.contract.records import HistoryEvent, Repo
from foundry_tui.contract.requests import CreateTask, Diff
from foundry_tui.view.clock import FixedClock
from tests.app.factories import NOW, make_repo, task_id

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
        self.held: list[Topic] = []
        """Topics subscribed to now, in the order of asking."""
        self.created: list[CreateTask] = []
        self.on_problem: Callable[[CommandProblem], None] | None = None
        self.drafts = MemoryDrafts()
        self.next_id = 9_001
        self.diffs: dict[str, Diff] = {}
        self.branch_names: dict[str, Sequence[str]] = {}
        self.histories: dict[str, Sequence[HistoryEvent]] = {}

    def fail(self, problem: CommandProblem) -> None:
        """Report a problem as the client would."""
        assert self.on_problem is not None
        self.on_problem(problem)

    def _id(self) -> str:
        self.next_id += 1
        return task_id(self.next_id - 1)

    def create(self, request: CreateTask) -> str:
        self.created.append(request)
        self.calls.append(("create", request))
        return request.task_id or self._id()

    def retry_creation(self, task_id: str) -> None:
        self.calls.append(("retry_creation", task_id))

    def discard_creation(self, task_id: str) -> None:
        self.calls.append(("discard_creation", task_id))

    def retry(self, task_id: str) -> None:
        self.calls.append(("retry", task_id))

    def archive(self, task_id: str, force: bool = False) -> None:
        self.calls.append(("archive", task_id, force))

    def kill(self, task_id: str, force: bool = False, delete_branch: bool = False) -> None:
        self.calls.append(("kill", task_id, force, delete_branch))

    def prune(self, task_id: str) -> None:
        self.calls.append(("prune", task_id))

    def rename(self, task_id: str, title: str) -> None:
        self.calls.append(("rename", task_id, title))

    def mark(self, task_id: str, unread: bool) -> None:
        self.calls.append(("mark", task_id, unread))

    def add_session(self, task_id: str, name: str | None = None, agent: str | None = None) -> str:
        self.calls.append(("add_session", task_id, name, agent))
        return self._id()

    def close_session(self, session_id: str) -> None:
        self.calls.append(("close_session", session_id))

    def stop(self, session_id: str) -> None:
        self.calls.append(("stop", session_id))

    def prompt(self, session_id: str, text: str) -> str:
        self.calls.append(("prompt", session_id, text))
        return self._id()

    def answer(self, permission_id: str, option_id: str) -> None:
        self.calls.append(("answer", permission_id, option_id))

    def hold(self, topic: Topic) -> Callable[[], None]:
        self.held.append(topic)

        def release() -> None:
            if topic in self.held:
                self.held.remove(topic)

        return release

    def reconnect(self) -> None:
        self.calls.append(("reconnect",))

    async def diff(self, task_id: str) -> Diff:
        return self.diffs.get(task_id, Diff(files=()))

    async def branches(self, repo_id: str) -> Sequence[str]:
        return self.branch_names.get(repo_id, ())

    async def history(self, task_id: str) -> Sequence[HistoryEvent]:
        return self.histories.get(task_id, ())

    async def add_repo(self, *, path: str | None = None, remote: str | None = None) -> Repo:
        self.calls.append(("add_repo", path, remote))
        return make_repo((path or remote or "").rstrip("/").rpartition("/")[2])


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

    async def press(self, *keys: str) -> None:
        """Press keys and wait until their effects are drawn."""
        await self.pilot.press(*keys)
        await self.pilot.pause()


def make_app(
    store: Store,
    *,
    commands: FakeCommands | None = None,
    clock: FixedClock | None = None,
    options: Options | None = None,
) -> FoundryApp:
    """The real app on a fed store, with a still clock and a cursor that does not blink."""
    app = FoundryApp(
        store,
        commands or FakeCommands(),
        clock=clock or FixedClock(NOW),
        options=options or Options(bell=False, terminal_notifications=False),
    )
    app.animation_level = "none"
    return app


@asynccontextmanager
async def stage(
    store: Store, *, size: tuple[int, int] = (120, 36), options: Options | None = None
) -> AsyncIterator[Stage]:
    """Run the app on `store` for the length of the block, `size` in columns and rows."""
    commands = FakeCommands()
    clock = FixedClock(NOW)
    app = make_app(store, commands=commands, clock=clock, options=options)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Stage(app, pilot, store, commands, clock)
