"""What the contract says of every answer: the fields of records and the shape of refusals, written out once more."""

import httpx
import pytest

from tests.backend.process import BackendProcess, json_of
from tests.world import Json


def _fields(names: str) -> frozenset[str]:
    return frozenset(names.split())


TASK_SUMMARY = _fields(
    "task_id repo_id repo_label title branch prompt agent provider status status_since stage stages_done error "
    "needs_input asks unread sessions activity plan work pull_request operation permission_policy host created_at "
    "updated_at revision"
)
WORK = _fields("base ahead behind files added removed uncommitted pushed upstream conflicts landed at")
PULL_REQUEST = _fields("number url title state checks review mergeable comments at")
TASK_DETAIL = TASK_SUMMARY | _fields(
    "base_branch started_from asked_options sandbox stages permissions leftovers operations history"
)  # fmt: skip
ASK = _fields("permission_id session_id kind title text whole options at")
ACTIVITY = _fields("kind text at")
OPERATION = _fields("operation_id task_id kind request state steps result error at finished_at revision")
STAGE_PROGRESS = _fields("name attempt max_attempts started_at detail")
STAGE = _fields("name state attempt max_attempts started_at finished_at deadline_at detail error")
TASK_ERROR = _fields("stage kind message retryable at")
SANDBOX = _fields("sandbox_id cwd created_at")
SESSION = _fields(
    "session_id task_id name agent model mode usage status error unread created_at updated_at revision"
    " unloaded_since held"
)
SESSION_STATE = SESSION | {"prompts", "options", "commands", "accepts", "turn_silent_since"}
OPTION = _fields("option_id name description category type value choices error")
PROMPT = _fields("prompt_id session_id text attachments state steer error at")
TRANSCRIPT_ITEM = _fields("item_id session_id index kind body at revision")
PERMISSION = _fields(
    "permission_id task_id session_id kind title tool_kind text edits paths options fields url state answer answered_by"
    " at"
)
FIELD = _fields("name type required title description default choices min max format pattern")
HISTORY_EVENT = _fields("seq task_id kind at payload")
LOG_LINE = _fields("index stage at text")
REPO = _fields("repo_id label path remote default_branch task_count latest_activity trust")
PROBLEM = _fields("type title status detail errors would_lose request_id")

STAGES = ("ensure_name", "create_sandbox", "ensure_agent", "create_session")
UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def only(record: Json, fields: frozenset[str], *, always: str = "") -> Json:
    """The record, which has no other fields than these and surely the ones of `always`, not null."""
    assert set(record) <= fields, f"unknown fields {set(record) - fields}"
    for name in always.split():
        assert record.get(name) is not None, f"{name} is missing"
    return record


def refused(answer: httpx.Response, status: int, field: str | None = None) -> Json:
    """The problem of an answer that refuses; with `field`, 422 must name that field."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    problem = only(json_of(answer), PROBLEM, always="type title status detail")
    assert problem["status"] == status
    assert problem["detail"].strip(), "a refusal gives its reason"
    if status == 422:
        assert problem["errors"]
        for error in problem["errors"]:
            assert set(error) == {"field", "message"}
            assert error["message"].strip()
    if field is not None:
        assert [error["field"] for error in problem["errors"]] == [field]
    return problem


def check_summary(task: Json) -> None:
    """A TaskSummary with all that is nested in it."""
    only(
        task,
        TASK_SUMMARY,
        always="task_id repo_id repo_label prompt agent provider status status_since stages_done needs_input asks "
        "unread sessions created_at updated_at revision",
    )
    _check_common(task)


def check_detail(task: Json) -> None:
    """A TaskDetail with all that is nested in it."""
    only(task, TASK_DETAIL, always="task_id prompt stages permissions leftovers history sessions revision")
    _check_common(task)
    assert [stage["name"] for stage in task["stages"]] == list(STAGES)
    for stage in task["stages"]:
        only(stage, STAGE, always="name state attempt max_attempts")
        assert stage["state"] in ("pending", "running", "done", "failed", "cancelled")
        if stage.get("error"):
            only(stage["error"], TASK_ERROR, always="kind message retryable at")
    if task.get("sandbox"):
        only(task["sandbox"], SANDBOX, always="sandbox_id cwd created_at")
    for permission in task["permissions"]:
        only(permission, PERMISSION, always="permission_id task_id session_id title options state at")
        assert all(set(option) == {"option_id", "name", "kind"} for option in permission["options"])
        for field in permission["fields"]:
            only(field, FIELD, always="name type required")
    for event in task["history"]:
        only(event, HISTORY_EVENT, always="seq task_id kind at payload")
    seqs = [event["seq"] for event in task["history"]]
    assert seqs == sorted(set(seqs))


def check_session(session: Json) -> None:
    only(session, SESSION, always="session_id task_id name agent status unread created_at updated_at revision")
    if session.get("error"):
        only(session["error"], TASK_ERROR, always="kind message retryable at")


def _check_common(task: Json) -> None:
    assert 0 <= task["stages_done"] <= 4
    assert task["revision"] >= 1
    assert len(task["asks"]) == min(5, task["needs_input"])
    for ask in task["asks"]:
        only(ask, ASK, always="permission_id session_id kind title whole options at")
    if task.get("activity"):
        only(task["activity"], ACTIVITY, always="kind text at")
        assert len(task["activity"]["text"]) <= 200
    if task.get("plan"):
        assert 0 <= task["plan"]["done"] <= task["plan"]["total"]
    for name in ("status_since", "created_at", "updated_at"):
        assert isinstance(task[name], int)
        assert task[name] > 1_600_000_000_000, "times are milliseconds"
    if task.get("stage"):
        only(task["stage"], STAGE_PROGRESS, always="name attempt max_attempts started_at")
    if task.get("error"):
        only(task["error"], TASK_ERROR, always="kind message retryable at")
    if task.get("work"):
        only(task["work"], WORK, always="base ahead behind files uncommitted pushed at")
    if task.get("pull_request"):
        only(task["pull_request"], PULL_REQUEST, always="number url title state at")
    for session in task["sessions"]:
        check_session(session)


def creating(shared: BackendProcess, **fields: object) -> Json:
    """A body for `POST /v1/tasks`; fields that are `...` are left out."""
    body = {"repo": str(shared.repository), "prompt": "add a page", **fields}
    return {name: value for name, value in body.items() if value is not ...}


def failed_start(backend: BackendProcess) -> tuple[int, str]:
    """Exit code and errors of a backend that cannot start."""
    with pytest.raises(AssertionError, match="did not start"):
        backend.start()
    return backend.stop(), backend.errors.read_text()
