"""What is read from the tables, whichever engine keeps them; each function runs inside one read transaction."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from backend_stub.domain.storage import ItemKey, LeftoverRow, Private, SessionOffer, TaskState
from backend_stub.storage.tables import Tables, fetch_known, fetch_one
from foundry_tui.contract.attachments import NewAttachments, decode_attachments
from foundry_tui.contract.branches import near_branches
from foundry_tui.contract.codec import decode
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


async def request_of(tables: Tables, task_id: str) -> bytes | None:
    row = await fetch_one(tables, "tasks.request", task_id)
    return None if row is None else bytes(row[0])


async def branch_holder(tables: Tables, repo_id: str, branch: str) -> str | None:
    row = await fetch_one(tables, "branches.holder", repo_id, branch)
    return None if row is None else str(row[0])


async def load(tables: Tables, task_id: str) -> TaskState | None:
    row = await fetch_one(tables, "tasks.state", task_id)
    if row is None:
        return None
    detail, private, version = row
    prompts: dict[str, list[Prompt]] = {}
    for (body,) in await tables.fetch("prompts.of_task", task_id):
        prompt = decode(body, Prompt)
        prompts.setdefault(prompt.session_id, []).append(prompt)
    (last,) = await fetch_known(tables, "stage_log.last", task_id)
    return TaskState(
        task=replace(decode(detail, TaskDetail), sessions=await sessions_of(tables, task_id)),
        private=decode(private, Private),
        prompts={session_id: tuple(each) for session_id, each in prompts.items()},
        log_count=0 if last is None else int(last) + 1,
        version=version,
        offers={
            session_id: decode(offer, SessionOffer)
            for session_id, offer in await tables.fetch("sessions.offers", task_id)
        },
    )


async def sessions(tables: Tables) -> Sequence[SessionSummary]:
    return [decode(body, SessionSummary) for _, body in await tables.fetch("sessions.of_living_tasks")]


async def item_keys(tables: Tables, session_id: str) -> dict[str, ItemKey]:
    rows = await tables.fetch("transcript.keys", session_id)
    return {item_id: ItemKey(index, revision) for item_id, index, revision in rows}


async def task_of_session(tables: Tables, session_id: str) -> str | None:
    row = await fetch_one(tables, "sessions.task", session_id)
    return None if row is None else str(row[0])


async def attachments(tables: Tables, prompt_id: str) -> NewAttachments:
    row = await fetch_one(tables, "attachments.of_prompt", prompt_id)
    return () if row is None else decode_attachments(row[0])


async def task_of_permission(tables: Tables, permission_id: str) -> str | None:
    row = await fetch_one(tables, "permissions.task", permission_id)
    return None if row is None else str(row[0])


async def operation(tables: Tables, operation_id: str) -> Operation | None:
    row = await fetch_one(tables, "operations.one", operation_id)
    return None if row is None else decode(row[0], Operation)


async def last_words(tables: Tables, task_id: str) -> str | None:
    rows = await tables.fetch("transcript.last_message", task_id)
    items = (decode(body, TranscriptItem) for (body,) in rows)
    return next((str(item.body) for item in items if item.kind is TranscriptKind.MESSAGE), None)


async def repo(tables: Tables, repo_id: str) -> Repo | None:
    row = await fetch_one(tables, "repos.one", repo_id)
    return None if row is None else decode(row[0], Repo)


async def repos(tables: Tables) -> Sequence[Repo]:
    return [decode(body, Repo) for (body,) in await tables.fetch("repos.all")]


async def held_branches(tables: Tables, repo_id: str, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if not all(name.isascii() for name in names):
        # The index knows case in ASCII only.
        held: dict[str, str] = dict(await tables.fetch("branches.of_repo", repo_id))
        return {branch: held[branch] for branch in near_branches(names, held)}
    above = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    # What comes between `/` and the character after it is below the name.
    bounds = [*((name, name) for name in (*names, *above)), *((f"{name}/", f"{name}0") for name in names)]
    for first, last in bounds:
        found.update(await tables.fetch("branches.between", repo_id, first, last))
    return {branch: found[branch] for branch in near_branches(names, found)}


async def having(tables: Tables, statuses: frozenset[TaskStatus]) -> Sequence[str]:
    rows = await tables.fetch("tasks.having" if statuses & ENDED else "tasks.living_having", sorted(statuses))
    return [task_id for (task_id,) in rows]


async def in_turn(tables: Tables, status: TaskStatus) -> Sequence[str]:
    rows = await tables.fetch("tasks.in_turn", status, PromptState.DELIVERED)
    return [task_id for (task_id,) in rows]


async def operating(tables: Tables) -> Sequence[str]:
    return [task_id for (task_id,) in await tables.fetch("operations.operating")]


async def leftovers(tables: Tables) -> Sequence[LeftoverRow]:
    return [decode(body, LeftoverRow) for (body,) in await tables.fetch("leftovers.all")]


async def leftover(tables: Tables, task_id: str) -> LeftoverRow | None:
    row = await fetch_one(tables, "leftovers.one", task_id)
    return None if row is None else decode(row[0], LeftoverRow)


async def history(tables: Tables, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
    if task_id is None:
        rows = await tables.fetch("history.page", after, limit)
    else:
        rows = await tables.fetch("history.page_of_task", task_id, after, limit)
    return [decode(body, HistoryEvent) for (body,) in rows]


async def task(tables: Tables, task_id: str) -> TaskDetail | None:
    row = await fetch_one(tables, "tasks.detail", task_id)
    if row is None:
        return None
    history = await tables.fetch("history.last_of_task", task_id, LAST_HISTORY)
    return replace(
        decode(row[0], TaskDetail),
        sessions=await sessions_of(tables, task_id),
        history=tuple(decode(body, HistoryEvent) for (body,) in history),
    )


async def lines(tables: Tables, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
    rows = await tables.fetch("stage_log.page", task_id, after, stage, stage, limit)
    return [decode(body, LogLine) for (body,) in rows]


async def sessions_of(tables: Tables, task_id: str) -> tuple[SessionSummary, ...]:
    """A task's sessions, in the order in which they were asked for."""
    return tuple(decode(body, SessionSummary) for (body,) in await tables.fetch("sessions.of_task", task_id))


async def seq(tables: Tables) -> int:
    """Where the log of events has come to."""
    return int((await fetch_known(tables, "meta.seq"))[0])


OF_ONE_STATEMENT: frozenset[Callable[..., object]] = frozenset(
    {
        request_of,
        branch_holder,
        sessions,
        item_keys,
        task_of_session,
        attachments,
        task_of_permission,
        operation,
        last_words,
        repo,
        repos,
        having,
        in_turn,
        operating,
        leftovers,
        leftover,
        history,
        lines,
        seq,
    }
)
"""Those that see one moment without a transaction, since they ask for no second statement."""
