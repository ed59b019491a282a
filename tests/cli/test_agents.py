"""Agents are installed whole or not at all, listed with what is to be done, and logged in to in their own way."""

import json
import os
import sys
from pathlib import Path

import pytest

from foundry_tui.contract.agents import INSTALLABLE, installed_programs
from foundry_tui.process.agent_packages import PACKAGES, install, is_installed, lock_of, machine
from foundry_tui.process.npm import InstallError
from tests.cli.command_line import Cli
from tests.cli.terminal import terminal

NPM = f"""#!{sys.executable}
import json, os, pathlib, sys
assert sys.argv[1] == "ci" and "--ignore-scripts" in sys.argv
wanted = json.loads(os.environ["FAKE_NPM"])
if wanted.get("say"):
    sys.exit(wanted["say"])
assert json.load(open("package.json"))["private"] and json.load(open("package-lock.json"))["packages"]
for path in wanted["files"]:
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\\n")
    file.chmod(0o755)
if wanted.get("dies"):
    os.kill(os.getppid(), 9)
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an npm that does as FAKE_NPM says, alone on the PATH with a node."""
    folder = tmp_path / "npm"
    folder.mkdir()
    (folder / "npm").write_text(NPM)
    (folder / "node").write_text("#!/bin/sh\necho v22.1.0\n")
    for file in folder.iterdir():
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    gives(monkeypatch, "codex")
    return folder


def gives(monkeypatch: pytest.MonkeyPatch, name: str, **more: object) -> None:
    files = [path.format(machine=machine()) for path in PACKAGES[name].programs.values()]
    monkeypatch.setenv("FAKE_NPM", json.dumps({"files": files, **more}))


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_is_pinned_with_its_hash_and_no_registry(name: str) -> None:
    lock = lock_of(name)
    assert "://" not in lock
    root, *others = json.loads(lock)["packages"].values()
    assert others
    for each in others:
        assert each["integrity"].startswith("sha512-")
    for version in {**root.get("dependencies", {}), **root.get("optionalDependencies", {})}.values():
        assert version == PACKAGES[name].version


def test_all_that_can_be_installed_has_its_packages() -> None:
    assert set(INSTALLABLE) <= set(PACKAGES)


@pytest.mark.usefixtures("npm")
def test_an_agent_is_installed_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = install("codex", tmp_path)
    assert done.version == "0.16.0"
    assert sorted(os.listdir(done.programs)) == ["codex", "codex-acp"]  # noqa: PTH208
    assert is_installed("codex", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert install("codex", tmp_path) == done
    assert sorted(file.name for file in (tmp_path / "agents").iterdir()) == [".lock", "codex", "codex-0.16.0"]
    assert (tmp_path / "agents").stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("npm")
def test_a_newer_version_takes_the_place_and_leaves_what_may_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = installed_programs("codex", tmp_path).parent
    for version in ("0.14.0", "0.15.0"):
        (link.parent / f"codex-{version}").mkdir(parents=True)
    link.symlink_to("codex-0.15.0")
    install("codex", tmp_path)
    assert link.resolve().name == "codex-0.16.0"
    assert sorted(file.name for file in link.parent.glob("codex-*")) == ["codex-0.15.0", "codex-0.16.0"]


def test_killed_half_way_it_is_not_there_and_comes_with_the_next_try(cli: Cli, npm: Path) -> None:
    data = cli.data
    cli.environ |= {"PATH": str(npm), "FOUNDRY_SANDBOX_AGENT": str(npm / "npm")}
    files = [path.format(machine=machine()) for path in PACKAGES["codex"].programs.values()]
    killed = cli("agent", "install", "codex", environ={"FAKE_NPM": json.dumps({"files": files, "dies": True})})
    assert killed.code == -9
    assert [file.name for file in (data / "agents").iterdir() if file.name.startswith(".new-")]
    assert not is_installed("codex", data)
    again = cli("agent", "install", "codex", "--json", environ={"FAKE_NPM": json.dumps({"files": files})}, code=0)
    assert again.json["agents"] == [
        {"name": "codex", "version": "0.16.0", "path": str(installed_programs("codex", data))}
    ]
    assert is_installed("codex", data)
    assert not [file for file in (data / "agents").iterdir() if file.name.startswith(".new-")]


@pytest.mark.usefixtures("npm")
def test_what_npm_cannot_get_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gives(monkeypatch, "codex", say="npm error code EINTEGRITY\nnpm error sha512-x integrity checksum failed\n")
    with pytest.raises(InstallError, match="integrity checksum failed"):
        install("codex", tmp_path)
    monkeypatch.setenv("FAKE_NPM", json.dumps({"files": []}))
    with pytest.raises(InstallError, match=f"no program of codex 0.16.0 for {machine()}"):
        install("codex", tmp_path)
    assert [file.name for file in (tmp_path / "agents").iterdir()] == [".lock"]


def test_what_it_needs_is_said(tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (npm / "node").write_text("#!/bin/sh\necho v18.3.0\n")
    with pytest.raises(InstallError, match=r"v18\.3\.0 is too old"):
        install("gemini", tmp_path)
    (npm / "node").unlink()
    with pytest.raises(InstallError, match="node is not installed"):
        install("gemini", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InstallError, match="npm is not installed") as caught:
        install("codex", tmp_path)
    assert "Node.js 20" in caught.value.hint


@pytest.mark.slow
def test_the_list_is_the_backends_and_says_what_to_do(cli: Cli) -> None:
    cli.environ["PATH"] = "/usr/bin:/bin"
    cli.environ["FOUNDRY_SANDBOX_AGENT"] = "/bin/true"
    rows = {row[0]: row[1:] for row in cli("agent", "list", code=0).rows if row[1] == "local"}
    assert rows["codex"] == ["local", "missing", "foundry agent install codex"]
    for name, path in PACKAGES["opencode"].programs.items():
        program = installed_programs("opencode", cli.data) / name
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n# {path}\n")
        program.chmod(0o755)
    agents = cli("agent", "list", "--json", code=0).json["agents"]
    assert {"name": "opencode", "provider": "local", "state": "ready", "how": ""} in agents
    checks = {check["name"]: check for check in cli("doctor", "--json", environ={"TERM": "unknown"}).json["checks"]}
    assert "opencode" in checks["agents"]["found"]
    assert checks["sandbox-agent"]["state"] == "note" and "not the pinned" in checks["sandbox-agent"]["found"]
    assert checks["terminal"]["state"] == "note", "the app does not open on it"
    refused = cli("create", "x", "--agent", "codex", "--provider", "local", code=1)
    assert "foundry agent install codex" in refused.err
    unknown = cli("create", "x", "--agent", "nonsense", code=1)
    assert "there are demo, claude, codex" in unknown.err
    assert cli("list", code=0).out == ""


def test_a_task_without_an_agent_is_refused_with_what_helps_and_never_simulated(tmp_path: Path) -> None:
    nowhere = {"PATH": "/usr/bin:/bin", "FOUNDRY_PROVIDER": "", "FOUNDRY_DEMO_SCRIPT": ""}
    with Cli(tmp_path, nowhere) as cli:
        refused = cli("create", "mend it", code=1)
        assert refused.out == ""
        assert "foundry agent install claude" in refused.err
        assert refused.err.splitlines()[-1].strip() == "to look around without an agent: foundry demo"
        assert cli("list", code=0).out == ""


def test_a_login_is_the_agents_own_in_this_terminal(cli: Cli) -> None:
    programs = installed_programs("claude", cli.data)
    programs.mkdir(parents=True)
    (programs / "claude").write_text('#!/bin/sh\necho "login of claude: $*"\nread word && echo "took $word"\n')
    (programs / "claude").chmod(0o755)
    assert cli("agent", "login", "claude", "--json", code=0).json["command"] == [
        str(programs / "claude"),
        "auth",
        "login",
    ]
    assert "takes a terminal" in cli("agent", "login", "claude", code=1).err
    assert "is not known" in cli("agent", "login", "nonsense", code=1).err
    away = cli("agent", "login", "claude", environ={"FOUNDRY_BACKEND": "127.0.0.1:9"}, code=1)
    assert "log in there" in away.err
    with terminal(cli, "agent", "login", "claude") as shown:
        shown.read_until("login of claude: auth login")
        shown.type(b"code\r")
        shown.read_until("took code")
        assert shown.wait() == 0
