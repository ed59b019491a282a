"""Installing the pinned binary: the ordinary npm client, and a hash that must be right."""

import os
from pathlib import Path

import pytest

from foundry_tui.cli import agent_binary
from foundry_tui.cli.agent_binary import Found, InstallError


def test_the_installed_binary_is_the_pinned_one(binary: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / agent_binary.NAME).write_bytes(binary.read_bytes())
    (folder / agent_binary.NAME).chmod(0o700)
    assert agent_binary.install(tmp_path, npm="no-such-program") == folder / agent_binary.NAME
    assert agent_binary.find(tmp_path, {"PATH": ""}) == Found(folder / agent_binary.NAME, "data folder", True)


def fake_npm(folder: Path, script: str) -> str:
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_package_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    npm = fake_npm(tmp_path, 'while [ "$1" != --pack-destination ]; do shift; done; echo evil > "$2/x.tgz"')
    with pytest.raises(InstallError, match="its hash differs"):
        agent_binary.install(tmp_path / "data", npm=npm)
    assert not list((tmp_path / "data").rglob("*"))


def test_what_npm_says_of_a_failure_is_said(tmp_path: Path) -> None:
    npm = fake_npm(tmp_path, 'echo "{\\"error\\": {\\"summary\\": \\"no network\\"}}"; exit 1')
    with pytest.raises(InstallError, match="no network"):
        agent_binary.install(tmp_path / "data", npm=npm)


def test_without_npm_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="npm is not installed"):
        agent_binary.install(tmp_path, npm="no-such-program")


def test_a_binary_that_was_tampered_with_is_replaced_or_called_so(tmp_path: Path) -> None:
    path = tmp_path / "bin" / agent_binary.NAME
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    found = agent_binary.find(tmp_path, {"PATH": ""})
    assert found is not None
    assert not found.pinned
    with pytest.raises(InstallError):
        agent_binary.install(tmp_path, npm="no-such-program")


def test_a_named_binary_goes_before_all_and_is_not_replaced_unseen(tmp_path: Path) -> None:
    named = tmp_path / "mine"
    named.write_text("#!/bin/sh\n")
    environ = {"PATH": os.environ["PATH"], agent_binary.VARIABLE: str(named)}
    assert agent_binary.find(tmp_path, environ) is None
    named.chmod(0o755)
    found = agent_binary.find(tmp_path, environ)
    assert found is not None
    assert (found.path, found.source) == (named, agent_binary.VARIABLE)


def test_agents_are_found_where_sandbox_agent_looks(tmp_path: Path) -> None:
    launcher = tmp_path / "data/sandbox-agent/bin/agent_processes/pi-acp"
    launcher.parent.mkdir(parents=True)
    launcher.touch()
    program = tmp_path / "path/codex"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "PATH": str(program.parent)}
    found = agent_binary.installed_agents(environ)
    assert {name for name, path in found.items() if path} == {"pi", "codex"}
