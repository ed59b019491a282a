"""Commands on tasks, from outside: what they print, in which form, and how they end."""

import json
from pathlib import Path

import pytest

from foundry_tui.contract.ids import is_task_id
from tests.cli.command_line import Cli
from tests.cli.terminal import terminal
from tests.git import make_repository

NO_TASK = "0193a2b4-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def ready(shared: Cli) -> str:
    """The id of a task that is idle."""
    task_id: str = shared.create("fix the login redirect")["task_id"]
    return task_id


def test_create_prints_the_id_and_nothing_else(shared: Cli) -> None:
    done = shared("create", "add a sitemap", code=0)
    assert is_task_id(done.out.strip())
    assert done.err == ""


def test_create_and_wait_prints_the_task_with_title_branch_and_stage_times(shared: Cli) -> None:
    task = shared("create", "document the export", "--wait", "running", "--json", code=0).json
    assert task["status"] in ("running", "idle")
    assert task["title"]
    assert task["branch"].startswith("docs/")
    assert [stage["state"] for stage in task["stages"]] == ["done"] * 4
    assert all(stage["finished_at"] >= stage["started_at"] for stage in task["stages"])


def test_the_same_prompt_again_gets_a_branch_of_its_own(shared: Cli) -> None:
    first = shared.create("speed up the price filter")["branch"]
    second = shared.create("speed up the price filter")["branch"]
    assert second == f"{first}-2"


def test_explicit_title_branch_base_and_agent_are_taken(shared: Cli) -> None:
    task = shared.create(
        "x", "--title", "Own title", "--branch", "own/branch", "--base", "main", "--provider", "demo", "--agent", "demo"
    )
    assert (task["title"], task["branch"], task["base_branch"]) == ("Own title", "own/branch", "main")


@pytest.mark.parametrize("stdin", ["from a pipe\n", "日本語のプロンプト 🚀", "two\u2028parts\n\nand lines"])
def test_a_prompt_from_standard_input_is_kept_as_it_came(shared: Cli, stdin: str) -> None:
    task = shared("create", "-F", "-", "--json", stdin=stdin, code=0).json
    assert task["prompt"] == stdin


def test_a_prompt_from_a_file(shared: Cli, tmp_path: Path) -> None:
    file = tmp_path / "prompt.md"
    file.write_text("do what the file says\n")
    assert shared("create", "-F", str(file), "--json", code=0).json["prompt"] == "do what the file says\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("",),
        (" \n\t",),
        ("-F", "/nowhere/at/all"),
        ("prompt", "-F", "-"),
        ("prompt", "--wait", "finished"),
        ("prompt", "--timeout", "soon"),
        ("prompt", "--nonsense"),
        ("one", "two"),
    ],
)
def test_wrong_use_of_create_is_exit_2(shared: Cli, words: tuple[str, ...]) -> None:
    done = shared("create", *words, code=2)
    assert done.out == ""
    assert "Error" in done.err


def test_an_empty_standard_input_is_no_prompt(shared: Cli) -> None:
    assert "the prompt is empty" in shared("create", "-F", "-", stdin="", code=2).err
    assert "no UTF-8" in shared("create", "-F", "-", stdin=b"\xff\xfe", code=2).err


def test_a_folder_that_is_no_repository_is_exit_1(shared: Cli, tmp_path: Path) -> None:
    for words in (("--repo", str(tmp_path)), ("--repo", str(tmp_path / "nope")), ("--provider", "demo")):
        done = shared("create", "x", *words, cwd=tmp_path, code=1)
        assert "repositor" in done.err


@pytest.mark.parametrize("branch", ["-x", "bad..name", "has space", "end.lock"])
def test_a_branch_that_git_would_refuse_is_exit_1_and_named(shared: Cli, branch: str) -> None:
    done = shared("create", "x", f"--branch={branch}", code=1)
    assert "branch" in done.err


def test_a_legal_branch_is_kept_literally(shared: Cli) -> None:
    assert shared.create("x", "--branch", "$(id)")["branch"] == "$(id)"


def test_list_in_a_pipe_has_no_header_the_whole_id_first_and_one_raw_status(shared: Cli, tmp_path: Path) -> None:
    task = shared.create("a prompt", "--repo", str(make_repository(tmp_path / "tab\there")))
    rows = shared("list", code=0).rows
    row = next(row for row in rows if row[0] == task["task_id"])
    assert row[1] == "idle"
    assert {len(row) for row in rows} == {8}
    assert all(is_task_id(row[0]) for row in rows)
    assert "tab here" in row


def test_list_json_is_the_snapshot(shared: Cli, ready: str) -> None:
    snapshot = shared("list", "--json", code=0).json
    assert set(snapshot) == {"seq", "repos", "tasks", "older"}
    assert ready in [task["task_id"] for task in snapshot["tasks"]]


def test_list_of_a_status_a_repository_or_a_filter_has_those_alone(shared: Cli, tmp_path: Path) -> None:
    shared.set_script({"tasks": [{"match": "no luck", "create_sandbox": {"fail": "full", "retryable": False}}]})
    failed = shared.create("no luck", wait="error")["task_id"]
    folder = make_repository(tmp_path / "elsewhere")
    there = shared.create("in another place", "--repo", str(folder))["task_id"]

    def ids(*words: str) -> set[str]:
        rows = {row[0] for row in shared("list", *words, code=0).rows}
        snapshot = shared("list", *words, "--json", code=0).json
        assert set(snapshot) == {"seq", "repos", "tasks", "older"}
        assert {task["task_id"] for task in snapshot["tasks"]} == rows
        return rows

    for word in ("error", "failed"):
        assert failed in ids("--status", word) and there not in ids("--status", word)
    assert {failed, there} <= ids("--status", "failed", "--status", "ready")
    (folder / "deep").mkdir()
    for repo in ("elsewhere", str(folder), str(folder / "deep")):
        assert ids("--repo", repo) == {there}
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert ids("--repo", str(link)) == {there}, "as create --repo has it"
    assert ids("--filter", "status:failed luck") == {failed}
    assert ids("--filter", "repo:elsewhere !place") == set()
    assert ids("--repo", "elsewhere", "--status", "failed") == set()


def test_list_says_what_it_does_not_know(shared: Cli, ready: str, tmp_path: Path) -> None:
    assert "ready" in shared("list", "--status", "happy", code=2).err
    assert "repo" in shared("list", "--repo", "nowhere", code=1).err
    assert "no git repository" in shared("list", "--repo", str(tmp_path), code=1).err
    assert shared("list", "--repo", str(make_repository(tmp_path / "unknown")), code=0).out == ""
    assert "owner: is no field" in shared("list", "--filter", "owner:me", code=0).err


def test_list_on_a_terminal_has_the_words_and_colours_of_the_app(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "runs out", "create_sandbox": {"fail": "full", "retryable": False}}]})
    shared.create("runs out", wait="error")
    with terminal(shared, "list", "--filter", "runs") as shown:
        shown.read_until("runs out")
        assert shown.wait() == 0
        assert "✗ sandbox failed" in shown.drawn and b"\x1b[31m" in shown.written
        says = shown.drawn.splitlines()[0].index("SAYS")
        assert any(line[says:].startswith("full ") for line in shown.drawn.splitlines()), "it says why"
    with terminal(shared, "list", "--filter", "runs", NO_COLOR="1") as shown:
        shown.read_until("runs out")
        assert shown.wait() == 0
        assert "✗ sandbox failed" in shown.drawn and b"\x1b[" not in shown.written
    with terminal(shared, "list", "--filter", "surely-not-there") as shown:
        shown.read_until("See all: foundry list")
        assert shown.wait() == 0


def test_show_by_id_beginning_and_branch(shared: Cli, ready: str) -> None:
    task = shared("show", ready, "--json", code=0).json
    assert task["task_id"] == ready
    assert shared("show", task["branch"], "--json", code=0).json["task_id"] == ready
    others = [row[0] for row in shared("list").rows if row[0] != ready]
    size = next(size for size in range(1, 37) if not any(other.startswith(ready[:size]) for other in others))
    assert shared("show", ready[:size], "--json", code=0).json["task_id"] == ready
    facts = dict(row[:2] for row in shared("show", ready, code=0).rows)
    assert (facts["task_id"], facts["status"]) == (ready, "idle")


def test_a_beginning_of_several_is_a_usage_error_that_lists_them(shared: Cli, ready: str) -> None:
    shared.create("one more")
    assert "means several tasks" in shared("show", "0", code=2).err


@pytest.mark.parametrize(
    "words",
    [
        ("show", NO_TASK),
        ("show", "no/such/branch"),
        ("watch", NO_TASK),
        ("history", NO_TASK),
        ("logs", NO_TASK),
        ("logs", "-f", NO_TASK),
        ("prompt", NO_TASK, "x"),
        ("answer", NO_TASK, "x"),
        ("retry", NO_TASK),
        ("archive", NO_TASK),
        ("kill", NO_TASK),
        ("rename", NO_TASK, "x"),
        ("prune", NO_TASK),
        ("attach", NO_TASK),
        ("path", NO_TASK),
        ("diff", NO_TASK),
    ],
)
def test_an_unknown_task_is_exit_3_for_every_command(shared: Cli, ready: str, words: tuple[str, ...]) -> None:
    done = shared(*words, code=3)
    assert words[-1 if words[0] in ("show", "watch", "logs") else 1] in done.err
    assert done.out == ""


def test_history_tells_the_story_in_order(shared: Cli, ready: str) -> None:
    rows = shared("history", ready, code=0).rows
    kinds = [row[3] for row in rows]
    assert kinds[:2] == ["task.created", "provision.queued"]
    assert [kinds.count(kind) for kind in ("session.ready", "prompt.delivered", "task.running", "task.idle")] == [1] * 4
    seqs = [int(row[0]) for row in rows]
    assert seqs == sorted(set(seqs))
    assert {row[2] for row in rows} == {ready}
    events = shared("history", ready, "--json", code=0).json["events"]
    assert [event["seq"] for event in events] == seqs
    assert json.loads(rows[0][4]) == events[0]["payload"]


def test_history_of_all_tasks(shared: Cli, ready: str) -> None:
    owners = {row[2] for row in shared("history", code=0).rows}
    assert ready in owners
    assert owners >= {row[0] for row in shared("list").rows}


def test_logs_by_stage_and_as_json(shared: Cli) -> None:
    shared.set_script(
        {"tasks": [{"match": "noisy", "create_sandbox": {"log": ["pulling", "a\tb"]}, "ensure_agent": {"log": ["up"]}}]}
    )
    task_id = shared.create("noisy")["task_id"]
    rows = shared("logs", task_id, "--stage", "create_sandbox", code=0).rows
    assert [row[2:] for row in rows if not row[3].startswith("$")] == [
        ["create_sandbox", "pulling"],
        ["create_sandbox", "a b"],
    ]
    lines = shared("logs", task_id, "--json", code=0).json["lines"]
    assert [line["index"] for line in lines] == sorted(line["index"] for line in lines)
    assert {"create_sandbox", "ensure_agent"} <= {line["stage"] for line in lines}


def test_the_log_of_a_failed_task_ends_with_the_failure(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "full disk", "create_sandbox": {"fail": "no room", "retryable": False}}]})
    task_id = shared.create("full disk", wait="error")["task_id"]
    told = shared("logs", task_id, code=0)
    assert told.err.splitlines() == [
        "foundry: The sandbox could not be created: no room",
        f"  go on from there: foundry retry {task_id}",
    ]
    assert "no room" not in shared("logs", task_id, "--stage", "ensure_name", code=0).err
    assert shared("logs", task_id, "--json", code=0).err == ""


def test_what_was_meant_is_guessed(shared: Cli) -> None:
    assert "'status'" in shared("stauts", code=2).err
    assert "Did you mean '--json'" in shared("list", "--jsn", code=2).err


def test_a_prompt_is_kept_and_told_by_its_id(shared: Cli) -> None:
    task_id = shared.create("talk to me")["task_id"]
    prompt = shared("prompt", task_id, "-F", "-", "--json", stdin="and now\n", code=0).json
    assert (prompt["text"], prompt["state"]) == ("and now\n", "queued")
    assert shared("prompt", task_id, "more", code=0).out.strip()
    assert shared("prompt", task_id, " ", code=2).out == ""
    assert shared("prompt", task_id, code=2).out == ""
    assert "no session" in shared("prompt", task_id, "x", "--session", "nope", code=1).err


@pytest.fixture
def asking(shared: Cli) -> str:
    """A task whose agent asks whether to run make."""
    shared.set_script({"tasks": [{"match": "ask me", "turn": {"permission": "Run make?"}}]})
    task_id: str = shared("create", "ask me", "--wait", "idle", "--json", code=7).json["task_id"]
    return task_id


def test_an_agent_that_asks_is_answered_with_one_of_its_options(shared: Cli, asking: str) -> None:
    task_id = asking
    shown = shared("show", task_id, code=0).rows
    [(permission, words)] = [
        (name.removeprefix("permission."), words[0]) for name, *words in shown if name.startswith("permission.")
    ]
    assert words == "open Run make? (allow, deny)"
    wrong = shared("answer", task_id, "perhaps", code=1)
    assert "no option 'perhaps'" in wrong.err
    assert "there is: allow (allow once), deny (reject once)" in wrong.err
    assert "does not ask that now" in shared("answer", task_id, "allow", "--permission", "another", code=1).err
    answered = shared("answer", task_id, "deny", "--permission", permission, code=0)
    assert answered.rows == [[permission, "answered", "deny"]]
    assert "does not ask anything now" in shared("answer", task_id, "deny", code=1).err
    shared("watch", task_id, "--for", "idle", code=0)


def test_completion_offers_the_answers_to_what_is_asked(shared: Cli, asking: str) -> None:
    environ = {"_FOUNDRY_COMPLETE": "bash_complete", "COMP_WORDS": f"foundry answer {asking} ", "COMP_CWORD": "3"}
    assert shared(environ=environ, code=0).out.splitlines() == ["plain,allow", "plain,deny"]
    environ["COMP_WORDS"] += "d"
    assert shared(environ=environ, code=0).out.splitlines() == ["plain,deny"]
    environ["COMP_WORDS"] = "foundry answer nothing d"
    assert not shared(environ=environ, code=0).out.strip()


def test_a_terminal_is_told_what_was_answered_in_its_words(shared: Cli, asking: str) -> None:
    with terminal(shared, "answer", asking, "deny") as shown:
        shown.read_until("Run make? · Deny")
        assert shown.wait() == 0


def test_rename(shared: Cli) -> None:
    task_id = shared.create("rename me")["task_id"]
    assert shared("rename", task_id, "Another title", "--json", code=0).json["title"] == "Another title"
    assert shared("rename", task_id, "", code=2).out == ""


def test_retry_goes_on_from_the_failed_stage(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "no room", "create_sandbox": {"fail": "no room", "times": 3}}]})
    task = shared.create("no room here", wait="error")
    assert (task["error"]["stage"], task["error"]["message"]) == ("create_sandbox", "no room")
    shared("retry", task["task_id"], code=0)
    shared("watch", task["task_id"], "--for", "idle", code=0)
    starts = [
        json.loads(row[4])["stage"] for row in shared("history", task["task_id"]).rows if row[3] == "stage.completed"
    ]
    assert starts == ["ensure_name", "create_sandbox", "ensure_agent", "create_session"]


def test_a_failed_prompt_is_sent_again_only_if_asked_and_it_is_said_which(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "out of luck", "turn": {"fail": "no tokens", "times": 2}}]})
    task_id = shared.create("out of luck", wait="error")["task_id"]
    assert f"send the prompt again: foundry retry {task_id} --resend" in shared("logs", task_id).err
    assert "is sent again" in shared("retry", task_id, "--resend", code=0).err
    shared("watch", task_id, "--for", "error", code=0)
    assert "not sent again: say it with foundry prompt" in shared("retry", task_id, code=0).err
    shared("watch", task_id, "--for", "idle", code=0)
    shared("retry", task_id, "--resend", code=1)
    prompts = [row for row in shared("history", task_id).rows if row[3] == "prompt.delivered"]
    assert len(prompts) == 2


def test_retry_of_a_task_that_is_well_is_refused(shared: Cli, ready: str) -> None:
    assert "this one is ready" in shared("retry", ready, code=1).err


@pytest.mark.parametrize(("command", "end"), [("archive", "archived"), ("kill", "killed")])
def test_archive_and_kill_say_what_would_be_lost_and_never_ask_in_a_pipe(shared: Cli, command: str, end: str) -> None:
    shared.set_script({"tasks": [{"match": "precious", "would_lose": ["notes.md is not committed", "1 commit"]}]})
    task_id = shared.create(f"precious {command}")["task_id"]
    refused = shared(command, task_id, code=1)
    assert "notes.md is not committed" in refused.err
    assert f"foundry {command} {task_id} --force\n" in refused.err
    again = shared(command, task_id, "--delete-branch", code=1)
    assert f"foundry {command} {task_id} --force --delete-branch\n" in again.err
    assert shared("show", task_id, "--json").json["status"] == "idle"
    shared(command, task_id, "--force", code=0)
    shared("watch", task_id, "--for", end, code=0)
    # again: nothing changes
    assert shared(command, task_id, "--json", code=0).json["status"] == end


def test_prune_only_what_has_ended(shared: Cli) -> None:
    task_id = shared.create("short life")["task_id"]
    refused = shared("prune", task_id, code=1)
    assert "foundry kill" in refused.err
    shared("kill", task_id, code=0)
    shared("watch", task_id, "--for", "killed", code=0)
    assert shared("prune", task_id, "--json", code=0).json == {"task_id": task_id, "pruned": True}
    shared("show", task_id, code=3)


def test_a_demo_sandbox_is_a_folder_without_changes(shared: Cli, ready: str) -> None:
    assert Path(shared("path", ready, code=0).out.strip()).is_dir()
    assert shared("diff", ready, code=0).out == ""
    assert shared("diff", ready, "--json", code=0).json["files"] == []


def test_a_sandbox_that_is_not_there_yet_is_said(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "slow box", "create_sandbox": {"ms": 60_000}}]})
    task_id = shared.create("slow box", wait="init_create_sandbox")["task_id"]
    assert "has no sandbox yet" in shared("path", task_id, code=1).err
    shared("kill", task_id, code=0)


def test_status_counts(shared: Cli, ready: str) -> None:
    told = shared("status", "--json", code=0).json
    rows = shared("list").rows
    assert told["tasks"] == len(rows)
    assert told["statuses"]["error"] == sum(row[1] == "error" for row in rows)
    assert told["backend"]["listening"] == f"unix:{shared.socket}"
    assert dict(row[:2] for row in shared("status", code=0).rows)["tasks"] == str(len(rows))


def test_statusline_is_one_short_line(shared: Cli, ready: str) -> None:
    line = shared("statusline", code=0).out
    assert line.count("\n") == 1
    assert "●" in line
    assert len(line) < 30
    counts = shared("statusline", "--json", code=0).json
    assert counts["running"] is True
    assert counts["ready"] >= 1


def test_completion_offers_ids_and_branches(shared: Cli, ready: str) -> None:
    branch = shared("show", ready, "--json").json["branch"]
    environ = {"_FOUNDRY_COMPLETE": "bash_complete", "COMP_WORDS": f"foundry show {ready[:9]}", "COMP_CWORD": "2"}
    assert f"plain,{ready}" in shared(environ=environ, code=0).out.splitlines()
    environ["COMP_WORDS"] = f"foundry show {branch[:6]}"
    assert f"plain,{branch}" in shared(environ=environ, code=0).out.splitlines()
    environ["COMP_WORDS"] = "foundry watch x --for cr"
    environ["COMP_CWORD"] = "4"
    assert "plain,create_sandbox" in shared(environ=environ, code=0).out.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shared: Cli, shell: str) -> None:
    assert "_FOUNDRY_COMPLETE" in shared("completion", shell, code=0).out


def test_what_is_asked_for_in_bytes_that_are_no_utf_8_is_refused(shared: Cli) -> None:
    task_id = shared("create", "strange bytes", code=0).out.strip()
    for words in (
        ("list", "--filter", "a\udc80"),
        ("diff", task_id, "--since", "a\udc80"),
        ("rename", task_id, "a\udc80"),
        ("land", task_id, "--into", "a\udc80"),
        ("undo", task_id, "--to", "a\udc80"),
        ("comment", task_id, "a\udc80:1", "why"),
    ):
        assert "no UTF-8" in shared(*words, code=2).err
