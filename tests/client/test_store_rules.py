"""The store's rules that need no connection: 1 to 4, 7 and 8 of "The client's store"."""

from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from foundry_tui.client.changes import Changes
from foundry_tui.client.creations import CreationState
from foundry_tui.client.statistics import RefreshReason
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName, Ping, Resumed, TaskRemoved, Topic
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import PromptState, SessionStatus, TaskSummary, summary_of
from foundry_tui.contract.requests import CreateTask, TasksSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.client.fake_backend import Event, FakeBackend, log_topic, session_topic, task_topic

REQUEST = CreateTask(repo="/repo", prompt="Mend it", task_id="task-1", session_id="session-1")


class Wire:
    """A world whose events wait until the test delivers them."""

    def __init__(self) -> None:
        self.now = 50_000
        self.world = FakeBackend()
        self.store = Store(lambda: self.now)
        self.waiting: list[Event] = []
        self.world.listeners.append(self.waiting.append)

    def connect(self, topic: Topic = TASKS) -> None:
        """Connect and take what the backend sends first."""
        self.store.open(topic)
        for event in self.world.begin(topic, self.store.cursor(topic)):
            self.give(event)

    def give(self, *events: Event) -> None:
        for event in events:
            self.store.apply(event.topic, event.name, event.record, event.seq, event.database, 10)

    def take(self, topic: Topic = TASKS) -> list[Event]:
        """What waits for a topic, no longer waiting."""
        taken = [event for event in self.waiting if event.topic == topic]
        self.waiting[:] = [event for event in self.waiting if event.topic != topic]
        return taken

    def deliver(self, topic: Topic = TASKS) -> None:
        self.give(*self.take(topic))

    def task(self, number: int = 1) -> str:
        """A task that somebody else made."""
        task_id = f"task-{number}"
        self.world.create(replace(REQUEST, task_id=task_id, session_id=f"session-{number}"))
        return task_id

    def shown(self) -> dict[str, TaskSummary]:
        return dict(self.store.tasks)

    def true(self) -> dict[str, TaskSummary]:
        return {task_id: summary_of(task) for task_id, task in self.world.tasks.items()}


@pytest.fixture
def wire() -> Iterator[Wire]:
    yield Wire()


# What comes after the end


@pytest.mark.parametrize("make", [task_topic, log_topic])
def test_nothing_that_comes_late_stays_of_a_removed_task_when_it_returns(
    wire: Wire, make: Callable[[str], Topic]
) -> None:
    task_id = wire.task()
    wire.world.print(task_id, "old")
    topic = make(task_id)
    wire.connect(topic)
    wire.deliver(topic)
    wire.world.print(task_id, "late")
    wire.world.rename(task_id, "late")
    late = wire.take(topic)
    removal = Event(topic, EventName.TASK_REMOVED, TaskRemoved(task_id=task_id), wire.world.seq + 1, "db1")
    wire.give(removal, *late)
    assert wire.store.detail(task_id) is None
    assert not wire.store.log(task_id)
    wire.world = FakeBackend()
    wire.task()
    wire.world.seq = removal.seq + 5
    wire.connect(topic)
    if topic == task_topic(task_id):
        assert wire.store.detail(task_id) == wire.world.detail(task_id)
    else:
        assert list(wire.store.log(task_id)) == wire.world.logs[task_id]


# Rule 1


def test_rule_1_a_record_replaces_the_one_held_only_if_its_revision_is_higher(wire: Wire) -> None:
    wire.connect()
    task_id = wire.task()
    wire.world.rename(task_id, "second")
    wire.world.rename(task_id, "third")
    events = [event for event in wire.take() if event.name is EventName.TASK]
    for order in (events, events[::-1], events * 2):
        wire.give(*order)
        assert wire.store.tasks[task_id].title == "third"
    assert wire.store.counter(TASKS).stale > 0


def test_rule_1_holds_for_details_sessions_and_transcripts(wire: Wire) -> None:
    task_id = wire.task()
    topics = task_topic(task_id), session_topic("session-1"), log_topic(task_id)
    for topic in topics:
        wire.connect(topic)
    wire.waiting.clear()
    wire.world.rename(task_id, "new")
    wire.world.prompt("session-1", "prompt-1", "and then?")
    wire.world.say("session-1", "one")
    wire.world.grow("session-1", 0, " more")
    wire.world.say("session-1", "two")
    wire.world.print(task_id, "first line")
    wire.world.print(task_id, "second line")
    for topic in topics:
        events = wire.take(topic)
        wire.give(*events[::-1], *events)
    detail = wire.store.detail(task_id)
    assert detail == wire.world.detail(task_id)
    assert list(wire.store.transcript("session-1")) == wire.world.transcripts["session-1"]
    assert list(wire.store.log(task_id)) == wire.world.logs[task_id]
    session = wire.store.session("session-1")
    assert session is not None
    assert session.prompts == wire.world.sessions["session-1"].prompts


def test_a_task_whose_own_topic_is_closed_is_as_the_list_knows_it(wire: Wire) -> None:
    task_id = wire.task()
    wire.connect()
    wire.connect(task_topic(task_id))
    held = wire.store.detail(task_id)
    assert held is not None
    wire.store.flush()
    told: list[Changes] = []
    wire.store.listen(told.append)
    wire.world.rename(task_id, "second")
    wire.deliver()
    wire.store.flush()
    detail = wire.store.detail(task_id)
    assert detail is not None
    assert detail.title == "second"
    assert (detail.prompt, detail.history, detail.revision) == (held.prompt, held.history, held.revision)
    assert task_id in told[0].details
    wire.deliver(task_topic(task_id))
    assert wire.store.detail(task_id) == wire.world.detail(task_id)


def test_an_event_that_comes_before_the_snapshot_is_not_lost(wire: Wire) -> None:
    snapshot = wire.world.snapshot(TASKS)
    task_id = wire.task()
    wire.store.open(TASKS)
    wire.deliver()
    wire.give(snapshot)
    assert wire.shown() == wire.true()
    assert task_id in wire.store.tasks


def test_an_older_snapshot_does_not_overwrite_a_newer_state(wire: Wire) -> None:
    task_id = wire.task()
    older = wire.world.snapshot(task_topic(task_id))
    wire.world.rename(task_id, "newer")
    wire.store.open(task_topic(task_id))
    wire.deliver(task_topic(task_id))
    wire.give(older)
    detail = wire.store.detail(task_id)
    assert detail is not None
    assert detail.title == "newer"


def test_an_event_that_comes_before_the_answer_it_answers_is_not_undone_by_it(wire: Wire) -> None:
    wire.connect()
    wire.store.create(REQUEST)
    answer = wire.world.create(REQUEST)
    wire.world.move("task-1", TaskStatus.ENSURE_NAME)
    wire.deliver()
    wire.store.created(answer)
    assert wire.store.tasks["task-1"].status is TaskStatus.ENSURE_NAME


def test_items_of_a_transcript_wait_for_the_one_before_them(wire: Wire) -> None:
    wire.task()
    topic = session_topic("session-1")
    wire.connect(topic)
    wire.waiting.clear()
    for text in ("zero", "one", "two"):
        wire.world.say("session-1", text)
    zero, one, two = wire.take(topic)
    wire.give(two)
    assert not wire.store.transcript("session-1")
    wire.give(one)
    assert not wire.store.transcript("session-1")
    wire.give(zero)
    assert [item.body for item in wire.store.transcript("session-1")] == ["zero", "one", "two"]


def test_an_older_version_of_an_item_does_not_turn_it_back(wire: Wire) -> None:
    wire.task()
    topic = session_topic("session-1")
    wire.connect(topic)
    wire.waiting.clear()
    wire.world.say("session-1", "one")
    wire.world.grow("session-1", 0, " more")
    older, newer = wire.take(topic)
    wire.give(newer, older)
    assert [item.body for item in wire.store.transcript("session-1")] == ["one more"]


def test_an_older_snapshot_turns_no_transcript_and_no_log_back(wire: Wire) -> None:
    task_id = wire.task()
    topics = session_topic("session-1"), log_topic(task_id)
    wire.world.say("session-1", "one")
    wire.world.print(task_id, "first")
    older = [wire.world.snapshot(topic) for topic in topics]
    wire.waiting.clear()
    wire.world.grow("session-1", 0, " more")
    wire.world.say("session-1", "two")
    wire.world.print(task_id, "second")
    for topic, snapshot in zip(topics, older, strict=True):
        wire.store.open(topic)
        wire.deliver(topic)
        wire.give(snapshot)
    assert [item.body for item in wire.store.transcript("session-1")] == ["one more", "two"]
    assert [line.text for line in wire.store.log(task_id)] == ["first", "second"]


# Rule 2


def test_rule_2_a_snapshot_removes_what_it_lacks(wire: Wire) -> None:
    task_id = wire.task()
    wire.connect()
    wire.world.move(task_id, TaskStatus.KILLING)
    wire.world.move(task_id, TaskStatus.KILLED)
    wire.world.prune(task_id)
    wire.world.forget_log()
    wire.connect()
    assert wire.shown() == {}
    assert wire.store.gone(task_id)


def test_rule_2_what_is_newer_than_the_snapshot_stays(wire: Wire) -> None:
    snapshot = wire.world.snapshot(TASKS)
    task_id = wire.task()
    wire.store.open(TASKS)
    wire.deliver()
    wire.give(snapshot)
    assert task_id in wire.store.tasks


def test_rule_2_what_was_answered_after_the_snapshot_was_made_stays(wire: Wire) -> None:
    snapshot = wire.world.snapshot(TASKS)
    wire.store.create(REQUEST)
    wire.store.created(wire.world.create(REQUEST))
    wire.store.open(TASKS)
    wire.give(snapshot)
    assert "task-1" in wire.store.tasks
    wire.deliver()
    assert wire.shown() == wire.true()


def test_rule_2_what_the_user_made_and_nobody_answered_stays(wire: Wire) -> None:
    wire.store.create(REQUEST)
    wire.connect()
    assert wire.store.creations["task-1"].state is CreationState.PENDING
    assert wire.store.tasks["task-1"].revision == 0


def test_rule_2_a_backend_restored_from_a_copy_starts_the_topic_afresh(wire: Wire) -> None:
    task_id = wire.task()
    copy = wire.world.copy()
    wire.world.rename(task_id, "lost")
    wire.task(2)
    wire.connect()
    assert wire.store.tasks[task_id].title == "lost"
    wire.world = copy
    wire.connect()
    assert wire.shown() == wire.true()
    assert wire.store.tasks[task_id].title is None
    assert wire.store.life == 1


def test_rule_2_another_database_starts_the_topic_afresh(wire: Wire) -> None:
    task_id = wire.task()
    wire.connect()
    wire.world.rename(task_id, "lost")
    wire.deliver()
    wire.world = FakeBackend(database="other", seq=500)
    wire.connect()
    assert wire.shown() == {}
    assert not wire.store.gone(task_id), "what another database removed is not what this one removed"


def test_another_database_found_by_one_topic_makes_the_others_begin_with_a_snapshot(wire: Wire) -> None:
    task_id = wire.task()
    copy = wire.world.copy()
    wire.world.rename(task_id, "lost")
    wire.connect()
    wire.connect(task_topic(task_id))
    wire.world = copy
    wire.connect(task_topic(task_id))
    for turn in range(9):
        # The copy overtakes what the list has seen, so that its seq alone would not show it any more.
        wire.world.mark(task_id, turn % 2 == 0)
    assert wire.store.cursor(TASKS) is None
    wire.connect()
    assert wire.shown() == wire.true()
    assert wire.store.cursor(task_topic(task_id)) is not None, "it has begun anew already"


def test_an_answer_of_the_database_before_is_dropped(wire: Wire) -> None:
    task_id = wire.task()
    copy = wire.world.copy()
    wire.connect()
    life = wire.store.life
    answer = wire.world.rename(task_id, "lost")
    wire.deliver()
    wire.world = copy
    wire.connect()
    wire.store.answered(answer, life)
    assert wire.shown() == wire.true()
    wire.store.create(replace(REQUEST, task_id="task-2", session_id="session-2"))
    assert not wire.store.created(answer, life), "the request has to be sent again"


def test_a_history_with_a_hole_is_not_shown(wire: Wire) -> None:
    task_id = wire.task()
    topic = task_topic(task_id)
    wire.connect(topic)
    for number in range(300):
        wire.world.rename(task_id, str(number))
    wire.world.forget_log()
    wire.connect(topic)
    detail = wire.store.detail(task_id)
    assert detail is not None
    assert detail.history == tuple(wire.world.history[task_id][-200:])
    older = wire.store.add_history(task_id, wire.world.history[task_id])
    assert list(older) == wire.world.history[task_id]


# What a snapshot leaves out


def ends(wire: Wire, *task_ids: str) -> None:
    for task_id in task_ids:
        wire.world.move(task_id, TaskStatus.KILLING)
        wire.world.move(task_id, TaskStatus.KILLED)


def reconnect_with_a_snapshot(wire: Wire) -> None:
    """The connection was lost, and what was missed is no longer known."""
    wire.world.print(next(iter(wire.world.tasks)), "while nobody listened")
    wire.take()
    wire.world.forget_log()
    wire.connect()
    assert wire.store.counter(TASKS).snapshots > 1


def read_page(wire: Wire) -> None:
    held = wire.store.task_list
    last = held.last_without_gap
    assert last is not None
    assert held.put_page(wire.world.ended_before(last.task_id, 10), last)


@pytest.mark.parametrize("what", ["is at work", "has ended", "was removed"])
def test_a_living_task_older_than_a_new_snapshots_edge_is_removed_only_if_it_was(wire: Wire, what: str) -> None:
    wire.world.newest_ended = 2
    oldest, *others = (wire.task(number) for number in range(4))
    wire.connect()
    assert set(wire.store.tasks) == {oldest, *others}
    ends(wire, *others)
    if what != "is at work":
        ends(wire, oldest)
    if what == "was removed":
        wire.world.prune(oldest)
    reconnect_with_a_snapshot(wire)
    left_out = {others[0]} | ({oldest} if what == "has ended" else set())
    assert set(wire.store.tasks) == {oldest, *others} - left_out - wire.world.pruned
    assert wire.store.older == len(left_out)
    if what != "was removed":
        assert not wire.store.gone(oldest)
    read_page(wire)
    assert wire.shown() == wire.true()
    assert wire.store.older == 0


def test_a_living_task_older_than_the_edge_that_ends_is_still_held_and_not_counted(wire: Wire) -> None:
    wire.world.newest_ended = 2
    oldest, *others = (wire.task(number) for number in range(4))
    ends(wire, *others)
    wire.take()
    wire.connect()
    assert wire.store.older == 1
    ends(wire, oldest)
    wire.deliver()
    assert wire.store.tasks[oldest].status is TaskStatus.KILLED
    assert wire.store.older == 1
    wire.world.prune(oldest)
    wire.deliver()
    assert wire.store.older == 1


@pytest.mark.parametrize("early", [False, True], ids=["after the snapshot", "before the snapshot"])
def test_one_that_is_left_out_and_removed_is_no_longer_counted(wire: Wire, early: bool) -> None:
    wire.world.newest_ended = 2
    tasks = [wire.task(number) for number in range(4)]
    ends(wire, *tasks)
    snapshot = wire.world.snapshot(TASKS)
    wire.take()
    wire.world.prune(tasks[0])
    news = wire.take()
    wire.store.open(TASKS)
    wire.give(*([*news, snapshot] if early else [snapshot, *news]), *news)
    assert wire.store.older == 1


@pytest.mark.parametrize("missed", [False, True], ids=["told of", "missed"])
def test_what_was_read_and_is_removed_is_counted_once_whoever_tells_of_it_first(wire: Wire, missed: bool) -> None:
    wire.world.newest_ended = 1
    tasks = [wire.task(number) for number in range(4)]
    ends(wire, *tasks)
    wire.take()
    wire.connect()
    read_page(wire)
    if missed:
        wire.world.prune(tasks[1])
    reconnect_with_a_snapshot(wire)
    assert tasks[1] in wire.store.tasks, "a page will tell whether it is there"
    if not missed:
        wire.world.prune(tasks[1])
    wire.store.pruned(tasks[1])
    wire.deliver()
    ends(wire, wire.task(5))
    wire.world.prune(tasks[0])
    wire.deliver()
    assert wire.store.older == 0
    assert set(wire.store.tasks) == set(wire.world.tasks)
    ends(wire, *(wire.task(number) for number in (6, 7)))
    reconnect_with_a_snapshot(wire)
    assert len(wire.store.tasks) + wire.store.older == len(wire.world.tasks)


def test_one_of_ours_that_ended_before_it_was_answered_is_counted_until_it_is_removed(wire: Wire) -> None:
    wire.world.newest_ended = 1
    wire.store.create(REQUEST)
    wire.world.create(REQUEST)
    ends(wire, "task-1", wire.task(2))
    wire.take()
    wire.connect()
    assert wire.store.older == 1
    wire.world.prune("task-1")
    wire.deliver()
    assert wire.store.older == 0


def test_a_page_is_everything_where_nothing_is_left_to_read_on_from(wire: Wire) -> None:
    wire.world.newest_ended = 2
    tasks = [wire.task(number) for number in range(5)]
    ends(wire, *tasks)
    wire.take()
    wire.connect()
    for task_id in tasks[3:]:
        wire.world.prune(task_id)
    wire.deliver()
    held = wire.store.task_list
    assert held.last_without_gap is None
    assert wire.store.older == 3
    page = wire.world.snapshot(TASKS).record
    assert isinstance(page, TasksSnapshot)
    assert held.put_page(page, None)
    assert set(wire.store.tasks) == set(tasks[1:3])
    assert wire.store.older == 1


# Rule 3


def test_rule_3_a_created_task_is_shown_at_once_whole(wire: Wire) -> None:
    wire.store.create(replace(REQUEST, prompt="word " * 100, title="Title", branch="fix/it"))
    task, detail = wire.store.tasks["task-1"], wire.store.detail("task-1")
    assert (task.title, task.branch, task.status, task.repo_label) == ("Title", "fix/it", TaskStatus.QUEUED, "repo")
    assert len(task.prompt) == 200
    assert detail is not None
    assert detail.prompt == "word " * 100
    session = wire.store.session("session-1")
    assert session is not None
    assert session.status is SessionStatus.PENDING_PROVISION
    assert [(prompt.text, prompt.state) for prompt in session.prompts] == [("word " * 100, PromptState.QUEUED)]


@pytest.mark.parametrize("answer_first", [True, False])
def test_rule_3_the_answer_or_an_event_makes_it_real(wire: Wire, answer_first: bool) -> None:
    wire.connect()
    wire.store.create(REQUEST)
    answer = wire.world.create(REQUEST)
    seen = []
    for give in (lambda: wire.store.created(answer), wire.deliver)[:: 1 if answer_first else -1]:
        give()
        seen.append(("task-1" in wire.store.tasks, dict(wire.store.creations), wire.store.detail("task-1") is not None))
    assert seen == [(True, {}, True), (True, {}, True)]
    assert wire.shown() == wire.true()


def test_rule_3_a_snapshot_makes_it_real_too(wire: Wire) -> None:
    wire.store.create(REQUEST)
    wire.world.create(REQUEST)
    wire.connect()
    assert not wire.store.creations
    assert wire.shown() == wire.true()


def test_rule_3_a_late_answer_does_not_bring_back_what_the_last_snapshot_lacks(wire: Wire) -> None:
    wire.store.create(REQUEST)
    wire.world.create(REQUEST)
    for status in (TaskStatus.KILLING, TaskStatus.KILLED):
        wire.world.move("task-1", status)
    answer = wire.world.detail("task-1")
    wire.world.prune("task-1")
    wire.connect()
    assert "task-1" in wire.store.tasks, "nobody has answered yet"
    wire.store.created(answer)
    assert not wire.store.tasks
    assert not wire.store.creations
    assert wire.store.gone("task-1")


def test_rule_3_a_refusal_keeps_it_with_the_reason_until_it_is_retried_or_discarded(wire: Wire) -> None:
    wire.store.create(REQUEST)
    problem = Problem(status=422, title="Wrong", detail="no such repository")
    wire.store.refused("task-1", problem)
    wire.connect()
    creation, task = wire.store.creations["task-1"], wire.store.tasks["task-1"]
    assert (creation.state, creation.problem) == (CreationState.REFUSED, problem)
    assert task.status is TaskStatus.ERROR
    assert task.error is not None
    assert task.error.message == "no such repository"
    assert wire.store.retry_creation("task-1") is not None
    assert wire.store.tasks["task-1"].status is TaskStatus.QUEUED
    wire.store.refused("task-1", problem)
    wire.store.discard_creation("task-1")
    assert not wire.store.tasks
    assert not wire.store.creations
    assert wire.store.detail("task-1") is None


# Rule 4


def test_rule_4_a_late_event_does_not_bring_a_removed_task_back(wire: Wire) -> None:
    task_id = wire.task()
    for topic in (TASKS, task_topic(task_id), session_topic("session-1"), log_topic(task_id)):
        wire.connect(topic)
    wire.waiting.clear()
    wire.world.rename(task_id, "late")
    wire.world.say("session-1", "late")
    wire.world.print(task_id, "late")
    late = list(wire.waiting)
    for topic in {event.topic for event in late}:
        removed = TaskRemoved(task_id=task_id)
        wire.store.apply(topic, EventName.TASK_REMOVED, removed, wire.world.seq + 1, wire.world.database)
    wire.give(*late)
    assert not wire.store.tasks
    assert wire.store.gone(task_id)
    assert wire.store.detail(task_id) is None
    assert wire.store.session("session-1") is None
    assert not wire.store.transcript("session-1")
    assert not wire.store.log(task_id)


def test_rule_4_a_snapshot_from_before_the_removal_does_not_bring_it_back(wire: Wire) -> None:
    task_id = wire.task()
    wire.connect()
    before = wire.world.snapshot(TASKS)
    wire.store.pruned(task_id)
    wire.store.open(TASKS)
    wire.give(before)
    assert not wire.store.tasks


# Rule 7


def test_rule_7_the_store_says_why_a_topic_was_refreshed_and_counts(wire: Wire) -> None:
    counter = wire.store.counter(TASKS)
    seen = []

    def look() -> None:
        wire.store.flush()
        seen.append(counter.last_refresh)

    task_id = wire.task()
    wire.connect()
    look()
    wire.waiting.clear()
    answer = wire.world.rename(task_id, "a")
    wire.store.answered(answer)
    look()
    wire.deliver()
    assert (counter.applied, counter.stale) == (0, 1)
    wire.world.rename(task_id, "b")
    wire.deliver()
    look()
    wire.connect()
    look()
    wire.world.forget_log()
    wire.world.rename(task_id, "c")
    wire.world.forget_log()
    wire.waiting.clear()
    wire.connect()
    look()
    assert seen == [
        RefreshReason.BOOTSTRAP,
        RefreshReason.MUTATION,
        RefreshReason.EVENT,
        RefreshReason.RESUME,
        RefreshReason.SNAPSHOT,
    ]
    assert (counter.connections, counter.snapshots, counter.applied, counter.stale) == (3, 2, 1, 1)
    assert counter.bytes == 50
    assert counter.refreshed_at == wire.now


def test_the_time_from_commit_to_flush_is_measured(wire: Wire) -> None:
    task_id = wire.task()
    wire.now = wire.world.now
    wire.connect()
    wire.waiting.clear()
    wire.world.rename(task_id, "new")
    wire.now = wire.world.now + 30
    wire.deliver()
    wire.now += 12
    wire.store.flush()
    latency = wire.store.counter(TASKS).latency()
    assert latency is not None
    assert (latency.last, latency.count) == (42, 1)


# Rule 8


def test_rule_8_listeners_are_told_once_a_frame_with_what_changed(wire: Wire) -> None:
    told: list[Changes] = []
    dirty: list[bool] = []
    wire.store.on_dirty = lambda: dirty.append(True)
    wire.store.listen(told.append)
    wire.connect()
    for number in range(50):
        task_id = wire.task(number)
        wire.world.rename(task_id, "again")
    wire.deliver()
    assert not told
    assert dirty == [True]
    wire.store.flush()
    assert [changes.tasks for changes in told] == [frozenset(f"task-{number}" for number in range(50))]
    wire.store.flush()
    assert len(told) == 1, "nothing changed, so nobody is told"
    stale = wire.world.snapshot(TASKS)
    wire.give(stale)
    wire.store.apply(TASKS, EventName.PING, Ping(seq=wire.world.seq, at=1), wire.world.seq, wire.world.database)
    wire.store.flush()
    assert len(told) == 1


def test_changes_say_from_where_a_transcript_changed(wire: Wire) -> None:
    told: list[Changes] = []
    wire.store.listen(told.append)
    wire.task()
    topic = session_topic("session-1")
    for text in ("zero", "one", "two"):
        wire.world.say("session-1", text)
    wire.connect(topic)
    wire.store.flush()
    assert told.pop().transcripts == {"session-1": 0}
    wire.waiting.clear()
    wire.world.say("session-1", "three")
    wire.world.grow("session-1", 2, "!")
    wire.deliver(topic)
    wire.store.flush()
    assert told.pop().transcripts == {"session-1": 2}


def test_a_listener_that_left_is_told_no_more(wire: Wire) -> None:
    told: list[Changes] = []
    stop = wire.store.listen(told.append)
    stop()
    stop()
    wire.store.create(REQUEST)
    wire.store.flush()
    assert not told


# Edits and prompts laid over


def test_an_edit_is_shown_at_once_and_gives_way_to_what_was_committed(wire: Wire) -> None:
    task_id = wire.task()
    wire.connect()
    wire.connect(task_topic(task_id))
    first = wire.store.edit(task_id, title="mine")
    second = wire.store.edit(task_id, title="mine too")
    wire.waiting.clear()
    wire.world.rename(task_id, "theirs")
    wire.deliver()
    wire.deliver(task_topic(task_id))
    detail = wire.store.detail(task_id)
    assert detail is not None
    assert (wire.store.tasks[task_id].title, detail.title) == ("mine too", "mine too")
    wire.store.settle(task_id, first)
    assert wire.store.tasks[task_id].title == "mine too"
    wire.store.settle(task_id, second)
    assert wire.shown() == wire.true()
    assert wire.store.detail(task_id) == wire.world.detail(task_id)


def test_a_refused_edit_shows_the_record_again(wire: Wire) -> None:
    task_id = wire.task()
    wire.connect()
    wire.store.settle(task_id, wire.store.edit(task_id, unread=True))
    assert wire.shown() == wire.true()


def test_resuming_from_a_database_that_is_not_the_one_held_is_not_believed(wire: Wire) -> None:
    wire.task()
    wire.connect()
    wire.store.open(TASKS)
    wire.store.apply(TASKS, EventName.RESUMED, Resumed(seq=3), 3, "another")
    assert wire.store.cursor(TASKS) is None
