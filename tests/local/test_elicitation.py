"""Forms and pages that an ACP agent asks for, read through the real server, and how their answers reach it."""

import json
import os
import signal
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from backend_stub.agents.sandbox_agent.elicitation import UnshowableError, question_of
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.domain.agent import Reply
from foundry_tui.contract.questions import AnswerAction, FieldChoice, FieldType, Question, QuestionKind
from foundry_tui.contract.transcript import TranscriptKind
from tests.backend.process import BackendProcess
from tests.local.world import LocalWorld, following, turn

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "version": {"type": "string", "title": "Version", "minLength": 3, "pattern": "^v", "default": "v1.0"},
        "level": {"type": "string", "oneOf": [{"const": "low", "title": "Low"}, {"const": "high"}]},
        "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 5, "default": 9},
        "sure": {"type": "boolean", "default": False},
        "where": {"type": "array", "minItems": 1, "items": {"anyOf": [{"const": "eu", "title": "Europe"}]}},
        "kind": {"enum": ["a", "b"], "enumNames": ["First"]},
    },
    "required": ["version", "where"],
}
URL: Json = {"mode": "url", "message": "Log in", "url": "https://login.example/x?y", "elicitationId": "e1"}


def _question(**params: object) -> Question:
    raw = Raw(msgspec.json.encode({"sessionId": "s", "message": "Which?", **params}))
    return question_of(Message(method="elicitation/create", params=raw))


def test_a_schema_becomes_fields() -> None:
    question = _question(requestedSchema=SCHEMA)
    assert (question.kind, question.title, question.options) == (QuestionKind.FORM, "Which?", ())
    fields = {field.name: field for field in question.fields}
    assert [name for name, field in fields.items() if field.required] == ["version", "where"]
    version = fields["version"]
    assert (version.type, version.title, version.min, version.pattern) == (FieldType.STRING, "Version", 3, "^v")
    assert version.default == "v1.0"
    low, high = FieldChoice(value="low", name="Low"), FieldChoice(value="high", name="high")
    assert (fields["level"].type, fields["level"].choices) == (FieldType.SELECT, (low, high))
    assert (fields["count"].type, fields["count"].min, fields["count"].max) == (FieldType.INTEGER, 1, 5)
    assert fields["count"].default is None, "it does not fit"
    assert fields["sure"].default is False
    assert (fields["where"].type, fields["where"].min) == (FieldType.MULTISELECT, 1)
    assert [choice.name for choice in fields["kind"].choices] == ["First", "b"]


@pytest.mark.parametrize(
    ("names", "required", "shown"),
    [
        ("abcd", "db", "adcb"),
        ("abc", "cab", "cab"),
        ("abc", "caba", "cab"),
        ("bac", "cab", "bac"),
        ("abc", "", "abc"),
    ],
)
def test_fields_stand_in_the_order_that_is_left_of_what_the_agent_sent(names: str, required: str, shown: str) -> None:
    properties = {name: {"type": "string"} for name in names}
    question = _question(requestedSchema={"type": "object", "properties": properties, "required": list(required)})
    assert "".join(field.name for field in question.fields) == shown


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"requestedSchema": {"properties": {"a": {"type": "object", "properties": {}}}}}, "more than one value"),
        ({"requestedSchema": {"properties": {"a": {"$ref": "#/x"}}}}, "more than one value"),
        ({"requestedSchema": {"properties": {"a": {"type": "array", "items": {"type": "string"}}}}}, "list of any"),
        ({"requestedSchema": {"properties": {"a": {"type": "integer", "enum": [1]}}}}, "cannot be read"),
        ({"requestedSchema": {"properties": {"a": 1}}}, "cannot be read"),
        ({"requestedSchema": {"type": "array"}}, "no object"),
        ({"requestedSchema": {"required": ["a"]}}, "does not have"),
        ({"requestedSchema": {"properties": {str(number): {} for number in range(101)}}}, "more than 100"),
        ({"mode": "voice"}, "not known"),
        ({**URL, "url": "javascript:alert(1)"}, "http"),
        ({**URL, "url": "https:///nowhere"}, "http"),
        ({**URL, "url": "https://a/\u202e"}, "characters"),
        ({**URL, "url": "https://[a"}, "no sense"),
    ],
)
def test_what_cannot_be_shown_says_why(params: Json, why: str) -> None:
    with pytest.raises(UnshowableError, match=why):
        _question(**params)


@pytest.mark.slow
async def test_forms_and_pages_are_asked_and_answered_also_after_a_restart(world: LocalWorld) -> None:
    form = f"elicit {json.dumps({'mode': 'form', 'message': 'Which?', 'requestedSchema': SCHEMA})}"
    text = f"{form}\nelicit {json.dumps(URL)}\nelicit-soon-over {json.dumps(URL)}\nsay done"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, text, cut=True) as told:
            await told.until(lambda: told.questions)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        async with following(world, provider, task, text) as told:
            await told.until(lambda: told.questions)
            [key] = told.questions
            told.reply(key, Reply(AnswerAction.ACCEPT, {"version": "v2.0", "where": ("eu",), "sure": True}))
            await told.until(lambda: told.has_questions(2))
            page = list(told.questions.values())[1]
            told.reply(list(told.questions)[1], Reply(AnswerAction.DECLINE))
    assert (page.kind, page.url) == (QuestionKind.URL, URL["url"])
    assert told.text.replace("|", "").split("elicited: ")[1:] == [
        '{"action": "accept", "content": {"sure": true, "version": "v2.0", "where": ["eu"]}}',
        '{"action": "decline"}',
        '{"action": "accept"}done',
    ]
    [initialize] = world.agent_saw("initialize")[:1]
    assert initialize["params"]["clientCapabilities"]["elicitation"] == {"form": {}, "url": {}}


async def test_a_form_that_cannot_be_shown_is_declined_and_a_stop_cancels(world: LocalWorld) -> None:
    nested = {"properties": {"a": {"type": "object", "properties": {}}}}
    text = f"elicit {json.dumps({'message': 'Nested?', 'requestedSchema': nested})}"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        told = await turn(provider, world, task, text)
        assert told.text == 'elicited: {"action": "decline"}'
        [notice] = told.of(TranscriptKind.NOTICE)
        assert notice.startswith("The agent asked: Nested?. It was answered with declined, because its field a is")
        form = f"elicit {json.dumps({'message': 'Which?', 'requestedSchema': SCHEMA})}\nsay on"
        async with following(world, provider, task, form, "p2") as told:
            await told.until(lambda: told.questions)
            await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        assert world.agent_saw("response")[-1]["message"]["result"] == {"action": "cancel"}


@pytest.mark.slow
def test_a_page_that_the_agent_says_is_done_is_asked_no_more_and_its_death_cancels_a_form(
    world: LocalWorld, backend: BackendProcess
) -> None:
    form = {"message": "Which?", "requestedSchema": SCHEMA}
    text = f"elicit-soon-over {json.dumps(URL)}\nelicit {json.dumps(form)}"
    task_id = backend.create(text, agent="pi")["task_id"]
    backend.wait_task(task_id, lambda task: [each["state"] for each in task["permissions"]] == ["answered", "open"])
    os.kill(world.agent_pids()[-1], signal.SIGKILL)
    task = backend.wait_task(task_id, "error")
    assert [(each["kind"], each["state"], each.get("answer")) for each in task["permissions"]] == [
        ("url", "answered", "accept"),
        ("form", "cancelled", None),
    ]
    assert task["needs_input"] == 0
    [answered] = [event["payload"] for event in task["history"] if event["kind"] == "permission.answered"]
    assert (answered["action"], answered["by"]) == ("accept", "agent")
