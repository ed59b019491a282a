"""Worlds of many tasks, for the list's pictures: every state once, and as many as are asked for."""

import random
import re
from collections.abc import Iterator

from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.contract.activity import Activity, ActivityKind, PlanProgress
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.questions import Ask, PermissionOption
from foundry_tui.contract.records import SessionStatus, SessionSummary, StageProgress, TaskSummary, Usage
from foundry_tui.contract.requests import CreateTask, SessionSnapshot
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from tests.app.factories import HOUR, MINUTE, NOW, SECOND, make_error, make_repo, make_session, make_task, task_id
from tests.app.harness import LIVE, make_store
from tests.app.task_scenes import SESSION, a_session, a_transcript, fields_of, item, put_snapshot

S = TaskStatus
REPOS = ("storefront", "billing-api", "docs")

_EVERY_STATE: tuple[tuple[TaskStatus, str, str, int], ...] = (
    (S.RUNNING, "Rotate the signing keys without downtime", "billing-api", 26 * MINUTE),
    (S.QUEUED, "Speed up the product search", "storefront", 4 * SECOND),
    (S.ENSURE_NAME, "Write a guide to webhooks", "docs", 9 * SECOND),
    (S.CREATE_SANDBOX, "Add rate limiting to the public API", "billing-api", 51 * SECOND),
    (S.ENSURE_AGENT, "Fix the login redirect after a password reset", "storefront", 95 * SECOND),
    (S.CREATE_SESSION, "Исправить округление сумм в счетах", "billing-api", 3 * MINUTE),
    (S.RUNNING, "Refactor the price engine into pure functions", "storefront", 12 * MINUTE),
    (S.IDLE, "Cache product pages at the edge", "storefront", 48 * MINUTE),
    (S.IDLE, "Document the retry policy", "docs", 2 * HOUR),
    (S.ERROR, "Upgrade the image pipeline", "storefront", 31 * MINUTE),
    (S.ERROR, "Import last year's invoices", "billing-api", 3 * HOUR),
    (S.ARCHIVING, "Remove the legacy session table", "storefront", 5 * HOUR),
    (S.ARCHIVED, "Prefix all metrics with the service name", "billing-api", 26 * HOUR),
    (S.KILLED, "Try another template language", "docs", 49 * HOUR),
)


def _slug(title: str) -> str:
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words[:6]) or "summy-v-schetah"


def every_state() -> list[TaskSummary]:
    """A task in each status of the contract, one of them asking, one tried a second time, two unread."""
    tasks = []
    for number, (status, title, repo, old) in enumerate(_EVERY_STATE, 1):
        named = status not in (S.QUEUED, S.ENSURE_NAME)
        task = make_task(
            number,
            status,
            title=title if named else None,
            prompt=title,
            branch=f"{'docs' if repo == 'docs' else 'feat'}/{_slug(title)}" if named else None,
            repo_id=f"repo-{repo}",
            repo_label=repo,
            agent=("claude", "codex")[number % 2],
            created_at=NOW - old,
            status_since=NOW - min(old, 12 * SECOND),
            needs_input=int(number == 1),
            unread=number in (8, 10),
            **_extras(number),
        )
        tasks.append(task)
    return tasks


def _extras(number: int) -> dict[str, object]:
    if number == 4:
        begun = NOW - 34 * SECOND
        stage = StageProgress(name=StageName.CREATE_SANDBOX, attempt=2, max_attempts=3, started_at=begun)
        return {"stage": stage}
    if number == 10:
        return {"error": make_error("no space left on the build machine: 112 MB free, 2 GB needed")}
    if number == 11:
        return {"error": make_error("the agent's process ended with exit code 137", stage=None, kind="agent")}
    return {}


def store_of(tasks: list[TaskSummary], freshness: Freshness = LIVE) -> Store:
    """A store with these tasks and the repositories of this module."""
    return make_store(tasks, [make_repo(label) for label in REPOS], freshness=freshness)


def store_of_every_state() -> Store:
    """`every_state`, with a creation not yet answered and one refused."""
    store = store_of(every_state())
    pending = CreateTask(repo="repo-docs", prompt="Explain the demo provider", task_id=task_id(901), session_id="s-901")
    store.create(pending)
    refused = CreateTask(
        repo="repo-storefront", prompt="Tidy the checkout", task_id=task_id(902), session_id="s-902", branch="main"
    )
    store.create(refused)
    store.refused(task_id(902), Problem(status=422, title="Unprocessable", detail="the branch main exists already"))
    store.flush()
    return store


AWAY = Freshness(
    FreshnessState.OFFLINE, NOW - 12 * SECOND, retry_at=NOW + 3 * SECOND, reason="nobody answers at backend.sock"
)
"""The backend has been away for twelve seconds."""

_VERBS = ("Fix", "Add", "Document", "Refactor", "Speed up", "Test", "Remove", "Rename", "Cache", "Review")
_THINGS = (
    "the login redirect",
    "rate limits",
    "the retry policy",
    "checkout totals",
    "the price engine",
    "image uploads",
    "search results",
    "the audit log",
    "webhook signatures",
    "session storage",
)
_STATES = (*[S.IDLE] * 10, *[S.ARCHIVED] * 6, *[S.RUNNING] * 3, S.ERROR, S.CREATE_SANDBOX, S.KILLED)


def many(count: int, seed: int = 1) -> Iterator[TaskSummary]:
    """`count` tasks like those of a busy team, always the same for a seed."""
    rng = random.Random(seed)
    for number in range(1, count + 1):
        title = f"{rng.choice(_VERBS)} {rng.choice(_THINGS)} for {rng.choice(('guests', 'admins', 'tenants', 'bots'))}"
        repo = rng.choice(REPOS)
        status = rng.choice(_STATES)
        yield make_task(
            number,
            status,
            title=title,
            prompt=f"{title}, please, and add a test that fails without it",
            branch=f"feat/{_slug(title)}-{number}",
            repo_id=f"repo-{repo}",
            repo_label=repo,
            created_at=NOW - number * 7 * MINUTE,
            status_since=NOW - rng.randrange(1, 300) * SECOND,
            needs_input=int(status is S.RUNNING and rng.random() < 0.05),
            unread=rng.random() < 0.05,
        )


def speaking() -> list[TaskSummary]:
    """Six tasks of six kinds, each of which says what it says now, with names of several lengths."""

    def task(number: int, status: TaskStatus, title: str, repo: str, **changes: object) -> TaskSummary:
        branch = f"feat/{_slug(title)}"
        return make_task(
            number, status, title=title, prompt=title, branch=branch, repo_id=repo, repo_label=repo, **changes
        )

    def says(kind: ActivityKind, text: str) -> Activity:
        return Activity(kind=kind, text=text, at=NOW)

    options = (
        PermissionOption(option_id="allow", name="Allow", kind="allow_once"),
        PermissionOption(option_id="deny", name="Deny", kind="reject_once"),
    )
    title = "Run make release DEPLOY=staging?"
    ask = Ask(permission_id="ask-1", session_id="session-1", title=title, at=NOW - 12 * SECOND, options=options)
    edit = Ask(
        permission_id="ask-2",
        session_id="session-2",
        title="Edit ci.yml",
        at=NOW - 12 * SECOND,
        options=options,
        whole=False,
    )
    usage = {1: 12, 2: 64, 3: 41, 4: 7}

    def used(number: int) -> tuple[SessionSummary, ...]:
        share = Usage(used=usage[number] * 2_000, size=200_000)
        return (make_session(number, status=SessionStatus.READY, usage=share),)

    plan = PlanProgress(done=2, total=4)
    return [
        task(1, S.RUNNING, "Idempotency keys", "payments-gateway", needs_input=1, asks=(ask,), sessions=used(1)),
        task(
            2,
            S.RUNNING,
            "Pin the runners of all workflows to one image",
            "infra",
            needs_input=2,
            asks=(edit, ask),
            created_at=NOW - 3 * MINUTE,
            sessions=used(2),
        ),
        task(
            3,
            S.RUNNING,
            "Move CI to arm",
            "infra",
            activity=says(ActivityKind.TOOL, "pytest -q tests/images"),
            plan=plan,
            created_at=NOW - 7 * MINUTE,
            sessions=used(3),
        ),
        task(4, S.CREATE_SANDBOX, "Cache the wheels", "a-repository-with-a-very-long-name", agent="codex"),
        task(
            5,
            S.IDLE,
            "One retry policy",
            "shop",
            activity=says(ActivityKind.MESSAGE, "It lived in **three** places: `client`, `worker` and the webhooks."),
            unread=True,
            created_at=NOW - 12 * MINUTE,
            sessions=used(4),
        ),
        task(6, S.IDLE, "Rounding of sums", "billing", created_at=NOW - HOUR),
        task(
            7,
            S.ERROR,
            "Rotate the TLS keys",
            "infra",
            error=make_error("no space left on the build machine: 31 GB needed, 2 GB free"),
            created_at=NOW - 2 * HOUR,
        ),
        task(8, S.ARCHIVED, "Try another template language", "docs", created_at=NOW - 49 * HOUR),
    ]


def store_of_speaking() -> Store:
    """`speaking`, with what was said in the task that the cursor stands on first."""
    store = store_of(speaking())
    asked = item(7, TranscriptKind.PERMISSION, {"permission_id": "ask-1", "title": "Run make release DEPLOY=staging?"})
    session = a_session(SessionStatus.RUNNING, transcript=(*a_transcript(), asked))
    put_snapshot(store, Topic(TopicKind.SESSION, SESSION), SessionSnapshot(**fields_of(session), seq=1))
    store.flush()
    return store
