"""The demo's world: a folder of its own with repositories and a private backend, played by the story."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from foundry_tui.client.connection import Target
from foundry_tui.client.errors import FoundryError
from foundry_tui.client.private_files import make_folder, open_file
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.sockets import socket_path_problem
from foundry_tui.demo import scenes
from foundry_tui.demo import story as demo_story
from foundry_tui.demo.story import Story

START_SECONDS = 30.0
LEAVE_SECONDS = 8.0

_BRANCHES = {"shop": ("develop", "fix/coupons"), "website": ("preview",), "billing": ()}


class DemoError(FoundryError):
    """The demo's world could not be made."""


class World:
    """A folder, a backend over it, and the story that is played there. All goes away with `close`, or with us."""

    def __init__(self, seed: int, speed: float, tasks: int | None) -> None:
        self.story: Story = demo_story.tell(seed, speed, tasks)
        self.speed = speed
        self.seed = seed
        self.folder = _make_folder()
        self.front = self.folder / "app.sock"
        self.back = self.folder / "backend.sock"
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> Target:
        """Where the app finds the backend: behind a line that can be cut."""
        return Target.parse(f"unix:{self.front}")

    @property
    def backend(self) -> Target:
        """The backend itself."""
        return Target.parse(f"unix:{self.back}")

    def repository(self, name: str) -> Path:
        return self.folder / name

    def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Start the backend, and return at once. Raises `DemoError`."""
        script = self.folder / "script.json"
        with os.fdopen(open_file(script, os.O_WRONLY), "wb") as file:
            file.write(msgspec.json.encode(self.story.script))
        data = self.folder / "data"
        make_folder(data)
        clean = {name: value for name, value in environ.items() if not name.startswith(("FOUNDRY_", "GIT_"))}
        clean |= {
            **_git_environ(),
            "FOUNDRY_PROVIDER": SIMULATED,
            "FOUNDRY_DEMO_SCRIPT": str(script),
            "FOUNDRY_STAGE_TIMEOUT_MS": str(round(demo_story.STAGE_SECONDS * 1000 / self.speed)),
            "FOUNDRY_STAGE_ATTEMPTS": str(scenes.ATTEMPTS),
            "FOUNDRY_STAGE_BACKOFF_MS": str(round(demo_story.BACKOFF_SECONDS * 1000 / self.speed)),
        }
        python = [sys.executable, "-P", "-m"]
        backend = [*python, "backend_stub", "--data-dir", str(data), "--listen", f"unix:{self.back}"]
        backend += ["--max-provisioning", str(self.story.max_provisioning)]
        try:
            self._guard = subprocess.Popen(
                [*python, "foundry_tui.demo.guard", str(self.folder), str(self.folder / "backend.log"), *backend],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=clean,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise DemoError(f"the demo's backend could not be started: {error}") from error

    def make_repositories(self) -> None:
        """Make the repositories (some 50 ms each; blocking). Raises `DemoError`."""
        for name in demo_story.REPOSITORIES:
            root = self.repository(name)
            for path, text in demo_story.FILES[name].items():
                file = root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            _git(root, "init", "--quiet", "--initial-branch=main")
            _git(root, "add", "--all")
            _git(root, "commit", "--quiet", "--message=Begin")
            for branch in _BRANCHES[name]:
                _git(root, "branch", "--", branch)

    def wait_until_ready(self) -> None:
        """Wait for the backend's ready line (blocking). Raises `DemoError` with its last words when none comes."""
        assert self._guard is not None
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        if not line:
            log = self.folder / "backend.log"
            words = log.read_text("utf-8", "replace").strip().splitlines()[-1:] if log.exists() else []
            raise DemoError(f"the demo's backend could not be started: {' '.join(words) or 'it ended at once'}")

    def close(self) -> None:
        """End the backend, remove the folder, and return when that is done."""
        if self._guard is None:
            import shutil

            shutil.rmtree(self.folder, ignore_errors=True)
            return
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        finally:
            self._guard.stdout.close()


def _make_folder() -> Path:
    """A temporary folder, elsewhere than the system says where a socket in it would have too long a path."""
    folder = Path(tempfile.mkdtemp(prefix="foundry-demo-"))
    if socket_path_problem(folder / "backend.sock") is None:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="foundry-demo-", dir="/tmp"))


def _git_environ() -> dict[str, str]:
    """What keeps git from reading or writing anything of the person's own."""
    who = {"NAME": "Foundry demo", "EMAIL": "demo@localhost", "DATE": "2026-01-01T12:00:00+00:00"}
    return {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in who.items()},
    }


def _git(root: Path, *words: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        subprocess.run(
            ["git", *words], cwd=root, env={**environ, **_git_environ()}, check=True, capture_output=True, timeout=30
        )
    except FileNotFoundError:
        raise DemoError("the demo needs git: install it first") from None
    except (subprocess.SubprocessError, OSError) as error:
        raise DemoError(f"a demo repository could not be made: git {words[0]}: {error}") from error
