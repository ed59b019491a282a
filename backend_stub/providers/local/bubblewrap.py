"""The command that runs another one under bubblewrap: the machine readable, only the task's own places writable."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend_stub.domain.errors import ProviderError
from foundry_tui.contract.agents import SANDBOX_AGENT, data_home

AGENT_FOLDERS = (
    ".claude", ".claude.json", ".codex", ".config/opencode", ".local/share/opencode", ".local/state/opencode",
    ".config/amp", ".cursor", ".gemini", ".pi", ".cache", ".npm",
)  # fmt: skip
"""What known agents write to in the home folder; those that exist are writable."""

SECRET_FOLDERS = (".ssh", ".gnupg", ".aws")
"""Not to be seen by an agent; neither are the backend's own files and those of other tasks."""


def wrapped(
    argv: Sequence[str],
    cwd: Path,
    data_dir: Path,
    writable: Sequence[str],
    environ: Mapping[str, str],
    readable: Sequence[Path] = (),
) -> Sequence[str]:
    """`argv` under bubblewrap. The network is shared, since agents need their models; processes are not.

    `readable`: what it needs to read in the data folder, which is hidden from it.
    It does not die with the backend, which finds it again after a restart; killing its group ends all that is in it.
    """
    program = shutil.which("bwrap", path=environ.get("PATH"))
    if program is None:
        raise ProviderError("bubblewrap is configured but not installed", retryable=False)
    home = Path(environ.get("HOME", "/")).expanduser()
    hidden = [place for place in (data_dir, *(home / name for name in SECRET_FOLDERS)) if place.is_dir()]
    places = [
        cwd,
        _git_folder(cwd),
        data_home(environ) / SANDBOX_AGENT,
        *(home / name for name in AGENT_FOLDERS),
        *map(Path, writable),
    ]
    mounts = [
        *(part for place in hidden for part in ("--tmpfs", str(place))),
        *(
            part
            for place in (data_dir / "bin", data_dir / "agents", Path(argv[0]), *readable)
            if place.exists()
            for part in ("--ro-bind", str(place), str(place))
        ),
        *(part for place in places if place.exists() for part in ("--bind", str(place), str(place))),
    ]
    return [
        program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", *mounts,
        "--unshare-all", "--share-net", "--chdir", str(cwd), "--", *argv,
    ]  # fmt: skip


def _git_folder(worktree: Path) -> Path:
    """The repository's git folder, which commits made in the worktree are written to."""
    pointer = (worktree / ".git").read_text().removeprefix("gitdir:").strip()
    return Path(pointer).parent.parent
