"""Which notices of a conversation belong to the turn that was waited for."""

from msgspec.structs import replace

from foundry_tui.cli.follow.notices import of_last_turn
from foundry_tui.contract.records import Prompt, PromptState
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from tests.app.task_scenes import SESSION, a_session, item


def a_prompt(prompt_id: str, *, steer: bool = False) -> Prompt:
    return Prompt(
        prompt_id=prompt_id, session_id=SESSION, text=prompt_id, state=PromptState.ANSWERED, at=1, steer=steer
    )


def said(*words: str) -> tuple[TranscriptItem, ...]:
    """A conversation of prompts and of notices, which begin with a capital letter."""
    kinds = (TranscriptKind.NOTICE if word[0].isupper() else TranscriptKind.PROMPT for word in words)
    items = (item(index, kind, word) for index, (kind, word) in enumerate(zip(kinds, words, strict=True)))
    return tuple(replace(each, item_id=str(each.body)) for each in items)


def test_a_prompt_that_was_said_into_a_turn_takes_no_notice_from_it() -> None:
    prompts = (a_prompt("one"), a_prompt("two"), a_prompt("into", steer=True))
    told = said("Before", "one", "Of one", "two", "Of two", "into", "After it")
    assert of_last_turn(a_session(prompts=prompts, transcript=told)) == ["Of two", "After it"]


def test_what_was_noted_of_the_preparation_belongs_to_the_first_turn() -> None:
    prompts = (a_prompt("one"), a_prompt("into", steer=True))
    told = said("Before", "one", "Of one", "into", "After it")
    assert of_last_turn(a_session(prompts=prompts, transcript=told)) == ["Before", "Of one", "After it"]
