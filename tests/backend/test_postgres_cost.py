"""How little is asked of PostgreSQL and written there, and that nothing is lost for it."""

import re
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from msgspec import structs

from backend_stub.domain.events import Committed
from backend_stub.domain.hosts import HostIdentity, HostReport
from backend_stub.domain.storage import Change
from backend_stub.storage import lists
from backend_stub.storage.postgres import open_shared, writer
from backend_stub.storage.postgres.address import Address
from backend_stub.storage.postgres.connections import connect
from backend_stub.storage.postgres.event_rows import MOST
from backend_stub.storage.postgres.tables import SQL, OneStatement
from foundry_tui.contract.codec import encode
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import HistoryKind, TaskDetail
from tests.backend.common_database import Backends, told
from tests.backend.rows import (
    REPO,
    first_change,
    next_change,
    prompt,
    session,
    summary_of_session,
)

pytestmark = pytest.mark.anyio


async def test_a_new_task_takes_few_statements_and_as_many_whatever_it_has(backends: Backends) -> None:
    log = backends.server.folder / "log"
    backends.server.execute(f"ALTER DATABASE {backends.name} SET log_statement = 'all'")
    marks = [f"repo-{uuid7()}", f"repo-{uuid7()}"]
    few, many = (structs.replace(REPO, repo_id=mark) for mark in marks)
    async with backends.one("here").open() as storage:
        await storage.commit(first_change("few", repo=few))
        asked = prompt("s", "p")
        rows = {"sessions": [session("many", "s", 1, asked)], "prompts": [asked], "hold_branch": "fix", "moved": True}
        await storage.commit(first_change("many", repo=many, history=((HistoryKind.TASK_CREATED, {}),) * 4, **rows))
    lines = log.read_text().splitlines()
    for mark in marks:
        first = next(number for number, line in enumerate(lines) if mark in line)
        (process,) = re.findall(r"\[\d+\]", lines[first])
        after = [line for line in lines[first:] if process in line and "LOG:  " in line]
        said = [line.partition("LOG:  ")[2] for line in after]
        assert next(number for number, each in enumerate(said) if each.endswith("COMMIT")) == 1, said


async def test_a_new_task_is_one_question_to_the_server_where_nobody_else_commits_and_a_change_two(
    backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing: list[psycopg.AsyncConnection] = []

    async def connect_and_remember(address: Address) -> psycopg.AsyncConnection:
        writing.append(await connect(address))
        return writing[-1]

    monkeypatch.setattr(writer, "connect", connect_and_remember)
    async with backends.one("here").open() as storage:
        first = first_change("t", repo=REPO)
        await storage.commit(first)
        for name, change, times in (("create", first_change("u", repo=REPO), 1), ("change", next_change(first), 2)):
            with (tmp_path / name).open("w+") as said:
                writing[-1].pgconn.trace(said.fileno())
                await storage.commit(change)
                writing[-1].pgconn.untrace()
                said.seek(0)
                asked = "".join(re.findall(r"\tF\t\d+\t([SF])(?:ync|lush)\b", said.read()))
                # Each has the server send what it has to say; psycopg asks for that again at the end of a pipeline.
                assert len(re.findall("SF?|F", asked)) == times, name


async def test_a_filter_walks_along_the_tasks_however_many_there_are(backends: Backends) -> None:
    statement = SQL["tasks.all_before"]
    assert statement.count(b"LIMIT %d" % lists.LOOKED_AT_ONCE) == 2
    async with backends.one("here").open():
        pass
    backends.execute(
        "INSERT INTO foundry.tasks (task_id, repo_id, status, created_at, revision, seq, summary, detail, private, "
        "request, ended) SELECT n, 'r', 'archived', n, 1, n, '{}', '{}', '{}', '{}', 1 FROM generate_series(1, 20000) n"
    )
    backends.execute("ANALYZE foundry.tasks")
    async with await backends.connection("looks") as connection:
        await connection.execute("SET search_path = foundry")
        age = (10_000, "")
        cursor = await connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement, (*age, *age, 500))
        ((plan,),) = await cursor.fetchall()
    looked_at = re.findall(r"'Actual Rows': ([\d.]+)", str(plan))
    assert max(map(float, looked_at)) <= lists.LOOKED_AT_ONCE


async def test_whether_the_server_answers_is_one_question_however_far_away_it_is(backends: Backends) -> None:
    log = backends.server.folder / "log"
    backends.server.execute(f"ALTER DATABASE {backends.name} SET log_statement = 'all'")
    async with backends.one("here").open() as storage:
        before = len(log.read_text())
        assert await storage.fault() is None
        said = log.read_text()[before:]
    assert "SELECT seq FROM meta" in said
    assert "BEGIN" not in said


async def test_a_new_task_is_found_out_about_whose_only_answer_is_lost(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, lost = OneStatement.send, []

    async def send_and_lose(self: OneStatement, connection: psycopg.AsyncConnection) -> None:
        if "sent" in lost:
            await send(self, connection)
        lost.append("lost")
        connection.pgconn.finish()
        raise psycopg.OperationalError

    here = backends.one("here")
    commits: list[Committed] = []
    async with here.open() as storage:
        storage.events.listen(commits.append)
        await storage.commit(first_change("t", repo=REPO))
        monkeypatch.setattr(OneStatement, "send", send_and_lose)
        for name in ("never sent", "sent"):
            lost[:] = [name]
            told_before = len(commits)
            history = await storage.commit(first_change(name, repo=REPO))
            assert lost == [name, "lost"]
            (commit,) = commits[told_before:]
            assert commit.seconds is not None
            assert [event.record for event in commit.events][-len(history) :] == history
        (repo,) = await storage.repos()
        assert repo.task_count == 3
    assert [event.seq for event in here.told] == list(range(1, len(here.told) + 1))


async def test_what_somebody_commits_of_whom_nothing_was_heard_is_not_taken_for_ones_own(backends: Backends) -> None:
    here, there = backends.one("here"), backends.one("there")
    async with here.open() as storage, there.open() as other:
        for number in range(5):
            await storage.commit(first_change(f"here-{number}", repo=REPO))
            await other.commit(first_change(f"there-{number}", repo=REPO))
        (repo,) = await storage.repos()
        assert repo.task_count == 10
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        for each in (here, there):
            await each.until_told(last)
    assert told(here) == told(there)
    assert [seq for seq, *_ in told(here)] == list(range(1, last + 1))


def full(task_id: str) -> Change:
    """A change of a task that has very many sessions, of which one has very many prompts."""
    many = [prompt(f"{task_id}-s", f"{task_id}-p-{number}") for number in range(10 * MOST)]
    states = [
        session(task_id, f"{task_id}-s", 1, *many),
        *(session(task_id, f"{task_id}-{number}") for number in range(10 * MOST)),
    ]
    change = first_change(task_id, sessions=states, prompts=many)
    return replace(change, task=structs.replace(change.task, sessions=tuple(map(summary_of_session, states))))


async def test_the_log_has_all_of_a_change_as_long_as_a_host_of_the_version_before_may_read_it(
    tmp_path: Path, backends: Backends
) -> None:
    me, report = HostIdentity("id-a", "a"), HostReport(providers=(), repositories=(), running=0, limit=1)
    async with open_shared(backends.url, tmp_path, me, lambda: 0) as shared:
        await shared.hosts.register(me, report, (), 5.0)
        backends.execute(
            "INSERT INTO foundry.hosts (host_id, name, lease, state, report) "
            "SELECT 'id-b', 'b', 1, 'lost', report FROM foundry.hosts"
        )
        for task_id, goes_on, is_whole in (("t", True, True), ("u", False, True), ("v", True, False)):
            await shared.hosts.all()
            shared.storage.writer.one_statement.alone = goes_on
            change = full(task_id)
            await shared.storage.commit(change)
            bodies = [
                body
                for (body,) in backends.execute(
                    f"SELECT body FROM foundry.events WHERE task_id = '{task_id}' AND name IN ('task', 'session')"
                )
            ]
            assert (encode(change.task) in bodies, encode(change.sessions[0]) in bodies) == (is_whole, is_whole)
            if task_id == "u":
                # It begins as one of this version.
                await shared.hosts.register(HostIdentity("id-b", "b"), report, (), 5.0)
                await shared.hosts.register(me, report, (), 5.0)


async def test_what_the_log_has_of_a_change_does_not_grow_with_the_sessions_and_prompts_that_there_are(
    backends: Backends,
) -> None:
    here, there = backends.one("here"), backends.one("there")
    change = full("t")
    async with here.open() as writing, there.open():
        await writing.commit(change)
        (last,) = backends.execute("SELECT seq FROM foundry.meta")[0]
        await there.until_told(last)
    assert told(here) == told(there)
    assert isinstance(there.told[0].record, TaskDetail)
    assert there.told[0].record.sessions == change.task.sessions
    bare = len(encode(structs.replace(change.task, sessions=())))
    bare += len(encode(structs.replace(change.sessions[0], prompts=())))
    ((largest,),) = backends.execute("SELECT max(length(body)) FROM foundry.events")
    assert largest <= bare
