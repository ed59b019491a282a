"""Stores in which one task stands in a state of its life, as the task screen's tests and pictures need them."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.contract.attachments import Attachment, AttachmentKind
from foundry_tui.contract.events import TASKS, EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.problems import FieldError, Problem
from foundry_tui.contract.questions import Permission, PermissionOption, PermissionState
from foundry_tui.contract.records import (
    Accepts,
    Cost,
    ErrorKind,
    FileDiff,
    HistoryEvent,
    HistoryKind,
    Leftover,
    LogLine,
    OptionChoice,
    OptionType,
    Prompt,
    PromptState,
    Sandbox,
    SessionCommand,
    SessionDetail,
    SessionOption,
    SessionStatus,
    StageRecord,
    StageState,
    TaskDetail,
    Usage,
    summary_of,
)
from foundry_tui.contract.requests import CreateTask, Diff, LogSnapshot, SessionSnapshot, TaskSnapshot, TasksSnapshot
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.contract.work import Work
from tests.app.factories import MINUTE, NOW, SECOND, make_detail, make_error, make_repo, make_session, task_id

TASK = task_id(1)
SESSION = "session-1"
PROMPT = "fix the login redirect: after signing in people land on /undefined"
MESSAGE = """I found it. `safe_next()` takes the **query string** before it is decoded:

1. `next=%2Faccount` is compared with the allowed paths as it stands
2. it is not among them, so `None` is joined into the URL

```python
def safe_next(request: Request) -> str:
    return unquote(request.query.get("next", "/"))
```

I will decode it first, and add a test for both spellings."""


def live() -> Freshness:
    """Connected and caught up."""
    return Freshness(FreshnessState.LIVE, NOW - MINUTE)


def store_with(
    task: TaskDetail | None,
    session: SessionDetail | None = None,
    *,
    log: Sequence[LogLine] = (),
    freshness: Freshness | None = None,
) -> Store:
    """A store that has heard of this task on all its topics, and that is as fresh as said (live)."""
    store = Store(now_ms=lambda: NOW)
    fresh = freshness or live()
    tasks = () if task is None else (summary_of(task),)
    store.open(TASKS)
    store.apply(TASKS, EventName.SNAPSHOT, TasksSnapshot(seq=1, repos=(make_repo(),), tasks=tasks), 1)
    topics = [TASKS, Topic(TopicKind.TASK, TASK), Topic(TopicKind.SESSION, SESSION), Topic(TopicKind.LOG, TASK)]
    if task is not None:
        put_snapshot(store, topics[1], TaskSnapshot(**fields_of(task), seq=1))
        put_snapshot(store, topics[3], LogSnapshot(lines=tuple(log), seq=1))
    if session is not None:
        put_snapshot(store, topics[2], SessionSnapshot(**fields_of(session), seq=1))
    for topic in topics:
        store.set_freshness(topic, fresh)
    return store


def put_snapshot(store: Store, topic: Topic, record: Any) -> None:
    """Have a topic be read."""
    store.open(topic)
    store.apply(topic, EventName.SNAPSHOT, record, record.seq)


def fields_of(record: Any) -> dict[str, Any]:
    """The fields of a record, for one that has more."""
    return {name: getattr(record, name) for name in record.__struct_fields__}


def a_task(status: TaskStatus = TaskStatus.IDLE, **changes: Any) -> TaskDetail:
    """The task of all scenes."""
    task = make_detail(1, status, prompt=PROMPT, history=a_history())
    if task.stages_done >= 2:
        task = replace(task, sandbox=Sandbox(sandbox_id=TASK, cwd="/home/ada/.foundry/shop/1", created_at=NOW - MINUTE))
    if task.stages_done >= 4:
        task = replace(
            task,
            work=Work(base="main", ahead=2, behind=1, files=2, added=25, removed=1, at=NOW, uncommitted=1),
            history=(*task.history, *a_turn_kept()),
        )
    return replace(task, **changes)


PATCH = """--- a/shop/auth.py
+++ b/shop/auth.py
@@ -12,4 +12,4 @@ def safe_next(request):
 def safe_next(request):
-    target = request.query.get("next")
+    target = unquote(request.query.get("next", "/"))
     return target
"""


def a_diff() -> Diff:
    """What the task changed."""
    files = (
        FileDiff(path="shop/auth.py", status="M", added=1, removed=1, patch=PATCH),
        FileDiff(path="tests/test_auth.py", status="A", added=24, removed=0, patch=""),
    )
    return Diff(files=files, computed_at=1)


def a_history() -> tuple[HistoryEvent, ...]:
    """How a plain task's history begins."""
    told: list[tuple[HistoryKind, int, dict[str, Any]]] = [
        (HistoryKind.TASK_CREATED, 0, {}),
        (HistoryKind.PROVISION_QUEUED, 0, {}),
        (HistoryKind.STAGE_STARTED, 20, {"stage": "ensure_name", "attempt": 1, "max_attempts": 3}),
        (HistoryKind.TASK_NAMED, 420, {"title": "Fix the login redirect", "branch": "fix/login-redirect"}),
        (HistoryKind.STAGE_COMPLETED, 420, {"stage": "ensure_name", "attempt": 1, "ms": 400}),
        (HistoryKind.STAGE_STARTED, 430, {"stage": "create_sandbox", "attempt": 1, "max_attempts": 3}),
        (
            HistoryKind.STAGE_RETRYING,
            4430,
            {
                "stage": "create_sandbox",
                "attempt": 1,
                "kind": "timeout",
                "message": "no answer from the sandbox host",
                "next_at": NOW - 5 * MINUTE + 6430,
            },
        ),
    ]
    return tuple(
        HistoryEvent(seq=place + 1, task_id=TASK, kind=kind, at=NOW - 5 * MINUTE + after, payload=payload)
        for place, (kind, after, payload) in enumerate(told)
    )


def a_turn_kept(seq: int = 60, prompt: int = 1) -> tuple[HistoryEvent, ...]:
    """What history has of the files before and after a turn that changed something."""
    told = (("before", 0, 0, 0, 2 * MINUTE), ("after", 2, 25, 1, MINUTE))
    return tuple(
        HistoryEvent(
            seq=seq + place,
            task_id=TASK,
            kind=HistoryKind.CHECKPOINT_MADE,
            at=NOW - ago,
            payload={
                "checkpoint_id": f"{when}-{prompt}",
                "when": when,
                "prompt_id": f"prompt-{prompt}",
                "files": files,
                "added": added,
                "removed": removed,
            },
        )
        for place, (when, files, added, removed, ago) in enumerate(told)
    )


def a_session(status: SessionStatus = SessionStatus.READY, **changes: Any) -> SessionDetail:
    """The task's first session, with its prompt still queued if it is not open yet."""
    summary = make_session(1, status=status)
    waiting = status in (SessionStatus.PENDING_PROVISION, SessionStatus.PENDING_CREATE)
    prompt = Prompt(
        prompt_id="prompt-1",
        session_id=SESSION,
        text=PROMPT,
        state=PromptState.QUEUED if waiting else PromptState.ANSWERED,
        at=NOW - 5 * MINUTE,
    )
    session = SessionDetail(**fields_of(summary), prompts=(prompt,), transcript=() if waiting else a_transcript())
    return replace(session, **changes)


def item(index: int, kind: TranscriptKind, body: str | dict[str, Any]) -> TranscriptItem:
    """Item number `index` of the transcript."""
    return TranscriptItem(
        item_id="prompt-1" if kind is TranscriptKind.PROMPT else f"item-{index}",
        session_id=SESSION,
        index=index,
        kind=kind,
        body=body,
        at=NOW - MINUTE + index * SECOND,
        revision=1,
    )


def a_transcript() -> tuple[TranscriptItem, ...]:
    """One item of every kind."""
    kind = TranscriptKind
    edit = {
        "path": "shop/auth.py",
        "old": 'def safe_next(request):\n    target = request.query.get("next")\n    return target\n',
        "new": 'def safe_next(request):\n    target = unquote(request.query.get("next", "/"))\n    return target\n',
    }
    return (
        item(0, kind.PROMPT, PROMPT),
        item(1, kind.THOUGHT, "People land on /undefined, so something joins None into the URL."),
        item(
            2,
            kind.TOOL_CALL,
            {"title": "grep -rn safe_next shop", "kind": "search", "status": "completed", "content": "shop/auth.py:14"},
        ),
        item(3, kind.MESSAGE, MESSAGE),
        item(
            4,
            kind.PLAN,
            {
                "entries": [
                    {"content": "Find where the redirect is made", "status": "completed"},
                    {"content": "Decode the path first", "status": "in_progress"},
                    {"content": "Test both spellings"},
                ]
            },
        ),
        item(5, kind.TOOL_CALL, {"title": "Edit shop/auth.py", "kind": "edit", "status": "completed", "edits": [edit]}),
        item(6, kind.NOTICE, "The agent was found again after a restart of the backend."),
    )


def a_permission(**changes: Any) -> Permission:
    """An open request of the first session."""
    permission = Permission(
        permission_id="permission-1",
        task_id=TASK,
        session_id=SESSION,
        title="Run `make test`?",
        options=(
            PermissionOption(option_id="allow", name="Allow", kind="allow_once"),
            PermissionOption(option_id="always", name="Always allow", kind="allow_always"),
            PermissionOption(option_id="deny", name="Deny", kind="reject_once"),
        ),
        state=PermissionState.OPEN,
        at=NOW - 8 * SECOND,
    )
    return replace(permission, **changes)


def a_log() -> tuple[LogLine, ...]:
    """What the provider printed."""
    told = (
        ("ensure_name", "$ git fetch --quiet origin"),
        ("ensure_name", "branch fix/login-redirect is free"),
        ("create_sandbox", "$ git worktree add -b fix/login-redirect /home/ada/.foundry/shop/1 main"),
        ("create_sandbox", "Preparing worktree (new branch 'fix/login-redirect')"),
        ("create_sandbox", "fatal: could not create work tree dir: No space left on device"),
    )
    return tuple(
        LogLine(index=index, stage=stage, at=NOW - MINUTE + index * SECOND, text=text)
        for index, (stage, text) in enumerate(told)
    )


def status_scene(status: TaskStatus) -> Store:
    """The task in this status, its session as the status has it."""
    task = a_task(status)
    session_status = task.sessions[0].status
    return store_with(task, a_session(session_status), log=a_log())


def waiting_scene() -> Store:
    """The sandbox stage between its second and its third attempt, seven seconds to go."""
    task = a_task(TaskStatus.CREATE_SANDBOX)
    error = make_error("no answer from the sandbox host within 180s", kind=ErrorKind.TIMEOUT)
    stages = tuple(
        replace(stage, attempt=2, started_at=NOW - 9 * SECOND, finished_at=NOW - 3 * SECOND, error=error)
        if stage.name is StageName.CREATE_SANDBOX
        else stage
        for stage in task.stages
    )
    retrying = HistoryEvent(
        seq=90,
        task_id=TASK,
        kind=HistoryKind.STAGE_RETRYING,
        at=NOW - 3 * SECOND,
        payload={"stage": "create_sandbox", "attempt": 2, "message": error.message, "next_at": NOW + 7 * SECOND},
    )
    task = replace(task, stages=stages, history=(*task.history, retrying))
    return store_with(task, a_session(SessionStatus.PENDING_PROVISION))


def permission_scene() -> Store:
    """The agent has asked something."""
    task = a_task(TaskStatus.RUNNING, permissions=(a_permission(),), needs_input=1)
    asked = item(7, TranscriptKind.PERMISSION, {"permission_id": "permission-1", "title": "Run `make test`?"})
    return store_with(task, a_session(SessionStatus.RUNNING, transcript=(*a_transcript(), asked)))


def leftover_scene() -> Store:
    """A killed task whose sandbox could not be destroyed."""
    left = Leftover(what="sandbox 019e0000", why="the sandbox host did not answer", at=NOW - SECOND)
    return store_with(a_task(TaskStatus.KILLED, leftovers=(left,)), a_session(SessionStatus.CLOSED))


def turn_failed_scene() -> Store:
    """The agent died in the middle of a turn."""
    error = make_error("the agent ended by itself with exit code 137", kind=ErrorKind.AGENT, stage=None)
    stages = tuple(
        StageRecord(
            name=stage.name,
            state=StageState.DONE,
            attempt=1,
            max_attempts=3,
            started_at=NOW - 30 * SECOND,
            finished_at=NOW - 26 * SECOND,
        )
        for stage in a_task().stages
    )
    task = replace(a_task(TaskStatus.IDLE), status=TaskStatus.ERROR, error=error, stages=stages)
    sessions = tuple(replace(session, status=SessionStatus.ERROR, error=error) for session in task.sessions)
    return store_with(
        replace(task, sessions=sessions), replace(a_session(SessionStatus.READY), status=SessionStatus.ERROR)
    )


def pending_scene() -> Store:
    """A creation that the backend has not answered."""
    store = store_with(None)
    store.create(CreateTask(task_id=TASK, session_id=SESSION, repo="/src/shop", prompt=PROMPT, agent="claude"))
    return store


def put_off_scene() -> Store:
    """A creation that the backend cannot take just now."""
    store = pending_scene()
    store.put_off(TASK, Problem(status=503, title="Not stored", detail="The backend's disk is full."))
    return store


def refused_scene() -> Store:
    """A creation that the backend refused because of two fields."""
    store = pending_scene()
    errors = (
        FieldError(field="branch", message="a branch called fix/login exists already"),
        FieldError(field="agent", message="there is no agent called claud"),
    )
    store.refused(TASK, Problem(status=422, title="Unprocessable", detail="Two fields are wrong.", errors=errors))
    return store


def deleted_scene() -> Store:
    """The task was removed while it was looked at."""
    store = status_scene(TaskStatus.IDLE)
    for topic in (TASKS, Topic(TopicKind.TASK, TASK)):
        store.apply(topic, EventName.TASK_REMOVED, TaskRemoved(task_id=TASK), 9)
    return store


def offline_scene() -> Store:
    """Nobody answers, and nothing is known of the task."""
    gone = Freshness(FreshnessState.OFFLINE, NOW - MINUTE, retry_at=NOW + 4 * SECOND, reason="connection refused")
    return store_with(None, freshness=gone)


def stale_scene() -> Store:
    """The task is shown as it was when the connection was lost."""
    lost = Freshness(FreshnessState.RECONNECTING, NOW - 3 * SECOND, retry_at=NOW + 3 * SECOND)
    return store_with(a_task(TaskStatus.RUNNING), a_session(SessionStatus.RUNNING), freshness=lost)


AWAY = Freshness(FreshnessState.OFFLINE, NOW - 4 * SECOND, retry_at=NOW + 3 * SECOND, reason="connection refused")
"""Lost four seconds ago, and nobody answers."""


def away_scene(status: TaskStatus = TaskStatus.CREATE_SANDBOX) -> Store:
    """The task in this status when the backend went away."""
    task = a_task(status)
    return store_with(task, a_session(task.sessions[0].status), log=a_log(), freshness=AWAY)


def unsent_scene() -> Store:
    """A creation that cannot be sent."""
    store = pending_scene()
    store.set_freshness(TASKS, AWAY)
    return store


def sessions_scene() -> Store:
    """A second session that is not open yet, beside the first one."""
    task = a_task(TaskStatus.RUNNING)
    second = make_session(1, session_id="session-2", name="review", status=SessionStatus.PENDING_CREATE)
    return store_with(replace(task, sessions=(*task.sessions, second)), a_session(SessionStatus.RUNNING))


MODES = (
    OptionChoice(value="default", name="Ask"),
    OptionChoice(value="plan", name="Plan", description="Looks, and writes nothing"),
    OptionChoice(value="bypassPermissions", name="Bypass Permissions"),
)


def an_option(option_id: str, value: str | bool, *choices: OptionChoice, **fields: Any) -> SessionOption:
    type_ = OptionType.SELECT if choices else OptionType.BOOLEAN
    return SessionOption(
        option_id=option_id,
        name=option_id.title(),
        category=option_id,
        type=type_,
        value=value,
        choices=choices,
        **fields,
    )


def options_scene(**changes: Any) -> Store:
    """A session that works, whose agent offers three modes and a switch."""
    told = {
        "options": (an_option("mode", "plan", *MODES), an_option("fast", False)),
        "model": "Opus",
        "mode": "Plan",
        "usage": Usage(used=41_000, size=100_000, cost=Cost(amount=0.12, currency="USD")),
    }
    return store_with(a_task(TaskStatus.RUNNING), a_session(SessionStatus.RUNNING, **{**told, **changes}))


COMMANDS = (
    SessionCommand(name="review", description="Review the changes of this branch", hint="[what to look at]"),
    SessionCommand(name="compact", description="Summarise the conversation to free context"),
    SessionCommand(name="test:flaky", description="Run one test until it fails", hint="<test> [times]"),
    SessionCommand(name="init", description="Write down what this repository is about"),
)
FILES = (
    "README.md",
    "pyproject.toml",
    "src/auth/__init__.py",
    "src/auth/login.py",
    "src/auth/redirects.py",
    "src/auth/release notes.md",
    "src/views/login_form.html",
    "tests/auth/test_login.py",
    "tests/auth/test_redirects.py",
    "tests/data/caf\u009b\n.txt",
    '"caf\\351.txt"',
)
"""What the sandbox has; the last two have names that are no text for a terminal, or no text at all."""


def naming_scene() -> Store:
    """An agent that has commands waits for what is said to it."""
    return store_with(a_task(), replace(a_session(), commands=COMMANDS))


def silent_scene() -> Store:
    """A turn whose agent has said nothing for four minutes, in a conversation that has nearly filled its context."""
    usage = Usage(used=83_000, size=100_000, cost=Cost(amount=1.2, currency="USD"))
    said = tuple(replace(each, at=each.at - 5 * MINUTE) for each in a_transcript())
    session = a_session(
        SessionStatus.RUNNING, transcript=said, usage=usage, turn_silent_since=NOW - 4 * MINUTE - 10 * SECOND
    )
    task = a_task(TaskStatus.RUNNING, status_since=NOW - 6 * MINUTE)
    return store_with(task, session)


def unloaded_scene() -> Store:
    """An agent that was ended because nobody said anything to it."""
    away = NOW - 12 * MINUTE
    task = a_task(TaskStatus.IDLE)
    task = replace(task, sessions=tuple(replace(each, unloaded_since=away) for each in task.sessions))
    return store_with(task, a_session(SessionStatus.READY, unloaded_since=away))


def queue_scene(
    *waiting: str, steering: str | None = "stop: leave the old redirect as it is", held: bool = False
) -> Store:
    """A turn runs, and prompts wait behind it; one of them steers, though it was said last.

    `held`: it was stopped instead, and what waits is held back.
    """
    texts = waiting or ("also update the changelog", "then open a pull request\nand name me as its reviewer")
    last = () if steering is None else (steering,)
    queued = tuple(
        Prompt(
            prompt_id=f"queued-{place}",
            session_id=SESSION,
            text=text,
            state=PromptState.QUEUED,
            at=NOW - MINUTE + place * SECOND,
            steer=text == steering,
        )
        for place, text in enumerate((*texts, *last), 1)
    )
    session = replace(a_session(SessionStatus.READY if held else SessionStatus.RUNNING), held=held)
    task = a_task(TaskStatus.IDLE if held else TaskStatus.RUNNING)
    task = replace(task, sessions=tuple(replace(each, held=held) for each in task.sessions))
    return store_with(task, replace(session, prompts=(*session.prompts, *queued)))


SHOT = Attachment(kind=AttachmentKind.IMAGE, name="redirect.png", mime="image/png", size=214_300)
TRACE = Attachment(kind=AttachmentKind.TEXT, name="server.log", mime="text/plain", size=4_120)
ROUTES = Attachment(kind=AttachmentKind.FILE, name="routes.py", path="src/shop/routes.py")


def attached_scene(status: SessionStatus = SessionStatus.RUNNING, *, image: bool = True) -> Store:
    """What was said had files with it, and what waits has too; `image`: the agent takes images."""
    store = queue_scene("also update the changelog", "this is how it looks now", steering=None)
    session = store.session(SESSION)
    assert session is not None
    first, *between, last = session.prompts
    first = replace(first, attachments=(SHOT, TRACE, ROUTES))
    prompts = (first, *between, replace(last, attachments=(SHOT, SHOT, TRACE)))
    accepts = Accepts(image=image)
    return store_with(a_task(TaskStatus.RUNNING), replace(session, prompts=prompts, accepts=accepts, status=status))


SCENES: dict[str, Callable[[], Store]] = {
    "waiting": waiting_scene,
    "permission": permission_scene,
    "leftover": leftover_scene,
    "turn-failed": turn_failed_scene,
    "pending": pending_scene,
    "put-off": put_off_scene,
    "refused": refused_scene,
    "deleted": deleted_scene,
    "offline": offline_scene,
    "reconnecting": stale_scene,
    "away": away_scene,
    "unsent": unsent_scene,
    "sessions": sessions_scene,
    "queue": queue_scene,
    "attached": attached_scene,
    "loading": lambda: store_with(None),
}
"""Every state that is not one of the statuses, by name."""
