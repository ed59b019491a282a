"""Streams and subscriptions in simulated time: rules 5 and 6, and what the mark of freshness may claim."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import httpx
import pytest

from foundry_tui.client.backoff import PROVEN_AFTER
from foundry_tui.client.connection import Target, make_http
from foundry_tui.client.connection_state import ConnectionChange, ConnectionState
from foundry_tui.client.freshness import STALE_AFTER, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.client.stream import EventStream, StreamEvent
from foundry_tui.client.subscriptions import IDLE_KEPT, Subscriptions
from foundry_tui.contract.events import SILENCE_LIMIT, TASKS, EventName
from foundry_tui.contract.records import summary_of
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from tests.client.fake_backend import FakeBackend, log_topic, session_topic, task_topic
from tests.client.loop import simulate
from tests.client.transport import Backend, frame, until

REQUEST = CreateTask(repo="/repo", prompt="Mend it", task_id="task-1", session_id="session-1")


class Client:
    """A store with its subscriptions, and nothing else."""

    def __init__(self, backend: Backend, seed: int = 1) -> None:
        self.backend = backend
        self.store = Store(lambda: int(anyio.current_time() * 1000))
        self.http = make_http(Target("http://localhost"), backend)
        self.subscriptions = Subscriptions(self.store, self.http, rng=random.Random(seed))

    def state(self) -> FreshnessState:
        return self.store.freshness().state

    def up_to_date(self) -> bool:
        true = {task_id: summary_of(task) for task_id, task in self.backend.world.tasks.items()}
        return dict(self.store.tasks) == true


def with_client(test: Callable[[Client], Awaitable[None]], backend: Backend | None = None) -> None:
    """Run a test in simulated time with a client whose subscriptions are open."""

    async def main() -> None:
        client = Client(backend or Backend())
        async with client.http, anyio.create_task_group() as group:
            await group.start(client.subscriptions.run)
            await test(client)
            group.cancel_scope.cancel()
        assert client.backend.streams() == 0, "a connection outlived its client"

    simulate(main)


# Rule 5


def test_rule_5_one_connection_a_topic_however_many_subscribers() -> None:
    async def test(client: Client) -> None:
        releases = [client.subscriptions.hold(TASKS) for _ in range(5)]
        await until(lambda: client.state() is FreshnessState.LIVE)
        assert client.backend.streams() == 1
        assert client.subscriptions.topics()[0].listeners == 5
        for release in releases:
            release()
            release()
        assert client.subscriptions.topics()[0].listeners == 0

    with_client(test)


def test_rule_5_a_topic_is_closed_30_s_after_the_last_subscriber_left() -> None:
    async def test(client: Client) -> None:
        release = client.subscriptions.hold(TASKS)
        await anyio.sleep(1)
        release()
        await anyio.sleep(29)
        assert client.backend.streams() == 1
        client.subscriptions.hold(TASKS)()
        await anyio.sleep(29)
        assert client.backend.streams() == 1, "coming back starts the grace time anew"
        await anyio.sleep(2)
        assert client.backend.streams() == 0
        assert client.store.freshness().state is FreshnessState.STALE
        client.backend.world.create(REQUEST)
        client.subscriptions.hold(TASKS)
        await until(client.up_to_date)
        assert client.backend.snapshots == 1, "coming back resumes"

    with_client(test)


def test_nothing_is_connected_that_is_not_on_screen() -> None:
    async def test(client: Client) -> None:
        client.backend.world.create(REQUEST)
        client.subscriptions.hold(TASKS)
        await anyio.sleep(120)
        assert {call.topic for call in client.backend.calls} == {"tasks"}
        assert len(client.backend.calls) == 1, "an idle connection is stable"

    with_client(test)


def test_a_connection_that_drops_during_the_grace_time_leaves_no_topic_in_error() -> None:
    async def test(client: Client) -> None:
        release = client.subscriptions.hold(TASKS)
        await anyio.sleep(1)
        release()
        await anyio.sleep(1)
        client.backend.cut_all()
        client.backend.down = True
        await anyio.sleep(10)
        client.backend.down = False
        client.subscriptions.hold(TASKS)
        await until(lambda: client.state() is FreshnessState.LIVE)

    with_client(test)


def test_leaving_while_connecting_leaks_no_connection() -> None:
    async def test(client: Client) -> None:
        client.backend.hang = True
        release = client.subscriptions.hold(TASKS)
        await anyio.sleep(1)
        release()
        await anyio.sleep(31)
        client.backend.hang = False
        await anyio.sleep(60)
        assert client.backend.streams() == 0
        assert len(client.backend.calls) < 5
        client.subscriptions.hold(TASKS)
        await until(lambda: client.state() is FreshnessState.LIVE)
        assert client.backend.streams() == 1

    with_client(test)


def test_the_data_of_topics_long_left_is_forgotten() -> None:
    async def test(client: Client) -> None:
        for number in range(IDLE_KEPT + 8):
            task_id = f"task-{number}"
            client.backend.world.create(CreateTask(repo="/r", prompt="p", task_id=task_id, session_id=f"s-{number}"))
            release = client.subscriptions.hold(task_topic(task_id))
            await anyio.sleep(1)
            release()
        await anyio.sleep(60)
        assert len(client.subscriptions.topics()) == IDLE_KEPT
        assert client.store.detail("task-0") is None
        assert client.store.detail(f"task-{IDLE_KEPT + 7}") is not None

    with_client(test)


def test_a_topic_that_the_backend_does_not_know_is_gone_and_not_asked_for_again() -> None:
    async def test(client: Client) -> None:
        client.subscriptions.hold(task_topic("unknown"))
        client.subscriptions.hold(session_topic("unknown"))
        await anyio.sleep(120)
        assert client.store.gone("unknown")
        assert len(client.backend.calls) == 2
        assert {topic.link for topic in client.subscriptions.topics()} == {"gone"}

    with_client(test)


def test_a_task_removed_while_on_screen_is_gone() -> None:
    async def test(client: Client) -> None:
        world = client.backend.world
        world.create(REQUEST)
        client.subscriptions.hold(task_topic("task-1"))
        await until(lambda: client.store.detail("task-1") is not None)
        for status in ("kill_destroy_sandbox", "killed"):
            world.move("task-1", type(world.tasks["task-1"].status)(status))
        world.prune("task-1")
        await until(lambda: client.store.gone("task-1"))
        await anyio.sleep(60)
        assert len(client.backend.calls) == 1

    with_client(test)


def test_what_a_restored_copy_brings_back_is_connected_again() -> None:
    topics = [TASKS, task_topic("task-1"), session_topic("session-1"), log_topic("task-1")]

    async def test(client: Client) -> None:
        world = client.backend.world
        world.create(REQUEST)
        copy = world.copy()
        for topic in topics:
            client.subscriptions.hold(topic)
        await until(lambda: client.backend.streams() == 4)
        world.move("task-1", TaskStatus.KILLING)
        world.move("task-1", TaskStatus.KILLED)
        world.prune("task-1")
        await until(lambda: client.store.gone("task-1"))
        await anyio.sleep(1)
        copy.database = "db2"
        client.backend.replace_world(copy)
        await until(lambda: "task-1" in client.store.tasks)
        client.store.flush()
        await until(lambda: client.backend.streams() == 4)
        await until(lambda: client.store.detail("task-1") == copy.detail("task-1"))
        session = client.store.session("session-1")
        assert session is not None
        assert session.prompts == copy.sessions["session-1"].prompts

    with_client(test)


def test_a_page_of_something_in_between_removes_nothing() -> None:
    async def test(client: Client) -> None:
        client.backend.world.create(REQUEST)
        client.subscriptions.hold(task_topic("task-1"))
        await until(lambda: client.store.detail("task-1") is not None)
        client.backend.page = 404, b"<html>Not found: the backend is being restarted"
        client.backend.cut_all()
        await anyio.sleep(20)
        assert not client.store.gone("task-1")
        assert client.store.freshness(task_topic("task-1")).state is FreshnessState.STALE
        client.backend.page = None
        await until(lambda: client.backend.streams() == 1)

    with_client(test)


def test_a_topic_of_a_pending_creation_is_connected_only_when_the_task_exists() -> None:
    async def test(client: Client) -> None:
        client.subscriptions.hold(TASKS)
        client.store.create(REQUEST)
        client.subscriptions.hold(task_topic("task-1"))
        client.subscriptions.hold(session_topic("session-1"))
        await anyio.sleep(20)
        assert [call.topic for call in client.backend.calls] == ["tasks"]
        assert client.store.freshness(task_topic("task-1")).state is FreshnessState.LIVE, "as the list is"
        client.backend.world.create(REQUEST)
        await anyio.sleep(0.1)
        client.store.flush()
        await until(lambda: client.backend.streams() == 3)
        await until(lambda: client.store.detail("task-1") == client.backend.world.detail("task-1"))

    with_client(test)


# Rule 6


def test_rule_6_waits_double_to_15_s_with_full_jitter() -> None:
    waits: list[float] = []

    async def main() -> None:
        backend = Backend()
        backend.down = True

        def told(change: ConnectionChange) -> None:
            if change.retry_in is not None:
                waits.append(change.retry_in)

        async with make_http(Target("http://localhost"), backend) as http:
            for seed in range(200):
                stream = EventStream(http, TASKS, on_change=told, rng=random.Random(seed))
                with anyio.move_on_after(60):
                    await stream.run(lambda event: None)
                attempts.append(len(waits) - sum(attempts))

    attempts: list[int] = []
    simulate(main)
    by_attempt: dict[int, list[float]] = {}
    position = 0
    for count in attempts:
        for number, wait in enumerate(waits[position : position + count]):
            by_attempt.setdefault(number, []).append(wait)
        position += count
    for number in range(9):
        limit = min(15, 0.25 * 2**number)
        longest, shortest = max(by_attempt[number]), min(by_attempt[number])
        assert limit * 0.9 < longest <= limit
        assert shortest < limit * 0.1


def test_rule_6_a_stream_that_dies_at_once_counts_as_a_failure() -> None:
    async def test(client: Client) -> None:
        client.backend.die_at_once = True
        client.subscriptions.hold(TASKS)
        await anyio.sleep(600)
        assert len(client.backend.calls) < 120, "the waits go on growing"
        client.backend.die_at_once = False
        await until(lambda: client.state() is FreshnessState.LIVE)
        await anyio.sleep(10)
        client.backend.cut_all()
        await anyio.sleep(0.3)
        assert client.state() is FreshnessState.LIVE, "one that lived is tried again soon"

    with_client(test)


def test_rule_6_a_reconnect_asks_for_one_snapshot_at_most_and_for_none_when_it_can_resume() -> None:
    async def test(client: Client) -> None:
        client.subscriptions.hold(TASKS)
        await anyio.sleep(1)
        for turn in range(20):
            if turn % 4 == 3:
                client.backend.world.forget_log()
            client.backend.cut_all()
            await anyio.sleep(20)
        counter = client.store.counter(TASKS)
        assert counter.snapshots <= counter.connections
        assert counter.snapshots == 1, "nothing was missed, so even a forgotten log can be resumed"

    with_client(test)


def test_rule_6_the_user_or_the_network_ends_a_wait() -> None:
    async def test(client: Client) -> None:
        client.backend.down = True
        client.subscriptions.hold(TASKS)
        client.subscriptions.hold(task_topic("task-1"))
        client.backend.world.create(REQUEST)
        await anyio.sleep(100)
        client.backend.down = False
        began = anyio.current_time()
        client.subscriptions.reconnect()
        await until(lambda: client.backend.streams() == 2)
        assert anyio.current_time() - began < 0.1

    with_client(test)


def test_rule_6_status_never_claims_live_while_a_retry_is_pending() -> None:
    wrong: list[str] = []

    async def test(client: Client) -> None:
        rng = random.Random(5)
        backend = client.backend
        client.subscriptions.hold(TASKS)

        def look(*_: object) -> None:
            link = client.subscriptions.topics()[0]
            if link.freshness.state is FreshnessState.LIVE and link.link != ConnectionState.LIVE:
                wrong.append(link.link)
            if link.freshness.retry_at is not None and link.freshness.state is FreshnessState.LIVE:
                wrong.append("retry pending")

        client.store.on_dirty = look
        for _ in range(400):
            match rng.randrange(6):
                case 0:
                    backend.cut_all()
                case 1:
                    backend.down = not backend.down
                    backend.cut_all()
                case 2:
                    backend.die_at_once = not backend.die_at_once
                case 3:
                    for line in backend.lines:
                        line.stalled = True
                case _:
                    backend.world.create(
                        CreateTask(repo="/r", prompt="p", task_id=f"t{rng.random()}", session_id=f"s{rng.random()}")
                    )
            await anyio.sleep(rng.choice([0, 0.01, 0.2, 3]))
            look()
            client.store.flush()
            if client.state() is FreshnessState.LIVE:
                assert backend.streams(TASKS) == 1

    with_client(test)
    assert not wrong


def test_freshness_goes_from_reconnecting_to_offline_and_back() -> None:
    async def test(client: Client) -> None:
        assert client.state() is FreshnessState.STALE
        client.subscriptions.hold(TASKS)
        await until(lambda: client.state() is FreshnessState.LIVE)
        client.backend.refuse = 503
        client.backend.cut_all()
        await anyio.sleep(0.001)
        assert client.state() is FreshnessState.RECONNECTING
        await anyio.sleep(60)
        freshness = client.store.freshness()
        assert freshness.state is FreshnessState.STALE
        assert freshness.reason == "not now"
        client.backend.refuse, client.backend.down = None, True
        await anyio.sleep(60)
        assert client.state() is FreshnessState.OFFLINE
        client.backend.down = False
        await until(lambda: client.state() is FreshnessState.LIVE)

    with_client(test)


def test_reconnecting_becomes_stale_when_its_time_has_come_and_not_at_the_next_attempt() -> None:
    told: list[tuple[float, FreshnessState]] = []

    async def test(client: Client) -> None:
        client.subscriptions.hold(TASKS)
        await until(lambda: client.state() is FreshnessState.LIVE)
        client.store.flush()
        for why, seconds in (("refused", 100), ("hung", 100), ("refused", 6), ("refused", 100)):
            if why == "hung":
                client.backend.hang = True
            else:
                # One long wait between two attempts, in which nothing happens.
                client.backend.refuse, client.backend.retry_after = 503, "50"
            client.store.on_dirty = lambda: told.append((anyio.current_time(), client.state()))
            lost_at = anyio.current_time()
            client.backend.cut_all()
            await anyio.sleep(STALE_AFTER - 0.01)
            assert client.state() is FreshnessState.RECONNECTING
            client.store.flush()
            told.clear()
            await anyio.sleep(0.02)
            ((told_at, state),) = told
            assert (round(told_at - lost_at, 3), state) == (STALE_AFTER, FreshnessState.STALE)
            freshness = client.store.freshness()
            assert freshness.since <= lost_at * 1000 <= freshness.since + 20_000, "since it was last heard from"
            await anyio.sleep(seconds)
            assert client.state() is FreshnessState.STALE
            client.backend.hang, client.backend.refuse, client.backend.retry_after = False, None, None
            client.subscriptions.reconnect()
            await until(lambda: client.state() is FreshnessState.LIVE)
            client.store.flush()

    with_client(test)


def test_a_loss_that_ended_in_time_leaves_nothing_that_would_age_the_next_one() -> None:
    async def test(client: Client) -> None:
        client.subscriptions.hold(TASKS)
        await until(lambda: client.state() is FreshnessState.LIVE)
        for _ in range(30):
            client.backend.down = True
            client.backend.cut_all()
            await anyio.sleep(1)
            client.backend.down = False
            client.subscriptions.reconnect()
            await until(lambda: client.state() is FreshnessState.LIVE)
            for _ in range(7):
                await anyio.sleep(0.15)
                assert client.state() is FreshnessState.LIVE
        release = client.subscriptions.hold(task_topic("other"))
        client.backend.world.create(CreateTask(repo="/r", prompt="p", task_id="other", session_id="s"))
        client.backend.down = True
        client.backend.cut_all()
        release()
        await anyio.sleep(60)
        assert {topic.link for topic in client.subscriptions.topics()} == {"retrying", "closed"}

    with_client(test)


def test_a_topic_that_never_stood_is_not_called_reconnecting_for_ever() -> None:
    async def test(client: Client) -> None:
        client.backend.refuse = 503
        client.subscriptions.hold(TASKS)
        await anyio.sleep(STALE_AFTER - 0.5)
        assert client.state() is FreshnessState.RECONNECTING
        await anyio.sleep(1)
        assert client.state() is FreshnessState.STALE

    with_client(test)


def test_a_stream_that_fell_silent_is_stale_until_another_one_stands() -> None:
    seen: set[FreshnessState] = set()

    async def test(client: Client) -> None:
        client.subscriptions.hold(TASKS)
        await until(lambda: client.state() is FreshnessState.LIVE)
        client.backend.lines[0].stalled = True
        client.backend.refuse = 503
        await until(lambda: client.state() is FreshnessState.STALE)
        for _ in range(200):
            await anyio.sleep(0.1)
            seen.add(client.state())
        client.backend.refuse = None
        await until(lambda: client.state() is FreshnessState.LIVE)

    with_client(test)
    assert seen == {FreshnessState.STALE}, "it does not seem better while it is replaced"


def test_rule_6_waits_double_too_when_each_attempt_takes_seconds_to_fail() -> None:
    changes: list[ConnectionChange] = []

    class Blackhole(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep(PROVEN_AFTER)
            raise httpx.ConnectTimeout("")

    async def main() -> None:
        async with make_http(Target("http://localhost"), Blackhole()) as http:
            with anyio.move_on_after(120):
                await EventStream(http, TASKS, on_change=changes.append).run(lambda event: None)

    simulate(main)
    failures = [change.failures for change in changes if change.state is ConnectionState.RETRYING]
    assert failures == list(range(1, len(failures) + 1))


def test_a_hung_stream_is_doubted_then_replaced() -> None:
    async def test(client: Client) -> None:
        client.subscriptions.hold(TASKS)
        await anyio.sleep(1)
        silent_since = anyio.current_time()
        client.backend.lines[0].stalled = True
        client.backend.world.create(REQUEST)
        await anyio.sleep(12.5)
        freshness = client.store.freshness()
        assert freshness.state is FreshnessState.STALE
        assert abs(freshness.since - silent_since * 1000) < 1500, "since it was last heard from"
        await until(client.up_to_date)
        assert anyio.current_time() - silent_since < SILENCE_LIMIT + 1
        assert client.backend.streams() == 1
        assert client.backend.snapshots == 1

    with_client(test)


def test_a_backend_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    async def test(client: Client) -> None:
        client.backend.hang = True
        client.subscriptions.hold(TASKS)
        await anyio.sleep(SILENCE_LIMIT + 1)
        client.backend.hang = False
        await until(lambda: client.state() is FreshnessState.LIVE)

    with_client(test)


def test_the_backends_wish_to_be_left_alone_is_respected() -> None:
    async def test(client: Client) -> None:
        client.backend.refuse, client.backend.retry_after = 429, "20"
        client.subscriptions.hold(TASKS)
        await anyio.sleep(19)
        assert len(client.backend.calls) == 1

    with_client(test)


# 200 clients


@pytest.mark.slow
def test_200_clients_and_a_backend_that_restarts_make_no_storm(tell: Callable[[str], None]) -> None:
    figures: list[str] = []

    async def main() -> None:
        backend = Backend()
        backend.world.create(REQUEST)
        clients = [Client(backend, seed) for seed in range(200)]
        async with anyio.create_task_group() as group:
            for client in clients:
                await group.start(client.subscriptions.run)
                client.subscriptions.hold(TASKS)
            await until(lambda: backend.streams() == 200)
            backend.calls.clear()
            backend.snapshots = 0
            restarts = 3
            for turn in range(restarts):
                backend.down = True
                backend.cut_all()
                lost_at = anyio.current_time()
                await anyio.sleep(4 + turn)
                backend.world.create(CreateTask(repo="/r", prompt="p", task_id=f"t{turn}", session_id=f"s{turn}"))
                backend.down = False
                back_at = anyio.current_time()
                await until(lambda: backend.streams() == 200)
                taken = anyio.current_time() - back_at
                assert anyio.current_time() - lost_at < 40
                tenths = Counter(int((call.at - back_at) * 10) for call in backend.calls if call.at >= back_at)
                assert sum(tenths.values()) == 200, "each client came back with one connection"
                assert max(tenths.values()) <= 40, "they did not come back together"
                figures.append(f"{taken:.1f} s, at most {max(tenths.values())} in 0.1 s")
                await anyio.sleep(30)
            assert backend.snapshots == 0
            assert all(client.up_to_date() for client in clients)
            # A backend that dies on every stream at once is asked ever less.
            backend.calls.clear()
            backend.die_at_once = True
            backend.cut_all()
            await anyio.sleep(150)
            late = [call for call in backend.calls if call.at > anyio.current_time() - 60]
            assert len(late) <= 200 * 60 / 7.5 * 1.2
            assert backend.snapshots == 0, "and never for a snapshot"
            figures.append(f"a crash loop: {len(late) / 60:.0f} calls/s from 200 clients")
            group.cancel_scope.cancel()

    simulate(main)
    tell(f"200 clients, 3 restarts: {'; '.join(figures)}")


# The wire


class Script(httpx.AsyncBaseTransport):
    """Answers each stream with the next list of chunks; a number is a pause in seconds, an exception is raised."""

    def __init__(self, *answers: list[bytes | float | Exception]) -> None:
        self.answers = list(answers)
        self.headers: list[httpx.Headers] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        silence: list[bytes | float | Exception] = [1e9]
        chunks = self.answers.pop(0) if self.answers else silence
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=_Chunks(chunks))


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes | float | Exception]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            if isinstance(chunk, float):
                await anyio.sleep(chunk)
            else:
                yield chunk


def events_of(script: Script, count: int, seconds: float = 100) -> list[StreamEvent]:
    """The first so many events that a stream gives of a script."""
    taken: list[StreamEvent] = []

    async def main() -> None:
        async with make_http(Target("http://localhost"), script) as http:
            with anyio.move_on_after(seconds) as scope:

                def take(event: StreamEvent) -> None:
                    taken.append(event)
                    if len(taken) == count:
                        scope.cancel()

                await EventStream(http, TASKS).run(take)

    simulate(main)
    return taken[:count]


def wire_of(*texts: str) -> list[bytes]:
    """A snapshot, then a task for each title."""
    world = FakeBackend()
    sent = [frame(world.snapshot(TASKS))]
    world.listeners.append(lambda event: sent.append(frame(event)) if event.topic == TASKS else None)
    for number, text in enumerate(texts):
        world.create(CreateTask(repo="/r", prompt="p", task_id=f"t{number}", session_id=f"s{number}", title=text))
    return [chunk for chunk in sent if b"event: repo" not in chunk]


def test_text_with_separators_and_every_script_comes_through_in_pieces_of_one_byte() -> None:
    title = "a\u2028b\u0085c\u2029 日本 🦀 é"
    whole = b"".join(wire_of(title))
    pieces: list[bytes | float | Exception] = [whole[at : at + 1] for at in range(len(whole))]
    events = events_of(Script(pieces), 2)
    assert getattr(events[1].record, "title", None) == title
    assert sum(event.size for event in events) == len(whole)


def test_a_cut_in_the_middle_of_an_event_gives_no_half_event_and_resumes_before_it() -> None:
    snapshot, first, second = wire_of("one", "two")
    script = Script([snapshot, first, second[:-30]], [1e9])
    events = events_of(script, 9, seconds=5)
    assert [event.name for event in events] == [EventName.SNAPSHOT, EventName.TASK]
    assert "Last-Event-ID" not in script.headers[0]
    assert script.headers[1]["Last-Event-ID"] == f"db1-{events[1].seq}"


def test_unknown_events_and_comments_are_passed_over() -> None:
    snapshot, task = wire_of("one")
    noise = b": hello\n\nevent: novelty\nid: db1-2\ndata: {}\n\n"
    events = events_of(Script([snapshot, noise, task]), 2)
    assert [event.name for event in events] == [EventName.SNAPSHOT, EventName.TASK]


def test_an_event_that_cannot_be_read_is_answered_by_a_snapshot_and_not_for_ever() -> None:
    snapshot, task = wire_of("one")
    broken = b"id: db1-9\nevent: task\ndata: {broken\n\n"
    script = Script([snapshot, broken], [snapshot, task])
    events = events_of(script, 3)
    assert [event.name for event in events] == [EventName.SNAPSHOT, EventName.SNAPSHOT, EventName.TASK]
    assert "Last-Event-ID" not in script.headers[1]


def test_a_stream_resumed_from_another_database_is_not_believed() -> None:
    snapshot, task = wire_of("one")
    other = b'id: other-1\nevent: resumed\ndata: {"seq":1}\n\n'
    script = Script([snapshot, httpx.ReadError("")], [other], [snapshot, task])
    events = events_of(script, 3)
    assert [event.name for event in events] == [EventName.SNAPSHOT, EventName.SNAPSHOT, EventName.TASK]
    assert "Last-Event-ID" not in script.headers[2]


def test_bytes_that_never_become_an_event_do_not_keep_a_stream_alive() -> None:
    snapshot = wire_of()[0]
    dribble: list[bytes | float | Exception] = [snapshot]
    for _ in range(100):
        dribble += [b": still here\n", 1.0]
    script = Script(dribble, [snapshot])
    assert len(events_of(script, 2, seconds=30)) == 2


def test_the_headers_of_the_client_are_left_as_they_are() -> None:
    async def main() -> None:
        script = Script([b"".join(wire_of())])
        async with make_http(Target("http://localhost", token="secret"), script) as http:
            before = dict(http.headers)
            with anyio.move_on_after(1):
                await EventStream(http, TASKS).run(lambda event: None)
            assert dict(http.headers) == before
            assert script.headers[0]["Authorization"] == "Bearer secret"
            assert script.headers[0]["Accept"] == "text/event-stream"

    simulate(main)
