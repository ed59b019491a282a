"""Everything about a task that has no place of its own on its screen, as labelled lines."""

from collections.abc import Iterator

from msgspec import Struct

from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import SessionStatus, TaskDetail, TaskSummary
from foundry_tui.view.ages import age, ago, running_time
from foundry_tui.view.report import size_text
from foundry_tui.view.session_facts import context_used, is_nearly_full
from foundry_tui.view.starts import start_words
from foundry_tui.view.stepper import is_being_prepared, ready_after, spent_text, steps
from foundry_tui.view.usage import costs, sum_words

ALLOWED = {
    PermissionPolicy.READS: "reading in the sandbox, without a question",
    PermissionPolicy.ALL: "everything, without a question",
}
"""What a task's permissions allow, where they allow anything."""


class Fact(Struct, frozen=True, kw_only=True):
    """One line: a label, its value, and the id of the action that copies it."""

    label: str
    value: str
    copy_action: str | None = None
    bad: bool = False


def facts(task: TaskSummary, now: int, memory: MemoryReport | None = None) -> tuple[Fact, ...]:
    """The facts of a task, in the order in which people look for them; what is not known yet is left out.

    `memory` is what its agents take, if that was asked for.
    """
    found = [
        Fact(label="branch", value=task.branch or "not settled yet", copy_action="copy_branch" if task.branch else None)
    ]
    if isinstance(task, TaskDetail):
        if task.base_branch:
            found.append(Fact(label="base", value=task.base_branch))
        if task.started_from is not None:
            found.append(Fact(label="from", value=start_words(task.started_from)))
        if task.sandbox is not None:
            found.append(Fact(label="path", value=task.sandbox.cwd, copy_action="copy_path"))
            found.append(Fact(label="sandbox", value=task.sandbox.sandbox_id))
    found += [
        Fact(label="id", value=task.task_id, copy_action="copy_id"),
        Fact(label="repository", value=task.repo_label),
        Fact(label="agent", value=task.agent or "default"),
        *_agent_facts(task, now, memory),
        Fact(label="provider", value=task.provider or "default"),
        *([Fact(label="host", value=task.host)] if task.host else []),
        *(Fact(label="allowed", value=words) for words in (ALLOWED.get(task.permission_policy),) if words),
        Fact(label="created", value=f"{age(now - task.created_at)} ago".replace("now ago", "just now")),
        Fact(label="changed", value=f"{age(now - task.updated_at)} ago".replace("now ago", "just now")),
    ]
    took = ready_after(task)
    if took is not None:
        found.append(Fact(label="ready in", value=running_time(took)))
    if not is_being_prepared(task):
        found += [
            Fact(label=step.name, value=" ".join(part for part in (step.word, spent_text(step, now)) if part))
            for step in steps(task)
        ]
    found.append(Fact(label="revision", value=str(task.revision)))
    if isinstance(task, TaskDetail):
        found += [
            Fact(label="left behind", value=f"{leftover.what}: {leftover.why}", bad=True) for leftover in task.leftovers
        ]
    return tuple(found)


def _agent_facts(task: TaskSummary, now: int, memory: MemoryReport | None) -> Iterator[Fact]:
    """What is told of the agents of the task's sessions, by the session's name where there are several."""
    names = {each.session_id: f"{each.name}: " if len(task.sessions) > 1 else "" for each in task.sessions}
    used = [
        f"{names[each.session_id]}{context_used(each.usage)} of the context"
        + (", nearly full" if is_nearly_full(each.usage) else "")
        for each in task.sessions
        if each.usage is not None and each.status is not SessionStatus.CLOSED
    ]
    if used or costs(task.sessions):
        spent = sum_words(costs(task.sessions))
        yield Fact(label="used", value=", ".join([*used, *([f"{spent} so far"] if spent else [])]))
    away = {each.session_id for each in task.sessions if each.unloaded_since is not None}
    for taken in memory.agents if memory is not None else ():
        if taken.session_id in away:
            continue
        name = "all agents together: " if taken.session_id is None else names.get(taken.session_id, "")
        several = f" in {taken.processes} processes" if taken.processes > 1 else ""
        yield Fact(label="memory", value=f"{name}{size_text(taken.bytes)}{several}")
    for each in task.sessions:
        if each.unloaded_since is not None:
            yield Fact(label="unloaded", value=f"{names[each.session_id]}{unloaded_words(each.unloaded_since, now)}")


def unloaded_words(since: int, now: int) -> str:
    """Of an agent that was ended because nobody said anything to it: since when, and what brings it back."""
    return f"since {ago(now - since)}; comes back with the next prompt".replace("since just now", "just now")
