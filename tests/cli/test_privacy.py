"""Files 0600 and folders 0700, whatever the umask is, and whatever an earlier version left open to others."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import terminal
from tests.git import git


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(cli: Cli) -> list[str]:
    """What others may touch of all that Foundry wrote, but for what lies in worktrees; and what was walked."""
    found = []
    for top in (cli.folder / "data", cli.folder / "state", cli.folder / "config", cli.folder / "home", cli.runtime):
        for place, folders, files in os.walk(top):
            for name in (*folders, *files):
                path = Path(place, name)
                if path.lstat().st_mode & 0o077 and not path.is_symlink():
                    found.append(f"{stat.filemode(path.lstat().st_mode)} {path}")
            if Path(place).name == "work":
                folders.clear()
    return found


def use(cli: Cli) -> str:
    """Have Foundry write everything that it writes; the sandbox of a task of the provider local."""
    cli("config", "init", code=0)
    cli.create("with the demo")
    (cli.repository / ".foundry").mkdir(exist_ok=True)
    (cli.repository / ".foundry/setup").write_text("#!/bin/sh\necho x > made\n")
    (cli.repository / ".foundry/setup").chmod(0o755)
    git(cli.repository, "add", "--all")
    git(cli.repository, "commit", "-q", "-m", "setup")
    for place in (str(cli.repository), cli.repository.as_uri()):
        words = ("--repo", place, "--provider", "local", "--trust", "--json")
        made = cli("create", "with git", *words, code=0).json["task_id"]
        cli("watch", made, "--for", "ensure_agent", "--timeout", "60")
        sandbox = cli("show", made, "--json", code=0).json["sandbox"]
    with terminal(cli) as app:
        app.read_until("with the demo")
        app.type(b"n")
        app.read_until("New task")
        app.type(b"a draft that is kept")
        app.read_until("a draft that is kept")
        app.type(b"\x1b")
        app.read_until_so(lambda: any((cli.folder / "state").rglob("*")), "no draft was kept")
        app.type(b"q")
        app.wait()
    return str(sandbox["cwd"])


@pytest.mark.slow
@pytest.mark.usefixtures("open_umask")
def test_nothing_is_open_to_others(cli: Cli) -> None:
    worktree = Path(use(cli))
    assert open_to_others(cli) == []
    assert (cli.folder / "config/foundry/config.toml").exists()
    assert any((cli.folder / "data/foundry/trust").iterdir())
    assert any((cli.folder / "data/foundry/repositories").iterdir())
    # Who works there has the umask of whoever runs it all.
    assert stat.S_IMODE((worktree / "made").stat().st_mode) == 0o666
    assert stat.S_IMODE((worktree / ".foundry/setup").stat().st_mode) == 0o777


@pytest.mark.slow
def test_what_was_left_open_is_closed_at_the_next_start(cli: Cli) -> None:
    worktree = Path(use(cli))
    cli("backend", "stop", code=0)
    data = cli.folder / "data/foundry"
    (data / "notes").mkdir()
    for place, folders, files in os.walk(data):
        for name in (*folders, *files):
            if not Path(place, name).is_symlink():
                Path(place, name).chmod(0o777)
    data.chmod(0o777)
    (cli.folder / "state/foundry").chmod(0o777)
    cli("backend", "start", code=0)
    (data / "notes").rmdir()
    with terminal(cli) as app:
        app.read_until("with the demo")
        app.type(b"n")
        app.read_until("New task")
        app.type(b"x")
        app.read_until("is keptx")
        app.type(b"\x1b")
        app.read_until_so(lambda: not open_to_others(cli), "something is open to others")
        app.type(b"q")
        app.wait()
    assert open_to_others(cli) == []
    assert stat.S_IMODE((worktree / "made").stat().st_mode) == 0o777
