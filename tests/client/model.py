"""A state machine of server, network and user around one store; Hypothesis chooses what happens next.

Each topic has a connection that carries batches of events. A batch arrives whole, its events shuffled or doubled at
will; a connection may be cut between two batches. Requests reach the backend or are lost, answers come late or never.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from foundry_tui.client.changes import Changes
from foundry_tui.client.creations import CreationState
from foundry_tui.client.horizon import age_of
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName, Ping, Topic, TopicKind, parse_event_id
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.moves import TASK_MOVES
from foundry_tui.contract.records import Prompt, PromptState, SessionStatus, SessionSummary, TaskSummary, summary_of
from foundry_tui.contract.requests import CreateTask, TasksSnapshot
from foundry_tui.contract.status import ENDED, TaskStatus
from tests.client.fake_backend import Event, FakeBackend, Refused, detail_of, log_topic, session_topic, task_topic

NEWEST_ENDED = 2
"""Ended tasks that come with a snapshot of the list, so that a few more are left out."""
PAGE = 2
PICK = st.integers(min_value=0, max_value=10_000)


@dataclass
class Request:
    """Something that the user asked for: `send` does it in the backend and gives what the store makes of the answer."""

    send: Callable[[], Callable[[], object]]
    lost: Callable[[], object]
    sure: bool
    """Whether it is repeated until it is answered."""


@dataclass
class Connection:
    """What is under way to the client on one topic."""

    topic: Topic
    batches: list[list[Event]] = field(default_factory=list)


@dataclass
class Counts:
    """What all runs did, for the printed figures."""

    steps: int = 0
    runs: int = 0
    faults: int = 0
    comparisons: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)


class StoreModel(RuleBasedStateMachine):
    """The store against the world."""

    counts = Counts()

    def __init__(self) -> None:
        super().__init__()
        self.world = FakeBackend(newest_ended=NEWEST_ENDED)
        self.world.listeners.append(self._committed)
        self.rng = random.Random(0)
        self.clock = 5_000_000
        self.store = Store(lambda: self.clock)
        self.shadow: dict[str, TaskSummary] = {}
        self.store.listen(self._told)
        self.connections: dict[Topic, Connection] = {}
        self.held: set[Topic] = {TASKS}
        self.requests: list[Request] = []
        self.answers: list[tuple[Request, Callable[[], object]]] = []
        self.backup: FakeBackend | None = None
        self.made: set[str] = set()
        self.ever: list[str] = []
        self.removed: set[str] = set()
        self.life = 0
        self.lost_with_database: set[str] = set()
        self.revisions: dict[str, tuple[int, int]] = {}
        # Whether an answer may have told more than any stream: nothing could tell then that the database was replaced.
        self.ahead = False
        self.counts.runs += 1

    # Choosing.

    def _count(self, name: str, fault: bool = False) -> None:
        self.counts.steps += 1
        self.counts.faults += fault
        self.counts.by_rule[name] = self.counts.by_rule.get(name, 0) + 1

    def _task(self, pick: int) -> str:
        return sorted(self.world.tasks)[pick % len(self.world.tasks)]

    def _session(self, pick: int) -> str:
        return sorted(self.world.sessions)[pick % len(self.world.sessions)]

    def _session_on_screen(self, pick: int) -> str:
        """A session whose topic is held, if there is one: what nobody follows cannot go wrong."""
        held = sorted(topic.id for topic in self.held if topic.id in self.world.sessions)
        return held[pick % len(held)] if held else self._session(pick)

    def _has_tasks(self) -> bool:
        return bool(self.world.tasks)

    @initialize(
        seed=st.integers(min_value=0, max_value=1 << 16),
        tasks=st.integers(min_value=0, max_value=3),
        ended=st.integers(min_value=0, max_value=8),
    )
    def begun(self, seed: int, tasks: int, ended: int) -> None:
        self.rng = random.Random(seed)
        self.some_come_and_end(seed, ended)
        self._connect(TASKS)
        for number in range(tasks):
            self.somebody_creates(number)
            self.screen_opens(number, TopicKind.TASK)
            self.screen_opens(number, TopicKind.SESSION)
            self.screen_opens(number, TopicKind.LOG)
        for topic in self._topics():
            if topic not in self.connections:
                self._connect(topic)

    # The server.

    @rule(pick=PICK)
    def somebody_creates(self, pick: int) -> None:
        self._count("create elsewhere")
        number = len(self.world.requests)
        self.world.create(
            CreateTask(repo=f"/repo{pick % 2}", prompt=f"other {number}", task_id=self._id(), session_id=self._id())
        )

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK)
    def task_moves(self, pick: int) -> None:
        self._count("progress")
        task_id = self._task(pick)
        moves = sorted(TASK_MOVES[self.world.tasks[task_id].status])
        if moves:
            self.world.move(task_id, moves[pick % len(moves)])

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK)
    def task_is_killed(self, pick: int) -> None:
        self._count("kill elsewhere")
        task_id = self._task(pick)
        for status in (TaskStatus.KILLING, TaskStatus.KILLED):
            if status in TASK_MOVES[self.world.tasks[task_id].status]:
                self.world.move(task_id, status)

    @rule(pick=PICK, times=st.integers(min_value=1, max_value=4))
    def some_come_and_end(self, pick: int, times: int) -> None:
        for number in range(times):
            self.somebody_creates(pick + number)
            self.world.move(max(self.world.tasks), TaskStatus.KILLING)
            self.world.move(max(self.world.tasks), TaskStatus.KILLED)

    @precondition(lambda self: any(task.status in ENDED for task in self.world.tasks.values()))
    @rule(pick=PICK)
    def somebody_prunes(self, pick: int) -> None:
        self._count("prune elsewhere")
        ended = sorted(task_id for task_id, task in self.world.tasks.items() if task.status in ENDED)
        self.world.prune(ended[pick % len(ended)])

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK)
    def somebody_renames(self, pick: int) -> None:
        self._count("rename elsewhere")
        self.world.rename(self._task(pick), f"theirs {pick}")

    @precondition(lambda self: bool(self.world.sessions))
    @rule(pick=PICK, turns=st.lists(st.booleans(), min_size=1, max_size=5))
    def agent_speaks(self, pick: int, turns: list[bool]) -> None:
        self._count("transcript")
        session_id = self._session_on_screen(pick)
        for grow in turns:
            items = self.world.transcripts[session_id]
            if grow and items:
                self.world.grow(session_id, len(items) - 1, " and more")
            else:
                self.world.say(session_id, f"word {pick}")

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK, times=st.integers(min_value=1, max_value=4))
    def provider_prints(self, pick: int, times: int) -> None:
        self._count("log")
        task_id = self._task(pick)
        for _ in range(times):
            self.world.print(task_id, f"line {pick}")

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK, times=st.integers(min_value=2, max_value=5))
    def task_is_busy(self, pick: int, times: int) -> None:
        self._count("busy task")
        task_id = self._task(pick)
        for turn in range(times):
            moves = sorted(TASK_MOVES[self.world.tasks[task_id].status] - {TaskStatus.KILLING, TaskStatus.ARCHIVING})
            if moves:
                self.world.move(task_id, moves[(pick + turn) % len(moves)])
            else:
                self.world.mark(task_id, turn % 2 == 0)

    @rule(what=st.sampled_from(["flush", "ping", "clock step", "backup"]), step=PICK)
    def time_passes(self, what: str, step: int) -> None:
        self._count(what, fault=what == "clock step")
        if what == "flush":
            self.store.flush()
        elif what == "clock step":
            self.clock += (step - 5_000) * 1_000
        elif what == "backup":
            self.backup = self.world.copy()
        elif self.connections:
            connection = self._connection(step)
            ping = Ping(seq=self.world.seq, at=self.world.now)
            event = Event(connection.topic, EventName.PING, ping, self.world.seq, self.world.database)
            connection.batches.append([event])

    @rule(forget=st.booleans(), chance=st.integers(min_value=0, max_value=3))
    def backend_restarts(self, forget: bool, chance: int) -> None:
        if chance:
            return
        self._count("restart", fault=True)
        self.connections.clear()
        if forget:
            self.world.forget_log()

    @precondition(lambda self: self.backup is not None)
    @rule(new_name=st.booleans())
    def older_copy_replaces_database(self, new_name: bool) -> None:
        assert self.backup is not None
        older = self.backup.copy()
        # Which streams can tell: by another name any, by the same one those that have seen what the copy has not.
        telling = [topic for topic in self._topics() if self._streamed(topic) > (-1 if new_name else older.seq)]
        if new_name:
            telling = [topic for topic in telling if topic == TASKS]
        if not telling:
            if self.ahead:
                # An answer told more than any stream: nothing shows that this was lost.
                return
            self._lose_answers()
        self._count("older copy", fault=True)
        if new_name:
            older.database = f"db{int(self.world.database[2:]) + 1}"
        older.now = self.world.now
        self.lost_with_database |= self.made
        self.connections.clear()
        self.world = older
        self.world.listeners.append(self._committed)
        if telling and not new_name:
            # The same name and a lower seq can be told apart only until the copy has caught up with the old one.
            self._connect(telling[0])
            self._deliver(telling[0])

    # The network.

    @rule(pick=PICK)
    def stream_connects(self, pick: int) -> None:
        self._count("connect")
        topics = [topic for topic in self._topics() if topic not in self.connections]
        if topics:
            self._connect(topics[pick % len(topics)])

    @precondition(lambda self: bool(self.connections))
    @rule(pick=PICK, batches=st.integers(min_value=1, max_value=6))
    def events_arrive(self, pick: int, batches: int) -> None:
        self._count("deliver")
        topic = self._connection(pick).topic
        for _ in range(batches):
            self._deliver(topic)

    @precondition(lambda self: bool(self.connections))
    @rule(pick=PICK)
    def events_come_twice(self, pick: int) -> None:
        connection = self._connection(pick)
        if connection.batches:
            self._count("duplicate", fault=True)
            connection.batches.insert(pick % len(connection.batches) + 1, list(connection.batches[0]))

    @precondition(lambda self: bool(self.connections))
    @rule(pick=PICK, width=st.integers(min_value=2, max_value=8), seed=PICK)
    def events_change_places(self, pick: int, width: int, seed: int) -> None:
        connection = self._connection(pick)
        batch = [event for batch in connection.batches[:width] for event in batch]
        random.Random(seed).shuffle(batch)
        if len(batch) > 1:
            self._count("reorder", fault=True)
            connection.batches[:width] = [batch]

    @precondition(lambda self: bool(self.connections))
    @rule(pick=PICK)
    def connection_is_cut(self, pick: int) -> None:
        self._count("cut", fault=True)
        del self.connections[self._connection(pick).topic]

    @precondition(lambda self: bool(self.requests))
    @rule(pick=PICK)
    def request_arrives(self, pick: int) -> None:
        self._count("request")
        self._send(self.requests.pop(pick % len(self.requests)))

    @precondition(lambda self: bool(self.requests))
    @rule(pick=PICK)
    def request_is_lost(self, pick: int) -> None:
        self._count("request lost", fault=True)
        request = self.requests.pop(pick % len(self.requests))
        if request.sure:
            self.requests.append(request)
        else:
            request.lost()

    @precondition(lambda self: bool(self.requests))
    @rule(pick=PICK)
    def answer_is_lost(self, pick: int) -> None:
        self._count("answer lost", fault=True)
        request = self.requests.pop(pick % len(self.requests))
        request.send()
        if request.sure:
            self.requests.append(request)
        else:
            request.lost()

    @precondition(lambda self: bool(self.answers))
    @rule(pick=PICK)
    def answer_arrives(self, pick: int) -> None:
        self._count("answer")
        self.ahead = True
        self.answers.pop(pick % len(self.answers))[1]()

    # The user.

    @rule(pick=PICK, wrong=st.integers(min_value=0, max_value=5))
    def user_creates(self, pick: int, wrong: int) -> None:
        self._count("create")
        branch = "bad..name" if wrong == 0 else None
        request = CreateTask(
            repo=f"/repo{pick % 2}", prompt="mine " * 60, task_id=self._id(), session_id=self._id(), branch=branch
        )
        self.store.create(request)
        assert request.task_id is not None
        self.made.add(request.task_id)
        self.ever.append(request.task_id)
        self.requests.append(self._create_request(request))

    @precondition(lambda self: any(one.state is CreationState.REFUSED for one in self.store.creations.values()))
    @rule(again=st.booleans())
    def user_settles_a_refusal(self, again: bool) -> None:
        self._count("refusal settled")
        creation = next(one for one in self.store.creations.values() if one.state is CreationState.REFUSED)
        if again:
            self.store.retry_creation(creation.task_id)
            self.requests.append(self._create_request(creation.request))
        else:
            self.store.discard_creation(creation.task_id)
            self.made.discard(creation.task_id)

    @precondition(lambda self: bool(self.store.tasks))
    @rule(pick=PICK)
    def user_renames(self, pick: int) -> None:
        self._count("rename")
        task_id = sorted(self.store.tasks)[pick % len(self.store.tasks)]
        title = f"mine {pick}"
        token = self.store.edit(task_id, title=title)
        assert self.store.tasks[task_id].title == title

        def send() -> Callable[[], object]:
            life = self.store.life
            try:
                task = self.world.rename(task_id, title)
            except Refused:
                return lambda: self.store.settle(task_id, token)

            def answer() -> None:
                self.store.answered(task, life)
                self.store.settle(task_id, token)

            return answer

        self.requests.append(Request(send, lambda: self.store.settle(task_id, token), sure=False))

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK)
    def user_adds_session(self, pick: int) -> None:
        self._count("add session")
        task_id, session_id = self._task(pick), self._id()
        summary = SessionSummary(
            session_id=session_id,
            task_id=task_id,
            name="",
            agent="",
            status=SessionStatus.PENDING_CREATE,
            created_at=0,
            updated_at=0,
            revision=0,
        )
        token = self.store.edit(task_id, session=summary)

        def send() -> Callable[[], object]:
            life = self.store.life
            try:
                made = self.world.add_session(task_id, session_id)
            except Refused:
                return lambda: self.store.settle(task_id, token)
            return lambda: self.store.session_made(token, made, life)

        self.requests.append(Request(send, lambda: self.store.settle(task_id, token), sure=False))

    @precondition(lambda self: bool(self.world.sessions))
    @rule(pick=PICK)
    def user_prompts(self, pick: int) -> None:
        self._count("prompt")
        session_id, prompt_id = self._session(pick), self._id()
        asked = Prompt(
            prompt_id=prompt_id, session_id=session_id, text="go on", state=PromptState.QUEUED, at=self.clock
        )
        self.store.put_prompt(asked)

        def send() -> Callable[[], object]:
            life = self.store.life
            try:
                accepted = self.world.prompt(session_id, prompt_id, "go on")
            except Refused:
                return lambda: self.store.drop_prompt(session_id, prompt_id)
            return lambda: self.store.accepted(accepted, life)

        self.requests.append(Request(send, lambda: None, sure=True))

    @precondition(lambda self: any(task.status in ENDED for task in self.world.tasks.values()))
    @rule(pick=PICK)
    def user_prunes(self, pick: int) -> None:
        self._count("prune")
        ended = sorted(task_id for task_id, task in self.world.tasks.items() if task.status in ENDED)
        task_id = ended[pick % len(ended)]

        def send() -> Callable[[], object]:
            life = self.store.life
            try:
                self.world.prune(task_id)
            except Refused:
                return lambda: None
            return lambda: self.store.pruned(task_id, life)

        self.requests.append(Request(send, lambda: None, sure=False))

    @precondition(lambda self: self.store.task_list.horizon.edge is not None)
    @rule(at_once=st.booleans())
    def user_comes_to_the_end(self, at_once: bool) -> None:
        self._count("page")
        if (request := self._page_request()) is not None:
            if at_once:
                self.ahead = True
                self._send(request)
                self.answers.pop()[1]()
            else:
                self.requests.append(request)

    @rule(pick=PICK, limit=st.integers(min_value=1, max_value=4))
    def user_filters(self, pick: int, limit: int) -> None:
        self._count("filter")

        def send() -> Callable[[], object]:
            life = self.store.life
            page = self.world.find(lambda task: int(task.task_id[-2:], 16) % 3 == pick % 3, limit)
            return lambda: life == self.store.life and self.store.task_list.put_found(page, more=pick % 2 == 0)

        self.requests.append(Request(send, lambda: None, sure=False))

    @rule(chance=st.integers(min_value=0, max_value=3))
    def user_clears_the_filter(self, chance: int) -> None:
        if chance:
            return
        self._count("filter cleared")
        self.store.task_list.let_found_go()

    @precondition(lambda self: self._has_tasks())
    @rule(pick=PICK, kind=st.sampled_from(list(TopicKind)))
    def screen_opens(self, pick: int, kind: TopicKind) -> None:
        self._count("subscribe")
        topic = TASKS
        if kind is TopicKind.TASK:
            topic = task_topic(self._task(pick))
        elif kind is TopicKind.SESSION:
            topic = session_topic(self._session(pick))
        elif kind is TopicKind.LOG:
            topic = log_topic(self._task(pick))
        self.held.add(topic)

    @precondition(lambda self: len(self.held) > 1)
    @rule(pick=PICK, forget=st.booleans())
    def screen_closes(self, pick: int, forget: bool) -> None:
        self._count("leave")
        topics = sorted(self.held - {TASKS}, key=str)
        topic = topics[pick % len(topics)]
        self.held.discard(topic)
        self.connections.pop(topic, None)
        if forget:
            self.store.forget(topic)

    @rule(chance=st.integers(min_value=0, max_value=3))
    def quiet_comes(self, chance: int) -> None:
        """Everything under way arrives, every lost connection comes back: the store has to be what the server is."""
        if chance == 0:
            self._count("quiet")
            self._settle()

    # What must always hold.

    @invariant()
    def listeners_were_told_of_everything(self) -> None:
        if not self.store.is_dirty:
            assert self.shadow == dict(self.store.tasks)

    @invariant()
    def no_created_task_vanishes(self) -> None:
        for task_id in self.made - self.lost_with_database - self.world.pruned - self.store.tasks.keys():
            # Of those that have ended the backend may have left it out.
            assert self.world.tasks[task_id].status in ENDED, "a task that the user created is not shown"

    @invariant()
    def no_record_turns_back(self) -> None:
        if self.store.cursor(TASKS) is None:
            # Another topic found another database; the list begins anew when it connects next.
            self.revisions.clear()
            return
        for task_id, task in self.store.tasks.items():
            life, revision = self.revisions.get(task_id, (self.store.life, 0))
            if life == self.store.life:
                assert task.revision >= revision, "a record was replaced by an older one"
            self.revisions[task_id] = self.store.life, task.revision

    @invariant()
    def no_removed_task_comes_back(self) -> None:
        if self.store.cursor(TASKS) is None or self.store.life != self.life:
            self.life = self.store.life
            self.removed.clear()
            return
        assert not self.removed & self.store.tasks.keys(), "a removed task came back"
        # What a topic of its own has told of a task that the list has yet to hear of is no removal from the list.
        listed = self.store.task_list.removed.keys()
        self.removed |= {task_id for task_id in self.world.pruned & listed if self.store.gone(task_id)}

    @invariant()
    def transcripts_have_no_gaps(self) -> None:
        for topic in self.held:
            if topic.kind is TopicKind.SESSION:
                transcript = self.store.transcript(topic.id)
                assert [item.index for item in transcript] == list(range(len(transcript)))

    def teardown(self) -> None:
        self._settle()
        while self.store.task_list.horizon.edge is not None:
            self._read_page()
        self._compare()
        assert self.store.older == 0

    # Inside.

    def _id(self) -> str:
        return uuid7(lambda: self.world.now, self.rng.randbytes)

    def _committed(self, event: Event) -> None:
        connection = self.connections.get(event.topic)
        if connection is not None:
            connection.batches.append([event])

    def _told(self, changes: Changes) -> None:
        for task_id in changes.tasks:
            task = self.store.tasks.get(task_id)
            if task is None:
                self.shadow.pop(task_id, None)
            else:
                self.shadow[task_id] = task

    def _topics(self) -> list[Topic]:
        return sorted((topic for topic in self.held if not self.store.is_expected(topic)), key=str)

    def _streamed(self, topic: Topic) -> int:
        """How far the topic's stream has come, -1 when it has to begin with a snapshot."""
        cursor = self.store.cursor(topic)
        return -1 if cursor is None else parse_event_id(cursor)[1]

    def _lose_answers(self) -> None:
        """The backend died: whoever waited for an answer asks again, or does not."""
        answers, self.answers = self.answers, []
        for request, _ in answers:
            if request.sure:
                self.requests.append(request)
            else:
                request.lost()

    def _connection(self, pick: int) -> Connection:
        # The fullest ones: what happens to an empty line is not worth much.
        connections = sorted(self.connections.values(), key=lambda one: (-len(one.batches), str(one.topic)))
        return connections[pick % min(2, len(connections))]

    def _connect(self, topic: Topic) -> None:
        self.connections.pop(topic, None)
        self.store.open(topic)
        if not self.world.exists(topic):
            self.store.absent(topic)
            return
        events = self.world.begin(topic, self.store.cursor(topic), self.rng)
        self.connections[topic] = Connection(topic, [[event] for event in events])

    def _deliver(self, topic: Topic) -> None:
        connection = self.connections.get(topic)
        if connection is None or not connection.batches:
            return
        for event in connection.batches.pop(0):
            self.store.apply(topic, event.name, event.record, event.seq, event.database, 100)

    def _create_request(self, request: CreateTask) -> Request:
        task_id = request.task_id
        assert task_id is not None

        def send() -> Callable[[], object]:
            life = self.store.life
            try:
                task = self.world.create(request)
            except Refused as error:
                problem = error.problem
                return lambda: self.store.refused(task_id, problem)

            def answer() -> None:
                if not self.store.created(task, life) and task_id in self.store.creations:
                    self.requests.append(self._create_request(request))

            return answer

        return Request(send, lambda: None, sure=True)

    def _page_request(self) -> Request | None:
        """As whoever reads older tasks asks: for the page below the oldest of those that are held without gaps."""
        held = self.store.task_list
        if held.horizon.edge is None:
            return None
        last = held.last_without_gap

        def send() -> Callable[[], object]:
            life = self.store.life
            if last is None:
                whole = self.world.snapshot(TASKS).record
                assert isinstance(whole, TasksSnapshot)
                return lambda: life == self.store.life and held.put_page(whole, None)
            try:
                page = self.world.ended_before(last.task_id, PAGE)
            except Refused:
                return lambda: None
            return lambda: life == self.store.life and held.put_page(page, last)

        return Request(send, lambda: None, sure=False)

    def _read_page(self) -> None:
        request = self._page_request()
        assert request is not None, "nothing is held to read on from"
        assert request.send()(), "a page of now is refused"

    def _send(self, request: Request) -> None:
        self.answers.append((request, request.send()))

    def _settle(self) -> None:
        while self.requests or self.answers:
            for request in [self.requests.pop() for _ in range(len(self.requests))]:
                self._send(request)
            for _, answer in [self.answers.pop() for _ in range(len(self.answers))]:
                answer()
        for _ in range(2):
            # Twice: a topic that finds another database makes the others begin anew.
            for topic in self._topics():
                if topic not in self.connections or self.store.cursor(topic) is None:
                    self._connect(topic)
            for topic in list(self.connections):
                while topic in self.connections and self.connections[topic].batches:
                    self._deliver(topic)
        self.ahead = False
        while self.store.task_list.horizon.unsure:
            self._read_page()
        self.store.flush()
        self._compare()

    def _compare(self) -> None:
        self.counts.comparisons += 1
        world, store = self.world, self.store
        refused = {task_id for task_id, one in store.creations.items() if one.state is CreationState.REFUSED}
        assert set(store.creations) == refused, "a creation is still pending though everything was answered"
        shown = {task_id: task for task_id, task in store.tasks.items() if task_id not in refused}
        here = {task_id: summary_of(task) for task_id, task in world.tasks.items()}
        edge = store.task_list.horizon.edge
        left_out = {task_id for task_id, task in here.items() if task.status in ENDED and edge and age_of(task) < edge}
        assert here.keys() - left_out <= shown.keys()
        assert shown == {task_id: task for task_id, task in here.items() if task_id in shown}
        assert len(here) == len(shown) + store.older, "how many older ones there are"
        assert dict(store.repos) == world.repos
        for topic in self._topics():
            if topic.kind is TopicKind.TASK:
                if topic.id in world.tasks:
                    detail = store.detail(topic.id)
                    assert detail is not None
                    assert detail_of(detail, detail.history) == world.detail(topic.id)
                    assert not store.gone(topic.id)
                else:
                    assert store.detail(topic.id) is None
            elif topic.kind is TopicKind.SESSION:
                session = store.session(topic.id)
                if topic.id in world.sessions:
                    assert session is not None
                    state = world.sessions[topic.id]
                    assert {name: getattr(session, name) for name in state.__struct_fields__} == {
                        name: getattr(state, name) for name in state.__struct_fields__
                    }
                    assert list(store.transcript(topic.id)) == world.transcripts[topic.id]
                else:
                    assert session is None
                    assert not store.transcript(topic.id)
            elif topic.kind is TopicKind.LOG:
                assert list(store.log(topic.id)) == world.logs.get(topic.id, [])
