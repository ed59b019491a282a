"""The backend as a background process, from outside: once, found, stopped, explained."""

import json
import os
import signal
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from backend_stub.log import LOG_BYTES
from foundry_tui.process.backend import wait_for_exit
from tests.cli.command_line import Cli, serve
from tests.cli.terminal import terminal
from tests.waiting import until_seen
from tests.world import FOUNDRY


def test_ten_at_the_same_moment_start_one_backend(cli: Cli) -> None:
    together = [cli.popen("list", "--json") for _ in range(10)]
    answers = [process.communicate(timeout=60) for process in together]
    assert [process.returncode for process in together] == [0] * 10, answers
    assert cli.log.read_text().count("Started server process") == 1
    assert cli("backend", "status", code=0).out
    if Path("/proc").exists():
        assert len(backends_on(cli)) == 1


@pytest.mark.slow
def test_ten_apps_at_the_same_moment_start_one_backend(cli: Cli) -> None:
    with ExitStack() as stack:
        apps = [stack.enter_context(terminal(cli)) for _ in range(10)]
        for shown in apps:
            shown.read_until("live", seconds=90)
        assert cli.log.read_text().count("Started server process") == 1
        if Path("/proc").exists():
            assert len(backends_on(cli)) == 1
        for shown in apps:
            shown.type(b"\x11")
        assert [shown.wait() for shown in apps] == [0] * 10


def test_what_ails_the_database_is_said_with_what_to_do(cli: Cli) -> None:
    cli("list", code=0)
    database = cli.log.with_name("foundry.db")
    database.rename(database.with_name("elsewhere"))
    status = cli("backend", "status", "--json", code=0).json
    assert status["status"] == "unavailable"
    assert f"{database} cannot be found any more" in status["reason"]
    assert "put that very file back" in cli("backend", "status", code=0).out
    checks = {check["name"]: check for check in cli("doctor", "--json", code=1).json["checks"]}
    assert (checks["storage"]["state"], checks["storage"]["fix"]) == ("wrong", status["reason"])
    database.with_name("elsewhere").rename(database)
    assert "reason" not in cli("backend", "status", "--json", code=0).json


def backends_on(cli: Cli) -> list[str]:
    """The backend processes that run on the data folder of this world."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = process.read_bytes().split(b"\0")
            if b"backend_stub" in words and str(cli.folder / "data" / "foundry").encode() in words:
                found.append(process.parent.name)
    return found


def test_a_command_starts_the_backend_and_it_goes_on(cli: Cli) -> None:
    assert cli("backend", "status", code=6).out
    cli("list", code=0)
    first = cli("backend", "status", "--json", code=0).json
    cli("list", code=0)
    assert cli("backend", "status", "--json", code=0).json["pid"] == first["pid"]
    assert first["listening"] == f"unix:{cli.socket}"
    assert os.getsid(first["pid"]) == first["pid"]


def test_start_twice_and_stop_twice(cli: Cli) -> None:
    started = cli("backend", "start", "--json", code=0).json
    again = cli("backend", "start", "--json", code=0).json
    assert (started["started"], again["started"]) == (True, False)
    assert again["pid"] == started["pid"]
    assert cli("backend", "stop", "--json", code=0).json == {
        "listening": f"unix:{cli.socket}",
        "pid": started["pid"],
        "stopped": True,
    }
    assert wait_for_exit(started["pid"], 0)
    assert cli("backend", "stop", "--json", code=0).json["stopped"] is False


def test_serve_in_the_foreground_says_where_it_listens_and_ends_on_sigterm(cli: Cli) -> None:
    process, line = serve(cli)
    assert line == {"listening": f"unix:{cli.socket}", "pid": process.pid}
    assert stat.S_IMODE(cli.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(cli.socket.stat().st_mode) == 0o600
    cli("list", code=0)
    assert not cli.log.exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_options_of_serve_reach_the_backend(cli: Cli, tmp_path: Path) -> None:
    listen = cli.runtime / "other.sock"
    words = ("--data-dir", "relative", "--listen", f"unix:{listen}", "--max-provisioning", "2")
    process, line = serve(cli, *words)
    assert line["listening"] == f"unix:{listen}"
    assert (cli.repository / "relative").is_dir()
    assert cli("list", environ={"FOUNDRY_BACKEND": f"unix:{listen}"}, code=0).out == ""
    assert cli("backend", "stop", "--listen", f"unix:{listen}", "--json", code=0).json["pid"] == process.pid
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_second_backend_on_the_folder_refuses_with_one_sentence(cli: Cli) -> None:
    process, _ = serve(cli)
    done = cli("backend", "serve", "--listen", f"unix:{cli.runtime / 'second.sock'}", code=1)
    assert str(process.pid) in done.err or "foundry" in done.err
    assert done.out == ""
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--data-dir", "/proc/nothing"), "/proc/nothing"),
        (("--listen", "127.0.0.1:9"), "token"),
        (("--listen", "127.0.0.1:0", "--token-file", "/dev/null"), "/dev/null"),
        (("--listen", "127.0.0.1:0", "--token-file", "/nowhere"), "/nowhere"),
        (("--listen", "unix:/tmp/" + "x" * 120), "/tmp/xxx"),
        (("--listen", "unix:/tmp/no\udcff/s"), "UTF-8"),
        (("--data-dir", "/tmp/no\udcff"), "UTF-8"),
        (("--database", "mysql://x"), "mysql"),
    ],
)
def test_a_start_that_cannot_be_is_exit_1_and_names_why(cli: Cli, words: tuple[str, ...], named: str) -> None:
    for command in ("serve", "start"):
        done = cli("backend", command, *words, code=1)
        assert named in done.err
        assert done.out == ""


def test_a_port_of_the_moment_is_for_the_foreground(cli: Cli, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    done = cli("backend", "start", "--listen", "127.0.0.1:0", "--token-file", str(token), code=1)
    assert "name a port" in done.err
    assert not cli.log.exists()


@pytest.mark.parametrize("words", [("--listen", "nowhere"), ("--max-provisioning", "0"), ("--max-provisioning", "x")])
def test_wrong_options_are_exit_2(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("backend", "serve", *words, code=2).err
    assert cli("backend", "start", *words, code=2).err


def test_a_socket_path_that_is_too_long_is_explained(cli: Cli) -> None:
    done = cli("list", environ={"XDG_RUNTIME_DIR": "/tmp/" + "x" * 120}, code=2)
    assert "107 at most" in done.err
    assert "XDG_RUNTIME_DIR" in done.err


def test_tcp_needs_the_token_of_the_file(cli: Cli, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("correct horse\n".replace(" ", "-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process, line = serve(cli, "--listen", address, "--token-file", str(token))
    assert line["listening"] == address
    named = {"FOUNDRY_BACKEND": address}
    refused = cli("list", environ=named, code=1)
    assert "token" in refused.err
    assert cli("list", environ={**named, "FOUNDRY_TOKEN_FILE": str(token)}, code=0).out == ""
    assert (
        cli("--backend", f"http://{address}", "--token-file", str(token), "list", "--json", code=0).json["tasks"] == []
    )
    token.write_text("")
    assert "holds no token" in cli("list", environ={**named, "FOUNDRY_TOKEN_FILE": str(token)}, code=2).err
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.parametrize("address", ["unix:{folder}/nobody.sock", "127.0.0.1:9"])
def test_a_named_backend_is_never_started(cli: Cli, address: str) -> None:
    environ = {"FOUNDRY_BACKEND": address.format(folder=cli.runtime)}
    for words in (("list",), ("create", "x"), ("show", "abc"), ("status",), ("watch", "abc"), ("backend", "status")):
        done = cli(*words, environ=environ, code=6)
        assert address.format(folder=cli.runtime) in done.err
    assert cli("statusline", environ=environ, code=0).out == "foundry off\n"
    assert not cli.log.exists()


def test_a_socket_that_a_dead_backend_left_is_no_obstacle(cli: Cli) -> None:
    first = cli("backend", "start", "--json", code=0).json["pid"]
    os.kill(first, signal.SIGKILL)
    # the command may come before the kernel has taken the process away
    second = cli("backend", "start", "--json", code=0).json
    assert cli.socket.exists()
    assert second["pid"] != first
    cli("list", code=0)


def test_whoever_listens_and_is_no_backend_is_told_apart(cli: Cli) -> None:
    cli.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(cli.socket))
        stranger.listen()
        # closes each connection unanswered, as a process that goes down does
        command = cli.popen("backend", "status", "--json")
        stranger.accept()[0].close()
        stranger.accept()[0].close()
        out, err = command.communicate(timeout=30)
    assert command.returncode == 6, err
    facts = json.loads(out)
    assert (facts["running"], facts["pid"]) == (False, os.getpid())
    assert "did not answer" in err


def test_kill_in_the_middle_of_a_stage_and_the_task_goes_on_by_itself(cli: Cli) -> None:
    cli.set_script({"default": {"create_sandbox": {"hang": "before"}}})
    task_id = cli("create", "goes on", "--wait", "init_create_sandbox", "--json", code=0).json["task_id"]
    cli.set_script({})
    os.kill(cli("backend", "status", "--json").json["pid"], signal.SIGKILL)
    # the next command starts the backend again; nobody asks for the task
    cli("watch", task_id, "--for", "idle", code=0)
    kinds = [row[3] for row in cli("history", task_id).rows]
    assert "provision.resumed" in kinds
    assert kinds.count("task.named") == 1


def test_a_wrong_demo_script_is_told_in_the_backends_words(cli: Cli) -> None:
    cli.set_script({"default": {"create_sandbox": {"millis": 3}}})
    done = cli("backend", "start", code=1)
    assert "millis" in done.err
    assert cli("backend", "serve", code=2).err


def test_the_log_is_rotated_while_the_backend_runs_and_three_are_kept(cli: Cli) -> None:
    pid = cli("backend", "start", "--json", code=0).json["pid"]
    for mark in b"abcd":
        with cli.log.open("ab") as log:
            log.write(bytes([mark]) * LOG_BYTES + b"\n")
        cli("list", code=0)
        # the line about a request, which has the log rotated, is written behind the answer
        until_seen(lambda: cli.log.stat().st_size < LOG_BYTES)
    kept = sorted(path for path in cli.log.parent.iterdir() if path.name.startswith("backend.log"))
    assert [path.name for path in kept] == ["backend.log", "backend.log.1", "backend.log.2", "backend.log.3"]
    assert cli.log.stat().st_size < LOG_BYTES
    assert [mark for path in kept[1:] for mark in b"abcd" if bytes([mark]) * 1000 in path.read_bytes()] == [*b"dcb"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    # a crash is told in the log of now
    if Path("/proc").exists():
        assert Path(f"/proc/{pid}/fd/2").resolve() == cli.log


def test_every_line_of_the_log_is_json(cli: Cli) -> None:
    cli.create("structured")
    cli("backend", "stop", code=0)
    lines = [json.loads(line) for line in cli.log.read_text().splitlines()]
    assert all({"at", "level", "logger", "message"} <= set(line) for line in lines)


def test_units_name_this_program(cli: Cli) -> None:
    assert f"ExecStart={FOUNDRY} backend serve" in cli("backend", "unit", "--for", "systemd", code=0).out
    assert "<string>serve</string>" in cli("backend", "unit", "--for", "launchd", code=0).out


def test_a_config_file_decides_where_the_backend_is(cli: Cli) -> None:
    file = Path(cli("config", "init", code=0).out.strip())
    listen = cli.runtime / "own.sock"
    file.write_text(f'[backend]\nlisten = "unix:{listen}"\n')
    cli("list", code=0)
    assert listen.exists()
    assert not cli.socket.exists()
    assert cli("backend", "stop", "--json", code=0).json["stopped"] is True
