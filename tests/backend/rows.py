"""Changes of a task's rows, as an actor would hand them to a storage."""

from dataclasses import replace
from typing import Any

from msgspec import structs

from backend_stub.domain.storage import Change, LeftoverRow, Private
from foundry_tui.contract.attachments import FileAttachment, ImageAttachment
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import (
    HistoryKind,
    LogLine,
    Prompt,
    PromptState,
    Repo,
    SessionState,
    SessionStatus,
    SessionSummary,
    TaskDetail,
)
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind

REPO = Repo(repo_id="repo-1", label="shop", path="/shop")


def first_change(task_id: str, **rows: Any) -> Change:
    """A new task; `rows` are other fields of the change."""
    task = TaskDetail(
        task_id=task_id,
        repo_id=REPO.repo_id,
        repo_label=REPO.label,
        prompt="fix it",
        agent="demo",
        provider="demo",
        status=TaskStatus.QUEUED,
        status_since=1,
        created_at=1,
        updated_at=1,
        revision=1,
    )
    fields: dict[str, Any] = {
        "at": 1,
        "expected": 0,
        "task": task,
        "private": Private(),
        "history": ((HistoryKind.TASK_CREATED, {}), (HistoryKind.PROVISION_QUEUED, {})),
    }
    return Change(**fields | rows)


def next_change(last: Change, expected: int | None = None, *, changed: bool = True, **rows: Any) -> Change:
    """A change of the task as `last` left it, with other rows; its record is `changed` or not.

    `expected` is the version that was read, if not the one that `last` made.
    """
    task = structs.replace(last.task, revision=last.task.revision + 1) if changed else last.task
    version = last.expected + 1 if expected is None else expected
    fields: dict[str, Any] = {"at": 1, "expected": version, "task": task, "private": last.private}
    return Change(**fields | rows)


def session(task_id: str, session_id: str, revision: int = 1, *prompts: Prompt, name: str = "demo") -> SessionState:
    return SessionState(
        session_id=session_id,
        task_id=task_id,
        name=name,
        agent="demo",
        status=SessionStatus.READY,
        created_at=1,
        updated_at=1,
        revision=revision,
        prompts=prompts,
    )


def summary_of_session(state: SessionState) -> SessionSummary:
    return SessionSummary(**{name: getattr(state, name) for name in SessionSummary.__struct_fields__})


def prompt(session_id: str, prompt_id: str, state: PromptState = PromptState.QUEUED) -> Prompt:
    return Prompt(prompt_id=prompt_id, session_id=session_id, text="fix it", state=state, at=1)


def item(session_id: str, index: int, revision: int = 1, body: str = "said", item_id: str = "") -> TranscriptItem:
    return TranscriptItem(
        item_id=item_id or f"item-{index}",
        session_id=session_id,
        index=index,
        kind=TranscriptKind.MESSAGE,
        body=body,
        at=1,
        revision=revision,
    )


def line(index: int, text: str = "printed") -> LogLine:
    return LogLine(index=index, stage="turn", at=1, text=text)


def permission(task_id: str, session_id: str, permission_id: str) -> Permission:
    return Permission(
        title="May it?",
        options=(),
        permission_id=permission_id,
        task_id=task_id,
        session_id=session_id,
        state=PermissionState.OPEN,
        at=1,
    )


def leftover(task: TaskDetail, *, force: bool = False) -> LeftoverRow:
    return LeftoverRow(task=task, repo=REPO, archive=False, force=force, delete_branch=False)


def with_sessions(task_id: str, count: int) -> Change:
    """A new task that has so many sessions, each with a prompt."""
    names = ['"sessions":[] \\"sessions\\":[] ' + str(number) for number in range(count)]
    ids = [f"{task_id}.{number}" for number in range(count)]
    states = [session(task_id, each, 1, prompt(each, each), name=name) for each, name in zip(ids, names, strict=True)]
    change = first_change(task_id, sessions=states, prompts=[each.prompts[0] for each in states])
    summaries = tuple(summary_of_session(each) for each in states)
    return replace(change, task=structs.replace(change.task, sessions=summaries, title=',"sessions":[],"history":[]}'))


ATTACHED = (ImageAttachment(mime="image/png", data=b"\x89PNG"), FileAttachment(path="a.py"))


def with_rows(task_id: str) -> Change:
    """A new task with a row of each kind; what has a revision is in its second."""
    state = session(task_id, f"s-{task_id}", 2, prompt(f"s-{task_id}", f"p-{task_id}"))
    change = first_change(
        task_id,
        sessions=[state],
        prompts=state.prompts,
        attachments={f"p-{task_id}": ATTACHED},
        items=[item(state.session_id, 0, 2, "the newest")],
        lines=[line(0, "the first")],
        permissions=[permission(task_id, state.session_id, f"q-{task_id}")],
        hold_branch=f"fix/{task_id}",
        repo=REPO,
    )
    return replace(change, task=structs.replace(change.task, sessions=(summary_of_session(state),)))
