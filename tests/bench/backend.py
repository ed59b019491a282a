"""A backend process with tasks in it, for benchmarks that need the real thing."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx

from foundry_tui.client.connection import Target, make_http

_CALLS = ("ensure_name", "create_sandbox", "ensure_agent", "create_session", "turn")


def set_pace(folder: Path, milliseconds: int) -> None:
    """Have each stage and turn of the backend with this folder take so long from now on."""
    script = {"default": {name: {"ms": milliseconds} for name in _CALLS}}
    fresh = folder / "script.new"
    fresh.write_text(json.dumps(script))
    fresh.replace(folder / "script.json")


@contextmanager
def running_backend(tasks: int = 0) -> Iterator[tuple[str, Path]]:
    """The address of a backend on the demo provider, and its folder; its `tasks` are ready and nothing happens."""
    with tempfile.TemporaryDirectory(prefix="foundry-bench-") as name:
        folder = Path(name)
        set_pace(folder, 0)
        address = f"unix:{folder}/backend.sock"
        env = {**os.environ, "FOUNDRY_DEMO_SCRIPT": str(folder / "script.json"), "FOUNDRY_PROVIDER": "demo"}
        argv = [sys.executable, "-m", "backend_stub", "--data-dir", str(folder / "data"), "--listen", address]
        log = (folder / "backend.log").open("wb")
        with log, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, env=env) as process:
            assert process.stdout is not None
            try:
                if not process.stdout.readline():
                    raise RuntimeError((folder / "backend.log").read_text())
                repository = folder / "shop"
                (repository / ".git").mkdir(parents=True)
                subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
                anyio.run(_fill, address, repository, tasks)
                yield address, folder
            finally:
                process.terminate()
                process.wait(10)


async def _fill(address: str, repository: Path, count: int) -> None:
    target = Target.parse(address)
    async with make_http(target) as http:
        limiter = anyio.CapacityLimiter(32)

        async def create(number: int) -> None:
            async with limiter:
                prompt = f"Fix the login redirect of page {number}"
                answer = await http.post("/v1/tasks", json={"repo": str(repository), "prompt": prompt})
                answer.raise_for_status()

        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(create, number)
        await _settle(http)


async def _settle(http: httpx.AsyncClient) -> None:
    """Wait until no task is under way."""
    with anyio.fail_after(180):
        while True:
            tasks = (await http.get("/v1/tasks")).json()["tasks"]
            if all(task["status"] in ("idle", "error") for task in tasks):
                return
            await anyio.sleep(0.25)
