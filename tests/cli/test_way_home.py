"""The commands that bring work home, against the demo provider: what they print, and how they end."""

import json
import signal

import pytest

from tests.cli.command_line import Cli, until_told
from tests.world import Json


def operation_of(cli: Cli, task_id: str) -> Json:
    found: Json = cli("show", task_id, "--json", code=0).json["operations"][-1]
    return found


@pytest.mark.parametrize(
    ("words", "kind", "request_"),
    [
        (("commit", "-m", "Mine"), "commit", {"message": "Mine"}),
        (("update", "--how", "merge", "--resolve", "agent"), "update", {"how": "merge", "resolve": "agent"}),
        (("push", "--force-with-lease"), "push", {"force_with_lease": True}),
        (("pr", "--ready"), "pull_request", {"draft": False}),
        (("pr", "--title", "T", "--body", "B", "--draft"), "pull_request", {"title": "T", "body": "B", "draft": True}),
        (("land", "--how", "squash", "--into", "next"), "land", {"how": "squash", "into": "next"}),
        (("land",), "land", {"how": "merge"}),
        (("apply",), "apply", {}),
    ],
)
def test_each_asks_for_its_operation_and_prints_one_line(
    shared: Cli, words: tuple[str, ...], kind: str, request_: Json
) -> None:
    task_id = shared.create("bring it home")["task_id"]
    done = shared(words[0], task_id, *words[1:], code=0)
    (line,) = done.out.splitlines()
    assert done.err == ""
    operation = operation_of(shared, task_id)
    assert (operation["kind"], operation["request"], operation["state"]) == (kind, request_, "done")
    result = operation.get("result") or {}
    assert line == result.get("url", result.get("sha", "done"))


def test_what_fails_is_exit_1_with_its_words_and_the_operation_in_json(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "refused push", "push": {"fail": "main is protected", "ms": 0}}]})
    task_id = shared.create("a refused push")["task_id"]
    failed = shared("push", task_id, code=1)
    assert (failed.out, "main is protected" in failed.err) == ("", True)
    told = json.loads(shared("push", task_id, "--json", code=1).out)
    assert (told["state"], told["error"]["message"]) == ("failed", "main is protected")


def test_a_task_that_still_has_what_is_nowhere_else_is_landed_and_said_not_to_be_archived(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "ignored notes", "would_lose": ["1 ignored file: notes"]}]})
    task_id = shared.create("ignored notes")["task_id"]
    done = shared("land", task_id, "--archive", code=0)
    assert "is not archived, which would lose 1 ignored file: notes\n" in done.err
    assert f"foundry archive {task_id} --force" in done.err
    assert shared("show", task_id, "--json", code=0).json["status"] == "idle"


def test_leaving_does_not_end_it_and_a_second_one_is_refused(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "a long land", "land": {"hang": "before"}}]})
    task_id = shared.create("a long land")["task_id"]
    assert "goes on" in shared("land", task_id, "--timeout", "0.2", code=5).err
    assert "land is under way" in shared("land", task_id, code=1).err
    assert operation_of(shared, task_id)["state"] == "running"
    shared("kill", task_id, "--force", code=0)


def test_ctrl_c_leaves_it_running_and_says_so(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "interrupted", "apply": {"hang": "before", "log": ["begun"]}}]})
    task_id = shared.create("interrupted")["task_id"]
    process = shared.popen("apply", task_id)
    until_told(shared, "begun", "logs", task_id, "-f")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "goes on" in err
    assert operation_of(shared, task_id)["state"] == "running"
    shared("kill", task_id, "--force", code=0)


@pytest.mark.slow
def test_a_pull_request_is_waited_for(shared: Cli) -> None:
    script = {"match": "wait for the forge", "pull_request": {"ms": 0, "checks": "failing"}}
    shared.set_script({"tasks": [script]})
    task_id = shared.create("wait for the forge")["task_id"]
    assert "foundry pr" in shared("watch", task_id, "--for", "merged", code=1).err
    shared("pr", task_id, code=0)
    failed = shared("watch", task_id, "--for", "checks", code=1)
    assert "tests" in failed.err
    assert "✗ tests" in failed.out
    assert "not reached" in shared("watch", task_id, "--for", "merged", "--timeout", "0.1", code=5).err
    script["pull_request"] = {"ms": 0, "checks": "passing", "state": "merged"}
    shared.set_script({"tasks": [script]})
    shared("pr", task_id, code=0)
    for goal in ("checks", "merged"):
        assert shared("watch", task_id, "--for", goal, code=0).out.endswith("merged\n")


def test_what_a_pull_request_met_with_is_handed_to_the_agent_once(shared: Cli) -> None:
    remark = {"comment_id": "1", "author": "ada", "body": "why?", "at": 1, "path": "a.py", "line": 3}
    pull = {"ms": 0, "checks": "failing", "logs": {"tests": "1 failed"}, "comments": [remark]}
    shared.set_script({"tasks": [{"match": "met with", "pull_request": pull, "turn": {"ms": 0}}]})
    task_id = shared.create("what it met with")["task_id"]
    assert "no pull request yet" in shared("hand-over", task_id, "checks", code=1).err
    shared("pr", task_id, code=0)
    assert shared("hand-over", task_id, "checks", code=0).out == "the agent was given the log of tests\n"
    again = shared("hand-over", task_id, "checks", "--wait", code=0).out
    assert again == "the agent had the log of tests before: push what it did, and see what comes then\n"
    assert shared("hand-over", task_id, "comments", "--wait", code=0).out == "the agent was given 1 comment\n"
    assert "called lint" in shared("hand-over", task_id, "checks", "--check", "lint", "--wait", code=1).err
    assert "--check" in shared("hand-over", task_id, "comments", "--check", "lint", code=2).err
    said = shared("transcript", task_id, code=0).out
    assert said.count("1 failed") == 1
    assert said.count("> why?") == 1
