"""What is read: histories, stage logs, diffs, health, metrics; with paging, and with the methods that only look."""

import json
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import HISTORY_EVENT, STAGES, only, refused
from tests.git import git
from tests.world import Json

NUMBERS = ["x", "-5", "1.0", "1e3", "+1", " 1", "%D9%A1", "9" * 30, "9007199254740993"]


def test_the_history_of_a_task_rises_and_is_paged(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    task = shared.wait_task(task_id, "idle")
    page = shared.get(f"/v1/tasks/{task_id}/history")
    assert set(page) == {"events"}
    for event in page["events"]:
        only(event, HISTORY_EVENT, always="seq task_id kind at payload")
        if event["kind"].startswith("stage."):
            assert event["payload"]["stage"] in STAGES
    assert page["events"] == task["history"]
    seqs = [event["seq"] for event in page["events"]]
    assert seqs == sorted(set(seqs))
    kinds = [event["kind"] for event in page["events"]]
    assert kinds[:2] == ["task.created", "provision.queued"]
    for once in ("session.ready", "prompt.queued", "prompt.delivered", "task.running", "task.idle"):
        assert kinds.count(once) == 1
    rest = shared.get(f"/v1/tasks/{task_id}/history", after=seqs[4], limit=3)["events"]
    assert [event["seq"] for event in rest] == seqs[5:8], "after is exclusive"
    assert shared.get(f"/v1/tasks/{task_id}/history", after=seqs[-1]) == {"events": []}
    assert shared.get(f"/v1/tasks/{task_id}/history?after=&limit=") == page, "empty is as good as absent"
    refused(shared.http.get(f"/v1/tasks/{uuid7()}/history"), 404)


def test_the_history_of_all_tasks_is_in_commit_order(shared: BackendProcess) -> None:
    ids = [shared.create()["task_id"] for _ in range(3)]
    for task_id in ids:
        shared.wait_task(task_id, "idle")
    events = shared.get("/v1/history")["events"]
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert set(ids) <= {event["task_id"] for event in events}
    paged: list[Json] = []
    while page := shared.get("/v1/history", after=paged[-1]["seq"] if paged else 0, limit=7)["events"]:
        paged += page
    assert [event["seq"] for event in paged][: len(seqs)] == seqs


@pytest.mark.parametrize("name", ["after", "limit"])
@pytest.mark.parametrize("value", NUMBERS)
def test_wrong_numbers_are_named(shared: BackendProcess, name: str, value: str) -> None:
    refused(shared.http.get(f"/v1/history?{name}={value}"), 422, name)


def test_the_stage_log_is_kept_by_stage_and_paged(backend: BackendProcess) -> None:
    script = {"create_sandbox": {"log": ["one \u2028", "two"]}, "ensure_agent": {"log": ["three", "x" * 9_000]}}
    backend.set_script({"default": script})
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    lines = backend.get(f"/v1/tasks/{task_id}/log")["lines"]
    assert all(set(line) == {"index", "stage", "at", "text"} for line in lines)
    assert [line["index"] for line in lines] == list(range(len(lines)))
    sandbox = backend.get(f"/v1/tasks/{task_id}/log", stage="create_sandbox")["lines"]
    assert [line["text"] for line in sandbox] == ["one \u2028", "two"]
    later = backend.get(f"/v1/tasks/{task_id}/log", stage="create_sandbox", after=sandbox[0]["index"])["lines"]
    assert [line["text"] for line in later] == ["two"]
    assert backend.get(f"/v1/tasks/{task_id}/log?stage=&after=")["lines"] == lines
    refused(backend.http.get(f"/v1/tasks/{task_id}/log?stage=nothing"), 422, "stage")
    refused(backend.http.get(f"/v1/tasks/{task_id}/log?after=x"), 422, "after")
    refused(backend.http.get(f"/v1/tasks/{uuid7()}/log"), 404)


def test_a_diff_is_a_list_of_files(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    diff = shared.get(f"/v1/tasks/{task_id}/diff")
    assert set(diff) <= {"files", "computed_at"}
    assert diff["files"] == []
    refused(shared.http.get(f"/v1/tasks/{uuid7()}/diff"), 404)


def test_files_are_told_once_they_are_listed_and_newer_ones_are_waited_for(backend: BackendProcess) -> None:
    (backend.repository / "in the branch.txt").write_text("")
    git(backend.repository, "add", "--all")
    git(backend.repository, "commit", "-q", "-m", "a file")
    backend.set_script({"default": {"files": ["src/a.py"], "create_sandbox": {"hang": "before"}}, "tasks": []})
    waiting = backend.create()
    files = f"/v1/tasks/{waiting['task_id']}/files"
    assert backend.get(files) == {"paths": []}, "it answers before it has listed"
    there = backend.get(files, newer=0)
    assert there["paths"] == ["in the branch.txt"], "what the sandbox will have"
    of_repo = backend.get(f"/v1/repos/{waiting['repo_id']}/files")
    assert of_repo == there
    backend.set_script({"default": {"files": ["src/a.py"]}})
    task = backend.create()
    sandbox = backend.wait_task(task["task_id"], "idle")["sandbox"]["cwd"]
    files = f"/v1/tasks/{task['task_id']}/files"
    first = backend.get(files, newer=0)
    assert first["paths"] == ["src/a.py"]
    (Path(sandbox) / "new").write_text("")
    assert backend.get(files) == first, "what is known"
    newer = backend.get(files, newer=first["computed_at"])
    assert newer["paths"] == ["src/a.py", "new"] and newer["computed_at"] > first["computed_at"]
    refused(backend.http.get(f"/v1/tasks/{uuid7()}/files"), 404)
    refused(backend.http.get("/v1/repos/none/files"), 404)
    refused(backend.http.get(f"{files}?newer=x"), 422, "newer")


def test_health_and_metrics(shared: BackendProcess) -> None:
    health = shared.get("/v1/health")
    assert set(health) == {"status", "version", "pid", "started_at", "providers"}
    assert shared.process is not None
    assert (health["status"], health["pid"]) == ("ok", shared.process.pid)
    assert health["providers"]["demo"] == "ready"
    answer = shared.http.get("/v1/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE foundry_create_seconds histogram" in answer.text


def test_memory_is_told_of_agents_that_are_processes(shared: BackendProcess) -> None:
    task_id = shared.create("remember")["task_id"]
    assert shared.get("/v1/agents/memory") == {"agents": [], "unknown": None}
    assert shared.get("/v1/agents/memory", task=task_id)["agents"] == []
    refused(shared.http.get("/v1/agents/memory", params={"task": "none"}), 404)


def test_metrics_count_what_happened(backend: BackendProcess) -> None:
    usage = {"used": 41, "size": 100, "cost": {"amount": 0.25, "currency": "USD"}}
    backend.set_script(
        {
            "default": {"turn": {"steps": [{"usage": usage}]}},
            "tasks": [{"match": "twice", "create_sandbox": {"fail": "no room", "times": 1}}],
        }
    )
    backend.wait_task(backend.create("plain")["task_id"], "idle")
    backend.wait_task(backend.create("twice")["task_id"], "idle")
    with backend.events("tasks") as events:
        next(events)
        told = dict(line.rsplit(" ", 1) for line in backend.http.get("/v1/metrics").text.splitlines() if line[0] != "#")
    for name, count in {
        "foundry_create_seconds_count": 2,
        "foundry_queue_seconds_count": 2,
        'foundry_stage_seconds_count{stage="create_sandbox"}': 2,
        'foundry_stage_outcomes_total{outcome="completed",stage="create_sandbox"}': 2,
        'foundry_stage_outcomes_total{outcome="retrying",stage="create_sandbox"}': 1,
        'foundry_context_used_tokens{agent="demo"}': 82,
        'foundry_context_size_tokens{agent="demo"}': 200,
        'foundry_cost{agent="demo",currency="USD"}': 0.5,
        "foundry_streams": 1,
        "foundry_provisioning": 0,
    }.items():
        assert float(told[name]) == count, name
    assert float(told['foundry_stage_seconds_sum{stage="create_sandbox"}']) < 60
    assert float(told["foundry_commit_seconds_count"]) > 2
    assert float(told['foundry_events_total{name="task"}']) > 2


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        (b"X-Big: " + b"x" * 64_500, 200),
        (b"X-Big: " + b"x" * 66_000, 431),
        (b"X-Big: " + b"x" * 200_000, 431),
        (b"\r\n".join([b"X: 1"] * 190), 200),
        (b"\r\n".join([b"X: 1"] * 300), 431),
        (b"\r\n".join([b"X: 1"] * 20_000), 431),
    ],
    ids=["64 kB", "66 kB", "200 kB", "190 lines", "300 lines", "20,000 lines"],
)
def test_a_head_that_is_too_large_is_told_so(shared: BackendProcess, headers: bytes, answered: int) -> None:
    for at_once in (True, False):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(shared.socket))
            head = b"GET /v1/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n\r\n"
            with suppress(BrokenPipeError, ConnectionResetError):
                if at_once:
                    link.sendall(head)
                else:
                    for start in range(0, len(head), 4_000):
                        link.sendall(head[start : start + 4_000])
            answer = b""
            # what was not read of the request may reset the connection behind the answer
            with suppress(ConnectionResetError):
                while piece := link.recv(65_536):
                    answer += piece
        status, _, body = answer.partition(b"\r\n\r\n")
        assert status.startswith(b"HTTP/1.1 %d" % answered)
        if answered == 200:
            continue
        problem = json.loads(body)
        assert "65536 bytes" in problem["detail"]
        assert f"x-request-id: {problem['request_id']}".encode() in status
        assert shared.logged(problem["request_id"])


def test_a_snapshot_keeps_what_ended_until_it_is_pruned(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    shared.post(f"/v1/tasks/{task_id}/archive")
    shared.wait_task(task_id, "archived")
    assert task_id in [task["task_id"] for task in shared.get("/v1/tasks")["tasks"]]
    assert shared.http.delete(f"/v1/tasks/{task_id}").status_code == 204
    assert task_id not in [task["task_id"] for task in shared.get("/v1/tasks")["tasks"]]
    assert task_id not in [event["task_id"] for event in shared.get("/v1/history")["events"]]


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/repos", "/v1/health", "/v1/history", "/v1/events?topic=tasks"])
def test_head_answers_without_a_body(shared: BackendProcess, path: str) -> None:
    answer = shared.http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_every_answer_carries_a_request_id_that_the_log_knows(shared: BackendProcess) -> None:
    good = shared.http.get("/v1/repos?why=test")
    bad = shared.http.get("/v1/tasks/none")
    assert refused(bad, 404)["request_id"] == bad.headers["x-request-id"]
    assert shared.logged(good.headers["x-request-id"])["message"] == "GET /v1/repos?why=test"
    assert shared.logged(bad.headers["x-request-id"])["status"] == 404
