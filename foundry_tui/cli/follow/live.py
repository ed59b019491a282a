"""The stages of a task as lines of text for a terminal, from the same steps that the app draws."""

import shutil
import sys

from foundry_tui.cli.output import cut, paint
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.task_words import STATUS_WORDS
from foundry_tui.view.ages import running_time
from foundry_tui.view.first_run import simulated_word
from foundry_tui.view.glyphs import UNKNOWN, glyph_set
from foundry_tui.view.labels import title_of
from foundry_tui.view.stepper import Step, StepState, spent_text, steps

_COLOURS: dict[StepState, str] = {
    StepState.PENDING: "dim",
    StepState.RUNNING: "cyan",
    StepState.DONE: "green",
    StepState.FAILED: "red",
}


def stage_lines(
    task: TaskDetail, now: int, frame: int | None, *, ascii_only: bool = False, whole: bool = False
) -> list[str]:
    """Headline, one line a step, and how the task stands; `frame` None is the last picture, nothing moves in it.

    They are cut at the terminal's width, so that they can be drawn over, unless `whole`.
    """
    columns = sys.maxsize if whole else max(40, shutil.get_terminal_size().columns) - 1
    glyphs = glyph_set(ascii_only)
    place = harmless(" · ".join(part for part in (task.repo_label, task.branch) if part))
    lines = [paint(cut(harmless(title_of(task)), columns), "bold"), paint(cut(place, columns), "dim")]
    spinner = glyphs.spinner[(frame or 0) % len(glyphs.spinner)]
    lines += [_step_line(step, now, columns, spinner) for step in steps(task)]
    stands = STATUS_WORDS[task.status]
    if task.status is TaskStatus.RUNNING:
        stands = f"{stands} {running_time(now - task.status_since)}"
    if simulated := simulated_word(task.provider):
        stands = f"{stands} ({simulated})"
    if task.needs_input:
        stands = f"{stands} · asks you: foundry show {task.task_id}"
    if task.error is not None and task.status is TaskStatus.ERROR:
        stands = f"{stands}: {harmless(task.error.message)}"
    lines.append(paint(cut(stands, columns), "red" if task.status is TaskStatus.ERROR else "bold"))
    return lines


def _step_line(step: Step, now: int, columns: int, spinner: str) -> str:
    mark = {
        StepState.PENDING: "·",
        StepState.RUNNING: spinner,
        StepState.DONE: "✓",
        StepState.FAILED: "✗",
        StepState.UNKNOWN: UNKNOWN,
    }.get(step.state, "–")
    attempt = f"attempt {step.attempt} of {step.max_attempts}" if step.attempt > 1 else ""
    told = " · ".join(part for part in (step.word, spent_text(step, now), attempt, harmless(step.detail)) if part)
    return paint(cut(f"  {mark} {step.name:<8} {told}", columns), _COLOURS.get(step.state, "yellow"))
