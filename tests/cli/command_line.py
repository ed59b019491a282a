"""The installed command line, run as a user or a script would run it; the backend is one that it starts itself."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.world import Json, World


class Cli(World):
    """A world in which `foundry` is called."""

    @property
    def socket(self) -> Path:
        """Where the default backend listens."""
        return self.runtime / "foundry" / "backend.sock"

    @property
    def log(self) -> Path:
        """Where the default backend logs."""
        return self.data / "backend.log"

    __call__ = World.foundry

    def create(self, prompt: str = "fix the login redirect", *words: str, wait: str = "idle") -> Json:
        """A task that has reached a status."""
        return self.foundry("create", prompt, "--wait", wait, "--json", *words, code=0).json

    def close(self) -> None:
        """Stop the backend if one runs."""
        self.foundry("backend", "stop")
        super().close()


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
