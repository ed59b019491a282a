"""A running backend of another version or protocol: said, and mended by a restart that loses nothing."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foundry_tui.contract.versions import VERSION, is_older
from tests.cli.command_line import Cli
from tests.cli.terminal import terminal

ROOT = Path(__file__).parents[2]

STRANGER = """
import http.server, socket, socketserver, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def address_string(self):
        return ""

with socketserver.UnixStreamServer(sys.argv[1], Answer) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Whole copies of the program that are other versions, each as the environment that puts it first."""
    environs = {}
    for version in ("0.0.9", "99.0"):
        folder = tmp_path_factory.mktemp("version")
        for package in ("foundry_tui", "backend_stub"):
            shutil.copytree(ROOT / package, folder / package)
        file = folder / "foundry_tui" / "contract" / "versions.py"
        text, replaced = re.subn(r'^VERSION = ".*"$', f'VERSION = "{version}"', file.read_text(), flags=re.MULTILINE)
        assert replaced == 1
        file.write_text(text)
        environs[version] = {"PYTHONPATH": str(folder)}
    return environs


@pytest.fixture
def older(versions: dict[str, dict[str, str]]) -> dict[str, str]:
    return versions["0.0.9"]


@pytest.fixture
def newer(versions: dict[str, dict[str, str]]) -> dict[str, str]:
    return versions["99.0"]


@pytest.mark.parametrize(
    ("theirs", "ours", "older"),
    [
        *(("0.0.9", "0.1.0", True), ("0.1", "0.1.0", False), ("0.9.0", "0.10.0", True), ("1.0+local", "1.0", False)),
        *(("1.0", "1.0", False), ("2.0", "1.9", False), ("unknown", "1.0", False), ("", "1.0", False)),
    ],
)
def test_which_version_is_older(theirs: str, ours: str, older: bool) -> None:
    assert is_older(theirs, than=ours) is older


def in_a_stage(cli: Cli, older: dict[str, str], prompt: str = "goes on") -> str:
    """A task in the middle of making its sandbox, and another at rest, on a backend of an older version."""
    script = {"effects_log": str(cli.folder / "effects"), "default": {"create_sandbox": {"ms": 20}}}
    # it has the sandbox and never comes to an end; whoever takes up the task finds both
    cli.set_script({**script, "tasks": [{"match": prompt, "create_sandbox": {"hang": "after"}}]})
    cli("create", "at rest", "--wait", "idle", environ=older, code=0)
    words = ("create", prompt, "--wait", "init_create_sandbox", "--json")
    made: str = cli(*words, environ=older, code=0).json["task_id"]
    cli.set_script(script)
    assert cli("backend", "status", "--json", environ=older, code=0).json["version"] == "0.0.9"
    return made


def check_nothing_lost(cli: Cli, task_id: str) -> None:
    """Both tasks are there, and the one in the stage has gone on from it, with nothing done twice."""
    cli("watch", task_id, "--for", "idle", code=0)
    rows = cli("list", code=0).rows
    assert {row[1] for row in rows} == {"idle"}
    assert len(rows) == 2
    kinds = [row[3] for row in cli("history", task_id).rows]
    made = ("task.created", "task.named", "session.ready", "prompt.delivered", "task.running")
    for once in (*made, "provision.resumed"):
        assert kinds.count(once) == 1, (once, kinds)
    effects = [json.loads(line) for line in (cli.folder / "effects").read_text().splitlines()]
    of_task = [line["effect"] for line in effects if line["task_id"] == task_id and "effect" in line]
    assert of_task.count("create_sandbox") == 1
    assert of_task.count("deliver_prompt") == 1


@pytest.mark.slow
def test_an_older_backend_is_restarted_and_whoever_follows_goes_on(cli: Cli, older: dict[str, str]) -> None:
    task_id = in_a_stage(cli, older)
    follower = cli.popen("watch", task_id, "--for", "idle", "--json", environ=older)
    assert follower.stdout is not None
    follower.stdout.readline()
    rows = {row[0]: row for row in cli("doctor", code=0).rows}
    assert rows["backend"][1] == "note"
    assert "0.0.9" in rows["backend"][2]
    done = cli("list", "--json", code=0)
    assert f"version 0.0.9 was restarted as {VERSION}: nothing is lost" in done.err
    assert len(done.json["tasks"]) == 2
    assert cli("backend", "status", "--json", code=0).json["version"] == VERSION
    assert cli("list", code=0).err == ""
    out, err = follower.communicate(timeout=30)
    assert follower.returncode == 0, err
    assert out
    check_nothing_lost(cli, task_id)


@pytest.mark.slow
def test_ten_commands_at_once_restart_it_once(cli: Cli, older: dict[str, str]) -> None:
    task_id = in_a_stage(cli, older)
    together = [cli.popen("list", "--json") for _ in range(10)]
    answers = [process.communicate(timeout=60) for process in together]
    assert [process.returncode for process in together] == [0] * 10, answers
    assert [len(json.loads(out)["tasks"]) for out, _ in answers] == [2] * 10
    assert sum("was restarted as" in err for _, err in answers) == 1
    assert cli.log.read_text().count("Started server process") == 2
    check_nothing_lost(cli, task_id)


@pytest.mark.slow
def test_the_app_restarts_it_and_says_so(cli: Cli, older: dict[str, str]) -> None:
    task_id = in_a_stage(cli, older)
    with terminal(cli) as shown:
        shown.read_until("was restarted as")
        shown.read_until("live")
        check_nothing_lost(cli, task_id)
        shown.read_until("Ready")
        shown.type(b"\x11")
        assert shown.wait() == 0


@pytest.mark.slow
def test_an_app_that_is_open_goes_on_with_the_backend_of_a_newer_one(cli: Cli, older: dict[str, str]) -> None:
    task_id = in_a_stage(cli, older)
    with terminal(cli, **older) as shown:
        shown.read_until("live")
        cli("list", code=0)
        check_nothing_lost(cli, task_id)
        cli("create", "made by the newer one", code=0)
        shown.read_until("made by the newer one")
        shown.type(b"\x11")
        assert shown.wait() == 0


def test_a_newer_backend_is_left_alone_and_said(cli: Cli, newer: dict[str, str]) -> None:
    started = cli("backend", "start", "--json", environ=newer, code=0).json
    for words in (("list",), ("create", "x"), ("status",), ("backend", "start")):
        assert "version 99.0" in cli(*words, code=0).err
    rows = {row[0]: row for row in cli("doctor", code=0).rows}
    assert "update this foundry" in rows["backend"][3]
    assert cli("backend", "status", "--json", code=0).json["pid"] == started["pid"]


@pytest.mark.slow
def test_the_app_says_that_the_backend_is_newer(cli: Cli, newer: dict[str, str]) -> None:
    cli("backend", "start", environ=newer, code=0)
    with terminal(cli) as shown:
        shown.read_until("version 99.0")
        shown.read_until("live")
        shown.type(b"\x11")
        assert shown.wait() == 0


def test_an_older_backend_on_another_data_folder_is_not_replaced_by_ours(cli: Cli, older: dict[str, str]) -> None:
    """Its tasks would seem to be gone."""
    elsewhere = {**older, "FOUNDRY_DATA_DIR": str(cli.folder / "elsewhere")}
    task_id = cli("create", "kept elsewhere", "--json", environ=elsewhere, code=0).json["task_id"]
    done = cli("list", code=0)
    assert done.rows[0][0] == task_id
    assert "restart it where it was started" in done.err
    assert not (cli.folder / "data").exists()


@pytest.mark.parametrize("status", [404, 200])
def test_another_protocol_is_said_and_mended_by_a_restart(cli: Cli, status: int) -> None:
    cli.socket.parent.mkdir(mode=0o700)
    with subprocess.Popen(
        [sys.executable, "-c", STRANGER, str(cli.socket), str(status)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as stranger:
        try:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == b"ready\n"
            done = cli("list", code=6)
            assert str(cli.socket) in done.err
            assert "foundry backend stop && foundry backend start" in done.err
            assert cli("doctor", code=1).out
            assert cli("backend", "stop", "--json", code=0).json["pid"] == stranger.pid
            assert cli("list", code=0).out == ""
        finally:
            stranger.kill()
