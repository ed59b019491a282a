"""A POST is answered after its commit, and after no git command: each of them while every git that is called hangs."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import Mock

import httpx
import pytest

from backend_stub.repository.git import TIMEOUT
from backend_stub.server.routes import Routes
from foundry_tui.contract.operations import OPERATIONS
from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.gate import Gate
from tests.local.test_backend import create, is_idle
from tests.local.test_options import OFFERS
from tests.local.world import LocalWorld
from tests.world import Json

FIELDS: list[Json] = [
    {},
    {"branch": "mine"},
    {"branch": "mine", "base_branch": "main"},
    {"from": {"branch": "spike"}},
    {"base_branch": "spike"},
    {"base_branch": "no/such"},
    {"from": {"branch": "no/such"}},
    {"from": {"pull_request": 3}},
    {"from": {"issue": 4}},
    {"from": {"issue": 4}, "branch": "mine", "base_branch": "main"},
    {"trust": True},
    {"provider": "demo"},
]
"""What a request for a task says beside its repository; a `branch` is made another one for each."""


@contextmanager
def backend_behind(gate: Gate, world: LocalWorld) -> Iterator[BackendProcess]:
    """A backend whose every `git` comes to the gate first, asked by somebody who waits less long than git may take."""
    program = world.folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n{gate.words}\nexec {shlex.quote(str(shutil.which("git")))} "$@"\n')
    program.chmod(0o755)
    environ = {**world.environ, "PATH": f"{program.parent}{os.pathsep}{world.environ['PATH']}"}
    with BackendProcess(world.folder, environ) as backend:
        backend.http.timeout = httpx.Timeout(TIMEOUT / 2)
        yield backend.start()


def test_every_kind_of_task_is_created_while_git_hangs(git_world: LocalWorld) -> None:
    repository = git_world.repository
    (repository / "below").mkdir()
    git(repository, "branch", "spike")
    cloned, other = (shutil.copytree(repository, git_world.folder / name) for name in ("cloned", "other"))
    gate = Gate(git_world.folder)
    with backend_behind(gate, git_world) as backend:
        known = backend.create("clone it", repo=cloned.as_uri())
        backend.wait_task(known["task_id"], lambda task: task["stages_done"] >= 2)
        places = [
            str(repository),
            other.as_uri(),
            str(repository / "below"),
            backend.post("/v1/repos", {"path": str(repository)}, status=201)["repo_id"],
            cloned.as_uri(),
            known["repo_id"],
            backend.post("/v1/repos", {"remote": other.as_uri()}, status=201)["repo_id"],
            "git@example.invalid:o/n",
        ]
        with gate:
            first = backend.create("first", repo=str(repository))["task_id"]
            gate.await_arrival()
            for number, place in enumerate(places):
                # Everything once of a folder and once of a URL, and of each place what is asked about branches.
                for field, fields in enumerate(FIELDS if number < 2 else FIELDS[:4]):
                    own = {"branch": f"mine/{number}/{field}"} if "branch" in fields else {}
                    task = backend.create("fix it", repo=place, **{**fields, **own})
                    assert task["status"] == "init_enqueue_provision"
            assert backend.get(f"/v1/tasks/{first}")["stages_done"] == 0
            assert backend.stop() == 0


@pytest.mark.slow
def test_every_other_post_is_answered_while_git_hangs(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    asked: set[str] = set()
    gate = Gate(world.folder)
    with backend_behind(gate, world) as backend:

        def post(path: str, /, *statuses: int, **body: object) -> Json:
            asked.add(path)
            answer = backend.http.post(path, json=body)
            assert answer.status_code in statuses, answer.text
            document: Json = answer.json()
            return document

        ready, changed, asking, failed = world.tasks = [
            create(backend, world, text)
            for text in ("say done", "edit new.txt x", "ask execute Run make?\nsay done", "die out of luck")
        ]
        session = is_idle(backend, ready)["sessions"][0]["session_id"]
        is_idle(backend, changed)
        (question,) = backend.wait_task(asking, lambda task: task["needs_input"] == 1)["permissions"]
        backend.wait_task(failed, "error")
        repo_id = backend.get(f"/v1/tasks/{ready}")["repo_id"]
        digest = "0" * 64
        with gate:
            world.tasks.append(create(backend, world, "first"))
            gate.await_arrival()
            lost = post(f"/v1/tasks/{changed}/kill", 409)
            assert lost["would_lose"] == ["1 uncommitted file: new.txt"]
            post(f"/v1/tasks/{changed}/kill", 202, force=True, delete_branch=True)
            post(f"/v1/tasks/{failed}/retry", 202)
            post(f"/v1/tasks/{failed}/archive", 202)
            post(f"/v1/permissions/{question['permission_id']}", 200, option_id="yes")
            post(f"/v1/sessions/{question['session_id']}/stop", 202, hold=True)
            post(f"/v1/sessions/{question['session_id']}/go-on", 202)
            post(f"/v1/tasks/{ready}/sessions", 202)
            post(f"/v1/sessions/{session}/options/fast", 202, value=True)
            post(f"/v1/sessions/{session}/prompts", 202, prompt_id="p2", text="say more")
            for kind in OPERATIONS:
                said = {"what": "checks"} if kind == "hand_over" else {}
                operation = post(f"/v1/tasks/{ready}/operations", 202, 409, kind=kind, wait=True, **said)
                if "operation_id" in operation:
                    post(f"/v1/operations/{operation['operation_id']}/cancel", 202)
            post(f"/v1/tasks/{ready}/restart-agent", 202)
            post("/v1/repos", 200, path=str(world.repository))
            post("/v1/repos", 201, remote="git@example.invalid:o/n")
            post(f"/v1/repos/{repo_id}/trust", 409, digest=digest)
            assert backend.stop() == 0
    routes = [route for route in Routes(Mock()).routes() if "POST" in (route.methods or ())]
    for route in routes:
        assert route.path == "/v1/tasks" or any(route.path_regex.match(path) for path in asked), route.path
