"""A real server that answers every request in one strange way: another program, another version, a broken line."""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

Answer = Callable[[socket.socket], None]
"""What is done to a connection once its request has come; it is closed afterwards."""

FOR_LONG = threading.Event()
"""Set when no answer is wanted any more: what hangs and what drips ends."""

TASK = {
    "task_id": "0193a2b4-0000-7000-8000-000000000001",
    "repo_id": "r",
    "repo_label": "shop",
    "prompt": "p",
    "agent": "a",
    "provider": "demo",
    "status": "idle",
    "status_since": 1,
    "created_at": 1,
    "updated_at": 1,
    "revision": 1,
}


def raw(data: bytes) -> Answer:
    """These bytes, whatever they are."""
    return lambda link: link.sendall(data)


def answer(body: bytes | Any, status: str = "200 OK", type_: str = "application/json", *lines: str) -> Answer:
    """A whole HTTP answer; what is not bytes becomes JSON."""
    document = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Type: {type_}", f"Content-Length: {len(document)}", *lines]
    return raw("\r\n".join([*head, "Connection: close", "", ""]).encode() + document)


def head(*lines: str, body: bytes = b"", status: str = "200 OK") -> Answer:
    """An answer with just these lines in its head."""
    return raw("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body)


def hang(*before: bytes) -> Answer:
    """Say this, and nothing more, without end."""

    def act(link: socket.socket) -> None:
        for data in before:
            link.sendall(data)
        FOR_LONG.wait()

    return act


def drip(before: bytes, piece: bytes, every: float = 0.02) -> Answer:
    """Say this, and then a little again and again, without end."""

    def act(link: socket.socket) -> None:
        link.sendall(before)
        while not FOR_LONG.wait(every):
            link.sendall(piece)

    return act


def _reset(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


HTML = b"<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body>\x1b[31mhello</body></html>"
CHUNKED = "Transfer-Encoding: chunked"
JSON = "Content-Type: application/json"

ANSWERS: dict[str, Answer] = {
    "HTML": answer(HTML, type_="text/html"),
    "HTML that calls itself JSON": answer(HTML),
    "HTML with 404": answer(HTML, "404 Not Found", "text/html"),
    "HTML with 401": answer(HTML, "401 Unauthorized", "text/html", 'WWW-Authenticate: Basic realm="x"'),
    "HTML with 403": answer(HTML, "403 Forbidden", "text/html"),
    "HTML with 502": answer(HTML, "502 Bad Gateway", "text/html"),
    "text with 429": answer(b"slow down", "429 Too Many Requests", "text/plain", "Retry-After: 1"),
    "text with 503": answer(b"away", "503 Service Unavailable", "text/plain", "Retry-After: x"),
    "a proxy that wants to know who we are": answer(b"", "407 Proxy Authentication Required", "text/html"),
    "a redirect": answer(b"", "302 Found", "text/html", "Location: https://example.invalid/login"),
    "a redirect to itself": answer(b"", "308 Permanent Redirect", "text/html", "Location: /v1/tasks"),
    "a redirect to nowhere": answer(b"", "301 Moved Permanently", "text/html", "Location: http://[::bad"),
    "gzip that says so": answer(gzip.compress(HTML), "200 OK", "text/html", "Content-Encoding: gzip"),
    "gzip that does not say so": answer(gzip.compress(b"{}")),
    "what calls itself gzip and is none": answer(HTML, "200 OK", "text/html", "Content-Encoding: gzip"),
    "what calls itself brotli": answer(b"\x0b\x02\x80{}\x03", "200 OK", "application/json", "Content-Encoding: br"),
    "no body": answer(b""),
    "no body with 204": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "a part with 206": answer({}, "206 Partial Content"),
    "not modified": answer(b"", "304 Not Modified"),
    "several choices": answer(b"[]", "300 Multiple Choices"),
    "another protocol with 101": answer(b"", "101 Switching Protocols", "text/plain", "Upgrade: websocket"),
    "null": answer(b"null"),
    "a list": answer([]),
    "an object without fields": answer({}),
    "a number": answer(7),
    "a text": answer("hello"),
    "another program's JSON": answer({"name": "node-1", "cluster_name": "search", "tagline": "You Know, for Search"}),
    "another program's refusal": answer({"error": "no such index"}, "400 Bad Request"),
    "another program's failure": answer({"error": "oops"}, "500 Internal Server Error"),
    "a problem of wrong types": answer({"status": "x", "title": 1, "detail": []}, "409 Conflict"),
    "JSON that ends too early": answer(b'{"seq": 1, "repos": [], "tasks": [{"task_id": "01'),
    "less than was promised": head(JSON, "Content-Length: 500", body=b'{"seq": 1'),
    "JSON with NUL": answer(b'{"seq": 1, "repos": []\0}'),
    "JSON behind a byte order mark": answer(b'\xef\xbb\xbf{"seq": 1}'),
    "bytes that are no UTF-8": answer(b'{"status": "\xff\xfe", "tasks": ["\xc3"]}'),
    "UTF-16": answer('{"seq": 1, "repos": [], "tasks": []}'.encode("utf-16")),
    "an unknown charset": answer(HTML, "200 OK", "text/html; charset=klingon"),
    "a charset that is no charset": answer(HTML, "200 OK", "text/event-stream; charset=hex"),
    "XML": answer(b'<?xml version="1.0"?><a/>', "200 OK", "application/xml"),
    "fields of wrong types": answer({"seq": "1", "repos": {}, "tasks": 3, "events": 1, "lines": "x", "status": []}),
    "a task without its fields": answer({"seq": 1, "repos": [], "tasks": [{"task_id": "x"}], "events": [{}]}),
    "a task with wrong types": answer(
        {**TASK, "revision": "two", "seq": 1, "repos": [], "tasks": [{**TASK, "status": 5}]}
    ),
    "numbers without end": answer(b'{"seq": ' + b"9" * 5000 + b', "repos": [], "tasks": [9], "pid": 1e999}'),
    "JSON nested deeply": answer(b"[" * 200_000),
    "objects nested deeply": answer(b'{"tasks":' * 100_000 + b"1"),
    "nothing, then the end": raw(b""),
    "a reset": _reset,
    "HTTP/0.9": raw(b"<html>hello</html>"),
    "HTTP/2": raw(
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff"
    ),
    "ssh": raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    "smtp": raw(b"220 mail.example.org ESMTP\r\n500 5.5.2 Error: bad syntax\r\n"),
    "redis": raw(b"-ERR wrong number of arguments for 'get' command\r\n"),
    "TLS that wants TLS": raw(b"\x15\x03\x01\x00\x02\x02\x46"),
    "bytes at random": raw(bytes(range(256)) * 20),
    "escape sequences": raw(b"\x1b]0;owned\x07\x1b[2J\r\n\r\n"),
    "a status that is no number": raw(b"HTTP/1.1 OK\r\n\r\n"),
    "a status too high": raw(b"HTTP/1.1 1000 Never\r\nContent-Length: 0\r\n\r\n"),
    "an unknown status": answer(b"", "799 Odd"),
    "a head without an end": hang(b"HTTP/1.1 200 OK\r\nX-A: b\r\n"),
    "a head with one long line": head("X-Long: " + "x" * 100_000, "Content-Length: 2", body=b"{}"),
    "a head with too many lines": head(*(f"X-{n}: 1" for n in range(500)), "Content-Length: 2", body=b"{}"),
    "a head line without a colon": head("nonsense", "Content-Length: 2", body=b"{}"),
    "a length below nothing": head(JSON, "Content-Length: -5", body=b"{}"),
    "a length that is no number": head(JSON, "Content-Length: many", body=b"{}"),
    "two lengths": head(JSON, "Content-Length: 2", "Content-Length: 9", body=b"{}"),
    "chunks of no size": head(JSON, CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunks that end too early": head(JSON, CHUNKED, body=b"40\r\n{}"),
    "a chunk of enormous size": head(JSON, CHUNKED, body=b"ffffffffffffffff\r\n{}"),
    "events where none were asked for": answer(b"event: ping\ndata: {}\n\n", "200 OK", "text/event-stream"),
    "events that cannot be read": answer(b"event: snapshot\nid: x\ndata: {]\n\n", "200 OK", "text/event-stream"),
    "events without an id": answer(
        b'event: snapshot\ndata: {"seq":1,"repos":[],"tasks":[]}\n\n', "200 OK", "text/event-stream"
    ),
    "events without an end": drip(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", b"x"),
    "silence": hang(),
    "silence behind the head": hang(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"),
    "silence behind the head of a stream": hang(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
    "silence in the middle": hang(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b'{"seq": 1,'),
    "a head that drips": drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "a body that drips": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b" "),
    "to be continued without end": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
"""What answers may look like that none of our backends gives."""


@contextmanager
def answering(how: Answer, known: Mapping[str, Answer] | None = None) -> Iterator[str]:
    """A server on loopback that answers like this, but for the `known` requests, as `GET /v1/tasks`; its address."""
    FOR_LONG.clear()

    def serve(link: socket.socket) -> None:
        with suppress(OSError), link:
            request = b""
            while b"\r\n\r\n" not in request and not request.startswith(b"\x16") and (piece := link.recv(65_536)):
                request += piece
            (known or {}).get(request.partition(b" HTTP")[0].decode("latin-1"), how)(link)

    def accept() -> None:
        with suppress(OSError):
            while True:
                link, _ = server.accept()
                threading.Thread(target=serve, args=(link,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            FOR_LONG.set()
            server.shutdown(socket.SHUT_RDWR)
