"""Several backends on one PostgreSQL, each a process with a data folder of its own, as machines have."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.backend.process import BackendProcess, json_of
from tests.world import Json


class Cluster:
    """`hosts` are called a, b, c …; they have one script, one effects log and one repository in common."""

    def __init__(self, folder: Path, url: str, count: int = 2, environ: dict[str, str] | None = None) -> None:
        self.url = url
        self.hosts: list[BackendProcess] = []
        for number in range(count):
            place = folder / f"host-{number}"
            place.mkdir()
            host = BackendProcess(place, environ)
            host.options = ("--host", self.name(number), "--database", url)
            if number:
                first = self.hosts[0]
                host.environ["FOUNDRY_DEMO_SCRIPT"] = str(first.script_path)
                host.script_path, host.effects_path = first.script_path, first.effects_path
                host.__dict__["repository"] = first.repository
            self.hosts.append(host)

    @staticmethod
    def name(number: int) -> str:
        return "abcdefgh"[number]

    def start(self) -> Self:
        for host in self.hosts:
            host.start()
        return self

    def freeze(self, number: int) -> None:
        os.kill(self._pid(number), signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        os.kill(self._pid(number), signal.SIGCONT)

    def states(self, asked: int = 0) -> dict[str, str]:
        """What a host says of all, by name."""
        return {host["name"]: host["state"] for host in self.hosts[asked].get("/v1/hosts")["hosts"]}

    def on(self, number: int, prompt: str, **fields: object) -> Json:
        """A new task on this host, asked for there."""
        return self.hosts[number].create(prompt, host=self.name(number), **fields)

    def tasks(self, number: int) -> Sequence[Json]:
        """All tasks as this host tells them."""
        found: Sequence[Json] = json_of(self.hosts[number].http.get("/v1/tasks"))["tasks"]
        return found

    def twice(self) -> list[tuple[str, ...]]:
        """What happened more than once, of what happens once."""
        once = {"create_sandbox", "start_agent", "create_session", "deliver_prompt", "destroy_sandbox"}
        seen: set[tuple[str, ...]] = set()
        found: list[tuple[str, ...]] = []
        for line in self.hosts[0].effects():
            if line.get("effect") not in once:
                continue
            key = (line["effect"], line["task_id"], line.get("session_id", ""), line.get("prompt_id", ""))
            if key in seen:
                found.append(key)
            seen.add(key)
        return found

    def said(self) -> str:
        """What the hosts have logged, for a test that fails."""
        return "\n".join(f"{host.options[1]}: {host.errors.read_text()}" for host in self.hosts if host.errors.exists())

    def _pid(self, number: int) -> int:
        process = self.hosts[number].process
        assert process is not None
        return process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, host in enumerate(self.hosts):
            if host.process is not None and host.process.poll() is None:
                self.thaw(number)
            host.close()


def without_history(task: Json) -> str:
    """The task as it can be compared."""
    return json.dumps({name: value for name, value in task.items() if name != "history"}, sort_keys=True)
