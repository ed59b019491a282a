"""Backends killed at random moments of operations, alone or with all that they have started, as a power cut does:
each operation is done, or as if it had not begun, and nothing twice.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.forge.github_stub import GitHub, Repo
from tests.git import git
from tests.local.power_cut import end_all
from tests.local.test_way_home import add_origin, change, identify
from tests.local.world import LocalWorld
from tests.world import Json

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("FOUNDRY_TEST_KILLS", "14"))
"""Kills of each seed."""
SEEDS = [int(each) for each in os.environ.get("FOUNDRY_TEST_SEED", "1").split(",")]
KINDS = ("commit", "push", "update", "land", "apply", "undo", "pull_request")
CHECKOUTS = ("clean", "dirty", "elsewhere", "linked")
LONGEST = {"pull_request": 1.5}
"""Seconds within which an operation that takes long is killed; the others take less than half a one."""
SLOW_HOOK = "#!/bin/sh\nsleep 0.1\n"


class Checkout:
    """What the person's own checkout is while an operation is killed, and all in it that is theirs."""

    def __init__(self, repository: Path, linked: Path) -> None:
        self.repository, self.linked = repository, linked
        self.kind = "clean"

    @property
    def of_base(self) -> Path | None:
        """The checkout that is on the base branch."""
        return {"elsewhere": None, "linked": self.linked}.get(self.kind, self.repository)

    def become(self, kind: str) -> None:
        """`clean` on the base; `dirty` there; `elsewhere`: on another branch; `linked`: the base is in another one."""
        self.kind = kind
        if kind in ("elsewhere", "linked"):
            git(self.repository, "switch", "--quiet", "--force-create", "side", "main")
        if kind == "linked":
            git(self.repository, "worktree", "add", "--quiet", str(self.linked), "main")
        if kind == "dirty":
            change(self.repository, "staged.txt", "staged\n")
            git(self.repository, "add", "staged.txt")
            change(self.repository, "a.txt", "mine\n")
            change(self.repository, "untracked.txt", "mine\n")

    def leave(self, main: str) -> None:
        """Be clean and on the base again, which is at `main`, so that the next one has the same to do."""
        if self.kind == "linked":
            git(self.repository, "worktree", "remove", "--force", str(self.linked))
        git(self.repository, "reset", "--quiet", "--hard")
        git(self.repository, "clean", "--quiet", "-fd")
        if self.kind in ("elsewhere", "linked"):
            git(self.repository, "switch", "--quiet", "main")
        git(self.repository, "reset", "--quiet", "--hard", main)
        self.kind = "clean"

    def state(self) -> tuple[str, ...]:
        return tuple(
            part
            for each in (self.repository, self.linked)
            if each.exists()
            for part in (
                git(each, "symbolic-ref", "HEAD"),
                git(each, "status", "--porcelain"),
                git(each, "diff", "--cached"),
                git(each, "diff"),
            )
        )


class Round:
    """A repository with a task's worktree, and what must be true of them after each operation."""

    def __init__(self, checkout: Checkout, folder: Path, elsewhere: Path, branch: str, hub: Repo) -> None:
        self.repository, self.folder, self.elsewhere, self.branch = checkout.repository, folder, elsewhere, branch
        self.checkout, self.hub = checkout, hub
        self.files: list[str] = []
        self.pulls = 0

    def prepare(self, kind: str, number: int, chance: random.Random) -> Json:
        """Make something to be done by an operation of this kind; its request."""
        name = f"ours-{number}.txt"
        if kind == "undo":
            change(self.folder, name, "is to go\n")
            return {"kind": kind}
        self.files.append(name)
        change(self.folder, name, f"{number}\n", commit=kind not in ("commit", "pull_request"))
        if kind == "update":
            git(self.elsewhere, "pull", "--quiet", "--rebase", "origin", "main")
            change(self.elsewhere, f"theirs-{number}.txt", "x\n", commit=True)
            git(self.elsewhere, "push", "--quiet", "origin", "HEAD:main")
            return {"kind": kind, "how": chance.choice(("rebase", "merge"))}
        if kind == "pull_request":
            # What is open is closed, so that there is one to be opened; what was rebased since is no question here.
            for pull in self.hub.pulls.values():
                pull.close()  # type: ignore[no-untyped-call]  # it is taken as it is
            self.pulls = len(self.hub.pulls)
            git(self.folder, "push", "--quiet", "--force", str(self.hub.bare), f"HEAD:refs/heads/{self.branch}")
        if kind == "land":
            return {"kind": kind, "how": chance.choice(("merge", "squash", "rebase"))}
        return {"kind": kind, "force_with_lease": True} if kind == "push" else {"kind": kind}

    def state(self) -> tuple[str, ...]:
        """All that an operation may change, but what it fetched and pushed."""
        heads = (git(self.folder, "rev-parse", "HEAD"), git(self.repository, "rev-parse", "main"))
        return (*heads, git(self.folder, "status", "--porcelain"), *self.checkout.state())

    def check(self, request: Json, before: tuple[str, ...], operation: Json) -> None:
        if operation["state"] == "failed":
            assert self.state() == before, operation["error"]["message"]
            assert (request["kind"], self.checkout.kind) == ("land", "dirty"), operation["error"]["message"]
        else:
            self._check_done(request, before, operation)
        common = self.repository / ".git"
        left = ("*.lock", "rebase-*", "MERGE_HEAD", "foundry.*")
        assert not [found for name in left for found in common.rglob(name)]
        assert "apart" not in git(self.repository, "worktree", "list")
        for checkout in (self.repository, self.folder, self.checkout.linked):
            assert not list(checkout.glob(".foundry-*"))
        git(self.repository, "fsck", "--no-dangling", "--no-progress")
        git(self.hub.bare, "fsck", "--no-dangling", "--no-progress")
        assert git(self.folder, "symbolic-ref", "--short", "HEAD") == self.branch

    def _check_done(self, request: Json, before: tuple[str, ...], operation: Json) -> None:
        kind, (head, main, ours, *theirs) = request["kind"], self.state()
        if kind not in ("land", "apply"):
            assert (main, *theirs) == (before[1], *before[3:])
        if kind == "commit":
            assert git(self.folder, "rev-list", "--count", f"{before[0]}..HEAD") == "1"
            assert (operation["result"]["sha"], ours) == (head, "")
        elif kind == "push":
            assert git(self.hub.bare, "rev-parse", f"refs/heads/{self.branch}") == head
        elif kind == "pull_request":
            assert git(self.folder, "rev-list", "--count", f"{before[0]}..HEAD") == "1"
            assert git(self.hub.bare, "rev-parse", f"refs/heads/{self.branch}") == head
            assert [pull.number for pull in self.hub.pulls.values() if pull.state == "OPEN"] == [
                operation["result"]["number"]
            ]
            assert len(self.hub.pulls) == self.pulls + 1
        elif kind == "update":
            assert git(self.folder, "rev-list", "--count", "HEAD..origin/main") == "0"
            assert ours == ""
        elif kind == "land":
            assert operation["result"]["sha"] == main != before[1]
            # A branch that is checked out nowhere moves alone.
            assert self.checkout.of_base or theirs == list(before[3:])
            assert git(self.repository, "status", "--porcelain") == ""
            if self.checkout.of_base:
                assert git(self.checkout.of_base, "status", "--porcelain") == ""
            assert git(self.repository, "diff", "--name-only", "main", self.branch, "--", *self.files) == ""
        elif kind == "apply":
            assert main == before[1]
            assert (self.repository / self.files[-1]).read_text() == (self.folder / self.files[-1]).read_text()
            if self.checkout.kind == "dirty":
                assert git(self.repository, "diff", "--cached", "--name-only") == "staged.txt"
                assert (self.repository / "a.txt").read_text() == (self.repository / "untracked.txt").read_text()
        elif kind == "undo":
            assert head == before[0]
            assert not [*self.folder.glob("ours-*")]
            made = operation["result"]["checkpoint_id"]
            kept = git(self.folder, "for-each-ref", "--format=%(refname)", "refs/foundry")
            assert kept.count(made) == 1
            git(self.folder, "reset", "--quiet", "--hard")
            git(self.folder, "clean", "--quiet", "-fd")
        for name in self.files:
            assert (self.folder / name).exists(), f"{name} is lost"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[GitHub]:
    with GitHub(tmp_path / "github") as hub:
        yield hub


@pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_random_moments_of_operations(
    world: LocalWorld, hub: GitHub, seed: int, tell: Callable[[str], None]
) -> None:
    chance = random.Random(seed)
    identify(world.repository)
    remote = add_origin(world)
    forge = hub.repo("acme/code", remote)
    git(world.repository, "remote", "set-url", "origin", f"https://{hub.host}/acme/code.git")
    elsewhere = world.folder / "elsewhere"
    git(world.folder, "clone", "--quiet", str(remote), str(elsewhere))
    for name in ("pre-commit", "pre-push", "pre-rebase"):
        hook = world.repository / ".git/hooks" / name
        hook.write_text(SLOW_HOOK)
        hook.chmod(0o755)
    environ = {**world.environ, **hub.env(), "GH_CONFIG_DIR": str(world.folder / "gh")}
    backend = BackendProcess(world.folder, environ)
    backend.start()
    outcomes: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    try:
        task_id = backend.create("write new.txt x", repo=str(world.repository))["task_id"]
        world.tasks.append(task_id)
        task = backend.wait_task(task_id, "idle")
        git(Path(task["sandbox"]["cwd"]), "add", "--all")
        git(Path(task["sandbox"]["cwd"]), "commit", "--quiet", "--message=new")
        checkout = Checkout(world.repository, world.folder / "linked")
        rounds = Round(checkout, Path(task["sandbox"]["cwd"]), elsewhere, task["branch"], forge)
        for number in range(KILLS):
            request = rounds.prepare(KINDS[number % len(KINDS)], number, chance)
            main = git(world.repository, "rev-parse", "main")
            checkout.become(CHECKOUTS[number // len(KINDS) % len(CHECKOUTS)])
            before = rounds.state()
            asked = backend.post(f"/v1/tasks/{task_id}/operations", request)
            # Not a wait for something: the length of time in which nobody is killed.
            time.sleep(chance.uniform(0.0, LONGEST.get(request["kind"], 0.5)))
            whole = chance.random() < 0.5
            if whole:
                assert backend.process is not None
                end_all(backend.process.pid)
            backend.kill()
            backend.start()
            operation = ended(backend, task_id, asked["operation_id"])
            outcomes[f"{request['kind']} {checkout.kind} {operation['state']}"] += 1
            kills["with all below" if whole else "alone"] += 1
            rounds.check(request, before, operation)
            checkout.leave(main)
        tell(f"seed {seed}: {KILLS} kills, {dict(kills)}: {dict(sorted(outcomes.items()))}")
        assert all(f"{kind} clean done" in outcomes for kind in KINDS), outcomes
    finally:
        backend.close()


def ended(backend: BackendProcess, task_id: str, operation_id: str) -> Json:
    """The operation once it has ended."""

    def find(task: Json) -> Json:
        found: Json = next(each for each in task["operations"] if each["operation_id"] == operation_id)
        return found

    return find(backend.wait_task(task_id, lambda task: find(task)["state"] in ("done", "failed", "cancelled")))
