"""What every storage promises of its rows (`backend_stub.domain.storage`), tried on each engine."""

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

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
from backend_stub.domain.storage import Change, Private, Reader, Storage
from foundry_tui.contract.attachments import told
from foundry_tui.contract.events import TASKS, EventName, Topic, TopicKind
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import HistoryEvent, HistoryKind, Prompt, PromptState, Repo
from foundry_tui.contract.requests import LogSnapshot, SessionSnapshot, TaskSnapshot, TasksSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.backend.engines import PATIENCE, Database, kept, lives, read, seq_of, topic_of
from tests.backend.rows import (
    ATTACHED,
    REPO,
    first_change,
    item,
    leftover,
    line,
    next_change,
    permission,
    prompt,
    session,
    with_rows,
    with_sessions,
)

pytestmark = pytest.mark.anyio

MANY = 100


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


async def test_many_commits_at_once_are_told_in_one_order_without_gaps(database: Database, storage: Storage) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(MANY):
            tasks.start_soon(storage.commit, first_change(uuid7()))
            tasks.start_soon(storage.put_repo, Repo(repo_id=f"repo-{number}", label="shop", path=f"/{number}"))
    last = await seq_of(storage)
    await database.until_told(last)
    assert [event.seq for event in database.told] == list(range(1, last + 1))
    assert len(await kept(storage)) == MANY


async def test_a_change_that_is_refused_leaves_nothing_alone_and_in_company(
    database: Database, storage: Storage
) -> None:
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
    await database.until_told(last)
    assert [event.seq for event in database.told] == list(range(1, last + 1))


@dataclass(frozen=True)
class Refused:
    """A change that follows the one of `with_rows`, and what refuses it."""

    name: str
    change: Callable[[Change], Change]
    by: type[Exception] = StaleRevisionError


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
        await storage.attachments("p-t"),
    ]


async def test_attachments_are_handed_on_to_the_prompt_that_says_the_same_again(storage: Storage) -> None:
    last = with_rows("t")
    await storage.commit(last)
    state = session("t", "s-t", 3, prompt("s-t", "p-t", PromptState.FAILED), prompt("s-t", "again"))
    await storage.commit(next_change(last, sessions=[state], prompts=state.prompts, handed_on={"again": "p-t"}))
    assert (await storage.attachments("p-t"), await storage.attachments("again")) == ((), ATTACHED)


@pytest.mark.parametrize(
    ("state", "kept"),
    [(PromptState.ANSWERED, ()), (PromptState.WITHDRAWN, ()), (PromptState.FAILED, ATTACHED)],
)
async def test_attachments_are_kept_until_their_prompt_is_done_with(
    storage: Storage, state: PromptState, kept: object
) -> None:
    last = with_rows("t")
    await storage.commit(last)
    attached = tuple(told(each) for each in ATTACHED)
    ended = session("t", "s-t", 3, structs.replace(last.prompts[0], state=state, attachments=attached))
    await storage.commit(next_change(last, sessions=[ended], prompts=ended.prompts))
    assert await storage.attachments("p-t") == kept


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
async def test_what_is_known_is_not_replaced_by_what_is_not_newer(
    database: Database, storage: Storage, refused: Refused
) -> None:
    last = with_rows("t")
    await storage.commit(last)
    await storage.commit(with_rows("u"))
    before, told = await everything(storage), len(database.told)
    with pytest.raises(refused.by):
        # Whatever else is in it is not kept either.
        await storage.commit(replace(refused.change(last), private=Private(attaching=9), free_branch=True))
    assert await everything(storage) == before
    assert len(database.told) == told
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


async def test_a_pruned_task_is_gone_but_for_its_id(database: Database, storage: Storage) -> None:
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
    assert (await storage.attachments("p-t"), await storage.attachments("p-u")) == ((), ATTACHED)
    assert await storage.held_branches(REPO.repo_id, ["fix/t"]) == {}
    assert [repo.task_count for repo in await storage.repos()] == [1]
    missed = await storage.events.missed(TASKS, before)
    assert missed is not None
    assert [event.name for event in missed.events] == [EventName.TASK_REMOVED, EventName.REPO]
    await database.until_told(after)
    removed = [(each.task_id, each.session_id) for each in database.told if each.name is EventName.TASK_REMOVED]
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


async def test_all_is_there_when_it_is_opened_again(database: Database) -> None:
    async with database.open() as storage:
        await lives(storage)
        before, life = await everything(storage), storage.events.database
    async with database.open() as storage:
        assert await everything(storage) == before
        assert storage.events.database == life
        assert storage.last_alive is not None
        await storage.commit(first_change(uuid7()))
    assert [event.seq for event in database.told] == list(range(1, len(database.told) + 1))


async def test_what_cannot_be_kept_is_refused_and_told_to_nobody_until_it_can(
    database: Database, storage: Storage
) -> None:
    last = with_rows("t")
    await storage.commit(last)
    assert await storage.fault() is None
    told = len(database.told)
    undo = database.engine.harm()
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
    assert len(database.told) == told
    undo()
    assert await storage.fault() is None
    assert await kept(storage) == {"t"}
    await storage.commit(next_change(last))


@pytest.mark.parametrize(
    ("closed_after", "beside"), [(1, 3 * MANY), (2 * MANY, 3 * MANY), (3 * MANY, 3 * MANY), (3 * MANY, 0)]
)
async def test_closing_keeps_what_is_answered_and_refuses_the_rest(
    database: Database, closed_after: int, beside: int
) -> None:
    answered: set[str] = set()
    refused: set[str] = set()
    enough = anyio.Event()
    async with database.open() as storage:

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
    told = [event.seq for event in database.told]
    async with database.open() as storage:
        assert await kept(storage) == answered
        assert told == list(range(1, await seq_of(storage) + 1))
