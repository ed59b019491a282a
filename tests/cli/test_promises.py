"""What every command promises, asked of every command."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Cli, serve
from tests.world import FOUNDRY, Json

ON_A_TASK = (
    *("show", "watch", "history", "logs", "prompt", "answer", "options"),
    *("retry", "archive", "kill", "rename", "prune", "attach", "transcript", "queue", "stop", "restart-agent"),
    *("commit", "update", "push", "pr", "land", "apply", "undo", "checkpoints"),
    "comments",
)
ASKING = (
    *((command, "01a2", *(("x",) if command in ("prompt", "answer", "rename") else ())) for command in ON_A_TASK),
    ("comment", "01a2", "x.py:1", "why"),
    ("hand-over", "01a2", "checks"),
    *(("path", "01a2"), ("diff", "01a2"), ("list",), ("hosts",), ("history",), ("status",), ("create", "x")),
    *(("create", "x", "--wait", "idle"), ("create", "x", "--follow"), ("backend", "status")),
)
LOCAL = (
    "demo",
    "statusline",
    "help",
    "doctor",
    "completion",
    "config show",
    "config path",
    "config init",
    "agent list",
)
BACKEND = ("backend serve", "backend start", "backend stop", "backend status", "backend unit", "backend copy")


@pytest.fixture(scope="module")
def ready(shared: Cli) -> str:
    """The id of a task that is idle."""
    task_id: str = shared.create("keep every promise")["task_id"]
    return task_id


@pytest.mark.parametrize("words", ASKING)
def test_a_backend_that_is_away_is_exit_6_and_says_where(shared: Cli, words: tuple[str, ...]) -> None:
    environ = {"FOUNDRY_BACKEND": f"unix:{shared.runtime}/nobody.sock"}
    done = shared(*words, "--json", environ=environ, code=6)
    assert f"unix:{shared.runtime}/nobody.sock" in done.err
    if words != ("backend", "status"):
        assert done.out == ""


@pytest.mark.parametrize(
    "command",
    [*ON_A_TASK, "comment", "hand-over", "path", "diff", "list", "hosts", "status", "create", *LOCAL, *BACKEND],
)
def test_an_unknown_option_is_exit_2(shared: Cli, command: str) -> None:
    done = shared(*command.split(), "--no-such-option", code=2)
    assert "--no-such-option" in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    "command",
    [*(each for each in ON_A_TASK if each != "history"), "comment", "hand-over", "path", "diff", "completion"],
)
def test_a_missing_argument_is_exit_2(shared: Cli, command: str) -> None:
    assert "Missing argument" in shared(command, code=2).err


@pytest.mark.parametrize(
    ("words", "has"),
    [
        (("create", "as json"), "task_id"),
        (("create", "as json", "--wait", "idle"), "task_id"),
        (("list",), "tasks"),
        (("show", "{id}"), "task_id"),
        (("history", "{id}"), "events"),
        (("history",), "events"),
        (("logs", "{id}"), "lines"),
        (("prompt", "{id}", "go on"), "prompt_id"),
        (("prompt", "{id}", "wait for it", "--wait"), "answer"),
        (("transcript", "{id}"), "transcript"),
        (("transcript", "{id}", "--last"), "item_id"),
        (("queue", "{id}"), "prompts"),
        (("options", "{id}"), "options"),
        (("comment", "{id}", "shop/cart.py:3", "why?"), "comment_id"),
        (("comments", "{id}"), "comments"),
        (("stop", "{id}"), "stopped"),
        (("rename", "{id}", "renamed"), "task_id"),
        (("commit", "{id}"), "operation_id"),
        (("checkpoints", "{id}"), "checkpoints"),
        (("pr", "{id}", "--draft"), "operation_id"),
        (("status",), "statuses"),
        (("statusline",), "ready"),
        (("backend", "start"), "pid"),
        (("backend", "status"), "pid"),
        (("backend", "unit"), "unit"),
        (("doctor",), "checks"),
        (("config", "show"), "settings"),
        (("config", "path"), "file"),
        (("agent", "list"), "agents"),
        (("completion", "zsh"), "script"),
        (("help", "exit-codes"), "text"),
    ],
)
def test_json_is_one_object_on_one_line(shared: Cli, ready: str, words: tuple[str, ...], has: str) -> None:
    done = shared(*(word.format(id=ready) for word in words), "--json", code=0)
    (line,) = done.out.splitlines()
    assert has in json.loads(line)


@pytest.mark.parametrize("words", [("create", "follow me", "--follow"), ("watch", "{id}"), ("logs", "{id}", "-f")])
def test_json_of_what_follows_is_one_object_a_line(shared: Cli, words: tuple[str, ...]) -> None:
    task_id = shared.create("to be followed")["task_id"]
    if words[0] == "logs":
        shared("archive", task_id, code=0)
    lines = shared(*(word.format(id=task_id) for word in words), "--json", code=0).out.splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_json_of_the_way_out(shared: Cli) -> None:
    task_id = shared.create("to be ended")["task_id"]
    for command in ("archive", "kill", "prune"):
        assert shared(command, task_id, "--json", code=0).json["task_id"] == task_id
    failing = {"tasks": [{"match": "fails", "create_sandbox": {"fail": "no", "retryable": False, "times": 1}}]}
    shared.set_script(failing)
    failed = shared("create", "fails once", "--wait", "error", "--json", code=0).json
    assert shared("retry", failed["task_id"], "--json", code=0).json["task_id"] == failed["task_id"]
    shared.set_script({})


def test_errors_leave_standard_output_to_what_was_asked_for(shared: Cli, ready: str) -> None:
    for words, code in (
        (("retry", ready), 1),
        (("prune", ready), 1),
        (("logs", ready, "--stage", "x"), 2),
        (("show", "nothing"), 3),
    ):
        for more in ((), ("--json",)):
            done = shared(*words, *more, code=code)
            assert done.out == ""
            assert done.err


@pytest.fixture(scope="module")
def path(shared: Cli) -> Iterator[str]:
    """A PATH on which `foundry` is ours, for shells."""
    folder = shared.folder / "bin"
    folder.mkdir()
    (folder / "foundry").symlink_to(FOUNDRY)
    yield f"{folder}:{shared.environ['PATH']}"


SHELLS = {
    "bash": """
source <(foundry completion bash)
COMP_WORDS=(foundry {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_foundry_completion foundry
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    # the functions of its line editor, which does not run here, say what they were given
    "zsh": """
autoload -U compinit; compinit -u -D
compadd() {{ local -a given; given=("$@"); print -l -- $given; for each in $given; do print -l -- ${{(P)each}}; done }}
_describe() {{ for each in "$@"; do print -l -- ${{(P)each}}; done }} 2>/dev/null
source <(foundry completion zsh)
words=(foundry {words}); CURRENT=$#words
_foundry_completion
""",
    "fish": "foundry completion fish | source; complete -C 'foundry {words}'",
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("cre", "create"),
        ("create --fol", "--follow"),
        ("watch x --for cr", "create_sandbox"),
        ("backend st", "status"),
        ("show {some}", "{id}"),
    ],
)
def test_completion_in_the_shells_themselves(
    shared: Cli, ready: str, path: str, shell: str, words: str, offered: str
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    script = SHELLS[shell].format(words=words.format(some=ready[:20]))
    plain = {"bash": ("--norc", "-c"), "zsh": ("-f", "-c"), "fish": ("--no-config", "-c")}[shell]
    done = subprocess.run(
        [program, *plain, script],
        env={**shared.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = {line.partition("\t")[0].partition(":")[0] for line in done.stdout.splitlines()}
    assert offered.format(id=ready) in found, done.stdout + done.stderr


def test_a_service_manager_takes_the_unit(cli: Cli, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "foundry.service"
    unit.write_text(cli("backend", "unit", "--for", "systemd", code=0).out)
    done = subprocess.run([verify, "verify", "--user", str(unit)], env=cli.environ, capture_output=True, text=True)
    assert (done.returncode, str(unit) in done.stderr, "foundry" in done.stderr) == (0, False, False), done.stderr


def test_launchd_can_read_the_property_list(cli: Cli) -> None:
    import plistlib

    found: Json = plistlib.loads(cli("backend", "unit", "--for", "launchd", code=0).out.encode())
    assert found["ProgramArguments"] == [str(FOUNDRY), "backend", "serve"]


def test_the_token_of_our_own_backend_is_told_nowhere(cli: Cli, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("tok-5ecret-5ecret")
    process, line = serve(cli, "--listen", "127.0.0.1:0", "--token-file", str(token))
    named = {"FOUNDRY_BACKEND": str(line["listening"]), "FOUNDRY_TOKEN_FILE": str(token)}
    told = []
    for words in (
        ("create", "hush", "--follow", "--json"),
        ("history", "--json"),
        ("doctor", "--json"),
        ("config", "show"),
        ("backend", "status"),
        ("show", "nothing"),
        ("logs", "nothing"),
    ):
        done = cli(*words, environ=named)
        told += [done.out, done.err]
    if Path("/proc").exists():
        told += [Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ")]
    process.terminate()
    out, err = process.communicate(timeout=10)
    told += [out, err]
    for file in (cli.folder / "data").rglob("*"):
        if file.is_file():
            told.append(file.read_bytes().decode("latin-1"))
    assert len(told) > 15
    assert all("5ecret" not in text for text in told)
