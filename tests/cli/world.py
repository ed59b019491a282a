"""The installed command line in a world of its own: run as a user or a script would run it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.backend.git_world import make_repository

Json = dict[str, Any]
FOUNDRY = Path(sys.executable).parent / "foundry"


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


class Cli:
    """Folders of a user's own, a repository to stand in, and `foundry` to call. `script` is the demo provider's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Unix sockets have short paths only, whatever folder the test runs in.
        self.runtime = Path(tempfile.mkdtemp(prefix="fdry-"))
        self.repo = make_repository(folder / "repo")
        self.script_path = folder / "script.json"
        self.set_script({})
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.environ: dict[str, str] = {
            **kept,
            "HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "FOUNDRY_PROVIDER": "demo",
            "FOUNDRY_DEMO_SCRIPT": str(self.script_path),
            "FOUNDRY_STAGE_BACKOFF_MS": "10",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "TERM": "xterm-256color",
        }
        (folder / "home").mkdir(exist_ok=True)

    @property
    def socket(self) -> Path:
        """Where the default backend listens."""
        return self.runtime / "foundry" / "backend.sock"

    @property
    def log(self) -> Path:
        """Where the default backend logs."""
        return self.folder / "data" / "foundry" / "backend.log"

    def set_script(self, script: Json) -> None:
        """Replace the demo provider's script atomically."""
        new = self.script_path.with_suffix(".new")
        new.write_text(json.dumps(script))
        new.replace(self.script_path)

    def popen(
        self, *words: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[str]:
        """`foundry` with these words, running."""
        return subprocess.Popen(
            [FOUNDRY, *words],
            env={**self.environ, **(environ or {})},
            cwd=cwd or self.repo,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self,
        *words: str,
        stdin: str | bytes = "",
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        code: int | None = None,
        timeout: float = 60,
    ) -> Done:
        """Run `foundry` with these words; `code` is the exit code that must come."""
        done = subprocess.run(
            [FOUNDRY, *words],
            env={**self.environ, **(environ or {})},
            cwd=cwd or self.repo,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=timeout,
        )
        result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.err, result.err
        if code is not None:
            assert result.code == code, f"exit {result.code}\n{result.out}\n{result.err}"
        return result

    def create(self, prompt: str = "fix the login redirect", *words: str, wait: str = "idle") -> Json:
        """A task that has reached a status."""
        return self("create", prompt, "--wait", wait, "--json", *words, code=0).json

    def close(self) -> None:
        """Stop the backend if one runs, and remove its socket's folder."""
        self("backend", "stop")
        shutil.rmtree(self.runtime, ignore_errors=True)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what nothing tells of, such as a line in a file; fails when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def serve(cli: Cli, *words: str) -> tuple[subprocess.Popen[str], Json]:
    """`foundry backend serve` that is ready, and its line."""
    process = cli.popen("backend", "serve", *words)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, json.loads(line)
