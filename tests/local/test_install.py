"""Installing the pinned binary: the ordinary npm client, and a hash that must be right."""

import os
import re
import shutil
from pathlib import Path

import pytest

from foundry_tui.contract.agents import SANDBOX_AGENT, VARIABLE, Binary, find_sandbox_agent, installed_agents
from foundry_tui.process import agent_binary
from foundry_tui.process.agent_binary import platform_key
from foundry_tui.process.npm import InstallError, run
from tests.local.world import LIMIT


def test_the_installed_binary_is_the_pinned_one(sandbox_agent: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / SANDBOX_AGENT).write_bytes(sandbox_agent.read_bytes())
    (folder / SANDBOX_AGENT).chmod(0o700)
    assert agent_binary.install(tmp_path, npm="no-such-program") == folder / SANDBOX_AGENT
    found = find_sandbox_agent(tmp_path, {"PATH": ""}, shutil.which)
    assert found == Binary(folder / SANDBOX_AGENT, "data folder")
    assert agent_binary.is_pinned(found.path)


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


def test_a_file_that_npm_could_not_write_fails_it_though_npm_only_warns(tmp_path: Path) -> None:
    npm = fake_npm(tmp_path, 'echo "npm warn tar TAR_ENTRY_ERROR ENOSPC: no space left on device, write" >&2')
    with pytest.raises(InstallError, match="could not write all of gemini: ENOSPC: no space left on device"):
        run(npm, ["ci"], tmp_path, getting="gemini", seconds=LIMIT)


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = fake_npm(tmp_path, 'while [ "$1" != --pack-destination ]; do shift; done; touch "$2/x.tgz"')
    monkeypatch.setattr(agent_binary, "integrity", lambda path: agent_binary.PACKAGES[platform_key()].integrity)
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(InstallError, match=re.escape(f"cannot be put into {tmp_path / 'data' / 'bin'}: ")):
        agent_binary.install(tmp_path / "data", npm=npm)


def test_without_npm_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="npm is not installed"):
        agent_binary.install(tmp_path, npm="no-such-program")


def test_a_binary_that_was_tampered_with_is_replaced_or_called_so(tmp_path: Path) -> None:
    path = tmp_path / "bin" / SANDBOX_AGENT
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    found = find_sandbox_agent(tmp_path, {"PATH": ""}, shutil.which)
    assert found is not None
    assert not agent_binary.is_pinned(found.path)
    with pytest.raises(InstallError):
        agent_binary.install(tmp_path, npm="no-such-program")


def test_a_named_binary_goes_before_all_and_is_not_replaced_unseen(tmp_path: Path) -> None:
    named = tmp_path / "mine"
    named.write_text("#!/bin/sh\n")
    environ = {"PATH": os.environ["PATH"], VARIABLE: str(named)}
    assert find_sandbox_agent(tmp_path, environ, shutil.which) is None
    named.chmod(0o755)
    found = find_sandbox_agent(tmp_path, environ, shutil.which)
    assert found is not None
    assert (found.path, found.source) == (named, VARIABLE)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["data/agent_processes/pi-acp"], {"pi"}),
        (["path/pi-acp", "path/amp-acp", "path/cursor-agent-acp"], {"pi", "amp", "cursor"}),
        (["path/claude", "path/codex"], set()),
        (["path/claude", "path/claude-agent-acp", "data/codex", "path/codex-acp"], {"claude", "codex"}),
        (["data/agent_processes/claude-acp", "data/agent_processes/codex-acp"], set()),
        (["data/agent_processes/claude-acp", "data/claude"], {"claude"}),
        (["path/opencode"], {"opencode"}),
        (["data/opencode"], set()),
    ],
)
def test_agents_are_found_where_sandbox_agent_looks(tmp_path: Path, files: list[str], found: set[str]) -> None:
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "xdg"), "PATH": str(tmp_path / "path")}
    for name in files:
        where, _, rest = name.partition("/")
        path = (tmp_path / "xdg/sandbox-agent/bin" if where == "data" else tmp_path / "path") / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    assert set(installed_agents(tmp_path / "none", environ, shutil.which)) == found
