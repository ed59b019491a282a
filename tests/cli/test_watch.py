"""Waiting and following, from outside: by events, to the right end, through lost connections."""

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command_line import Cli


@pytest.mark.parametrize(
    "goal", ["init_enqueue_provision", "ensure_name", "init_ensure_agent", "create_session", "idle"]
)
def test_what_is_waited_for_is_reached(shared: Cli, goal: str) -> None:
    task = shared("create", f"go to {goal}", "--wait", goal, "--json", code=0).json
    assert task["status"] != "error"


def test_a_stage_that_was_passed_is_met_at_once(shared: Cli) -> None:
    task_id = shared.create("already there")["task_id"]
    for goal in ("ensure_name", "init_create_sandbox", "sandbox", "running", "working", "idle", "ready"):
        assert shared("watch", task_id, "--for", goal, code=0).err == ""


def test_an_error_on_the_way_is_exit_4_and_said(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "doomed", "ensure_agent": {"fail": "no such agent", "retryable": False}}]})
    done = shared("create", "doomed", "--wait", "running", "--json", code=4)
    assert done.json["status"] == "error"
    assert "ensure_agent: no such agent" in done.err
    assert "foundry retry" in done.err
    task_id = done.json["task_id"]
    shared("watch", task_id, code=4)
    shared("watch", task_id, "--for", "running", code=4)
    shared("watch", task_id, "--for", "error", code=0)
    shared("watch", task_id, "--for", "create_sandbox", code=0)


def test_a_turn_that_fails_after_running_was_reached(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "short turn", "turn": {"ms": 1, "fail": "the model refused"}}]})
    assert shared("create", "short turn", "--wait", "running", "--json", code=0).json["task_id"]
    assert shared("create", "short turn", "--wait", "idle", code=4).out.strip()


def test_a_time_out_is_exit_5_and_the_task_goes_on(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "for ages", "create_sandbox": {"ms": 120_000}}]})
    done = shared("create", "for ages", "--wait", "running", "--timeout", "200ms", "--json", code=5)
    assert done.json["status"].startswith("init_")
    assert "goes on" in done.err
    shared("watch", done.json["task_id"], "--for", "running", "--timeout", "0.1s", code=5)
    shared("kill", done.json["task_id"], code=0)
    # what can no longer come is not waited for
    shared("watch", done.json["task_id"], "--for", "running", "--timeout", "20s", code=1)


def test_follow_in_a_pipe_is_one_line_an_event(shared: Cli) -> None:
    done = shared("create", "follow me", "--follow", code=0)
    task_id, *lines = done.out.splitlines()
    kinds = [line.split("\t")[1] for line in lines]
    assert kinds == [row[3] for row in shared("history", task_id).rows][: len(kinds)]
    assert kinds[0] == "task.created"
    assert kinds[-1] == "task.idle"


def test_follow_with_json_is_one_event_a_line(shared: Cli) -> None:
    lines = [json.loads(line) for line in shared("create", "follow me", "--follow", "--json", code=0).out.splitlines()]
    assert lines[0]["event"] == "snapshot"
    assert {"task", "history"} <= {line["event"] for line in lines}
    assert all(line["id"] for line in lines)
    assert [line["data"]["status"] for line in lines if line["event"] == "task"][-1] == "idle"


def test_watch_of_a_task_at_rest_tells_how_it_stands_and_ends(shared: Cli) -> None:
    task_id = shared.create("at rest")["task_id"]
    assert [line.split("\t")[1] for line in shared("watch", task_id, code=0).out.splitlines()] == ["task.idle"]
    (line,) = shared("watch", task_id, "--json", code=0).out.splitlines()
    assert json.loads(line)["data"]["status"] == "idle"


def test_a_task_pruned_meanwhile_is_exit_3(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "gone soon", "create_sandbox": {"ms": 120_000}}]})
    task_id = shared.create("gone soon", wait="init_create_sandbox")["task_id"]
    watching = shared.popen("watch", task_id, "--for", "archived")
    assert watching.stdout is not None
    assert watching.stdout.readline()
    shared("kill", task_id, code=0)
    shared("watch", task_id, "--for", "killed", code=0)
    shared("prune", task_id)
    _, err = watching.communicate(timeout=30)
    # killed is no way to archived, and pruned is the end of all: whichever it saw first
    assert watching.returncode in (1, 3), err


@pytest.mark.parametrize("words", [("watch",), ("logs", "-f")])
def test_ctrl_c_leaves_the_task_running_and_says_so(shared: Cli, words: tuple[str, ...]) -> None:
    shared.set_script({"tasks": [{"match": "patience", "create_sandbox": {"ms": 120_000, "log": ["pulling"]}}]})
    task_id = shared.create("patience", wait="init_create_sandbox")["task_id"]
    following = shared.popen(*words, task_id)
    assert following.stdout is not None
    assert following.stdout.readline()
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=30)
    assert following.returncode == 130
    assert "goes on" in err
    assert shared("show", task_id, "--json").json["status"] == "init_create_sandbox"
    shared("kill", task_id, code=0)


def test_logs_are_followed_to_the_end_of_the_task(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "log to the end", "create_sandbox": {"log": ["one", "two"]}}]})
    task_id = shared.create("log to the end")["task_id"]
    following = shared.popen("logs", "-f", task_id, "--stage", "create_sandbox", "--json")
    assert following.stdout is not None
    assert [json.loads(following.stdout.readline())["text"] for _ in range(2)] == ["one", "two"]
    shared("kill", task_id, code=0)
    _, err = following.communicate(timeout=30)
    assert following.returncode == 0, err


def test_a_failure_is_told_after_the_lines_that_led_to_it_while_they_are_followed(shared: Cli) -> None:
    failing = {"log": ["pulling"], "fail": "no room", "retryable": False}
    shared.set_script({"tasks": [{"match": "full disk", "create_sandbox": failing}]})
    task_id = shared.create("full disk", wait="error")["task_id"]
    following, silent = shared.popen("logs", "-f", task_id), shared.popen("logs", "-f", task_id, "--json")
    assert following.stderr is not None
    for _ in range(2):
        assert following.stderr.readline() == "foundry: The sandbox could not be created: no room\n"
        assert f"foundry retry {task_id}" in following.stderr.readline()
        shared("retry", task_id, code=0)
    shared("kill", task_id, code=0)
    out, _ = following.communicate(timeout=30)
    assert [line.split("\t")[3] for line in out.splitlines()].count("pulling") >= 2
    assert silent.communicate(timeout=30)[1] == ""


def test_a_backend_that_dies_and_comes_back_is_waited_for(cli: Cli) -> None:
    cli.set_script({"default": {"create_sandbox": {"ms": 120_000}}})
    task_id = cli("create", "survive me", "--wait", "init_create_sandbox", "--json", code=0).json["task_id"]
    watching = cli.popen("watch", task_id, "--for", "idle")
    assert watching.stdout is not None
    assert watching.stdout.readline()
    os.kill(cli("backend", "status", "--json").json["pid"], signal.SIGKILL)
    assert watching.stderr is not None
    assert "trying again" in watching.stderr.readline()
    cli.set_script({})
    cli("backend", "start", code=0)
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, err
    assert "is back" in err
    assert "provision.resumed" in out


def whole_request(client: socket.socket) -> bytes:
    """A request with its body; empty when the connection ends without one."""
    request = b""
    while b"\r\n\r\n" not in request:
        piece = client.recv(1 << 16)
        if not piece:
            return b""
        request += piece
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length is not None and len(body) < int(length[1]):
        body += client.recv(1 << 16)
    return head + b"\r\n\r\n" + body


@contextmanager
def cutting(front: Path, back: Path, *, cuts: int) -> Iterator[list[bytes]]:
    """A proxy that passes whole requests on, but drops the first `cuts` answers to a POST; what it saw is listed."""
    seen: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(front))
    listener.listen()

    def serve() -> None:
        left = cuts
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as backend:
                request = whole_request(client)
                if not request:
                    return
                seen.append(request)
                backend.connect(str(back))
                backend.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                answer = b""
                while piece := backend.recv(1 << 16):
                    answer += piece
                if request.startswith(b"POST") and left:
                    left -= 1
                    continue
                client.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(front))
        thread.join(10)
        listener.close()


def test_a_create_whose_answer_was_lost_is_settled_by_its_id(cli: Cli) -> None:
    cli("backend", "start", code=0)
    front = cli.runtime / "front.sock"
    with cutting(front, cli.socket, cuts=2) as seen:
        done = cli("create", "only once", environ={"FOUNDRY_BACKEND": f"unix:{front}"}, code=0)
    assert len([request for request in seen if request.startswith(b"POST /v1/tasks")]) == 3
    assert "asking again" in done.err
    assert [row[0] for row in cli("list").rows] == [done.out.strip()]
