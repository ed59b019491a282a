"""A real third-party agent, codex, against a model on loopback: it writes a file, which `foundry diff` shows."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend_stub.agents.sandbox_agent import processes
from tests.backend.process import BackendProcess
from tests.local.stub_model import stub_model
from tests.local.test_backend import create, diff, foundry, is_idle, say, texts
from tests.local.world import World

pytestmark = pytest.mark.slow

PACKAGE = "@zed-industries/codex-acp-linux-x64@0.16.0"
VARIABLE = "FOUNDRY_TEST_CODEX"
"""Names a codex-acp binary to be used in place of one from npm."""


@pytest.fixture(scope="session")
def codex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's binary, by npm's own client, with none of the package's code run."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    npm = shutil.which("npm")
    if npm is None or sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip(f"codex-acp is fetched by npm for Linux on x86_64 only; elsewhere name one in {VARIABLE}")
    folder = tmp_path_factory.mktemp("codex")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        pytest.skip(f"npm could not get {PACKAGE}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules/@zed-industries/codex-acp-linux-x64/bin/codex-acp"


@pytest.fixture
def backend(world: World, codex: Path) -> Iterator[BackendProcess]:
    folder = world.home / ".local/share/sandbox-agent/bin"
    (folder / "agent_processes/codex-acp").symlink_to(codex)
    # The launcher brings codex itself; sandbox-agent wants to see its program all the same.
    (folder / "codex").write_text("#!/bin/sh\n")
    (folder / "codex").chmod(0o755)
    with stub_model() as url:
        (world.home / ".codex").mkdir()
        (world.home / ".codex/config.toml").write_text(
            'model = "stub"\nmodel_provider = "stub"\napproval_policy = "never"\nsandbox_mode = "danger-full-access"\n'
            f'[model_providers.stub]\nname = "stub"\nbase_url = "{url}"\nwire_api = "responses"\nenv_key = "STUB_KEY"\n'
        )
        environment = {**world.environ, "FOUNDRY_PROVIDER": "local", "XDG_DATA_HOME": "", "STUB_KEY": "none"}
        backend = BackendProcess(world.root, environment=environment)
        backend.start()
        yield backend
        world.tasks += [task["task_id"] for task in backend.get("/v1/tasks")["tasks"]]
        backend.close()


def test_codex_writes_a_file_which_the_diff_shows(backend: BackendProcess, world: World) -> None:
    task_id = create(backend, world, "make a file", agent="codex")
    task = is_idle(backend, task_id)
    assert task["status"] == "idle", task.get("error")
    assert (Path(task["sandbox"]["cwd"]) / "made.txt").read_text() == "made by codex\n"
    assert texts(backend, task)[-1].endswith("I made made.txt")
    assert [file["path"] for file in diff(backend, task_id)] == ["made.txt"]
    assert "+made by codex" in foundry(backend, "diff", task_id).stdout


def test_codex_remembers_over_a_dead_server(backend: BackendProcess, world: World) -> None:
    task_id = create(backend, world, "make a file", agent="codex")
    is_idle(backend, task_id)
    backend.kill()
    assert processes.end_marked(task_id) > 0
    backend.start()
    task = backend.wait_task(task_id, "idle")
    say(backend, task, "again", "p2")
    task = is_idle(backend, task_id, prompts=2)
    assert task["status"] == "idle", task.get("error")
    assert texts(backend, task, "notice") == ["The agent was started anew and has read the conversation so far."]
