"""Thousands of wrong requests to every route: each is refused with a reason, none changes anything."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.backend.process import BackendProcess
from tests.contract.bad_requests import BadRequest, Known, bad_requests
from tests.contract.checks import refused

REQUESTS = 2_500


@pytest.mark.slow
def test_bad_requests_are_refused_and_change_nothing(backend: BackendProcess, tell: Callable[[str], None]) -> None:
    known = _known(backend)
    before = backend.http.get("/v1/tasks").content
    told = backend.http.get("/v1/history").content
    seen: Counter[str] = Counter()

    @settings(max_examples=REQUESTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(bad_requests(known))
    def attack(request: BadRequest) -> None:
        note(str(request))
        answer = backend.http.request(
            request.method, request.path, content=request.content or None, headers=request.headers
        )
        seen[str(answer.status_code)] += 1
        assert 400 <= answer.status_code < 500, answer.text
        refused(answer, answer.status_code)
        assert backend.http.get("/v1/tasks").content == before, "something changed"

    attack()
    assert backend.http.get("/v1/history").content == told
    assert "Traceback" not in backend.errors.read_text()
    by_status = ", ".join(f"{count} × {status}" for status, count in sorted(seen.items()))
    tell(f"{seen.total()} bad requests: {by_status}")
    assert seen.total() >= 2_000


def _known(backend: BackendProcess) -> Known:
    """A task that waits for a permission and one that was killed; nothing moves any more."""
    backend.set_script({"tasks": [{"match": "ask", "turn": {"permission": "Run make?"}}]})
    task = backend.create("ask first")
    ended = backend.create("end")
    backend.wait_task(ended["task_id"], "idle")
    backend.post(f"/v1/tasks/{ended['task_id']}/kill")
    backend.wait_task(ended["task_id"], "killed")
    asking = backend.wait_task(task["task_id"], lambda each: bool(each["needs_input"]))
    session_id = task["sessions"][0]["session_id"]
    return Known(
        repo=str(backend.repository),
        task_id=task["task_id"],
        session_id=session_id,
        prompt_id=backend.get(f"/v1/sessions/{session_id}")["prompts"][0]["prompt_id"],
        ended_task_id=ended["task_id"],
        ended_session_id=ended["sessions"][0]["session_id"],
        permission_id=asking["permissions"][0]["permission_id"],
        repo_id=task["repo_id"],
    )
