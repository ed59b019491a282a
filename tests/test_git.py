"""Git, as the tests have it run."""

import subprocess
from pathlib import Path

import pytest


def test_what_is_set_for_the_whole_machine_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a machine with LFS has a filter of that name, which goes before the one that a test sets."""
    system = tmp_path / "gitconfig"
    system.write_text('[filter "lfs"]\n\tprocess = git-lfs filter-process\n')
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(system))
    asked = subprocess.run(["git", "config", "--get", "filter.lfs.process"], cwd=tmp_path, capture_output=True)
    assert asked.stdout == b""
