"""What a task's work and its pull request say on one line, and what can be done next to bring it home."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from foundry_tui.contract.checkpoints import When
from foundry_tui.contract.operations import Apply, Commit, HandOver, Land, PullRequest, Push, StartOperation, Update
from foundry_tui.contract.pull_request import (
    IN_PROGRESS,
    ChecksState,
    Mergeable,
    PullRequestState,
    Review,
)
from foundry_tui.contract.pull_request import PullRequest as OpenedPullRequest
from foundry_tui.contract.records import (
    HistoryKind,
    Operation,
    OperationKind,
    OperationState,
    SessionStatus,
    TaskDetail,
    TaskSummary,
)
from foundry_tui.contract.status import ENDED, PROVISIONING, RELEASING, TaskStatus
from foundry_tui.contract.work import Work
from foundry_tui.view.clock import time_of_day
from foundry_tui.view.work import REMOTE, local_base

ARCHIVE, CANCEL, UNDO = "archive", "cancel", "undo"
UPDATE, RESOLVE = "update", "resolve"
READY = "ready"
GIVE_CHECKS, GIVE_COMMENTS = "give_checks", "give_comments"
_OF_A_PULL_REQUEST = frozenset({OperationKind.PUSH, OperationKind.PULL_REQUEST, OperationKind.HAND_OVER})
_MOST_NAMES = 3


class Choice(Struct, frozen=True):
    """A thing that can be done next: what it would do, or why it cannot be done now (a sentence without a full stop).

    `request` is None for what the dialog does in another way: archiving, cancelling what is under way, undoing. `next`
    says that it is what one would do now; other things can be done, too.
    """

    key: str
    label: str
    does: str
    why_not: str | None = None
    request: StartOperation | None = None
    next: bool = True


def work_line(work: Work, *, ascii_only: bool = False) -> str:
    """`⇡2 ⇣1 · 3 uncommitted`, `landed`; empty when the branch is as its base is."""
    ahead, behind, dot = ("^", "v", " - ") if ascii_only else ("⇡", "⇣", " · ")
    moved = " ".join(f"{glyph}{count}" for glyph, count in ((ahead, work.ahead), (behind, work.behind)) if count)
    parts = [
        moved,
        f"{work.uncommitted} uncommitted" if work.uncommitted else "",
        "conflicts" if work.conflicts else "",
        "landed" if work.landed else "",
    ]
    return dot.join(part for part in parts if part)


def changed_line(work: Work) -> str:
    """`+10 -4 in 3 files`; empty where nothing was changed, and without the lines where they were not counted."""
    if not work.files:
        return ""
    files = f"{work.files:,} file{'s' * (work.files != 1)}"
    if work.added is None or work.removed is None:
        return f"{files} changed"
    return f"+{work.added:,} -{work.removed:,} in {files}"


def pull_request_line(pull: OpenedPullRequest, *, ascii_only: bool = False, brief: bool = False) -> str:
    """`#212 open · ✓ checks · approved`, `#6 draft · no checks`; `brief` leaves out that it is open where its checks
    are told.
    """
    passed, failed, waits, dot = ("ok", "x", ".", " - ") if ascii_only else ("✓", "✗", "◌", " · ")
    number = f"#{pull.number}"
    if pull.state not in IN_PROGRESS:
        return f"{number} {pull.state}"
    checks = pull.checks
    told = {
        ChecksState.PASSING: f"{passed} checks",
        ChecksState.FAILING: f"{failed} {_names(checks.names) or 'checks'}",
        ChecksState.PENDING: f"{waits} {checks.passed} of {checks.passed + checks.pending} checks done",
        ChecksState.NONE: "no checks",
    }.get(checks.state, "")
    review = {
        Review.APPROVED: "approved",
        Review.CHANGES_REQUESTED: "changes requested",
        Review.REQUIRED: "wants a review",
    }.get(pull.review, "")
    implied = brief and pull.state is PullRequestState.OPEN and checks.state is not ChecksState.NONE and told
    head = [f"{number} {told}"] if implied else [f"{number} {pull.state}", told]
    parts = [
        *head,
        review,
        f"{pull.comments} {'comment' if pull.comments == 1 else 'comments'}" if pull.comments else "",
        "conflicts" if pull.mergeable is Mergeable.NO else "",
    ]
    return dot.join(part for part in parts if part)


def operation_name(operation: Operation) -> str:
    """What it is called: `pull request`."""
    return str(operation.kind).replace("_", " ")


def operation_line(operation: Operation, *, ascii_only: bool = False) -> str:
    """What an operation under way is doing: `Pull request: push · fix/login to origin`."""
    name = operation_name(operation).capitalize()
    if operation.state is OperationState.QUEUED:
        return f"{name}: begins when the turn is over" if operation.request.get("wait") else f"{name}: not begun yet"
    running = next((step for step in operation.steps if step.state is OperationState.RUNNING), None)
    if running is None:
        return f"{name}: beginning"
    step = running.name.replace("_", " ")
    said = [part for part in ("" if step == operation_name(operation) else step, running.detail or "") if part]
    dot = " - " if ascii_only else " · "
    return f"{name}: {dot.join(said)}" if said else f"{name}: at work"


def outcome_line(operation: Operation) -> str:
    """What came of an operation that has ended, its words of failure once."""
    name = operation_name(operation).capitalize()
    if operation.state is not OperationState.DONE:
        why = operation.error.message if operation.error is not None else str(operation.state)
        return f"{name}: {why}"
    result = operation.result or {}
    if operation.kind is OperationKind.HAND_OVER:
        return f"{name}: {outcome_of_giving(operation)}"
    if result.get("handed_over"):
        return f"{name}: the conflicts were handed to the agent"
    told = result.get("url") or result.get("checkout") or str(result.get("sha") or "")[:10]
    if operation.kind is OperationKind.LAND and result.get("into"):
        told = f"{result['into']} is at {told}"
    return f"{name} done{f': {told}' if told else ''}"


def refreshed_line(operation: Operation, task: TaskSummary) -> str:
    """`#6 was refreshed at 15:54:02`, of an operation that found its pull request open; else empty. Often nothing else
    shows that it was done.
    """
    number, at = (operation.result or {}).get("number"), operation.finished_at
    if operation.kind is not OperationKind.PULL_REQUEST or operation.state is not OperationState.DONE:
        return ""
    if at is None or operation.request.get("draft") is not None or not isinstance(task, TaskDetail):
        return ""
    start = task.started_from
    before = {start.pull_request} if start is not None else set()
    for each in task.operations:
        if each.operation_id == operation.operation_id:
            break
        if each.kind is OperationKind.PULL_REQUEST and each.state is OperationState.DONE:
            before.add((each.result or {}).get("number"))
    return f"#{number} was refreshed at {time_of_day(at)}" if number is not None and number in before else ""


def outcome_of_giving(operation: Operation) -> str:
    """What the agent was given of a pull request: `2 comments were given to the agent`."""
    result = operation.result or {}
    checks, comments = result.get("checks"), result.get("comments")
    names = [str(name) for name in checks] if isinstance(checks, list) else []
    what = f"the log of {_names(names)}" if names else f"{comments} {'comment' if comments == 1 else 'comments'}"
    if not result.get("handed_over"):
        return f"the agent had {what} before: push what it did, and see what comes then"
    return f"the agent was given {what}"


def last_operation(task: TaskSummary) -> Operation | None:
    """The newest operation that has ended, if the task is known whole."""
    ended = [each for each in task.operations if each.finished_at is not None] if isinstance(task, TaskDetail) else []
    return ended[-1] if ended else None


def still_holds(ended: Operation, task: TaskSummary) -> bool:
    """Whether what came of an operation is worth saying: of one that was not done, while nothing is known to have
    changed since. A branch that is found as it was keeps the time at which it was found so.
    """
    since = ended.finished_at
    if ended.state is OperationState.DONE or since is None:
        return True
    work, pull = task.work, task.pull_request
    if task.status_since > since or (work is not None and work.at > since):
        return False
    if pull is None or ended.kind not in _OF_A_PULL_REQUEST:
        return True
    if pull.state not in IN_PROGRESS:
        return False
    # Its forge has answered since, and it has all that there is.
    complete = work is not None and work.pushed and not work.uncommitted
    return not (ended.kind is OperationKind.PULL_REQUEST and complete and pull.at > since)


_SOME_BASE = "its base"
"""The base branch of a task of which no more is known than that it has one."""


def why_nothing(task: TaskSummary) -> str | None:
    """Why nothing at all can be done with the task's work now."""
    if task.status in ENDED | RELEASING:
        return "the task has ended"
    if task.status in PROVISIONING or task.stages_done < 4:
        return "the task is still being prepared"
    return None


def why_no_undo(task: TaskSummary) -> str | None:
    """Why the files cannot be set back now."""
    if task.status in ENDED | RELEASING:
        return "the task has ended"
    if isinstance(task, TaskDetail) and task.sandbox is None:
        return "there is no sandbox yet"
    if any(session.status is SessionStatus.RUNNING for session in task.sessions):
        return "a turn runs: stop it first"
    return None if task.operation is None else f"{operation_name(task.operation)} is under way"


def has_turn_to_undo(task: TaskSummary) -> bool:
    """Whether a turn is known to have changed files that were not set back since to what they were before it."""
    if not isinstance(task, TaskDetail):
        return False
    undone = next((each for each in reversed(task.operations) if _is_undone(each)), None)
    made = (event.payload for event in reversed(task.history) if event.kind is HistoryKind.CHECKPOINT_MADE)
    newest = next(made, None)
    if newest is None or newest.get("when") != When.UNDO or undone is None:
        return newest is not None
    before = next((each.get("checkpoint_id") for each in made if each.get("when") == When.BEFORE), None)
    return before is not None and (undone.result or {}).get("to") != before


def _is_undone(operation: Operation) -> bool:
    return operation.kind is OperationKind.UNDO and operation.state is OperationState.DONE


def choices(task: TaskSummary) -> Sequence[Choice]:
    """What can be done next with the task's work, in the order of the way home."""
    if task.operation is not None:
        # One thing at a time: the rest comes back when it has ended.
        return [Choice(CANCEL, f"cancel {operation_name(task.operation)}", "what it left half-way is taken back")]
    busy = why_nothing(task)
    waits = _turn_runs(task)
    after = " once the turn is over" if waits else ""
    found: list[Choice] = []
    if (why := _why_archive(task)) is not None:
        gone = "the task has ended" if task.status in ENDED | RELEASING else None
        found.append(Choice(ARCHIVE, "archive", f"{why}: release the sandbox", gone))
    proposed = task.pull_request is not None and task.pull_request.state in IN_PROGRESS
    found += [
        Choice(key, label, f"{does}{after}", busy or why_not, request, _is_next(key, task.work, proposed=proposed))
        for key, label, does, why_not, request in _operations(task, wait=waits)
    ]
    undone = "the files as before the last prompt; asks first"
    return [*found, Choice(UNDO, "undo turn", undone, busy or why_no_undo(task), next=False)]


def merged_whole(task: TaskSummary) -> str | None:
    """`#212 is merged`, where the task's pull request has brought home all that is known of its work."""
    pull, work = task.pull_request, task.work
    if pull is None or pull.state is not PullRequestState.MERGED:
        return None
    # A branch that its remote has no more went with the merge.
    if work is not None and (work.uncommitted or (work.upstream is not None and not work.pushed)):
        return None
    return f"#{pull.number} is merged"


def _why_archive(task: TaskSummary) -> str | None:
    """Why nothing is left to do, where all of the work is home."""
    if (merged := merged_whole(task)) is not None:
        return merged
    last = last_operation(task)
    if last is None or last.kind is not OperationKind.LAND or last.state is not OperationState.DONE:
        return None
    work = task.work
    if work is None or work.uncommitted:
        return None
    base = local_base(work.base)
    into = (last.result or {}).get("into") or base
    # What is committed since is not home.
    if into == base and work.ahead and not work.landed:
        return None
    return f"it has landed on {into}"


def _is_next(key: str, work: Work | None, *, proposed: bool) -> bool:
    """Whether it is what one would do now: nothing that would change nothing, nor go past an open pull request."""
    if key == UPDATE:
        return work is None or (bool(work.behind) and not work.conflicts)
    if key == "pull_request":
        return not proposed or (work is not None and bool(work.uncommitted or not work.pushed))
    if key in ("land", "squash", "apply"):
        return not proposed
    return True


def _operations(task: TaskSummary, *, wait: bool) -> Sequence[tuple[str, str, str, str | None, StartOperation]]:
    work, pull = task.work, task.pull_request
    base = work.base if work is not None else task_base(task)
    clean = "nothing is uncommitted" if work is not None and not work.uncommitted else None
    landed = f"{local_base(base)} has it all" if work is not None and work.landed else None
    dirty = f"{_files(work.uncommitted)} not committed: commit first" if work is not None and work.uncommitted else None
    empty = dirty or "there is no commit of its own" if work is not None and not work.ahead else None
    # What a remote has by now, only asking it tells.
    known = work is not None and not work.base.startswith(REMOTE)
    current = f"it has all of {base}" if known and work is not None and not work.behind else None
    nothing = "nothing was changed" if work is not None and not (work.ahead or work.uncommitted or work.files) else None
    commits = _commits(work.ahead) if work is not None else "its commits"
    clash = f"; conflicts in {_names(work.conflicts)}" if work is not None and work.conflicts else ""
    is_open = pull is not None and pull.state in IN_PROGRESS
    is_draft = pull is not None and pull.state is PullRequestState.DRAFT
    merged = merged_whole(task)
    looks = f"look at #{pull.number} again" if is_open and pull is not None else f"open one into {local_base(base)}"
    pushed = None
    if work is not None and work.pushed:
        pushed = "the remote has all that is committed: commit first" if work.uncommitted else "the remote has it all"
    uncommitted = _files(work.uncommitted) if work is not None else "all changes"
    behind = f": {_commits(work.behind)}" if work is not None and work.behind else ""
    fetched = "fetch and " if base.startswith(REMOTE) else ""
    local = f"the local {local_base(base)}" if base != _SOME_BASE else "its local base"
    # What others may have of the branch is not written anew.
    how: Literal["rebase", "merge"] = "merge" if work is not None and work.upstream is not None else "rebase"
    onto = f"merge {base}" if how == "merge" else f"rebase on {base}"
    told: list[tuple[str, str, str, str | None, StartOperation]] = [
        ("commit", "commit", f"{uncommitted}, with the agent's last words", clean, Commit(wait=wait)),
        (UPDATE, "update", f"{fetched}{onto}{behind}{clash}", current or dirty, Update(how=how, wait=wait)),
    ]
    if clash:
        handed = Update(how=how, resolve="agent", wait=wait)
        told.append((RESOLVE, "agent updates", "the agent resolves the conflicts", current or dirty, handed))
    told.append(("push", "push", f"{commits} to the remote", empty or pushed, Push(wait=wait)))
    if is_open and pull is not None:
        told += _met_with(pull, wait=wait)
    told += [
        (
            "pull_request",
            f"refresh #{pull.number}" if is_open and pull is not None else "pull request",
            _joined([*_before_proposing(work), looks]),
            nothing or merged,
            PullRequest(wait=wait),
        ),
    ]
    if is_draft and pull is not None:
        does = _joined([*_before_proposing(work), f"ask for a review of #{pull.number}"])
        told.append((READY, "ready for review", does, None, PullRequest(draft=False, wait=wait)))
    if not is_open:
        draft = PullRequest(draft=True, wait=wait)
        told.append(("draft", "draft request", "the same, not yet for review", nothing or merged, draft))
    told += [
        ("land", "land", f"merge {commits} into {local}", merged or empty or dirty or landed, Land(wait=wait)),
        (
            "squash",
            "land as one",
            f"squash into one commit on {local}",
            merged or empty or dirty or landed,
            Land(how="squash", wait=wait),
        ),
        ("apply", "apply", "the changes into your own checkout", nothing, Apply(wait=wait)),
    ]
    return told


def _met_with(pull: OpenedPullRequest, *, wait: bool) -> Sequence[tuple[str, str, str, str | None, StartOperation]]:
    """What the agent can be given of an open pull request, where there is any of it."""
    told: list[tuple[str, str, str, str | None, StartOperation]] = []
    if pull.checks.failed:
        does = f"the agent is given the log of {_names(pull.checks.names) or 'what failed'}"
        told.append((GIVE_CHECKS, "fix checks", does, None, HandOver(what="checks", wait=wait)))
    if pull.comments:
        count = f"{pull.comments} {'comment' if pull.comments == 1 else 'comments'}"
        does = f"the agent is given {count} of reviewers"
        told.append((GIVE_COMMENTS, "answer review", does, None, HandOver(what="comments", wait=wait)))
    return told


def _before_proposing(work: Work | None) -> list[str]:
    """What a pull request wants done first."""
    if work is None:
        return ["commit", "push"]
    return ["commit"] * bool(work.uncommitted) + ["push"] * bool(work.uncommitted or not work.pushed)


def task_base(task: TaskSummary) -> str:
    """The base branch where nothing was found out about the work."""
    return (task.base_branch if isinstance(task, TaskDetail) else None) or _SOME_BASE


def _turn_runs(task: TaskSummary) -> bool:
    return task.status is TaskStatus.RUNNING or any(each.status is SessionStatus.RUNNING for each in task.sessions)


def _joined(parts: Sequence[str]) -> str:
    """`push and open one`, `commit, push, and open one`."""
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _commits(count: int) -> str:
    return "1 commit" if count == 1 else f"{count} commits"
