"""The streams: snapshots, events in their order, resuming by id, endings, and clients that are too slow."""

import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from httpx_sse import ServerSentEvent

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import (
    LOG_LINE,
    REPO,
    SESSION_STATE,
    TRANSCRIPT_ITEM,
    check_detail,
    check_summary,
    only,
    refused,
)
from tests.waiting import until_seen
from tests.world import Json

EVENT_NAMES = {
    "tasks": {"snapshot", "resumed", "task", "task_removed", "repo", "ping"},
    "task": {"snapshot", "resumed", "task", "task_removed", "history", "ping"},
    "session": {"snapshot", "resumed", "session", "transcript", "task_removed", "ping"},
    "log": {"snapshot", "resumed", "log", "task_removed", "ping"},
}


def _until(events: Iterator[ServerSentEvent], name: str, **wanted: object) -> list[tuple[str, str, Json]]:
    """Events (id, name, data) up to the first of this name that has these values."""
    seen = []
    for event in events:
        data = json.loads(event.data)
        seen.append((event.id, event.event, data))
        if event.event == name and all(data.get(key) == value for key, value in wanted.items()):
            return seen
    raise AssertionError("the stream ended first")


def test_tasks_begins_with_what_the_list_answers(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    shared.wait_task(task_id, "idle")
    with shared.events("tasks") as events:
        first = next(events)
        assert first.event == "snapshot"
        assert json.loads(first.data) == shared.get("/v1/tasks")
        assert re.fullmatch(r"\w+-\d+", first.id)
        database, _, seq = first.id.partition("-")
        assert int(seq) == json.loads(first.data)["seq"]
        new = shared.create("streamed")["task_id"]
        seen = _until(events, "task", task_id=new, status="idle")
    assert {name for _, name, _ in seen} <= EVENT_NAMES["tasks"]
    seqs = [int(id_.rpartition("-")[2]) for id_, _, _ in seen]
    assert seqs == sorted(set(seqs)), "every event has a seq of its own"
    assert {id_.rpartition("-")[0] for id_, _, _ in seen} == {database}
    for _, name, data in seen:
        if name == "task":
            check_summary(data)
        elif name == "repo":
            only(data, REPO, always="repo_id label task_count")
    revisions = [data["revision"] for _, name, data in seen if name == "task"]
    assert revisions == list(range(1, len(revisions) + 1)), "no revision is skipped"


def test_a_task_stream_has_its_history_each_event_once(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    with shared.events(f"task:{task_id}") as events:
        seen = _until(events, "history", kind="task.idle")
    assert {name for _, name, _ in seen} <= EVENT_NAMES["task"]
    _, name, snapshot = seen[0]
    assert name == "snapshot"
    assert isinstance(snapshot.pop("seq"), int)
    check_detail(snapshot)
    for _, name, data in seen[1:]:
        if name == "task":
            check_detail({**data, "history": []})
            assert "history" not in data
    told = snapshot["history"] + [data for _, name, data in seen if name == "history"]
    assert told == shared.get(f"/v1/tasks/{task_id}/history")["events"]


def test_a_session_stream_grows_its_items_in_place(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"ms": 600, "reply": "word " * 40}}})
    task = backend.create()
    session_id = task["sessions"][0]["session_id"]
    with backend.events(f"session:{session_id}") as events:
        seen = _until(events, "session", status="ready", unread=True)
    assert {name for _, name, _ in seen} <= EVENT_NAMES["session"]
    snapshot = seen[0][2]
    only(snapshot, SESSION_STATE | {"transcript", "seq"}, always="prompts transcript seq")
    revisions: dict[str, list[int]] = {}
    times: dict[str, list[int]] = {}
    for _, name, data in seen:
        if name == "transcript":
            only(data, TRANSCRIPT_ITEM, always="item_id session_id kind body at revision")
            revisions.setdefault(data["item_id"], []).append(data["revision"])
            times.setdefault(data["item_id"], []).append(data["at"])
        elif name == "session":
            only(data, SESSION_STATE, always="prompts options commands accepts")
    assert max(len(each) for each in revisions.values()) > 2, "the reply was streamed"
    for each in revisions.values():
        assert each == list(range(1, len(each) + 1))
    sessions = [snapshot["revision"], *(data["revision"] for _, name, data in seen if name == "session")]
    assert sessions == list(range(sessions[0], sessions[0] + len(sessions)))
    assert backend.get(f"/v1/sessions/{session_id}")["transcript"][1]["body"] == "word " * 40


def test_a_log_stream_has_every_line_once(backend: BackendProcess) -> None:
    lines = [f"line {number} \u2028 \u0085" for number in range(20)]
    backend.set_script({"default": {"create_sandbox": {"log": lines[:10], "ms": 200}, "ensure_agent": {"log": lines}}})
    task_id = backend.create()["task_id"]
    with backend.events(f"log:{task_id}") as events:
        first = next(events)
        assert first.event == "snapshot"
        told = json.loads(first.data)
        assert set(told) == {"lines", "seq"}
        held: list[Json] = told["lines"]
        while len([line for line in held if line["stage"] == "ensure_agent"]) < 20:
            event = next(events)
            if event.event == "log":
                held.append(only(json.loads(event.data), LOG_LINE, always="stage at"))
    assert [line["index"] for line in held] == list(range(len(held)))
    assert [line["text"] for line in held if line["stage"] == "ensure_agent"] == lines


def test_resuming_gives_what_was_missed_and_no_snapshot(shared: BackendProcess) -> None:
    with shared.events("tasks") as events:
        last = next(events).id
    task_id = shared.create()["task_id"]
    shared.wait_task(task_id, "idle")
    with shared.events("tasks", last) as events:
        seen = _until(events, "task", task_id=task_id, status="idle")
    assert seen[0][1] == "resumed"
    assert isinstance(seen[0][2]["seq"], int)
    assert "snapshot" not in [name for _, name, _ in seen]
    with shared.events("tasks", seen[-1][0]) as events:
        assert next(events).event == "resumed"
        another = shared.create()["task_id"]
        after = _until(events, "task", task_id=another)
    assert [data["task_id"] for _, name, data in after if name == "task"] == [another], "nothing comes twice"


def test_resuming_a_task_misses_no_history(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    with shared.events(f"task:{task_id}") as events:
        first = next(events)
    told = json.loads(first.data)["history"]
    shared.wait_task(task_id, "idle")
    last = first.id
    whole = shared.get(f"/v1/tasks/{task_id}/history")["events"]
    while told != whole:
        with shared.events(f"task:{task_id}", last) as events:
            assert next(events).event == "resumed"
            event = next(events)
            last = event.id
            if event.event == "history":
                told.append(json.loads(event.data))
    assert [event["seq"] for event in told] == [event["seq"] for event in whole]


def test_a_removal_while_away_is_told(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    shared.post(f"/v1/tasks/{task_id}/kill")
    shared.wait_task(task_id, "killed")
    with shared.events("tasks") as events:
        last = next(events).id
    shared.http.delete(f"/v1/tasks/{task_id}")
    with shared.events("tasks", last) as events:
        seen = _until(events, "task_removed", task_id=task_id)
    assert seen[-1][2] == {"task_id": task_id}
    assert seen[0][1] == "resumed"


@pytest.mark.parametrize(
    "last",
    [
        *("nonsense", "-", "x-", "-1", "other-1", "\xe9-1"),
        *("{database}", "{database}-", "{database}--1", "{database}- 1", "{database}-1e3"),
        *("{database}-99999999", "{database}-" + "9" * 40),
    ],
)
def test_an_id_that_is_not_ours_or_from_the_future_gives_a_snapshot(shared: BackendProcess, last: str) -> None:
    shared.create()
    with shared.events("tasks") as events:
        database = next(events).id.rpartition("-")[0]
    with shared.http.stream(
        "GET",
        "/v1/events",
        params={"topic": "tasks"},
        headers=[(b"last-event-id", last.replace("{database}", database).encode("latin-1"))],
    ) as answer:
        text = next(answer.iter_bytes())
    assert b"event: snapshot\n" in text


def test_pruning_ends_every_stream_of_the_task(shared: BackendProcess) -> None:
    task = shared.create()
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    shared.post(f"/v1/tasks/{task_id}/kill")
    shared.wait_task(task_id, "killed")
    with (
        shared.events(f"task:{task_id}") as of_task,
        shared.events(f"session:{session_id}") as of_session,
        shared.events(f"log:{task_id}") as of_log,
    ):
        streams = (of_task, of_session, of_log)
        assert [next(stream).event for stream in streams] == ["snapshot"] * 3
        assert shared.http.delete(f"/v1/tasks/{task_id}").status_code == 204
        for stream in streams:
            rest = [(event.event, json.loads(event.data)) for event in stream]
            assert rest == [("task_removed", {"task_id": task_id})]
    refused(shared.http.get("/v1/events", params={"topic": f"task:{task_id}"}), 404)
    refused(shared.http.get("/v1/events", params={"topic": f"session:{session_id}"}), 422)


@pytest.mark.slow
def test_a_quiet_stream_pings_within_15_seconds(shared: BackendProcess) -> None:
    with shared.events("tasks") as events:
        next(events)
        began = time.monotonic()
        ping = next(events)
        while ping.event != "ping":
            began = time.monotonic()
            ping = next(events)
    assert time.monotonic() - began < 15
    assert set(json.loads(ping.data)) == {"seq", "at"}
    with shared.events("tasks", ping.id) as events:
        assert next(events).event == "resumed"


def test_streams_end_well_when_the_backend_stops(backend: BackendProcess) -> None:
    with backend.events("tasks") as events:
        next(events)
        assert backend.stop() == 0
        assert list(events) == [], "a clean end, not a cut"


def test_streams_are_limited_with_a_clear_answer(backend: BackendProcess) -> None:
    request = b"GET /v1/events?topic=tasks HTTP/1.1\r\nHost: a\r\n\r\n"
    held: list[socket.socket] = []
    try:
        for _ in range(1_000):
            connection = socket.socket(socket.AF_UNIX)
            held.append(connection)
            connection.settimeout(10)
            connection.connect(str(backend.socket))
            connection.sendall(request)
            assert connection.recv(12) == b"HTTP/1.1 200"
        for connection in held:
            while b"event: snapshot" not in connection.recv(65_536):
                pass
        problem = refused(backend.http.get("/v1/events?topic=tasks"), 429)
        assert "1000 streams" in problem["detail"]
        assert backend.http.get("/v1/tasks").status_code == 200, "everything else goes on"
        held.pop().close()
        until_seen(lambda: _status_of_stream(backend) == 200)
    finally:
        for connection in held:
            connection.close()


def _status_of_stream(backend: BackendProcess) -> int:
    with backend.http.stream("GET", "/v1/events", params={"topic": "tasks"}) as answer:
        return answer.status_code


def test_a_client_that_does_not_read_is_disconnected_and_resumes(backend: BackendProcess) -> None:
    task = backend.create("x" * 900_000)
    task_id = task["task_id"]
    backend.wait_task(task_id, "idle")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(backend.socket))
        connection.sendall(f"GET /v1/events?topic=task:{task_id} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        for number in range(30):
            backend.http.patch(f"/v1/tasks/{task_id}", json={"title": f"title {number}"})
        taken = 0
        try:
            while piece := connection.recv(1 << 20):
                taken += len(piece)
        except ConnectionResetError:
            pass
    assert taken < 20_000_000, "what the client did not read was not kept for it"
    with backend.events(f"task:{task_id}") as events:
        assert json.loads(next(events).data)["title"] == "title 29"


def test_two_hundred_clients_see_the_same_end(backend: BackendProcess) -> None:
    limits = httpx.Limits(max_connections=None)
    transport = httpx.HTTPTransport(uds=str(backend.socket), limits=limits)
    with httpx.Client(transport=transport, base_url="http://foundry", timeout=30) as http:
        streams = [http.send(http.build_request("GET", "/v1/events?topic=tasks"), stream=True) for _ in range(200)]
        task_id = uuid7()
        backend.create(task_id=task_id)
        done = backend.wait_task(task_id, "idle")
        wanted = f'"revision":{done["revision"]},'.encode()
        for stream in streams:
            held = b""
            for piece in stream.iter_raw():
                held += piece
                if wanted in held and b'"status":"idle"' in held:
                    break
            stream.close()
