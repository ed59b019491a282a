"""The world behind HTTP, in memory: an httpx transport that answers, streams, and fails as it is told to."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import httpx
import msgspec

from foundry_tui.contract import codec
from foundry_tui.contract.events import PING_AFTER, EventName, Ping, Topic, TopicKind
from foundry_tui.contract.filter import entry_of, matches, parse
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.records import Health, PromptState
from foundry_tui.contract.requests import (
    CreatePrompt,
    CreateSession,
    CreateTask,
    EditPrompt,
    PatchTask,
    RepoList,
    SetOption,
)
from foundry_tui.contract.status import TaskStatus
from tests.client.fake_backend import Event, FakeBackend, Refused


@dataclass
class Line:
    """One open stream, as the backend holds it."""

    topic: Topic
    queue: list[Event] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)
    cut: bool = False
    stalled: bool = False

    def put(self, event: Event) -> None:
        self.queue.append(event)
        self.changed.set()

    def is_cut(self) -> bool:
        return self.cut

    def end(self) -> None:
        """Break the connection."""
        self.cut = True
        self.changed.set()


@dataclass
class Call:
    """One request that reached the backend."""

    at: float
    method: str
    path: str
    topic: str | None = None
    cursor: str | None = None
    body: bytes = b""


class Backend(httpx.AsyncBaseTransport):
    """A transport in front of a world.

    `down`: nobody answers. `refuse`: every stream is answered with this status. `page`: it is answered so
    by something in between. `lose_request`, `lose_answer`: the
    next so many calls break before or after they are carried out. `hang`: calls wait for ever. `delay`: seconds that a
    call takes. `die_at_once`: streams end right after their first event. `mute`: streams stay open and say nothing.
    """

    def __init__(self, world: FakeBackend | None = None, rng: random.Random | None = None) -> None:
        self.world = world or FakeBackend()
        self.world.listeners.append(self._committed)
        self.rng = rng
        self.down = False
        self.hang = False
        self.refuse: int | None = None
        self.page: tuple[int, bytes] | None = None
        self.retry_after: str | None = None
        self.lose_request = 0
        self.lose_answer = 0
        self.delay = 0.0
        self.die_at_once = False
        self.mute = False
        self.providers = {"demo": "ready"}
        self.lines: list[Line] = []
        self.calls: list[Call] = []
        self.snapshots = 0
        self.most_lines: dict[str, int] = {}

    # Faults.

    def cut_all(self) -> None:
        """Break every stream."""
        for line in list(self.lines):
            line.end()

    def restart(self) -> None:
        """The process dies and comes back: streams break, what was committed stays."""
        self.cut_all()

    def replace_world(self, world: FakeBackend) -> None:
        """The database is another one from now on."""
        self.world.listeners.clear()
        self.world = world
        self.world.listeners.append(self._committed)
        self.cut_all()

    def streams(self, topic: Topic | None = None) -> int:
        """How many streams are open."""
        return sum(1 for line in self.lines if topic is None or line.topic == topic)

    def asked(self, method: str, path: str) -> list[Call]:
        """The calls of a route."""
        return [call for call in self.calls if call.method == method and call.path == path]

    # Serving.

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        path = request.url.path
        if path == "/v1/events":
            return await self._stream(request)
        body = await request.aread()
        self.calls.append(Call(anyio.current_time(), request.method, path, body=body))
        if self.hang:
            await anyio.sleep_forever()
        if self.delay:
            await anyio.sleep(self.delay)
        if self.lose_request:
            self.lose_request -= 1
            raise httpx.ReadError("", request=request)
        try:
            status, answer = self._carry_out(request.method, path, body, request.url.params)
        except Refused as error:
            status, answer = error.problem.status, codec.encode(error.problem)
        if self.lose_answer:
            self.lose_answer -= 1
            raise httpx.RemoteProtocolError("", request=request)
        if self.down:
            raise httpx.ReadError("", request=request)
        return httpx.Response(status, content=answer)

    def _carry_out(self, method: str, path: str, body: bytes, query: httpx.QueryParams) -> tuple[int, bytes]:
        world = self.world
        match method, path.removeprefix("/v1/").split("/"):
            case "GET", ["tasks"] if "filter" in query:
                terms = parse(query["filter"])
                found = world.find(
                    lambda task: matches(terms, entry_of(task)), int(query["limit"]), query.get("before")
                )
                return 200, codec.encode(found)
            case "GET", ["tasks"]:
                return 200, codec.encode(world.ended_before(query["before"], int(query["limit"])))
            case "POST", ["tasks"]:
                return 201, codec.encode(world.create(codec.decode(body, CreateTask)))
            case "PATCH", ["tasks", task_id]:
                change = codec.decode(body, PatchTask)
                if change.title is not None:
                    return 200, codec.encode(world.rename(task_id, change.title))
                return 200, codec.encode(world.mark(task_id, bool(change.unread)))
            case "DELETE", ["tasks", task_id]:
                world.prune(task_id)
                return 204, b""
            case "POST", ["tasks", task_id, "archive" | "kill" as how]:
                world.move(task_id, TaskStatus.ARCHIVING if how == "archive" else TaskStatus.KILLING)
                return 202, b""
            case "POST", ["tasks", task_id, "operations"]:
                return 202, codec.encode(world.operate(task_id, msgspec.json.decode(body, type=StartOperation)))
            case "POST", ["tasks", task_id, "sessions"]:
                asked = codec.decode(body, CreateSession)
                assert asked.session_id is not None
                return 202, codec.encode(world.add_session(task_id, asked.session_id))
            case "POST", ["sessions", session_id, "prompts"]:
                prompt = codec.decode(body, CreatePrompt)
                return 202, codec.encode(world.prompt(session_id, prompt.prompt_id, prompt.text, prompt.steer))
            case "PATCH", ["sessions", session_id, "prompts", prompt_id]:
                text = codec.decode(body, EditPrompt).text
                return 200, codec.encode(world.change_prompt(session_id, prompt_id, text=text))
            case "DELETE", ["sessions", session_id, "prompts", prompt_id]:
                return 200, codec.encode(world.change_prompt(session_id, prompt_id, state=PromptState.WITHDRAWN))
            case "POST", ["sessions", session_id, "options", option_id]:
                value = codec.decode(body, SetOption).value
                return 202, codec.encode(world.set_option(session_id, option_id, value))
            case "GET", ["sessions", session_id]:
                return 200, codec.encode(world.snapshot(Topic(TopicKind.SESSION, session_id)).record)
            case "POST", ["sessions", session_id, "stop"]:
                if session_id not in world.sessions:
                    raise Refused(404, "no such session")
                return 202, b""
            case "GET", ["health"]:
                return 200, codec.encode(
                    Health(status="ok", version="0", pid=1, started_at=world.now, providers=self.providers)
                )
            case "GET", ["repos"]:
                return 200, codec.encode(RepoList(repos=tuple(world.repos.values())))
        raise Refused(404, f"no route {method} {path}")

    async def _stream(self, request: httpx.Request) -> httpx.Response:
        topic = Topic.parse(request.url.params["topic"])
        cursor = request.headers.get("Last-Event-ID")
        self.calls.append(Call(anyio.current_time(), "GET", "/v1/events", str(topic), cursor))
        if self.hang:
            await anyio.sleep_forever()
        if self.page is not None:
            return httpx.Response(self.page[0], content=self.page[1])
        if self.refuse is not None:
            headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
            return httpx.Response(self.refuse, headers=headers, content=b'{"status":1,"title":"No","detail":"not now"}')
        if not self.world.exists(topic):
            status = 404 if topic.kind is TopicKind.TASK else 422
            return httpx.Response(status, content=codec.encode(Refused(status, "no such topic").problem))
        line = Line(topic)
        opening = self.world.begin(topic, cursor, self.rng)
        self.snapshots += opening[0].name is EventName.SNAPSHOT
        for event in opening:
            line.put(event)
        self.lines.append(line)
        self.most_lines[str(topic)] = max(self.most_lines.get(str(topic), 0), self.streams(topic))
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=_Body(self, line))

    def _committed(self, event: Event) -> None:
        for line in self.lines:
            if line.topic == event.topic:
                line.put(event)


class _Body(httpx.AsyncByteStream):
    """What one stream sends."""

    def __init__(self, backend: Backend, line: Line) -> None:
        self._backend = backend
        self._line = line

    async def __aiter__(self) -> AsyncIterator[bytes]:
        backend, line = self._backend, self._line
        while True:
            if line.cut:
                raise httpx.ReadError("")
            if line.stalled or backend.mute:
                await anyio.sleep_forever()
            while line.queue and not line.cut:
                event = line.queue.pop(0)
                yield frame(event)
                if backend.die_at_once:
                    return
                if event.name is EventName.TASK_REMOVED and line.topic.kind is not TopicKind.TASKS:
                    return
            line.changed = anyio.Event()
            if line.queue or line.is_cut():
                continue
            with anyio.move_on_after(PING_AFTER):
                await line.changed.wait()
                continue
            seq, database = backend.world.seq, backend.world.database
            line.put(Event(line.topic, EventName.PING, Ping(seq=seq, at=backend.world.now), seq, database))

    async def aclose(self) -> None:
        if self._line in self._backend.lines:
            self._backend.lines.remove(self._line)


def frame(event: Event) -> bytes:
    """The event as it goes over the wire."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        event.id.encode(),
        event.name.encode(),
        msgspec.json.encode(event.record),
    )


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait in simulated time until something is so; fails when it never is."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.01)
