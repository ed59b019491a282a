"""Tasks that have ended and that the backend's list leaves out, for the commands that need them as well."""

from collections.abc import Iterator, Mapping

from foundry_tui.client.blocking import BlockingClient
from foundry_tui.contract.requests import NEWEST_ENDED, TasksSnapshot
from foundry_tui.contract.status import ENDED

FINDING_SECONDS = 60.0
"""How long the backend may look through all its tasks, of which there may be a hundred thousand."""


def older_pages(client: BlockingClient, snapshot: TasksSnapshot) -> Iterator[tuple[bytes, TasksSnapshot]]:
    """The pages of what the snapshot leaves out, newest first, each as the backend wrote it and decoded."""
    ended = ((task.created_at, task.task_id) for task in snapshot.tasks if task.status in ENDED)
    if snapshot.older and (oldest := min(ended, default=None)) is not None:
        yield from _pages(client, {"before": oldest[1]})


def found_pages(client: BlockingClient, query: str) -> Iterator[tuple[bytes, TasksSnapshot]]:
    """The pages of what the app's filter finds among all tasks, newest first, in the same way."""
    yield from _pages(client, {"filter": query})


def _pages(client: BlockingClient, asked: Mapping[str, object]) -> Iterator[tuple[bytes, TasksSnapshot]]:
    while True:
        query = {**asked, "limit": NEWEST_ENDED}
        document, page = client.read("GET", "/v1/tasks", TasksSnapshot, query=query, at_work=FINDING_SECONDS)
        yield document, page
        if not page.older or not page.tasks:
            return
        asked = {**asked, "before": page.tasks[-1].task_id}
