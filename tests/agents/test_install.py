"""An agent from npm itself: whole by its hashes, or not at all."""

import subprocess
from pathlib import Path

import pytest

from foundry_tui.process import agent_packages
from foundry_tui.process.npm import InstallError

pytestmark = pytest.mark.agents


def test_what_npm_gives_is_checked_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = agent_packages.lock_of("gemini")
    begin = lock.index("sha512-", lock.index('"node_modules/@google/gemini-cli"'))
    wrong = lock[:begin] + "sha512-" + "A" * 86 + lock[begin + 93 :]
    monkeypatch.setattr(agent_packages, "lock_of", lambda name: wrong)
    with pytest.raises(InstallError, match="npm could not get gemini"):
        agent_packages.install("gemini", tmp_path)
    assert [file.name for file in (tmp_path / "agents").iterdir()] == [".lock"]
    monkeypatch.undo()
    done = agent_packages.install("gemini", tmp_path)
    said = subprocess.run([done.programs / "gemini", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == done.version
