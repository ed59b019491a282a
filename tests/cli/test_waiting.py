"""When waiting is over, and with which exit code."""

import time
from typing import Any

import pytest
from msgspec.structs import replace

from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.pull_request import PATIENCE, Looks
from foundry_tui.cli.follow.waiting import WaitCondition
from foundry_tui.cli.parameters import PullRequestGoal
from foundry_tui.cli.problems import DONE, FAILED, TASK_ERROR
from foundry_tui.contract.activity import Activity, ActivityKind
from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.pull_request import Checks, ChecksState, PullRequest, PullRequestState
from foundry_tui.contract.records import HistoryEvent, HistoryKind
from foundry_tui.contract.status import StageName, TaskStatus
from tests.app.factories import make_detail

S = TaskStatus
K = HistoryKind


def happened(seq: int, kind: HistoryKind, **payload: Any) -> HistoryEvent:
    return HistoryEvent(seq=seq, task_id="t", kind=kind, at=0, payload=payload)


@pytest.mark.parametrize(
    ("goal", "status", "code"),
    [
        (S.RUNNING, S.CREATE_SESSION, None),
        (S.RUNNING, S.RUNNING, DONE),
        (S.RUNNING, S.IDLE, DONE),
        (S.RUNNING, S.ERROR, TASK_ERROR),
        (S.ERROR, S.ERROR, DONE),
        (S.ERROR, S.IDLE, None),
        (S.RUNNING, S.KILLING, FAILED),
        (S.RUNNING, S.ARCHIVED, FAILED),
        (S.KILLED, S.KILLING, None),
        (S.KILLED, S.KILLED, DONE),
        (S.KILLED, S.ARCHIVED, FAILED),
        (S.ARCHIVING, S.ARCHIVED, DONE),
        (S.QUEUED, S.IDLE, DONE),
        (StageName.CREATE_SANDBOX, S.ENSURE_NAME, None),
        (StageName.CREATE_SANDBOX, S.CREATE_SANDBOX, DONE),
        (StageName.CREATE_SANDBOX, S.ENSURE_AGENT, DONE),
        (StageName.CREATE_SESSION, S.IDLE, DONE),
        (None, S.RUNNING, None),
        (None, S.IDLE, DONE),
        (None, S.ERROR, TASK_ERROR),
        (None, S.KILLED, DONE),
        (None, S.ARCHIVING, None),
    ],
)
def test_a_task_as_it_stands(goal: TaskStatus | StageName | None, status: TaskStatus, code: int | None) -> None:
    assert WaitCondition(goal, since=None).of_task(make_detail(status=status)) == code


@pytest.mark.parametrize("goal", [StageName.ENSURE_NAME, S.ENSURE_NAME, S.QUEUED])
def test_what_was_passed_before_the_error_is_reached(goal: TaskStatus | StageName) -> None:
    failed = make_detail(status=S.ERROR)
    assert failed.error is not None
    assert failed.error.stage is not StageName.ENSURE_NAME
    assert WaitCondition(goal, since=None).of_task(failed) == DONE


def test_for_a_task_made_now_its_history_counts_from_the_beginning() -> None:
    failed = replace(
        make_detail(status=S.ERROR),
        history=(happened(3, K.TASK_RUNNING), happened(4, K.TASK_ERROR)),
    )
    assert WaitCondition(S.RUNNING, since=0).of_snapshot(failed, 9) == DONE
    assert WaitCondition(S.IDLE, since=0).of_snapshot(failed, 9) == TASK_ERROR


def test_for_a_task_watched_from_now_on_its_past_does_not_count() -> None:
    failed = replace(make_detail(status=S.ERROR), history=(happened(3, K.TASK_RUNNING), happened(4, K.TASK_ERROR)))
    assert WaitCondition(S.RUNNING, since=None).of_snapshot(failed, 9) == TASK_ERROR


@pytest.mark.parametrize("goal", [S.IDLE, S.RUNNING, None])
def test_a_task_has_not_come_to_rest_before_what_waits_was_said(goal: TaskStatus | None) -> None:
    idle = make_detail(status=S.IDLE)
    [session] = idle.sessions
    about = {"prompt_id": "p", "session_id": session.session_id}
    idle = replace(idle, history=(happened(3, K.TASK_IDLE), happened(4, K.PROMPT_QUEUED, **about)))
    running = replace(idle, status=S.RUNNING)
    said = WaitCondition(goal, since=None)
    assert said.of_snapshot(idle, 9) is None
    assert said.of_task(running) == (DONE if goal is S.RUNNING else None)
    assert said.of_task(idle) == DONE
    taken_back = WaitCondition(goal, since=None)
    assert taken_back.of_snapshot(idle, 9) is None
    assert taken_back.of_task(idle) is None
    assert taken_back.of_event(happened(10, K.PROMPT_WITHDRAWN, **about)) == DONE
    held = replace(idle, sessions=(replace(session, held=True),))
    assert WaitCondition(goal, since=None).of_snapshot(held, 9) == DONE, "it waits until a person says so"


def test_what_came_while_the_connection_was_lost_counts() -> None:
    condition = WaitCondition(S.RUNNING, since=None)
    assert condition.of_snapshot(make_detail(status=S.ENSURE_AGENT), 5) is None
    later = replace(make_detail(status=S.ERROR), history=(happened(7, K.TASK_RUNNING), happened(8, K.TASK_ERROR)))
    assert condition.of_snapshot(later, 9) == DONE


def test_the_first_event_that_decides_wins() -> None:
    condition = WaitCondition(StageName.CREATE_SANDBOX, since=0)
    assert condition.of_event(happened(1, K.STAGE_STARTED, stage="ensure_name")) is None
    assert condition.of_event(happened(2, K.STAGE_RETRYING, stage="ensure_name")) is None
    assert condition.of_event(happened(3, K.STAGE_STARTED, stage="create_sandbox")) == DONE
    assert WaitCondition(StageName.ENSURE_AGENT, since=0).of_event(happened(4, K.TASK_ERROR)) == TASK_ERROR


def test_a_stage_that_starts_is_a_status_that_is_reached() -> None:
    assert (
        WaitCondition(S.CREATE_SANDBOX, since=0).of_event(happened(1, K.STAGE_STARTED, stage="create_sandbox")) == DONE
    )
    assert WaitCondition(S.CREATE_SANDBOX, since=0).of_event(happened(1, K.STAGE_STARTED, stage="ensure_name")) is None


def test_that_a_host_is_away_and_back_is_said_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    here = make_detail(1, S.IDLE, host="build-7")
    away = replace(here, activity=Activity(kind=ActivityKind.NOTICE, text=away_words("build-7"), at=0))
    host = AwayHost()
    for task in (here, away, away, here, here):
        host.look(task)
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "foundry: its host build-7 is away: it goes on when that is back",
        "foundry: the host build-7 is back",
    ]
    assert told.out == ""
    for task in (away, replace(away, status=S.KILLING, activity=None)):
        host.look(task)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_checks_are_judged_by_a_look_that_is_newer_than_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def stands(at: int, checks: ChecksState, state: PullRequestState = PullRequestState.OPEN) -> PullRequest:
        return PullRequest(number=7, url="u", title="t", state=state, at=at, checks=Checks(state=checks))

    passing = Looks(PullRequestGoal.CHECKS)
    assert [passing.judge(stands(at, ChecksState.PASSING)) for at in (1, 1, 2)] == [None, None, DONE]
    looks = Looks(PullRequestGoal.CHECKS)
    assert [looks.judge(stands(at, ChecksState.NONE)) for at in (1, 2, 2, 3)] == [None, None, None, FAILED]
    assert capsys.readouterr().err == "foundry: no checks are reported for #7\n"
    over = stands(1, ChecksState.PASSING, PullRequestState.MERGED)
    assert [Looks(goal).judge(over) for goal in PullRequestGoal] == [DONE, DONE], "nobody looks at it any more"


def test_a_look_that_never_comes_is_waited_for_only_while_it_could_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    looks = Looks(PullRequestGoal.CHECKS)
    looks.may_come(True)
    now[0] += PATIENCE - 1
    looks.may_come(True)
    assert looks.patience == 1.0 and not looks.gave_up
    looks.may_come(False)
    now[0] += PATIENCE
    assert not looks.gave_up
    looks.may_come(True)
    now[0] += PATIENCE
    assert looks.gave_up
