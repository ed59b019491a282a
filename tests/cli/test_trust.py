"""`foundry trust` and `create --trust`: what a repository's `.foundry/` would run, shown, trusted and told of."""

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import terminal
from tests.git import git

SCRIPT = "#!/bin/sh\necho \x1b]0;owned\x07 > ran\n"


@pytest.fixture
def with_setup(cli: Cli) -> Cli:
    (cli.repository / ".foundry").mkdir()
    (cli.repository / ".foundry/setup").write_text(SCRIPT)
    (cli.repository / ".foundry/setup").chmod(0o755)
    git(cli.repository, "add", "--all")
    git(cli.repository, "commit", "-q", "-m", "setup")
    return cli


def log(cli: Cli, task_id: str) -> str:
    cli("watch", task_id, "--for", "ensure_agent", "--timeout", "60")
    return cli("logs", task_id, code=0).out


def test_a_set_up_is_shown_trusted_and_run(with_setup: Cli) -> None:
    cli = with_setup
    created = cli("create", "x", "--provider", "local", code=0)
    assert ".foundry/setup of repo will be skipped: not trusted" in created.err
    assert ".foundry/setup of repo skipped" in log(cli, created.out.strip())
    shown = cli("trust", "--show", code=0)
    assert shown.out == ".foundry/setup\tuntrusted\n#!/bin/sh\necho ␛]0;owned␇ > ran\n"
    assert cli("trust", "--show", "--json", code=0).json["files"][0]["text"] == SCRIPT
    trusted = cli("trust", code=0)
    assert trusted.out == ".foundry/setup\ttrusted\n"
    # What has begun goes on as it is: an agent may be at work where the set-up would write.
    assert trusted.err.startswith("foundry: a task of repo has begun before and may be without it; new tasks run it.")
    assert f"foundry attach {created.out.strip()}" in trusted.err
    assert cli("trust", code=0).err == ""
    assert cli("trust", "--json", code=0).json["trust"]["trusted"] is True
    again = cli("create", "y", "--provider", "local", code=0)
    assert again.err == ""
    assert "$ .foundry/setup" in log(cli, again.out.strip())


def test_create_can_trust_at_once(with_setup: Cli) -> None:
    created = with_setup("create", "x", "--provider", "local", "--trust", code=0)
    assert created.err == ""
    assert "$ .foundry/setup" in log(with_setup, created.out.strip())


def test_the_demo_runs_nothing_and_says_nothing(with_setup: Cli) -> None:
    assert with_setup("create", "x", code=0).err == ""


def test_what_cannot_be_trusted_is_said(cli: Cli) -> None:
    done = cli("trust", code=1)
    assert "has nothing that wants trust" in done.err
    (cli.repository / ".foundry").mkdir()
    (cli.repository / ".foundry/setup").symlink_to("/bin/sh")
    assert "is a symbolic link" in cli("trust", code=1).err
    assert cli("trust", "/nowhere", code=1).err
    assert cli("trust", str(cli.folder), code=1).err


def test_on_a_terminal(with_setup: Cli) -> None:
    repo_id = with_setup("trust", "--json", code=0).json["repo_id"]
    with terminal(with_setup, "trust", "--show", repo_id) as screen:
        screen.read_until("> ran")
        assert "]0;owned" in screen.drawn
        assert "\x1b]0;owned" not in screen.drawn
        assert "(trusted)" in screen.drawn
