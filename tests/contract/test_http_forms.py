"""Questions that are a form or a page: asked, judged by the form's own rules, answered, and kept over kills."""

from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import refused
from tests.world import Json

FIELDS: list[Json] = [
    {"name": "version", "title": "Version", "type": "string", "required": True, "min": 3, "pattern": "^v"},
    {"name": "level", "type": "select", "default": "low", "choices": [{"value": "low", "name": "Low"}]},
    {"name": "count", "type": "integer", "min": 1, "max": 5},
]
STEPS: list[Json] = [
    {"form": "Which release?", "fields": FIELDS, "ms": 1},
    {"url": "https://login.example/a?b=1", "message": "Log in there", "ms": 1},
]


def _asked(backend: BackendProcess, task_id: str, kind: str) -> Json:
    """The task's question of this kind, once it is open."""

    def is_open(each: Json) -> bool:
        return bool(each["kind"] == kind and each["state"] == "open")

    task = backend.wait_task(task_id, lambda task: any(map(is_open, task["permissions"])))
    assert task["needs_input"] == 1
    return next(filter(is_open, task["permissions"]))


def test_a_form_and_a_page_are_asked_judged_and_answered_over_kills(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"ms": 1, "steps": STEPS}}})
    made = backend.create()
    task_id, session_id = made["task_id"], made["sessions"][0]["session_id"]
    form = _asked(backend, task_id, "form")
    assert (form["title"], form["options"]) == ("Which release?", [])
    assert [(field["name"], field["type"], field["required"]) for field in form["fields"]] == [
        ("version", "string", True),
        ("level", "select", False),
        ("count", "integer", False),
    ]
    backend.kill()
    backend.start()
    assert _asked(backend, task_id, "form") == form
    path = f"/v1/permissions/{form['permission_id']}"
    for body, field in [
        ({"action": "accept", "content": {}}, "version"),
        ({"action": "accept", "content": {"version": "1.0"}}, "version"),
        ({"action": "accept", "content": {"version": "v1.0", "level": "high"}}, "level"),
        ({"action": "accept", "content": {"version": "v1.0", "count": 6}}, "count"),
        ({"action": "accept", "content": {"version": "v1.0", "other": 1}}, "other"),
        ({"option_id": "accept"}, "option_id"),
        ({}, "option_id"),
    ]:
        assert [each["field"] for each in refused(backend.http.post(path, json=body), 422)["errors"]] == [field]
    refused(backend.http.post(path, json={"action": "perhaps"}), 422)
    answer = backend.http.post(path, json={"action": "accept", "content": {"version": "v1.0", "count": 2.0}})
    backend.kill()
    assert answer.status_code == 200
    told = json_of(answer)
    assert (told["state"], told["answer"]) == ("answered", "accept")
    backend.start()
    refused(backend.http.post(path, json={"action": "decline"}), 409)
    page = _asked(backend, task_id, "url")
    assert (page["title"], page["url"], page["fields"]) == ("Log in there", STEPS[1]["url"], [])
    assert backend.http.post(f"/v1/permissions/{page['permission_id']}", json={"action": "decline"}).status_code == 200
    task = backend.wait_task(task_id, "idle")
    assert [(each["kind"], each["state"], each["answer"], each["fields"]) for each in task["permissions"]] == [
        ("form", "answered", "accept", []),
        ("url", "answered", "decline", []),
    ]
    items = backend.get(f"/v1/sessions/{session_id}")["transcript"]
    bodies = [item["body"] for item in items if item["kind"] == "permission"]
    assert [(body["answer"], body["content"]) for body in bodies] == [
        ("accept", {"version": "v1.0", "count": 2}),
        ("decline", None),
    ]
    assert [field["name"] for field in bodies[0]["fields"]] == ["version", "level", "count"]
    assert items[-1]["body"].startswith("Understood, I did not do it.")
    answered = [event["payload"] for event in task["history"] if event["kind"] == "permission.answered"]
    assert [payload["action"] for payload in answered] == ["accept", "decline"]


def test_a_permission_takes_no_action_and_a_stop_cancels_a_form(backend: BackendProcess) -> None:
    steps = [{"permission": "Run it?", "ms": 1}, {"form": "Which?", "fields": FIELDS, "ms": 1}]
    backend.set_script({"default": {"turn": {"ms": 1, "steps": steps}}})
    made = backend.create()
    task_id, session_id = made["task_id"], made["sessions"][0]["session_id"]
    path = f"/v1/permissions/{_asked(backend, task_id, 'permission')['permission_id']}"
    assert refused(backend.http.post(path, json={"action": "accept"}), 422)["errors"][0]["field"] == "action"
    assert backend.http.post(path, json={"option_id": "allow"}).status_code == 200
    form = _asked(backend, task_id, "form")
    backend.post(f"/v1/sessions/{session_id}/stop")
    task = backend.wait_task(task_id, lambda task: task["needs_input"] == 0)
    assert task["permissions"][-1]["state"] == "cancelled"
    refused(backend.http.post(f"/v1/permissions/{form['permission_id']}", json={"action": "cancel"}), 409)
