"""The words for where a task stands and how fresh the screen is."""

from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.contract.records import ErrorKind, SessionStatus, TaskError, TaskSummary
from foundry_tui.contract.status import PROVISIONING, RELEASING, STAGE_OF_STATUS, TaskStatus
from foundry_tui.contract.task_words import STATUS_WORDS, needs_person
from foundry_tui.contract.wording import Wording
from foundry_tui.view.ages import running_time
from foundry_tui.view.glyphs import UNKNOWN, Glyphs, progress_bar
from foundry_tui.view.stepper import STEP_NAMES

STEPS = 5
"""Cells of the progress bar: queued, name, sandbox, agent, session."""

LEAVING = "leaving"
"""Said in place of a creation's state of a task that is archived in a moment, unless that is undone."""

UNSENT = "unsent"
"""Said in place of `pending` of a creation while the backend is away, so that nobody is asked."""

ATTEMPT = ", attempt {} of {}"
"""How a stage that is tried again says so in full."""

SESSION_WORDS: Wording[SessionStatus] = Wording(
    {
        SessionStatus.PENDING_PROVISION: "preparing",
        SessionStatus.PENDING_CREATE: "opening",
        SessionStatus.READY: "ready",
        SessionStatus.RUNNING: "working",
        SessionStatus.ERROR: "failed",
        SessionStatus.CLOSED: "closed",
    }
)
"""One word for each status of a session."""


def title_of(task: TaskSummary) -> str:
    """The title, or the first line of the prompt while the task is unnamed."""
    if task.title:
        return task.title
    for line in task.prompt.splitlines():
        if line.strip():
            return line.strip()
    return "(no prompt)"


def steps_done(task: TaskSummary) -> int:
    """Full cells of the progress bar."""
    if task.status is TaskStatus.QUEUED and task.stages_done == 0:
        return 0
    return min(STEPS, task.stages_done + 1)


def glyph_of(task: TaskSummary, glyphs: Glyphs, frame: int, creation: str | None = None) -> str:
    """The status glyph; `creation` is `pending`, `unsent` or `refused` for a task that is no more than asked for."""
    if creation == "refused":
        return glyphs.refused
    if creation in ("pending", UNSENT):
        return glyphs.pending
    if needs_person(task):
        return glyphs.asks
    match task.status:
        case TaskStatus.QUEUED:
            return glyphs.queued
        case TaskStatus.RUNNING:
            return glyphs.working[frame % len(glyphs.working)]
        case TaskStatus.IDLE:
            return glyphs.ready
        case TaskStatus.ERROR:
            return glyphs.failed
        case TaskStatus.ARCHIVING | TaskStatus.KILLING:
            return glyphs.releasing
        case TaskStatus.ARCHIVED:
            return glyphs.archived
        case TaskStatus.KILLED:
            return glyphs.killed
        case status if status in STAGE_OF_STATUS:
            return glyphs.spinner[frame % len(glyphs.spinner)]
        case _:
            return UNKNOWN


def is_animated(task: TaskSummary) -> bool:
    """Whether its glyph moves from frame to frame."""
    return task.status in STAGE_OF_STATUS or (task.status is TaskStatus.RUNNING and not needs_person(task))


def failure_words(error: TaskError) -> str:
    """What failed, in two or three words: `sandbox failed`, `agent timed out`, `turn failed`."""
    if error.stage is not None:
        return f"{STEP_NAMES[error.stage]} {'timed out' if error.kind is ErrorKind.TIMEOUT else 'failed'}"
    return "turn failed" if error.kind is ErrorKind.AGENT else "failed"


def state_text(
    task: TaskSummary,
    glyphs: Glyphs,
    now: int,
    creation: str | None = None,
    *,
    bar: bool = True,
    attempts: str = ATTEMPT,
) -> str:
    """Where the task stands, in words and seconds; with the progress bar before it unless `bar` is false.

    `attempts` is how a stage that is tried again says the number of its attempt and how many there are.
    """
    if creation == "pending":
        return "asking the backend"
    if creation == UNSENT:
        return "not sent yet"
    if creation == "refused":
        return "refused"
    if creation == LEAVING:
        return "archived in a moment" if bar else "archived soon"
    status = task.status
    if needs_person(task):
        count = f"{task.needs_input} questions" if task.needs_input > 1 else "asks you"
        return f"{count} {running_time(now - task.status_since)}"
    if status in PROVISIONING:
        begun = task.stage.started_at if task.stage is not None else None
        words = f"{STATUS_WORDS[status]} {running_time(now - (begun or task.status_since))}"
        if task.stage is not None and task.stage.attempt > 1:
            words += attempts.format(task.stage.attempt, task.stage.max_attempts)
        return f"{progress_bar(glyphs, steps_done(task), STEPS, running=True)} {words}" if bar else words
    if status is TaskStatus.ERROR and task.error is not None:
        words = failure_words(task.error)
        if not bar or task.error.stage is None:
            return words
        return f"{progress_bar(glyphs, steps_done(task), STEPS)} {words}"
    if status is TaskStatus.RUNNING or status in RELEASING:
        return f"{STATUS_WORDS[status]} {running_time(now - task.status_since)}"
    return STATUS_WORDS[status]


def retry_words(task: TaskSummary, *, resent: bool) -> str:
    """What a retry of a failed task does; `resent`: the prompt whose turn failed is sent again."""
    if resent:
        return "The prompt whose turn failed is sent again."
    if task.error is None or task.error.stage is None:
        return "It becomes ready again: write to go on."
    return f"It goes on from its stage {STEP_NAMES[task.error.stage]}; what was done before stays."


def creation_word(state: str | None, freshness: Freshness) -> str | None:
    """What is said of a creation in this state (None: it is none), given how fresh the list is."""
    return UNSENT if state == "pending" and not freshness.is_live else state


def offline_words(freshness: Freshness, *, starting: bool = False, start_key: str = "") -> str:
    """What stands above things that are shown as they were: why, and the key that helps, if there is one."""
    if starting:
        return "Starting the backend: until it answers, this is how things stood when it was last heard."
    key = f" {start_key} starts it again." if start_key else ""
    return (
        f"The backend is away: {freshness.reason or 'it does not answer'}."
        f"{key} This is how things stood when it was last heard."
    )


def freshness_text(freshness: Freshness, now: int, *, loaded: bool = True, starting: bool = False) -> str:
    """The freshness mark in words: `live`, `reconnecting, 3s`, `stale 12s`, `offline`.

    Before anything was `loaded`, nothing can be stale: it is `connecting`. A backend that is `starting` is not away.
    """
    match freshness.state:
        case FreshnessState.LIVE:
            return "live"
        case FreshnessState.RECONNECTING:
            if freshness.retry_at is not None and freshness.retry_at > now:
                return f"reconnecting, {running_time(freshness.retry_at - now + 999)}"
            return "reconnecting"
        case FreshnessState.STALE:
            if not loaded:
                return "connecting"
            return f"stale {running_time(now - freshness.since)}"
        case FreshnessState.OFFLINE:
            return "starting" if starting else "offline"


def freshness_glyph(freshness: Freshness, glyphs: Glyphs) -> str:
    """A shape of its own for each state of freshness."""
    return {
        FreshnessState.LIVE: glyphs.live,
        FreshnessState.RECONNECTING: glyphs.reconnecting,
        FreshnessState.STALE: glyphs.stale,
        FreshnessState.OFFLINE: glyphs.offline,
    }[freshness.state]


def unsent_words(count: int) -> str:
    """`2 comments not sent`, for where they are not seen themselves; empty without any."""
    return f"{count:,} comment{'s' * (count != 1)} not sent" if count else ""
