"""The one place that screens read from: what the backend committed, and what the user has just asked for.

Pure: no I/O, no tasks, the clock is passed in. Streams and answers are put in, listeners are told at `flush`.
All records are frozen; the mappings are to be read only, and to be asked for again after each flush.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from foundry_tui.client.changes import Changes, Dirt
from foundry_tui.client.creations import Creation, CreationState, new_creation, session_of, task_of
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.list_replica import TasksReplica
from foundry_tui.client.pending_changes import PendingChanges
from foundry_tui.client.replica import Life, Replica, only
from foundry_tui.client.replicas import LogReplica, One, SessionReplica, TaskReplica, as_listed
from foundry_tui.client.statistics import RefreshReason, TopicCounter
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.events import TASKS, EventName, Topic, TopicKind
from foundry_tui.contract.options import OptionValue
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import (
    HistoryEvent,
    LogLine,
    Prompt,
    Repo,
    SessionDetail,
    SessionSummary,
    TaskDetail,
    TaskSummary,
    summary_of,
)
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.transcript import TranscriptItem

R = TypeVar("R", bound=Replica)

_KINDS: dict[TopicKind, Callable[[Topic, Callable[[], Dirt], Life], Replica]] = {
    TopicKind.TASK: TaskReplica,
    TopicKind.SESSION: SessionReplica,
    TopicKind.LOG: LogReplica,
}


def wall_ms() -> int:
    """Milliseconds since the epoch by this machine's clock."""
    return time.time_ns() // 1_000_000


class Store:
    """What is known of tasks, sessions, logs and repositories, and how far it can be trusted.

    `on_dirty` is called once when there is something to flush.
    """

    def __init__(self, now_ms: Callable[[], int] = wall_ms) -> None:
        self.now_ms = now_ms
        self.on_dirty: Callable[[], None] | None = None
        self._life = Life()
        self._life.on_change = self._began_anew
        self.flushes = 0
        self._dirt: Dirt | None = None
        self._listeners: list[Callable[[Changes], None]] = []
        self._freshness: dict[Topic, Freshness] = {}
        self._pending = PendingChanges()
        self._details: dict[str, tuple[TaskDetail, TaskSummary | None, tuple[int, int], TaskDetail]] = {}
        self.task_list = TasksReplica(TASKS, self._dirty, self._life, self._decorate, self._made_real)
        self._replicas: dict[Topic, Replica] = {TASKS: self.task_list}

    # What screens read.

    @property
    def life(self) -> int:
        """Rises whenever the backend turns out to have another database than before."""
        return self._life.current

    @property
    def tasks(self) -> Mapping[str, TaskSummary]:
        """All tasks by id, with those that the user just created (they have revision 0)."""
        return self.task_list.shown

    @property
    def older(self) -> int:
        """How many tasks, all ended, the backend has beside these."""
        return self.task_list.horizon.left

    @property
    def creations(self) -> Mapping[str, Creation]:
        """The tasks that the user created and the backend has not confirmed, by task_id."""
        return self._pending.creations

    @property
    def repos(self) -> Mapping[str, Repo]:
        return self.task_list.repos

    def detail(self, task_id: str) -> TaskDetail | None:
        """The task whole, as far as its own topic and the list have it; for a creation one made of the request."""
        replica = self._find(TopicKind.TASK, task_id, TaskReplica)
        if replica is not None and replica.detail is not None:
            return self._whole(replica, replica.detail)
        made = self._pending.made.get(task_id)
        known = self.task_list.under.get(task_id) or self.task_list.shown.get(task_id)
        if made is None or known is None:
            return None
        guess = self._pending.answers.get(task_id) or task_of(made, self._repo_of(made.request))
        if known.revision > guess.revision:
            guess = replace(as_listed(guess, known), revision=known.revision)
        return self._pending.lay_over(guess)

    def session(self, session_id: str) -> SessionDetail | None:
        """The session with its prompts. Its `transcript` is left empty: ask `transcript()`, which copies nothing."""
        replica = self._find(TopicKind.SESSION, session_id, SessionReplica)
        known: SessionDetail | None = None
        if replica is not None and replica.state is not None:
            known = SessionDetail(**asdict(replica.state))
        elif replica is None or not replica.gone:
            known = self._expected_session(session_id)
        return None if known is None else self._pending.lay_over_session(known)

    def unset_options(self, session_id: str) -> frozenset[str]:
        """The options, by option_id, whose value is shown as it was asked for and not told by the backend yet."""
        return frozenset(one.option_id for one in self._pending.option_changes.get(session_id, ()))

    def transcript(self, session_id: str) -> Sequence[TranscriptItem]:
        """The conversation in the order of `index`, without gaps. It grows in place: keep no reference to it."""
        replica = self._find(TopicKind.SESSION, session_id, SessionReplica)
        return () if replica is None else replica.transcript

    def log(self, task_id: str) -> Sequence[LogLine]:
        """What providers printed, in the order of `index`. It grows in place: keep no reference to it."""
        replica = self._find(TopicKind.LOG, task_id, LogReplica)
        return () if replica is None else replica.lines

    def gone(self, task_id: str) -> bool:
        """Whether the task was removed: it is not merely unknown."""
        if task_id in self.task_list.shown:
            return False
        if task_id in self.task_list.removed:
            return True
        replica = self._find(TopicKind.TASK, task_id, TaskReplica)
        return replica is not None and replica.gone

    def freshness(self, topic: Topic = TASKS) -> Freshness:
        """How far what is held of a topic can be trusted; of what is only asked for yet, as far as the list."""
        if topic != TASKS and self.is_expected(topic):
            topic = TASKS
        known = self._freshness.get(topic)
        return known or Freshness(FreshnessState.STALE, self.now_ms(), reason="not subscribed")

    # Telling listeners.

    def listen(self, callback: Callable[[Changes], None]) -> Callable[[], None]:
        """Have `callback` told at each flush what changed; the answer ends that."""
        self._listeners.append(callback)

        def stop() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return stop

    @property
    def is_dirty(self) -> bool:
        """Whether a flush would tell anything."""
        return self._dirt is not None

    def flush(self) -> None:
        """Tell listeners once of everything that changed since the last flush."""
        now = self.now_ms()
        for replica in self._replicas.values():
            replica.counter.flushed(now)
        dirt, self._dirt = self._dirt, None
        if dirt is None:
            return
        self.flushes += 1
        closed = {id_ for id_ in self._details if not self.freshness(Topic(TopicKind.TASK, id_)).is_live}
        dirt.details |= dirt.tasks & closed
        for task_id in dirt.tasks & self._pending.made.keys():
            # What is shown of a task made here may still stand on its summary alone.
            dirt.details.add(task_id)
            dirt.sessions.add(self._pending.made[task_id].session_id)
        for session_id in dirt.sessions & self._pending.sessions:
            session = self._find(TopicKind.SESSION, session_id, SessionReplica)
            if session is not None and session.state is not None:
                self._pending.drop_shown(session.state)
        changes = dirt.freeze()
        for callback in tuple(self._listeners):
            callback(changes)

    # What streams put in.

    def open(self, topic: Topic) -> None:
        """A connection of the topic begins: what comes next is judged against what came before it."""
        self._replica(topic).open(self.now_ms())

    def apply(
        self, topic: Topic, name: EventName, record: Struct, seq: int, database: str = "local", size: int = 0
    ) -> bool:
        """Take one event of the topic's stream; the answer is whether anything changed. `size` is its bytes."""
        replica = self._replicas.get(topic)
        if replica is None:
            replica = self._replica(topic)
        return replica.receive(name, record, seq, database, size)

    def cursor(self, topic: Topic) -> str | None:
        """The event id to resume the topic from."""
        replica = self._replicas.get(topic)
        return None if replica is None else replica.cursor

    def counter(self, topic: Topic) -> TopicCounter:
        """The running counts of a topic."""
        return self._replica(topic).counter

    def absent(self, topic: Topic) -> None:
        """The backend knows no such topic: what it was about has been removed."""
        replica = self._replica(topic)
        if isinstance(replica, One):
            replica.end()

    def forget(self, topic: Topic) -> None:
        """Drop what is held of a topic that nobody looks at."""
        if topic != TASKS:
            self._replicas.pop(topic, None)
            self._freshness.pop(topic, None)
            self._details.pop(topic.id, None)

    def set_freshness(self, topic: Topic, freshness: Freshness) -> None:
        """Say how far a topic can be trusted; its connection is the one to say so."""
        if self._freshness.get(topic) != freshness:
            self._freshness[topic] = freshness
            self._dirty().freshness = True

    # What the user asked for.

    def create(self, request: CreateTask, defaults: TaskDefaults | None = None) -> Creation:
        """Show a task that has not been answered yet; `request` has its task_id and session_id."""
        if request.task_id is None or request.session_id is None:
            raise ValueError("a creation needs the ids of its task and its session")
        creation = new_creation(request, self.now_ms(), defaults)
        self.put_creation(creation)
        return creation

    def created(self, task: TaskDetail, life: int | None = None) -> bool:
        """The answer to a create. False when the database has changed since `life`: ask again with the same id."""
        if life is not None and life != self.life:
            return False
        self.answered(task)
        self._made_real(task.task_id)
        return True

    def refused(self, task_id: str, problem: Problem) -> None:
        """The backend refused a creation: it stays, with the reason, until it is retried or discarded."""
        creation = self._pending.creations.get(task_id)
        if creation is not None:
            self.put_creation(replace(creation, state=CreationState.REFUSED, problem=problem))

    def put_off(self, task_id: str, problem: Problem) -> None:
        """The backend cannot take a creation now, for this reason; it stays pending."""
        creation = self._pending.creations.get(task_id)
        if creation is not None and creation.state is CreationState.PENDING and creation.problem != problem:
            self.put_creation(replace(creation, problem=problem))

    def retry_creation(self, task_id: str) -> Creation | None:
        """A refused creation is pending again; None when there is none."""
        creation = self._pending.creations.get(task_id)
        if creation is None:
            return None
        creation = replace(creation, state=CreationState.PENDING, problem=None)
        self.put_creation(creation)
        return creation

    def discard_creation(self, task_id: str) -> None:
        """Drop a creation that the backend did not confirm."""
        if task_id in self._pending.creations:
            self._made_real(task_id)
            self._pending.forget_creation(task_id)
            self.task_list.shown.pop(task_id, None)
            self.task_list.under.pop(task_id, None)
            dirt = self._dirty()
            dirt.tasks.add(task_id)
            dirt.details.add(task_id)

    def edit(
        self,
        task_id: str,
        *,
        title: str | None = None,
        unread: bool | None = None,
        session: SessionSummary | None = None,
    ) -> int:
        """Show a change before the backend has made it; the answer is the token to `settle` it with."""
        edit = self._pending.add_edit(task_id, title, unread, session)
        self._redecorate(task_id)
        return edit.token

    def settle(self, task_id: str, token: int) -> None:
        """The backend has answered: what it committed is shown from now on."""
        self._pending.drop_edit(task_id, token)
        self._redecorate(task_id)

    def session_made(self, token: int, session: SessionSummary, life: int | None = None) -> None:
        """The answer to a request for a session: it is shown as answered until the task's own record has it."""
        if life is not None and life != self.life:
            self.settle(session.task_id, token)
            return
        self._pending.answer_session(token, session)
        self._redecorate(session.task_id)

    def task_of_session(self, session_id: str) -> str | None:
        """The task that a session belongs to, as far as is known."""
        pending = self._pending.session_edit(session_id) or self._pending.made_session(session_id)
        if pending is not None:
            return pending.task_id
        replica = self._find(TopicKind.SESSION, session_id, SessionReplica)
        return None if replica is None or replica.state is None else replica.state.task_id

    def answered(self, task: TaskDetail, life: int | None = None) -> None:
        """A task as the answer to a command has it; dropped when the database has changed since `life`."""
        if life is not None and life != self.life:
            return
        seq = max((event.seq for event in task.history), default=-1)
        if self.task_list.put(summary_of(task), seq):
            self.task_list.counter.touched = RefreshReason.MUTATION
        replica = self._find(TopicKind.TASK, task.task_id, TaskReplica)
        if replica is None or replica.database is None:
            # Kept beside the replica, which starts from what its own stream says.
            if task.task_id in self._pending.made:
                self._pending.answers[task.task_id] = task
                self._dirty().details.add(task.task_id)
        elif not replica.gone and replica.put(task):
            replica.counter.touched = RefreshReason.MUTATION

    def pruned(self, task_id: str, life: int | None = None) -> None:
        """The backend has removed the task at the user's request; of no account when it has another database by now."""
        if life is not None and life != self.life:
            return
        self.task_list.is_gone(task_id)
        replica = self._find(TopicKind.TASK, task_id, TaskReplica)
        if replica is not None:
            replica.end()

    def add_history(self, task_id: str, events: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
        """Older history that was asked for; the answer is all that is held now."""
        replica = self._find(TopicKind.TASK, task_id, TaskReplica)
        if replica is None:
            return events
        replica.add_history(events)
        return tuple(replica.history)

    def put_prompt(self, prompt: Prompt) -> None:
        """Show a prompt until the backend's own record of the session has it."""
        self._pending.put_prompt(prompt)
        self._dirty().sessions.add(prompt.session_id)

    def accepted(self, prompt: Prompt, life: int | None = None) -> None:
        """The answer to a prompt; one that another database than the present one has accepted is not kept."""
        if life is not None and life != self.life:
            self.drop_prompt(prompt.session_id, prompt.prompt_id)
            return
        self._pending.accepted[prompt.prompt_id] = prompt.session_id
        self.put_prompt(prompt)

    def drop_prompt(self, session_id: str, prompt_id: str) -> None:
        """Show a prompt no longer, unless the backend has it."""
        if self._pending.drop_prompt(session_id, prompt_id):
            self._dirty().sessions.add(session_id)

    def change_prompt(self, session_id: str, prompt_id: str, text: str | None) -> int:
        """Show another text of a queued prompt (None: it is withdrawn); the answer is the token of the change."""
        session = self.session(session_id)
        prompts = () if session is None else session.prompts
        shown = {prompt.text for prompt in prompts if prompt.prompt_id == prompt_id}
        self._dirty().sessions.add(session_id)
        return self._pending.change_prompt(session_id, prompt_id, text, shown)

    def settle_prompt_change(self, session_id: str, token: int, life: int | None) -> None:
        """The backend made the change in this `life`: it is shown until the session's record has it. None: not made."""
        self._pending.settle_prompt_change(session_id, token, made=life == self.life)
        self._dirty().sessions.add(session_id)

    def change_option(self, session_id: str, option_id: str, value: OptionValue) -> int:
        """Show another value of an option; the answer is the token of the change."""
        self._dirty().sessions.add(session_id)
        return self._pending.change_option(session_id, option_id, value)

    def settle_option(self, session_id: str, token: int, revision: int | None) -> None:
        """The change is shown until the session's record has come to this revision; None: it was not made."""
        self._pending.settle_option(session_id, token, revision)
        self._dirty().sessions.add(session_id)

    def is_expected(self, topic: Topic) -> bool:
        """Whether the topic is about something that the user asked for and the backend is not known to have."""
        if topic.kind is TopicKind.SESSION:
            return self._pending.expects_session(topic.id)
        return topic.id in self._pending.creations

    # Inside.

    def _dirty(self) -> Dirt:
        dirt = self._dirt
        if dirt is None:
            dirt = self._dirt = Dirt()
            if self.on_dirty is not None:
                self.on_dirty()
        return dirt

    def _began_anew(self) -> None:
        for task_id in self._pending.forget_answers():
            self._redecorate(task_id)

    def _replica(self, topic: Topic) -> Replica:
        replica = self._replicas.get(topic)
        if replica is None:
            replica = self._replicas[topic] = _KINDS[topic.kind](topic, self._dirty, self._life)
        return replica

    def _find(self, kind: TopicKind, id_: str, type_: type[R]) -> R | None:
        replica = self._replicas.get(Topic(kind, id_))
        return replica if isinstance(replica, type_) else None

    def _whole(self, replica: TaskReplica, detail: TaskDetail) -> TaskDetail:
        task_id = replica.topic.id
        listed = self.task_list.under.get(task_id) or self.task_list.shown.get(task_id)
        newer = listed if listed is not None and listed.revision > detail.revision else None
        cached, counts = self._details.get(task_id), (len(replica.history), self._pending.edition)
        if cached is not None and cached[0] is detail and cached[1] is newer and cached[2] == counts:
            return cached[3]
        newest = detail if newer is None else as_listed(detail, newer)
        whole = self._pending.lay_over(replace(newest, history=tuple(replica.history)))
        self._details[task_id] = (detail, newer, counts, whole)
        return whole

    def _expected_session(self, session_id: str) -> SessionDetail | None:
        made = self._pending.made_session(session_id)
        summary: SessionSummary | None = None
        if made is not None:
            guess = session_of(made)
            task = self.task_list.shown.get(made.task_id)
            if task is None:
                return None
            summary = next((known for known in task.sessions if known.session_id == session_id), None)
            if summary is None or summary.revision == 0:
                return guess
            return replace(guess, **{name: getattr(summary, name) for name in SessionSummary.__struct_fields__})
        pending = self._pending.session_edit(session_id)
        summary = None if pending is None else pending.session
        return None if summary is None else SessionDetail(**asdict(summary))

    def _repo_of(self, request: CreateTask) -> Repo | None:
        known = self.task_list.repos.values()
        return next((repo for repo in known if request.repo in (repo.repo_id, repo.path, repo.remote)), None)

    def put_creation(self, creation: Creation) -> None:
        """Show a creation as it is now, also one that an earlier run of the app left unsettled."""
        task_id = creation.task_id
        self._pending.put_creation(creation)
        self.task_list.created.add(task_id)
        held = self.task_list.shown.get(task_id)
        if held is None or held.revision == 0:
            shown = only(TaskSummary, summary_of(task_of(creation, self._repo_of(creation.request))))
            self.task_list.shown[task_id] = self._pending.lay_over(shown)
            if task_id in self.task_list.edited:
                self.task_list.under[task_id] = shown
        dirt = self._dirty()
        dirt.creations.add(task_id)
        dirt.tasks.add(task_id)

    def _made_real(self, task_id: str) -> None:
        self.task_list.created.discard(task_id)
        if self._pending.creations.pop(task_id, None) is not None:
            self._dirty().creations.add(task_id)

    def _decorate(self, task: TaskSummary) -> TaskSummary:
        self._pending.confirm(task)
        return self._pending.lay_over(task)

    def _redecorate(self, task_id: str) -> None:
        tasks = self.task_list
        held = tasks.shown.get(task_id)
        if task_id in self._pending.edits:
            if held is not None and task_id not in tasks.edited:
                tasks.under[task_id] = held
            tasks.edited.add(task_id)
            if task_id in tasks.under:
                tasks.shown[task_id] = self._decorate(tasks.under[task_id])
        elif task_id in tasks.edited:
            tasks.edited.discard(task_id)
            true = tasks.under.pop(task_id, None)
            if true is not None and held is not None:
                tasks.shown[task_id] = true
        dirt = self._dirty()
        dirt.tasks.add(task_id)
        dirt.details.add(task_id)
