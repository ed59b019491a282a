"""npm's own client, which fetches packages: it runs none of their code, and what it says of a failure is told."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from foundry_tui.client.errors import FoundryError

_LOST = "TAR_ENTRY_ERROR"


class InstallError(FoundryError):
    """What was asked for could not be installed; what was there before still is."""


def find(name: str = "npm", *, hint: str, program: str | None = None) -> str:
    """The path of npm, or of `node`, or of the `program` that stands for it. Raises `InstallError` with the hint."""
    path = shutil.which(program or name)
    if path is None:
        raise InstallError(f"{name} is not installed", hint=hint)
    return path


def run(
    npm: str,
    arguments: Sequence[str],
    folder: Path,
    *,
    getting: str,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> str:
    """Have npm do this in a folder, to get what `getting` names. Gives what it complained of, all the same.

    Raises `InstallError` when it fails, or takes longer than `seconds`.
    """
    command = [npm, *arguments, "--ignore-scripts"]
    tell(f"$ {shlex.join(command)}")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise InstallError(
            f"npm took longer than {seconds:.0f} s", hint="look at the network, then try again"
        ) from None
    reason = _words_of_json(done.stdout) or _words_of_lines(done.stderr)
    if done.returncode != 0:
        raise InstallError(f"npm could not get {getting}: {reason}", hint="look at the network and npm")
    if (lost := next((line for line in done.stderr.splitlines() if _LOST in line), None)) is not None:
        # To npm itself a file that it could not write is worth a warning only.
        why = lost.partition(_LOST)[2].strip()
        raise InstallError(f"npm could not write all of {getting}: {why}", hint="make room, or look at its rights")
    return reason


def _words_of_json(said: str) -> str:
    """What npm says of an error in its JSON, if it was asked for that."""
    try:
        error = json.loads(said)["error"]
        return str(error.get("summary") or error.get("code") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _words_of_lines(said: str) -> str:
    """The line of npm's errors that says most."""
    lines = [line.removeprefix("npm error ").removeprefix("npm warn ").strip() for line in said.splitlines()]
    told = [line for line in lines if line and not line.startswith(("code ", "A complete log", "errno ", "syscall "))]
    return told[0][:300] if told else ""
