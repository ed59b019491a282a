"""One backend owns a data folder, and a killed one lets go of it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend_stub.domain.errors import StartError
from backend_stub.machine import data_folder
from backend_stub.machine.data_folder import LOCK_NAME, owned_folder


def _hold(folder: Path) -> int:
    handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def test_a_child_of_a_killed_backend_does_not_keep_the_next_one_out(tmp_path: Path) -> None:
    handle = _hold(tmp_path)
    program = f"import select; select.select([], [], [], {data_folder.RELEASE_TIME / 4})"
    with subprocess.Popen([sys.executable, "-c", program], pass_fds=(handle,)):
        os.close(handle)
        with owned_folder(tmp_path) as folder:
            assert folder.path == tmp_path


def test_a_folder_in_use_is_refused_with_who_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "RELEASE_TIME", 0.05)
    with (
        owned_folder(tmp_path),
        pytest.raises(StartError, match=rf"in use by another backend \(pid {os.getpid()}\)"),
        owned_folder(tmp_path),
    ):
        pass
