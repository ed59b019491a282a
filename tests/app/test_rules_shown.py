"""What is answered without a person, and by what: in the header, the details, the transcript and the history."""

import pytest
from msgspec.structs import replace

from foundry_tui.contract.questions import Permission, PermissionOption, PermissionPolicy, PermissionState
from foundry_tui.contract.records import HistoryEvent, HistoryKind
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.view.details import facts
from foundry_tui.view.history import details
from foundry_tui.view.transcript import Standing, entry_of
from foundry_tui.widgets.task_header import TaskHeader
from tests.app.factories import NOW, make_detail
from tests.app.harness import stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK, a_task, store_with


@pytest.mark.anyio
@pytest.mark.parametrize("width", [160, 60])
async def test_the_header_says_what_is_allowed_and_that_everything_is_in_yellow(width: int) -> None:
    colours: dict[str, object] = {}
    for policy in PermissionPolicy:
        task = replace(a_task(TaskStatus.IDLE), permission_policy=policy)
        async with stage(store_with(task), size=(width, 30)) as on:
            on.app.open_task(TASK)
            await on.pilot.pause()
            assert (f"permissions {policy}" in text_of(on, TaskHeader)) is (policy != PermissionPolicy.ASK)
            line = on.app.screen.query_one(TaskHeader).render_line(1)
            colours |= {part.text: part.style.color for part in line if part.style is not None}
    assert colours["permissions all"] != colours["permissions reads"]


@pytest.mark.parametrize(("policy", "words"), [("all", "everything, without a question"), ("ask", None)])
def test_the_details_say_it_in_words(policy: str, words: str | None) -> None:
    task = replace(make_detail(1, TaskStatus.IDLE), permission_policy=PermissionPolicy(policy))
    assert next((fact.value for fact in facts(task, NOW) if fact.label == "allowed"), None) == words


@pytest.mark.parametrize(
    ("answer", "words", "standing"),
    [
        ("y", "allowed by rule `pytest *`", Standing.DONE),
        ("n", "denied by rule `git push*`", Standing.FAILED),
    ],
)
def test_the_transcript_names_the_rule_also_of_a_question_that_is_no_longer_kept(
    answer: str, words: str, standing: Standing
) -> None:
    options = (
        PermissionOption(option_id="y", name="Allow", kind="allow_once"),
        PermissionOption(option_id="n", name="Deny", kind="reject_once"),
    )
    body = {"permission_id": "p", "title": "Run it", "answered_by": words}
    item = TranscriptItem(
        item_id="i", session_id="s", index=0, kind=TranscriptKind.PERMISSION, body=body, at=NOW, revision=1
    )
    permission = Permission(
        permission_id="p",
        task_id="t",
        session_id="s",
        title="Run it",
        options=options,
        state=PermissionState.ANSWERED,
        answer=answer,
        answered_by=words,
        at=NOW,
    )
    for known in ({"p": permission}, {}):
        entry = entry_of(item, {}, known)
        assert (entry.note, entry.standing) == (words, standing)


def test_the_history_names_the_rule() -> None:
    payload = {"permission_id": "p", "option_id": "allow", "answered_by": "allowed by rule `make *`"}
    event = HistoryEvent(seq=1, task_id="t", kind=HistoryKind.PERMISSION_ANSWERED, at=NOW, payload=payload)
    assert details(event) == "allowed by rule `make *` · allow"
