"""What is said in a task, read and steered from a script: transcript, prompt --wait, stop, queue."""

import json
import signal
import subprocess
import time
from typing import cast

import pytest

from foundry_tui.cli.follow.conversation import _Follower
from foundry_tui.cli.follow.stream import Event
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.contract.codec import encode
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from tests.cli.command_line import Cli
from tests.world import FOUNDRY, Json

STEPS = [
    {"message": "I look.\n\x1b[31mred\tand"},
    {"tool": "pytest -q", "text": "2 passed", "edit": {"path": "a.py", "new": "x\n"}},
]


@pytest.fixture(scope="module")
def task_id(shared: Cli) -> str:
    """A task with a turn behind it."""
    shared.set_script(
        {
            "default": {"turn": {"ms": 20, "reply": "All done.\nTwo lines."}},
            "tasks": [
                {"match": "talk", "turn": {"steps": STEPS, "ms": 60, "reply": "All done.\nTwo lines."}},
                {"match": "failing", "turn": {"fail": "out of luck"}},
                {"match": "endless", "turn": {"hang": "before"}},
                {"match": "asking", "turn": {"permission": "Run make?"}},
            ],
        }
    )
    return str(shared.create("talk to me")["task_id"])


def test_a_transcript_is_read_in_its_order(shared: Cli, task_id: str) -> None:
    rows = shared("transcript", task_id, code=0).rows
    assert [row[0] for row in rows] == [str(place) for place in range(len(rows))]
    assert [row[2] for row in rows] == ["prompt", "message", "tool_call", "message"]
    assert rows[2][3] == "pytest -q (completed) writes a.py 2 passed"
    assert "\x1b" not in "".join(rows[1])
    document = shared("transcript", task_id, "--json", code=0).json
    assert [item["index"] for item in document["transcript"]] == list(range(len(rows)))


def test_the_last_word_is_the_agents_plain(shared: Cli, task_id: str) -> None:
    assert shared("transcript", task_id, "--last", code=0).out == "All done.\nTwo lines.\n"
    item = shared("transcript", task_id, "--last", "--json", code=0).json
    assert (item["kind"], item["body"]) == ("message", "All done.\nTwo lines.")
    silent = shared.create("endless", wait="running")["task_id"]
    assert "has not said anything yet" in shared("transcript", silent, "--last", code=1).err
    shared("kill", silent, "--force", code=0)


def test_a_prompt_that_is_waited_for_prints_its_answer(shared: Cli, task_id: str) -> None:
    assert shared("prompt", task_id, "once more", "--wait", "--timeout", "30s", code=0).out == "All done.\nTwo lines.\n"
    told = shared("prompt", task_id, "and again", "--wait", "--json", code=0).json
    assert (told["text"], told["state"], told["answer"]) == ("and again", "answered", "All done.\nTwo lines.")


@pytest.mark.slow
def test_waiting_ends_when_the_turn_fails_or_only_a_person_can_go_on(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "failing", "turn": {"fail": "out of luck"}}]})
    failing = shared.create("failing", wait="error")["task_id"]
    said = shared("prompt", failing, "try", "--wait", code=4)
    assert "out of luck" in said.err and "--resend" in said.err
    shared.set_script({"tasks": [{"match": "asking", "turn": {"permission": "Run make?"}}]})
    asking = shared.create("asking", wait="running")["task_id"]
    asked = shared("prompt", asking, "what now?", "--wait", "--json", code=7)
    assert asked.json["question"]["title"] == "Run make?"
    assert "foundry answer" in asked.err
    late = shared("prompt", asking, "and now?", "--wait", "--through-questions", "--timeout", "300ms", code=5)
    assert "in time" in late.err
    shared("kill", asking, "--force", code=0)


@pytest.mark.slow
def test_a_stop_ends_the_turn_and_who_waits_for_it(shared: Cli, task_id: str) -> None:
    assert shared("stop", task_id, code=0).out == "", "nothing runs, which is no failure"
    shared.set_script({"tasks": [{"match": "endless", "turn": {"hang": "before"}}]})
    endless = shared.create("endless too", wait="running")
    with shared.popen("prompt", endless["task_id"], "hello", "--wait") as waiting:
        until_queued(shared, endless["task_id"])
        stopped = shared("stop", endless["task_id"], "--json", code=0).json["stopped"]
        assert stopped == [endless["sessions"][0]["session_id"]]
        shared("kill", endless["task_id"], "--force", code=0)
        assert "--go-on" in waiting.communicate(timeout=30)[1]
        assert waiting.returncode == 1


def until_queued(cli: Cli, task_id: str, count: int = 1) -> list[list[str]]:
    end = time.monotonic() + 30
    while len(rows := cli("queue", task_id, code=0).rows) != count:
        assert time.monotonic() < end
    return rows


@pytest.mark.slow
def test_what_a_stop_holds_back_goes_on_when_told_to_and_what_was_used_is_shown(shared: Cli) -> None:
    usage = {"used": 83_000, "size": 100_000, "cost": {"amount": 1.25, "currency": "EUR"}}
    steps = [{"usage": usage, "ms": 0}, {"message": "one"}]
    shared.set_script({"tasks": [{"match": "held", "turn": {"steps": steps, "hang": "after"}}]})
    task = shared.create("held", wait="running")
    session_id = task["sessions"][0]["session_id"]
    shared("prompt", task["task_id"], "then this", code=0)
    shared("stop", task["task_id"], code=0)
    assert [row[3] for row in until_queued(shared, task["task_id"])] == ["then this"]
    shown = {row[0]: row[1:] for row in shared("show", task["task_id"], code=0).rows}
    assert shown[f"session.{session_id}.usage"] == ["83000", "100000", "1.25", "EUR"]
    told = shared("status", "--json", code=0).json["usage"]
    assert {"currency": "EUR", "amount": 1.25} in told["costs"]
    assert session_id in [each["session_id"] for each in told["nearly_full"]]
    shared.set_script({})
    assert shared("queue", task["task_id"], "--go-on", "--withdraw", "x", code=2).err
    shared("queue", task["task_id"], "--go-on", code=0)
    assert until_queued(shared, task["task_id"], 0) == []


@pytest.mark.slow
def test_a_backend_that_begins_anew_is_waited_for_and_told_of_once(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "endless", "turn": {"hang": "before"}}]})
    endless = shared.create("endless restart", wait="running")["task_id"]
    with shared.popen("prompt", endless, "hello", "--wait") as waiting:
        until_queued(shared, endless)
        shared("backend", "stop", code=0)
        shared.set_script({"default": {"turn": {"ms": 20, "reply": "Hello."}}})
        shared("backend", "start", code=0)
        out, told = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (0, "Hello.\n")
    assert told.count("trying again") == told.count("is back") <= 1
    shared("kill", endless, "--force", code=0)


@pytest.mark.slow
def test_the_queue_is_what_waits(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "endless", "turn": {"hang": "before"}}]})
    endless = shared.create("endless queue", wait="running")["task_id"]
    assert shared("queue", endless, code=0).out == ""
    said = shared("prompt", endless, "one\ntwo", code=0).out.strip()
    [row] = shared("queue", endless, code=0).rows
    assert (row[0], row[3]) == (said, "one two")
    assert [each["text"] for each in shared("queue", endless, "--json", code=0).json["prompts"]] == ["one\ntwo"]
    edited = shared("queue", endless, "--edit", said[:30], "three", "--json", code=0).json
    assert (edited["prompt_id"], edited["text"], edited["state"]) == (said, "three", "queued")
    other = shared("prompt", endless, "too much", code=0).out.strip()
    assert shared("queue", endless, "--withdraw", other, "--json", code=0).json["state"] == "withdrawn"
    assert [row[3] for row in shared("queue", endless, code=0).rows] == ["three"]
    assert "no prompt 'nope' waits" in shared("queue", endless, "--withdraw", "nope", code=1).err
    assert shared("queue", endless, "--edit", said, " ", code=2)
    steers = shared("prompt", endless, "endless as well", "--steer", "--json", code=0).json
    assert steers["steer"] is True
    assert [row[3] for row in until_queued(shared, endless)] == ["three"], "it went before what waits"
    shared("kill", endless, "--force", code=0)


@pytest.mark.slow
def test_following_prints_each_item_once_it_is_whole_until_the_end(shared: Cli, task_id: str) -> None:
    with shared.popen("transcript", task_id, "-f", "--json") as follower:
        assert follower.stdout is not None
        items: list[Json] = [json.loads(follower.stdout.readline())]
        shared("prompt", task_id, "further", "--wait", code=0)
        shared("archive", task_id, "--force", code=0)
        items += [json.loads(line) for line in follower.stdout]
        assert follower.wait(30) == 0
    whole = shared("transcript", task_id, "--json", code=0).json["transcript"]
    assert [item["index"] for item in items] == list(range(len(whole)))
    assert [item["body"] for item in items] == [item["body"] for item in whole]


@pytest.mark.slow
def test_who_waits_for_a_prompt_that_is_taken_back_is_told(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "endless", "turn": {"hang": "before"}}]})
    endless = shared.create("endless wait", wait="running")["task_id"]
    with shared.popen("prompt", endless, "never mind", "--wait") as waiting:
        [row] = until_queued(shared, endless)
        shared("queue", endless, "--withdraw", row[0], code=0)
        _, told = waiting.communicate(timeout=30)
    assert waiting.returncode == 1
    assert told == "foundry: it was not answered: it was taken back before it was delivered\n"
    shared("kill", endless, "--force", code=0)


def test_a_session_is_one_of_the_task_and_may_be_cut(shared: Cli, task_id: str) -> None:
    other = shared.create("another")["sessions"][0]["session_id"]
    for words in (
        ["prompt", task_id, "hello"],
        ["stop", task_id],
        ["transcript", task_id],
        ["transcript", task_id, "-f"],
    ):
        assert f"has no session '{other}'" in shared(*words, "--session", other, code=1).err
    own = shared("show", task_id, "--json", code=0).json["sessions"][0]["session_id"]
    whole = shared("transcript", task_id, code=0).out
    assert shared("transcript", task_id, "--session", own[:30], code=0).out == whole


def test_a_reader_that_went_away_is_silence(shared: Cli) -> None:
    task_id = shared.create("for a short reader")["task_id"]
    done = subprocess.run(
        f"{FOUNDRY} transcript {task_id} | head -n 0; {FOUNDRY} queue {task_id} --json | head -n 1",
        shell=True,
        env=shared.environ,
        cwd=shared.repository,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("words", [("transcript",), ("stop",), ("queue",), ("prompt", "x", "--wait")])
def test_what_is_not_there_is_said(shared: Cli, words: tuple[str, ...]) -> None:
    command, *rest = words
    assert shared(command, "0000", *rest, code=3)


def test_a_transcript_says_what_was_answered_and_which_turns_failed_or_were_stopped(shared: Cli) -> None:
    options = [{"option_id": "no", "name": "Never", "kind": "reject_once"}]
    asks = {"match": "asking", "turn": {"steps": [{"permission": "make all", "text": "make all", "options": options}]}}
    shared.set_script({"tasks": [asks, {"match": "unlucky", "turn": {"fail": "out of luck"}}]})
    asking = shared.create("asking for it", wait="running")["task_id"]
    shared("watch", asking, "--for", "idle", "--timeout", "30s", code=7)
    assert shared("transcript", asking, code=0).rows[1][2:] == ["permission", "make all (waiting for your answer)"]
    shared("answer", asking, "deny", code=0)
    shared("watch", asking, "--for", "idle", "--timeout", "30s", code=0)
    assert shared("transcript", asking, code=0).rows[1][2:] == ["permission", "make all (Never)"]
    unlucky = shared.create("unlucky", wait="error")["task_id"]
    [row] = shared("transcript", unlucky, code=0).rows
    assert row[2:] == ["prompt", "unlucky", "failed: out of luck"]


@pytest.mark.slow
def test_who_follows_is_told_that_a_turn_was_stopped(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "endless", "turn": {"hang": "before"}}]})
    endless = shared.create("endless and followed", wait="running")["task_id"]
    with shared.popen("transcript", endless, "-f") as follower:
        assert follower.stdout is not None
        assert "endless and followed" in follower.stdout.readline()
        shared("stop", endless, code=0)
        shared("archive", endless, "--force", code=0)
        assert follower.communicate(timeout=30)[1] == "foundry: the turn was stopped\n"


def test_a_tool_call_that_others_come_behind_is_printed_again_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    follower = _Follower(cast("BlockingClient", None), as_json=False)

    def tell(index: int, kind: TranscriptKind, body: str | dict[str, str], revision: int = 1) -> None:
        item = TranscriptItem(
            item_id=f"i{index}", session_id="s", index=index, kind=kind, body=body, at=0, revision=revision
        )
        follower.take(Event(Topic(TopicKind.SESSION, "s"), EventName.TRANSCRIPT, "", encode(item)))

    tool = {"title": "make", "status": "in_progress"}
    tell(0, TranscriptKind.TOOL_CALL, tool)
    tell(1, TranscriptKind.PROMPT, "go on")
    tell(0, TranscriptKind.TOOL_CALL, tool | {"content": "half"}, 2)
    for _ in range(2):
        tell(0, TranscriptKind.TOOL_CALL, tool | {"status": "completed", "content": "done"}, 3)
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[3]) for row in rows] == [
        ("0", "make (in_progress)"),
        ("1", "go on"),
        ("0", "make (completed) done"),
    ]
