"""The task screen's keys and what it says, driven as a person would, on a store that is fed by hand."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from textual.strip import Strip
from textual.widgets import Input

from foundry_tui.app import confirmations
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.memory import AgentMemory, Measure
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import (
    ErrorKind,
    LogLine,
    PromptState,
    SessionDetail,
    SessionState,
    SessionStatus,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.requests import CreateTask, Diff
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.view.new_task import is_same_request
from foundry_tui.view.transcript import Entry
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.composer import PLACEHOLDERS, Composer
from foundry_tui.widgets.details import Details
from foundry_tui.widgets.history import HistoryView
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.prompt_queue import PromptQueue
from foundry_tui.widgets.session_tabs import SessionTabs
from foundry_tui.widgets.stage_log import StageLog
from foundry_tui.widgets.stepper import Stepper
from foundry_tui.widgets.task_header import TaskHeader
from foundry_tui.widgets.task_notices import EmptyStateView, FailureCard, TurnLine
from foundry_tui.widgets.transcript import Transcript
from foundry_tui.widgets.transcript_strips import Drawer
from tests.app import task_scenes as scenes
from tests.app.factories import NOW, make_detail, make_session, task_id
from tests.app.harness import Stage, make_store, put_detail, stage
from tests.app.looking import is_on, text_of, words_of
from tests.app.task_scenes import SESSION, TASK

pytestmark = pytest.mark.anyio

TASK_TOPIC = Topic(TopicKind.TASK, TASK)
SESSION_TOPIC = Topic(TopicKind.SESSION, SESSION)
LOG_TOPIC = Topic(TopicKind.LOG, TASK)


@asynccontextmanager
async def opened(store: Store, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Stage]:
    """The app with the task screen open on the task of the scene."""
    async with stage(store, size=size) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        yield on


def update(store: Store, task: TaskDetail, seq: int = 50) -> None:
    """The backend pushes another version of the task."""
    store.apply(TASK_TOPIC, EventName.TASK, replace(task, revision=task.revision + 1, history=()), seq)


# Topics.


async def test_topics_are_held_while_the_screen_is_open_and_no_longer() -> None:
    # There is no room for the list's preview, which would hold them after a moment.
    async with opened(scenes.status_scene(TaskStatus.IDLE), size=(100, 36)) as on:
        assert set(on.commands.held) == {TASK_TOPIC, SESSION_TOPIC}
        await on.press("l")
        assert set(on.commands.held) == {TASK_TOPIC, SESSION_TOPIC, LOG_TOPIC}
        await on.press("l")
        assert set(on.commands.held) == {TASK_TOPIC, SESSION_TOPIC}
        await on.press("escape")
        assert on.commands.held == []


async def test_a_failed_task_has_its_log_at_hand() -> None:
    async with opened(scenes.status_scene(TaskStatus.ERROR)) as on:
        assert LOG_TOPIC in on.commands.held
        assert "No space left on device" in text_of(on, FailureCard)


async def test_another_session_changes_the_topic() -> None:
    async with opened(scenes.sessions_scene()) as on:
        await on.press("right_square_bracket")
        assert set(on.commands.held) == {TASK_TOPIC, Topic(TopicKind.SESSION, "session-2")}
        await on.press("left_square_bracket")
        assert set(on.commands.held) == {TASK_TOPIC, SESSION_TOPIC}


# Faces.


@pytest.mark.parametrize("status", list(TaskStatus))
async def test_every_status_is_named_in_the_header(status: TaskStatus) -> None:
    words = {
        TaskStatus.QUEUED: "queued",
        TaskStatus.ENSURE_NAME: "name 12s",
        TaskStatus.CREATE_SANDBOX: "sandbox 12s",
        TaskStatus.ENSURE_AGENT: "agent 12s",
        TaskStatus.CREATE_SESSION: "session 12s",
        TaskStatus.RUNNING: "working 12s",
        TaskStatus.IDLE: "ready",
        TaskStatus.ERROR: "failed",
        TaskStatus.ARCHIVING: "archiving 12s",
        TaskStatus.ARCHIVED: "archived",
        TaskStatus.KILLING: "killing 12s",
        TaskStatus.KILLED: "killed",
    }
    async with opened(scenes.status_scene(status)) as on:
        assert words[status] in text_of(on, TaskHeader)


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ("deleted", "This task was deleted elsewhere"),
        ("offline", "Cannot reach the backend"),
        ("loading", "Loading the task"),
        ("leftover", "1 thing was left behind: sandbox 019e0000"),
        ("pending", "Handing the task to the backend"),
        ("refused", "branch: a branch called fix/login exists already"),
        ("waiting", "attempt 3 of 3 in 7s"),
        ("turn-failed", "the agent ended by itself with exit code 137"),
        ("reconnecting", "reconnecting, 3s"),
        ("away", "The backend is away: connection refused."),
        ("unsent", "Kept here, and handed to the backend as soon as that answers"),
        ("permission", "1 Allow"),
    ],
)
async def test_every_other_state_has_a_face_of_its_own(scene: str, said: str) -> None:
    async with opened(scenes.SCENES[scene]()) as on:
        assert said in words_of(on)


async def test_an_early_session_with_nothing_said_prepares_its_environment() -> None:
    task = scenes.a_task(TaskStatus.CREATE_SANDBOX)
    store = scenes.store_with(task, scenes.a_session(SessionStatus.PENDING_PROVISION, prompts=()))
    async with opened(store) as on:
        assert "Preparing environment" in text_of(on, EmptyStateView)
        await on.press("i", *"hello", "enter")
        assert on.commands.calls[-1] == ("prompt", SESSION, "hello")


async def test_the_stepper_tells_state_seconds_attempt_and_reason() -> None:
    async with opened(scenes.status_scene(TaskStatus.ERROR)) as on:
        steps = text_of(on, Stepper)
        assert "sandbox  failed" in steps
        assert "name     done" in steps
        card = text_of(on, FailureCard)
        assert "The sandbox could not be created" in card
        assert "tried 3 times" in card
        assert "r retry" in card
        # Each thing is said once.
        assert "attempt" not in steps and "r retry" not in text_of(on, ActionBar)
        assert words_of(on).count("no room left on the machine") == 1


async def test_seconds_pass_with_the_clock() -> None:
    async with opened(scenes.status_scene(TaskStatus.CREATE_SANDBOX)) as on:
        assert "12s" in text_of(on, Stepper)
        on.clock.advance(5_000)
        screen = on.app.screen
        assert isinstance(screen, TaskScreen)
        screen.on_tick()
        await on.pilot.pause()
        assert "17s" in text_of(on, Stepper)
        assert "sandbox 17s" in text_of(on, TaskHeader)


# The task moves on by what is pushed.


async def test_pushed_events_move_the_screen() -> None:
    store = scenes.status_scene(TaskStatus.CREATE_SANDBOX)
    async with opened(store) as on:
        assert "agent    pending" in text_of(on, Stepper)
        update(store, scenes.a_task(TaskStatus.ENSURE_AGENT))
        await on.flush()
        assert "agent    running" in text_of(on, Stepper)
        update(store, replace(scenes.a_task(TaskStatus.IDLE), revision=9), seq=51)
        await on.flush()
        assert "ready" in text_of(on, TaskHeader)


async def test_a_creation_becomes_the_task_without_a_break() -> None:
    store = scenes.pending_scene()
    async with opened(store) as on:
        assert "sending" in text_of(on, Stepper)
        store.created(scenes.a_task(TaskStatus.QUEUED))
        await on.flush()
        assert "queued   queued" in text_of(on, Stepper)
        assert scenes.PROMPT[:30] in text_of(on, Transcript)


async def test_looking_at_an_unread_task_marks_it_read() -> None:
    async with opened(scenes.store_with(scenes.a_task(unread=True), scenes.a_session())) as on:
        assert ("mark", TASK, False) in on.commands.calls


# Sessions, transcript, composer.


async def test_prompts_show_where_they_are() -> None:
    store = scenes.status_scene(TaskStatus.CREATE_SANDBOX)
    async with opened(store) as on:
        assert "queued" in text_of(on, Transcript)
        for state in (PromptState.DELIVERED, PromptState.ANSWERED):
            session = scenes.a_session(SessionStatus.RUNNING, transcript=())
            prompt = replace(session.prompts[0], state=state)
            revision = 5 if state is PromptState.DELIVERED else 6
            record = replace(session, prompts=(prompt,), revision=revision)
            store.apply(SESSION_TOPIC, EventName.SESSION, _state_of(record), 50 + revision)
            await on.flush()
            assert str(state) in text_of(on, Transcript)


def _state_of(session: SessionDetail) -> SessionState:
    return SessionState(**{name: getattr(session, name) for name in SessionState.__struct_fields__})


async def test_a_streaming_message_grows_in_place() -> None:
    store = scenes.status_scene(TaskStatus.RUNNING)
    async with opened(store) as on:
        for revision, body in enumerate(("Now I", "Now I run the", "Now I run the tests."), start=1):
            grown = replace(scenes.item(7, TranscriptKind.MESSAGE, body), revision=revision)
            store.apply(SESSION_TOPIC, EventName.TRANSCRIPT, grown, 60 + revision)
            await on.flush()
        shown = text_of(on, Transcript)
        assert shown.count("Now I") == 1
        assert "Now I run the tests." in shown


async def test_what_grew_is_drawn_once_and_not_again_for_each_of_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    draw = Drawer.draw

    def noted(drawer: Drawer, entry: Entry) -> list[Strip]:
        drawn.append(entry.key)
        return draw(drawer, entry)

    monkeypatch.setattr(Drawer, "draw", noted)
    store = scenes.status_scene(TaskStatus.RUNNING)
    async with opened(store) as on:
        for revision in (1, 2):
            lines = "one more line\n\n" * 4 * revision
            grown = replace(scenes.item(7, TranscriptKind.MESSAGE, lines), revision=revision)
            store.apply(SESSION_TOPIC, EventName.TRANSCRIPT, grown, 60 + revision)
            await on.flush()
        assert drawn.count("item-7") == 2


async def test_the_end_is_followed_until_one_scrolls_up() -> None:
    store = scenes.status_scene(TaskStatus.RUNNING)
    async with opened(store, size=(100, 24)) as on:
        assert _follows(on)
        await on.press("k", "k", "k")
        assert not _follows(on)
        before = _without_scrollbar(text_of(on, Transcript))
        store.apply(SESSION_TOPIC, EventName.TRANSCRIPT, scenes.item(7, TranscriptKind.MESSAGE, "and more\n\n" * 9), 61)
        await on.flush()
        assert _without_scrollbar(text_of(on, Transcript)) == before
        await on.press("end")
        assert _follows(on)
        assert "and more" in text_of(on, Transcript)


def _follows(on: Stage) -> bool:
    transcript = on.app.screen.query_one(Transcript)
    return transcript.following and transcript.scroll_y == transcript.max_scroll_y > 0


def _without_scrollbar(text: str) -> list[str]:
    return [line[:97].rstrip() for line in text.split("\n")]


@pytest.mark.parametrize(
    ("keys", "at"),
    [(("home",), 0), (("g", "g"), 0), (("home", "down"), 1), (("home", "j", "j"), 2), (("home", "j", "k"), 0)],
)
async def test_scrolling_keys(keys: tuple[str, ...], at: int) -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE), size=(100, 24)) as on:
        await on.press(*keys)
        assert round(on.app.screen.query_one(Transcript).scroll_y) == at


@pytest.mark.parametrize("key", ["pagedown", "ctrl+f", "space"])
async def test_a_page_down_and_back(key: str) -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE), size=(100, 24)) as on:
        transcript = on.app.screen.query_one(Transcript)
        await on.press("home", key)
        assert transcript.scroll_y > 5
        await on.press("pageup")
        assert transcript.scroll_y == 0


async def test_folding_shows_thoughts_and_output_whole() -> None:
    long = scenes.item(7, TranscriptKind.THOUGHT, "\n".join(f"thought {number}" for number in range(12)))
    session = scenes.a_session(SessionStatus.RUNNING, transcript=(*scenes.a_transcript(), long))
    async with opened(scenes.store_with(scenes.a_task(TaskStatus.RUNNING), session)) as on:
        assert "8 more lines" in text_of(on, Transcript)
        await on.press("o")
        assert "thought 11" in text_of(on, Transcript)
        await on.press("o")
        assert "thought 11" not in text_of(on, Transcript)


@pytest.mark.parametrize("send", ["enter", "ctrl+enter", "ctrl+s"])
async def test_writing_and_sending(send: str) -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("i", *"run", "ctrl+j", *"tests", send)
        assert on.commands.calls[-1] == ("prompt", SESSION, "run\ntests")
        assert on.app.screen.query_one(Composer).text == ""


def _writes(on: Stage) -> bool:
    return isinstance(on.app.focused, Composer)


async def test_enter_opens_the_composer_and_escape_leaves_it_with_its_text() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("enter", *"half")
        assert _writes(on)
        await on.press("escape")
        assert not _writes(on)
        assert on.app.screen.query_one(Composer).text == "half"
        assert is_on(on, TaskScreen)


async def test_an_empty_prompt_is_not_sent() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("i", "space", "enter")
        assert not [call for call in on.commands.calls if call[0] == "prompt"]


async def test_unsent_text_is_there_when_the_task_is_opened_again() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("i", *"half")
        kept = on.commands.drafts.get(f"session:{SESSION}")
        assert kept is not None and kept.prompt == "half", "kept as it is written"
        await on.press("escape", "escape")
        assert not is_on(on, TaskScreen)
        on.app.open_task(TASK)
        await on.pilot.pause()
        assert on.app.screen.query_one(Composer).text == "half"
        await on.press("i", "enter")
        assert on.commands.calls[-1] == ("prompt", SESSION, "half")
        assert on.commands.drafts.get(f"session:{SESSION}") is None


async def test_each_session_keeps_its_own_unsent_text() -> None:
    async with opened(scenes.sessions_scene()) as on:
        await on.press("i", *"one", "escape", "right_square_bracket", "i", *"two", "escape")
        await on.press("left_square_bracket")
        assert on.app.screen.query_one(Composer).text == "one"
        await on.press("right_square_bracket")
        assert on.app.screen.query_one(Composer).text == "two"


async def test_earlier_prompts_come_back_with_ctrl_up() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("i", *"new", "ctrl+up")
        composer = on.app.screen.query_one(Composer)
        assert composer.text == scenes.PROMPT
        await on.press("ctrl+down")
        assert composer.text == "new"


async def test_stop_new_and_close_session() -> None:
    async with opened(scenes.status_scene(TaskStatus.RUNNING)) as on:
        await on.press("s")
        assert on.commands.calls[-1] == ("stop", SESSION)
        await on.press("t", "enter")
        assert on.commands.calls[-1][:2] == ("add_session", TASK)
        await on.press("w")
        assert "Nothing more can be said in it" in text_of(on) and "Its turn is ended" in text_of(on)
        await on.press("n", "w")
        assert ("close_session", SESSION) not in on.commands.calls
        await on.press("y")
        assert on.commands.calls[-1] == ("close_session", SESSION)


async def test_what_was_held_back_by_a_stop_is_sent_by_the_same_key() -> None:
    async with opened(scenes.queue_scene(held=True)) as on:
        assert "held back" in text_of(on, PromptQueue)
        assert "held back until you say more" in text_of(on, TurnLine)
        await on.press("s")
        assert on.commands.calls[-1] == ("go_on", SESSION)


async def test_a_long_silence_is_told_until_the_next_word() -> None:
    store = scenes.silent_scene()
    async with opened(store) as on:
        assert "no word for 4 min" in text_of(on, TurnLine)
        assert "83 % full" in text_of(on, TaskHeader)
        word = replace(scenes.item(7, TranscriptKind.MESSAGE, "here I am"), at=NOW)
        store.apply(SESSION_TOPIC, EventName.TRANSCRIPT, word, 60)
        screen = on.app.screen
        assert isinstance(screen, TaskScreen)
        screen.on_tick()
        await on.pilot.pause()
        assert "no word" not in text_of(on, TurnLine)


async def test_details_tell_of_an_agent_that_is_away_and_read_memory_when_they_are_opened() -> None:
    async with opened(scenes.unloaded_scene(), size=(100, 36)) as on:
        assert "Ready for the next prompt" in text_of(on, TurnLine)
        taken = AgentMemory(
            task_id=TASK, session_id="another", agent="claude", bytes=312_000_000, measure=Measure.PSS, processes=3
        )
        on.commands.memory_of = {TASK: (taken,)}
        await on.press("D")
        await on.app.workers.wait_for_complete()
        await on.quiet()
        shown = words_of(on)
        assert "since 12m ago; comes back with the next prompt" in shown
        assert "312 MB in 3 processes" in shown


async def test_what_cannot_be_done_says_why() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("s")
        assert "no turn is running" in _notice(on)
        await on.press("right_square_bracket")
        assert "there is no other session" in _notice(on)
        assert not [call for call in on.commands.calls if call[0] == "stop"]


def _notice(on: Stage) -> str:
    return [str(note.message) for note in on.app._notifications][-1]


async def test_tabs_answer_to_the_mouse() -> None:
    async with opened(scenes.sessions_scene()) as on:
        tabs = on.app.screen.query_one(SessionTabs)
        line = text_of(on, SessionTabs)
        await on.pilot.click(SessionTabs, offset=(line.index("review"), 0))
        await on.pilot.pause()
        assert Topic(TopicKind.SESSION, "session-2") in on.commands.held
        await on.pilot.click(SessionTabs, offset=(line.index("History"), 0))
        await on.pilot.pause()
        assert on.app.screen.query_one(HistoryView).display
        assert tabs.region.height == 1


@pytest.mark.parametrize("width", [80, 120])
async def test_no_session_is_cut_while_words_and_labels_can_give_way(width: int) -> None:
    async with opened(scenes.sessions_scene(), size=(width, 36)) as on:
        line = text_of(on, SessionTabs)
        assert " main working " in line and " review " in line and " + " in line and "…" not in line
        assert ("opening" in line, "History" in line) == (width == 80, True)


@pytest.mark.parametrize("width", [60, 120])
async def test_the_session_in_view_is_in_sight_among_very_many(width: int) -> None:
    task = make_detail(1, TaskStatus.IDLE)
    sessions = tuple(
        make_session(1, session_id=f"s{number}", name=f"talk {number:02}", status=SessionStatus.READY)
        for number in range(30)
    )
    store = make_store([], [])
    put_detail(store, replace(task, sessions=sessions, revision=9))
    async with opened(store, size=(width, 30)) as on:
        for number in (1, 2, 3, 29, 28, 15):
            assert isinstance(on.app.screen, TaskScreen)
            on.app.screen.choose_session(f"s{number}")
            await on.flush()
            line = text_of(on, SessionTabs)
            assert f"talk {number:02} " in line
            await on.pilot.click(SessionTabs, offset=(line.index(f"talk {number:02}") + 1, 0))
            await on.pilot.pause()
            assert Topic(TopicKind.SESSION, f"s{number}") in on.commands.held, "a click means the tab that is drawn"


# Permissions.


@pytest.mark.parametrize(("key", "option"), [("1", "allow"), ("2", "always"), ("3", "deny")])
async def test_digits_answer_the_agent(key: str, option: str) -> None:
    async with opened(scenes.permission_scene()) as on:
        await on.press(key)
        assert on.commands.calls[-1] == ("answer", "permission-1", option)


async def test_arrows_and_enter_answer_the_agent() -> None:
    async with opened(scenes.permission_scene()) as on:
        on.app.screen.query_one(PermissionRequest).focus()
        await on.press("right", "right", "left", "enter")
        assert on.commands.calls[-1] == ("answer", "permission-1", "always")


async def test_a_click_answers_the_agent() -> None:
    async with opened(scenes.permission_scene()) as on:
        lines = text_of(on, PermissionRequest).split("\n")
        await on.pilot.click(PermissionRequest, offset=(lines[-1].index("Deny") - 1, len(lines) - 1))
        await on.pilot.pause()
        assert on.commands.calls[-1] == ("answer", "permission-1", "deny")


async def test_an_answered_request_makes_room_and_stays_in_the_transcript() -> None:
    store = scenes.permission_scene()
    async with opened(store) as on:
        answered = scenes.a_permission(state=PermissionState.ANSWERED, answer="allow")
        task = scenes.a_task(TaskStatus.RUNNING, permissions=(answered,), needs_input=0)
        update(store, replace(task, revision=8))
        await on.flush()
        assert not on.app.screen.query_one(PermissionRequest).display
        assert "→ Allow" in text_of(on, Transcript)
        await on.press("1")
        assert not [call for call in on.commands.calls if call[0] == "answer"]


async def test_a_request_of_another_session_names_it() -> None:
    asked = scenes.a_permission(session_id="session-2")
    task = scenes.a_task(TaskStatus.RUNNING, permissions=(asked,), needs_input=1)
    second = replace(task.sessions[0], session_id="session-2", name="review")
    store = scenes.store_with(replace(task, sessions=(*task.sessions, second)), scenes.a_session(SessionStatus.RUNNING))
    async with opened(store) as on:
        assert "in review" in text_of(on, PermissionRequest)


# Views.


async def test_history_tells_events_in_order() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("h")
        shown = text_of(on, HistoryView)
        assert shown.index("task created") < shown.index("name done") < shown.index("sandbox will be tried again")
        assert "in 2.0s" in shown
        await on.press("escape")
        assert on.app.screen.query_one(Transcript).region.height > 5
        assert is_on(on, TaskScreen)


async def test_a_long_history_is_asked_for_from_its_beginning() -> None:
    first = scenes.a_history()[0]
    recent = tuple(replace(first, seq=1000 + number) for number in range(200))
    store = scenes.store_with(scenes.a_task(history=recent), scenes.a_session())
    async with opened(store) as on:
        on.commands.histories[TASK] = tuple(replace(first, seq=number) for number in range(250))
        await on.press("h")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert on.app.screen.query_one(HistoryView).line_count == 250


def a_long_talk() -> Store:
    """A conversation of some hundred lines, most of which are folded."""
    output = "\n".join(f"line {number} of what a command printed" for number in range(30))
    call = {"title": "make test", "kind": "execute", "status": "completed", "content": output}
    said = [scenes.item(0, TranscriptKind.PROMPT, "go")]
    for number in range(1, 24, 2):
        said += [
            scenes.item(number, TranscriptKind.TOOL_CALL, call),
            scenes.item(number + 1, TranscriptKind.MESSAGE, f"That was run {number}. " * 20),
        ]
    said.append(scenes.item(25, TranscriptKind.MESSAGE, "This is the final answer."))
    return scenes.store_with(scenes.a_task(), scenes.a_session(transcript=tuple(said)))


@pytest.mark.parametrize("keys", ["G", "gG", "goG", "goGgG", "ogG", "gooG"])
async def test_the_end_is_the_end_at_once(keys: str) -> None:
    async with opened(a_long_talk()) as on:
        await on.press(*keys)
        assert "This is the final answer." in text_of(on, Transcript)
        assert "below" not in text_of(on, TurnLine)


async def test_scrolled_up_it_counts_the_lines_below() -> None:
    async with opened(a_long_talk()) as on:
        await on.press("k", "k", "k")
        assert "3 lines below: end for the newest" in text_of(on, TurnLine)
        await on.press("pageup", "j")
        page = on.app.screen.query_one(Transcript).size.height - 1
        assert f"{page + 2} lines below" in text_of(on, TurnLine)
        await on.press("G")
        assert "below" not in text_of(on, TurnLine)


async def test_a_task_that_was_deleted_elsewhere_is_that_and_nothing_else() -> None:
    store = scenes.status_scene(TaskStatus.KILLED)
    async with opened(store) as on:
        assert "Killed" in text_of(on, TurnLine)
        for topic in (TASKS, TASK_TOPIC):
            store.apply(topic, EventName.TASK_REMOVED, TaskRemoved(task_id=TASK), 90)
        await on.flush()
        assert "This task was deleted elsewhere" in text_of(on)
        assert "live" in text_of(on, TaskHeader)
        assert not on.app.screen.query_one(TurnLine).display
        on.commands.calls.clear()
        await on.press("x", "r", "i", "a")
        assert is_on(on, TaskScreen)
        assert on.commands.calls == []


async def test_the_stage_log_follows_what_is_printed() -> None:
    store = scenes.status_scene(TaskStatus.CREATE_SANDBOX)
    async with opened(store) as on:
        await on.press("l")
        assert "git worktree add" in text_of(on, StageLog)
        line = LogLine(index=5, stage="create_sandbox", at=0, text="done at last")
        store.apply(LOG_TOPIC, EventName.LOG, line, 70)
        await on.flush()
        assert "done at last" in text_of(on, StageLog)


async def test_the_log_says_that_the_stage_which_failed_printed_nothing() -> None:
    store = scenes.store_with(scenes.a_task(TaskStatus.ERROR), scenes.a_session(), log=scenes.a_log()[:2])
    async with opened(store) as on:
        await on.press("l")
        assert text_of(on, StageLog).rstrip().endswith("The sandbox stage failed and printed nothing.")
        store.apply(LOG_TOPIC, EventName.LOG, replace(scenes.a_log()[2], text="it did after all"), 70)
        await on.flush()
        assert text_of(on, StageLog).rstrip().endswith("it did after all")


async def test_a_name_that_agent_and_provider_share_is_said_once() -> None:
    task = replace(scenes.a_task(), agent="local")
    session = replace(scenes.a_session(), agent="local")
    async with opened(scenes.store_with(task, session)) as on:
        assert text_of(on, TaskHeader).count("local") == 1


@pytest.mark.parametrize(("provider", "count"), [("demo", 1), ("local", 0)])
async def test_a_simulated_task_says_so_beside_its_status(provider: str, count: int) -> None:
    task = replace(scenes.a_task(), provider=provider)
    async with opened(scenes.store_with(task, scenes.a_session()), size=(60, 30)) as on:
        assert text_of(on, TaskHeader).count("simulated") == count


async def test_what_the_empty_composer_says_is_read_whole_in_a_narrow_terminal() -> None:
    async with opened(scenes.store_with(scenes.a_task(), scenes.a_session()), size=(60, 30)) as on:
        composer = on.app.screen.query_one(Composer)
        for said in PLACEHOLDERS.values():
            composer.placeholder = said
            await on.pilot.pause()
            assert said in text_of(on, Composer)


async def test_a_long_line_of_the_log_is_read_whole_at_any_width() -> None:
    store = scenes.status_scene(TaskStatus.CREATE_SANDBOX)
    words = " ".join(f"word{number}" for number in range(60))
    async with opened(store) as on:
        await on.press("l")
        store.apply(LOG_TOPIC, EventName.LOG, LogLine(index=5, stage="create_sandbox", at=0, text=words), 70)
        await on.flush()
        for columns in (120, 60):
            await on.pilot.resize_terminal(columns, 36)
            await on.pilot.pause()
            assert words in words_of(on, StageLog)


async def test_a_turn_that_a_person_stopped_is_not_called_failed() -> None:
    stopped = TaskError(kind=ErrorKind.CANCELLED, message="The turn was stopped.", retryable=False, at=NOW)
    session = scenes.a_session()
    prompts = (replace(session.prompts[0], state=PromptState.FAILED, error=stopped),)
    store = scenes.store_with(scenes.a_task(), replace(session, prompts=prompts))
    async with opened(store) as on:
        await on.press("home")
        assert "■ stopped" in text_of(on, Transcript)
        assert "failed" not in text_of(on, Transcript)


async def test_why_a_prompt_failed_and_a_script_as_a_title_are_folded_until_they_are_wanted() -> None:
    why = "the agent ended. " + "Its last words. " * 30 + "The end of them."
    failed = TaskError(kind=ErrorKind.AGENT, message=why, retryable=True, at=NOW)
    session = scenes.a_session()
    title = "cat > out <<X\n" + "".join(f"line {n}\n" for n in range(300)) + "rm -rf /srv"
    call = scenes.item(1, TranscriptKind.TOOL_CALL, {"title": title, "kind": "execute", "status": "completed"})
    prompts = (replace(session.prompts[0], state=PromptState.FAILED, error=failed),)
    transcript = (session.transcript[0], call)
    store = scenes.store_with(scenes.a_task(), replace(session, prompts=prompts, transcript=transcript))
    async with opened(store) as on:
        shown = words_of(on, Transcript)
        assert "failed: the agent ended." in shown and "them." not in shown
        assert "cat > out <<X execute" in shown and "done" in shown and "more lines" in shown
        assert "rm -rf /srv" not in shown
        await on.press("O", "end")
        assert "rm -rf /srv" in words_of(on, Transcript)
        await on.press("home")
        assert "The end of them." in words_of(on, Transcript).replace("▌ ", "")


@pytest.mark.parametrize(
    ("scene", "done", "said"),
    [
        (scenes.turn_failed_scene, "resend", "The prompt whose turn failed is sent again."),
        (lambda: scenes.status_scene(TaskStatus.ERROR), "retry", "It goes on from its stage sandbox"),
    ],
)
async def test_a_retry_says_what_it_does(scene: Callable[[], Store], done: str, said: str) -> None:
    async with opened(scene()) as on:
        await on.press("r")
        assert said in next(news.message for news in on.app._notifications)
        assert on.commands.calls[-1] == (done, TASK)


async def test_a_task_whose_turn_failed_can_be_made_ready_without_sending_anything() -> None:
    async with opened(scenes.turn_failed_scene()) as on:
        await on.press("R")
        assert "not sent again" in next(news.message for news in on.app._notifications)
        assert on.commands.calls[-1] == ("retry", TASK)


async def test_an_option_that_the_agent_does_not_offer_can_be_left_out() -> None:
    task = scenes.a_task(TaskStatus.ERROR)
    assert task.error is not None
    lacking = replace(task, error=replace(task.error, stage=StageName.CREATE_SESSION, option="effort"))
    async with opened(scenes.store_with(lacking, scenes.a_session(SessionStatus.ERROR))) as on:
        assert "I retry without it" in text_of(on, FailureCard)
        await on.press("I")
        assert on.commands.calls[-1] == ("retry", TASK, "effort")
        assert "without effort" in next(news.message for news in on.app._notifications)


async def test_what_failed_in_a_stage_goes_on_from_it_only() -> None:
    async with opened(scenes.status_scene(TaskStatus.ERROR)) as on:
        await on.press("R", "I")
        assert not any(call[0] in ("retry", "resend") for call in on.commands.calls)


async def test_the_footer_names_the_answers_of_a_question() -> None:
    async with opened(scenes.permission_scene()) as on:
        assert "1 Allow  2 Always allow  3 Deny" in text_of(on, ActionBar)


async def test_details_and_copying() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE), size=(100, 30)) as on:
        await on.press("D")
        shown = text_of(on)
        assert "/home/ada/.foundry/shop/1" in shown
        await on.press("p")
        assert on.app.clipboard == "/home/ada/.foundry/shop/1"
        await on.press("y")
        assert on.app.clipboard == "fix/login-redirect-1"
        await on.press("Y")
        assert on.app.clipboard == TASK


async def test_a_click_on_a_fact_copies_it() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("D")
        await on.pilot.click(Details, offset=(14, 1))
        await on.pilot.pause()
        assert on.app.clipboard == "fix/login-redirect-1"


# What is done to the task.


@pytest.mark.parametrize("key", ["enter", "ctrl+s"])
async def test_the_title_is_edited_in_place(key: str) -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("f2", "end", *"!!", key)
        assert on.commands.calls[-1] == ("rename", TASK, "Fix the login redirect of page 1!!")
        await on.press("f2", *"xx", "escape")
        assert not on.app.screen.query(Input)
        assert is_on(on, TaskScreen)
        assert [call[0] for call in on.commands.calls].count("rename") == 1


async def test_retry_of_a_failed_task() -> None:
    async with opened(scenes.status_scene(TaskStatus.ERROR)) as on:
        await on.press("r")
        assert ("retry", TASK) in on.commands.calls


async def test_a_refused_creation_is_retried_edited_or_discarded() -> None:
    store = scenes.refused_scene()
    async with opened(store) as on:
        await on.press("r")
        assert ("retry_creation", TASK) in on.commands.calls
        await on.press("e")
        dialog = on.app.screen
        assert isinstance(dialog, NewTaskScreen)
        assert dialog.values["prompt"] == scenes.PROMPT
        assert "a branch called fix/login exists already" in text_of(on)
        await on.press("escape", "x")
        assert ("discard_creation", TASK) in on.commands.calls


@pytest.mark.parametrize("keys", [("e", "ctrl+s", "escape"), ("e", "ctrl+t", "ctrl+s", "escape"), ("x",)])
async def test_one_never_comes_back_to_a_creation_that_is_discarded(
    keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scenes.refused_scene()
    async with opened(store) as on:
        monkeypatch.setattr(on.commands, "discard_creation", store.discard_creation)
        for key in keys:
            await on.press(key)
            if isinstance(on.app.screen, NewTaskScreen):
                on.app.screen.query_one("#branch", Input).value = "fix/another"
                on.app.screen.query_one("#agent", Input).value = ""
                on.app.screen.query_one("#repo", Input).value = "/src/shop"
            await on.flush()
        assert is_on(on, TasksScreen)
        assert TASK not in store.tasks


async def test_killing_asks_first_and_names_what_is_lost() -> None:
    async with opened(scenes.status_scene(TaskStatus.RUNNING)) as on:
        await on.press("x")
        assert is_on(on, ConfirmScreen)
        assert "sandbox is destroyed" in text_of(on)
        await on.press("n")
        assert is_on(on, TaskScreen)
        assert not [call for call in on.commands.calls if call[0] == "kill"]
        await on.press("x", "y")
        assert on.commands.calls[-1] == ("kill", TASK, False, False)


async def test_a_kill_offers_the_branch_that_has_no_commit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0)
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.commands.diffs[TASK] = Diff(files=(), computed_at=1, commits=0)
        await on.press("x")
        await on.quiet()
        assert "has no commit of its own" in text_of(on) and "Kill with branch" in text_of(on)
        await on.press("b")
        assert on.commands.calls[-1] == ("kill", TASK, False, True)
        refuse_kill(on)
        await on.pilot.pause()
        await on.press("y")
        assert on.commands.calls[-1] == ("kill", TASK, True, True), "what was asked for stands"


async def test_a_branch_with_commits_is_not_offered() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.commands.diffs[TASK] = Diff(files=(), computed_at=1, commits=1)
        await on.press("x")
        await on.quiet()
        assert "Kill with branch" not in text_of(on)
        await on.press("b")
        assert not [call for call in on.commands.calls if call[0] == "kill"]
        assert is_on(on, ConfirmScreen)


LOST = ("2 uncommitted files: a.py, b.py", "1 unpushed commit")


def refuse_kill(on: Stage, action: str = "kill") -> None:
    """The backend refuses to kill the task, or to archive it, since work would be lost."""
    problem = Problem(status=409, title="Conflict", detail="Work would be lost.", would_lose=LOST)
    on.commands.fail(CommandProblem(action=action, message="Work would be lost.", task_id=TASK, problem=problem))


async def test_a_kill_that_would_lose_work_names_it_and_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0)
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        refuse_kill(on)
        await on.pilot.pause()
        shown = text_of(on)
        assert all(loss in shown for loss in LOST)
        await on.press("enter")
        assert not [call for call in on.commands.calls if call[0] == "kill"]
        refuse_kill(on)
        await on.pilot.pause()
        await on.press("y")
        assert on.commands.calls[-1] == ("kill", TASK, True, False)


async def test_a_question_that_waited_long_is_asked_with_what_would_be_lost_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0)
    monkeypatch.setattr(confirmations, "TRUE_SECONDS", 0)
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        refuse_kill(on)
        await on.pilot.pause()
        assert on.commands.calls[-1] == ("kill", TASK, False, False), "it is asked of the backend anew"
        assert is_on(on, TaskScreen)


async def test_a_task_that_ended_meanwhile_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0)
    async with opened(scenes.status_scene(TaskStatus.KILLED)) as on:
        refuse_kill(on)
        await on.pilot.pause()
        assert is_on(on, TaskScreen)
        assert not [call for call in on.commands.calls if call[0] == "kill"]


async def test_what_is_typed_when_a_question_comes_by_itself_is_no_answer_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        monkeypatch.setattr(confirmations, "QUIET_SECONDS", 60)
        await on.press("y")
        refuse_kill(on)
        await on.press("y")
        assert is_on(on, TaskScreen)
        assert not [call for call in on.commands.calls if call[0] == "kill"]


async def test_a_question_that_comes_by_itself_waits_until_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0.05)
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("i", *"try")
        refuse_kill(on)
        refuse_kill(on, "archive")
        await on.press("y")
        assert on.app.screen.query_one(Composer).text == "tryy"
        assert "Work would be lost" in str(next(iter(on.app._notifications)).message)
        await on.press("escape")
        for _ in range(2):
            await on.opens(ConfirmScreen)
            await on.press("n")
        assert is_on(on, TaskScreen)
        assert not [call for call in on.commands.calls if call[0] == "kill"]


async def test_new_task_opens_over_a_task() -> None:
    async with opened(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("n")
        assert is_on(on, NewTaskScreen)


@pytest.mark.parametrize("size", [(60, 24), (100, 30), (160, 48)])
async def test_no_layout_leaves_the_screen(size: tuple[int, int]) -> None:
    async with opened(scenes.permission_scene(), size=size) as on:
        for widget in on.app.screen.query("*"):
            if widget.region.area:
                assert widget.region.right <= size[0]
                assert widget.region.bottom <= size[1]
        assert on.app.screen.query_one(Transcript).region.height >= 3


async def test_a_session_asked_for_by_hand_is_shown_when_it_is_known() -> None:
    store = scenes.status_scene(TaskStatus.IDLE)
    async with opened(store) as on:
        await on.press("t", "enter")
        asked = on.commands.next_id - 1
        task = scenes.a_task(TaskStatus.IDLE)
        made = replace(task.sessions[0], session_id=task_id(asked), name="second", status=SessionStatus.PENDING_CREATE)
        update(store, replace(task, sessions=(*task.sessions, made), revision=7))
        await on.flush()
        assert Topic(TopicKind.SESSION, task_id(asked)) in on.commands.held


def test_a_request_is_the_same_whatever_its_ids() -> None:
    one = CreateTask(repo="/a", prompt="b", task_id="1")
    assert is_same_request(one, CreateTask(repo="/a", prompt="b", task_id="2"))
    assert not is_same_request(one, CreateTask(repo="/a", prompt="c", task_id="1"))


async def test_without_a_sandbox_nothing_is_looked_for() -> None:
    async with opened(scenes.status_scene(TaskStatus.QUEUED)) as on:
        await on.press("d")
        assert "There is no sandbox yet, so nothing was changed." in text_of(on, ChangesView)
        assert on.commands.looked_at == []


async def test_the_agent_is_begun_anew_at_once_unless_that_ends_a_turn() -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.app.action_act("restart_agent")
        assert on.commands.calls[-1] == ("restart_agent", TASK)
    async with stage(scenes.status_scene(TaskStatus.RUNNING)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.app.action_act("restart_agent")
        await on.quiet()
        assert "that runs in “" in text_of(on) and "is ended" in text_of(on)
        assert not any(call[0] == "restart_agent" for call in on.commands.calls)
        await on.press("y")
        assert on.commands.calls[-1] == ("restart_agent", TASK)
    async with stage(scenes.status_scene(TaskStatus.CREATE_SANDBOX)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.app.action_act("restart_agent")
        assert [note.message for note in on.app._notifications][-1] == "Not now: its agent has not begun yet."
