"""A model on loopback that does what a test says, in the four dialects that the agents speak.

A test gives it *moves*; each request for work gets the move that is next, counted by the tool results that the agent
has sent since its last prompt, so that an agent that asks again gets the same move again.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any, NamedTuple

Json = dict[str, Any]
Event = tuple[str | None, Json]
"""A server-sent event: its name, where the dialect names them, and its data."""

WORDS: Mapping[int, str] = {
    401: "Incorrect API key provided",
    429: "Rate limit reached for requests",
    500: "The server had an error while processing your request",
}
"""What providers say with these statuses; some agents pass on nothing else."""

LIMIT = 120.0
"""Seconds after which something that is waited for counts as never coming."""


class Say(NamedTuple):
    """Words; with them the turn ends."""

    text: str


class Call(NamedTuple):
    """A tool that the agent is to use, in the agent's own words."""

    tool: str
    arguments: Json


class Fail(NamedTuple):
    """An HTTP error in place of an answer."""

    status: int


class Cut(NamedTuple):
    """An answer whose connection ends after its beginning, the first two times: some agents ask until it comes."""

    text: str


class Hang(NamedTuple):
    """The request is taken and answered with these words once the test says so, or never."""

    text: str = ""


Move = Say | Call | Fail | Cut | Hang


class Asked(NamedTuple):
    """What a request holds of interest: whether it offers tools, and how many results of tools it brings."""

    offers_tools: bool
    results: int


class Dialect(NamedTuple):
    """How one family of agents asks, and how it is answered."""

    read: Callable[[Json], Asked]
    answer: Callable[[Say | Call, str], Iterator[Event]]
    problem: Callable[[int, str], Json]


class Model:
    """The model, as a test sees it. `release` is set by a test to have the requests that hang answered.

    `received` are the requests that have come, as JSON, and `named` the models that those for work were for.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.release = threading.Event()
        self.closing = False
        self.received: list[str] = []
        self.named: list[str] = []
        self._hanging = threading.Event()
        self._lock = threading.Lock()
        self._moves: Sequence[Move] = ()
        self._cuts = 0
        self._asked = 0

    def does(self, *moves: Move) -> None:
        """What it does from now on, for every prompt anew."""
        with self._lock:
            self._moves = moves
            self._cuts = 0
            self._hanging.clear()

    @property
    def asked(self) -> int:
        """How many requests have come."""
        with self._lock:
            return self._asked

    def wait_until_it_hangs(self) -> None:
        """Wait for a request that hangs."""
        assert self._hanging.wait(LIMIT), "the agent never asked the model"

    def hold(self, connection: socket.socket) -> bool:
        """Keep a request waiting; whether it is to be answered: no if the agent gave it up, or the test is over."""
        self._hanging.set()
        connection.settimeout(0.1)
        while not self.closing:
            if self.release.is_set():
                connection.settimeout(None)
                return True
            try:
                if not connection.recv(1):
                    return False
            except TimeoutError:
                continue
            except OSError:
                return False
        return False

    def move(self, asked: Asked) -> tuple[Move, str]:
        """The move for this request, and an id that no other request has."""
        with self._lock:
            self._asked += 1
            if not asked.offers_tools:
                # A title or a summary that the agent wants for itself.
                return (self._moves[0] if isinstance(self._moves[0], Fail) else Say("A title")), f"t{self._asked}"
            move = self._moves[min(asked.results, len(self._moves) - 1)]
            if isinstance(move, Cut):
                self._cuts += 1
                move = move if self._cuts <= 2 else Say(move.text)
            return move, f"m{self._asked}"


@contextmanager
def model_on_loopback() -> Iterator[Model]:
    """A model that runs until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    model = Model(f"http://127.0.0.1:{server.server_port}")
    _Handler.models[server.server_port] = model
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.closing = True
        server.shutdown()
        server.server_close()
        thread.join()
        del _Handler.models[server.server_port]


class _Handler(BaseHTTPRequestHandler):
    models: dict[int, Model] = {}  # noqa: RUF012 - one for all that run in this process, by their port

    def log_message(self, format: str, *args: object) -> None:
        """Not a word."""

    def do_GET(self) -> None:
        self._whole(200, {"data": [], "object": "list"})

    def do_HEAD(self) -> None:
        self._whole(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.partition("?")[0]
        dialect = next((each for end, each in DIALECTS.items() if path.endswith(end)), None)
        if dialect is None:
            self._whole(404, {"error": {"message": f"{path} is not known here"}})
            return
        model = self.models[self.server.server_port]  # type: ignore[attr-defined]
        model.received.append(json.dumps(body))
        asked = dialect.read(body)
        if asked.offers_tools:
            # One of the dialects has it in the path.
            model.named.append(body.get("model") or path.rpartition("/")[2].partition(":")[0])
        move, name = model.move(asked)
        match move:
            case Fail(status):
                self._whole(status, dialect.problem(status, WORDS[status]))
            case Hang(text):
                if model.hold(self.connection):
                    self._stream(dialect.answer(Say(text), name))
                self.close_connection = True
            case Cut(text):
                self._stream(islice(dialect.answer(Say(text), name), 1))
            case Say() | Call():
                self._stream(dialect.answer(move, name))

    def _whole(self, status: int, document: Json) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if status >= 429:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[Event]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for name, data in events:
            head = "" if name is None else f"event: {name}\n"
            self.wfile.write(f"{head}data: {json.dumps(data)}\n\n".encode())


def _trailing(kinds: Iterator[str]) -> int:
    """How many results of tools stand behind the last prompt, of the messages' kinds from the last one back."""
    count = 0
    for kind in kinds:
        if kind == "prompt":
            break
        count += kind == "result"
    return count


# The Responses API of OpenAI: codex


def _responses_read(body: Json) -> Asked:
    def kind(item: Json) -> str:
        if item.get("type", "message") == "message":
            return "prompt" if item.get("role") == "user" else ""
        return "result" if item["type"].endswith("_call_output") else ""

    return Asked(bool(body.get("tools")), _trailing(kind(item) for item in reversed(body["input"])))


def _responses_answer(move: Say | Call, name: str) -> Iterator[Event]:
    def event(kind: str, **more: Any) -> Event:
        return kind, {"type": kind, **more}

    response = {"id": f"resp_{name}", "object": "response"}
    yield event("response.created", response=response)
    if isinstance(move, Say):
        item: Json = {"type": "message", "id": name, "role": "assistant", "content": []}
        yield event("response.output_item.added", output_index=0, item=item)
        yield event("response.output_text.delta", item_id=name, output_index=0, content_index=0, delta=move.text)
        item = {**item, "content": [{"type": "output_text", "text": move.text}]}
    else:
        item = {
            "type": "function_call",
            "id": name,
            "call_id": f"call_{name}",
            "name": move.tool,
            "arguments": json.dumps(move.arguments),
        }
    yield event("response.output_item.done", output_index=0, item=item)
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    yield event("response.completed", response={**response, "usage": usage})


# The Messages API of Anthropic: claude


def _messages_read(body: Json) -> Asked:
    def kind(message: Json) -> str:
        if message["role"] != "user":
            return ""
        content = message["content"]
        blocks = [] if isinstance(content, str) else content
        return "result" if any(block["type"] == "tool_result" for block in blocks) else "prompt"

    return Asked(bool(body.get("tools")), _trailing(kind(message) for message in reversed(body["messages"])))


def _messages_answer(move: Say | Call, name: str) -> Iterator[Event]:
    def event(kind: str, **more: Any) -> Event:
        return kind, {"type": kind, **more}

    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {"id": name, "type": "message", "role": "assistant", "model": "stub", "content": [], "usage": usage}
    yield event("message_start", message=message)
    if isinstance(move, Say):
        block: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": move.text}
    else:
        block = {"type": "tool_use", "id": f"toolu_{name}", "name": move.tool, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(move.arguments)}
    yield event("content_block_start", index=0, content_block=block)
    yield event("content_block_delta", index=0, delta=delta)
    yield event("content_block_stop", index=0)
    reason = "end_turn" if isinstance(move, Say) else "tool_use"
    yield event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)
    yield event("message_stop")


def _messages_problem(status: int, text: str) -> Json:
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": text}}


# The Chat Completions API of OpenAI: opencode


def _chat_read(body: Json) -> Asked:
    kinds = {"user": "prompt", "tool": "result"}
    return Asked(
        bool(body.get("tools")), _trailing(kinds.get(message["role"], "") for message in reversed(body["messages"]))
    )


def _chat_answer(move: Say | Call, name: str) -> Iterator[Event]:
    def chunk(delta: Json, reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        usage = {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}} if reason else {}
        whole = {"id": name, "object": "chat.completion.chunk", "created": 1, "model": "stub", "choices": [choice]}
        return None, whole | usage

    if isinstance(move, Say):
        yield chunk({"role": "assistant", "content": move.text})
        yield chunk({}, "stop")
    else:
        function = {"name": move.tool, "arguments": json.dumps(move.arguments)}
        call = {"index": 0, "id": f"call_{name}", "type": "function", "function": function}
        yield chunk({"role": "assistant", "tool_calls": [call]})
        yield chunk({}, "tool_calls")


def _openai_problem(status: int, text: str) -> Json:
    return {"error": {"message": text, "type": "error", "code": str(status)}}


# The API of Gemini: gemini


def _gemini_read(body: Json) -> Asked:
    def kind(content: Json) -> str:
        if content.get("role", "user") != "user":
            return ""
        return "result" if any("functionResponse" in part for part in content["parts"]) else "prompt"

    return Asked(bool(body.get("tools")), _trailing(kind(content) for content in reversed(body["contents"])))


def _gemini_answer(move: Say | Call, name: str) -> Iterator[Event]:
    if isinstance(move, Say):
        part: Json = {"text": move.text}
    else:
        part = {"functionCall": {"id": name, "name": move.tool, "args": move.arguments}}

    def chunk(part: Json, **more: Any) -> Event:
        candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, **more}
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
        return None, {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stub"}

    yield chunk(part)
    yield chunk({"text": ""}, finishReason="STOP")


def _gemini_problem(status: int, text: str) -> Json:
    names = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
    return {"error": {"code": status, "message": text, "status": names.get(status, "INTERNAL")}}


DIALECTS: Mapping[str, Dialect] = {
    "/responses": Dialect(_responses_read, _responses_answer, _openai_problem),
    "/messages": Dialect(_messages_read, _messages_answer, _messages_problem),
    "/chat/completions": Dialect(_chat_read, _chat_answer, _openai_problem),
    ":streamGenerateContent": Dialect(_gemini_read, _gemini_answer, _gemini_problem),
}
"""By the end of the path that a request is made to."""
