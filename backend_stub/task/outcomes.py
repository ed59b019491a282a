"""What becomes of a task's rows as its sessions open and its turns begin, end and fail: changes of a draft alone."""

from itertools import chain

from msgspec.structs import replace

from backend_stub.domain.errors import SupersededError
from backend_stub.domain.storage import TaskState
from backend_stub.task.task_change import TaskChange, running_sessions
from foundry_tui.contract.records import HistoryKind, Prompt, PromptState, SessionStatus, TaskError, TranscriptKind
from foundry_tui.contract.status import PROVISIONING, READY, TaskStatus

IN_TURNS = READY | PROVISIONING | {TaskStatus.ERROR}
"""What the task may be while a turn is in progress."""
OPEN_STATES = frozenset({PromptState.QUEUED, PromptState.DELIVERED})


def next_prompt(state: TaskState, session_id: str) -> Prompt | None:
    """The prompt to go on with: the one whose turn was cut, else one that is sent again, else the oldest that waits."""
    waiting = [each for each in state.prompts.get(session_id, ()) if each.state in OPEN_STATES]
    begun = (each for each in waiting if each.state is PromptState.DELIVERED)
    resent = (each for each in waiting if each.prompt_id in state.private.resent)
    return next(chain(begun, resent, waiting), None)


def begin_turn(draft: TaskChange, prompt: Prompt) -> None:
    """The agent has the prompt: its turn is in progress."""
    draft.put_prompt(replace(prompt, state=PromptState.DELIVERED))
    draft.say(prompt.session_id, prompt.prompt_id, TranscriptKind.PROMPT, prompt.text)
    draft.record(HistoryKind.PROMPT_DELIVERED, session_id=prompt.session_id, prompt_id=prompt.prompt_id)
    draft.set_session(prompt.session_id, status=SessionStatus.RUNNING)
    if draft.status is not TaskStatus.RUNNING:
        draft.move(TaskStatus.RUNNING)
        draft.record(HistoryKind.TASK_RUNNING)


def settle_idle(draft: TaskChange) -> None:
    """No turn is in progress any more, unless another session has one."""
    if draft.status is TaskStatus.RUNNING and not running_sessions(draft.task):
        become_ready(draft)


def fail_session(draft: TaskChange, session_id: str, error: TaskError) -> None:
    """The session cannot go on; a closed one stays closed."""
    if draft.session(session_id).status is not SessionStatus.CLOSED:
        draft.set_session(session_id, status=SessionStatus.ERROR, error=error)
        draft.record(HistoryKind.SESSION_FAILED, session_id=session_id, message=error.message)


def fail_task(draft: TaskChange, error: TaskError) -> None:
    """The task stops on a failure."""
    draft.set(error=error, unread=True)
    draft.move(TaskStatus.ERROR)
    draft.record(
        HistoryKind.TASK_ERROR, stage=error.stage, kind=error.kind, message=error.message, retryable=error.retryable
    )


def become_ready(draft: TaskChange) -> None:
    """Provisioning ends with nothing to hand over: idle, unless a turn went on meanwhile."""
    if running_sessions(draft.task):
        draft.move(TaskStatus.RUNNING)
        draft.record(HistoryKind.TASK_RUNNING)
    else:
        draft.move(TaskStatus.IDLE)
        draft.record(HistoryKind.TASK_IDLE)


def forget_opening(draft: TaskChange, session_id: str) -> None:
    """The session is opened, or will not be: the next time it is, attempts are counted anew."""
    if session_id in draft.private.openings:
        others = {other: opening for other, opening in draft.private.openings.items() if other != session_id}
        draft.set_private(openings=others)


def begin_queued(draft: TaskChange, prompt: Prompt) -> None:
    """The same of a prompt that waited; raises `SupersededError` when it is not to be begun any more."""
    held = draft.prompt(prompt.session_id, prompt.prompt_id)
    if held is None or held.state is not PromptState.QUEUED or draft.status not in READY:
        raise SupersededError
    begin_turn(draft, held)


def put_on(draft: TaskChange, branch: str) -> None:
    """The sandbox is on another branch by now, which git has: that keeps others off, and the old name may be free."""
    if draft.status in IN_TURNS and draft.task.branch != branch:
        draft.set(branch=branch)
        draft.free_branch = True
        draft.record(HistoryKind.TASK_NAMED, title=draft.task.title, branch=branch)


def end_turn(draft: TaskChange, prompt: Prompt) -> None:
    """The turn has ended well; raises `SupersededError` when it was stopped or failed before."""
    held = draft.prompt(prompt.session_id, prompt.prompt_id)
    if held is None or held.state is not PromptState.DELIVERED:
        raise SupersededError
    draft.put_prompt(replace(held, state=PromptState.ANSWERED))
    draft.record(HistoryKind.PROMPT_ANSWERED, session_id=prompt.session_id, prompt_id=prompt.prompt_id)
    draft.cancel_permissions(prompt.session_id)
    draft.set_session(prompt.session_id, status=SessionStatus.READY, unread=True)
    draft.set(unread=True)
    settle_idle(draft)


def fail_turn(draft: TaskChange, prompt: Prompt, error: TaskError) -> None:
    """The turn, or the handing over of its prompt, has failed; raises `SupersededError` as `end_turn` does."""
    held = draft.prompt(prompt.session_id, prompt.prompt_id)
    # What waits in a task that failed meanwhile waits on, until that is tried again.
    open_states = OPEN_STATES if draft.status in READY else {PromptState.DELIVERED}
    if held is None or held.state not in open_states or draft.status not in IN_TURNS:
        raise SupersededError
    draft.fail_prompt(held, error)
    draft.cancel_permissions(prompt.session_id)
    fail_session(draft, prompt.session_id, error)
    if draft.status in READY:
        fail_task(draft, error)
