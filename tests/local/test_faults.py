"""What dies, and when: the agent, its server, the backend; in each stage and in the middle of a turn."""

import os
import signal
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest

from backend_stub.agents.sandbox_agent import server_log
from backend_stub.agents.sandbox_agent.server_log import Hearing, ServerLog, _Agent
from backend_stub.agents.sandbox_agent.state import StoredServer, StoredSession
from backend_stub.domain.errors import AgentError
from backend_stub.domain.provider import Release
from backend_stub.machine import processes
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.transcript import TranscriptKind
from tests.local.world import LIMIT, LocalWorld, Told, open_gate, prompt, turn

pytestmark = pytest.mark.anyio


def server_of(world: LocalWorld, task: TaskDetail) -> StoredServer:
    path = world.data / "sandboxes" / task.task_id / "agent/server.json"
    return msgspec.json.decode(path.read_bytes(), type=StoredServer)


def end_server(world: LocalWorld, task: TaskDetail) -> None:
    """Kill the server's group, as a crash or a reboot would."""
    os.killpg(server_of(world, task).pid, signal.SIGKILL)


class Loss:
    """Hears of agents that died by themselves."""

    def __init__(self, provider: LocalProvider) -> None:
        self.heard: list[tuple[str, str]] = []
        self._event = anyio.Event()
        provider.agents.on_lost = self._hear

    async def _hear(self, task_id: str, session_id: str, reason: str) -> None:
        self.heard.append((task_id, reason))
        self._event.set()

    async def wait(self) -> tuple[str, str]:
        with anyio.fail_after(LIMIT):
            await self._event.wait()
        return self.heard[0]


# The agent


async def test_an_agent_that_dies_in_a_turn_fails_it_with_its_last_words(world: LocalWorld) -> None:
    async with world.provider() as provider:
        loss = Loss(provider)
        task = await world.with_session(provider, world.task())
        with pytest.raises(AgentError, match=r"(?s)pi ended \(exit code 3\).*fatal: out of luck"):
            await turn(provider, world, task, "say hm\ndie out of luck")
        assert loss.heard == []


async def test_after_an_agent_died_the_next_prompt_gets_a_new_one(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        with pytest.raises(AgentError):
            await turn(provider, world, task, "die now")
        await provider.agents.attach(world.call(task))
        told = await turn(provider, world, task, "say hello", "p2")
        assert told.text == "hello"
        assert "does not remember" in told.of(TranscriptKind.NOTICE)[0]
        assert len(world.agent_saw("session/prompt")) == 2


async def test_an_agent_killed_while_idle_is_told_of(world: LocalWorld) -> None:
    async with world.provider() as provider:
        loss = Loss(provider)
        task = await world.with_session(provider, world.task())
        os.kill(world.agent_pids()[0], signal.SIGKILL)
        task_id, reason = await loss.wait()
        assert task_id == task.task_id
        assert "the agent pi ended" in reason


async def test_an_agent_that_dies_while_its_session_is_opened(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_NEW"] = "die"
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        with anyio.fail_after(LIMIT), pytest.raises(AgentError, match=r"(?s)pi ended.*no session for you"):
            await provider.agents.create_session(world.call(task), task.sessions[0])
        with pytest.raises(AgentError, match="pi ended"):
            await provider.agents.create_session(world.call(task), task.sessions[0])


# The server


async def test_a_server_killed_in_a_turn_fails_it(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told, said = Told(), prompt(task, "say working\npause")
        await provider.agents.deliver(world.call(task), said, told)
        with pytest.raises(AgentError, match="server ended"):
            async with anyio.create_task_group() as group:
                group.start_soon(_kill_when, told, lambda: end_server(world, task))
                try:
                    await provider.agents.follow(world.call(task), said, told)
                except AgentError as error:
                    failure = error
            raise failure
        assert told.text == "working"
        await provider.agents.attach(world.call(task))
        assert (await turn(provider, world, task, "say again", "p2")).text == "again"


async def _kill_when(told: Told, kill: object) -> None:
    await told.until(lambda: told.text == "working")
    assert callable(kill)
    kill()


async def test_a_server_killed_while_idle_is_told_of_and_started_anew(world: LocalWorld) -> None:
    async with world.provider() as provider:
        loss = Loss(provider)
        task = await world.with_session(provider, world.task())
        before = server_of(world, task)
        end_server(world, task)
        assert "server ended" in (await loss.wait())[1]
        await provider.agents.attach(world.call(task))
        assert server_of(world, task).pid != before.pid
        assert (await turn(provider, world, task, "say hello")).text == "hello"


async def test_a_server_killed_between_the_stages(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        await provider.agents.ensure_agent(world.call(task))
        end_server(world, task)
        await provider.agents.create_session(world.call(task), task.sessions[0])
        assert (await turn(provider, world, task, "say hello")).text == "hello"


# The backend


async def test_after_a_restart_the_server_is_found_again(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
    before = server_of(world, task)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        told = await turn(provider, world, task, "say two", "p2")
        assert told.text == "two"
        assert told.of(TranscriptKind.NOTICE) == []
    assert server_of(world, task) == before
    assert len(world.agent_saw("start")) == 1
    assert len(world.agent_saw("session/new")) == 1


async def test_a_restart_in_each_stage(world: LocalWorld) -> None:
    task = world.task()
    for stages in range(1, 4):
        async with world.provider() as provider:
            task = await world.with_sandbox(provider, task)
            if stages > 1:
                await provider.agents.ensure_agent(world.call(task))
            if stages > 2:
                await provider.agents.create_session(world.call(task), task.sessions[0])
    async with world.provider() as provider:
        task = await world.with_session(provider, task)
        assert (await turn(provider, world, task, "say hello")).text == "hello"
    assert len(world.agent_saw("start")) == 1


@pytest.mark.parametrize("waits", [True, False], ids=["goes on after it", "ended during it"])
async def test_a_turn_goes_on_over_a_restart(world: LocalWorld, waits: bool) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    told = Told()
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        said = prompt(task, f"say before the restart\nwait {gate}\nsay and after\ntool make\nsay bye")
        await provider.agents.deliver(world.call(task), said, told)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            await told.until(lambda: told.text == "before the restart")
            group.cancel_scope.cancel()
    if not waits:
        await anyio.to_thread.run_sync(open_gate, gate)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        async with anyio.create_task_group() as group:
            await provider.agents.deliver(world.call(task), said, told)
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            if waits:
                await anyio.to_thread.run_sync(open_gate, gate)
    assert told.text == "before the restart and after|bye"
    assert told.of(TranscriptKind.NOTICE) == []
    assert len(world.agent_saw("session/prompt")) == 1


async def test_a_permission_request_survives_a_restart(world: LocalWorld) -> None:
    told = Told()
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        said = prompt(task, "say first\nask execute Run make?\nsay done")
        await provider.agents.deliver(world.call(task), said, told)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            await told.until(lambda: told.questions)
            group.cancel_scope.cancel()
    for _ in range(2):
        keys = list(told.questions)
        told.questions.clear()
        async with world.provider() as provider:
            await provider.agents.attach(world.call(task))
            async with anyio.create_task_group() as group:
                group.start_soon(provider.agents.follow, world.call(task), said, told)
                await told.until(lambda: told.questions)
                group.cancel_scope.cancel()
        assert list(told.questions) == keys
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        told.answer(keys[0], "yes")
        with anyio.fail_after(LIMIT):
            await provider.agents.follow(world.call(task), said, told)
    assert told.text == "first answer: yesdone"
    assert len(world.agent_saw("response")) == 1


async def test_what_the_ring_lost_while_nobody_listened_is_said(world: LocalWorld) -> None:
    gate, told = world.folder / "gate", Told()
    os.mkfifo(gate)
    done = world.folder / "done"
    os.mkfifo(done)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        said = prompt(task, f"say start\nwait {gate}\nflood 1500\nwait {done}")
        await provider.agents.deliver(world.call(task), said, told)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            await told.until(lambda: told.text == "start")
            group.cancel_scope.cancel()
    await anyio.to_thread.run_sync(open_gate, gate)
    # The agent comes to its second gate only after the flood is out of its hands.
    await anyio.to_thread.run_sync(open_gate, done)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        with anyio.fail_after(LIMIT):
            await provider.agents.follow(world.call(task), said, told)
    [notice] = told.of(TranscriptKind.NOTICE)
    assert "events of the agent were lost" in notice
    assert told.text.endswith("1498 1499")


async def test_an_agent_that_dies_while_the_backend_is_down(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
    os.kill(world.agent_pids()[0], signal.SIGKILL)
    async with world.provider() as provider:
        loss = Loss(provider)
        await provider.agents.attach(world.call(task))
        told = await turn(provider, world, task, "say two", "p2")
        assert told.text == "two"
        assert "does not remember" in told.of(TranscriptKind.NOTICE)[0]
        assert loss.heard == []


async def test_a_turn_whose_server_died_while_the_backend_was_down_fails(world: LocalWorld) -> None:
    told = Told()
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        said = prompt(task, "pause")
        await provider.agents.deliver(world.call(task), said, told)
    end_server(world, task)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        for _ in range(2):
            with pytest.raises(AgentError, match="in this turn while nobody"):
                await provider.agents.follow(world.call(task), said, told)
        told = await turn(provider, world, task, "say again", "p2")
        assert told.text == "again"
        assert "does not remember" in told.of(TranscriptKind.NOTICE)[0]
        with pytest.raises(AgentError, match="in this turn while nobody"):
            await provider.agents.follow(world.call(task), said, told)
    assert len(world.agent_saw("session/prompt")) == 2


@pytest.mark.parametrize("gone", ["agent", "server"])
async def test_a_turn_that_ended_as_the_backend_did_is_told_again_or_fails(world: LocalWorld, gone: str) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        said = prompt(task, "say all of it")
        assert (await turn(provider, world, task, said.text)).text == "all of it"
    if gone == "agent":
        os.kill(world.agent_pids()[0], signal.SIGKILL)
    else:
        end_server(world, task)
    told = Told()
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        await provider.agents.deliver(world.call(task), said, told)
        if gone == "agent":
            # The server's ring still has it.
            await provider.agents.follow(world.call(task), said, told)
            assert told.text == "all of it"
        else:
            with pytest.raises(AgentError, match="while nobody was listening"):
                await provider.agents.follow(world.call(task), said, told)
        assert (await turn(provider, world, task, "say again", "p2")).text == "again"
    assert len(world.agent_saw("session/prompt")) == 2


async def test_after_a_reboot_agents_are_started_when_they_are_asked(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
    end_server(world, task)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        assert len(world.agent_saw("start")) == 1
        assert world.logged("started with the next prompt")
        told = await turn(provider, world, task, "say two", "p2")
        assert told.text == "two"
        assert "does not remember" in told.of(TranscriptKind.NOTICE)[0]


async def test_a_reused_pid_is_left_alone(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
    state = server_of(world, task)
    end_server(world, task)
    stranger = msgspec.structs.replace(state, pid=os.getpid())
    path = world.data / "sandboxes" / task.task_id / "agent/server.json"
    path.write_bytes(msgspec.json.encode(stranger))
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        assert (await turn(provider, world, task, "say alive")).text == "alive"


async def test_killing_a_task_leaves_no_process(world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        loss = Loss(provider)
        task = await world.with_session(provider, world.task(sessions=2))
        said = prompt(task, f"wait {gate}")
        await provider.agents.deliver(world.call(task), said, Told())
        pids = [server_of(world, task).pid, *world.agent_pids()]
        assert all(processes.start_mark(pid) for pid in pids)
        await provider.destroy_sandbox(world.call(task), Release(force=True))
        assert [processes.start_mark(pid) for pid in pids] == [None] * 3
        assert loss.heard == []
        assert world.logged(f"killed sandbox-agent (pid {pids[0]}) and all that it started")
        assert not (world.data / "sandboxes" / task.task_id).exists()


async def test_killing_after_a_restart_ends_what_was_left_running(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
    pids = [server_of(world, task).pid, *world.agent_pids()]
    async with world.provider() as provider:
        await provider.destroy_sandbox(world.call(task), Release(force=True))
    assert [processes.start_mark(pid) for pid in pids] == [None] * 2
    assert not Path(world.data / "sandboxes" / task.task_id).exists()


async def test_last_words_that_the_server_logs_after_the_exit_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_log, "LAST_WORDS_PAUSES", (0.0,) * 5)
    looks = iter([[], [], ["one"], ["two"], []])

    class LateLog(ServerLog):
        def look(self) -> None:
            if not self._agents:
                self._agents.append(_Agent(0.0))
            else:
                self._agents[0].said.extend(next(looks))

    hearing = Hearing(LateLog(tmp_path / "server.log"), StoredSession(session_id="s", agent="pi", number_in_log=1))
    assert await hearing.is_lost() is False
    assert await hearing.last_words() == "one\ntwo"


async def test_last_words_are_those_of_the_agent_that_ended_and_of_none_before_it(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        with pytest.raises(AgentError, match="out of luck"):
            await turn(provider, world, task, "die out of luck")
        await provider.agents.attach(world.call(task))
        told, said = Told(), prompt(task, "say working\npause", "p2")
        await provider.agents.deliver(world.call(task), said, told)
        failures = []
        async with anyio.create_task_group() as group:
            group.start_soon(_kill_when, told, lambda: os.kill(world.agent_pids()[1], signal.SIGKILL))
            try:
                await provider.agents.follow(world.call(task), said, told)
            except AgentError as error:
                failures.append(error.message)
        assert failures == ["the agent pi ended (by a signal). Its last output: none"]


async def test_a_server_that_ends_has_not_said_what_its_agents_said(world: LocalWorld) -> None:
    async with world.provider() as provider:
        loss = Loss(provider)
        task = await world.with_session(provider, world.task())
        with pytest.raises(AgentError, match="out of luck"):
            await turn(provider, world, task, "die out of luck")
        await provider.agents.attach(world.call(task))
        end_server(world, task)
        assert (await loss.wait())[1] == "the sandbox-agent server ended (exit code -9). Its last output: none"
