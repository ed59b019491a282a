"""A turn always ends, and says why: errors of any shape, what cannot be read, streams that stop, late words."""

import contextlib
import errno
import json
import os
import shlex
import signal
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from backend_stub.agents.sandbox_agent.connection import AgentConnection
from backend_stub.agents.sandbox_agent.runtime import SandboxAgentRuntime
from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.agents.sandbox_agent.state import StateFolder
from backend_stub.agents.sandbox_agent.turn import MOST_QUESTIONS
from backend_stub.domain.agent import SaidOutsideTurn
from backend_stub.domain.errors import AgentError, StorageUnavailableError
from backend_stub.domain.rulings import NOTHING_KNOWN, Intent
from backend_stub.machine import processes
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.questions import Question
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.view.questions import QuestionLine, heading_of, lines_of
from tests.local.test_faults import Loss
from tests.local.world import LIMIT, LocalWorld, Told, following, open_gate, prompt, turn
from tests.waiting import seen_at_last

pytestmark = pytest.mark.anyio


class Late:
    """Hears what agents say outside of turns."""

    def __init__(self, provider: LocalProvider) -> None:
        self.items: dict[str, SaidOutsideTurn] = {}
        self.of: set[str] = set()
        self._changed = anyio.Event()
        provider.agents.on_said = self._hear

    async def _hear(self, task_id: str, session_id: str, words: Any) -> None:
        self.of.add(session_id)
        self.items |= {word.item_id: word for word in words}
        self._changed.set()
        self._changed = anyio.Event()

    def texts(self, kind: TranscriptKind = TranscriptKind.MESSAGE) -> list[str]:
        return [str(word.body).strip() for word in self.items.values() if word.kind is kind]

    async def until(self, count: int) -> None:
        with anyio.fail_after(LIMIT):
            while len(self.items) < count:
                await self.again()

    async def again(self) -> None:
        """Wait until something is heard."""
        await self._changed.wait()


async def failure(
    world: LocalWorld, provider: LocalProvider, task: TaskDetail, text: str, prompt_id: str = "p1"
) -> str:
    """Why this turn failed."""
    with pytest.raises(AgentError) as caught:
        await turn(provider, world, task, text, prompt_id)
    return caught.value.message


# Errors


@pytest.mark.parametrize(
    "data",
    [None, True, 5, "why it failed", ["why it failed"], {"message": "why it failed"}, {"details": "why it failed"}],
    ids=["null", "true", "number", "text", "list", "message", "details"],
)
async def test_an_error_with_any_data_ends_the_turn_and_says_why(world: LocalWorld, data: object) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        error = json.dumps({"code": -32603, "message": "Internal error", "data": data})
        message = await failure(world, provider, task, f"say hm\nerror {error}")
        assert message.startswith("pi failed: ")
        assert ("why it failed" in message) is ("why it failed" in error)
        assert world.logged("the turn of pi failed: ")


@pytest.mark.parametrize("result", ["null", "[]", '{"stopReason": 5}'])
async def test_a_result_that_cannot_be_read_fails_the_turn(world: LocalWorld, result: str) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        assert "cannot be read" in await failure(world, provider, task, f"say hm\nresult {result}")


async def test_a_stop_for_an_unknown_reason_is_said(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, 'say hm\nresult {"stopReason": "went_fishing", "usage": {}}')
        assert told.of(TranscriptKind.NOTICE) == ["The agent stopped for a reason of its own: went_fishing."]


@pytest.mark.parametrize(
    ("answer", "then", "said"),
    [
        ("no", 'result {"stopReason": "cancelled"}', True),
        ("no", "", True),
        ("no", "say another way", False),
        ("no", 'result {"stopReason": "max_tokens"}', False),
        ("yes", "", False),
    ],
)
async def test_an_agent_that_ends_its_turn_as_it_is_denied_something_is_said_to_have(
    world: LocalWorld, answer: str, then: str, said: bool
) -> None:
    options = [{"optionId": "yes", "kind": "allow_once"}, {"optionId": "no", "kind": "reject_once"}]
    ask = {"toolCall": {"toolCallId": "t", "title": "make"}, "options": options}
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"request-in-silence {json.dumps(ask)}\n{then}") as told:
            await told.until(lambda: told.questions)
            told.answer(next(iter(told.questions)), answer)
        notice = "The agent ended its turn as this was denied: make. Say how it is to go on."
        assert (notice in told.of(TranscriptKind.NOTICE)) is said


async def test_an_agent_whose_inside_died_gets_a_new_process(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        assert "process exited" in await failure(world, provider, task, "broken")
        assert (await turn(provider, world, task, "say alive", "p2")).text == "alive"
        assert "process exited" in await failure(world, provider, task, "broken", "p3")
        await provider.agents.attach(world.call(task))
        assert len(world.agent_saw("start")) == 3
        assert not processes.start_mark(world.agent_pids()[1])
        assert (await turn(provider, world, task, "say alive again", "p4")).text == "alive again"
        assert len(world.agent_saw("start")) == 3


async def test_what_the_models_provider_refuses_leaves_the_agent_as_it_is(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        error = (
            '{"code": -32603, "message": "Internal error", "data": {"message": "last status: 429 Too Many Requests"}}'
        )
        assert "asked too often" in await failure(world, provider, task, f"error {error}")
        # Nor is a conversation that the agent could not load again given up for an error that says what it is.
        full = {"code": -32603, "message": "Internal error", "data": "the context window is exceeded"}
        assert "window is exceeded" in await failure(world, provider, task, f"error {json.dumps(full)}", "p2")
        assert (await turn(provider, world, task, "say alive", "p3")).text == "alive"
        assert len(world.agent_saw("start")) == 1


async def test_a_login_that_came_into_the_backends_environment_counts_at_the_next_attempt(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_LOGIN"] = str(world.folder / "nowhere")
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        with pytest.raises(AgentError, match="wants a login"):
            await provider.agents.create_session(world.call(task), task.sessions[0])
    del world.environ["ACP_AGENT_LOGIN"]
    async with world.provider() as provider:
        await provider.agents.create_session(world.call(task), task.sessions[0])
        assert (await turn(provider, world, task, "say one")).text == "one"


async def test_a_login_that_is_wanted_is_not_tried_again_and_keeps_the_conversation(world: LocalWorld) -> None:
    door = world.folder / "logged in"
    world.environ["ACP_AGENT_LOGIN"] = str(door)
    world.environ["ACP_AGENT_LOADS"] = "1"
    world.environ["ACP_AGENT_AUTH"] = '[{"id": "key", "name": "Use an API key", "description": null}, "odd"]'
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        with pytest.raises(AgentError) as caught:
            await provider.agents.create_session(world.call(task), task.sessions[0])
        assert not caught.value.retryable
        assert caught.value.message == (
            "pi wants a login (Authentication required): log in with `pi /login` in a terminal "
            "(pi offers: Use an API key), then retry"
        )
        door.touch()
        await provider.agents.create_session(world.call(task), task.sessions[0])
        await turn(provider, world, task, "say one")
        door.unlink()
        os.kill(world.agent_pids()[-1], 9)
        with pytest.raises(AgentError, match="wants a login"):
            with anyio.fail_after(LIMIT):
                while True:
                    await provider.agents.attach(world.call(task))
        door.touch()
        told = await turn(provider, world, task, "say two", "p2")
        assert "has read the conversation" in told.of(TranscriptKind.NOTICE)[0]
        assert told.text == "two"


# What cannot be read


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc": "2.0", "id": {id}, "result": {"stopReason": "\\ud800"}}',
        '{"jsonrpc": "2.0", "id": {id}, "resu',
        '[{"jsonrpc": "2.0", "id": {id}, "result": {}}]',
        '{"jsonrpc": "2.0", "result": {"stopReason": "end_turn"}}',
        '{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}',
    ],
    ids=["lone surrogate", "cut", "batch", "no id", "id null"],
)
async def test_an_answer_that_cannot_be_read_fails_the_turn(world: LocalWorld, line: str) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        message = await failure(world, provider, task, f"say hm\nraw {line}\nmute")
        assert "cannot be read where the end of its turn was to be expected" in message
        assert (await turn(provider, world, task, "say again", "p2")).text == "again"


async def test_an_answer_whose_id_became_a_text_is_the_answer(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        line = 'raw {"jsonrpc": "2.0", "id": "{id}", "result": {"stopReason": "end_turn"}}'
        assert (await turn(provider, world, task, f"say hm\n{line}\nmute")).text == "hm"


async def test_what_cannot_be_read_is_counted_and_the_turn_goes_on(world: LocalWorld) -> None:
    lines = [
        "raw npm WARN deprecated",
        "raw [1, 2]",
        "raw 5",
        "raw null",
        'raw {"some": "thing"}',
        'raw {"jsonrpc": "2.0", "method": 5}',
        'update {"sessionUpdate": "agent_message_chunk", "content": {"type": 5}}',
        'update {"sessionUpdate": "tool_call", "toolCallId": "t", "content": 5}',
        'raw {"jsonrpc": "2.0", "id": 999999, "result": {}}',
    ]
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, "\n".join(["say one", *lines, "say two"]))
        [notice] = told.of(TranscriptKind.NOTICE)
        assert notice.startswith("8 messages of the agent could not be read. The last is: ")
        assert told.text == "one|two"


async def test_updates_of_kinds_and_fields_that_we_do_not_know_are_no_fault(world: LocalWorld) -> None:
    lines = [
        'update {"sessionUpdate": "usage_update", "used": 1, "content": {"odd": 1}, "title": 5, "status": []}',
        'update {"sessionUpdate": "brand_new", "entries": 5}',
        'update {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "Run", "status": "brand_new", "x": 1,'
        ' "content": [{"type": "brand_new", "content": 5}, {"type": "content", "content": {"type": "brand_new"}}],'
        ' "locations": 5}',
        'update {"sessionUpdate": "plan", "entries": [{"content": "one", "priority": null, "x": 1}]}',
        'raw {"jsonrpc": "2.0", "method": "_brand/new", "params": [1]}',
    ]
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, "\n".join(lines))
        assert told.of(TranscriptKind.NOTICE) == []
        assert told.of(TranscriptKind.TOOL_CALL)[0]["content"] == "[brand_new]"
        assert len(told.of(TranscriptKind.PLAN)) == 1


@pytest.mark.parametrize("line", ["raw [1, 2]", "raw hello there"], ids=["no object", "no JSON"])
async def test_silence_after_something_unreadable_ends_the_turn(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.DOUBT", 0.2)
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.NOISE_DOUBT", 0.2)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        assert "cannot be read" in await failure(world, provider, task, f"say hm\n{line}\nmute")


async def test_an_agent_that_says_what_is_no_utf8_fails_its_turn_and_gets_a_new_process(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task(sessions=2))
        other, told = prompt(task, "pause\nsay unharmed", "p0", session=1), Told()
        await provider.agents.deliver(world.call(task), other, told)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.follow, world.call(task), other, told)
            message = await failure(world, provider, task, "say hm\nlatin caf\xe9\nmute")
            assert "cannot read any more what pi says" in message
            assert "send the prompt again" in message
            assert (await turn(provider, world, task, "say again", "p2")).text == "again"
            assert not processes.start_mark(world.agent_pids()[0])
            assert processes.start_mark(world.agent_pids()[1])
            await provider.agents.stop(world.call(task), other.session_id)


async def test_an_agent_that_says_what_is_no_utf8_between_turns_takes_the_next_prompt(world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, f"late {gate} latin caf\xe9\nsay one")
        await anyio.to_thread.run_sync(open_gate, gate)
        log = world.data / "sandboxes" / task.task_id / "agent/server.log"
        await seen_at_last(lambda: "stdout: stream ended" in log.read_text())
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"


async def test_an_agent_that_says_what_is_no_utf8_opens_no_session(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_NEW"] = "latin"
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        with anyio.fail_after(LIMIT), pytest.raises(AgentError, match="cannot read any more what pi says"):
            await provider.agents.create_session(world.call(task), task.sessions[0])


# Late words


async def test_what_is_said_after_the_turns_end_is_kept_once_over_a_restart(world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    update = '{"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "completed"}'
    tool = '{"sessionUpdate": "tool_call", "toolCallId": "t", "title": "In the background", "status": "in_progress"}'
    late_text = f'request {{"options": []}}|update {update}|chunk m9 and later|raw noise'
    async with world.provider() as provider:
        late = Late(provider)
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, f"update {tool}\nsay one\nlate {gate} {late_text}")
        assert told.text == "one"
        await anyio.to_thread.run_sync(open_gate, gate)
        await late.until(5)
        assert late.texts() == ['outcome: {"outcome": "cancelled"}', "and later"]
        [tool_item] = [word for word in late.items.values() if word.kind is TranscriptKind.TOOL_CALL]
        assert tool_item.item_id == "p1:p1:tool-t"
        assert isinstance(tool_item.body, dict)
        assert (tool_item.body["title"], tool_item.body["status"]) == ("In the background", "completed")
        assert len(late.texts(TranscriptKind.NOTICE)) == 2
        assert late.of == {task.sessions[0].session_id}
        assert set(late.items) & {f"p1:{key}" for key in told.items} == {"p1:p1:tool-t"}
        state = world.data / "sandboxes" / task.task_id / f"agent/session-{task.sessions[0].session_id}.json"
        await seen_at_last(lambda: (json.loads(state.read_text())["translation"] or {}).get("unreadable"))
    async with world.provider() as provider:
        again = Late(provider)
        await provider.agents.attach(world.call(task))
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"
        assert again.items == {}


async def test_what_is_said_before_the_first_turn_is_kept_and_what_was_replayed_is_not(world: LocalWorld) -> None:
    world.environ |= {"ACP_AGENT_LOADS": "1", "ACP_AGENT_NEW": "greets"}
    async with world.provider() as provider:
        late, loss = Late(provider), Loss(provider)
        task = await world.with_session(provider, world.task())
        await late.until(1)
        await turn(provider, world, task, "say one")
        os.kill(world.agent_pids()[0], signal.SIGKILL)
        await loss.wait()
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"
        assert late.texts() == ["welcome"]
        # Nor by the next backend, if nothing was asked since.
        await provider.agents.restart(world.call(task))
    async with world.provider() as provider:
        late = Late(provider)
        await provider.agents.attach(world.call(task))
        assert (await turn(provider, world, task, "say three", "p3")).text == "three"
        assert late.texts() == []


async def test_what_is_said_after_a_stop_is_kept(world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        late = Late(provider)
        task = await world.with_session(provider, world.task())
        async with following(
            world, provider, task, f"say working\nlate {gate} chunk m9 cleaning up\npause", cut=True
        ) as told:
            await told.until(lambda: told.text == "working")
        await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        await anyio.to_thread.run_sync(open_gate, gate)
        await late.until(1)
        assert late.texts()[-1] == "cleaning up"


async def test_what_is_late_is_not_lost_to_the_next_prompt(world: LocalWorld) -> None:
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        late = Late(provider)
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, f"late {gate} say later\nsay one")
        await anyio.to_thread.run_sync(open_gate, gate)
        told = await turn(provider, world, task, "say two", "p2")
        if "later" not in told.text:
            await late.until(1)
        assert [*late.texts(), *told.text.split("|")] in (["later", "two"], ["later two"], ["two later"])


async def test_another_message_id_is_another_message(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(
            provider, world, task, "chunk a One \nchunk a issue.\nchunk b Better\nchunk b  now.\nsay more"
        )
        assert told.text == "One issue.|Better now.more"


# Questions


QUESTION = {
    "toolCall": {
        "toolCallId": "t",
        "title": "Edit a.txt",
        "kind": "edit",
        "rawInput": {"command": ["make", "release; rm"], "why": "it is time", "new": "two\n"},
        "content": [
            {"type": "content", "content": {"type": "text", "text": "line\n" * 50_000}},
            {"type": "diff", "path": "a.txt", "oldText": "one\n", "newText": "two\n"},
            {"type": "brand_new"},
        ],
        "locations": [{"path": "/elsewhere/a.txt", "line": 3}, 5],
    },
    "options": [
        5,
        {"optionId": "fine", "name": "Yes", "kind": "allow_once", "x": 1},
        {"optionId": "odd"},
        {"name": "no id"},
    ],
}


async def test_a_question_has_all_that_is_to_be_judged(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"request {json.dumps(QUESTION)}\nsay done") as told:
            await told.until(lambda: told.questions)
            [(key, question)] = told.questions.items()
            told.answer(key, "fine")
        assert question.text == "make 'release; rm'\n\n" + "line\n" * 50_000 + "\n\nwhy: it is time"
        [edit] = question.edits
        assert (edit.path, edit.old, edit.new) == ("a.txt", "one\n", "two\n")
        assert question.paths == ("/elsewhere/a.txt",)
        assert question.tool_kind == "edit"
        assert [(option.option_id, option.name, option.kind) for option in question.options] == [
            ("fine", "Yes", "allow_once"),
            ("odd", "odd", "other"),
        ]
        assert '"optionId": "fine"' in told.text


async def test_an_agent_may_use_the_id_of_a_request_again(world: LocalWorld) -> None:
    ask = f"request-as-7 {json.dumps(QUESTION)}"
    unknown = 'raw {"jsonrpc": "2.0", "id": 8, "method": "unheard/of"}'
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"{unknown}\n{ask}\n{unknown}\n{ask}\nsay done") as told:
            for count in (1, 2):
                await told.until(partial(told.has_questions, count))
                told.answer(list(told.questions)[-1], "fine")
        assert told.text.count('"optionId": "fine"') == 2
        assert told.text.endswith("done")
        assert [answer["message"]["id"] for answer in world.agent_saw("response")] == [8, 7, 8, 7]


async def test_of_questions_without_end_those_that_a_person_can_judge_are_asked(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.QUESTIONS_LIMIT", 100_000)

    def raw(number: int, words: str) -> str:
        params = {**QUESTION, "toolCall": {"title": words}}
        request = {"jsonrpc": "2.0", "id": number, "method": "session/request_permission", "params": params}
        return f"raw {json.dumps(request)}"

    huge = raw(999, "x" * 100_000)
    many = "\n".join(raw(number, f"question {number}") for number in range(MOST_QUESTIONS + 20))
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"{huge}\n{many}\nask execute Run make?\nsay done") as told:
            await told.until(partial(told.has_questions, MOST_QUESTIONS))
            await told.until(lambda: told.text.endswith("done"))
            for key in list(told.questions):
                told.answer(key, "fine")
        assert len(told.questions) == MOST_QUESTIONS
        assert told.text == "answer: cancelleddone"
        [notice] = told.of(TranscriptKind.NOTICE)
        assert notice.startswith("22 more questions of the agent were answered with cancelled")
        assert len(world.agent_saw("response")) >= 22


async def test_what_is_long_is_shown_once(world: LocalWorld) -> None:
    """As one agent asks: the script as the title, as a shell's argument, among the text, and in more of its input."""
    script = "cd shop\n" + "".join(f"echo '{n}'\n" for n in range(300)) + "rm -rf /srv"
    call = {
        "title": script,
        "kind": "execute",
        "rawInput": {
            "command": ["/bin/bash", "-lc", script],
            "actions": [{"cmd": script}],
            "cwd": "/x",
        },
        "content": [{"type": "content", "content": {"type": "text", "text": f"Amendment: /bin/bash\n{script}\nok?"}}],
    }
    edit = {
        "kind": "edit",
        "rawInput": {"changes": {"a.py": {"content": "one\ntwo\n"}}},
        "content": [{"type": "diff", "path": "a.py", "newText": "one\ntwo\n"}],
    }
    asked = []
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        assert task.sandbox is not None
        edit["title"] = f"Edit {task.sandbox.cwd}/a.py"
        for number, each in enumerate((call, edit)):
            ask = {"toolCall": {"toolCallId": "t", **each}, "options": [{"optionId": "y", "kind": "allow_once"}]}
            async with following(world, provider, task, f"request {json.dumps(ask)}\nsay done", f"p{number}") as told:
                await told.until(lambda told=told: told.questions)  # type: ignore[misc]
                [(key, question)] = told.questions.items()
                told.answer(key, "y")
            asked.append(question)
    shown = "Amendment: /bin/bash\n(as shown)\nok?"
    rest = {"cwd: /x", 'actions: [{"cmd":"(as shown)"}]'}
    assert asked[0].text is not None
    text, _, last = asked[0].text.rpartition("\n\n")
    assert (text, set(last.split("\n"))) == (f"{script}\n\n{shown}", rest)
    assert heading_of(asked[0]) == "cd shop …"
    assert asked[1].title == "Edit a.py"
    assert asked[1].text == 'changes: {"a.py":{"content":"(as shown)"}}'
    assert [line for line, _ in lines_of(asked[1])] == [
        QuestionLine.FILE,
        QuestionLine.ADDED,
        QuestionLine.ADDED,
        QuestionLine.TEXT,
    ]


REASON = "It needs the network."


def asked_by_codex(command: str, always: list[str], reason: str = "") -> dict[str, Any]:
    """A question about a command as codex-acp asks it."""
    script = ["/bin/bash", "-lc", command]
    answers = ["approved", {"approved_execpolicy_amendment": {"proposed_execpolicy_amendment": always}}, "abort"]
    lines = [reason] * bool(reason) + ["Proposed Amendment: " + "\n".join(always)]
    text = "\n".join((*lines, "Available Decisions: Approved", "ApprovedExecpolicyAmendment", "Abort"))
    told = {
        "call_id": "t",
        "command": script,
        "available_decisions": answers,
        "proposed_execpolicy_amendment": always,
        "parsed_cmd": [{"type": "unknown", "cmd": command}],
    }
    content = [{"type": "content", "content": {"type": "text", "text": text}}]
    return {
        "title": command,
        "kind": "execute",
        "rawInput": told | ({"reason": reason} if reason else {}),
        "content": content,
    }


@pytest.mark.parametrize(
    ("command", "always", "reason", "text"),
    [
        ("git push", ["/bin/bash", "-lc", "git push"], "", "git push"),
        ("git push", ["/bin/bash", "-lc", "git push"], REASON, f"git push\n\n{REASON}"),
        ("git push", ["git"], "", "git push"),
        ("git push", ["git", "\n"], "", 'git push\n\nproposed_execpolicy_amendment: ["git","\\n"]'),
        # What the model says cannot pass for what the agent says of its answers, and hide something.
        (
            "git push",
            ["git", "push"],
            "Available Decisions: One\nTwo",
            "git push\n\nAvailable Decisions: One\nTwo",
        ),
    ],
)
async def test_a_question_has_nothing_that_its_options_say(
    world: LocalWorld, command: str, always: list[str], reason: str, text: str
) -> None:
    call = asked_by_codex(command, always, reason)
    words = shlex.join(always)
    name = "Yes, and remember this" if "\n" in words else f"Yes, and also what starts with `{words}`"
    assert (await question_about(world, call, name)).text == text


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("[current working directory {cwd}] (Runs it) [background]", "make all\n\n(Runs it) [background]"),
        ("[in /elsewhere] (Runs it)", "[in /elsewhere] (Runs it)"),
    ],
)
async def test_a_command_that_is_a_title_is_the_command(world: LocalWorld, told: str, text: str) -> None:
    """As gemini asks: with the folder where a command would be run, and nothing of what its tool is called with."""
    content = [{"type": "content", "content": {"type": "text", "text": told}}]
    call = {"title": "make all", "kind": "execute", "content": content, "locations": []}
    assert (await question_about(world, call)).text == text


async def question_about(world: LocalWorld, call: dict[str, Any], always: str = "Yes, always") -> Question:
    """What a person is asked about this tool call, in which `{cwd}` is the folder where the agent works.

    `always` is what its option is called that allows more than this.
    """
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        assert task.sandbox is not None
        options = [{"optionId": "y", "kind": "allow_once"}, {"optionId": "a", "kind": "allow_always", "name": always}]
        ask = {"toolCall": {"toolCallId": "t", **call}, "options": options}
        request = json.dumps(ask).replace("{cwd}", task.sandbox.cwd)
        async with following(world, provider, task, f"request {request}\nsay done") as told:
            await told.until(lambda: told.questions)
            [(key, question)] = told.questions.items()
            told.answer(key, "y")
        return question


async def test_a_question_knows_what_was_told_of_its_tool_call_before(world: LocalWorld) -> None:
    call = {
        "sessionUpdate": "tool_call",
        "toolCallId": "t",
        "title": "make",
        "kind": "execute",
        "rawInput": {"command": "make all"},
        "locations": [{"path": "/elsewhere"}],
    }
    ask = {"toolCall": {"toolCallId": "t"}, "options": [{"optionId": "y", "kind": "allow_once"}]}
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"update {json.dumps(call)}\nrequest {json.dumps(ask)}") as told:
            await told.until(lambda: told.questions)
            [(key, question)] = told.questions.items()
            told.answer(key, "y")
        assert (question.title, question.tool_kind, question.text) == ("make", "execute", "make all")
        assert question.paths == ("/elsewhere",)


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        ({"toolCall": {"title": "Run make?"}, "options": []}, "it offers no answer that can be read"),
        ({"toolCall": {"title": "Run make?"}, "options": [1, {"kind": "allow_once"}]}, "it offers no answer"),
        ({"toolCall": 5, "options": [{"optionId": "y"}], "note": "Run make?"}, "the question cannot be read"),
    ],
)
async def test_a_question_that_nobody_can_answer_is_said_so(world: LocalWorld, ask: dict[str, Any], why: str) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, f"request {json.dumps(ask)}\nsay done")
        [notice] = told.of(TranscriptKind.NOTICE)
        assert "Run make?" in notice
        assert why in notice
        assert "cancelled" in told.text
        assert told.text.endswith("done")


async def test_a_question_that_is_lost_is_answered_with_cancelled_and_said(world: LocalWorld) -> None:
    line = '{"jsonrpc": "2.0", "id": 1001, "method": "session/request_permission", "params": {"title": "\\ud800"}}'
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, f"raw {line}\ncall some/method")
        [notice] = told.of(TranscriptKind.NOTICE)
        assert "request_permission" in notice


async def test_an_unreadable_line_while_a_question_is_open_leaves_the_person_time(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.DOUBT", 0.2)
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, f"late {gate} raw 5\nask execute Run make?\nsay done") as told:
            await told.until(partial(told.has_questions, 1))
            await anyio.to_thread.run_sync(open_gate, gate)
            await told.until(lambda: told.of(TranscriptKind.NOTICE))
            await anyio.sleep(0.5)
            monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.DOUBT", LIMIT)
            told.answer(next(iter(told.questions)), "yes")
        assert told.text == "answer: yesdone"


async def test_late_words_are_kept_though_the_prompt_that_waits_for_them_is_withdrawn(world: LocalWorld) -> None:
    first, second = world.folder / "first", world.folder / "second"
    os.mkfifo(first)
    os.mkfifo(second)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        heard = Late(provider)
        hear, begun, kept = provider.agents.on_said, anyio.Event(), anyio.Event()
        assert hear is not None

        async def slowly(task_id: str, session_id: str, words: Any) -> None:
            begun.set()
            await kept.wait()
            await hear(task_id, session_id, words)

        provider.agents.on_said = slowly
        await turn(provider, world, task, f"late {first} say one\nlate {second} say two\nsay done")
        await anyio.to_thread.run_sync(open_gate, first)
        with anyio.fail_after(LIMIT):
            await begun.wait()
        await anyio.to_thread.run_sync(open_gate, second)
        assert isinstance(provider.agents, SandboxAgentRuntime)
        session = provider.agents._sessions[task.sessions[0].session_id]
        with anyio.fail_after(LIMIT):
            while not session._inbox:
                await session.woken()
        with anyio.move_on_after(0.2):
            await provider.agents.deliver(world.call(task), prompt(task, "say more", "p2"), Told())
        kept.set()
        with anyio.fail_after(LIMIT):
            while heard.texts() != ["one two"]:
                await heard.again()


class Looks:
    """Counts how often the files of a sandbox are to be compared."""

    count = 0

    def refresh(self, task_id: str) -> None:
        self.count += 1

    async def computed(self, task_id: str) -> None:
        """It is known at once."""


@pytest.mark.parametrize("ends", ["say done", "fail no luck", "say hm\ndie for good"])
async def test_what_a_turn_changed_is_looked_at_once(world: LocalWorld, ends: str) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        looks = provider.agents.files = Looks()
        with contextlib.suppress(AgentError):
            await turn(provider, world, task, ends)
        assert looks.count == 1


# What goes wrong on our side


async def test_a_turn_whose_telling_was_cut_by_a_fault_goes_on_where_it_stopped(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Told.ask
    faults = iter([StorageUnavailableError("the disk is full")])

    async def ask_later(told: Told, key: str, question: Question, intent: Intent = NOTHING_KNOWN) -> str | None:
        for fault in faults:
            raise fault
        return await ask(told, key, question, intent)

    monkeypatch.setattr(Told, "ask", ask_later)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told, said = Told(), prompt(task, "say one\nask execute Run make?\nsay two")
        await provider.agents.deliver(world.call(task), said, told)
        with pytest.raises(StorageUnavailableError, match="the disk is full"):
            await provider.agents.follow(world.call(task), said, told)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            await told.until(lambda: told.questions)
            told.answer(next(iter(told.questions)), "yes")
        assert told.text.startswith("one")
        assert told.text.endswith("answer: yestwo")
        assert len(world.agent_saw("response")) == 1


@pytest.mark.parametrize("late", [False, True], ids=["the end of a turn", "what is said after it"])
async def test_a_full_disk_behind_a_turn_ends_no_stream(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    gate, full = world.folder / "gate", anyio.Event()
    os.mkfifo(gate)
    save = StateFolder.save_session

    def save_later(folder: StateFolder, session_id: str, document: bytes) -> None:
        if not full.is_set():
            full.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        save(folder, session_id, document)

    monkeypatch.setattr("backend_stub.agents.sandbox_agent.runtime.SETTLE", 0 if not late else LIMIT)
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.session.BUSY_WAIT", 0)
    async with world.provider() as provider:
        loss, heard = Loss(provider), Late(provider)
        task = await world.with_session(provider, world.task())
        end_turn = Session.end_turn

        async def end_turn_well(session: Session, prompt_id: str, error: str | None = None) -> None:
            await end_turn(session, prompt_id, error)
            monkeypatch.setattr(StateFolder, "save_session", save_later)

        monkeypatch.setattr(Session, "end_turn", end_turn_well)
        await turn(provider, world, task, f"late {gate} say late\nsay one")
        if late:
            assert isinstance(provider.agents, SandboxAgentRuntime)
            [session] = provider.agents._sessions.values()
            session.state.prompts["p1"].settled = True
            await anyio.to_thread.run_sync(open_gate, gate)
            await heard.until(1)
        with anyio.fail_after(LIMIT):
            await full.wait()
        monkeypatch.setattr(Session, "end_turn", end_turn)
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"
        assert loss.heard == []
        assert len(world.agent_saw("start")) == 1


async def test_an_answer_that_does_not_reach_the_agent_fails_the_turn(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def respond(connection: AgentConnection, request_id: str, result: Any) -> None:
        raise AgentError("the connection to sandbox-agent broke")

    monkeypatch.setattr("backend_stub.agents.sandbox_agent.turn.LOSS_WAIT", 0.1)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told, said = Told(), prompt(task, "ask execute Run make?")
        await provider.agents.deliver(world.call(task), said, told)
        monkeypatch.setattr(AgentConnection, "respond", respond)

        async def answer() -> None:
            await told.until(lambda: told.questions)
            told.answer(next(iter(told.questions)), "yes")

        async with anyio.create_task_group() as group:
            group.start_soon(answer)
            with pytest.raises(AgentError, match="an answer did not reach pi: the connection to sandbox-agent broke"):
                await provider.agents.follow(world.call(task), said, told)
        assert len(world.agent_saw("session/cancel")) == 1
