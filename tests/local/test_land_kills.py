"""A backend killed between the steps of landing, by a hook that git runs there: the base that others have moved comes
in and the task's work after it, each once.
"""

from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.test_operation_kills import ended
from tests.local.test_way_home import add_origin, change, identify
from tests.local.world import LocalWorld

pytestmark = pytest.mark.slow

KILLING = """#!/bin/sh
echo x >> "{count}"
[ "$(wc -l < "{count}")" -eq {number} ] || exit 0
kill -9 "$(cat "{pid}")" {more}
"""


@pytest.mark.parametrize("more", ["", "$PPID"], ids=["alone", "with git"])
@pytest.mark.parametrize(
    ("how", "hook", "number"),
    [
        ("squash", "post-merge", 1),
        ("squash", "post-merge", 2),
        ("squash", "pre-commit", 1),
        ("squash", "post-commit", 1),
        ("rebase", "post-merge", 1),
        ("rebase", "pre-rebase", 1),
        ("rebase", "post-rewrite", 1),
        ("squash", "reference-transaction", 6),
    ],
)
def test_landing_on_a_base_that_lags_is_done_once(
    world: LocalWorld, how: str, hook: str, number: int, more: str
) -> None:
    identify(world.repository)
    remote, elsewhere = add_origin(world), world.folder / "elsewhere"
    git(world.folder, "clone", "--quiet", str(remote), str(elsewhere))
    with BackendProcess(world.folder, world.environ) as backend:
        backend.start()
        task_id = backend.create("write new.txt x", repo=str(world.repository))["task_id"]
        world.tasks.append(task_id)
        task = backend.wait_task(task_id, "idle")
        folder = Path(task["sandbox"]["cwd"])
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message=new")
        change(elsewhere, "theirs.txt", "y\n", commit=True)
        git(elsewhere, "push", "--quiet", "origin", "HEAD:main")
        asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "update", "how": "merge"})
        assert ended(backend, task_id, asked["operation_id"])["state"] == "done"
        change(folder, "more.txt", "z\n", commit=True)
        pid, count = world.folder / "pid", world.folder / "count"
        assert backend.process is not None
        pid.write_text(str(backend.process.pid))
        script = world.repository / ".git/hooks" / hook
        script.write_text(KILLING.format(pid=pid, count=count, number=number, more=more))
        script.chmod(0o755)
        asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "land", "how": how})
        backend.process.wait(30)
        script.unlink()
        backend.kill()
        backend.start()
        operation = ended(backend, task_id, asked["operation_id"])
        assert operation["state"] == "done", operation["error"]
    main = git(world.repository, "rev-parse", "main")
    assert operation["result"]["sha"] == main
    # Merged into the branch, the base is a commit of its own.
    told = git(world.repository, "log", "--format=%s", "--no-merges", "origin/main..main").splitlines()
    assert told == ([task["title"]] if how == "squash" else ["change more.txt", "new"])
    assert git(world.repository, "diff", "--stat", "main", task["branch"]) == ""
    assert git(world.repository, "status", "--porcelain") == ""
    assert git(folder, "status", "--porcelain") == ""
    assert "apart" not in git(world.repository, "worktree", "list")
    assert not list((world.repository / ".git").rglob("*.lock"))
    git(world.repository, "fsck", "--no-dangling", "--no-progress")
