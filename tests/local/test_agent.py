"""The runtime with the real sandbox-agent server and a scripted agent: sessions, turns, permissions, stopping."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest

from backend_stub.agents.sandbox_agent.connection import AgentConnection
from backend_stub.agents.sandbox_agent.runtime import UNSTOPPABLE
from backend_stub.agents.sandbox_agent.state import FORGOT
from backend_stub.domain.errors import AgentError
from backend_stub.domain.rulings import Intent
from backend_stub.machine import processes
from foundry_tui.contract.transcript import TranscriptKind
from tests.local.test_faults import Loss
from tests.local.test_turns import Late
from tests.local.world import LIMIT, LocalWorld, Told, ended, following, open_gate, prompt, turn
from tests.world import Json

pytestmark = pytest.mark.anyio


async def test_a_turn_becomes_a_transcript(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(
            provider, world, task, "think hm\nsay hello there\ntool make\nedit new.txt hi\nplan one,two\nsay bye"
        )
        assert [kind for kind, _ in told.items.values()] == [
            TranscriptKind.THOUGHT,
            TranscriptKind.MESSAGE,
            TranscriptKind.TOOL_CALL,
            TranscriptKind.TOOL_CALL,
            TranscriptKind.PLAN,
            TranscriptKind.MESSAGE,
        ]
        assert told.text == "hello there|bye"
        make, edit = told.of(TranscriptKind.TOOL_CALL)
        assert (make["title"], make["status"], make["content"]) == ("make", "completed", "output of make")
        assert list(edit["edits"]) == [{"path": "new.txt", "old": None, "new": "hi\n"}]
        assert [entry["content"] for entry in told.of(TranscriptKind.PLAN)[0]["entries"]] == ["one", "two"]


async def test_when_a_turn_is_over_it_is_known_what_it_changed(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        for number in range(1, 4):
            await turn(provider, world, task, f"write {number}.txt x", f"p{number}")
            names = ", ".join(f"{each}.txt" for each in range(1, number + 1))
            files = "file" if number == 1 else "files"
            assert list(provider.would_lose(task, delete_branch=True)) == [f"{number} uncommitted {files}: {names}"]
            diff = await provider.diff(task)
            assert diff is not None
            assert len(diff.files) == number
        with pytest.raises(AgentError, match="no luck"):
            await turn(provider, world, task, "write 4.txt x\nfail no luck", "p4")
        assert "4 uncommitted files" in provider.would_lose(task, delete_branch=False)[0]


async def test_an_agent_may_open_its_session_as_slowly_as_the_stage_allows(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AgentConnection.request, "__kwdefaults__", {"agent": None, "limit": 0.2})
    world.environ |= {"ACP_AGENT_SLOW": "0.5", "ACP_AGENT_LOADS": "1"}
    async with world.provider() as provider:
        loss = Loss(provider)
        task = await world.with_session(provider, world.task())
        os.kill(world.agent_pids()[0], signal.SIGKILL)
        await loss.wait()
        assert (await turn(provider, world, task, "say hi")).text == "hi"
        assert [len(world.agent_saw(f"session/{what}")) for what in ("new", "load")] == [1, 1]


async def test_sessions_side_by_side(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task(sessions=2))
        told = [Told(), Told()]
        async with anyio.create_task_group() as group:
            for number in (0, 1):
                said = prompt(task, f"say from {number}\nflood 200", f"p{number}", session=number)
                await provider.agents.deliver(world.call(task), said, told[number])
                group.start_soon(provider.agents.follow, world.call(task), said, told[number])
        numbers = " ".join(str(number) for number in range(200))
        assert [each.text for each in told] == [f"from {number} {numbers}" for number in (0, 1)]


NOT_INSIDE = partial(Intent, inside=False)
CALLS: list[tuple[Json, Intent]] = [
    ({"kind": "execute", "rawInput": {"command": "pytest -q"}}, NOT_INSIDE(("pytest -q",))),
    ({"kind": "execute", "rawInput": {"cmd": ["bash", "-lc", "make x"]}}, NOT_INSIDE(("make x",))),
    ({"kind": "execute", "rawInput": {"command": ["a", "b c"]}}, NOT_INSIDE(("a 'b c'",))),
    ({"kind": "execute", "rawInput": {"command": "a", "cmd": "b"}}, NOT_INSIDE(("a", "b"))),
    ({"kind": "execute", "rawInput": {"command": "git", "args": ["push"]}}, NOT_INSIDE(("git", "git push"))),
    ({"kind": "execute", "rawInput": {"command": "make", "cwd": "/elsewhere"}}, NOT_INSIDE(("make",), as_is=False)),
    ({"kind": "execute", "rawInput": {"command": "make", "env": {"PATH": "."}}}, NOT_INSIDE(("make",), as_is=False)),
    ({"kind": "execute", "rawInput": {"command": "make", "cwd": "src"}}, NOT_INSIDE(("make",))),
    ({"kind": "read", "locations": [{"path": "a.txt"}]}, Intent()),
    ({"kind": "read", "locations": [{"path": "/etc/passwd"}]}, NOT_INSIDE()),
    ({"kind": "search", "rawInput": {"paths": ["a/../../b"]}}, NOT_INSIDE()),
    ({"kind": "read", "rawInput": {"path": "./leads-out"}}, NOT_INSIDE()),
]


async def test_what_rules_go_by_is_told_with_a_question(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = world.task()
        made = await provider.create_sandbox(world.call(task))
        (Path(made.sandbox.cwd) / "leads-out").symlink_to("/etc/passwd")
        task = await world.with_session(provider, task)
        options = [{"optionId": "y", "kind": "allow_once"}]
        requests = [
            {"toolCall": call | {"toolCallId": f"t{number}"}, "options": options}
            for number, (call, _) in enumerate(CALLS)
        ]
        text = "\n".join(f"request {json.dumps(request)}" for request in requests)
        async with following(world, provider, task, text) as told:
            for number in range(len(CALLS)):
                await told.until(partial(told.has_questions, number + 1))
                told.answer(list(told.questions)[number], "y")
        assert list(told.intents.values()) == [intent for _, intent in CALLS]


async def test_an_unknown_request_of_the_agent_is_refused(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, "call fs/write_text_file")
        assert told.text == "fs/write_text_file: -32601"


async def test_stop_ends_the_turn(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, "say working\npause\nsay never") as told:
            await told.until(lambda: told.text == "working")
            await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        assert told.text == "working"
        await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        assert (await turn(provider, world, task, "say again", "p2")).text == "again"


async def test_stop_answers_open_requests_with_cancelled(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, "ask execute Run make?\nsay never") as told:
            await told.until(lambda: told.questions)
            await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        [response] = world.agent_saw("response")
        assert response["message"]["result"] == {"outcome": {"outcome": "cancelled"}}
        assert "never" not in told.text


async def test_an_agent_that_does_not_stop_is_ended(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.STOP_GRACE", 0.1)
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.session.STOP_GRACE", 0.1)
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"say working\nwait {gate}") as told:
            await told.until(lambda: told.text == "working")
            await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        assert "did not stop" in told.of(TranscriptKind.NOTICE)[0]
        told = await turn(provider, world, task, "say again", "p2")
        assert told.text == "again"
        assert "does not remember" in told.of(TranscriptKind.NOTICE)[0]


@pytest.mark.parametrize("obedient", [True, False])
async def test_a_turn_that_is_stopped_and_not_followed_any_more_is_over_before_the_next(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, obedient: bool
) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.session.STOP_GRACE", LIMIT if obedient else 0.1)
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(
            world,
            provider,
            task,
            "say working\npause\nsay never" if obedient else f"say working\nwait {gate}",
            cut=True,
        ) as told:
            await told.until(lambda: told.text == "working")
        await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        after = await turn(provider, world, task, "say next", "p2")
        assert after.text == "next"
        assert len(world.agent_saw("start")) == (1 if obedient else 2)
        assert len(world.agent_saw("session/cancel")) == 1


async def test_a_turn_that_is_stopped_and_not_followed_any_more_is_ended_with_its_agent(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.session.STOP_GRACE", 0.1)
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        late = Late(provider)
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"say working\nwait {gate}", cut=True) as told:
            await told.until(lambda: told.text == "working")
        await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        await ended(world.agent_pids()[0])
        await late.until(1)
        assert late.texts(TranscriptKind.NOTICE) == [UNSTOPPABLE]
        again = await turn(provider, world, task, "say again", "p2")
        assert again.text == "again"
        assert again.of(TranscriptKind.NOTICE) == [FORGOT]
        assert len(world.agent_saw("start")) == 2


async def test_a_request_that_was_open_when_its_turn_was_cut_is_answered_with_cancelled(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, "ask execute Run make?\nsay never", cut=True) as told:
            await told.until(lambda: told.questions)
        await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        assert (await turn(provider, world, task, "say next", "p2")).text == "next"
        [response] = world.agent_saw("response")
        assert response["message"]["result"] == {"outcome": {"outcome": "cancelled"}}


async def test_a_long_silence_is_no_failure(world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told, said = Told(), prompt(task, f"wait {gate}\nsay done")
        async with anyio.create_task_group() as group:
            with anyio.fail_after(LIMIT):
                await provider.agents.deliver(world.call(task), said, told)
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            await anyio.to_thread.run_sync(open_gate, gate)
        assert told.text == "done"


async def test_a_burst_that_the_ring_holds_arrives_whole(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, "flood 900")
        assert told.text == " ".join(str(number) for number in range(900))
        assert told.of(TranscriptKind.NOTICE) == []


async def test_of_a_burst_beyond_the_ring_what_is_lost_is_counted(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, "flood 6000")
        lost = sum(int(notice.split()[0]) for notice in told.of(TranscriptKind.NOTICE))
        numbers = [int(word) for word in told.text.split()]
        assert numbers == sorted(set(numbers))
        assert len(numbers) + lost == 6000


async def test_a_closed_session_leaves_no_process(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await provider.agents.close_session(world.call(task), task.sessions[0].session_id)
        await provider.agents.close_session(world.call(task), task.sessions[0].session_id)
        assert not any(processes.start_mark(pid) for pid in world.agent_pids())


async def test_an_agent_that_is_not_installed(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task(agent="codex"))
        with pytest.raises(AgentError, match="codex is not installed") as caught:
            await provider.agents.ensure_agent(world.call(task))
        assert not caught.value.retryable
        task = msgspec.structs.replace(task, agent="nonsense")
        with pytest.raises(AgentError, match="there is no agent 'nonsense'"):
            await provider.agents.ensure_agent(world.call(task))


async def test_without_the_binary_the_error_says_how_to_get_it(git_world: LocalWorld) -> None:
    git_world.environ["PATH"] = "/usr/bin:/bin"
    git_world.environ["FOUNDRY_SANDBOX_AGENT"] = str(git_world.folder / "nowhere")
    async with git_world.provider() as provider:
        assert "foundry agent install" in provider.state()
        task = await git_world.with_sandbox(provider, git_world.task())
        with pytest.raises(AgentError, match="foundry agent install") as caught:
            await provider.agents.ensure_agent(git_world.call(task))
        assert not caught.value.retryable


async def test_the_token_is_nowhere_to_be_seen(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        state = world.data / "sandboxes" / task.task_id / "agent/server.json"
        assert state.stat().st_mode & 0o077 == 0
        server = msgspec.json.decode(state.read_bytes())
        shown = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (server["pid"], *world.agent_pids())]
        assert shown[0]
        assert not any(server["token"].encode() in arguments for arguments in shown)
        assert not world.logged(server["token"])
        assert not any(server["token"] in path.read_text() for path in state.parent.glob("*.log"))
