"""Worlds of many tasks, for the list's pictures: every state once, and as many as are asked for."""

import random
import re
from collections.abc import Iterator

from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import StageProgress, TaskSummary
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import StageName, TaskStatus
from tests.app.factories import HOUR, MINUTE, NOW, SECOND, make_error, make_repo, make_task, task_id
from tests.app.harness import LIVE, make_store

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
