"""The world that a test stands in: a person's folders, a repository, the demo provider's script, and `foundry`.

Whatever runs in a test stands on one: a backend's process (`tests.backend.process`), a backend in the test's own
process (`tests.backend.in_process`), the local provider with a scripted agent (`tests.local.world`).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from tests import forks
from tests.git import make_repository

Json = dict[str, Any]
FOUNDRY = Path(sys.executable).parent / "foundry"


def folders_of(folder: Path) -> dict[str, str]:
    """Variables that name a person's own folders, all of them in this one."""
    return {
        "HOME": str(folder / "home"),
        **{f"XDG_{name.upper()}_HOME": str(folder / name) for name in ("config", "data", "state", "cache")},
    }


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """Standard output as one JSON object."""
        document: Json = json.loads(self.out)
        return document

    @property
    def rows(self) -> list[list[str]]:
        """Standard output as tab-separated lines."""
        return [line.split("\t") for line in self.out.splitlines()]


class World:
    """All of it is in `folder`, but for the sockets. `environ` is the environment of every program that runs in it.

    `script` is what FOUNDRY_DEMO_SCRIPT says; `effects` what happened.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        # Unix sockets have short paths only, whatever folder the test runs in.
        self.runtime = Path(tempfile.mkdtemp(prefix="fdry-"))
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data" / "foundry"
        """Where a backend keeps what it has."""
        self.script_path = folder / "script.json"
        self.effects_path = folder / "effects.jsonl"
        self._making = Lock()
        self.environ: dict[str, str] = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
            **folders_of(folder),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "FOUNDRY_PROVIDER": "demo",
            "FOUNDRY_DEMO_SCRIPT": str(self.script_path),
            "FOUNDRY_STAGE_BACKOFF_MS": "10",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "TERM": "xterm-256color",
            **(environ or {}),
        }
        self.set_script({})

    @cached_property
    def repository(self) -> Path:
        """A git repository with a commit, made when it is first asked for, unless the test has made one there."""
        folder = self.folder / "repo"
        # Threads ask for it at once, and since Python 3.12 such a property keeps none of them waiting.
        with self._making:
            return folder if folder.exists() else make_repository(folder)

    def set_script(self, script: Json) -> None:
        """Replace the script atomically; the effects log is always on."""
        new = self.script_path.with_suffix(".new")
        new.write_text(json.dumps({"effects_log": str(self.effects_path), **script}))
        new.replace(self.script_path)

    def effects(self, **wanted: str) -> list[Json]:
        """The lines of the effects log that have these values."""
        if not self.effects_path.exists():
            return []
        lines = [json.loads(line) for line in self.effects_path.read_text().splitlines()]
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]

    def popen(
        self, *words: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """`foundry` with these words, running."""
        return subprocess.Popen(
            [FOUNDRY, *words],
            env={**self.environ, **(environ or {})},
            cwd=cwd or self.repository,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def foundry(
        self,
        *words: str,
        stdin: str | bytes = "",
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        code: int | None = None,
        timeout: float = 60,
    ) -> Done:
        """Run `foundry` with these words; `code` is the exit code that must come."""
        done = forks.run(
            [str(FOUNDRY), *words],
            {**self.environ, **(environ or {})},
            cwd or self.repository,
            stdin.encode() if isinstance(stdin, str) else stdin,
            timeout,
        )
        result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.err, result.err
        if code is not None:
            assert result.code == code, f"exit {result.code}\n{result.out}\n{result.err}"
        return result

    def close(self) -> None:
        """Remove what is not in the test's own folder."""
        shutil.rmtree(self.runtime, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
