"""What is read from the tables; each function runs inside one read transaction."""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from backend_stub.domain.storage import ItemKey, LeftoverRow, Private, SessionOffer, TaskState
from backend_stub.storage.sqlite.statements import SQL
from foundry_tui.contract.attachments import NewAttachments, decode_attachments
from foundry_tui.contract.branches import near_branches
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.records import (
    HistoryEvent,
    LogLine,
    Operation,
    Prompt,
    PromptState,
    Repo,
    SessionSummary,
    TaskDetail,
)
from foundry_tui.contract.status import ENDED, TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind

LAST_HISTORY = 200
"""History events that come with a task."""


def request_of(connection: sqlite3.Connection, task_id: str) -> bytes | None:
    row = connection.execute(SQL["tasks.request"], (task_id,)).fetchone()
    return None if row is None else bytes(row[0])


def branch_holder(connection: sqlite3.Connection, repo_id: str, branch: str) -> str | None:
    row = connection.execute(SQL["branches.holder"], (repo_id, branch)).fetchone()
    return None if row is None else str(row[0])


def load(connection: sqlite3.Connection, task_id: str) -> TaskState | None:
    row = connection.execute(SQL["tasks.state"], (task_id,)).fetchone()
    if row is None:
        return None
    detail, private, version = row
    prompts: dict[str, list[Prompt]] = {}
    for (body,) in connection.execute(SQL["prompts.of_task"], (task_id,)):
        prompt = decode(body, Prompt)
        prompts.setdefault(prompt.session_id, []).append(prompt)
    (last,) = connection.execute(SQL["stage_log.last"], (task_id,)).fetchone()
    return TaskState(
        task=replace(decode(detail, TaskDetail), sessions=sessions_of(connection, task_id)),
        private=decode(private, Private),
        prompts={session_id: tuple(each) for session_id, each in prompts.items()},
        log_count=0 if last is None else int(last) + 1,
        version=version,
        offers={
            session_id: decode(offer, SessionOffer)
            for session_id, offer in connection.execute(SQL["sessions.offers"], (task_id,))
        },
    )


def sessions(connection: sqlite3.Connection) -> Sequence[SessionSummary]:
    return [decode(body, SessionSummary) for _, body in connection.execute(SQL["sessions.of_living_tasks"])]


def item_keys(connection: sqlite3.Connection, session_id: str) -> dict[str, ItemKey]:
    rows = connection.execute(SQL["transcript.keys"], (session_id,))
    return {item_id: ItemKey(index, revision) for item_id, index, revision in rows}


def task_of_session(connection: sqlite3.Connection, session_id: str) -> str | None:
    row = connection.execute(SQL["sessions.task"], (session_id,)).fetchone()
    return None if row is None else str(row[0])


def attachments(connection: sqlite3.Connection, prompt_id: str) -> NewAttachments:
    row = connection.execute(SQL["attachments.of_prompt"], (prompt_id,)).fetchone()
    return () if row is None else decode_attachments(row[0])


def task_of_permission(connection: sqlite3.Connection, permission_id: str) -> str | None:
    row = connection.execute(SQL["permissions.task"], (permission_id,)).fetchone()
    return None if row is None else str(row[0])


def operation(connection: sqlite3.Connection, operation_id: str) -> Operation | None:
    row = connection.execute(SQL["operations.one"], (operation_id,)).fetchone()
    return None if row is None else decode(row[0], Operation)


def last_words(connection: sqlite3.Connection, task_id: str) -> str | None:
    row = connection.execute(SQL["transcript.last_message"], (task_id, TranscriptKind.MESSAGE)).fetchone()
    return None if row is None else str(decode(row[0], TranscriptItem).body)


def repo(connection: sqlite3.Connection, repo_id: str) -> Repo | None:
    row = connection.execute(SQL["repos.one"], (repo_id,)).fetchone()
    return None if row is None else decode(row[0], Repo)


def repos(connection: sqlite3.Connection) -> Sequence[Repo]:
    return [decode(body, Repo) for (body,) in connection.execute(SQL["repos.all"])]


def held_branches(connection: sqlite3.Connection, repo_id: str, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if not all(name.isascii() for name in names):
        # The index knows case in ASCII only.
        held = dict(connection.execute(SQL["branches.of_repo"], (repo_id,)).fetchall())
        return {branch: held[branch] for branch in near_branches(names, held)}
    above = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    # What comes between `/` and the character after it is below the name.
    bounds = [*((name, name) for name in (*names, *above)), *((f"{name}/", f"{name}0") for name in names)]
    for first, last in bounds:
        found |= connection.execute(SQL["branches.between"], (repo_id, first, last)).fetchall()
    return {branch: found[branch] for branch in near_branches(names, found)}


def having(connection: sqlite3.Connection, statuses: frozenset[TaskStatus]) -> Sequence[str]:
    asked = SQL["tasks.having" if statuses & ENDED else "tasks.living_having"]
    rows = connection.execute(asked, (encode(sorted(statuses)),))
    return [task_id for (task_id,) in rows]


def in_turn(connection: sqlite3.Connection, status: TaskStatus) -> Sequence[str]:
    rows = connection.execute(SQL["tasks.in_turn"], (status, PromptState.DELIVERED))
    return [task_id for (task_id,) in rows]


def operating(connection: sqlite3.Connection) -> Sequence[str]:
    return [task_id for (task_id,) in connection.execute(SQL["operations.operating"])]


def leftovers(connection: sqlite3.Connection) -> Sequence[LeftoverRow]:
    return [decode(body, LeftoverRow) for (body,) in connection.execute(SQL["leftovers.all"])]


def leftover(connection: sqlite3.Connection, task_id: str) -> LeftoverRow | None:
    row = connection.execute(SQL["leftovers.one"], (task_id,)).fetchone()
    return None if row is None else decode(row[0], LeftoverRow)


def history(connection: sqlite3.Connection, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
    if task_id is None:
        rows = connection.execute(SQL["history.page"], (after, limit))
    else:
        rows = connection.execute(SQL["history.page_of_task"], (task_id, after, limit))
    return [decode(body, HistoryEvent) for (body,) in rows]


def task(connection: sqlite3.Connection, task_id: str) -> TaskDetail | None:
    row = connection.execute(SQL["tasks.detail"], (task_id,)).fetchone()
    if row is None:
        return None
    history = connection.execute(SQL["history.last_of_task"], (task_id, LAST_HISTORY))
    return replace(
        decode(row[0], TaskDetail),
        sessions=sessions_of(connection, task_id),
        history=tuple(decode(body, HistoryEvent) for (body,) in history),
    )


def lines(connection: sqlite3.Connection, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
    rows = connection.execute(SQL["stage_log.page"], (task_id, after, stage, stage, limit))
    return [decode(body, LogLine) for (body,) in rows]


def sessions_of(connection: sqlite3.Connection, task_id: str) -> tuple[SessionSummary, ...]:
    """A task's sessions, in the order in which they were asked for."""
    return tuple(decode(body, SessionSummary) for (body,) in connection.execute(SQL["sessions.of_task"], (task_id,)))
