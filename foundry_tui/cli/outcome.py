"""What became of a task, for `foundry show`: what it says now, its plan, branch, pull request and operations.

A pull request is read from the backend's own JSON: there is no record of it here.
"""

from collections.abc import Iterator
from typing import Any

from foundry_tui.contract import codec
from foundry_tui.contract.records import Operation, TaskDetail
from foundry_tui.contract.work import Work

Row = tuple[object, ...]


def rows_of(task: TaskDetail, document: bytes) -> Iterator[Row]:
    """Names and values for a pipe; `document` is what the backend answered."""
    told = codec.decode(document, dict[str, Any])
    if task.activity is not None:
        yield "activity", task.activity.kind, task.activity.text
    if task.plan is not None:
        yield "plan", f"{task.plan.done}/{task.plan.total}"
    if task.work is not None:
        names = ("base", "ahead", "behind", "files", "added", "removed", "uncommitted", "pushed", "upstream")
        for name in names:
            value = getattr(task.work, name)
            yield f"work.{name}", str(value).lower() if isinstance(value, bool) else value
        for path in task.work.conflicts or ():
            yield "work.conflict", path
    for name, value in _pull_request(told).items():
        yield f"pull_request.{name}", value
    for each in task.operations:
        yield f"operation.{each.operation_id}", each.kind, each.state, _came_of(each)


def lines_of(task: TaskDetail, document: bytes) -> Iterator[tuple[str, str]]:
    """The same as names and words for a person."""
    told = codec.decode(document, dict[str, Any])
    if task.activity is not None:
        yield "says", task.activity.text
    if task.plan is not None:
        yield "plan", f"{task.plan.done} of {task.plan.total} done"
    if task.work is not None:
        yield from (("work", words) for words in _work_words(task.work))
    if pull := _pull_request(told):
        yield "pull", " · ".join(str(value) for value in pull.values())
    for each in task.operations:
        came = _came_of(each)
        yield "did", f"{str(each.kind).replace('_', ' ')} · {each.state}{f' · {came}' if came else ''}"


def _pull_request(told: dict[str, Any]) -> dict[str, object]:
    """Its plain values, by their names."""
    found = told.get("pull_request")
    plain = ("number", "state", "title", "url", "review", "mergeable", "comments")
    return {name: found[name] for name in plain if found.get(name) is not None} if isinstance(found, dict) else {}


def _work_words(work: Work) -> Iterator[str]:
    counts = [_many(work.ahead, "commit") + f" ahead of {work.base}"]
    if work.behind:
        counts.append(f"{work.behind:,} behind")
    counts.append(f"pushed to {work.upstream}" if work.pushed and work.upstream else "not pushed" if work.ahead else "")
    yield ", ".join(each for each in counts if each)
    lines = "" if work.added is None or work.removed is None else f", +{work.added:,} -{work.removed:,}"
    waiting = f", {work.uncommitted:,} not committed" if work.uncommitted else ""
    if work.files:
        yield f"{_many(work.files, 'file')} changed{lines}{waiting}"
    if work.conflicts:
        yield f"conflicts with {work.base}: {', '.join(work.conflicts)}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _came_of(operation: Operation) -> str:
    """Why it failed, or what came of it, as `sha 1a2b…, url …`."""
    if operation.error is not None:
        return operation.error.message
    return ", ".join(f"{name} {value}" for name, value in (operation.result or {}).items() if value is not None)
