"""The stepper: from a task to the five steps that a person follows, and the words for a step that failed."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from foundry_tui.contract.records import (
    ErrorKind,
    HistoryEvent,
    HistoryKind,
    LogLine,
    StageRecord,
    StageState,
    TaskDetail,
    TaskError,
    TaskSummary,
)
from foundry_tui.contract.status import (
    ENDED,
    PROVISIONING,
    READY,
    RELEASING,
    STAGE_OF_STATUS,
    STAGES,
    StageName,
    TaskStatus,
)
from foundry_tui.contract.wording import Wording
from foundry_tui.view.ages import running_time


class StepState(StrEnum):
    """Where one step stands. `waiting` is a stage between two attempts; `asking` a creation not yet answered.

    `unknown` is a state that only a newer backend knows.
    """

    PENDING = "pending"
    ASKING = "asking"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


QUEUED_STEP = "queued"
STEP_NAMES: Wording[StageName] = Wording(
    {
        StageName.ENSURE_NAME: "name",
        StageName.CREATE_SANDBOX: "sandbox",
        StageName.ENSURE_AGENT: "agent",
        StageName.CREATE_SESSION: "session",
    }
)
"""What people call the stages."""

TURN = "turn"
"""What lines of the stage log are of while the agent works."""

LOG_NAMES: dict[str, str] = {str(stage): name for stage, name in STEP_NAMES.items()} | {
    "destroy_sandbox": "destroy",
    "release_sandbox": "release",
}
"""What people call the stages of a log, which has two more."""

DOING: dict[StageName, str] = {
    StageName.ENSURE_NAME: "settling title and branch",
    StageName.CREATE_SANDBOX: "creating the sandbox",
    StageName.ENSURE_AGENT: "starting the agent",
    StageName.CREATE_SESSION: "opening the session",
}
"""What a stage is about, for when the provider says nothing more exact."""

FAILED_TO: dict[StageName, str] = {
    StageName.ENSURE_NAME: "The title and the branch could not be settled",
    StageName.CREATE_SANDBOX: "The sandbox could not be created",
    StageName.ENSURE_AGENT: "The agent could not be started",
    StageName.CREATE_SESSION: "The session could not be opened",
}


class Step(Struct, frozen=True, kw_only=True):
    """One row of the stepper; times in milliseconds since the epoch."""

    name: str
    state: StepState
    word: str
    stage: StageName | None = None
    detail: str = ""
    attempt: int = 0
    max_attempts: int = 1
    started_at: int | None = None
    finished_at: int | None = None
    resumes_at: int | None = None
    """When the next attempt begins, for a step that waits."""
    deadline_at: int | None = None


def elapsed_ms(step: Step, now: int) -> int | None:
    """How long the step took, or takes until `now`; None for one that has not begun. Never negative."""
    if step.started_at is None or step.state is StepState.PENDING:
        return None
    end = step.finished_at if step.finished_at is not None else now
    return max(0, end - step.started_at)


def spent_text(step: Step, now: int) -> str:
    """How long a step took, with tenths under ten seconds, or how long it has been going on; empty if not begun."""
    spent = elapsed_ms(step, now)
    if spent is None:
        return ""
    if step.finished_at is not None and spent < 10_000:
        return f"{spent / 1000:.1f}s"
    return running_time(spent)


def steps(task: TaskSummary, *, pending: bool = False, unsent: bool = False, refused: bool = False) -> tuple[Step, ...]:
    """The five steps of a task: queued, then its four stages.

    `pending` says that the backend has not answered the creation yet, `unsent` that nobody is there to be asked,
    `refused` that it refused it. From a summary the times of the stages that are done are unknown.
    """
    if refused:
        first = Step(name=QUEUED_STEP, state=StepState.FAILED, word="refused", detail="the backend refused the task")
        return (first, *(_untouched(stage) for stage in STAGES))
    if unsent:
        first = Step(
            name=QUEUED_STEP, state=StepState.WAITING, word="not sent", detail="sent when the backend answers again"
        )
        return (first, *(_untouched(stage) for stage in STAGES))
    if pending:
        first = Step(
            name=QUEUED_STEP,
            state=StepState.ASKING,
            word="sending",
            detail="waiting for the backend's answer",
            started_at=task.created_at,
        )
        return (first, *(_untouched(stage) for stage in STAGES))
    records = task.stages if isinstance(task, TaskDetail) and task.stages else _records_of_summary(task)
    history = task.history if isinstance(task, TaskDetail) else ()
    return (_queued(task, records), *(_step(record, task, history) for record in records))


def _untouched(stage: StageName) -> Step:
    return Step(name=STEP_NAMES[stage], stage=stage, state=StepState.PENDING, word="pending")


def _queued(task: TaskSummary, records: Sequence[StageRecord]) -> Step:
    begun = [record.started_at for record in records if record.started_at is not None]
    if task.status is TaskStatus.QUEUED:
        again = any(record.state is StageState.DONE or record.attempt for record in records)
        return Step(
            name=QUEUED_STEP,
            state=StepState.RUNNING,
            word="queued",
            detail="waiting to go on" if again else "waiting for a free place",
            started_at=task.status_since,
        )
    if task.status in RELEASING | ENDED and not begun and not task.stages_done:
        return Step(name=QUEUED_STEP, state=StepState.CANCELLED, word="cancelled")
    finished = min(begun) if begun else None
    return Step(
        name=QUEUED_STEP,
        state=StepState.DONE,
        word="done",
        started_at=task.created_at if finished is not None else None,
        finished_at=finished,
    )


def _records_of_summary(task: TaskSummary) -> tuple[StageRecord, ...]:
    current = STAGE_OF_STATUS.get(task.status)
    records = []
    for place, stage in enumerate(_stages(task)):
        if place < task.stages_done or task.status in READY:
            records.append(StageRecord(name=stage, state=StageState.DONE, attempt=1))
        elif task.stage is not None and task.stage.name == stage:
            records.append(
                StageRecord(
                    name=stage,
                    state=StageState.FAILED if task.status is TaskStatus.ERROR else StageState.RUNNING,
                    attempt=task.stage.attempt,
                    max_attempts=task.stage.max_attempts,
                    started_at=task.stage.started_at,
                    detail=task.stage.detail,
                )
            )
        elif task.error is not None and task.error.stage == stage and task.status is TaskStatus.ERROR:
            records.append(StageRecord(name=stage, state=StageState.FAILED, attempt=1, error=task.error))
        elif stage is current:
            records.append(StageRecord(name=stage, state=StageState.RUNNING, attempt=1, started_at=task.status_since))
        else:
            records.append(StageRecord(name=stage))
    return tuple(records)


def _stages(task: TaskSummary) -> Sequence[StageName]:
    """The stages of a task, with one that only a newer backend knows where the task stands at it."""
    stages = list(STAGES)
    at = (task.stage.name if task.stage is not None else None, task.error.stage if task.error is not None else None)
    for stage in at:
        if stage is not None and stage not in stages:
            stages.insert(task.stages_done, stage)
    return stages


def _step(record: StageRecord, task: TaskSummary, history: Sequence[HistoryEvent]) -> Step:
    state, word = _STATE.get(record.state, (StepState.UNKNOWN, str(record.state)))
    detail = record.detail or ""
    resumes_at = None
    between = record.error is not None and record.state in (StageState.PENDING, StageState.RUNNING)
    if between and task.status in PROVISIONING and record.finished_at is not None and record.error is not None:
        state, word = StepState.WAITING, "waiting"
        resumes_at = _resumes_at(record.name, history)
        detail = record.error.message
    elif record.state is StageState.PENDING and task.status is STATUS_AT.get(record.name):
        state, word = StepState.WAITING, "waiting"
        detail = detail or "waiting for a free place"
    elif record.state is StageState.RUNNING:
        detail = detail or DOING.get(record.name, "")
    elif record.state is StageState.FAILED:
        # Why it failed, and how often it was tried, stand with what is said of the failure.
        timed_out = record.error is not None and record.error.kind is ErrorKind.TIMEOUT
        word, detail = "timed out" if timed_out else "failed", ""
    return Step(
        name=STEP_NAMES[record.name],
        stage=record.name,
        state=state,
        word=word,
        detail=detail,
        attempt=record.attempt,
        max_attempts=record.max_attempts,
        started_at=record.started_at,
        finished_at=None if state is StepState.RUNNING else record.finished_at,
        resumes_at=resumes_at,
        deadline_at=record.deadline_at,
    )


def is_being_prepared(task: TaskSummary, *, unanswered: bool = False) -> bool:
    """Whether the steps of a task matter: it is being prepared, or failed at that, or is `unanswered` as a creation."""
    failed = task.status is TaskStatus.ERROR and (
        task.stages_done < len(STAGES) or (task.error is not None and task.error.stage is not None)
    )
    return unanswered or failed or task.status in PROVISIONING


def ready_after(task: TaskSummary) -> int | None:
    """Milliseconds from the creation to the end of the last stage; None unless that is done, and known."""
    last = steps(task)[-1]
    if last.state is not StepState.DONE or last.finished_at is None:
        return None
    return max(0, last.finished_at - task.created_at)


def prepared_step(task: TaskSummary) -> Step:
    """What one line says of all steps once they do not matter any more."""
    found = steps(task)
    cut = next((step for step in found if step.state is not StepState.DONE), None)
    if cut is not None:
        return Step(name="", state=StepState.CANCELLED, word=f"not prepared: it ended at {cut.name}")
    took = ready_after(task)
    words = "prepared" if took is None else f"prepared in {running_time(took)}"
    return Step(name="", state=StepState.DONE, word=words)


STATUS_AT: dict[StageName, TaskStatus] = {stage: status for status, stage in STAGE_OF_STATUS.items()}

_STATE: dict[StageState, tuple[StepState, str]] = {
    StageState.PENDING: (StepState.PENDING, "pending"),
    StageState.RUNNING: (StepState.RUNNING, "running"),
    StageState.DONE: (StepState.DONE, "done"),
    StageState.FAILED: (StepState.FAILED, "failed"),
    StageState.CANCELLED: (StepState.CANCELLED, "cancelled"),
}


def _resumes_at(stage: StageName, history: Sequence[HistoryEvent]) -> int | None:
    """When the stage's last `stage.retrying` said that it goes on."""
    for event in reversed(history):
        if event.kind is HistoryKind.STAGE_RETRYING and event.payload.get("stage") == stage:
            at = event.payload.get("next_at")
            return at if isinstance(at, int) else None
    return None


class Failure(Struct, frozen=True, kw_only=True):
    """A failed task, as its card tells it."""

    headline: str
    reason: str
    tried: str
    log: tuple[str, ...] = ()
    stage: StageName | None = None


def failure(task: TaskSummary, log: Sequence[LogLine] = (), *, lines: int = 5) -> Failure | None:
    """What stopped the task, what was tried, and the last `lines` lines of the stage's log; None if nothing did.

    Turns before this one may have left lines too: of a turn's log it is the last line alone.
    """
    error = task.error
    if task.status is not TaskStatus.ERROR or error is None:
        return None
    headline = (
        FAILED_TO.get(error.stage, f"The stage {error.stage} failed") if error.stage else _headline_without_stage(error)
    )
    stage = error.stage
    told = [line.text for line in log if line.stage == (stage or TURN)]
    # A provider that gives its last line as the reason would say it twice.
    while told and told[-1].strip() in error.message.split("\n"):
        told.pop()
    return Failure(
        headline=headline,
        reason=error.message,
        tried=_tried(task, error),
        log=tuple(told[-(lines if stage else 1) :]),
        stage=stage,
    )


def silent_failure(task: TaskSummary | None, log: Sequence[LogLine]) -> str:
    """What is to be said below a log in which the stage that failed has no line; empty where it has."""
    failed = failure(task, log, lines=1) if task is not None else None
    if failed is None or failed.stage is None or failed.log:
        return ""
    return f"The {STEP_NAMES[failed.stage]} stage failed and printed nothing."


def _headline_without_stage(error: TaskError) -> str:
    if error.kind is ErrorKind.AGENT:
        return "The agent's turn failed"
    return "The task stopped"


def _tried(task: TaskSummary, error: TaskError) -> str:
    attempt, limit = 0, 0
    if isinstance(task, TaskDetail):
        for record in task.stages:
            if record.name == error.stage:
                attempt, limit = record.attempt, record.max_attempts
    elif task.stage is not None and task.stage.name == error.stage:
        attempt, limit = task.stage.attempt, task.stage.max_attempts
    if not attempt:
        return ""
    times = "once" if attempt == 1 else f"{attempt} times"
    if attempt >= limit:
        return f"tried {times}"
    if not error.retryable:
        return f"tried {times}; not tried again, since a further attempt would fail the same way"
    return f"tried {times} of {limit}"
