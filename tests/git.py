"""Real git repositories for tests, apart from the configuration of whoever runs them."""

import os
import subprocess
from pathlib import Path

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "LC_ALL": "C",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; its output without the last line's end."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.decode().removesuffix("\n")


def make_repository(folder: Path, branch: str = "main") -> Path:
    """A repository with one commit on `branch`, which has no files; its real path."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", branch)
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return Path(os.path.realpath(folder))


def make_code(folder: Path) -> Path:
    """A repository with two commits of files on `main`; its real path."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / ".gitignore").write_text(".env\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "b.txt").write_text("b\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "second")
    return Path(os.path.realpath(folder))
