"""One machine is one host: who it is over restarts, what it tells of itself, and tasks that ask for it."""

from collections.abc import Sequence
from dataclasses import replace

import anyio
import httpx
import pytest
from msgspec import structs

from backend_stub.domain.errors import HostLostError, OutcomeUnknownError, StaleRevisionError
from backend_stub.domain.hosts import Answered
from backend_stub.domain.storage import Change, Storage
from backend_stub.server.routes import make_app
from foundry_tui.contract.codec import encode
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.hosts import HostState
from foundry_tui.contract.problems import NO_METHOD, NO_ROUTE, PROBLEM_TYPE, Problem
from foundry_tui.contract.records import HistoryEvent
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.backend.engines import read
from tests.backend.in_process import InProcess, has_status, settings, until
from tests.backend.process import BackendProcess
from tests.backend.rows import with_rows
from tests.world import Json


def host_of(backend: BackendProcess) -> Json:
    (host,) = backend.get("/v1/hosts")["hosts"]
    found: Json = host
    return found


def test_a_host_tells_what_it_has_and_keeps_its_id_under_any_name(stopped: BackendProcess) -> None:
    backend = stopped
    backend.options = ("--host", "build-7", "--max-provisioning", "3")
    backend.start()
    task = backend.create()
    before = host_of(backend)
    assert before.items() >= {"name": "build-7", "state": "up", "limit": 3}.items()
    assert set(before["providers"]) == {"demo", "local"}
    assert before["repositories"] == [str(backend.repository)]
    assert task["host"] == "build-7"
    backend.wait_task(task["task_id"], "idle")
    backend.kill()
    backend.options = ("--host", "build-8")
    backend.start()
    after = host_of(backend)
    assert (after["host_id"], after["name"]) == (before["host_id"], "build-8")
    assert backend.get(f"/v1/tasks/{task['task_id']}")["host"] == "build-8"


def test_it_counts_what_it_is_at_work_on(backend: BackendProcess) -> None:
    backend.set_script({"tasks": [{"match": "ask", "turn": {"permission": "Run make?"}}]})
    assert host_of(backend)["running"] == 0
    task_id = backend.create("ask me")["task_id"]
    backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    assert host_of(backend)["running"] == 1


@pytest.mark.parametrize("by", ["name", "host_id"])
def test_a_task_can_ask_for_its_host(backend: BackendProcess, by: str) -> None:
    host = host_of(backend)
    assert backend.create(host=host[by])["host"] == host["name"]


def test_an_unknown_host_is_refused_with_those_that_there_are(backend: BackendProcess) -> None:
    body = {"repo": str(backend.repository), "prompt": "x", "host": "nowhere"}
    answer = backend.http.post("/v1/tasks", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "host"
    assert "nowhere" in error["message"] and host_of(backend)["name"] in error["message"]
    assert backend.get("/v1/tasks")["tasks"] == []


@pytest.mark.parametrize("name", [" ", "\u200b", "a\x1b[31m", "a\udc80"])
def test_a_name_that_is_none_is_refused_at_the_start(stopped: BackendProcess, name: str) -> None:
    stopped.options = ("--host", name)
    with pytest.raises(AssertionError, match="exit code 1"):
        stopped.start()
    said = stopped.errors.read_text()
    assert "the host cannot be called" in said
    assert "Traceback" not in said


def test_what_says_which_host_it_is_is_never_made_up_anew(stopped: BackendProcess) -> None:
    stopped.start()
    stopped.stop()
    (stopped.data / "host.json").write_text("{")
    with pytest.raises(AssertionError, match="exit code 1"):
        stopped.start()
    assert str(stopped.data / "host.json") in stopped.errors.read_text()


@pytest.mark.anyio
async def test_a_host_that_stops_is_draining(place: InProcess) -> None:
    async with place.backend(place.provider(), settings()) as backend:
        backend.stopping()
        with anyio.fail_after(5):
            (host,) = await backend.hosts.all()
        assert host.state is HostState.DRAINING


@pytest.mark.anyio
@pytest.mark.parametrize("by", ["name", "host_id"])
async def test_no_new_task_is_given_to_a_host_that_stops(place: InProcess, by: str) -> None:
    async with place.backend(place.provider(), settings()) as backend:
        backend.stopping()
        (host,) = await backend.hosts.all()
        body = {"repo": str(place.repository), "prompt": "x", "host": getattr(host, by)}
        transport = httpx.ASGITransport(make_app(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://foundry") as client:
            answer = await client.post("/v1/tasks", json=body)
        assert answer.status_code == 503
        assert "is stopping" in answer.json()["detail"]


@pytest.mark.anyio
@pytest.mark.parametrize("why", [HostLostError("build-7 was lost"), OutcomeUnknownError("PostgreSQL is away")])
async def test_what_may_have_been_done_is_said_to_be_done_once_only_by_its_id(
    place: InProcess, why: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise why

    async with place.backend(place.provider(), settings()) as backend:
        monkeypatch.setattr(backend.operations, "cancel", lost)
        transport = httpx.ASGITransport(make_app(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://foundry") as client:
            answer = await client.post("/v1/operations/o/cancel")
    told = answer.json()["detail"]
    assert answer.status_code == 503
    assert told.startswith(f"It is not known whether this was done: {why}. ")
    assert "if it has an id of its own" in told
    assert told.endswith("Without one, look first.")


@pytest.mark.anyio
@pytest.mark.parametrize(("sooner", "status"), [(1, 200), (100, 503)])
async def test_what_is_asked_is_no_refusal_where_another_host_was_sooner(
    place: InProcess, sooner: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.backend(place.provider(), settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        commit, left = backend.storage.commit, iter(range(sooner))

        async def late(change: Change) -> Sequence[HistoryEvent]:
            if next(left, None) is not None:
                raise StaleRevisionError
            return await commit(change)

        monkeypatch.setattr(backend.storage, "commit", late)
        transport = httpx.ASGITransport(make_app(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://foundry") as client:
            answer = await client.patch(f"/v1/tasks/{task_id}", json={"title": "asked for"})
    assert answer.status_code == status
    assert answer.json().get("title") == ("asked for" if status == 200 else "Not available now")


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "status", "detail"), [("GET", 404, NO_ROUTE), ("POST", 405, NO_METHOD)])
async def test_what_a_host_of_an_earlier_version_has_no_route_for_is_said_in_words(
    place: InProcess, method: str, status: int, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is gone is still a 404."""
    told = [detail, "There is no task t."]

    async def host_of(*_: object) -> str:
        return "build-7"

    async def ask(*_: object) -> Answered:
        problem = Problem(status=status, title="x", detail=told.pop(0))
        return Answered(status, {"content-type": PROBLEM_TYPE}, encode(problem))

    async with place.backend(place.provider(), settings()) as backend:
        for name, method_of in (("host_of", host_of), ("has", lambda _: False), ("ask", ask)):
            monkeypatch.setattr(backend.hosts, name, method_of)
        transport = httpx.ASGITransport(make_app(backend))
        path = "/v1/tasks/t/checkpoints" if method == "GET" else "/v1/tasks/t/retry"
        async with httpx.AsyncClient(transport=transport, base_url="http://foundry") as client:
            unknown, gone = [await client.request(method, path) for _ in range(2)]
    assert (unknown.status_code, unknown.json()["status"]) == (501, 501)
    assert "The host build-7 is of an earlier version" in unknown.json()["detail"]
    assert (gone.status_code, gone.json()["detail"]) == (status, "There is no task t.")


@pytest.mark.anyio
async def test_a_task_keeps_its_host(storage: Storage) -> None:
    """Every engine keeps it, and tells it in the list."""
    change = with_rows("t")
    await storage.commit(replace(change, task=structs.replace(change.task, host="build-7")))
    assert [task.host for task in (await read(storage, TASKS, TasksSnapshot)).tasks] == ["build-7"]
