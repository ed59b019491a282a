"""A world with a scripted agent, which the real sandbox-agent server runs, and who calls the local provider in it."""

import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import anyio
import msgspec

from backend_stub.domain.agent import Reply
from backend_stub.domain.call import Call
from backend_stub.domain.provider import Release
from backend_stub.domain.rulings import NOTHING_KNOWN, Intent
from backend_stub.forge.gh.cli import GitHubCli
from backend_stub.machine import processes
from backend_stub.providers.local import LocalProvider, LocalSettings
from backend_stub.wiring import local_provider
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.questions import AnswerAction, Question
from foundry_tui.contract.records import Prompt, PromptState, Repo, SessionStatus, SessionSummary, TaskDetail
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from tests.git import make_code
from tests.world import World

LIMIT = 30.0
"""Seconds after which something that is waited for counts as never coming."""
AGENT = Path(__file__).with_name("acp_agent.py")


class LocalWorld(World):
    """Everything that a test of the local provider needs: a scripted agent in it, and who calls the provider."""

    def __init__(self, folder: Path, binary: Path | None = None) -> None:
        self.agent_log = folder / "agent.jsonl"
        super().__init__(
            folder, {"FOUNDRY_PROVIDER": "local", "FOUNDRY_AGENT": "pi", "ACP_AGENT_LOG": str(self.agent_log)}
        )
        if binary is not None:
            self.environ["FOUNDRY_SANDBOX_AGENT"] = str(binary)
        launchers = folder / "data/sandbox-agent/bin/agent_processes"
        launchers.mkdir(parents=True)
        launcher = launchers / "pi-acp"
        launcher.write_bytes(AGENT.read_bytes())
        launcher.chmod(0o755)
        self.lines: list[str] = []
        self.tasks: list[str] = []

    @cached_property
    def repository(self) -> Path:
        """A git repository with two commits of files, made when it is first asked for."""
        return make_code(self.folder / "code")

    def close(self) -> None:
        """End what the tasks left running."""
        for task_id in self.tasks:
            processes.end_marked(task_id)
        super().close()

    @asynccontextmanager
    async def provider(
        self, settings: LocalSettings | None = None, *, data: Path | None = None
    ) -> AsyncIterator[LocalProvider]:
        """A provider that runs; leaving is what the end of the backend is to it. `data`: that of another backend."""
        forge = GitHubCli(lambda: 0, {**os.environ, **self.environ})
        provider = local_provider(data or self.data, settings or LocalSettings(), self.environ, forge)
        async with anyio.create_task_group() as group:
            await group.start(provider.run)
            yield provider
            group.cancel_scope.cancel()

    def call(self, task: TaskDetail, repo: Repo | None = None, *, trust: bool = False) -> Call:
        return Call(task=task, repo=repo or self.repo(), log=self.lines.append, detail=lambda _: None, trust=trust)

    def repo(self) -> Repo:
        return Repo(repo_id="r1", label="code", path=str(self.repository), default_branch="main")

    def task(self, branch: str = "fix/it", *, agent: str = "pi", sessions: int = 1, **more: Any) -> TaskDetail:
        now = time.time_ns() // 1_000_000
        task_id = uuid7()
        self.tasks.append(task_id)
        return TaskDetail(
            task_id=task_id,
            repo_id="r1",
            repo_label="code",
            prompt="do it",
            agent=agent,
            provider="local",
            status=TaskStatus.CREATE_SANDBOX,
            status_since=now,
            created_at=now,
            updated_at=now,
            revision=1,
            branch=branch,
            sessions=tuple(
                SessionSummary(
                    session_id=f"{task_id}-s{number}",
                    task_id=task_id,
                    name=f"s{number}",
                    agent=agent,
                    status=SessionStatus.READY,
                    created_at=now,
                    updated_at=now,
                    revision=1,
                )
                for number in range(sessions)
            ),
            **more,
        )

    async def with_sandbox(self, provider: LocalProvider, task: TaskDetail) -> TaskDetail:
        made = await provider.create_sandbox(self.call(task))
        return msgspec.structs.replace(task, sandbox=made.sandbox)

    async def with_session(self, provider: LocalProvider, task: TaskDetail) -> TaskDetail:
        """All stages, as the backend runs them; the task with its sandbox."""
        task = await self.with_sandbox(provider, task)
        await provider.agents.ensure_agent(self.call(task))
        for session in task.sessions:
            await provider.agents.create_session(self.call(task), session)
        return task

    async def kill(self, provider: LocalProvider, task: TaskDetail, *, force: bool = True) -> None:
        await provider.destroy_sandbox(self.call(task), Release(force=force))

    def agent_saw(self, what: str) -> list[dict[str, Any]]:
        """What the agents were told of this kind, in order, over all their processes."""
        if not self.agent_log.exists():
            return []
        entries = [json.loads(line) for line in self.agent_log.read_text().splitlines()]
        return [entry for entry in entries if entry["what"] == what]

    def agent_pids(self) -> list[int]:
        return [entry["pid"] for entry in self.agent_saw("start")]

    def living_agents(self) -> list[int]:
        """Those of them that run; a pid that was given to another process meanwhile is none."""
        ours = f"ACP_AGENT_LOG={self.agent_log}".encode()
        living = []
        for pid in self.agent_pids():
            with contextlib.suppress(OSError):
                if ours in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    living.append(pid)
        return living

    def logged(self, part: str) -> bool:
        return any(part in line for line in self.lines)


def prompt(task: TaskDetail, text: str, prompt_id: str = "p1", session: int = 0) -> Prompt:
    """A prompt for one of the task's sessions."""
    return Prompt(
        prompt_id=prompt_id,
        session_id=task.sessions[session].session_id,
        text=text,
        state=PromptState.QUEUED,
        at=1,
    )


class Told:
    """A `Turn` that keeps what it was told, over restarts too, and answers what it is asked when a test says so."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.items: dict[str, tuple[TranscriptKind, Any]] = {}
        self.questions: dict[str, Question] = {}
        self.intents: dict[str, Intent] = {}
        self._answers: dict[str, str | None] = {}
        self._replies: dict[str, Reply] = {}
        self._changed = anyio.Event()

    async def say(self, key: str, kind: TranscriptKind, body: str | dict[str, Any]) -> None:
        self.items[key] = (kind, body)
        self._wake()

    async def ask(self, key: str, question: Question, intent: Intent = NOTHING_KNOWN) -> str | None:
        self.questions[key] = question
        self.intents[key] = intent
        self._wake()
        await self.until(lambda: key in self._answers)
        return self._answers[key]

    async def elicit(self, key: str, question: Question, over: anyio.Event) -> Reply:
        self.questions[key] = question
        self._wake()
        async with anyio.create_task_group() as group:

            async def end() -> None:
                await over.wait()
                self.reply(key, Reply(AnswerAction.ACCEPT))

            group.start_soon(end)
            await self.until(lambda: key in self._replies)
            group.cancel_scope.cancel()
        return self._replies[key]

    def reply(self, key: str, reply: Reply) -> None:
        self._replies[key] = reply
        self._wake()

    def answer(self, key: str, option_id: str | None) -> None:
        self._answers[key] = option_id
        self._wake()

    def has_questions(self, count: int) -> bool:
        return len(self.questions) >= count

    def of(self, kind: TranscriptKind) -> list[Any]:
        """Bodies of all items of a kind, in the order in which they first came."""
        return [body for held, body in self.items.values() if held is kind]

    @property
    def text(self) -> str:
        return "|".join(str(body).strip() for body in self.of(TranscriptKind.MESSAGE))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds; it is looked at again after each thing told."""
        with anyio.fail_after(LIMIT):
            while not condition():
                await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def following(
    world: LocalWorld, provider: LocalProvider, task: TaskDetail, text: str, prompt_id: str = "p1", *, cut: bool = False
) -> AsyncIterator[Told]:
    """A turn that is followed beside the block, and after it to its end, or with `cut` no longer."""
    told, said = Told(), prompt(task, text, prompt_id)
    async with anyio.create_task_group() as group:
        await provider.agents.deliver(world.call(task), said, told)
        group.start_soon(provider.agents.follow, world.call(task), said, told)
        yield told
        if cut:
            group.cancel_scope.cancel()


async def turn(provider: LocalProvider, world: LocalWorld, task: TaskDetail, text: str, prompt_id: str = "p1") -> Told:
    """One whole turn: the prompt handed over and its turn followed to the end."""
    told = Told()
    said = prompt(task, text, prompt_id)
    with anyio.fail_after(LIMIT):
        await provider.agents.deliver(world.call(task), said, told)
        await provider.agents.follow(world.call(task), said, told)
    return told


def open_gate(path: Path) -> None:
    """Let an agent that waits at this FIFO go on; blocks until it is there."""
    with path.open("w") as gate:
        gate.write("go\n")


async def ended(pid: int) -> None:
    """Wait until this process, which need not be a child of ours, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with anyio.fail_after(LIMIT):
            await anyio.wait_readable(handle)
    finally:
        os.close(handle)
