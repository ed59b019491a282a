"""The installed command line, run as a user or a script would run it; the backend is one that it starts itself."""

import json
import subprocess
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


def until_told(cli: Cli, part: str, *words: str) -> None:
    """Wait until a command that follows prints a line with this in it; the command is ended then."""
    with cli.popen(*words) as follower:
        assert follower.stdout is not None
        try:
            assert any(part in line for line in follower.stdout), "it ended first"
        finally:
            follower.kill()


def serve(cli: Cli, *words: str) -> tuple[subprocess.Popen[str], Json]:
    """`foundry backend serve` that is ready, and its line."""
    process = cli.popen("backend", "serve", *words)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, json.loads(line)
