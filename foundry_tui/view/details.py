"""Everything about a task that has no place of its own on its screen, as labelled lines."""

from msgspec import Struct

from foundry_tui.contract.records import TaskDetail, TaskSummary
from foundry_tui.view.ages import age, running_time
from foundry_tui.view.stepper import is_being_prepared, ready_after, spent_text, steps


class Fact(Struct, frozen=True, kw_only=True):
    """One line: a label, its value, and the id of the action that copies it."""

    label: str
    value: str
    copy_action: str | None = None
    bad: bool = False


def facts(task: TaskSummary, now: int) -> tuple[Fact, ...]:
    """The facts of a task, in the order in which people look for them; what is not known yet is left out."""
    found = [
        Fact(label="branch", value=task.branch or "not settled yet", copy_action="copy_branch" if task.branch else None)
    ]
    if isinstance(task, TaskDetail):
        if task.base_branch:
            found.append(Fact(label="base", value=task.base_branch))
        if task.sandbox is not None:
            found.append(Fact(label="path", value=task.sandbox.cwd, copy_action="copy_path"))
            found.append(Fact(label="sandbox", value=task.sandbox.sandbox_id))
    found += [
        Fact(label="id", value=task.task_id, copy_action="copy_id"),
        Fact(label="repository", value=task.repo_label),
        Fact(label="agent", value=task.agent or "default"),
        Fact(label="provider", value=task.provider or "default"),
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
