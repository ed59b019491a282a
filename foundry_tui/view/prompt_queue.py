"""The prompts of a session that wait to be delivered: which they are, in which order, and which of them are shown."""

from collections.abc import Sequence

from foundry_tui.contract.records import Prompt, PromptState, TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus

MOST_LINES = 4
"""Lines that the queue takes at most, the one that counts the rest among them."""


def waiting(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """The prompts that wait, in the order in which they will be delivered: those that steer go first."""
    queued = [prompt for prompt in prompts if prompt.state is PromptState.QUEUED]
    return tuple(sorted(queued, key=lambda prompt: not prompt.steer))


def without_told_reason(prompts: Sequence[Prompt], task: TaskSummary | None) -> Sequence[Prompt]:
    """The same, but for the reason of one that failed where what is said of the task's failure gives it already."""
    if task is None or task.status is not TaskStatus.ERROR or task.error is None:
        return prompts
    reason = task.error.message
    return [replace(each, error=None) if each.error and each.error.message == reason else each for each in prompts]


def above_composer(prompts: Sequence[Prompt], *, begun: bool) -> tuple[Prompt, ...]:
    """Those that wait, but for the one that opens a conversation in which nothing was said yet (`begun` is false)."""
    opening = prompts[0].prompt_id if prompts and not begun else None
    return tuple(prompt for prompt in waiting(prompts) if prompt.prompt_id != opening)


def in_conversation(prompts: Sequence[Prompt], queue: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """The prompts that stand in the conversation: none that was withdrawn, and none that stands in the queue."""
    apart = {prompt.prompt_id for prompt in queue}
    return tuple(
        prompt for prompt in prompts if prompt.state is not PromptState.WITHDRAWN and prompt.prompt_id not in apart
    )


def shown_of(queue: Sequence[Prompt], changed: str | None) -> tuple[tuple[Prompt, ...], int]:
    """Those of the queue that have a line, and how many more there are.

    The next ones to be delivered, or those up to the one that is being `changed` (its prompt_id).
    """
    if len(queue) <= MOST_LINES:
        return tuple(queue), 0
    room = MOST_LINES - 1
    place = next((place for place, prompt in enumerate(queue) if prompt.prompt_id == changed), 0)
    first = max(0, place + 1 - room)
    return tuple(queue[first : first + room]), len(queue) - room
