"""The one line of `foundry statusline`: printed many times a minute, so nothing is loaded or started for it."""

import sys

from foundry_tui import config
from foundry_tui.contract import codec
from foundry_tui.contract.records import Record
from foundry_tui.contract.status import ENDED, PROVISIONING, RELEASING, TaskStatus
from foundry_tui.wire import Link, RefusedError, UnreachableError

ANSWER_SECONDS = 0.5


class _Task(Record, frozen=True, kw_only=True):
    """What the line needs of a task; the rest is not decoded."""

    status: TaskStatus
    needs_input: int = 0


class _Tasks(Record, frozen=True, kw_only=True):
    tasks: tuple[_Task, ...]


def counts(tasks: tuple[_Task, ...]) -> dict[str, int]:
    """How many tasks ask, work, are ready, failed."""
    found = {"asks": 0, "working": 0, "ready": 0, "failed": 0}
    for task in tasks:
        if task.status in ENDED or task.status in RELEASING:
            continue
        if task.status is TaskStatus.ERROR:
            found["failed"] += 1
        elif task.needs_input:
            found["asks"] += 1
        elif task.status in PROVISIONING or task.status is TaskStatus.RUNNING:
            found["working"] += 1
        else:
            found["ready"] += 1
    return found


def read_counts(settings: config.Settings) -> dict[str, int] | None:
    """The counts, or None when no backend answers at once."""
    try:
        target, _ = config.target(settings)
        document = Link(target).send("GET", "/v1/tasks", timeout=ANSWER_SECONDS)[1]
    except (UnreachableError, RefusedError):
        return None
    return counts(codec.decode(document, _Tasks).tasks)


def line_of(found: dict[str, int] | None) -> str:
    """`2? 3▸ 1● 1✗`: asking, working, ready, failed; those of none left out."""
    if found is None:
        return "foundry off"
    marks = {"asks": "?", "working": "▸", "ready": "●", "failed": "✗"}
    return " ".join(f"{number}{marks[name]}" for name, number in found.items() if number) or "foundry –"


def print_line() -> None:
    """Print the line by the settings of file and environment."""
    line = line_of(read_counts(config.load().settings))
    sys.stdout.buffer.write(f"{line}\n".encode())
    sys.stdout.buffer.flush()
