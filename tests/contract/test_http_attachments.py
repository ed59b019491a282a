"""What goes with a prompt: checked, kept with it over kills, told without its content, and gone with the task."""

import base64
import json
import sqlite3
from contextlib import closing

import pytest

from foundry_tui.contract.attachments import MOST_ATTACHMENTS
from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import PROMPT, creating, only, refused
from tests.contract.test_http_prompts import states, wait_prompts
from tests.world import Json

MIB = 1024 * 1024
IMAGE = {"kind": "image", "mime": "image/png", "data": base64.b64encode(b"\x89PNG" * 100).decode()}
FILE = {"kind": "file", "path": "src/app.py"}
TEXT = {"kind": "text", "name": "log.txt", "text": "it failed\n"}
ALL = [FILE, IMAGE, TEXT]
TOLD = [
    {"kind": "file", "name": "app.py", "mime": None, "size": None, "path": "src/app.py"},
    {"kind": "image", "name": "image.png", "mime": "image/png", "size": 400, "path": None},
    {"kind": "text", "name": "log.txt", "mime": "text/plain", "size": 10, "path": None},
]
HELD_UP = {"default": {"create_sandbox": {"hang": "before"}}}


def large_image(size: int) -> Json:
    return {**IMAGE, "data": base64.b64encode(bytes(size)).decode()}


def test_attachments_are_told_without_their_content_and_go_with_the_task(backend: BackendProcess) -> None:
    backend.set_script({**HELD_UP, "agent": {"accepts": {"image": False}}})
    body = creating(backend, task_id=uuid7(), session_id="s", attachments=ALL)
    made = backend.http.post("/v1/tasks", json=body)
    assert made.status_code == 201, made.text
    said = {"prompt_id": "p", "text": "and this", "attachments": [IMAGE]}
    prompt = only(backend.post("/v1/sessions/s/prompts", said), PROMPT)
    assert prompt["attachments"] == [TOLD[1]]

    assert backend.http.post("/v1/tasks", json=body).status_code == 200
    assert backend.http.post("/v1/tasks", json={**body, "attachments": [FILE]}).status_code == 409
    assert backend.post("/v1/sessions/s/prompts", said)["attachments"] == [TOLD[1]]
    session = backend.http.get("/v1/sessions/s").text
    assert [each["attachments"] for each in json.loads(session)["prompts"]] == [TOLD, [TOLD[1]]]
    assert IMAGE["data"] not in session

    edited = backend.http.patch("/v1/sessions/s/prompts/p", json={"text": "or that"})
    assert json_of(edited)["attachments"] == [TOLD[1]]
    backend.kill()
    backend.set_script({"agent": {"accepts": {"image": False}}})
    backend.start()
    task_id = body["task_id"]
    wait_prompts(backend, "s", states("answered", "answered"))
    assert [effect["prompt_id"] for effect in backend.effects(effect="deliver_prompt")][1:] == ["p"]
    notices = [item["body"] for item in backend.get("/v1/sessions/s")["transcript"] if item["kind"] == "notice"]
    assert notices == ["demo takes no images: the prompt went without image.png."] * 2

    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True})
    backend.wait_task(task_id, "killed")
    assert backend.http.delete(f"/v1/tasks/{task_id}").status_code == 204
    with closing(sqlite3.connect(f"file:{backend.data / 'foundry.db'}?mode=ro", uri=True)) as database:
        assert database.execute("SELECT count(*) FROM attachments").fetchone() == (0,)


@pytest.mark.parametrize(
    ("attachment", "field"),
    [
        ({"kind": "sound", "data": ""}, "kind"),
        ({"path": "a"}, "kind"),
        ({"kind": "file"}, "path"),
        ({"kind": "file", "path": " "}, "path"),
        ({"kind": "file", "path": "src/../../etc/passwd"}, "path"),
        ({"kind": "file", "path": "a", "name": "b"}, "name"),
        ({**IMAGE, "data": "no base64"}, "data"),
        ({**IMAGE, "data": ""}, "data"),
        ({**IMAGE, "mime": "text/html"}, "mime"),
        ({**IMAGE, "name": ""}, "name"),
        ({"kind": "text", "text": "a"}, "name"),
        ({"kind": "text", "name": "a"}, "text"),
    ],
)
def test_a_wrong_attachment_is_422_with_its_field(shared: BackendProcess, attachment: Json, field: str) -> None:
    body = creating(shared, attachments=[FILE, attachment])
    problem = refused(shared.http.post("/v1/tasks", json=body), 422)
    assert [error["field"] for error in problem["errors"]] == [f"attachments[1].{field}"]


def test_too_many_attachments_are_422(shared: BackendProcess) -> None:
    body = creating(shared, attachments=[FILE] * (MOST_ATTACHMENTS + 1))
    problem = refused(shared.http.post("/v1/tasks", json=body), 422)
    assert [error["field"] for error in problem["errors"]] == ["attachments"]


def test_bodies_with_attachments_may_have_12_mib(shared: BackendProcess) -> None:
    body = creating(shared, session_id="large", attachments=[large_image(8 * MIB)])
    assert shared.http.post("/v1/tasks", json=body).status_code == 201
    more = {"prompt_id": "more", "text": "more", "attachments": [large_image(2 * MIB)]}
    assert shared.http.post("/v1/sessions/large/prompts", json=more).status_code == 202
    refused(shared.http.post("/v1/tasks", json=creating(shared, attachments=[large_image(10 * MIB)])), 413)
    refused(shared.http.post("/v1/tasks", json=creating(shared, prompt="x" * 2 * MIB)), 413)
    refused(shared.http.post("/v1/tasks", json=creating(shared, prompt="x" * 2 * MIB, attachments=[FILE])), 413)
    refused(shared.http.post("/v1/tasks/any/sessions", json={"name": "x" * 2 * MIB}), 413)
