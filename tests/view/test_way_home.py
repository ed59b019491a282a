"""What can be done next with a task's work, why not otherwise, and the lines that work and pull request are told in."""

import pytest
from msgspec.structs import replace

from foundry_tui.contract.operations import PullRequest as RequestedPullRequest
from foundry_tui.contract.operations import Update
from foundry_tui.contract.pull_request import Checks, ChecksState, Mergeable, PullRequest, PullRequestState, Review
from foundry_tui.contract.records import Operation, OperationKind, OperationState, OperationStep
from foundry_tui.contract.starts import StartedFrom
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.work import Work
from foundry_tui.view.clock import time_of_day
from foundry_tui.view.way_home import (
    choices,
    operation_line,
    pull_request_line,
    refreshed_line,
    still_holds,
    work_line,
)
from foundry_tui.view.work import standing_line
from tests.app.factories import make_detail

WORK = Work(base="origin/main", ahead=2, behind=1, files=3, at=1)
PULL = PullRequest(number=212, url="u", title="t", state=PullRequestState.OPEN, mergeable=Mergeable.YES, at=1)


def an_operation(state: OperationState = OperationState.RUNNING, **changes: object) -> Operation:
    operation = Operation(
        operation_id="o", task_id="t", kind=OperationKind.PUSH, request={}, state=state, at=1, revision=1
    )
    return replace(operation, **changes)


@pytest.mark.parametrize(
    ("work", "line"),
    [
        (WORK, "⇡2 ⇣1"),
        (replace(WORK, behind=0, uncommitted=3), "⇡2 · 3 uncommitted"),
        (replace(WORK, ahead=0, conflicts=("a.py",)), "⇣1 · conflicts"),
        (replace(WORK, ahead=0, behind=0), ""),
    ],
)
def test_work_is_one_line(work: Work, line: str) -> None:
    assert work_line(work) == line
    assert work_line(work, ascii_only=True).isascii()


@pytest.mark.parametrize(
    ("pull", "line"),
    [
        (PULL, "#212 open · no checks"),
        (
            replace(PULL, checks=Checks(state=ChecksState.PASSING, passed=3), review=Review.APPROVED),
            "#212 open · ✓ checks · approved",
        ),
        (
            replace(PULL, checks=Checks(state=ChecksState.FAILING, failed=1, names=("lint",)), comments=2),
            "#212 open · ✗ lint · 2 comments",
        ),
        (
            replace(
                PULL,
                state=PullRequestState.DRAFT,
                checks=Checks(state=ChecksState.PENDING, passed=2, pending=1),
                mergeable=Mergeable.NO,
            ),
            "#212 draft · ◌ 2 of 3 checks done · conflicts",
        ),
        (replace(PULL, state=PullRequestState.MERGED, review=Review.APPROVED), "#212 merged"),
    ],
)
def test_a_pull_request_is_one_line(pull: PullRequest, line: str) -> None:
    assert pull_request_line(pull) == line
    assert pull_request_line(pull, ascii_only=True).isascii()


def test_where_there_is_little_room_only_what_its_checks_imply_is_left_out() -> None:
    passing = Checks(state=ChecksState.PASSING, passed=3)
    draft = replace(PULL, state=PullRequestState.DRAFT, checks=passing)
    told = [pull_request_line(pull, brief=True) for pull in (PULL, replace(PULL, checks=passing), draft)]
    assert told == ["#212 open · no checks", "#212 ✓ checks", "#212 draft · ✓ checks"]


def test_how_a_branch_stands_says_from_what_it_is_ahead_and_whether_a_remote_has_it() -> None:
    assert standing_line(WORK) == "2 ahead of origin/main · 1 behind · not pushed"
    pushed = replace(WORK, behind=0, pushed=True, conflicts=("a.py",))
    assert standing_line(pushed) == "2 ahead of origin/main · pushed · conflicts"
    assert standing_line(pushed, ascii_only=True).isascii()


def test_a_branch_that_has_landed_says_so_and_not_that_it_has_no_commit_yet() -> None:
    landed = replace(WORK, ahead=0, behind=0, landed=True)
    assert standing_line(landed) == "landed on main"
    assert standing_line(replace(landed, ahead=2)) == "2 ahead of origin/main · landed on main · not pushed"
    assert standing_line(replace(landed, landed=False)) == "no commit yet"
    assert work_line(landed) == "landed"


def test_that_a_pull_request_was_looked_at_again_has_its_time() -> None:
    opened = an_operation(
        OperationState.DONE, kind=OperationKind.PULL_REQUEST, result={"number": 212, "url": "u"}, finished_at=2_000
    )
    again = replace(opened, operation_id="again", finished_at=62_000)
    ready = replace(again, operation_id="ready", request={"draft": False})
    other = replace(again, operation_id="other", result={"number": 213, "url": "u"})
    task = make_detail(1, work=WORK, operations=(opened, again, ready, other))
    told = [refreshed_line(each, task) for each in task.operations]
    assert told == ["", f"#212 was refreshed at {time_of_day(62_000)}", "", ""]
    begun_from = make_detail(1, work=WORK, operations=(opened,), started_from=StartedFrom(pull_request=212))
    assert refreshed_line(opened, begun_from) == f"#212 was refreshed at {time_of_day(2_000)}"


def why_not(**changes: object) -> dict[str, str | None]:
    return {choice.key: choice.why_not for choice in choices(make_detail(1, **changes))}  # type: ignore[arg-type]


def test_each_says_why_it_cannot_be_done_now() -> None:
    found = why_not(work=WORK)
    assert found["commit"] == "nothing is uncommitted"
    assert found["update"] is found["push"] is found["pull_request"] is found["land"] is found["apply"] is None
    found = why_not(work=replace(WORK, base="main", behind=0, uncommitted=1))
    assert found["commit"] is None
    assert found["update"] == "it has all of main"
    assert found["land"] == "1 file not committed: commit first"
    found = why_not(work=replace(WORK, ahead=0, uncommitted=1))
    assert found["push"] == found["land"] == "1 file not committed: commit first"
    assert why_not(work=replace(WORK, ahead=0))["land"] == "there is no commit of its own"
    assert set(why_not(status=TaskStatus.ARCHIVED).values()) == {"the task has ended"}
    assert set(why_not(status=TaskStatus.CREATE_SANDBOX).values()) == {"the task is still being prepared"}


def test_under_way_only_that_can_be_cancelled_and_merged_offers_archiving() -> None:
    assert why_not(work=WORK, operation=an_operation()) == {"cancel": None}
    merged = replace(PULL, state=PullRequestState.MERGED)
    for home in (WORK, replace(WORK, pushed=True, upstream="origin/fix/login"), None):
        found = why_not(work=home, pull_request=merged)
        assert found["archive"] is None
        assert found["pull_request"] == found["land"] == found["squash"] == "#212 is merged"
    # What the agent did since wants a pull request of its own.
    for more in (replace(WORK, uncommitted=1), replace(WORK, upstream="origin/fix/login")):
        found = why_not(work=more, pull_request=merged)
        assert "archive" not in found
        assert found["pull_request"] is found["draft"] is None


def test_conflicts_offer_the_agent_and_a_turn_is_waited_for() -> None:
    offered = {choice.key: choice for choice in choices(make_detail(1, work=replace(WORK, conflicts=("a.py",))))}
    assert "conflicts in a.py" in offered["update"].does
    assert offered["resolve"].request is not None
    running = choices(make_detail(1, TaskStatus.RUNNING, work=WORK))
    assert all(choice.request.wait for choice in running if choice.request is not None)
    assert [choice.key for choice in running if choice.request is None] == ["undo"]


@pytest.mark.parametrize(
    ("work", "does"),
    [
        (replace(WORK, uncommitted=1), "commit, push, and open one into main"),
        (WORK, "push and open one into main"),
        (replace(WORK, pushed=True), "open one into main"),
    ],
)
def test_a_pull_request_says_only_what_it_would_do(work: Work, does: str) -> None:
    offered = {choice.key: choice for choice in choices(make_detail(1, work=work))}
    assert offered["pull_request"].does == does


def test_a_draft_can_be_made_ready_and_a_refresh_leaves_it_as_it_is() -> None:
    draft = replace(PULL, state=PullRequestState.DRAFT)
    work = replace(WORK, pushed=True)
    offered = {choice.key: choice for choice in choices(make_detail(1, work=work, pull_request=draft))}
    assert offered["pull_request"].request == RequestedPullRequest()
    assert offered["ready"].request == RequestedPullRequest(draft=False)
    assert offered["ready"].does == "ask for a review of #212"
    assert "ready" not in why_not(work=WORK, pull_request=PULL)


def test_a_remote_s_base_can_always_be_asked_for_what_is_new() -> None:
    offered = {choice.key: choice for choice in choices(make_detail(1, work=replace(WORK, behind=0)))}
    assert offered["update"].why_not is None
    assert offered["update"].does == "fetch and rebase on origin/main"
    assert not offered["update"].next


def test_a_branch_that_others_may_have_is_updated_without_being_written_anew() -> None:
    pushed = replace(WORK, upstream="origin/fix/it", conflicts=("a.py",))
    offered = {choice.key: choice for choice in choices(make_detail(1, work=pushed))}
    assert offered["update"].request == Update(how="merge")
    assert offered["update"].does.startswith("fetch and merge origin/main")
    assert offered["resolve"].request == Update(how="merge", resolve="agent")


@pytest.mark.parametrize(
    ("kind", "since", "holds"),
    [
        (OperationKind.PUSH, {}, True),
        (OperationKind.PUSH, {"work": replace(WORK, at=11)}, False),
        (OperationKind.PUSH, {"status_since": 11}, False),
        (OperationKind.PUSH, {"pull_request": replace(PULL, at=11)}, True),
        (OperationKind.PUSH, {"pull_request": replace(PULL, state=PullRequestState.MERGED)}, False),
        (OperationKind.COMMIT, {"pull_request": replace(PULL, state=PullRequestState.MERGED)}, True),
        (OperationKind.PULL_REQUEST, {"work": replace(WORK, pushed=True), "pull_request": PULL}, True),
        (OperationKind.PULL_REQUEST, {"work": replace(WORK, pushed=True), "pull_request": replace(PULL, at=11)}, False),
        (OperationKind.PULL_REQUEST, {"pull_request": replace(PULL, at=11)}, True),
    ],
)
def test_why_something_was_not_done_is_said_until_anything_has_changed(
    kind: OperationKind, since: dict[str, object], holds: bool
) -> None:
    failed = an_operation(OperationState.FAILED, kind=kind, finished_at=10)
    task = replace(make_detail(1, work=WORK), **{"status_since": 5, **since})
    assert still_holds(failed, task) is holds
    assert still_holds(replace(failed, state=OperationState.DONE), task)


def test_what_has_landed_is_offered_for_archiving() -> None:
    landed = an_operation(OperationState.DONE, kind=OperationKind.LAND, result={"sha": "1", "into": "main"})
    landed = replace(landed, finished_at=2)
    home = replace(WORK, landed=True)
    first, *others = choices(make_detail(1, work=home, operations=(landed,)))
    assert (first.key, first.does, first.why_not) == ("archive", "it has landed on main: release the sandbox", None)
    again = {choice.key: choice.why_not for choice in others}
    assert again["land"] == again["squash"] == "main has it all"
    more, *_ = choices(make_detail(1, work=WORK, operations=(landed,)))
    assert more.key == "commit", "what was committed since is not home"
    dirty, *_ = choices(make_detail(1, work=replace(WORK, uncommitted=1), operations=(landed,)))
    assert dirty.key == "commit"


def test_an_operation_is_one_line() -> None:
    step = OperationStep(name="push", state=OperationState.RUNNING, detail="fix/it to origin")
    assert operation_line(an_operation(steps=(step,))) == "Push: fix/it to origin"
    waiting = an_operation(OperationState.QUEUED)
    assert operation_line(waiting) == "Push: not begun yet"
    assert operation_line(replace(waiting, request={"wait": True})) == "Push: begins when the turn is over"
    opening = an_operation(kind=OperationKind.PULL_REQUEST, steps=(step,))
    assert operation_line(opening) == "Pull request: push · fix/it to origin"
