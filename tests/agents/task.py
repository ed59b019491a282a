"""A real agent's world: its home folder, a repository, a model on loopback, a backend, and who asks for work."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend_stub.agents.sandbox_agent.state import StateFolder
from backend_stub.machine import processes
from foundry_tui.contract.agents import SANDBOX_AGENT
from foundry_tui.contract.ids import uuid7
from tests.agents.catalogue import Agent
from tests.agents.install import CACHE
from tests.agents.model import Model, Say
from tests.backend.process import BackendProcess
from tests.git import make_code
from tests.world import FOUNDRY, Json

PATIENCE = 180.0
"""Seconds that nothing may be heard of a task: some agents need a minute to start, some ask a failing model again."""
ENDED = ("prompt.answered", "prompt.failed")


class AgentTask:
    """One task of one agent. The task's sandbox will be `cwd`, which is known before anything is made."""

    def __init__(self, root: Path, agent: Agent, model: Model, environ: dict[str, str]) -> None:
        self.agent = agent
        self.model = model
        self.repository = make_code(root / "code")
        self.backend = BackendProcess(root, environ)
        self.backend.patience = PATIENCE
        self.backend.program = (str(FOUNDRY), "backend", "serve")
        self.task_id = uuid7()
        self.cwd = self.backend.data.resolve() / "sandboxes" / self.task_id / "work" / self.repository.name
        self._prompts = 0

    def begin(self, text: str, **fields: Any) -> None:
        """Create the task."""
        self._prompts = 1
        self.backend.create(text, task_id=self.task_id, repo=str(self.repository), agent=self.agent.name, **fields)

    def say(self, text: str, *files: Path) -> None:
        """Hand the agent a further prompt, with these files."""
        self._prompts += 1
        attached = [word for file in files for word in ("--attach", str(file))]
        self.backend.foundry("prompt", self.task_id, text, *attached, code=0, timeout=PATIENCE)

    def resend(self) -> None:
        """Have the prompt whose turn failed sent again."""
        self._prompts += 1
        self.backend.post(f"/v1/tasks/{self.task_id}/retry", {"resend": True})

    def ended(self) -> Json:
        """The task once the last prompt's turn has ended; it must not have got stuck."""
        task = self.backend.wait_task(self.task_id, lambda task: self._rests(task) and self._over() >= self._prompts)
        assert task["needs_input"] == 0
        assert [session["status"] for session in task["sessions"]] in (["ready"], ["error"]), task["sessions"]
        return task

    def _rests(self, task: Json) -> bool:
        return task["status"] in ("idle", "error")

    def _over(self) -> int:
        kinds = self.backend.kinds(self.task_id)
        return sum(kinds.count(kind) for kind in ENDED)

    def end_over_a_kill(self) -> None:
        """Kill the backend while the model lets the agent wait; the next one sees the turn through."""
        self.model.wait_until_it_hangs()
        self.backend.kill()
        self.backend.start()
        self.model.release.set()
        task = self.ended()
        assert task["status"] == "idle", task.get("error")

    def stop(self) -> None:
        """End the turn that runs."""
        task = self.backend.get(f"/v1/tasks/{self.task_id}")
        self.backend.post(f"/v1/sessions/{task['sessions'][0]['session_id']}/stop")

    def question(self) -> Json:
        """The permission that the agent asks for, once it does."""
        task = self.backend.wait_task(self.task_id, lambda task: task["needs_input"] == 1 or self._rests(task))
        assert task["needs_input"] == 1, f"it asked nothing, and is {task['status']}: {task.get('error')}"
        [question] = [held for held in task["permissions"] if held["state"] == "open"]
        return dict(question)

    def answer(self, kind: str) -> None:
        """Answer the open question with the option of this kind."""
        question = self.question()
        option = next(option for option in question["options"] if option["kind"] == kind)
        self.backend.foundry("answer", self.task_id, option["option_id"], code=0, timeout=PATIENCE)

    def answers(self, kind: str = "message") -> list[str]:
        """What the transcript holds of this kind, without blanks around it."""
        task = self.backend.get(f"/v1/tasks/{self.task_id}")
        session = self.backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
        return [str(item["body"]).strip() for item in session["transcript"] if item["kind"] == kind]

    def session(self, wanted: Callable[[Json], bool]) -> Json:
        """The task's session once it is as wanted; told by events."""
        session_id = self.backend.get(f"/v1/tasks/{self.task_id}")["sessions"][0]["session_id"]
        with self.backend.events(f"session:{session_id}") as events:
            for event in events:
                session: Json = json.loads(event.data)
                if event.event in ("snapshot", "session") and wanted(session):
                    return session
        raise AssertionError("the stream ended first")

    def server_log(self) -> str:
        """What sandbox-agent has said of the task's agents."""
        return StateFolder(self.backend.data / "sandboxes" / self.task_id / "agent").log.read_text(errors="replace")

    def follow_up(self) -> None:
        """A further prompt is answered, whatever was before."""
        self.model.does(Say("Still here."))
        self.say("are you there?")
        task = self.ended()
        assert task["status"] == "idle", task.get("error")
        assert self.answers()[-1].endswith("Still here.")

    def let_it_be_kept(self) -> None:
        """Wait until the agent can load the conversation that it has begun: until the next minute, for one of them."""
        if self.agent.minutes:
            time.sleep(60 - time.time() % 60)

    def agents(self) -> dict[int, str]:
        """Start marks, by pid, of the processes that sandbox-agent has started for the task."""
        state = StateFolder(self.backend.data / "sandboxes" / self.task_id / "agent").load_server()
        assert state is not None
        return dict(processes.agents_of(state.pid, SANDBOX_AGENT))

    def inner_processes(self) -> list[int]:
        """The processes that the agents have started in their turn."""
        children = (Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in self.agents())
        return [int(pid) for each in children for pid in each]

    def close(self) -> None:
        self.backend.close()
        processes.end_marked(self.task_id)


@contextmanager
def open_world(root: Path, agent: Agent, sandbox_agent: Path, model: Model) -> Iterator[AgentTask]:
    """A world in `root`, whose backend runs."""
    home = root / "home"
    files = dict(agent.files(model.url))
    if agent.configured:
        command = ", ".join(f'"{word}"' for word in agent.configured)
        files[".config/foundry/config.toml"] = f"[agents.{agent.name}]\ncommand = [{command}]\n"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    environ = {
        "HOME": str(home),
        "FOUNDRY_SANDBOX_AGENT": str(sandbox_agent),
        "FOUNDRY_PROVIDER": "local",
        **{f"XDG_{name}_HOME": "" for name in ("DATA", "CONFIG", "STATE", "CACHE")},
        **agent.environ(model.url),
    }
    world = AgentTask(root, agent, model, environ)
    try:
        world.backend.data.mkdir(parents=True, exist_ok=True)
        (world.backend.data / "agents").symlink_to(CACHE / "agents")
        world.backend.start()
        yield world
    finally:
        world.close()
