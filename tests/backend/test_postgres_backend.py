"""A backend whose tasks are in PostgreSQL: started with its URL, and what it does while the server is away."""

import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.backend.process import BackendProcess
from tests.postgres import GUARDED, PASSWORD, PostgresServer, name_of


@pytest.fixture
def on_postgres(stopped: BackendProcess, postgres_url: str) -> BackendProcess:
    """A backend on a database of the test's own, to be started."""
    stopped.environ["FOUNDRY_DATABASE"] = postgres_url
    return stopped


def test_tasks_outlive_a_kill_in_postgres(on_postgres: BackendProcess, postgres_url: str) -> None:
    backend = on_postgres.start()
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    assert not (backend.data / "foundry.db").exists()
    backend.kill()
    backend.start()
    assert backend.get(f"/v1/tasks/{task_id}")["status"] == "idle"
    assert backend.kinds(task_id)[:2] == ["task.created", "provision.queued"]
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT task_id FROM foundry.tasks").fetchall() == [(task_id,)]


@pytest.mark.slow
def test_connections_that_are_cut_one_by_one_are_not_noticed(
    on_postgres: BackendProcess, postgres: PostgresServer, postgres_url: str
) -> None:
    backend = on_postgres.start()
    name = name_of(postgres_url)
    with backend.events("tasks") as events:
        next(events)
        created = []
        for _ in range(4):
            pids = postgres.execute(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'")
            assert pids
            for (pid,) in pids:
                postgres.execute(f"SELECT pg_terminate_backend({pid}, 1000)")
                created.append(backend.create()["task_id"])
                assert {task["task_id"] for task in backend.get("/v1/tasks")["tasks"]} == set(created)
        revisions: dict[str, list[int]] = {task_id: [] for task_id in created}
        idle: set[str] = set()
        for event in events:
            if event.event == "task":
                task = event.json()
                revisions[task["task_id"]].append(task["revision"])
                if task["status"] == "idle":
                    idle.add(task["task_id"])
            if idle == set(created):
                break
    for task_id in created:
        assert revisions[task_id] == list(range(1, len(revisions[task_id]) + 1)), "each once, in order"
    assert backend.get("/v1/health")["status"] == "ok"


@pytest.mark.slow
def test_while_the_server_is_away_it_says_so_and_then_all_goes_on(
    stopped: BackendProcess, own_postgres: PostgresServer
) -> None:
    stopped.environ["FOUNDRY_DATABASE"] = own_postgres.url("postgres")
    stopped.set_script({"default": {"create_sandbox": {"ms": 1500}, "turn": {"ms": 10}}})
    backend = stopped.start()
    with backend.events("tasks") as events:
        next(events)
        begun = backend.create()["task_id"]
        for mode in ("immediate", "fast"):
            own_postgres.stop(mode)
            for _ in range(2):
                refused = backend.http.post("/v1/tasks", json={"repo": str(backend.repository), "prompt": "no"})
                assert refused.status_code == 503
                assert "postgresql://" in refused.json()["detail"]
                assert backend.http.get("/v1/tasks").status_code == 503
                health = backend.get("/v1/health")
                assert health["status"] != "ok"
                assert "cannot be reached" in health["reason"]
            own_postgres.start()
            assert backend.get("/v1/health")["status"] == "ok"
        made = backend.create()["task_id"]
        seen = {begun: [1], made: []}
        idle: set[str] = set()
        for event in events:
            if event.event == "task":
                task = event.json()
                seen[task["task_id"]].append(task["revision"])
                idle |= {task["task_id"]} if task["status"] == "idle" else set()
            if idle == {begun, made}:
                break
    assert backend.kinds(begun).count("prompt.delivered") == 1
    for revisions in seen.values():
        assert sorted(set(revisions)) == list(range(1, max(revisions) + 1))


def why_not(stopped: BackendProcess, url: str) -> str:
    """What it says of a database that it does not start with."""
    stopped.environ["FOUNDRY_DATABASE"] = url
    process = stopped.spawn()
    assert process.wait(30) == 1
    assert process.stdout is not None
    process.stdout.close()
    said = stopped.errors.read_text()
    assert PASSWORD not in said
    assert "wrong%2F" not in said
    assert "Traceback" not in said
    stopped.errors.unlink()
    return said


@pytest.mark.slow
def test_why_it_cannot_start_is_one_sentence(
    stopped: BackendProcess, postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    name = name_of(postgres_url)
    assert "refuses the user or the password" in why_not(stopped, postgres.url(name, GUARDED, "wrong/" + PASSWORD))
    assert "wants a password" in why_not(stopped, postgres.url(name, GUARDED))
    assert "createdb" in why_not(stopped, postgres.url("nothing"))
    assert "start it" in why_not(stopped, f"postgresql://me:{'wrong%2F'}@/{name}?host={tmp_path}")
    assert "%40" in why_not(stopped, "postgresql://me:wrong%2F%zz@host/name")
    with postgres.database() as latin:
        postgres.execute(f"DROP DATABASE {name_of(latin)}")
        postgres.execute(f"CREATE DATABASE {name_of(latin)} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        assert "UTF8" in why_not(stopped, latin)
    with postgres.database() as poor:
        who = postgres.url(name_of(poor), GUARDED, PASSWORD)
        assert "permission denied" in why_not(stopped, who)
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "read only" in why_not(stopped, postgres_url)
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA foundry")
        connection.execute("CREATE TABLE foundry.schema_version (version BIGINT)")
        connection.execute("INSERT INTO foundry.schema_version VALUES (1000)")
    assert "upgrade foundry" in why_not(stopped, postgres_url)


def test_its_password_is_in_no_command_line_environment_or_log(
    stopped: BackendProcess, postgres: PostgresServer
) -> None:
    with postgres.database(owner=GUARDED) as url:
        secret = postgres.url(name_of(url), GUARDED, PASSWORD)
        stopped.environ["FOUNDRY_DATABASE"] = secret
        stopped.start()
        postgres.cut_connections(name_of(url))
        task_id = stopped.create()["task_id"]
        stopped.wait_task(task_id, "idle")
        shown = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout
        said = stopped.errors.read_text() + shown + str(stopped.get("/v1/health"))
        assert PASSWORD not in said
        assert secret not in said
        stopped.kill()


@pytest.mark.slow
def test_a_whole_database_is_copied_there_and_back(
    stopped: BackendProcess, postgres: PostgresServer, postgres_url: str
) -> None:
    backend = stopped.start()
    tasks = [backend.create(f"task {number}") for number in range(3)]
    for task in tasks:
        backend.wait_task(task["task_id"], "idle")
    # How many have ended is counted beside the rows.
    backend.post(f"/v1/tasks/{tasks[2]['task_id']}/archive")
    backend.wait_task(tasks[2]["task_id"], "archived")
    used = backend.foundry("backend", "copy", str(backend.data), postgres_url)
    assert (used.code, "in use" in used.err) == (1, True)
    session_id = tasks[0]["sessions"][0]["session_id"]
    paths = (f"/v1/tasks/{tasks[0]['task_id']}", f"/v1/sessions/{session_id}", "/v1/history", "/v1/repos", "/v1/tasks")
    before = [backend.get(path) for path in paths]
    backend.stop()
    there = backend.foundry("backend", "copy", "--json", str(backend.data), postgres_url)
    assert there.code == 0, there.err
    assert there.json["tables"]["tasks"]["rows"] == 3
    again = backend.foundry("backend", "copy", str(backend.data), postgres_url)
    assert (again.code, "not empty" in again.err) == (1, True)
    with postgres.database() as second:
        assert backend.foundry("backend", "copy", "--json", postgres_url, second).json == there.json
    back = backend.folder / "back"
    done = backend.foundry("backend", "copy", "--json", postgres_url, str(back))
    assert done.json == there.json
    backend.environ["FOUNDRY_DATABASE"] = postgres_url
    backend.start()
    assert [backend.get(path) for path in paths] == before
    backend.wait_task(backend.create("one more")["task_id"], "idle")
    backend.stop()
    del backend.environ["FOUNDRY_DATABASE"]
    (backend.data / "foundry.db").unlink()
    (back / "foundry.db").rename(backend.data / "foundry.db")
    backend.start()
    assert [backend.get(path) for path in paths] == before
    assert PASSWORD not in backend.foundry("backend", "copy", postgres.url("x", GUARDED, PASSWORD), "/dev/null/x").err
