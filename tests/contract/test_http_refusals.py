"""How requests are refused that are wrong in themselves: routes, methods, JSON, sizes, and bytes that are no HTTP."""

import fcntl
import json
import socket
import termios
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import creating, refused
from tests.waiting import until_seen

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/nope",
        "/v2/tasks",
        "/v1/TASKS",
        "/v1/tasks/",
        "/v1//tasks",
        "//v1/tasks",
        "/v1/tasks/x/nope",
        "/v1/tasks/x/",
        "/v1%2Ftasks",
        "/v1/tasks%2Fx",
        "/v1/tasks/%00",
        "/v1/tasks/%ff",
        "/v1/tasks/..%2f..%2fetc",
        "/v1/tasks/" + "x" * 5_000,
        "/v1/events/x",
    ],
)
def test_an_unknown_route_is_404(shared: BackendProcess, path: str) -> None:
    refused(shared.http.get(path), 404)


def test_an_encoded_slash_never_makes_another_route(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    refused(shared.http.post(f"/v1/tasks/{task_id}%2Fkill"), 404)
    refused(shared.http.get(f"/v1/tasks/{task_id}%2fhistory"), 404)
    assert "task.kill_requested" not in shared.kinds(task_id)
    assert shared.http.get("/v1/tasks/" + "".join(f"%{ord(char):02x}" for char in task_id)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/tasks", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/tasks/x", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("OPTIONS", "/v1/tasks", {"GET", "HEAD", "POST"}),
        ("TRACE", "/v1/health", {"GET", "HEAD"}),
        ("GET", "/v1/tasks/x/kill", {"POST"}),
        ("GET", "/v1/permissions/x", {"POST"}),
        ("POST", "/v1/events", {"GET", "HEAD"}),
        ("FOO", "/v1/health", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    shared: BackendProcess, method: str, path: str, allowed: set[str]
) -> None:
    answer = shared.http.request(method, path)
    refused(answer, 405)
    assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"repo": "\\ud800", "prompt": "x"}',
        b'{"repo": "\\udc00\\ud800", "prompt": "x"}',
        b'{"repo": "/x", "prompt": NaN}',
        b'{"repo": "/x", "prompt": "x"} {}',
        b'{"repo": "/x", "prompt": "x",}',
        b"{'repo': 1}",
        b'{"repo": 7, "prompt": ',
        b"[" * 100_000,
        b'{"repo": ' * 50_000,
        b'{"extra": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        '{"repo": "/x", "prompt": "x"}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_is_400(shared: BackendProcess, body: bytes) -> None:
    for path in ("/v1/tasks", "/v1/repos", "/v1/permissions/x"):
        refused(shared.http.post(path, content=body), 400)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"', b"true", b"123456789012345678901234567890"])
def test_what_is_no_object_is_422(shared: BackendProcess, body: bytes) -> None:
    refused(shared.http.post("/v1/tasks", content=body), 422, "")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; a=b"])
def test_json_is_judged_by_its_bytes_not_by_its_label(shared: BackendProcess, kind: str | None) -> None:
    body = json.dumps(creating(shared)).encode()
    headers = {} if kind is None else {"content-type": kind}
    assert shared.http.post("/v1/tasks", content=body, headers=headers).status_code == 201


def test_a_body_of_1_mib_is_taken_and_one_byte_more_is_not(shared: BackendProcess) -> None:
    body = json.dumps(creating(shared, prompt="")).encode()
    fitting = body.replace(b'"prompt": ""', b'"prompt": "' + b"x" * (MIB - len(body)) + b'"')
    assert len(fitting) == MIB
    answer = shared.http.post("/v1/tasks", content=fitting)
    assert answer.status_code == 201
    assert len(answer.json()["prompt"]) == MIB - len(body)
    refused(shared.http.post("/v1/tasks", content=fitting + b" "), 413)


def test_a_chunked_body_over_1_mib_is_413(shared: BackendProcess) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b" " * 65_536

    refused(shared.http.post("/v1/tasks", content=chunks(17)), 413)
    refused(shared.http.post("/v1/tasks", content=chunks(400)), 413)
    refused(shared.http.post("/v1/tasks", content=chunks(16)), 400)
    assert shared.http.get("/v1/health").status_code == 200


def test_a_long_value_is_not_sent_back_in_full(shared: BackendProcess) -> None:
    problem = refused(shared.http.post("/v1/tasks", json=creating(shared, provider="x" * 900_000)), 422, "provider")
    assert len(str(problem)) < 10_000
    refused(shared.http.post("/v1/tasks", json={"x" * 900_000: 1}), 422)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n",
        b"POST /v1/tasks HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET /v1/health HTTP/1.1\r\nHost: a\r\nX: a\n\tb\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_too(shared: BackendProcess, sent: bytes) -> None:
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(shared.socket))
        connection.sendall(sent)
        while piece := connection.recv(65_536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), answer
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 400


def test_a_body_in_chunks_of_one_byte_is_refused_long_before_its_end(shared: BackendProcess) -> None:
    def chunks(size: int, count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b" " * size

    # The answer is lost to whoever goes on sending.
    with suppress(httpx.WriteError, httpx.ReadError):
        assert "chunks" in refused(shared.http.post("/v1/tasks", content=chunks(1, MIB)), 400)["detail"]
    assert shared.http.get("/v1/health").status_code == 200
    problem = refused(shared.http.post("/v1/tasks", content=chunks(256, 4_096)), 400)
    assert "JSON" in problem["detail"], "read to the end"
    problem = refused(shared.http.post("/v1/tasks", content=chunks(1, 1_000)), 400)
    assert "JSON" in problem["detail"]


CHUNKED = b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((CHUNKED + b"0\r\n" + b"a:\r\n" * 20_000 + b"\r\n",), 431),
        ((CHUNKED + b"000;x\r\n" + b"a:\n" * 201 + b"\n",), 431),
        ((CHUNKED + b"2\r\n{}\r\n0\r\na:\r\n" + b" b\r\n" * 20_000 + b"\r\n",), 431),
        ((CHUNKED + b"2\r\n{}\r", b"\n0", b"\r\n", b"a:\r\n" * 100, b"a:\r\n" * 101), 431),
        ((CHUNKED + b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 100 + b"\r\n",), 422),
        ((CHUNKED + b"2\r\n{}\r\n0", b"0\r\n", b"a: b\r\n", b"\r\n"), 422),
        ((CHUNKED + b"3ea\r\n{}" + b"\n" * 1_000, b"\r\n0\r\n\r\n" + b"GET / HTTP/1.1\r\n" * 300), 422),
        ((CHUNKED + b"00", b"a\r\n{}" + b"\n" * 8 + b"\r\n0", b"\r\n", b"\r\n"), 422),
    ],
)
def test_trailers_have_as_many_lines_as_a_head_at_most(
    shared: BackendProcess, pieces: tuple[bytes, ...], status: int
) -> None:
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(shared.socket))
        for piece in pieces:
            connection.sendall(piece)
            until_seen(lambda: _is_read(connection))
        while b"\r\n" not in answer:
            answer += connection.recv(65_536)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer


def _is_read(connection: socket.socket) -> bool:
    """Whether the other side has read all that was sent."""
    return not any(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))


def test_a_client_that_goes_away_in_the_middle_leaves_no_trace(backend: BackendProcess) -> None:
    for sent in (b"", b"POST", b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(backend.socket))
            connection.sendall(sent)
    assert backend.get("/v1/tasks")["tasks"] == []
    assert backend.stop() == 0
    levels = [json.loads(line)["level"] for line in backend.errors.read_text().splitlines()]
    assert "error" not in levels


@pytest.mark.parametrize("topic", ["", "nope", "tasks:", "tasks:x", "TASKS", "session:", "log:", "session:x", "log:x"])
def test_a_wrong_topic_is_422(shared: BackendProcess, topic: str) -> None:
    refused(shared.http.get("/v1/events", params={"topic": topic}), 422, "topic")
    refused(shared.http.get("/v1/events"), 422, "topic")


def test_an_unknown_task_topic_is_404(shared: BackendProcess) -> None:
    for task_id in (uuid7(), "x", "\0", "a:b"):
        refused(shared.http.get("/v1/events", params={"topic": f"task:{task_id}"}), 404)
