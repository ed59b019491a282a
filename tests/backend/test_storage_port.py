"""What every storage promises (`backend_stub.domain.storage` and `.events`), tried on each engine.

An engine is added by a row in `ENGINES`.
"""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import pytest
from msgspec import structs

from backend_stub.domain.errors import (
    BranchTakenError,
    IdTakenError,
    StaleRevisionError,
    StorageError,
    StorageUnavailableError,
    TaskExistsError,
    TaskPrunedError,
)
from backend_stub.domain.events import Committed, Event, Snapshot
from backend_stub.domain.storage import Change, Private, Reader, Storage
from backend_stub.storage.sqlite import FILE_NAME, open_storage
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import TASKS, EventName, Topic, TopicKind
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import HistoryEvent, HistoryKind, Prompt, PromptState, Repo, TaskSummary
from foundry_tui.contract.requests import LogSnapshot, SessionSnapshot, TaskSnapshot, TasksSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.backend.rows import (
    REPO,
    first_change,
    item,
    leftover,
    line,
    next_change,
    permission,
    prompt,
    session,
    summary_of_session,
    with_sessions,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")

MANY = 100
PATIENCE = 30


async def open_sqlite(folder: Path) -> Storage:
    return open_storage(folder)


def take_sqlite_away(folder: Path) -> Callable[[], object]:
    path, away = folder / FILE_NAME, folder / "away"
    path.rename(away)
    return lambda: away.rename(path)


@dataclass(frozen=True)
class Engine:
    """`open` gives the storage whose data is in a folder, or belongs to it.

    `harm` sees to it that it can keep nothing more, until what that returns is called.
    """

    name: str
    open: Callable[[Path], Awaitable[Storage]]
    harm: Callable[[Path], Callable[[], object]]


ENGINES = [Engine("sqlite", open_sqlite, take_sqlite_away)]


@dataclass
class Place:
    """A storage that can be opened again, and what was told of its commits so far."""

    engine: Engine
    folder: Path
    told: list[Event] = field(default_factory=list)
    _news: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Storage]:
        storage = await self.engine.open(self.folder)
        storage.events.listen(self._hear)
        try:
            yield storage
        finally:
            await storage.close()

    async def until_told(self, seq: int) -> None:
        """Wait until an event of this seq was told."""
        with anyio.fail_after(PATIENCE):
            while not self.told or self.told[-1].seq < seq:
                self._news = anyio.Event()
                await self._news.wait()

    def _hear(self, commit: Committed) -> None:
        self.told += commit.events
        self._news.set()


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


@pytest.fixture
async def storage(place: Place) -> AsyncIterator[Storage]:
    async with place.open() as opened:
        yield opened


async def kept(storage: Storage) -> set[str]:
    return set(await storage.having(frozenset(TaskStatus)))


async def topic_of(storage: Storage, topic: Topic) -> Snapshot:
    snapshot = await storage.events.snapshot(topic)
    assert snapshot is not None
    return snapshot


async def read(storage: Storage, topic: Topic, type_: type[T]) -> T:
    return decode(b"".join((await topic_of(storage, topic)).pieces), type_)


async def seq_of(storage: Storage) -> int:
    return (await topic_of(storage, TASKS)).seq


async def test_a_change_is_written_whole_and_read_as_it_was(storage: Storage) -> None:
    task_id = uuid7()
    change = with_sessions(task_id, 2)
    private = Private(trust=True, attaching=3)
    first = change.sessions[0].session_id
    asked = permission(task_id, first, "may-it")
    history = await storage.commit(
        replace(change, private=private, items=[item(first, 0)], lines=[line(0), line(1)], permissions=[asked])
    )
    assert [event.kind for event in history] == [HistoryKind.TASK_CREATED, HistoryKind.PROVISION_QUEUED]
    state = await storage.load(task_id)
    assert state is not None
    assert (state.task, state.private, state.log_count, state.version) == (change.task, private, 2, 1)
    assert state.prompts == {each.session_id: each.prompts for each in change.sessions}
    assert await storage.task(task_id) == structs.replace(change.task, history=tuple(history))
    assert await storage.history(None, 0, 10) == await storage.history(task_id, 0, 10) == list(history)
    assert await storage.history(task_id, history[0].seq, 10) == list(history[1:])
    assert await storage.lines(task_id, None, 0, 10) == [line(1)]
    assert await storage.lines(task_id, "clone", -1, 10) == []
    assert await storage.task_of_session(first) == await storage.task_of_permission("may-it") == task_id
    assert (await storage.item_keys(first))["item-0"].revision == 1
    tasks = (await read(storage, TASKS, TasksSnapshot)).tasks
    assert [(task.task_id, task.sessions) for task in tasks] == [(task_id, change.task.sessions)]
    told = await read(storage, Topic(TopicKind.SESSION, first), SessionSnapshot)
    assert (told.prompts, told.transcript) == (change.sessions[0].prompts, (item(first, 0),))
    assert (await read(storage, Topic(TopicKind.LOG, task_id), LogSnapshot)).lines == (line(0), line(1))
    assert (await read(storage, Topic(TopicKind.TASK, task_id), TaskSnapshot)).history == tuple(history)


async def test_what_is_not_there_is_none(storage: Storage) -> None:
    assert await storage.load("nothing") is None
    assert await storage.task("nothing") is None
    assert await storage.repo("nothing") is None
    assert await storage.task_of_session("nothing") is None
    assert await storage.task_of_permission("nothing") is None
    for kind in (TopicKind.TASK, TopicKind.SESSION, TopicKind.LOG):
        assert not await storage.events.has(Topic(kind, "nothing"))
        assert await storage.events.snapshot(Topic(kind, "nothing")) is None


async def test_many_commits_at_once_are_told_in_one_order_without_gaps(place: Place, storage: Storage) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(MANY):
            tasks.start_soon(storage.commit, first_change(uuid7()))
            tasks.start_soon(storage.put_repo, Repo(repo_id=f"repo-{number}", label="shop", path=f"/{number}"))
    last = await seq_of(storage)
    await place.until_told(last)
    assert [event.seq for event in place.told] == list(range(1, last + 1))
    assert len(await kept(storage)) == MANY


async def test_a_change_that_is_refused_leaves_nothing_alone_and_in_company(place: Place, storage: Storage) -> None:
    known, pruned = uuid7(), uuid7()
    for task_id in (known, pruned):
        await storage.commit(first_change(task_id, request=b"as before"))
    await storage.prune(pruned)
    outcomes: list[type[Exception] | None] = []

    async def try_to(task_id: str) -> None:
        try:
            await storage.commit(first_change(task_id))
        except (TaskExistsError, TaskPrunedError) as refusal:
            outcomes.append(type(refusal))
            assert getattr(refusal, "request", b"as before") == b"as before"
        else:
            outcomes.append(None)

    await try_to(known)
    await try_to(pruned)
    assert outcomes == [TaskExistsError, TaskPrunedError]
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            for task_id in (known, pruned, uuid7()):
                tasks.start_soon(try_to, task_id)
    assert [outcomes.count(kind) for kind in (TaskExistsError, TaskPrunedError, None)] == [21, 21, 20]
    assert len(await kept(storage)) == 21
    last = await seq_of(storage)
    await place.until_told(last)
    assert [event.seq for event in place.told] == list(range(1, last + 1))


@dataclass(frozen=True)
class Refused:
    """A change that follows the one of `with_rows`, and what refuses it."""

    name: str
    change: Callable[[Change], Change]
    by: type[Exception] = StaleRevisionError


def with_rows(task_id: str) -> Change:
    """A new task with a row of each kind; what has a revision is in its second."""
    state = session(task_id, f"s-{task_id}", 2, prompt(f"s-{task_id}", f"p-{task_id}"))
    change = first_change(
        task_id,
        sessions=[state],
        prompts=state.prompts,
        items=[item(state.session_id, 0, 2, "the newest")],
        lines=[line(0, "the first")],
        permissions=[permission(task_id, state.session_id, f"q-{task_id}")],
        hold_branch=f"fix/{task_id}",
        repo=REPO,
    )
    return replace(change, task=structs.replace(change.task, sessions=(summary_of_session(state),)))


def _in_an_older_revision(last: Change) -> Change:
    return replace(next_change(last), task=structs.replace(last.task, revision=0, title="older"))


def _with_its_history(last: Change) -> Change:
    event = HistoryEvent(seq=1, task_id="t", kind=HistoryKind.TASK_CREATED, at=1, payload={})
    change = next_change(last)
    return replace(change, task=structs.replace(change.task, history=(event,)))


def _answered() -> Prompt:
    return prompt("s-t", "p-t", PromptState.ANSWERED)


REFUSED = [
    Refused("the task, from older rows", lambda last: next_change(last, 7)),
    Refused("what only the backend knows, from older rows", lambda last: next_change(last, 7, changed=False)),
    Refused("a line, from older rows", lambda last: next_change(last, 7, changed=False, lines=[line(1)])),
    Refused("an item, from older rows", lambda last: next_change(last, 7, changed=False, items=[item("s-t", 1)])),
    Refused("the task in an older revision", _in_an_older_revision),
    Refused("an older session", lambda last: next_change(last, sessions=[session("t", "s-t", 1)])),
    Refused("a session in the same revision", lambda last: next_change(last, sessions=[session("t", "s-t", 2)])),
    Refused("an older item", lambda last: next_change(last, items=[item("s-t", 0, 1)])),
    Refused("an item in the same revision", lambda last: next_change(last, items=[item("s-t", 0, 2)])),
    Refused("another item in its place", lambda last: next_change(last, items=[item("s-t", 0, 9, item_id="new")])),
    Refused("another line in its place", lambda last: next_change(last, lines=[line(0, "in its place")])),
    Refused("a prompt without its session", lambda last: next_change(last, prompts=[_answered()]), ValueError),
    Refused(
        "a prompt of another session",
        lambda last: next_change(last, sessions=[session("t", "new")], prompts=[prompt("new", "p-t")]),
        IdTakenError,
    ),
    Refused("a task with its history", _with_its_history, ValueError),
]
OF_ANOTHER_TASK = [
    Refused("a session", lambda last: next_change(last, sessions=[session("u", "s-t", 9)]), IdTakenError),
    Refused("a question", lambda last: next_change(last, permissions=[permission("u", "s-u", "q-t")]), IdTakenError),
    Refused("an item", lambda last: next_change(last, items=[item("s-t", 0, 9, item_id="item-0")])),
    Refused("a branch", lambda last: next_change(last, hold_branch="fix/t"), BranchTakenError),
]


async def everything(storage: Storage) -> list[object]:
    """All that can be read of the tasks `t` and `u`."""
    topics = [TASKS, *(Topic(kind, "t") for kind in (TopicKind.TASK, TopicKind.LOG)), Topic(TopicKind.SESSION, "s-t")]
    return [
        *[await topic_of(storage, topic) for topic in topics],
        *[await storage.load(task_id) for task_id in ("t", "u")],
        await storage.item_keys("s-t"),
        await storage.held_branches(REPO.repo_id, ["fix/t", "fix/u"]),
        await storage.task_of_permission("q-t"),
    ]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
async def test_what_is_known_is_not_replaced_by_what_is_not_newer(
    place: Place, storage: Storage, refused: Refused
) -> None:
    last = with_rows("t")
    await storage.commit(last)
    await storage.commit(with_rows("u"))
    before, told = await everything(storage), len(place.told)
    with pytest.raises(refused.by):
        # Whatever else is in it is not kept either.
        await storage.commit(replace(refused.change(last), private=Private(attaching=9), free_branch=True))
    assert await everything(storage) == before
    assert len(place.told) == told
    newer = session("t", "s-t", 3, _answered())
    await storage.commit(
        next_change(last, sessions=[newer], prompts=newer.prompts, items=[item("s-t", 0, 3, "newer")], lines=[line(1)])
    )
    now = await read(storage, Topic(TopicKind.SESSION, "s-t"), SessionSnapshot)
    assert ([each.body for each in now.transcript], now.prompts) == (["newer"], newer.prompts)


@pytest.mark.parametrize("refused", OF_ANOTHER_TASK, ids=lambda refused: refused.name)
async def test_what_belongs_to_another_task_is_not_taken(storage: Storage, refused: Refused) -> None:
    last = with_rows("u")
    await storage.commit(with_rows("t"))
    await storage.commit(last)
    before = await everything(storage)
    with pytest.raises(refused.by):
        await storage.commit(refused.change(last))
    assert await everything(storage) == before


async def test_of_two_that_read_the_same_rows_one_is_refused(storage: Storage) -> None:
    """Also where neither changes the task's record, as two processes may that both think the task theirs."""
    last = with_rows("t")
    await storage.commit(last)
    outcomes: list[bool] = []

    async def change(number: int) -> None:
        try:
            await storage.commit(replace(next_change(last, changed=False), private=Private(attaching=number)))
        except StaleRevisionError:
            outcomes.append(False)
        else:
            outcomes.append(True)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 9):
            tasks.start_soon(change, number)
    assert sorted(outcomes) == [False] * 7 + [True]
    state = await storage.load("t")
    assert state is not None
    assert (state.version, state.task.revision) == (2, 1)


async def test_branches_are_held_by_one_task_until_it_frees_or_changes_them(storage: Storage) -> None:
    first, second = first_change("t", hold_branch="fix/login"), first_change("u")
    await storage.commit(first)
    await storage.commit(second)
    with pytest.raises(BranchTakenError):
        await storage.commit(next_change(second, hold_branch="fix/login"))
    names = ["fix/login", "fix", "fix/login/more", "Fix/Login", "other"]
    assert await storage.held_branches(REPO.repo_id, names) == {"fix/login": "t"}
    assert await storage.held_branches("another", names) == {}
    first = next_change(first, hold_branch="fix/logout")
    await storage.commit(first)
    second = next_change(second, hold_branch="fix/login")
    await storage.commit(second)
    assert await storage.held_branches(REPO.repo_id, ["fix/login", "fix/logout"]) == {
        "fix/login": "u",
        "fix/logout": "t",
    }
    await storage.commit(next_change(first, free_branch=True))
    assert await storage.held_branches(REPO.repo_id, ["fix/login", "fix/logout"]) == {"fix/login": "u"}


async def test_tasks_are_found_by_their_status_and_by_their_turn(storage: Storage) -> None:
    for number, status in enumerate((TaskStatus.QUEUED, TaskStatus.ERROR, TaskStatus.IDLE, TaskStatus.ERROR)):
        change = with_rows(f"t{number}")
        await storage.commit(replace(change, task=structs.replace(change.task, status=status, created_at=9 - number)))
    assert list(await storage.having(frozenset({TaskStatus.ERROR, TaskStatus.QUEUED}))) == ["t3", "t1", "t0"]
    assert await storage.in_turn(TaskStatus.ERROR) == []
    state = session("t1", "s-t1", 3, prompt("s-t1", "p-t1", PromptState.DELIVERED))
    last = await storage.load("t1")
    assert last is not None
    await storage.commit(
        Change(
            at=2,
            expected=last.version,
            task=last.task,
            private=last.private,
            sessions=[state],
            prompts=state.prompts,
        )
    )
    assert await storage.in_turn(TaskStatus.ERROR) == ["t1"]


async def test_lines_are_dropped_from_the_front(storage: Storage) -> None:
    last = first_change("t", lines=[line(number) for number in range(10)])
    await storage.commit(last)
    await storage.commit(next_change(last, changed=False, lines=[line(10)], drop_lines_below=4))
    assert [each.index for each in await storage.lines("t", "turn", 4, 3)] == [5, 6, 7]
    assert (await read(storage, Topic(TopicKind.LOG, "t"), LogSnapshot)).lines[0].index == 4
    state = await storage.load("t")
    assert state is not None
    assert state.log_count == 11


async def test_what_making_a_change_raises_is_raised_and_nothing_written(storage: Storage) -> None:
    def refuse(reader: Reader) -> Change:
        raise LookupError("no such folder")

    with pytest.raises(LookupError, match="no such folder"):
        await storage.make_and_commit(refuse)
    assert await kept(storage) == set()


async def test_whoever_makes_a_change_sees_what_is_committed(storage: Storage) -> None:
    await storage.commit(replace(with_rows("t"), request=b"digest"))
    seen: list[object] = []

    def make(reader: Reader) -> Change:
        seen.extend((reader.request_of("t"), reader.request_of("u"), reader.repo("repo-2")))
        seen.extend(reader.branch_holder(REPO.repo_id, branch) for branch in ("fix/t", "fix/u"))
        known = reader.repo(REPO.repo_id)
        assert known is not None
        seen.append(known.task_count)
        return first_change("u", repo=known)

    change, history = await storage.make_and_commit(make)
    assert (change.task.task_id, len(history)) == ("u", 2)
    assert seen == [b"digest", None, None, "t", None, 1]
    assert [repo.task_count for repo in await storage.repos()] == [2]


async def test_making_a_change_may_take_long_and_holds_nobody_up(storage: Storage) -> None:
    disk, asked = threading.Event(), threading.Event()

    def make(task_id: str, reader: Reader) -> Change:
        asked.set()
        disk.wait(PATIENCE)
        return first_change(task_id)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(storage.make_and_commit, partial(make, f"slow-{number}"))
            await anyio.to_thread.run_sync(asked.wait)
            await storage.commit(first_change("quick"))
            await storage.make_and_commit(lambda reader: first_change("made"))
            assert await kept(storage) == {"quick", "made"}
            disk.set()
    assert len(await kept(storage)) == 10


async def lives(storage: Storage) -> None:
    """Some changes of some tasks, of every kind."""
    first, second = with_rows("t"), with_rows("u")
    await storage.commit(first)
    await storage.commit(second)
    first = next_change(first, items=[item("s-t", 1), item("s-t", 2)], history=((HistoryKind.TASK_NAMED, {"a": "é"}),))
    await storage.commit(first)
    state = session("t", "s-t", 3, _answered())
    first = next_change(first, items=[item("s-t", 1, 2, "grown")], sessions=[state], prompts=state.prompts)
    first = replace(first, task=structs.replace(first.task, sessions=(summary_of_session(state),)))
    await storage.commit(first)
    await storage.commit(next_change(first, changed=False, lines=[line(1), line(2)]))
    await storage.put_repo(structs.replace(REPO, default_branch="main"))
    await storage.commit(next_change(second, history=((HistoryKind.TASK_NAMED, {}),)))
    await storage.prune("u")


TOPICS = [TASKS, *(Topic(kind, "t") for kind in (TopicKind.TASK, TopicKind.LOG)), Topic(TopicKind.SESSION, "s-t")]


@pytest.mark.parametrize("topic", TOPICS, ids=str)
async def test_what_was_missed_is_the_last_state_of_what_was_told(place: Place, storage: Storage, topic: Topic) -> None:
    await lives(storage)
    last = await seq_of(storage)
    await place.until_told(last)
    told = [(event.seq, event.name, on) for event in place.told if (on := on_topic(event, topic)) is not None]
    assert told
    for seq in range(last + 1):
        missed = await storage.events.missed(topic, seq)
        assert missed is not None
        assert missed.seq == last
        seqs = [event.seq for event in missed.events]
        assert seqs == sorted(set(seqs))
        newest = {key_of(name, data): (at, name, decode(data, object)) for at, name, data in told if at > seq}
        got = {key_of(each.name, each.data): (each.seq, each.name, decode(each.data, object)) for each in missed.events}
        # Of a task that was pruned nothing is left but that.
        assert got == {key: event for key, event in newest.items() if key != (EventName.TASK, "u")}
    assert await storage.events.missed(topic, last + 1) is None


def on_topic(event: Event, topic: Topic) -> bytes | None:
    """The event's data where the topic tells of it."""
    kinds = {
        TopicKind.TASKS: (EventName.TASK, EventName.TASK_REMOVED, EventName.REPO),
        TopicKind.TASK: (EventName.TASK, EventName.HISTORY),
        TopicKind.SESSION: (EventName.SESSION, EventName.TRANSCRIPT),
        TopicKind.LOG: (EventName.LOG,),
    }
    id_ = {TopicKind.TASKS: "", TopicKind.SESSION: event.session_id}.get(topic.kind, event.task_id)
    is_told = event.name in kinds[topic.kind] and id_ == topic.id
    # That a session is gone is told on its own topic alone.
    is_told = is_told and not (topic == TASKS and event.session_id)
    return event.data(topic.kind) if is_told else None


def key_of(name: EventName, data: bytes) -> tuple[EventName, object]:
    """Which record an event is of."""
    fields = decode(data, dict[str, object])
    ids = {EventName.REPO: "repo_id", EventName.SESSION: "session_id", EventName.TRANSCRIPT: "item_id"}
    ids |= {EventName.HISTORY: "seq", EventName.LOG: "index"}
    return name, fields[ids.get(name, "task_id")]


async def test_an_event_of_a_task_has_its_sessions_and_no_history(place: Place, storage: Storage) -> None:
    await storage.commit(with_rows("t"))
    await place.until_told(await seq_of(storage))
    event = next(event for event in place.told if event.name is EventName.TASK)
    for kind in (TopicKind.TASKS, TopicKind.TASK):
        told = decode(event.data(kind), dict[str, object])
        assert "history" not in told
        assert decode(event.data(kind), TaskSummary).sessions == with_rows("t").task.sessions


async def test_a_snapshot_has_all_that_was_committed_up_to_its_seq_and_nothing_later(
    place: Place, storage: Storage
) -> None:
    async def create_some() -> None:
        for _ in range(MANY // 4):
            await storage.commit(first_change(uuid7()))

    snapshots: list[TasksSnapshot] = []
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(create_some)
        while len(await kept(storage)) < MANY:
            snapshots.append(await read(storage, TASKS, TasksSnapshot))
    snapshots.append(await read(storage, TASKS, TasksSnapshot))
    await place.until_told(snapshots[-1].seq)
    created = {event.task_id: event.seq for event in place.told if event.name is EventName.TASK}
    assert len(snapshots) > 1
    for snapshot in snapshots:
        assert {task.task_id for task in snapshot.tasks} == {id_ for id_, seq in created.items() if seq <= snapshot.seq}


async def test_a_list_of_many_tasks_comes_in_pieces_that_are_one_document(storage: Storage) -> None:
    assert (await read(storage, TASKS, TasksSnapshot)).tasks == ()
    async with anyio.create_task_group() as tasks:
        for _ in range(3 * MANY):
            tasks.start_soon(storage.commit, first_change(uuid7()))
    assert len((await topic_of(storage, TASKS)).pieces) > 1
    assert {task.task_id for task in (await read(storage, TASKS, TasksSnapshot)).tasks} == await kept(storage)


async def test_a_pruned_task_is_gone_but_for_its_id(place: Place, storage: Storage) -> None:
    await storage.commit(with_rows("t"))
    await storage.commit(with_rows("u"))
    before = await seq_of(storage)
    await storage.prune("t")
    await storage.prune("t")
    after = await seq_of(storage)
    assert await kept(storage) == {"u"}
    assert await storage.load("t") is None
    assert await storage.history("t", 0, 10) == []
    assert await storage.lines("t", None, -1, 10) == []
    assert await storage.item_keys("s-t") == {}
    assert await storage.task_of_session("s-t") is None
    assert await storage.task_of_permission("q-t") is None
    assert await storage.held_branches(REPO.repo_id, ["fix/t"]) == {}
    assert [repo.task_count for repo in await storage.repos()] == [1]
    missed = await storage.events.missed(TASKS, before)
    assert missed is not None
    assert [event.name for event in missed.events] == [EventName.TASK_REMOVED, EventName.REPO]
    await place.until_told(after)
    removed = [(each.task_id, each.session_id) for each in place.told if each.name is EventName.TASK_REMOVED]
    assert removed == [("t", "s-t"), ("t", "")]
    with pytest.raises(TaskPrunedError):
        await storage.commit(with_rows("t"))


async def test_a_leftover_outlives_its_task_until_it_is_dropped(storage: Storage) -> None:
    for task_id in ("t", "u", "v"):
        last = first_change(task_id)
        await storage.commit(last)
        last = next_change(last, leftover=leftover(last.task))
        await storage.commit(last)
        await storage.commit(next_change(last, leftover=leftover(last.task, force=True)))
    state = await storage.load("v")
    assert state is not None
    await storage.commit(
        Change(at=2, expected=state.version, task=state.task, private=state.private, leftover_gone=True)
    )
    await storage.prune("t")
    assert {(row.task.task_id, row.force) for row in await storage.leftovers()} == {("t", True), ("u", True)}
    await storage.drop_leftover("t")
    assert [row.task.task_id for row in await storage.leftovers()] == ["u"]


async def test_a_known_repository_keeps_its_tasks_and_takes_over_what_is_found_anew(storage: Storage) -> None:
    assert await storage.put_repo(REPO) == (REPO, True)
    await storage.commit(first_change("t", repo=REPO))
    told = await seq_of(storage)
    kept_now, is_new = await storage.put_repo(structs.replace(REPO, default_branch="main", label="another"))
    assert not is_new
    assert kept_now == structs.replace(REPO, default_branch="main", task_count=1, latest_activity=1)
    assert await storage.repo(REPO.repo_id) == kept_now
    assert await seq_of(storage) == told + 1
    await storage.put_repo(kept_now)
    assert await seq_of(storage) == told + 1, "what is as it was is no news"


async def test_all_is_there_when_it_is_opened_again(place: Place) -> None:
    async with place.open() as storage:
        await lives(storage)
        before, database = await everything(storage), storage.events.database
    async with place.open() as storage:
        assert await everything(storage) == before
        assert storage.events.database == database
        assert storage.last_alive is not None
        await storage.commit(first_change(uuid7()))
    assert [event.seq for event in place.told] == list(range(1, len(place.told) + 1))


async def test_what_cannot_be_kept_is_refused_and_told_to_nobody_until_it_can(place: Place, storage: Storage) -> None:
    last = with_rows("t")
    await storage.commit(last)
    assert await storage.fault() is None
    told = len(place.told)
    undo = place.engine.harm(place.folder)
    refused: list[StorageError] = []

    async def try_to(do: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(StorageUnavailableError) as caught:
            await do()
        refused.append(caught.value)

    async with anyio.create_task_group() as tasks:
        for do in (
            partial(storage.commit, next_change(last)),
            partial(storage.commit, first_change("u")),
            partial(storage.make_and_commit, lambda reader: first_change("v")),
            partial(storage.put_repo, REPO),
            partial(storage.prune, "t"),
        ):
            tasks.start_soon(try_to, do)
    assert len(refused) == 5
    fault = await storage.fault()
    assert fault is not None
    assert fault.state == "unavailable"
    assert len(place.told) == told
    undo()
    assert await storage.fault() is None
    assert await kept(storage) == {"t"}
    await storage.commit(next_change(last))


@pytest.mark.parametrize(
    ("closed_after", "beside"), [(1, 3 * MANY), (2 * MANY, 3 * MANY), (3 * MANY, 3 * MANY), (3 * MANY, 0)]
)
async def test_closing_keeps_what_is_answered_and_refuses_the_rest(
    place: Place, closed_after: int, beside: int
) -> None:
    answered: set[str] = set()
    refused: set[str] = set()
    enough = anyio.Event()
    async with place.open() as storage:

        async def create(task_id: str) -> None:
            try:
                change, history = await storage.make_and_commit(lambda reader: first_change(task_id))
            except StorageUnavailableError:
                refused.add(task_id)
            else:
                assert change.task.task_id == history[0].task_id == task_id
                answered.add(task_id)
            if len(answered) + len(refused) >= closed_after:
                enough.set()

        async with anyio.create_task_group() as tasks:
            for _ in range(3 * MANY):
                tasks.start_soon(create, uuid7())
            for number in range(beside):
                tasks.start_soon(storage.put_repo, Repo(repo_id=f"repo-{number}", label="shop", path=f"/{number}"))
            with anyio.move_on_after(PATIENCE):
                await enough.wait()
            in_time = enough.is_set()
            # It answers what waits, so that a commit which nobody does fails this test and does not hold it up.
            await storage.close()
        assert in_time
        assert len(answered) + len(refused) == 3 * MANY
        with pytest.raises(StorageUnavailableError):
            await storage.commit(first_change(uuid7()))
        with pytest.raises(StorageUnavailableError):
            await storage.make_and_commit(lambda reader: first_change(uuid7()))
    told = [event.seq for event in place.told]
    async with place.open() as storage:
        assert await kept(storage) == answered
        assert told == list(range(1, await seq_of(storage) + 1))
