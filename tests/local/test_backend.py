"""The whole way from outside: a real backend process, the local provider, the real server and a scripted agent."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend_stub.machine import processes
from tests.backend.process import BackendProcess
from tests.cli.command_line import Cli
from tests.cli.terminal import terminal
from tests.git import git
from tests.local.world import LocalWorld, open_gate
from tests.waiting import until_seen
from tests.world import FOUNDRY, Json


def create(backend: BackendProcess, world: LocalWorld, text: str, **fields: Any) -> str:
    """A task in the world's repository; its id."""
    return str(backend.create(text, repo=str(world.repository), **fields)["task_id"])


def texts(backend: BackendProcess, task: Json, kind: str = "message") -> list[str]:
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    return [item["body"].strip() for item in session["transcript"] if item["kind"] == kind]


def say(backend: BackendProcess, task: Json, text: str, prompt_id: str) -> None:
    path = f"/v1/sessions/{task['sessions'][0]['session_id']}/prompts"
    backend.post(path, {"prompt_id": prompt_id, "text": text})


def diff(backend: BackendProcess, task_id: str) -> list[Json]:
    """The task's changed files, compared while we wait."""
    known = backend.get(f"/v1/tasks/{task_id}/diff")
    files: list[Json] = backend.get(f"/v1/tasks/{task_id}/diff", newer=known["computed_at"] or 0)["files"]
    return files


def is_idle(backend: BackendProcess, task_id: str, prompts: int = 1) -> Json:
    """The task once this many of its prompts have been answered."""
    return backend.wait_task(
        task_id,
        lambda task: task["status"] in ("idle", "error") and backend.kinds(task_id).count("prompt.answered") >= prompts,
    )


def test_a_task_from_create_to_diff_to_kill(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "edit new.txt hello\nsay I fixed it")
    task = is_idle(backend, task_id)
    assert texts(backend, task) == ["I fixed it"]
    assert [stage["state"] for stage in task["stages"]] == ["done"] * 4
    folder = Path(task["sandbox"]["cwd"])
    assert (folder / "new.txt").read_text() == "hello\n"
    lines = [line["text"] for line in backend.get(f"/v1/tasks/{task_id}/log")["lines"]]
    assert any(line.startswith("$ git worktree add") for line in lines)
    assert any("sandbox-agent server" in line for line in lines)

    [file] = diff(backend, task_id)
    assert (file["path"], file["status"], file["added"]) == ("new.txt", "?", 1)

    refused = backend.post(f"/v1/tasks/{task_id}/kill", status=409)
    assert refused["would_lose"] == ["1 uncommitted file: new.txt"]
    assert folder.exists()
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True, "delete_branch": True})
    assert backend.wait_task(task_id, "killed").get("leftovers") in (None, [])
    assert not folder.exists()
    assert git(world.repository, "branch", "--format=%(refname:short)").split() == ["main"]


def test_what_was_written_a_moment_ago_is_in_the_diff_and_asked_about(
    backend: BackendProcess, world: LocalWorld
) -> None:
    task_id = create(backend, world, "say done")
    folder = Path(is_idle(backend, task_id)["sandbox"]["cwd"])
    (folder / "by hand.txt").write_text("x\n")
    assert "+++ b/by hand.txt" in backend.foundry("diff", task_id, code=0).out
    backend.kill()
    backend.start()
    assert "+++ b/by hand.txt" in backend.foundry("diff", task_id, code=0).out
    (folder / "later.txt").write_text("x\n")
    refused = backend.foundry("kill", task_id, code=1)
    assert "2 uncommitted files: by hand.txt, later.txt" in refused.err
    assert (folder / "later.txt").exists()
    backend.foundry("archive", task_id, "--force", code=0)
    backend.wait_task(task_id, "archived")
    assert not folder.exists()
    backend.kill()
    backend.start()
    assert "+++ b/later.txt" in backend.foundry("diff", task_id, code=0).out


def test_a_permission_is_answered_over_a_killed_backend(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "ask execute Run make?\nsay done")
    task = backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    backend.kill()
    backend.start()
    asking = backend.get(f"/v1/tasks/{task_id}")
    [permission], [ask] = asking["permissions"], asking["asks"]
    assert (ask["permission_id"], ask["title"]) == (permission["permission_id"], asking["activity"]["text"])
    backend.post(f"/v1/permissions/{permission['permission_id']}", {"option_id": "yes"}, status=200)
    task = is_idle(backend, task_id)
    assert texts(backend, task) == ["answer: yesdone"]
    assert (task["asks"], task["activity"]["text"]) == ([], "answer: yesdone")
    assert len(world.agent_saw("session/prompt")) == 1
    assert len(world.agent_saw("response")) == 1


def test_a_turn_goes_on_over_killed_backends(backend: BackendProcess, world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    text = f"say one\nwait {gate}\nsay two\ntool make\nwait {gate}\nsay three"
    task_id = create(backend, world, text)
    task = backend.wait_task(task_id, "running")
    for _ in range(2):
        backend.kill()
        open_gate(gate)
        backend.start()
    task = is_idle(backend, task_id)
    assert texts(backend, task) == ["one two", "three"]
    assert texts(backend, task, "notice") == []
    assert backend.kinds(task_id).count("prompt.delivered") == 1
    assert len(world.agent_saw("session/prompt")) == 1
    assert len(world.agent_saw("start")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["init_ensure_name", "init_create_sandbox", "init_ensure_agent", "init_create_session"]
)
def test_a_backend_killed_in_each_stage_goes_on(backend: BackendProcess, world: LocalWorld, stage: str) -> None:
    task_id = create(backend, world, "say hello")
    backend.wait_task(task_id, lambda task: task["status"] == stage or task["stages_done"] == 4)
    backend.kill()
    backend.start()
    task = is_idle(backend, task_id)
    assert texts(backend, task) == ["hello"]
    assert len(world.agent_saw("session/prompt")) == 1
    assert git(world.repository, "worktree", "list", "--porcelain").count("worktree ") == 2


@pytest.mark.parametrize("says", ["say hm\n", ""], ids=["after a word", "at once"])
def test_an_agent_that_dies_puts_the_task_in_error_and_retry_mends_it(
    backend: BackendProcess, world: LocalWorld, says: str
) -> None:
    task_id = create(backend, world, f"{says}die out of luck")
    task = backend.wait_task(task_id, "error")
    assert task["error"]["kind"] == "agent"
    assert task["error"].get("stage") is None
    assert "fatal: out of luck" in task["error"]["message"]
    assert len(world.agent_saw("session/prompt")) == 1, "what an agent died of was given to another one"
    backend.post(f"/v1/tasks/{task_id}/retry")
    task = backend.wait_task(task_id, "idle")
    say(backend, task, "say better", "p2")
    task = is_idle(backend, task_id)
    assert texts(backend, task)[-1] == "better"
    assert "does not remember" in texts(backend, task, "notice")[0]


def test_an_agent_that_dies_while_idle_puts_the_task_in_error(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "say hello")
    is_idle(backend, task_id)
    os.kill(world.agent_pids()[0], signal.SIGKILL)
    assert "the agent pi ended" in backend.wait_task(task_id, "error")["error"]["message"]


def test_a_failed_turn_says_why_and_is_sent_again_or_followed_by_another(
    backend: BackendProcess, world: LocalWorld
) -> None:
    door = world.folder / "door"
    failing = json.dumps({"code": -32603, "message": "Internal error", "data": {"details": "last status: 401"}})
    task_id = create(backend, world, f"say words to keep\nfail-unless {door} {failing}\nsay done")
    task = backend.wait_task(task_id, "error")
    assert task["error"]["message"] == (
        "pi failed: last status: 401; log in with `pi /login` in a terminal, then send the prompt again"
    )
    assert texts(backend, task) == ["words to keep"]
    door.touch()
    backend.post(f"/v1/tasks/{task_id}/retry", {"resend": True})
    task = is_idle(backend, task_id)
    assert texts(backend, task)[1:] == ["words to keep done"]
    say(backend, task, f"error {failing}", "p2")
    task = backend.wait_task(task_id, "error")
    say(backend, task, "say just works", "p3")
    assert texts(backend, is_idle(backend, task_id, 2))[-1] == "just works"


def test_who_waits_for_an_answer_is_told_that_the_turn_ended_as_something_was_denied(
    backend: BackendProcess, world: LocalWorld
) -> None:
    backend.stop()
    backend.environ["FOUNDRY_RULES"] = json.dumps([{"deny": "make *"}])
    backend.start()
    task_id = create(backend, world, "say hello")
    is_idle(backend, task_id)
    call = {"toolCallId": "t", "title": "make all", "kind": "execute", "rawInput": {"command": "make all"}}
    ask = {"toolCall": call, "options": [{"optionId": "no", "kind": "reject_once"}]}
    words = f"say I try\nrequest-in-silence {json.dumps(ask)}"
    waited = backend.foundry("prompt", task_id, words, "--wait", code=0)
    assert waited.out == "I try \n"
    assert "ended its turn as this was denied: make all" in waited.err


def test_a_login_that_is_wanted_ends_the_stage_at_once(backend: BackendProcess, world: LocalWorld) -> None:
    backend.kill()
    backend.environ |= {"ACP_AGENT_LOGIN": str(world.folder / "door"), "FOUNDRY_STAGE_ATTEMPTS": "3"}
    backend.start()
    assert _told_of_pi(backend) == ("ready", "")
    task_id = create(backend, world, "say hello")
    task = backend.wait_task(task_id, "error")
    assert _told_of_pi(backend) == ("needs_login", "pi /login")
    assert task["error"]["stage"] == "create_session"
    assert "pi wants a login" in task["error"]["message"]
    assert (task["error"]["retryable"], task["stages"][3]["attempt"]) == (False, 1)
    (world.folder / "door").touch()
    backend.post(f"/v1/tasks/{task_id}/retry")
    assert texts(backend, is_idle(backend, task_id)) == ["hello"]
    assert _told_of_pi(backend) == ("ready", ""), "it has worked since"


def _told_of_pi(backend: BackendProcess) -> tuple[str, str]:
    [pi] = [each for each in backend.get("/v1/agents")["agents"] if (each["name"], each["provider"]) == ("pi", "local")]
    return pi["state"], pi["how"]


def test_what_is_said_after_the_turn_is_in_the_transcript(backend: BackendProcess, world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    task_id = create(backend, world, f"late {gate} say and later\nsay first")
    task = is_idle(backend, task_id)
    with backend.events(f"session:{task['sessions'][0]['session_id']}") as events:
        open_gate(gate)
        assert any(texts(backend, task) == ["first", "and later"] for _ in events)


def test_stop_ends_the_turn_and_the_next_prompt_is_taken(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "say working\npause\nsay never")
    task = backend.wait_task(task_id, "running")
    backend.post(f"/v1/sessions/{task['sessions'][0]['session_id']}/stop")
    backend.wait_task(task_id, "idle")
    say(backend, task, "say next", "p2")
    task = is_idle(backend, task_id)
    assert texts(backend, task)[-1] == "next"
    assert not any("never" in text for text in texts(backend, task))
    assert len(world.agent_saw("session/cancel")) == 1


def test_killing_a_running_task_leaves_nothing(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "pause")
    backend.wait_task(task_id, "running")
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True})
    backend.wait_task(task_id, "killed")
    assert not any(processes.start_mark(pid) for pid in world.agent_pids())
    assert git(world.repository, "worktree", "list", "--porcelain").count("worktree ") == 1


def test_creating_waits_for_no_git(world: LocalWorld) -> None:
    called, gate, shims = world.folder / "called", world.folder / "gate", world.folder / "shims"
    os.mkfifo(called)
    os.mkfifo(gate)
    shims.mkdir()
    (shims / "git").write_text(f"#!/bin/sh\necho called > {called}\nexec cat {gate}\n")
    (shims / "git").chmod(0o755)
    environment = {**world.environ, "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}"}
    with BackendProcess(world.folder, environment) as backend:
        backend.start()
        # Where one of these waited for git, its answer would never come.
        for fields in ({}, {"branch": "fix/it"}, {"base_branch": "main"}, {"from": {"branch": "main"}}):
            backend.create("say hello", repo=str(world.repository), agent="pi", **fields)
        assert "called" in called.read_text(), "their stages do call it"
    for hung in (called, gate):
        # Whoever waits at it goes on, and ends.
        os.close(os.open(hung, os.O_RDWR))


def test_a_set_up_and_a_hanging_remote_have_their_time_whatever_a_stage_has(world: LocalWorld) -> None:
    (world.repository / ".foundry").mkdir()
    (world.repository / ".foundry/setup").write_text("#!/bin/sh\nsleep 2\n")
    (world.repository / ".foundry/setup").chmod(0o755)
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "--quiet", "--message=set-up")
    git(world.repository, "remote", "add", "origin", "git@example.org:code.git")
    hangs = world.folder / "ssh"
    hangs.write_text("#!/bin/sh\nexec sleep 1000\n")
    hangs.chmod(0o755)
    environment = {
        **world.environ,
        "FOUNDRY_STAGE_TIMEOUT_MS": "1500",
        # The fetch may take half of it; the other half is for what comes after, on a machine that has much to do.
        "FOUNDRY_STAGE_TIMEOUT_MS_ENSURE_NAME": "6000",
        "FOUNDRY_STAGE_ATTEMPTS": "1",
        "FOUNDRY_SETUP_TIMEOUT_MS": "20000",
        "GIT_SSH_COMMAND": str(hangs),
    }
    backend = BackendProcess(world.folder, environment)
    backend.start()
    try:
        task_id = create(backend, world, "say hello", agent="pi", trust=True)
        world.tasks.append(task_id)
        task = backend.wait_task(task_id, lambda task: task["stages_done"] == 2 or task["status"] == "error")
        assert task.get("error") is None
        lines = [line["text"] for line in backend.get(f"/v1/tasks/{task_id}/log")["lines"]]
        assert any(line.startswith("fetching failed, going on with what is known") for line in lines)
    finally:
        backend.close()


def test_a_patch_in_a_pipe_is_whole_and_says_why_there_is_none(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "say done")
    folder = Path(is_idle(backend, task_id)["sandbox"]["cwd"])
    (folder / "long.txt").write_bytes("café\r\n".encode("latin-1") * 80_000)
    (folder / "picture.bin").write_bytes(b"\0\1")
    answer = backend.http.get(f"/v1/tasks/{task_id}/diff", params={"format": "patch"})
    assert answer.headers["content-type"].startswith("text/x-diff")
    assert answer.content.count(b"\n+caf\xe9\r") == 80_000
    done = subprocess.run(
        [FOUNDRY, "diff", task_id],
        env=backend.environ,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == answer.content
    assert "?\tlong.txt\t80000\t0\n?\tpicture.bin\t-\t-\n" in backend.foundry("diff", task_id, "--stat", code=0).out
    files = {file["path"]: file for file in diff(backend, task_id)}
    assert files["long.txt"]["cut"]
    assert files["picture.bin"]["added"] is None
    assert "cut" not in files["picture.bin"]
    assert backend.http.get(f"/v1/tasks/{task_id}/diff", params={"format": "html"}).status_code == 422
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True})
    backend.wait_task(task_id, "killed")
    assert "no sandbox" in backend.foundry("diff", task_id, code=1).err


@pytest.mark.parametrize("answer", [b"y\n", b"n\n"])
def test_killing_offers_to_delete_a_branch_without_commits(
    backend: BackendProcess, world: LocalWorld, tmp_path: Path, answer: bytes
) -> None:
    task_id = create(backend, world, "say done", branch="fix/empty")
    folder = Path(is_idle(backend, task_id)["sandbox"]["cwd"])
    asker = Cli(tmp_path / "person")
    asker.environ |= backend.environ
    with terminal(asker, "kill", task_id) as shown:
        shown.read_until("[y/N]")
        shown.type(b"y\n")
        shown.read_until("Its branch fix/empty has no commit of its own. Delete it too? [y/N]")
        shown.type(answer)
        assert shown.wait() == 0
    backend.wait_task(task_id, "killed")
    assert not folder.exists()
    kept = [] if answer == b"y\n" else ["fix/empty"]
    assert git(world.repository, "branch", "--format=%(refname:short)").split() == [*kept, "main"]
    other = create(backend, world, "write a.txt new", branch="fix/full")
    git(Path(is_idle(backend, other)["sandbox"]["cwd"]), "commit", "--quiet", "--all", "--message=work")
    with terminal(asker, "kill", other) as shown:
        shown.read_until("[y/N]")
        shown.type(b"y\n")
        assert shown.wait() == 0
        assert "Delete it too" not in shown.drawn
    assert "fix/full" in git(world.repository, "branch")


def test_turns_are_kept_undone_over_a_restart_and_gone_from_the_repository_with_the_task(
    backend: BackendProcess, world: LocalWorld
) -> None:
    task_id = create(backend, world, "write new.txt hello\nsay done")
    task = is_idle(backend, task_id)
    folder, path = Path(task["sandbox"]["cwd"]), f"/v1/tasks/{task_id}"
    say(backend, task, "say nothing to do", "p2")
    is_idle(backend, task_id, prompts=2)
    say(backend, task, "write new.txt changed\nwrite more.txt x", "p3")
    is_idle(backend, task_id, prompts=3)
    found = backend.get(f"{path}/checkpoints")["checkpoints"]
    assert [(each["when"], each["files"]) for each in found] == [
        ("before", 0),
        ("after", 1),
        ("before", 0),
        ("after", 2),
    ]
    assert backend.kinds(task_id).count("checkpoint.made") == 4
    names = git(world.repository, "for-each-ref", "--format=%(refname)", f"refs/foundry/{task_id}/").split()
    assert sorted(names) == sorted(f"refs/foundry/{task_id}/{each['checkpoint_id']}" for each in found)
    assert [file["path"] for file in backend.get(f"{path}/diff", since="last", newer=0)["files"]] == [
        "more.txt",
        "new.txt",
    ]
    asked = backend.post(f"{path}/operations", {"kind": "undo", "operation_id": "u1"})
    assert asked["kind"] == "undo"
    backend.kill()
    backend.start()
    backend.wait_task(task_id, lambda task: task.get("operation") is None)
    (operation,) = backend.get(path)["operations"]
    assert (operation["state"], operation["result"]["files"]) == ("done", 2)
    assert (folder / "new.txt").read_text().strip() == "hello"
    assert not (folder / "more.txt").exists()
    assert "is kept too, among the checkpoints" in texts(backend, task, "notice")[-1]
    say(backend, task, "say going on", "p4")
    is_idle(backend, task_id, prompts=4)
    backend.post(f"{path}/kill", {"force": True, "delete_branch": True})
    backend.wait_task(task_id, "killed")
    assert len(backend.get(f"{path}/checkpoints")["checkpoints"]) == 5
    assert backend.http.delete(path).status_code == 204
    until_seen(lambda: git(world.repository, "for-each-ref", "refs/foundry") == "")
