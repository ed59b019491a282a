"""`transcript -f` where turns follow each other faster than it reads, and where the backend is away meanwhile."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from foundry_tui.cli.follow.conversation import follow_conversation
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.errors import UnreachableError
from foundry_tui.contract import codec
from foundry_tui.contract.activity import Activity, ActivityKind
from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.records import SessionDetail, SessionStatus, TaskDetail
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from tests.app.factories import make_detail

RUNNING = SessionDetail(
    session_id="s",
    task_id="t",
    name="demo",
    agent="demo",
    status=SessionStatus.RUNNING,
    created_at=1,
    updated_at=1,
    revision=1,
)


def item(index: int, kind: TranscriptKind, body: str, revision: int = 1) -> TranscriptItem:
    return TranscriptItem(
        item_id=f"i{index}", session_id="s", index=index, kind=kind, body=body, at=1, revision=revision
    )


def told(name: str, record: object) -> bytes:
    return b"event: %s\nid: d-1\ndata: %s\n\n" % (name.encode(), codec.encode(record))


TASK = make_detail(1, host="build-7")


class Client:
    """Tells these events, and answers each time that the session is asked for with the next of `answers`."""

    patience = 5.0

    def __init__(
        self, events: list[bytes], answers: list[SessionDetail | UnreachableError], task: TaskDetail = TASK
    ) -> None:
        self._events = events
        self._answers = answers
        self._task = task
        self._told = threading.Event()

    @contextmanager
    def open(self, *_: object, query: dict[str, str], **__: object) -> Iterator[object]:
        headers = {"Content-Type": "text/event-stream"}
        pieces = self._of_task if query["topic"].startswith("task:") else self._of_session
        yield SimpleNamespace(status_code=200, headers=headers, iter_bytes=pieces)

    def _of_task(self) -> Iterator[bytes]:
        yield told("snapshot", {**msgspec.to_builtins(self._task), "seq": 1})
        self._told.set()

    def _of_session(self) -> Iterator[bytes]:
        """The last of it comes when the task has been told of."""
        yield from self._events[:-1]
        assert self._told.wait(self.patience)
        yield self._events[-1]

    def call(self, *_: object) -> SessionDetail:
        answer = self._answers.pop(0)
        if isinstance(answer, UnreachableError):
            raise answer
        return answer


def test_an_item_of_the_next_turn_is_not_printed_before_it_is_whole(capfd: pytest.CaptureFixture[str]) -> None:
    first = (item(0, TranscriptKind.PROMPT, "one"), item(1, TranscriptKind.MESSAGE, "First.", 2))
    beginning = (first[0], item(1, TranscriptKind.MESSAGE, "Fi"))
    following = (*first, item(2, TranscriptKind.PROMPT, "two"))
    whole = item(3, TranscriptKind.MESSAGE, "Second.", 2)
    client = Client(
        [
            told("snapshot", {**msgspec.to_builtins(replace(RUNNING, transcript=beginning)), "seq": 1}),
            told("session", replace(RUNNING, status=SessionStatus.READY, revision=2)),
            told("session", replace(RUNNING, revision=3)),
            told("transcript", whole),
            told("session", replace(RUNNING, status=SessionStatus.CLOSED, revision=4)),
        ],
        [
            UnreachableError("it does not answer"),
            replace(RUNNING, revision=3, transcript=(*following, item(3, TranscriptKind.MESSAGE, "Se"))),
            replace(RUNNING, revision=4, status=SessionStatus.CLOSED, transcript=(*following, whole)),
        ],
    )
    follow_conversation(cast("BlockingClient", client), "s", task_id="t", given="t", as_json=True)
    out, err = capfd.readouterr()
    items: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert [each["body"] for each in items] == ["one", "First.", "two", "Second."]
    assert err == "foundry: it does not answer; trying again\n"


def test_that_the_host_is_away_is_said_beside_what_was_said(capfd: pytest.CaptureFixture[str]) -> None:
    away = replace(TASK, activity=Activity(kind=ActivityKind.NOTICE, text=away_words("build-7"), at=0))
    closed = replace(RUNNING, status=SessionStatus.CLOSED, revision=2)
    beginning = told("snapshot", {**msgspec.to_builtins(RUNNING), "seq": 1})
    client = Client([beginning, told("session", closed)], [closed], away)
    follow_conversation(cast("BlockingClient", client), "s", task_id="t", given="t", as_json=True)
    assert capfd.readouterr().err == "foundry: its host build-7 is away: it goes on when that is back\n"
