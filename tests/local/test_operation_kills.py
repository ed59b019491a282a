"""Backends killed at random moments of operations, alone or with all that they have started, as a power cut does:
each operation is done, or as if it had not begun, and nothing twice.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.power_cut import end_all
from tests.local.test_way_home import add_origin, change, identify
from tests.local.world import LocalWorld
from tests.world import Json

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("FOUNDRY_TEST_KILLS", "12"))
"""Kills of each seed."""
SEEDS = [int(each) for each in os.environ.get("FOUNDRY_TEST_SEED", "1").split(",")]
KINDS = ("commit", "push", "update", "land", "apply", "undo")
SLOW_HOOK = "#!/bin/sh\nsleep 0.1\n"


class Round:
    """A repository with a task's worktree, and what must be true of them after each operation."""

    def __init__(self, repository: Path, folder: Path, elsewhere: Path, branch: str) -> None:
        self.repository, self.folder, self.elsewhere, self.branch = repository, folder, elsewhere, branch
        self.files: list[str] = []

    def prepare(self, kind: str, number: int, chance: random.Random) -> Json:
        """Make something to be done by an operation of this kind; its request."""
        name = f"ours-{number}.txt"
        if kind == "undo":
            change(self.folder, name, "is to go\n")
            return {"kind": kind}
        self.files.append(name)
        change(self.folder, name, f"{number}\n", commit=kind != "commit")
        if kind == "update":
            git(self.elsewhere, "pull", "--quiet", "--rebase", "origin", "main")
            change(self.elsewhere, f"theirs-{number}.txt", "x\n", commit=True)
            git(self.elsewhere, "push", "--quiet", "origin", "HEAD:main")
            return {"kind": kind, "how": chance.choice(("rebase", "merge"))}
        if kind == "land":
            return {"kind": kind, "how": chance.choice(("merge", "squash", "rebase"))}
        return {"kind": kind, "force_with_lease": True} if kind == "push" else {"kind": kind}

    def state(self) -> tuple[str, ...]:
        """All that an operation may change, but what it fetched and pushed."""
        heads = (git(self.folder, "rev-parse", "HEAD"), git(self.repository, "rev-parse", "main"))
        return (*heads, *(git(each, "status", "--porcelain") for each in (self.folder, self.repository)))

    def check(self, request: Json, before: tuple[str, ...], operation: Json) -> None:
        head, main, ours, theirs = self.state()
        if operation["state"] == "failed":
            assert (head, main, ours, theirs) == before, operation["error"]["message"]
        else:
            self._check_done(request, before, operation)
        for folder in (self.folder, self.repository):
            assert "rebase in progress" not in git(folder, "status")
            assert "still merging" not in git(folder, "status")
        assert not list((self.repository / ".git").rglob("*.lock"))
        assert "apart" not in git(self.repository, "worktree", "list")
        git(self.repository, "fsck", "--no-dangling", "--no-progress")
        assert git(self.folder, "symbolic-ref", "--short", "HEAD") == self.branch

    def _check_done(self, request: Json, before: tuple[str, ...], operation: Json) -> None:
        kind, (head, main, ours, theirs) = request["kind"], self.state()
        if kind == "commit":
            assert git(self.folder, "rev-list", "--count", f"{before[0]}..HEAD") == "1"
            assert (operation["result"]["sha"], ours) == (head, "")
        elif kind == "push":
            assert git(self.repository, "ls-remote", "origin", f"refs/heads/{self.branch}").split()[0] == head
        elif kind == "update":
            assert git(self.folder, "rev-list", "--count", "HEAD..origin/main") == "0"
            assert ours == ""
        elif kind == "land":
            assert operation["result"]["sha"] == main != before[1]
            assert theirs == ""
            assert git(self.repository, "diff", "--name-only", "main", self.branch, "--", *self.files) == ""
            # So that the next one has the same to do.
            git(self.repository, "reset", "--quiet", "--hard", before[1])
        elif kind == "apply":
            assert main == before[1]
            assert (self.repository / self.files[-1]).read_text() == (self.folder / self.files[-1]).read_text()
            self._clean(self.repository)
        elif kind == "undo":
            assert head == before[0]
            assert not [*self.folder.glob("ours-*")]
            made = operation["result"]["checkpoint_id"]
            kept = git(self.folder, "for-each-ref", "--format=%(refname)", "refs/foundry")
            assert kept.count(made) == 1
            self._clean(self.folder)
        for name in self.files:
            assert (self.folder / name).exists(), f"{name} is lost"

    def _clean(self, folder: Path) -> None:
        git(folder, "reset", "--quiet", "--hard")
        git(folder, "clean", "--quiet", "-fd")


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_random_moments_of_operations(world: LocalWorld, seed: int, tell: Callable[[str], None]) -> None:
    chance = random.Random(seed)
    identify(world.repository)
    remote = add_origin(world)
    elsewhere = world.folder / "elsewhere"
    git(world.folder, "clone", "--quiet", str(remote), str(elsewhere))
    for name in ("pre-commit", "pre-push", "pre-rebase"):
        hook = world.repository / ".git/hooks" / name
        hook.write_text(SLOW_HOOK)
        hook.chmod(0o755)
    backend = BackendProcess(world.folder, world.environ)
    backend.start()
    outcomes: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    try:
        task_id = backend.create("write new.txt x", repo=str(world.repository))["task_id"]
        world.tasks.append(task_id)
        task = backend.wait_task(task_id, "idle")
        git(Path(task["sandbox"]["cwd"]), "add", "--all")
        git(Path(task["sandbox"]["cwd"]), "commit", "--quiet", "--message=new")
        rounds = Round(world.repository, Path(task["sandbox"]["cwd"]), elsewhere, task["branch"])
        for number in range(KILLS):
            request = rounds.prepare(KINDS[number % len(KINDS)], number, chance)
            before = rounds.state()
            asked = backend.post(f"/v1/tasks/{task_id}/operations", request)
            # Not a wait for something: the length of time in which nobody is killed.
            time.sleep(chance.uniform(0.0, 0.5))
            whole = number // len(KINDS) % 2 == 0
            if whole:
                assert backend.process is not None
                end_all(backend.process.pid)
            backend.kill()
            backend.start()
            operation = ended(backend, task_id, asked["operation_id"])
            outcomes[f"{request['kind']} {operation['state']}"] += 1
            kills["with all below" if whole else "alone"] += 1
            rounds.check(request, before, operation)
            if request["kind"] == "commit" and operation["state"] == "failed":
                change(rounds.folder, "again.txt", f"{number}\n", commit=True)
        tell(f"seed {seed}: {KILLS} kills, {dict(kills)}: {dict(sorted(outcomes.items()))}")
        assert all(f"{kind} done" in outcomes for kind in KINDS), outcomes
    finally:
        backend.close()


def ended(backend: BackendProcess, task_id: str, operation_id: str) -> Json:
    """The operation once it has ended."""

    def find(task: Json) -> Json:
        found: Json = next(each for each in task["operations"] if each["operation_id"] == operation_id)
        return found

    return find(backend.wait_task(task_id, lambda task: find(task)["state"] in ("done", "failed", "cancelled")))
