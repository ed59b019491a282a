"""A real backend process to test from outside: started, asked over its socket, killed, started again."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from foundry_tui.contract.ids import uuid7
from tests import forks
from tests.waiting import until_seen
from tests.world import Json, World

BACKEND = (sys.executable, "-m", "backend_stub")


class BackendProcess(World):
    """A world whose backend is a process that the test starts; `foundry` asks it too."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str] | None = None, *, options: tuple[str, ...] = ()
    ) -> None:
        super().__init__(folder, environ)
        self.socket = self.runtime / "s"
        self.environ["FOUNDRY_BACKEND"] = f"unix:{self.socket}"
        self.options = options
        self.prefix: tuple[str, ...] = ()
        """Words before the command, of a program that becomes the backend."""
        self.program: tuple[str, ...] = BACKEND
        self.patience = 30.0
        """Seconds that a stream may be silent, and a task may not become as is waited for."""
        self.process: subprocess.Popen[str] | forks.Fork | None = None
        self.errors = folder / "backend.err"
        transport = httpx.HTTPTransport(uds=str(self.socket), retries=0)
        self.http = httpx.Client(transport=transport, base_url="http://foundry", timeout=30)

    def start(self) -> Self:
        """Start and wait for the line that says it is ready."""
        process = self.spawn()
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.stdout.close()
            raise AssertionError(
                f"the backend did not start (exit code {process.wait(10)}):\n{self.errors.read_text()}"
            )
        assert json.loads(line)["pid"] == process.pid
        return self

    def spawn(self) -> "subprocess.Popen[str] | forks.Fork":
        """Start without waiting for anything."""
        options = ("--data-dir", str(self.data), "--listen", f"unix:{self.socket}", *self.options)
        with self.errors.open("a") as errors:
            if not self.prefix and self.program == BACKEND:
                self.process = forks.start_backend(options, self.environ, errors)
            else:
                self.process = subprocess.Popen(
                    [*self.prefix, *self.program, *options],
                    env=self.environ,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    stdin=subprocess.DEVNULL,
                    text=True,
                )
        return self.process

    def kill(self) -> None:
        """SIGKILL, and reap."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def died(self) -> int:
        """Wait until it has ended by itself; the exit code."""
        return self._reap()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.http.close()
        super().close()

    def create(self, prompt: str = "fix the login redirect", **fields: Any) -> Json:
        """Create a task; the answer must be 201."""
        body = {"repo": str(self.repository), "prompt": prompt, "task_id": uuid7(), **fields}
        answer = self.http.post("/v1/tasks", json=body)
        assert answer.status_code == 201, answer.text
        return json_of(answer)

    def get(self, path: str, **query: Any) -> Json:
        """A 200 answer."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return json_of(answer)

    def post(self, path: str, body: Json | None = None, status: int = 202) -> Json:
        """An answer of this status."""
        answer = self.http.post(path, json=body or {})
        assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return json_of(answer)

    @contextmanager
    def events(self, topic: str, last_event_id: str | None = None) -> Iterator[Iterator[ServerSentEvent]]:
        """The events of a topic as they come."""
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        with connect_sse(
            self.http, "GET", "/v1/events", params={"topic": topic}, headers=headers, timeout=self.patience
        ) as source:
            assert source.response.status_code == 200
            yield source.iter_sse()

    def wait_task(self, task_id: str, wanted: str | Callable[[Json], bool]) -> Json:
        """The task once it has a status, or is as wanted; told by events."""
        accept = (lambda task: task["status"] == wanted) if isinstance(wanted, str) else wanted
        self._wait("task", task_id, accept)
        return self.get(f"/v1/tasks/{task_id}")

    def wait_session(self, session_id: str, wanted: Callable[[Json], bool]) -> Json:
        """The session, without its transcript, once it is as wanted; told by events."""
        return self._wait("session", session_id, wanted)

    def wait_said(self, session_id: str) -> None:
        """Wait until the session's agent has said something: its turn is under way, and its script was read."""
        with self.events(f"session:{session_id}") as events:
            for event in events:
                data = json.loads(event.data)
                items = data["transcript"] if event.event == "snapshot" else [data]
                if event.event in ("snapshot", "transcript") and any(item["kind"] == "message" for item in items):
                    return
        raise AssertionError("the stream ended first")

    def _wait(self, kind: str, id_: str, accept: Callable[[Json], bool]) -> Json:
        deadline = time.monotonic() + self.patience
        record: Json = {}
        with self.events(f"{kind}:{id_}") as events:
            for event in events:
                if event.event in ("snapshot", kind):
                    record = json.loads(event.data)
                    if accept(record):
                        return record
                # Pings come as long as nothing else does.
                if time.monotonic() > deadline:
                    raise AssertionError(f"the {kind} stays otherwise: {record}")
        raise AssertionError("the stream ended first")

    def wait_line(self, task_id: str, text: str) -> None:
        """Wait until the stage log has a line; told by events."""
        with self.events(f"log:{task_id}") as events:
            for event in events:
                data = json.loads(event.data)
                lines = data["lines"] if event.event == "snapshot" else [data] if event.event == "log" else []
                if any(line["text"] == text for line in lines):
                    return
        raise AssertionError("the stream ended first")

    def logged(self, request_id: str) -> Json:
        """The line of the backend's own log about a request; it is written behind the answer, so it is waited for."""

        def line() -> Json | None:
            # the last one may be written only in part
            lines = map(json.loads, self.errors.read_text().split("\n")[:-1])
            return next((line for line in lines if line.get("request_id") == request_id), None)

        return until_seen(line)

    def kinds(self, task_id: str) -> list[str]:
        """The kinds of the task's history, in order."""
        return [event["kind"] for event in self.get(f"/v1/tasks/{task_id}/history")["events"]]

    def _reap(self) -> int:
        assert self.process is not None
        code = self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def json_of(answer: httpx.Response) -> Json:
    """The JSON object of an answer."""
    document: Json = answer.json()
    return document
