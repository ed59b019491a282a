"""Reading a conversation: search, copying, folding one by one; and the work that stands beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from foundry_tui.client.errors import UnreachableError
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName, Topic, TopicKind
from foundry_tui.contract.records import (
    ErrorKind,
    FileDiff,
    HistoryEvent,
    HistoryKind,
    PromptState,
    SessionStatus,
    TaskError,
)
from foundry_tui.contract.requests import Diff, SessionSnapshot
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.contract.work import Work
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.search_row import SearchRow
from foundry_tui.widgets.task_list import TaskList
from foundry_tui.widgets.task_notices import TurnLine
from foundry_tui.widgets.transcript import Transcript
from foundry_tui.widgets.work import WorkColumn
from tests.app import task_scenes as scenes
from tests.app.factories import MINUTE, NOW, SECOND, make_task
from tests.app.harness import Stage, make_store, stage
from tests.app.list_scenes import AWAY
from tests.app.looking import text_of
from tests.app.task_scenes import SESSION, TASK

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(store: Store, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Stage]:
    """The app on a task whose changes are known."""
    async with stage(store, size=size) as on:
        on.commands.diffs[TASK] = scenes.a_diff()
        on.app.open_task(TASK)
        await on.quiet()
        await on.app.workers.wait_for_complete()
        await on.quiet()
        yield on


def reading(on: Stage) -> Transcript:
    return on.app.screen.query_one(Transcript)


def a_conversation(*items: tuple[TranscriptKind, object], status: TaskStatus = TaskStatus.IDLE) -> Store:
    """A session in which this was said and done after the first prompt."""
    told = [scenes.a_transcript()[0]]
    told += [scenes.item(place, kind, body) for place, (kind, body) in enumerate(items, 1)]  # type: ignore[arg-type]
    session = scenes.a_session(scenes.a_task(status).sessions[0].status, transcript=tuple(told))
    return scenes.store_with(scenes.a_task(status), session)


def a_call(number: int, lines: int = 12) -> tuple[TranscriptKind, object]:
    """A tool call that printed so many lines."""
    printed = "\n".join(f"output {number}-{line}" for line in range(lines))
    return TranscriptKind.TOOL_CALL, {"title": f"make {number}", "status": "completed", "content": printed}


# Search.


async def test_search_goes_from_match_to_match_and_n_is_a_new_task_again_after_it() -> None:
    calls = [a_call(number) for number in range(30)]
    async with opened(a_conversation(*calls), (100, 24)) as on:
        await on.press("home", "slash", *"OUTPUT 7-11")
        # It was folded away; what was found is shown.
        assert "output 7-11" in text_of(on, Transcript) and "output 8-11" not in text_of(on, Transcript)
        assert "1 of 1" in text_of(on, SearchRow)
        await on.press("ctrl+u", *"make", "enter")
        assert "of 30" in text_of(on, SearchRow) and "n next match" in text_of(on, ActionBar)
        place = reading(on).search.place
        await on.press("n")
        assert reading(on).search.place == place + 1
        await on.press("N", "N")
        assert reading(on).search.place == place - 1
        await on.press("escape")
        assert not on.app.screen.query_one(SearchRow).display and reading(on).search.wanted == ""
        await on.press("n")
        assert on.app.screen.SCREEN_NAME == "new_task"  # type: ignore[attr-defined]


async def test_what_is_said_meanwhile_is_found_too_and_what_is_not_there_is_said() -> None:
    store = a_conversation((TranscriptKind.MESSAGE, "one word"), status=TaskStatus.RUNNING)
    async with opened(store) as on:
        await on.press("slash", *"word")
        assert "1 of 1" in text_of(on, SearchRow)
        known = store.transcript(SESSION)
        grown = replace(known[1], body="one word and another word", revision=2)
        reading(on).show([known[0], grown])
        on.app.screen._reading.tell_count()  # type: ignore[attr-defined]
        await on.quiet()
        assert "1 of 2" in text_of(on, SearchRow)
        await on.press("z", "enter")
        assert "not found" in text_of(on, SearchRow)


# Copying.


async def test_the_last_answer_is_copied_as_the_agent_wrote_it() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("c")
        assert on.app.clipboard == scenes.MESSAGE


async def test_a_single_block_of_code_is_copied_at_once_and_of_several_the_numbered_one() -> None:
    one, two = "```python\nfirst()\n```", "And:\n\n```\nsecond()\n    third()\n```"
    async with opened(a_conversation((TranscriptKind.MESSAGE, one))) as on:
        await on.press("C")
        assert on.app.clipboard == "first()"
    async with opened(a_conversation((TranscriptKind.MESSAGE, one), (TranscriptKind.MESSAGE, two))) as on:
        await on.press("C")
        lines = text_of(on, Transcript).split("\n")
        assert [line.split()[-1] for line in lines if "first()" in line or "second()" in line] == ["1", "2"]
        assert "1 to 9 copy that block" in text_of(on, ActionBar)
        await on.press("2")
        assert on.app.clipboard == "second()\n    third()"
        assert "second() " not in text_of(on, Transcript).replace("second()\n", "").rstrip()


# Folding.


async def test_tool_calls_are_unfolded_one_by_one() -> None:
    async with opened(a_conversation(a_call(1), a_call(2), a_call(3))) as on:
        await on.press("K", "K")
        assert "▶ make 2" in text_of(on, Transcript)
        await on.press("o")
        shown = text_of(on, Transcript)
        assert "output 2-11" in shown and "output 1-11" not in shown and "output 3-11" not in shown
        await on.press("o")
        assert "output 2-11" not in text_of(on, Transcript)
        await on.press("O", "end")
        assert "output 3-11" in text_of(on, Transcript)
        # While all are whole, one can be folded.
        await on.press("G", "o")
        assert "more lines" in text_of(on, Transcript)


async def test_a_click_unfolds_what_it_is_on() -> None:
    async with opened(a_conversation(a_call(1), a_call(2))) as on:
        line = next(y for y, text in enumerate(text_of(on, Transcript).split("\n")) if "make 2" in text)
        await on.pilot.click(Transcript, offset=(4, line))
        await on.quiet()
        assert "output 2-11" in text_of(on, Transcript) and "output 1-11" not in text_of(on, Transcript)


# Keys.


async def test_half_a_screen_and_the_top_have_the_same_keys_in_the_list_and_in_a_task() -> None:
    async with stage(make_store([make_task(number) for number in range(60)]), size=(100, 24)) as on:
        the_list = on.app.screen.query_one(TaskList)
        begin = the_list.cursor
        await on.press("ctrl+d", "ctrl+d", "ctrl+u")
        assert the_list.cursor != begin
        await on.press("G", "g", "g")
        assert the_list.cursor == begin
        # A key that does not go on with what was begun means what it means alone.
        await on.press("g", "j")
        assert the_list.cursor != begin
        await on.press("k", "g", "n")
        assert not isinstance(on.app.screen, TasksScreen)
    async with opened(a_conversation(*(a_call(number) for number in range(9))), (100, 24)) as on:
        await on.press("g", "g", "ctrl+d")
        half = reading(on).scroll_y
        assert 0 < half < reading(on).scrollable_content_region.height - 1
        await on.press("ctrl+u")
        assert reading(on).scroll_y == 0


# The work.


async def test_the_column_tells_the_work_and_enter_opens_the_diff_at_a_file() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        shown = text_of(on, WorkColumn)
        for told in ("prepared in 4m50s", "Plan  1 of 3", "▸ Decode the path first", "+25 -1 in 2 files"):
            assert told in shown
        assert "2 ahead of main · 1 behind" in shown and "1 file not committed · not pushed" in shown
        await on.press("f", "j", "enter")
        await on.app.workers.wait_for_complete()
        await on.quiet()
        lines = on.app.screen.query_one(ChangesView).lines
        assert lines.document.file_at(lines.cursor) == 1
        await on.press("escape")
        assert not on.app.screen.query_one(ChangesView).display and reading(on).display


async def test_conflicts_are_named_before_anybody_tries() -> None:
    work = Work(
        base="main", ahead=1, behind=4, files=1, at=NOW, pushed=True, conflicts=("a.py", "b.py", "c.py", "d.py")
    )
    task = scenes.a_task(TaskStatus.IDLE, work=work)
    async with opened(scenes.store_with(task, scenes.a_session(SessionStatus.READY))) as on:
        shown = " ".join(text_of(on, WorkColumn).split())
        assert "pushed" in shown and "conflicts with main: a.py, b.py, c.py and 1 more" in shown


async def test_changes_are_asked_for_when_the_work_is_another_and_never_by_the_clock() -> None:
    store = scenes.status_scene(TaskStatus.RUNNING)
    async with opened(store) as on:
        asked = len(on.commands.looked_at)
        for _ in range(3):
            on.app.screen.on_tick()  # type: ignore[attr-defined]
        await on.quiet()
        assert len(on.commands.looked_at) == asked
        on.commands.diffs[TASK] = Diff(
            files=(FileDiff(path="new.py", status="A", added=7, removed=0, patch=""),), computed_at=9
        )
        task = store.detail(TASK)
        assert task is not None and task.work is not None
        told = replace(task, work=replace(task.work, at=NOW + SECOND), revision=task.revision + 1, history=())
        store.apply(Topic(TopicKind.TASK, TASK), EventName.TASK, told, 50)
        await on.flush()
        await on.app.workers.wait_for_complete()
        await on.quiet()
        assert "new.py" in text_of(on, WorkColumn)


async def test_in_a_narrow_terminal_the_work_is_one_line() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE), (80, 30)) as on:
        assert text_of(on, WorkColumn).strip() == "plan 1 of 3 · +25 -1 in 2 files · 2 ahead · 1 behind"
        assert on.commands.looked_at == []


async def test_the_time_waited_for_an_answer_is_not_told_as_the_agents_work() -> None:
    kind, at = HistoryKind, NOW - 10 * MINUTE
    told = (
        (kind.PROMPT_DELIVERED, at, {"session_id": SESSION}),
        (kind.PERMISSION_OPENED, at + MINUTE, {"session_id": SESSION, "permission_id": "p"}),
        (kind.PERMISSION_ANSWERED, at + 8 * MINUTE, {"permission_id": "p"}),
    )
    history = tuple(
        HistoryEvent(seq=seq, task_id=TASK, kind=what, at=when, payload=payload)
        for seq, (what, when, payload) in enumerate(told, 1)
    )
    task = scenes.a_task(TaskStatus.RUNNING, history=history)
    async with opened(scenes.store_with(task, scenes.a_session(SessionStatus.RUNNING))) as on:
        assert "The agent is working, 3m00s · waited 7m00s for you" in text_of(on, TurnLine)


async def test_a_tool_call_that_was_at_work_when_its_turn_was_stopped_runs_no_more() -> None:
    call = scenes.item(1, TranscriptKind.TOOL_CALL, {"title": "pytest -q", "status": "in_progress"})
    prompt = scenes.a_session().prompts[0]
    running = replace(
        scenes.a_session(SessionStatus.RUNNING, prompts=(replace(prompt, state=PromptState.DELIVERED),)),
        transcript=(scenes.item(0, TranscriptKind.PROMPT, scenes.PROMPT), call),
    )
    store = scenes.store_with(scenes.a_task(TaskStatus.RUNNING), running)
    async with stage(store) as on:
        on.app.open_task(TASK)
        await on.quiet()
        assert "running" in text_of(on, Transcript)
        stopped = TaskError(kind=ErrorKind.CANCELLED, message="stopped", retryable=True, at=NOW)
        prompts = (replace(prompt, state=PromptState.FAILED, error=stopped),)
        session = replace(running, status=SessionStatus.READY, prompts=prompts, revision=running.revision + 1)
        scenes.put_snapshot(
            store, Topic(TopicKind.SESSION, SESSION), SessionSnapshot(**scenes.fields_of(session), seq=60)
        )
        await on.flush()
        drawn = text_of(on, Transcript)
        assert "pytest -q" in drawn and "running" not in drawn and drawn.count("stopped") == 2


async def test_changes_that_a_cut_line_kept_from_being_read_are_read_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nobody(*_: object) -> Diff:
        raise UnreachableError("cut")

    store = scenes.status_scene(TaskStatus.IDLE)
    async with stage(store) as on:
        on.commands.diffs[TASK] = scenes.a_diff()
        with monkeypatch.context() as cut:
            cut.setattr(on.commands, "diff", nobody)
            for topic in (TASKS, Topic(TopicKind.TASK, TASK)):
                store.set_freshness(topic, AWAY)
            on.app.open_task(TASK)
            await on.quiet()
            await on.app.workers.wait_for_complete()
            await on.flush()
            assert "shop/auth.py" not in text_of(on, WorkColumn)
        for topic in (TASKS, Topic(TopicKind.TASK, TASK)):
            store.set_freshness(topic, scenes.live())
        await on.flush()
        await on.app.workers.wait_for_complete()
        await on.flush()
        assert "shop/auth.py" in text_of(on, WorkColumn)
