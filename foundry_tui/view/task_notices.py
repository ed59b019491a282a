"""What the task screen says about the state of a task and of a session, where it has no more to show than words."""

from collections.abc import Sequence

from msgspec import Struct

from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import SessionStatus, SessionSummary, TaskDetail, TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import ENDED, PROVISIONING, TaskStatus
from foundry_tui.contract.task_words import waits_for_host
from foundry_tui.contract.transcript import TranscriptItem
from foundry_tui.view.ages import running_time
from foundry_tui.view.glyphs import UNKNOWN, Glyphs
from foundry_tui.view.silence import silence_words
from foundry_tui.view.stepper import Failure
from foundry_tui.view.turn import TurnTime, working_words
from foundry_tui.view.way_home import operation_line


class TurnState(Struct, frozen=True):
    """One line. `emphasis` is plain, active, warning or failed; a `glyph` of None is a spinner."""

    text: str
    emphasis: str
    glyph: str | None


class EmptyState(Struct, frozen=True, kw_only=True):
    """What is shown in place of a conversation that is empty. `emphasis` is plain, active, warning or failed."""

    glyph: str
    headline: str
    text: str = ""
    emphasis: str = "plain"
    actions: tuple[str, ...] = ()
    """Ids of the actions that help."""


def empty_state_of(
    task: TaskSummary | None,
    session: SessionSummary | None,
    freshness: Freshness,
    glyphs: Glyphs,
    now: int,
    *,
    gone: bool,
    known: bool,
    said: bool,
    starting: bool = False,
) -> EmptyState | None:
    """What stands in place of the conversation; None when there is one to show.

    `gone`: the task was removed. `known`: the session was heard of. `said`: it has items or prompts. `starting`: the
    app starts the backend.
    """
    if gone:
        return EmptyState(
            glyph=glyphs.killed,
            headline="This task was deleted elsewhere",
            text="Somebody removed it for good, with its history, its log and what was said.",
            actions=("back", "new_task"),
            emphasis="warning",
        )
    if task is None and starting and not freshness.is_live:
        return EmptyState(glyph=glyphs.pending, headline=f"Starting the backend{glyphs.ellipsis}", emphasis="active")
    if task is None and freshness.state is FreshnessState.OFFLINE:
        return EmptyState(
            glyph=glyphs.offline,
            headline="Cannot reach the backend",
            text=unreachable(freshness, now),
            actions=("reconnect", "back"),
            emphasis="failed",
        )
    if task is None:
        return EmptyState(glyph=glyphs.queued, headline="Loading the task", emphasis="active")
    if session is None:
        return EmptyState(glyph=glyphs.ready, headline="No session", actions=("new_session",))
    if said:
        return None
    if session.status in (SessionStatus.PENDING_PROVISION, SessionStatus.PENDING_CREATE):
        if not freshness.is_live:
            return EmptyState(
                glyph=glyphs.stale,
                headline=_when_last_heard("Preparing environment"),
                text="What you write now is kept, and delivered when the backend answers and the session is ready.",
                actions=("write",),
                emphasis="warning",
            )
        return EmptyState(
            glyph=glyphs.queued,
            headline="Preparing environment",
            text="What you write now is queued, and delivered by itself when the session is ready.",
            actions=("write",),
            emphasis="active",
        )
    if not known and freshness.state is FreshnessState.OFFLINE:
        return EmptyState(
            glyph=glyphs.offline,
            headline="The conversation was not read before the backend went away",
            text="It is shown as soon as the backend answers; what you write now is kept until then.",
            actions=("reconnect", "write"),
            emphasis="warning",
        )
    if not known:
        return EmptyState(glyph=glyphs.queued, headline="Loading the conversation", emphasis="active")
    if session.status is SessionStatus.CLOSED:
        return EmptyState(glyph=glyphs.archived, headline="Nothing was said here")
    return EmptyState(glyph=glyphs.ready, headline="Nothing said yet", actions=("write",))


def turn_words(
    task: TaskSummary,
    session: SessionSummary | None,
    glyphs: Glyphs,
    now: int,
    *,
    pending: bool,
    asks: bool,
    live: bool = True,
    put_off: Problem | None = None,
    waits: bool = False,
    silent_since: int | None = None,
    last: TranscriptItem | None = None,
    turn: TurnTime | None = None,
) -> TurnState:
    """What a session is doing: `pending` if the backend has not answered the task's creation, nothing if it `asks`.
    A prompt `waits` that is the next. `silent_since` is when its agent said something last, `last` what that was,
    `turn` the times of the turn that runs.

    What is not `live` is said to be so as of when it was last heard. `put_off` is why the backend could not take the
    creation so far.
    """
    ended = _ended_words(task, glyphs)
    if ended is not None:
        return ended
    if pending and not live:
        return TurnState("Kept here, and handed to the backend as soon as that answers", "warning", glyphs.pending)
    if pending and put_off is not None:
        reason = (put_off.detail or put_off.title).rstrip(".")
        return TurnState(f"{reason}: kept here, and handed over again", "warning", None)
    words = _session_words(task, session, glyphs, now, pending=pending, asks=asks, waits=waits, last=last, turn=turn)
    if silent_since is not None and words.text and session is not None and session.status is SessionStatus.RUNNING:
        silence = silence_words(now - silent_since)
        words = replace(words, text=f"{words.text} {glyphs.separator} {silence}") if silence else words
    if live or not words.text:
        return words
    return TurnState(_when_last_heard(words.text), "failed" if words.emphasis == "failed" else "warning", glyphs.stale)


def _when_last_heard(text: str) -> str:
    return f"When last heard: {text[0].lower()}{text[1:]}"


def _is_told_by_failure(task: TaskSummary, session: SessionSummary) -> bool:
    """Whether what is said of the failed task says all that there is to say of this session."""
    error = session.error
    return error is None or (task.error is not None and error.message == task.error.message)


def _session_words(
    task: TaskSummary,
    session: SessionSummary | None,
    glyphs: Glyphs,
    now: int,
    *,
    pending: bool,
    asks: bool,
    waits: bool,
    last: TranscriptItem | None,
    turn: TurnTime | None,
) -> TurnState:
    if pending:
        return TurnState("Handing the task to the backend; it is kept if that takes long", "active", None)
    if waits_for_host(task):
        away = away_words(task.host)
        return TurnState(f"{away[0].upper()}{away[1:]}", "warning", glyphs.stale)
    if session is None:
        return TurnState("", "plain", "")
    if not session.status.is_known:
        return TurnState(f"The backend says of this session: {session.status}", "plain", UNKNOWN)
    match session.status:
        case _ if task.status is TaskStatus.ERROR and _is_told_by_failure(task, session):
            return TurnState("", "plain", "")
        case SessionStatus.PENDING_PROVISION | SessionStatus.PENDING_CREATE:
            opening = session.status is SessionStatus.PENDING_CREATE and task.status not in PROVISIONING
            # What is done for that stands with the steps, while there are any.
            doing = ": opening the session" if opening else ""
            return TurnState(f"Preparing environment{doing}", "active", None)
        case SessionStatus.READY if task.status in PROVISIONING:
            # After a retry: what was opened before is there already.
            return TurnState("Preparing environment: finding the agent again", "active", None)
        case SessionStatus.READY if task.operation is not None:
            return TurnState(operation_line(task.operation), "active", None)
        case SessionStatus.RUNNING if asks:
            return TurnState("", "plain", "")
        case SessionStatus.RUNNING:
            times = turn or TurnTime(task.status_since)
            return TurnState(working_words(last, times, now, glyphs.separator), "active", None)
        case SessionStatus.ERROR:
            reason = session.error.message if session.error is not None else "the session failed"
            return TurnState(reason, "failed", glyphs.failed)
        case SessionStatus.CLOSED:
            return TurnState("This session is closed: kept for reading", "plain", glyphs.archived)
        case _ if session.held:
            return TurnState("Stopped; what waits is held back until you say more", "warning", glyphs.stale)
        case _ if waits:
            # An agent that was ended as it had nothing to do takes a while to be there.
            return TurnState("Handing the prompt to the agent", "active", None)
        case _:
            return TurnState("Ready for the next prompt", "plain", glyphs.ready)


def _ended_words(task: TaskSummary, glyphs: Glyphs) -> TurnState | None:
    left = len(task.leftovers) if isinstance(task, TaskDetail) else 0
    things = "1 thing was" if left == 1 else f"{left} things were"
    match task.status:
        case TaskStatus.ARCHIVING:
            return TurnState("Archiving: releasing the sandbox", "active", None)
        case TaskStatus.KILLING:
            return TurnState("Killing: destroying the sandbox", "warning", None)
        case TaskStatus.ARCHIVED | TaskStatus.KILLED if left and isinstance(task, TaskDetail):
            first = task.leftovers[0]
            return TurnState(
                f"{task.status.capitalize()}, but {things} left behind: {first.what} ({first.why}); tried again at the"
                " backend's next start",
                "warning",
                glyphs.refused,
            )
        case TaskStatus.ARCHIVED:
            return TurnState(
                "Archived: the sandbox is released, the task is kept for reading", "plain", glyphs.archived
            )
        case TaskStatus.KILLED:
            return TurnState(
                "Killed: the sandbox is destroyed, the task is kept until it is removed", "plain", glyphs.killed
            )
        case _:
            return None


def unreachable(freshness: Freshness, now: int) -> str:
    """Why nothing is known, when the backend cannot be reached."""
    when = ""
    if freshness.retry_at is not None and freshness.retry_at > now:
        when = f" Trying again in {running_time(freshness.retry_at - now + 999)}."
    reason = f" ({freshness.reason})" if freshness.reason else ""
    return f"Nobody answers at the backend's address{reason}.{when} Nothing is lost: the tasks are in its data folder."


def refusal(problem: Problem | None) -> Failure:
    """A creation that the backend refused, as its card tells it: a reason a field, then the general one."""
    if problem is None:
        return Failure(headline="The backend refused this task", reason="It gave no reason.", tried="")
    reasons = [f"{error.field}: {error.message}" for error in problem.errors]
    if problem.detail and (not reasons or problem.status != 422):
        reasons.append(problem.detail)
    return Failure(
        headline="The backend refused this task",
        reason="\n".join(reasons) or problem.title,
        tried="nothing was made; the prompt is kept here",
    )


def open_permissions(task: TaskSummary, session_id: str | None) -> tuple[Permission, ...]:
    """The open requests of a task, those of the visible session first, oldest first."""
    if not isinstance(task, TaskDetail) or task.status in ENDED:
        return ()
    waiting = [permission for permission in task.permissions if permission.state is PermissionState.OPEN]
    return tuple(sorted(waiting, key=lambda permission: (permission.session_id != session_id, permission.at)))


def chosen_session(sessions: Sequence[SessionSummary], wanted: str | None) -> SessionSummary | None:
    """The session of this id; failing that the first that is not closed; failing that the first."""
    for session in sessions:
        if session.session_id == wanted:
            return session
    for session in sessions:
        if session.status is not SessionStatus.CLOSED:
            return session
    return sessions[0] if sessions else None
