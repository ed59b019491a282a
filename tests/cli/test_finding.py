"""Finding the backend of a data folder from anywhere, and saying what of the settings it does not take."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.cli.command_line import Cli, serve
from tests.world import Done


@pytest.fixture
def elsewhere() -> Iterator[dict[str, str]]:
    """The environment of somebody who has another runtime folder, as over ssh or from cron."""
    with tempfile.TemporaryDirectory(prefix="fdry-") as folder:
        yield {"XDG_RUNTIME_DIR": folder}


def test_the_backend_of_the_data_folder_is_found_without_its_runtime_folder(
    cli: Cli, elsewhere: dict[str, str]
) -> None:
    task_id = cli.create()["task_id"]
    pid = cli("backend", "status", "--json", code=0).json["pid"]
    for environ in (elsewhere, {"XDG_RUNTIME_DIR": ""}):
        assert cli("list", environ=environ, code=0).rows[0][0] == task_id
        status = cli("backend", "status", "--json", environ=environ, code=0).json
        assert (status["pid"], status["listening"]) == (pid, f"unix:{cli.socket}")
        assert cli("backend", "start", "--json", environ=environ, code=0).json["started"] is False
        assert cli("statusline", environ=environ, code=0).out
    assert cli("backend", "stop", "--json", environ=elsewhere, code=0).json["pid"] == pid
    # What the lock file says is nobody's address any more.
    assert cli("list", environ=elsewhere, code=0).rows[0][0] == task_id
    assert (Path(elsewhere["XDG_RUNTIME_DIR"]) / "foundry/backend.sock").exists()
    assert cli("backend", "status", "--json", code=0).json["pid"] != pid
    # Its runtime folder goes before the world does, and who stops it then could not reach it.
    cli("backend", "stop", code=0)


def test_one_on_tcp_is_named(cli: Cli, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    process, ready = serve(cli, "--listen", "127.0.0.1:0", "--token-file", str(token))
    try:
        assert f"at {ready['listening']}" in cli("list", code=6).err
    finally:
        process.terminate()
        process.communicate()


def test_one_limit_for_socket_paths(cli: Cli) -> None:
    """What the client takes the backend takes, and what neither takes is said with what to do."""
    folder = Path(tempfile.mkdtemp(prefix="fdry-"))
    longest = folder / ("x" * (107 - len(str(folder)) - 1))
    for path, fits in ((longest, True), (f"{longest}x", False)):
        words = ("--listen", f"unix:{path}")
        done = cli("backend", "start", *words, code=0 if fits else 1)
        assert fits or "107 at most" in done.err
        if fits:
            cli("backend", "stop", *words, code=0)
    checks = cli("doctor", "--json", environ={"XDG_RUNTIME_DIR": "/tmp/" + "x" * 120}, code=1).json["checks"]
    assert any("107 at most" in check["found"] and check["fix"] for check in checks)


def test_variables_that_a_running_backend_does_not_take_are_said(cli: Cli) -> None:
    assert cli("create", "x", code=0).err == ""
    changed = {"FOUNDRY_MAX_PROVISIONING": "3", "FOUNDRY_STAGE_TIMEOUT_MS": "5000"}
    said = cli("create", "x", environ=changed, code=0).err
    assert "FOUNDRY_MAX_PROVISIONING, FOUNDRY_STAGE_TIMEOUT_MS are not taken" in said
    assert "foundry backend stop" in said
    assert said.count("\n") == 1
    assert cli("list", environ=changed, code=0).err == ""
    status = cli("backend", "status", "--json", environ=changed, code=0).json
    assert status["not_taken"] == list(changed)
    assert cli("backend", "status", "--json", code=0).json["not_taken"] == []
    assert ["not_taken", ", ".join(changed)] in cli("backend", "status", environ=changed, code=0).rows
    checks = cli("doctor", "--json", environ=changed).json["checks"]
    assert any(check["name"] == "settings" and "FOUNDRY_STAGE_TIMEOUT_MS" in check["found"] for check in checks)
    cli("backend", "stop", code=0)
    assert cli("create", "x", environ=changed, code=0).err == ""


@pytest.mark.parametrize("own", [True, False], ids=["our own, which runs already", "another one"])
def test_what_a_new_task_is_made_of_is_by_the_shell_it_is_asked_for_in(cli: Cli, tmp_path: Path, own: bool) -> None:
    cli("list", code=0)
    other = BackendProcess(tmp_path / "other")
    named = {} if own else {"FOUNDRY_BACKEND": other.environ["FOUNDRY_BACKEND"]}
    file = cli.folder / "config/foundry/config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[local]\npermissions = "reads"\nagent = "amp"\n')
    with other:
        other.start()
        here = {"FOUNDRY_PROVIDER": "local", "FOUNDRY_AGENT": "claude", **named}
        refused = cli("create", "x", environ=here, code=1)
        assert "The agent claude is not installed" in refused.err
        assert "FOUNDRY_AGENT names it; another one: --agent" in refused.err
        assert f"{file}:3 names it" in cli("create", "x", environ={**here, "FOUNDRY_AGENT": ""}, code=1).err
        made = cli("create", "x", "--provider", "demo", "--json", environ=here, code=0)
        assert (made.json["provider"], made.json["agent"], made.err) == ("demo", "demo", "")
        assert "no provider 'none'" in cli("create", "x", environ={**here, "FOUNDRY_PROVIDER": "none"}, code=1).err


@pytest.mark.parametrize("own", [True, False], ids=["our own, which runs already", "another one"])
def test_defaults_go_by_the_provider_that_the_backend_takes_where_none_is_named(
    cli: Cli, tmp_path: Path, own: bool
) -> None:
    here = {"FOUNDRY_PROVIDER": "", "FOUNDRY_AGENT": "claude", "FOUNDRY_PERMISSIONS": "all"}

    def create(taken: str, code: int) -> Done:
        """Ask for a task of a backend that takes this provider where none is named."""
        with BackendProcess(tmp_path / taken, {"FOUNDRY_PROVIDER": taken}) as other:
            if own:
                cli("backend", "start", environ={"FOUNDRY_PROVIDER": taken}, code=0)
                asked = here
            else:
                asked = {**here, "FOUNDRY_BACKEND": other.start().environ["FOUNDRY_BACKEND"]}
            done = cli("create", "x", "--json", environ=asked, code=code)
            if own:
                cli("backend", "stop", code=0)
            return done

    made = create("demo", code=0).json
    assert (made["provider"], made["agent"], made["permission_policy"]) == ("demo", "demo", "ask")
    assert "FOUNDRY_AGENT names it" in create("local", code=1).err, "which is not installed"


def test_an_agent_of_the_config_that_the_running_backend_does_not_know_is_said(cli: Cli) -> None:
    cli("list", code=0)
    file = cli.folder / "config/foundry/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[agents.mine]\ncommand = ["my-agent"]\n')
    assert "FOUNDRY_AGENTS is not taken" in cli("create", "x", code=0).err
    cli("backend", "stop", code=0)
    assert cli("create", "x", code=0).err == ""


def test_another_data_folder_is_not_taken_either(cli: Cli, tmp_path: Path) -> None:
    cli("list", code=0)
    said = cli("create", "x", environ={"FOUNDRY_DATA_DIR": str(tmp_path / "other")}, code=0).err
    assert "FOUNDRY_DATA_DIR is not taken" in said


def test_local_is_ready_only_with_an_agent(cli: Cli) -> None:
    """The backend, its status and doctor say the same, and how to get one."""
    binary = cli.folder / "sandbox-agent"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    cli.environ["FOUNDRY_SANDBOX_AGENT"] = str(binary)
    cli.environ["PATH"] = "/usr/bin:/bin"
    state = cli("backend", "start", code=0) and cli("backend", "status", "--json", code=0).json["providers"]["local"]
    assert state == "no coding agent is installed: foundry agent install claude (or codex, opencode, gemini)"
    checks = {check["name"]: check for check in cli("doctor", "--json").json["checks"]}
    assert checks["provider local"]["state"] == "note"
    assert checks["provider local"]["found"] == state
    launchers = cli.folder / "data/sandbox-agent/bin/agent_processes"
    launchers.mkdir(parents=True)
    (launchers / "pi-acp").write_text("#!/bin/sh\n")
    (launchers / "pi-acp").chmod(0o755)
    assert cli("backend", "status", "--json", code=0).json["providers"]["local"] == "ready"
