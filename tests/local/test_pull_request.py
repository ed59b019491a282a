"""A pull request by a backend process, of what a real agent server's agent did: from its environment's own `gh`."""

import shutil
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.forge.github_stub import GitHub
from tests.git import git
from tests.local.test_operation_kills import ended
from tests.local.test_way_home import identify
from tests.local.world import LocalWorld

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed"),
    # The stand-in leaves its sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_what_the_agent_wrote_is_proposed_and_looked_at(world: LocalWorld, tmp_path: Path) -> None:
    identify(world.repository)
    git(world.folder, "clone", "--quiet", "--bare", str(world.repository), "widgets.git")
    with GitHub(tmp_path / "github") as hub:
        repo = hub.repo("acme/widgets", world.folder / "widgets.git")
        git(world.repository, "remote", "add", "origin", f"{repo.url}.git")
        with BackendProcess(world.folder, {**world.environ, **hub.env()}) as backend:
            backend.start()
            task_id = backend.create("write new.txt x\nsay It was missing.", repo=str(world.repository))["task_id"]
            world.tasks.append(task_id)
            backend.wait_task(task_id, "idle")
            backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request", "draft": True})
            task = backend.wait_task(task_id, lambda task: task["operations"][-1]["state"] in ("done", "failed"))
            (operation,) = task["operations"]
            assert operation["state"] == "done", operation.get("error")
            assert operation["result"] == {"number": 1, "url": repo.pulls[1].url}
            assert task["pull_request"]["state"] == "draft"
            assert "It was missing." in repo.pulls[1].body
            assert git(world.folder / "widgets.git", "show", f"{task['branch']}:new.txt") == "x"
            repo.pulls[1].thread("new.txt", 1, "why x?")
            (comment,) = backend.get(f"/v1/tasks/{task_id}/comments")["comments"]
            assert (comment["path"], comment["line"], comment["body"]) == ("new.txt", 1, "why x?")
            # A forge tells of the commit before for a moment, and of what was pushed no check can have ended.
            repo.pulls[1].check("build", "SUCCESS")
            (Path(task["sandbox"]["cwd"]) / "new.txt").write_text("y")
            for state in ("none", "passing"):
                asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request"})
                assert ended(backend, task_id, asked["operation_id"])["state"] == "done"
                assert backend.get(f"/v1/tasks/{task_id}")["pull_request"]["checks"]["state"] == state
