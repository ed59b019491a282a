"""A model on loopback with one answer: it has a file written by a command, then says so (the Responses API)."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Not a word."""

    def do_GET(self) -> None:
        self._answer(404, "application/json", b"{}")

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        asked = any(item.get("type") == "function_call_output" for item in request["input"])
        command = json.dumps({"cmd": "printf 'made by codex\\n' > made.txt"})
        call = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "exec_command", "arguments": command}
        words = [{"type": "output_text", "text": "I made made.txt"}]
        message = {"type": "message", "role": "assistant", "id": "m1", "content": words}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        events: list[Json] = [
            {"type": "response.created", "response": {"id": "r1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": message if asked else call},
            {"type": "response.completed", "response": {"id": "r1", "usage": usage}},
        ]
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self._answer(200, "text/event-stream", body.encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def stub_model() -> Iterator[str]:
    """The model's base URL while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
