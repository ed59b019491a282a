"""The command that runs another one under bubblewrap: the machine readable, only the task's own places writable.

Of the repository that is what commits are made of. Its configuration and hooks name programs, which the person's own
git runs outside of any sandbox, so none of that is writable, nor can any of it be put there anew.
"""

import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from backend_stub.domain.errors import ProviderError
from backend_stub.providers.local.worktree import linked_git_dir
from foundry_tui.contract.agents import SANDBOX_AGENT, data_home

AGENT_FOLDERS = (
    ".claude", ".claude.json", ".codex", ".config/opencode", ".local/share/opencode", ".local/state/opencode",
    ".config/amp", ".cursor", ".gemini", ".pi", ".cache", ".npm",
)  # fmt: skip
"""What known agents write to in the home folder; those that exist are writable."""

SECRET_FOLDERS = (".ssh", ".gnupg", ".aws")
"""Not to be seen by an agent; neither are the backend's own files and those of other tasks."""

COMMITTED_TO = ("objects", "refs", "reftable", "logs", "lfs", "rr-cache")
"""Folders of a repository that commits are written to, as far as they exist."""
NEEDED = ("logs", "lfs")
"""Those that are made where they do not exist: what an agent puts there is to be kept."""

_REAL = "/tmp/.repository"
"""Where the repository's git folder can be read under bubblewrap, as it is at any moment."""
_LINKS = 5
"""As many links git follows to the file that it locks."""


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
    Looks at folders, and makes some in the repository's git folder. Raises `ProviderError`.
    """
    program = shutil.which("bwrap", path=environ.get("PATH"))
    if program is None:
        raise ProviderError("bubblewrap is configured but not installed", retryable=False)
    home = Path(environ.get("HOME", "/")).expanduser()
    hidden = [place for place in (data_dir, *(home / name for name in SECRET_FOLDERS)) if place.is_dir()]
    places = [
        cwd,
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
        *_repository(cwd),
        "--unshare-all", "--share-net", "--chdir", str(cwd), "--", *argv,
    ]  # fmt: skip


def _repository(worktree: Path) -> list[str]:
    """The worktree's repository: a folder of the sandbox's own in place of its git folder, with all that is in there.

    A single file cannot be protected by mounting it read-only: that ends when git outside replaces the file. So files
    are links to where all of it is read-only, which are always up to date. Git writes a lock beside the file
    `packed-refs`, also when it needs no change of that, as at the end of a rebase: it finds the place of the lock by
    following `_LINKS` links, so one link more makes that the sandbox's own folder. There a file of the name under
    which git would write a new `packed-refs` cannot be made, or the sandbox would not see later ones any more:
    branches and tags can be made in the sandbox, but not deleted.
    """
    git_dir = linked_git_dir(worktree)
    if git_dir is None:
        raise ProviderError(f"The .git of the worktree {worktree} is gone. Retry writes it again.", retryable=False)
    common = git_dir.parent.parent
    for name in NEEDED:
        (common / name).mkdir(exist_ok=True)
    mounts = ["--ro-bind", str(common), _REAL, "--tmpfs", str(common)]
    for entry in common.iterdir():
        if entry.name in COMMITTED_TO:
            mounts += ["--bind", str(entry), str(entry)]
        elif entry.is_dir() or entry.name == "HEAD":
            # Git takes no folder for a repository whose HEAD is such a link.
            mounts += ["--ro-bind", str(entry), str(entry)]
        elif entry.name != "packed-refs":
            mounts += ["--symlink", f"{_REAL}/{entry.name}", str(entry)]
    links = ["packed-refs", *(f".packed-refs-{number}" for number in range(1, _LINKS + 1)), f"{_REAL}/packed-refs"]
    for name, target in pairwise(links):
        mounts += ["--symlink", target, f"{common}/{name}"]
    mounts += ["--dir", f"{common}/{links[_LINKS]}.new"]
    mounts += ["--bind", str(git_dir), str(git_dir)]
    # Git reads this one too if the repository's configuration says so, by now or later.
    (git_dir / "config.worktree").touch()
    for name in ("commondir", "gitdir", "config.worktree"):
        mounts += ["--ro-bind", f"{git_dir}/{name}", f"{git_dir}/{name}"]
    return [*mounts, "--ro-bind", f"{worktree}/.git", f"{worktree}/.git"]
