"""Each operation in each situation, with real git and a bare repository as `origin`: what comes of it, what is said,
that nothing else changes, and that it works once the cause is gone. Each cell of the matrix prints a line.
"""

import re
import socketserver
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.errors import CallError
from backend_stub.domain.forge import FailedCheck, Head, Issue, Proposal
from backend_stub.providers.local import LocalProvider, LocalSettings
from backend_stub.providers.local.way_home import place
from backend_stub.wiring import local_provider
from foundry_tui.contract.pull_request import Comment, PullRequest, PullRequestState
from foundry_tui.contract.records import TaskDetail
from tests.git import git
from tests.local.test_way_home import add_origin, change, operate, sandbox
from tests.local.world import LocalWorld

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OPERATIONS: Mapping[str, dict[str, object]] = {
    "commit": {},
    "update rebase": {"how": "rebase"},
    "update merge": {"how": "merge"},
    "push": {},
    "pull_request": {},
    "land merge": {"how": "merge"},
    "land squash": {"how": "squash"},
    "land rebase": {"how": "rebase"},
    "apply": {},
    "undo": {},
}
_OF_UNCOMMITTED = ("commit", "pull_request", "apply", "undo")
"""What is done with changes that are not committed; the others have them committed before."""
MAY_CHANGE = {
    "commit": {"branch", "worktree index"},
    "update": {"branch", "worktree index", "worktree files"},
    "push": {"remote"},
    "pull_request": {"remote", "branch", "worktree index"},
    "land": {"main", "checkout files", "checkout index"},
    "apply": {"checkout files"},
    "undo": {"worktree files", "checkpoints"},
}
"""What an operation that is done may change; one that failed changes nothing, but a commit that was to be pushed."""


class AnyForge:
    """A forge that takes whatever is pushed."""

    async def expect_usable(self, remote: str) -> None:
        """It is."""

    async def propose(self, remote: str, proposal: Proposal) -> PullRequest:
        return PullRequest(number=1, url="https://forge/1", title=proposal.title, state=PullRequestState.OPEN, at=1)

    async def look(self, remote: str, number: int) -> PullRequest:
        raise NotImplementedError

    async def comments(self, remote: str, number: int) -> Sequence[Comment]:
        return ()

    async def find(self, remote: str, head: str) -> PullRequest | None:
        return None

    async def head(self, remote: str, number: int) -> Head:
        raise NotImplementedError

    async def issue(self, remote: str, number: int) -> Issue:
        raise NotImplementedError

    async def failed_checks(
        self, remote: str, number: int, names: Collection[str], logs: int, most: int
    ) -> Sequence[FailedCheck]:
        return ()


@dataclass
class Scene:
    """A person's checkout, a task's worktree and a remote."""

    world: LocalWorld
    provider: LocalProvider
    task: TaskDetail
    worktree: Path
    remote: Path
    heal: list[Callable[[], object]] = field(default_factory=list)
    """What takes the cause away."""

    @property
    def checkout(self) -> Path:
        return self.world.repository

    def state(self) -> dict[str, object]:
        listed = _lines(self.checkout, "for-each-ref", "--format=%(refname) %(objectname)")
        refs: dict[str, str] = dict(line.split(" ") for line in listed)
        branch, main = refs.pop(f"refs/heads/{self.task.branch}", None), refs.pop("refs/heads/main", None)
        checkpoints = {name: refs.pop(name) for name in list(refs) if name.startswith("refs/foundry/")}
        return {
            "branch": branch,
            "main": main,
            "checkpoints": checkpoints,
            "other refs": {name: sha for name, sha in refs.items() if not name.startswith("refs/remotes/")},
            "stash": _lines(self.checkout, "stash", "list"),
            "remote": _lines(self.remote, "for-each-ref") if self.remote.exists() else None,
            **{f"worktree {name}": value for name, value in _tree(self.worktree).items()},
            **{f"checkout {name}": value for name, value in _tree(self.checkout).items()},
        }

    def check_sound(self) -> None:
        common = self.checkout / ".git"
        assert not [*common.rglob("*.lock"), *common.rglob("rebase-*"), *common.rglob("MERGE_HEAD")]
        assert len(_lines(self.checkout, "worktree", "list")) == 2
        git(self.checkout, "fsck", "--no-dangling", "--no-progress")
        if self.remote.exists():
            assert not list(self.remote.rglob("*.lock"))
            git(self.remote, "fsck", "--no-dangling", "--no-progress")


def _lines(folder: Path, *words: str) -> list[str]:
    return git(folder, *words).splitlines()


def _tree(folder: Path) -> dict[str, object]:
    paths = (path for path in folder.rglob("*") if ".git" not in path.parts and path.is_file())
    return {
        "files": {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode) for path in paths},
        "index": _lines(folder, "ls-files", "--stage"),
        "HEAD": git(folder, "symbolic-ref", "HEAD"),
    }


# What is the matter


def _nothing(scene: Scene) -> None:
    """All is well."""


def _theirs(scene: Scene, name: str) -> None:
    """Somebody has changed a file of the base, here and at the remote; that is taken back again."""
    before = git(scene.checkout, "rev-parse", "main")
    change(scene.checkout, name, "theirs\n", commit=True)
    git(scene.checkout, "push", "-q", "origin", "main")
    scene.heal += [
        lambda: git(scene.checkout, "reset", "-q", "--hard", before),
        lambda: git(scene.checkout, "push", "-q", "--force", "origin", "main"),
    ]


def _conflicts(scene: Scene) -> None:
    _theirs(scene, "a.txt")


def _base_moved(scene: Scene) -> None:
    _theirs(scene, "theirs.txt")


def _dirty_worktree(scene: Scene) -> None:
    change(scene.worktree, "half.txt", "half\n")
    git(scene.worktree, "add", "half.txt")
    change(scene.worktree, "half.txt", "whole\n")
    scene.heal += [lambda: git(scene.worktree, "rm", "-q", "-f", "half.txt")]


def _dirty_checkout(scene: Scene) -> None:
    change(scene.checkout, "mine.txt", "staged\n")
    git(scene.checkout, "add", "mine.txt")
    change(scene.checkout, "b.txt", "mine\n")
    scene.heal += [lambda: git(scene.checkout, "reset", "-q", "--hard")]


def _dirty_same_file(scene: Scene) -> None:
    change(scene.checkout, "a.txt", "mine\n")
    scene.heal += [lambda: git(scene.checkout, "checkout", "-q", "a.txt")]


def _remote_branch_moved(scene: Scene) -> None:
    elsewhere = scene.world.folder / "elsewhere"
    git(scene.world.folder, "clone", "-q", str(scene.remote), str(elsewhere))
    git(elsewhere, "switch", "-q", "-c", str(scene.task.branch))
    change(elsewhere, "c.txt", "theirs\n", commit=True)
    git(elsewhere, "push", "-q", "origin", "HEAD")
    scene.heal += [lambda: git(scene.remote, "update-ref", "-d", f"refs/heads/{scene.task.branch}")]


def _hook(path: Path, text: str) -> Callable[[], object]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path.unlink


def _protected(scene: Scene) -> None:
    scene.heal += [_hook(scene.remote / "hooks/pre-receive", "echo 'this branch is protected' >&2; exit 1")]


def _hook_fails(scene: Scene) -> None:
    scene.heal += [_hook(scene.checkout / ".git/hooks/pre-commit", "echo 'no tabs here' >&2; exit 1")]


def _configure(scene: Scene, name: str, value: str) -> None:
    before = git(scene.checkout, "config", "--default", "", "--get", name)
    git(scene.checkout, "config", name, value)
    words = (name, before) if before else ("--unset", name)
    scene.heal += [lambda: git(scene.checkout, "config", *words)]


def _nobody(scene: Scene) -> None:
    _base_moved(scene)
    for name in ("user.name", "user.email"):
        git(scene.checkout, "config", "--unset", name)
        scene.heal += [partial(git, scene.checkout, "config", name, "a@example.org")]
    _configure(scene, "user.useConfigOnly", "true")


def _signing_fails(scene: Scene) -> None:
    _base_moved(scene)
    _configure(scene, "gpg.program", "false")
    _configure(scene, "commit.gpgSign", "true")


def _remote_gone(scene: Scene) -> None:
    away = scene.remote.with_name("away.git")
    scene.remote.rename(away)
    scene.heal += [lambda: away.rename(scene.remote)]


def _no_host(scene: Scene) -> None:
    _configure(scene, "remote.origin.url", "https://nowhere.invalid/code.git")


def _login_wanted(scene: Scene) -> None:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Closed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    scene.heal += [server.shutdown, server.server_close]
    _configure(scene, "remote.origin.url", f"http://127.0.0.1:{server.server_address[1]}/code.git")


class _Closed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="code"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def _hangs(scene: Scene) -> None:
    ssh = scene.world.folder / "ssh"
    _hook(ssh, "exec sleep 1000")
    _configure(scene, "core.sshCommand", str(ssh))
    _configure(scene, "remote.origin.url", "ssh://somewhere.invalid/code.git")


TALKS = ("update rebase", "update merge", "push", "pull_request")
MAKES_COMMITS = ("commit", "update rebase", "update merge", "pull_request", "land merge", "land squash", "land rebase")
LANDS = ("land merge", "land squash", "land rebase")
UPDATES = ("update rebase", "update merge")
Refused = Mapping[str, str]
SITUATIONS: Mapping[str, tuple[Callable[[Scene], None], Refused]] = {
    "clean": (_nothing, {}),
    "conflicting": (
        _conflicts,
        {
            **dict.fromkeys(UPDATES, r"conflicts in a\.txt\. Nothing was changed\. Have the agent"),
            **dict.fromkeys(LANDS, r"conflicts in a\.txt\. Update the task's branch first"),
            "apply": r"do not fit .*a\.txt.*Nothing was changed",
        },
    ),
    "worktree dirty": (_dirty_worktree, dict.fromkeys((*UPDATES, *LANDS), r"half\.txt.*Commit first")),
    "checkout dirty": (_dirty_checkout, dict.fromkeys(LANDS, r"b\.txt, mine\.txt.*Commit or stash")),
    "same file dirty": (
        _dirty_same_file,
        {**dict.fromkeys(LANDS, r"a\.txt.*Commit or stash"), "apply": r"do not fit .*a\.txt.*Nothing was changed"},
    ),
    "base moved": (_base_moved, {}),
    "remote branch moved": (
        _remote_branch_moved,
        dict.fromkeys(("push", "pull_request"), "push with force-with-lease"),
    ),
    "protected": (_protected, dict.fromkeys(("push", "pull_request"), "does not take this push.*branch is protected")),
    "hook fails": (_hook_fails, dict.fromkeys(("commit", "pull_request", "land squash"), "no tabs here")),
    "nobody": (_nobody, dict.fromkeys(MAKES_COMMITS, r"Tell it: git config --global user\.name")),
    "signing fails": (_signing_fails, dict.fromkeys(MAKES_COMMITS, r"could not sign.*commit\.gpgSign")),
    "remote gone": (_remote_gone, dict.fromkeys(TALKS, "is not there, or the login")),
    "no such host": (_no_host, dict.fromkeys(TALKS, "cannot be reached.*network")),
    "login wanted": (_login_wanted, dict.fromkeys(TALKS, "wants a login.*by hand")),
    "remote hangs": (_hangs, dict.fromkeys(TALKS, "took longer than.*network")),
}
"""What is the matter, and what is said by the operations that cannot be done then."""


@asynccontextmanager
async def made(world: LocalWorld, operation: str) -> AsyncIterator[Scene]:
    """A scene in which there is something to be done by the operation."""
    provider = local_provider(world.data, LocalSettings(), world.environ, AnyForge())
    async with anyio.create_task_group() as group:
        await group.start(provider.run)
        change(world.repository, "kept.txt", "stashed\n")
        git(world.repository, "stash", "push", "--quiet", "--include-untracked")
        remote = add_origin(world)
        task, worktree = await sandbox(world, provider)
        await provider.checkpoints.begin(world.call(task), "p1")
        change(worktree, "a.txt", "ours\n")
        change(worktree, "new.txt", "ours\n")
        await provider.checkpoints.end(world.call(task), ["p1"])
        if operation not in _OF_UNCOMMITTED:
            git(worktree, "add", "--all")
            git(worktree, "commit", "--quiet", "--message=ours")
        yield Scene(world, provider, task, worktree, remote)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_each_operation_in_each_situation(
    git_world: LocalWorld,
    operation: str,
    situation: str,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[str], None],
) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    kind = operation.split()[0]
    become, refused = SITUATIONS[situation]
    async with made(git_world, operation) as scene:
        become(scene)
        before = scene.state()
        said = ""
        try:
            if situation == "remote hangs":
                monkeypatch.setattr(place, "GIT_LIMIT", 1.0)
            await operate(git_world, scene.provider, scene.task, kind, None, **OPERATIONS[operation])
        except CallError as failure:
            said = failure.message
        monkeypatch.setattr(place, "GIT_LIMIT", 300.0)
        after = scene.state()
        changed = {name for name in before if before[name] != after[name]}
        tell(f"{operation:13} {situation:19} {'refused: ' + said if said else 'done'}")
        if operation in refused:
            assert re.search(refused[operation], said), said or "it was done"
            assert changed <= ({"branch", "worktree index"} if operation == "pull_request" else set())
        else:
            assert not said
            assert changed <= MAY_CHANGE[kind]
            assert changed or kind == "update"
        scene.check_sound()
        for heal in scene.heal:
            heal()
        if said:
            await operate(git_world, scene.provider, scene.task, kind, None, **OPERATIONS[operation])
            scene.check_sound()
