"""The real git, run without a shell, without questions, and never left behind."""

import os
import stat
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.errors import GitError
from backend_stub.repository.git import Command, branches, run_git
from backend_stub.repository.git_errors import explain
from backend_stub.repository.refs import known_branches
from tests.git import git, make_repository

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("GIT_SSH", raising=False)
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def commands() -> list[Command]:
    return []


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "git") -> None:
    """Put a program of our own where one of this name is looked for."""
    program = tmp_path / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


async def line_of(fifo: Path) -> str:
    """What is written to a named pipe; waits for it."""
    return (await anyio.to_thread.run_sync(fifo.read_text, abandon_on_cancel=True)).strip()


async def test_branches_are_those_of_heads_and_remotes(
    repository: Path, tmp_path: Path, commands: list[Command]
) -> None:
    for name in ("feat/one", "$(id)", "コード"):
        git(repository, "branch", name)
    git(tmp_path, "clone", "-q", "-o", "team/up", str(repository), "clone")
    git(tmp_path / "clone", "branch", "own")
    found = await branches(str(tmp_path / "clone"), told=commands.append)
    assert found == {"main", "own", "feat/one", "$(id)", "コード"}
    assert found == known_branches(str(tmp_path / "clone")).names
    assert [command.argv[:2] for command in commands] == [("git", "remote"), ("git", "for-each-ref")]
    assert all(command.exit_code == 0 and command.duration_ms >= 0 for command in commands)
    assert str(commands[0]).startswith("$ git remote (exit 0, ")


async def test_names_are_arguments_and_never_a_shell_line(repository: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    name = f"$(touch${{IFS}}{str(mark).replace('/', '-')})`id`;id"
    await run_git(str(repository), "branch", "--", name)
    assert name in await branches(str(repository))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("configured", "variables", "ran"),
    [
        (None, {}, ["ssh", "-o", "BatchMode=yes"]),
        ("{bin}/ssh -i key", {}, ["ssh", "-o", "BatchMode=yes", "-i", "key"]),
        ("ssh -oBatchMode=no", {}, ["ssh", "-oBatchMode=no"]),
        ("{bin}/tunnel --by ssh", {}, ["tunnel", "--by", "ssh"]),
        ("ssh -i key", {"GIT_SSH_COMMAND": "tunnel its own"}, ["tunnel", "its", "own"]),
        ("ssh -i key", {"GIT_SSH_COMMAND": "ssh -i other"}, ["ssh", "-o", "BatchMode=yes", "-i", "other"]),
        ("ssh -i key", {"GIT_SSH": "{bin}/tunnel"}, ["ssh", "-o", "BatchMode=yes", "-i", "key"]),
        (None, {"GIT_SSH": "{bin}/tunnel"}, ["tunnel"]),
    ],
)
async def test_the_ssh_of_the_person_is_run_and_asks_nothing(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configured: str | None,
    variables: dict[str, str],
    ran: list[str],
) -> None:
    for name in ("ssh", "tunnel"):
        stand_in(tmp_path, monkeypatch, f'echo "{name} $*" >> "{tmp_path}/ran"\nexit 1', name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(bin=tmp_path / "bin"))
    # Where git looks for what is configured globally, so that a clone heeds it too.
    settings = tmp_path / "gitconfig"
    settings.touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    if configured is not None:
        git(repository, "config", "--file", str(settings), "core.sshCommand", configured.format(bin=tmp_path / "bin"))
    git(repository, "remote", "add", "origin", "git@example.org:o/n.git")
    for command in (
        ("fetch",),
        ("clone", "--", "git@example.org:o/n.git", str(tmp_path / "n")),
        ("ls-remote", "--", "git@example.org:o/n.git"),
    ):
        with pytest.raises(GitError, match="cannot be reached"):
            await run_git(str(repository), *command)
        # git may have asked it first what kind of ssh it is.
        last = (tmp_path / "ran").read_text().splitlines()[-1].split()
        assert last[: len(ran)] == ran
        assert "git@example.org" in last[len(ran) :]
        assert "BatchMode=yes" not in last[len(ran) :]


async def test_hooks_are_not_run(repository: Path, tmp_path: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/hooked'\n")
    hook.chmod(0o755)
    await run_git(str(repository), "switch", "-q", "-c", "other")
    assert not (tmp_path / "hooked").exists()


async def test_the_surroundings_cannot_point_git_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other", branch="elsewhere")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert await branches(str(repository)) == {"main"}


async def test_a_repository_above_is_not_taken_for_the_one_that_is_gone(repository: Path) -> None:
    inner = make_repository(repository / "inner", branch="inner")
    assert await branches(str(inner)) == {"inner"}
    (inner / ".git").rename(repository / "moved")
    with pytest.raises(GitError, match="no git repository any more"):
        await branches(str(inner))


async def test_git_that_fails_is_explained(repository: Path, commands: list[Command]) -> None:
    with pytest.raises(GitError, match="exists already") as caught:
        await run_git(str(repository), "branch", "--", "main", told=commands.append)
    assert not caught.value.retryable
    assert "fatal" not in caught.value.message
    assert commands[0].exit_code == 128


async def test_an_accepted_exit_code_is_no_failure(repository: Path) -> None:
    output = await run_git(str(repository), "rev-parse", "-q", "--verify", "refs/heads/none", accept=(0, 1))
    assert (output.exit_code, output.text) == (1, "")


async def test_no_git_and_no_folder_are_told_apart(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[Command]
) -> None:
    with pytest.raises(GitError, match="not there any more"):
        await branches(str(tmp_path / "missing"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(GitError, match="not installed"):
        await run_git(str(repository), "status", told=commands.append)
    assert [command.exit_code for command in commands] == [None]
    assert "not started" in str(commands[0])


async def test_a_null_character_is_refused(repository: Path) -> None:
    with pytest.raises(GitError, match="null"):
        await run_git(str(repository), "branch", "--", "a\x00b")


async def test_standard_input_is_closed(repository: Path) -> None:
    with anyio.fail_after(20):
        output = await run_git(str(repository), "hash-object", "--stdin")
    assert output.text.strip() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


async def test_a_time_out_ends_git_and_its_children(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[Command]
) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    # The child holds the pipe's other end for as long as it lives, so that its end is seen as the end of the file.
    stand_in(tmp_path, monkeypatch, f"sleep 600 > '{alive}' &\nsleep 600")
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            assert await line_of(alive) == ""

        group.start_soon(watch)
        with anyio.fail_after(30):
            with pytest.raises(GitError, match="took longer than") as caught:
                await run_git(str(repository), "fetch", timeout=0.5, told=commands.append)
            assert caught.value.retryable
            # Lets the watcher go on if the child was ended before it came to open the pipe.
            os.close(os.open(alive, os.O_RDWR))
    assert commands[0].exit_code is not None
    assert commands[0].exit_code < 0


async def test_cancelling_ends_git_even_if_it_will_not(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[Command]
) -> None:
    alive, ready = tmp_path / "alive", tmp_path / "ready"
    os.mkfifo(alive)
    os.mkfifo(ready)
    stand_in(
        tmp_path, monkeypatch, f"trap '' TERM\nexec 3> '{alive}'\necho ready > '{ready}'\nwhile :; do sleep 600; done"
    )
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                assert await line_of(alive) == ""

            async def run() -> None:
                await run_git(str(repository), "fetch", told=commands.append)

            async with anyio.create_task_group() as inner:
                group.start_soon(watch)
                inner.start_soon(run)
                assert await line_of(ready) == "ready"
                inner.cancel_scope.cancel()
    assert [command.exit_code for command in commands] == [-9]


@pytest.mark.parametrize(
    ("errors", "word", "retryable"),
    [
        ("fatal: detected dubious ownership in repository at '/o/n'", "safe.directory /o/n", False),
        ("fatal: not a git repository (or any of the parent directories): .git", "no git repository", False),
        ("fatal: 'x' is already checked out at '/w'", "another worktree, /w", False),
        ("error: Cannot delete branch 'x' used by worktree at '/w'", "another worktree, /w", False),
        ("fatal: a.bin: smudge filter 'lfs' failed", "git lfs install", False),
        (
            "git-lfs filter-process: 1: git-lfs: not found\nfatal: the remote end hung up unexpectedly",
            "lfs install",
            False,
        ),
        ("fatal: unknown repository extension found:\n\trefstorage", "newer git, one that knows `refstorage`", False),
        (
            "error: 'own/' does not have a commit checked out\nfatal: adding files failed",
            "own/ is a repository of",
            False,
        ),
        ("error: bad signature 0x67617262\nfatal: index file corrupt", "rev-parse --git-path index", False),
        ("fatal: Expected git repo version <= 1, found 2", "newer git: it is of version 2", False),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "login", False),
        ("ssh: Could not resolve hostname h\nfatal: Could not read from remote repository.", "network", True),
        ("fatal: Unable to create '/r/.git/index.lock': File exists.", "Another git command", True),
        ("error: could not write: No space left on device", "full", True),
        ("error: could not lock config: Read-only file system", "read-only", False),
        ("error: open('.git/x'): Permission denied", "permissions", False),
        ("fatal: invalid reference: x", "does not exist", False),
        ("error: object file .git/objects/aa is empty", "damaged", False),
    ],
)
def test_known_failures_are_said_in_words(errors: str, word: str, retryable: bool) -> None:
    error = explain(("x",), "/r", 128, errors)
    assert word in error.message
    assert error.retryable is retryable
    assert "fatal" not in error.message


def test_what_a_url_is_asked_in_vain_is_no_matter_of_a_folder() -> None:
    for arguments in (("clone", "--quiet", "--", "git@h:o/n", "/r/n"), ("ls-remote", "--heads", "--", "git@h:o/n")):
        for errors in (
            "git@h: Permission denied (publickey).",
            "fatal: unable to access",
            "remote: error: object file ./objects/aa is empty",
            "fatal: odd",
        ):
            message = explain(arguments, "/r", 128, errors).message
            assert "git@h:o/n" in message
            assert "/r" not in message


def test_a_remote_that_was_talked_to_is_named_and_not_the_sandbox() -> None:
    remote = ("origin", "https://me:s3cret@host/o/n.git")
    for errors in (
        "fatal: could not read Username for 'https://host': terminal prompts disabled",
        "fatal: unable to access 'https://host/': Could not resolve host: host",
        "fatal: repository 'https://host/o/n.git/' not found",
        "fatal: couldn't find remote ref refs/heads/main",
    ):
        message = explain(("fetch", "origin"), "/long/sandbox", 128, errors, remote).message
        assert "origin (https://host/o/n.git)" in message
        assert "/long/sandbox" not in message


def test_an_unknown_failure_keeps_its_reason_but_no_secret() -> None:
    errors = "hint: x\nfatal: odd thing at https://me:s3cret@host/o/n happened\n"
    assert explain(("fetch", "x"), "/r", 128, errors).message == (
        "git fetch failed: odd thing at https://host/o/n happened. Try it by hand in /r."
    )
    assert explain(("fetch",), "/r", 3, "").message == "git fetch failed: exit code 3. Try it by hand in /r."
    assert "s3cret" not in str(Command(("git", "fetch", "https://s3cret@host/x"), 1, 0))
