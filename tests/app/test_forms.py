"""Forms and pages in the app: filled in, kept half-filled, checked while one types, declined, opened by a key alone."""

import pytest
from msgspec.structs import replace

from foundry_tui.client.commands import form_draft_key
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.questions import PermissionState, QuestionKind
from foundry_tui.contract.records import TaskDetail
from foundry_tui.screens.form import FormScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.widgets.permission import PermissionRequest
from tests.app import question_scenes as scenes
from tests.app.harness import Stage, stage
from tests.app.looking import is_on, text_of
from tests.app.task_scenes import TASK

pytestmark = pytest.mark.anyio


def _replies(on: Stage) -> list[object]:
    return [call[1:] for call in on.commands.calls if call[0] == "reply"]


async def test_a_form_is_checked_while_typing_kept_half_filled_and_sent() -> None:
    async with stage(scenes.form_scene(), size=(120, 40)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        shown = text_of(on, PermissionRequest)
        assert "What shall be released?" in shown and "Version *: text, at least 3 characters" in shown
        await on.press("1", "v", "1")
        assert is_on(on, FormScreen)
        assert "It must have at least 3 characters." in text_of(on)
        await on.press("escape")
        assert is_on(on, TaskScreen)
        await on.press("1", ".", "4")
        assert "It must have" not in text_of(on)
        await on.press("enter", "down", "space", "ctrl+s")
        assert "This is needed." in text_of(on) and not _replies(on)
        await on.press("2")
        assert "This is needed." not in text_of(on)
        await on.press("tab", "down", "space", "enter", "9", "9")
        assert "It must be 0 to 60." in text_of(on)
        await on.press("backspace", "enter")
        assert is_on(on, TaskScreen)
        filled = {"version": "v1.4", "level": "major", "where": ("us",), "announce": False, "wait": 9}
        assert _replies(on) == [("permission-1", "accept", filled)]
        assert on.commands.drafts.get(form_draft_key("permission-1")) is not None, "it is kept until it is answered"


async def test_enter_takes_the_choice_that_one_went_to_and_goes_on() -> None:
    async with stage(scenes.form_scene(), size=(120, 40)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("1", *"v1.4", "enter", "down", "enter", "down", "enter")
        assert "(x) major" in text_of(on).lower(), text_of(on)


@pytest.mark.parametrize(
    ("leaving", "chosen"), [("tab", "major"), ("shift+tab", "major"), ("ctrl+s", "major"), ("", "minor")]
)
async def test_a_choice_that_one_went_to_is_the_one_that_is_sent(leaving: str, chosen: str) -> None:
    """Whoever only goes past it by the arrows has not chosen it."""
    async with stage(scenes.form_scene(), size=(120, 40)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        past = [] if leaving else ["down", "down", "down"]
        await on.press("1", *"v1.4", "enter", "down", *past, *filter(None, [leaving]))
        assert f"(x) {chosen}" in text_of(on).lower(), text_of(on)


async def test_a_form_is_declined_and_closes_when_it_is_not_asked_any_more() -> None:
    async with stage(scenes.form_scene(), size=(60, 16)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("1", "ctrl+n")
        assert _replies(on) == [("permission-1", "decline", None)]
        await on.press("1", "v")
        task = on.store.detail(TASK)
        assert isinstance(task, TaskDetail)
        (asked,) = task.permissions
        ended = replace(asked, state=PermissionState.CANCELLED)
        cancelled = replace(task, permissions=(ended,), needs_input=0, revision=task.revision + 1, history=())
        on.store.apply(Topic(TopicKind.TASK, TASK), EventName.TASK, cancelled, 90)
        await on.flush()
        assert is_on(on, TaskScreen)
        assert on.commands.drafts.get(form_draft_key("permission-1")) is None
        await on.press("2")
        assert len(_replies(on)) == 1


async def test_a_page_is_opened_by_its_key_once_all_of_its_address_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def opens(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("foundry_tui.screens.session_actions.open_page", opens)
    long = f"https://a.example/{'x' * 900}/end"
    async with stage(scenes.asked_scene(QuestionKind.URL, title="Log in", url=long), size=(60, 20)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("o")
        assert not opened and "more line" in text_of(on, PermissionRequest)
        while "more line" in text_of(on, PermissionRequest):
            await on.press("o")
        assert "a page of a.example" in text_of(on, PermissionRequest)
        opened.clear()
        await on.press("o")
        assert opened == [long]
        await on.press("1")
        assert _replies(on) == [("permission-1", "accept", None)]
