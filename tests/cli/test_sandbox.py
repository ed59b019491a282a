"""`path`, `attach` and `diff` on a sandbox that is a real folder."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import terminal
from tests.git import make_repository


@pytest.fixture
def made(cli: Cli) -> tuple[str, Path]:
    """A task of the local provider whose worktree stands, and the worktree. No agent is needed for that."""
    words = ("--provider", "local", "--wait", "ensure_agent", "--timeout", "30s")
    task_id = cli("create", "change a file", *words, code=0).out.strip()
    return task_id, Path(cli("path", task_id, code=0).out.strip())


def test_path_and_attach_lead_into_the_worktree(cli: Cli, made: tuple[str, Path]) -> None:
    task_id, folder = made
    assert (folder / ".git").exists()
    assert cli("path", task_id, "--json", code=0).json == {"task_id": task_id, "path": str(folder)}
    told = cli("attach", task_id, "--json", environ={"SHELL": "/bin/sh"}, code=0).json
    assert (told["path"], told["command"]) == (str(folder), ["/bin/sh"])
    inside = cli("attach", task_id, "--json", environ={"SHELL": "/bin/sh", "TMUX": "x"}, code=0).json
    assert inside["command"][:2] == ["tmux", "new-window"]
    assert "no terminal" in cli("attach", task_id, code=1).err


def test_attach_opens_an_editor_too(cli: Cli, made: tuple[str, Path], tmp_path: Path) -> None:
    task_id, folder = made
    told = cli("attach", task_id, "--editor", "--json", environ={"EDITOR": "nano -w"}, code=0).json
    assert told["command"] == ["nano", "-w", str(folder)]
    inside = cli("attach", task_id, "--editor", "--json", environ={"EDITOR": "nano", "TMUX": "x"}, code=0).json
    assert inside["command"][-3:] == ["--", "nano", str(folder)]
    assert "an editor" in cli("attach", task_id, "--editor", environ={"EDITOR": "nano"}, code=1).err
    windowed = tmp_path / "code"
    windowed.write_text("#!/bin/sh\necho $PWD $1\n")
    windowed.chmod(0o755)
    opened = cli("attach", task_id, "--editor", environ={"EDITOR": str(windowed), "TMUX": "x"}, code=0)
    assert opened.out == f"{folder} {folder}\n"


def test_attach_is_a_shell_in_the_worktree(cli: Cli, made: tuple[str, Path]) -> None:
    task_id, folder = made
    with terminal(cli, "attach", task_id, SHELL="/bin/sh", PS1="> ") as shell:
        shell.type(b"pwd; exit\n")
        shell.read_until(str(folder))
        assert shell.wait() == 0


def test_diff_prints_patches_that_git_takes(cli: Cli, made: tuple[str, Path]) -> None:
    task_id, folder = made
    (folder / "new file.txt").write_text("hello\n")
    patch = cli("diff", task_id, code=0)
    # a diff is computed behind the request: what is there now may be the one before the file
    while "+hello" not in patch.out:
        patch = cli("diff", task_id)
    subprocess.run(["git", "apply", "--check"], cwd=cli.repository, input=patch.out, text=True, check=True)
    assert cli("diff", task_id, "--stat", code=0).rows == [["?", "new file.txt", "1", "0"]]
    assert cli("diff", task_id, "--json", code=0).json["files"][0]["added"] == 1


def test_kill_names_the_files_that_would_be_lost(cli: Cli, made: tuple[str, Path]) -> None:
    task_id, folder = made
    (folder / "new.txt").write_text("hello\n")
    # what would be lost is told from what is known, and a diff makes it known
    while "new.txt" not in cli("diff", task_id).out:
        continue
    assert "new.txt" in cli("kill", task_id, code=1).err
    assert folder.exists()
    cli("kill", task_id, "--force", code=0)
    cli("watch", task_id, "--for", "killed", code=0)
    assert "is gone" in cli("path", task_id, code=1).err


def test_tmux_runs_nothing_that_a_branch_or_a_folder_is_called(cli: Cli, tmp_path: Path) -> None:
    branch = "#(touch${IFS}ran)#{pid}"
    repository = make_repository(tmp_path / "#(touch${IFS}ran)")
    words = ("--provider", "local", "--wait", "ensure_agent", "--timeout", "30s")
    task_id = cli("create", "x", "--branch", branch, *words, cwd=repository, code=0).out.strip()
    folder = Path(cli("path", task_id, code=0).out.strip())
    assert "#(" in str(folder), "the worktree is called as its repository"
    inside = cli("attach", task_id, "--json", environ={"SHELL": "/bin/sh", "TMUX": "x"}, code=0).json
    assert inside["command"] == ["tmux", "new-window", "-n", branch.replace("#", "##"), "--", "/bin/sh"]


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here")
def test_attach_inside_tmux_opens_a_window_in_the_worktree(cli: Cli, made: tuple[str, Path], tmp_path: Path) -> None:
    task_id, folder = made
    told = tmp_path / "told"
    os.mkfifo(told)
    shell = tmp_path / "shell"
    shell.write_text(f"#!/bin/sh\npwd >{told}\n")
    shell.chmod(0o755)
    tmux = ["tmux", "-S", str(cli.runtime / "tmux"), "-f", os.devnull]
    subprocess.run([*tmux, "new-session", "-d", "-c", "/"], env=cli.environ, check=True)
    try:
        cli("attach", task_id, environ={"SHELL": str(shell), "TMUX": f"{cli.runtime / 'tmux'},1,0"}, code=0)
        assert told.read_text() == f"{folder}\n"
    finally:
        subprocess.run([*tmux, "kill-server"], env=cli.environ, check=True)
