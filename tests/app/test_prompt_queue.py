"""What waits to be delivered stands above the composer, is changed and taken back there, and never lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from foundry_tui.client.store import Store
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import Prompt, PromptState, SessionState, SessionStatus
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.prompt_queue import PromptQueue
from foundry_tui.widgets.task_notices import TurnLine
from foundry_tui.widgets.transcript import Transcript
from tests.app import task_scenes as scenes
from tests.app.factories import NOW
from tests.app.harness import Stage, stage
from tests.app.looking import text_of
from tests.app.task_scenes import SESSION, TASK

pytestmark = pytest.mark.anyio

QUEUED = PromptState.QUEUED


@asynccontextmanager
async def opened(store: Store, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Stage]:
    """The app with somebody writing in the task of the scene."""
    async with stage(store, size=size) as on:
        on.app.open_task(TASK)
        await on.press("i")
        yield on


def waits(on: Stage) -> list[str]:
    """The lines above the composer."""
    return [" ".join(line.split()) for line in text_of(on, PromptQueue).splitlines() if line.strip()]


def written(on: Stage) -> str:
    return on.app.screen.query_one(Composer).text


def footer(on: Stage) -> str:
    return " ".join(on.app.screen.query_one(ActionBar).render().plain.split())


def said(on: Stage) -> str:
    return [note.message for note in on.app._notifications][-1]


def asked(on: Stage) -> list[tuple[object, ...]]:
    """What was asked of the backend about prompts."""
    return [call for call in on.commands.calls if call[0] in ("prompt", "steer", "edit_prompt", "withdraw_prompt")]


async def tell(on: Stage, prompt_id: str, state: PromptState, *, text: str | None = None) -> None:
    """The backend tells of another state of a prompt."""
    session = on.store.session(SESSION)
    assert session is not None

    def now(prompt: Prompt) -> Prompt:
        return replace(prompt, state=state, text=text or prompt.text) if prompt.prompt_id == prompt_id else prompt

    fields = {name: getattr(session, name) for name in SessionState.__struct_fields__}
    fields |= {"prompts": tuple(map(now, session.prompts)), "revision": session.revision + 1}
    on.store.apply(
        Topic(TopicKind.SESSION, SESSION), EventName.SESSION, SessionState(**fields), 60 + fields["revision"]
    )
    await on.flush()


@pytest.mark.parametrize("size", [(120, 36), (60, 28)])
async def test_what_waits_stands_above_the_composer_in_the_order_of_its_delivery(size: tuple[int, int]) -> None:
    async with opened(scenes.queue_scene(), size) as on:
        assert [line.split()[-1] for line in waits(on)] == ["steers", "queued", "queued"]
        assert [line.split()[1] for line in waits(on)] == ["stop:", "also", "then"]
        assert "changelog" not in text_of(on, Transcript), "it is shown once"


async def test_the_prompt_that_opens_a_conversation_stands_in_it() -> None:
    async with opened(scenes.status_scene(TaskStatus.CREATE_SANDBOX)) as on:
        assert "fix the login redirect" in text_of(on, Transcript)
        assert not on.app.screen.query_one(PromptQueue).display
        await on.press("up")
        assert written(on) == scenes.PROMPT
        await on.press(*"!", "enter")
        assert asked(on) == [("edit_prompt", SESSION, "prompt-1", f"{scenes.PROMPT}!")]


async def test_of_many_that_wait_a_few_are_shown_with_the_one_that_is_changed() -> None:
    async with opened(scenes.queue_scene(*"abcdef", steering=None)) as on:
        assert [line.split()[1] for line in waits(on)] == ["a", "b", "c", "3"]
        assert waits(on)[-1] == "+ 3 more"
        await on.press("up")
        assert [line.split()[1] for line in waits(on)] == ["d", "e", "f", "3"]
        assert waits(on)[2].endswith("f changing")


async def test_up_recalls_what_waits_to_be_changed_the_newest_first_then_what_was_sent() -> None:
    async with opened(scenes.queue_scene("one", "two", steering=None)) as on:
        assert "↑ edit queued" in footer(on)
        await on.press("up")
        assert written(on) == "two"
        assert footer(on).startswith("enter save esc put back")
        await on.press("up")
        assert written(on) == "one"
        await on.press("up")
        assert written(on) == scenes.PROMPT and "changing" not in text_of(on, PromptQueue)
        await on.press("down", "backspace", *"ce again", "up")
        assert written(on) == "once again", "a changed text is not left by an arrow"
        await on.press("enter")
        assert asked(on) == [("edit_prompt", SESSION, "queued-1", "once again")]
        assert written(on) == ""


async def test_escape_puts_it_back_as_it_was() -> None:
    async with opened(scenes.queue_scene("one", steering=None)) as on:
        await on.press("up", *" more", "escape")
        assert written(on) == "" and not asked(on)
        assert isinstance(on.app.focused, Composer), "the next escape leaves"
        assert waits(on) == ["◌ one queued"]


async def test_saved_unchanged_asks_for_nothing() -> None:
    async with opened(scenes.queue_scene("one", steering=None)) as on:
        await on.press("up", "enter")
        assert written(on) == "" and not asked(on)


async def test_with_nothing_queued_up_recalls_a_copy_of_what_was_sent() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("up")
        assert written(on) == scenes.PROMPT
        await on.press("enter")
        assert asked(on) == [("prompt", SESSION, scenes.PROMPT)]


async def test_up_in_what_is_written_moves_the_cursor() -> None:
    async with opened(scenes.queue_scene()) as on:
        await on.press(*"ab", "ctrl+j", *"cd", "up", *"x")
        assert written(on) == "abx\ncd"


async def test_what_was_only_recalled_is_no_draft_and_what_was_changed_is_one() -> None:
    async with opened(scenes.queue_scene("one", steering=None)) as on:
        await on.press("up")
        assert on.commands.drafts.get(f"session:{SESSION}") is None
        await on.press("x")
        draft = on.commands.drafts.get(f"session:{SESSION}")
        assert draft is not None and draft.prompt == "onex"


async def test_taken_back_the_text_is_where_one_writes() -> None:
    async with opened(scenes.queue_scene("one", "two", steering=None)) as on:
        await on.press("escape", "ctrl+t")
        assert asked(on) == [("withdraw_prompt", SESSION, "queued-2")]
        assert written(on) == "two"
        await tell(on, "queued-2", PromptState.WITHDRAWN)
        assert waits(on) == ["◌ one queued"]
        assert "two" not in text_of(on, Transcript)
        await on.press(*" and", "enter")
        assert asked(on)[-1] == ("prompt", SESSION, "two and"), "the keys are those of a text, not of the task"


async def test_taken_back_while_it_is_changed_it_is_a_text_of_ones_own() -> None:
    async with opened(scenes.queue_scene("one", "two", steering=None)) as on:
        await on.press("up", "up", *"ly", "ctrl+t")
        assert asked(on) == [("withdraw_prompt", SESSION, "queued-1")]
        await tell(on, "queued-1", PromptState.WITHDRAWN)
        await on.press("enter")
        assert asked(on)[-1] == ("prompt", SESSION, "onely")


async def test_taken_back_over_something_written_it_is_recalled() -> None:
    async with opened(scenes.queue_scene("one", steering=None)) as on:
        await on.press(*"mine", "ctrl+t")
        assert written(on) == "mine" and "recalls it" in said(on)
        await tell(on, "queued-1", PromptState.WITHDRAWN)
        await on.press("ctrl+up")
        assert written(on) == "one"
        await on.press("ctrl+down")
        assert written(on) == "mine"


async def test_with_nothing_queued_there_is_nothing_to_take_back() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("escape", "ctrl+t")
        assert "nothing waits to be delivered" in said(on)


async def test_delivered_while_it_is_changed_its_text_is_kept_and_that_is_said() -> None:
    async with opened(scenes.queue_scene("one", steering=None)) as on:
        await on.press("up", *" more")
        await tell(on, "queued-1", PromptState.DELIVERED)
        assert written(on) == "one more"
        assert "sends it as a new prompt" in said(on)
        await on.press("enter")
        assert asked(on) == [("prompt", SESSION, "one more")]


async def test_delivered_while_it_is_only_looked_at_it_leaves_the_composer() -> None:
    async with opened(scenes.queue_scene("one", steering=None)) as on:
        await on.press("up")
        await tell(on, "queued-1", PromptState.DELIVERED)
        assert written(on) == ""
        assert "waits no longer" in said(on)


@pytest.mark.parametrize("key", ["ctrl+enter", "ctrl+s"])
async def test_while_a_turn_runs_one_can_steer(key: str) -> None:
    async with opened(scenes.queue_scene()) as on:
        assert "^s steer" in footer(on)
        await on.press(*"stop", key)
        assert asked(on) == [("steer", SESSION, "stop")]
        await on.press(*"then", "enter")
        assert asked(on)[-1] == ("prompt", SESSION, "then")


async def test_a_session_in_which_no_turn_runs_is_not_steered() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        assert "steer" not in footer(on)
        await on.press(*"go", "ctrl+s")
        assert asked(on) == [("prompt", SESSION, "go")]


async def test_an_agent_that_is_about_to_get_a_prompt_is_not_said_to_be_ready_for_the_next() -> None:
    session = scenes.a_session(SessionStatus.READY)
    next_one = Prompt(prompt_id="next", session_id=SESSION, text="and then", state=QUEUED, at=NOW)
    store = scenes.store_with(scenes.a_task(TaskStatus.IDLE), replace(session, prompts=(*session.prompts, next_one)))
    async with opened(store) as on:
        assert waits(on) != []
        assert "Handing the prompt to the agent" in text_of(on, TurnLine)
        await tell(on, "next", PromptState.WITHDRAWN)
        assert "Ready for the next prompt" in text_of(on, TurnLine)


async def test_what_waits_in_a_closed_session_stays_in_its_conversation() -> None:
    session = scenes.a_session(SessionStatus.CLOSED)
    left = Prompt(prompt_id="left", session_id=SESSION, text="never said", state=QUEUED, at=NOW)
    store = scenes.store_with(scenes.a_task(TaskStatus.ARCHIVED), replace(session, prompts=(*session.prompts, left)))
    async with stage(store) as on:
        on.app.open_task(TASK)
        await on.quiet()
        assert "never said" in text_of(on, Transcript)
