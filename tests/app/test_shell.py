"""The shell: one table of actions behind keys, footer, help and palette; themes; notifications; diagnostics."""

import re
import subprocess
import sys
from collections import Counter

import pytest
from msgspec.structs import replace
from textual.command import CommandPalette
from textual.events import AppBlur
from textual.widgets import DataTable, OptionList, Static

from foundry_tui.actions import table as actions
from foundry_tui.actions.context import (
    APP,
    CHANGES_SEARCH,
    CHANGES_SINCE,
    CHECKPOINTS,
    COMMENT,
    COMPOSER,
    CONFIRM,
    DIAGNOSTICS,
    FILTER,
    FORM,
    HELP,
    INSTALL,
    KILL,
    NEW_SESSION,
    NEW_TASK,
    OPTIONS,
    PROMPT,
    RENAME,
    SEARCH,
    TASK,
    TASKS,
    TITLE,
    WAY_HOME,
    WORK,
    Context,
)
from foundry_tui.app import textual_compat, themes
from foundry_tui.app.app import FoundryApp
from foundry_tui.app.first_run import FirstRun
from foundry_tui.app.next_ask import NextAsk
from foundry_tui.app.options import Options
from foundry_tui.app.task_actions import TaskActions
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.statistics import ConnectionEvent, Diagnostics, Latency, RefreshReason, TopicDiagnostics
from foundry_tui.contract.records import TaskSummary, summary_of
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.screens.checkpoints import CheckpointsScreen
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.screens.diagnostics import DiagnosticsScreen
from foundry_tui.screens.form import FormScreen
from foundry_tui.screens.help import HelpScreen
from foundry_tui.screens.install_agent import InstallAgentScreen
from foundry_tui.screens.kill import KillScreen
from foundry_tui.screens.new_session import NewSessionScreen
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.rename import RenameScreen
from foundry_tui.screens.session_options import SessionOptionsScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.screens.way_home import WayHomeScreen
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesSearch, CommentEditor
from foundry_tui.widgets.choices import ChoiceList
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.prompt_field import PromptField
from foundry_tui.widgets.since_chooser import SinceChooser
from foundry_tui.widgets.task_header import TitleInput
from foundry_tui.widgets.task_list import TaskList
from foundry_tui.widgets.work import WorkColumn
from tests.app.factories import NOW, make_detail, make_task, task_id
from tests.app.harness import LIVE, Stage, make_store, put, put_detail, stage
from tests.app.list_scenes import store_of_every_state

pytestmark = pytest.mark.anyio

SCREENS = {
    TASKS: TasksScreen,
    TASK: TaskScreen,
    NEW_TASK: NewTaskScreen,
    NEW_SESSION: NewSessionScreen,
    OPTIONS: SessionOptionsScreen,
    CHECKPOINTS: CheckpointsScreen,
    WAY_HOME: WayHomeScreen,
    FORM: FormScreen,
    INSTALL: InstallAgentScreen,
    CONFIRM: ConfirmScreen,
    KILL: KillScreen,
    RENAME: RenameScreen,
    HELP: HelpScreen,
    DIAGNOSTICS: DiagnosticsScreen,
    COMPOSER: Composer,
    PROMPT: PromptField,
    CHANGES_SEARCH: ChangesSearch,
    CHANGES_SINCE: SinceChooser,
    COMMENT: CommentEditor,
    FILTER: TasksScreen,
    SEARCH: TaskScreen,
    WORK: WorkColumn,
    TITLE: TitleInput,
    APP: FoundryApp,
}


def quiet(**changes: object) -> Options:
    fields: dict[str, object] = {"bell": False, "terminal_notifications": False, **changes}
    return Options(**fields)  # type: ignore[arg-type]


def top(s: Stage) -> object:
    """The screen on top."""
    return s.app.screen


def messages(s: Stage) -> list[str]:
    return [notification.message for notification in s.app._notifications]


# The table.


def test_every_action_is_done_by_its_screen_or_the_app() -> None:
    for action in actions.ACTIONS:
        for screen in action.screens:
            owner = SCREENS[screen]
            parts = owner.PARTS if issubclass(owner, FoundryScreen) else ()
            done = any(
                hasattr(each, f"action_{action.id}")
                for each in (owner, *parts, TaskActions, NextAsk, FirstRun, FoundryApp)
            )
            assert done, f"{action.id} on {screen}"


def test_ids_are_unique_and_words_are_there() -> None:
    counts = Counter(action.id for action in actions.ACTIONS)
    assert [id_ for id_, count in counts.items() if count > 1] == []
    for action in actions.ACTIONS:
        assert action.label and action.group and action.screens, action.id
        assert action.help.endswith((".", "?")), action.id
        assert action.keys or action.palette, f"{action.id} can be reached by nothing"


def _contexts(screen: str) -> list[Context]:
    tasks: list[TaskSummary | None] = [None, *(make_task(1, status) for status in TaskStatus)]
    return [
        Context(screen=screen, task=task, selecting=selecting, refused=refused, undoable=undoable, filtered=filtered)
        for task in tasks
        for selecting in (False, True)
        for refused in (False, True)
        for undoable in (False, True)
        for filtered in (False, True)
    ]


@pytest.mark.parametrize("screen", [TASKS, TASK, HELP, DIAGNOSTICS])
def test_no_key_means_two_things_at_once(screen: str) -> None:
    dialog = screen == HELP
    for context in _contexts(screen):
        keys = Counter(key for action in actions.live(context, dialog=dialog) for key in action.keys.split(",") if key)
        assert [key for key, count in keys.items() if count > 1] == [], context


ALIKE = {
    *("answer pick_code", "comment toggle_unread", "end_changes_search unmark_lines", "fold_file open_page fold"),
    *(
        "fold_files fold_all",
        "fold_here write",
        "go_on stop",
        "half_page question",
        "kill prune discard",
        "leave_tour back",
    ),
    "leave_search close",
    *("next_file next_session", "next_hunk find_next", "peek mark", "previous_choice recall"),
    *("previous_file previous_session", "previous_hunk find_previous", "question half_screen"),
    *("search_changes search", "send_at_once steer send", "take_choice send"),
}
"""What shares a key on one screen: of each of these one applies, or the first stands where the second would be less."""


def test_a_key_is_shared_on_a_screen_only_by_what_is_alike() -> None:
    for screen in sorted({screen for action in actions.ACTIONS for screen in action.screens}):
        sharing: dict[str, list[str]] = {}
        for action in actions.on_screen(screen):
            for key in actions.keys_of(action, {}):
                sharing.setdefault(key, []).append(re.sub(r"_(down|up|\d)$", "", action.id))
        for key, ids in sharing.items():
            assert len(ids) == 1 or " ".join(ids) in ALIKE, f"{key} on {screen}: {ids}"


KEPT_EVERYWHERE = {
    "H": "way_home",
    "a": "archive",
    "R": "make_ready",
    "r": "retry",
    "e": "edit_again",
    "y": "copy_branch",
}
"""Keys that mean one thing on every screen that has them."""


def test_keys_of_a_task_mean_the_same_wherever_it_is() -> None:
    for screen in (TASKS, TASK):
        for key, meant in KEPT_EVERYWHERE.items():
            assert {action.id for action in actions.on_screen(screen) if key in actions.keys_of(action, {})} == {meant}


def test_every_reason_is_a_sentence_without_its_full_stop() -> None:
    for context in _contexts(TASKS):
        for action in actions.live(context):
            why = action.why_not(context)
            assert why is None or (why and not why.endswith(".")), action.id


async def test_keys_can_be_rebound_everywhere_at_once() -> None:
    options = quiet(keymap={"group": "z", "new_task": "ctrl+n"})
    async with stage(make_store([make_task(1)]), size=(160, 36), options=options) as s:
        assert "z group" in s.app.screen.query_one(ActionBar).render().plain
        await s.press("b")
        assert "Ready" in s.app.screen.query_one(TaskList).render_line(0).text
        await s.press("z")
        assert "shop" in s.app.screen.query_one(TaskList).render_line(0).text
        await s.press("question_mark")
        assert "  z  Group by" in str(s.app.screen.query_one("#help-text", Static).render())


# Help and palette.


async def test_help_lists_every_live_key_and_says_what_cannot_be_done_and_why() -> None:
    async with stage(make_store([make_task(1)]), size=(110, 60)) as s:
        live = [action for action in s.app.actions_of(s.app.screen) if action.keys]
        await s.press("question_mark")
        page = " ".join(str(s.app.screen.query_one("#help-text", Static).render()).split())
        for action in live:
            assert action.help in page, action.id
        assert "Not now: this task has not failed." in page
        await s.press("escape")
        assert isinstance(s.app.screen, TasksScreen)


async def test_the_palette_offers_actions_and_jumps_to_any_task() -> None:
    async with stage(make_store(make_task(number, title=f"Mend gate {number}") for number in range(50))) as s:
        await s.press("ctrl+p")
        assert isinstance(s.app.screen, CommandPalette)
        await s.press(*"gate 37")
        await s.found()
        await s.press("enter")
        assert isinstance(s.app.screen, TaskScreen)
        assert s.app.screen.shows_task(task_id(37))


@pytest.mark.parametrize("said", ["asks", "waits", "needs"])
async def test_the_palette_finds_the_task_that_waits_from_anywhere(said: str) -> None:
    tasks = [make_task(number, TaskStatus.RUNNING, title=f"Ask for tasks {number}") for number in range(1, 9)]
    store = make_store([*tasks, make_task(9, TaskStatus.RUNNING, title="Keys", needs_input=1)])
    async with stage(store) as s:
        s.app.open_task(task_id(1))
        await s.pilot.pause()
        await s.press("ctrl+p", *said)
        await s.found()
        assert "asks you" in str(s.app.screen.query_one(OptionList).get_option_at_index(0).prompt)
        await s.press("enter")
        await s.pilot.pause()
        assert isinstance(s.app.screen, TaskScreen) and s.app.screen.shows_task(task_id(9))


async def test_the_palette_runs_actions_on_the_screen_below() -> None:
    async with stage(make_store([make_task(1)])) as s:
        await s.press("colon", *"group by")
        await s.found()
        options = s.app.screen.query_one(OptionList)
        assert options.option_count >= 1
        await s.press("enter")
        await s.pilot.pause()
        assert "shop" in s.app.screen_stack[0].query_one(TaskList).render_line(0).text


async def test_the_palette_over_a_dialog_offers_what_can_be_done_there_and_leads_to_no_task() -> None:
    async with stage(make_store([make_task(1, title="Mend gate")])) as s:
        await s.press("n", "ctrl+p", *"options")
        await s.found()
        assert "Options" in str(s.app.screen.query_one(OptionList).get_option_at_index(0).prompt)
        await s.press("ctrl+u", *"mend gate")
        await s.found()
        assert "Mend gate" not in str([option.prompt for option in s.app.screen.query_one(OptionList).options])


# Screens.


async def test_enter_opens_the_task_and_esc_leads_back() -> None:
    async with stage(make_store([make_task(1)])) as s:
        put_detail(s.store, make_detail(1))
        await s.flush()
        await s.press("enter")
        assert isinstance(top(s), TaskScreen)
        await s.press("escape")
        assert isinstance(top(s), TasksScreen)
        await s.press("escape")
        assert s.app.is_running


async def test_n_opens_the_dialog_over_any_screen() -> None:
    async with stage(make_store([make_task(1)])) as s:
        await s.press("n")
        assert isinstance(s.app.screen, NewTaskScreen)


async def test_edit_and_create_again_opens_the_dialog_with_all_that_was_asked_for() -> None:
    whole = make_detail(1, prompt="mend the gate " * 40, asked_options={"mode": "plan"}, base_branch="next")
    async with stage(make_store([summary_of(whole)]), size=(80, 24)) as s:
        await s.press("e")
        await s.found()
        assert isinstance(top(s), TasksScreen)
        assert [each.message for each in s.app._notifications] == [
            "Its whole prompt cannot be read now: nobody answers"
        ]
        s.commands.details[whole.task_id] = whole
        await s.press("e")
        await s.found()
        dialog = s.app.screen
        assert isinstance(dialog, NewTaskScreen)
        written = {name: dialog.values[name] for name in ("prompt", "mode", "base_branch")}
        assert written == {"prompt": whole.prompt, "mode": "plan", "base_branch": "next"}


async def test_diagnostics_show_topics_and_the_connection_log() -> None:
    report = Diagnostics(
        at=NOW,
        freshness=LIVE,
        topics=(
            TopicDiagnostics(
                topic="tasks",
                listeners=1,
                link="open",
                freshness=LIVE,
                last_refresh=RefreshReason.EVENT,
                refreshed_at=NOW - 2_000,
                connections=3,
                reconnects=2,
                events_applied=1_234,
                dropped_stale=5,
                bytes=40_960,
                latency=Latency(last=12, p50=11, p99=48, count=9),
            ),
        ),
        log=(ConnectionEvent(at=NOW, topic="tasks", kind="connected", detail="resumed"),),
        tasks=7,
        creations=1,
        flushes=33,
        unsettled_commands=2,
    )
    async with stage(make_store([make_task(1)])) as s:
        s.app.diagnostics = lambda: report
        await s.press("f12")
        assert isinstance(s.app.screen, DiagnosticsScreen)
        table = s.app.screen.query_one(DataTable)
        assert [str(cell) for cell in table.get_row_at(0)] == [
            "tasks",
            "1",
            "live",
            "2s ago, event",
            "2 of 3",
            "1,234",
            "5",
            "41 kB",
            "11 / 48 ms",
        ]
        await s.pilot.resize_terminal(60, 30)
        await s.press("right")
        assert table.scroll_x > 0
        s.app.diagnostics = lambda: replace(report, at=NOW + 1_000)
        s.app.screen.on_tick()
        await s.pilot.pause()
        assert str(table.get_row_at(0)[3]) == "3s ago, event"
        assert table.scroll_x > 0, "what is looked at stays where it is"
        await s.press("left")
        assert table.scroll_x == 0
        assert "connected" in str(s.app.screen.query_one("#log-lines", Static).render())
        assert "2 commands" in str(s.app.screen.query_one("#figures", Static).render())
        await s.press("f12")
        assert isinstance(s.app.screen, TasksScreen)


# Themes.


async def test_the_theme_changes_with_one_key() -> None:
    async with stage(make_store([make_task(1)])) as s:
        assert s.app.theme == themes.DARK.name
        await s.press("T")
        assert s.app.theme == themes.LIGHT.name
        await s.press("T")
        assert s.app.theme == themes.DARK.name


@pytest.mark.parametrize("theme", ["foundry-light", "nord", "textual-light", "ansi-dark", "ansi-light", "dracula"])
async def test_other_themes_draw_the_list(theme: str) -> None:
    async with stage(make_store([make_task(1, TaskStatus.ERROR)]), options=quiet(theme=theme)) as s:
        assert s.app.theme == theme
        assert "no room left" in s.app.screen.query_one(TaskList).render_line(1).text


async def test_an_unknown_theme_falls_back_to_ours() -> None:
    async with stage(make_store([]), options=quiet(theme="no-such-theme")) as s:
        assert s.app.theme == themes.DEFAULT


async def test_no_colour_terminals_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(make_store([make_task(1, TaskStatus.ERROR)])) as s:
        assert s.app.no_color
        picture = s.app.export_screenshot()
        # The last one is the picture's own ground: the letters of the cursor's row, which is reversed.
        assert set(re.findall(r"fill: (#[0-9a-f]{6})", picture)) <= {"#c5c8c6", "#121212", "#e0e0e0", "#292929"}
        strip = s.app.screen.query_one(TaskList).render_line(1)
        assert strip.text.startswith("▌") and "✗" in strip.text and "no room left" in strip.text


@pytest.mark.parametrize("keys", [("ctrl+p", "down", "down"), ("n", "shift+tab", "ctrl+u", "down")])
@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "NO_COLOR"])
async def test_the_highlighted_choice_is_told_without_a_background(
    theme: str, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if theme == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    async with stage(store_of_every_state(), options=quiet(theme=theme)) as s:
        await s.press(*keys)
        lists = (*s.app.screen.query(OptionList), *s.app.screen.query(ChoiceList))
        choices = next(each for each in lists if each.display and each.highlighted is not None)
        told = {
            line: any(
                part.style is not None and (part.style.underline or part.style.reverse)
                for part in choices.render_line(line)
            )
            for line in range(choices.size.height)
        }
        assert any(told.values()) and not all(told.values())


# Notifications.


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the app wrote to the terminal beside its picture; `bell` for a ring."""
    seen: list[str] = []
    monkeypatch.setattr(textual_compat, "write_to_terminal", lambda _, sequence: seen.append(sequence))
    monkeypatch.setattr(FoundryApp, "bell", lambda _: seen.append("bell"))
    return seen


def _fail(s: Stage) -> None:
    put(s.store, make_task(2, TaskStatus.ERROR, title="Other"))


async def test_a_task_out_of_view_that_fails_is_told(written: list[str]) -> None:
    store = make_store([make_task(1), make_task(2, TaskStatus.CREATE_SANDBOX, title="Other")])
    async with stage(store, options=Options()) as s:
        s.app.open_task(task_id(1))
        await s.pilot.pause()
        _fail(s)
        await s.flush()
        assert messages(s) == ["Other: sandbox failed: no room left on the machine"]
        assert written[0] == "bell" and "Other: sandbox failed" in written[1]


async def test_a_task_in_view_is_not_told_unless_one_looks_elsewhere(written: list[str]) -> None:
    store = make_store([make_task(1), make_task(2, TaskStatus.CREATE_SANDBOX, title="Other")])
    async with stage(store, options=Options()) as s:
        put(s.store, make_task(1, TaskStatus.RUNNING, needs_input=1))
        await s.flush()
        assert messages(s) == [] and written == []
        s.app.post_message(AppBlur())
        await s.pilot.pause()
        _fail(s)
        await s.flush()
        assert messages(s) == []
        assert written[0] == "bell"


async def test_notifications_can_be_turned_off(written: list[str]) -> None:
    store = make_store([make_task(1), make_task(2, TaskStatus.CREATE_SANDBOX, title="Other")])
    async with stage(store, options=quiet(notifications=False)) as s:
        s.app.open_task(task_id(1))
        await s.pilot.pause()
        _fail(s)
        await s.flush()
        assert messages(s) == [] and written == []


async def test_what_stood_in_the_list_at_the_start_is_not_told(written: list[str]) -> None:
    from foundry_tui.client.store import Store
    from foundry_tui.contract.events import TASKS as LIST
    from foundry_tui.contract.events import EventName
    from foundry_tui.contract.requests import TasksSnapshot

    store = Store(now_ms=lambda: NOW)
    async with stage(store, options=Options()) as s:
        store.open(LIST)
        snapshot = TasksSnapshot(seq=1, repos=(), tasks=(make_task(1, TaskStatus.ERROR),))
        store.apply(LIST, EventName.SNAPSHOT, snapshot, 1)
        store.set_freshness(LIST, Freshness(FreshnessState.LIVE, NOW))
        await s.flush()
        assert messages(s) == [] and written == []


async def test_problems_of_commands_are_told() -> None:
    from foundry_tui.client.commands import CommandProblem

    async with stage(make_store([make_task(1)])) as s:
        s.commands.fail(CommandProblem(action="add_session", message="the task has [ended]", task_id=task_id(1)))
        await s.pilot.pause()
        assert messages(s) == ["the task has [ended]"]


# Start.


def test_the_first_screen_imports_no_network_and_no_other_screen() -> None:
    script = "import sys, foundry_tui.app.app; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    for module in (
        "httpx",
        "httpx_sse",
        "anyio",
        "rapidfuzz",
        "textual.widgets._markdown",
        "rich.markdown",
        "pygments",
    ):
        assert module not in loaded, module
    ours = {name for name in loaded if name.startswith("foundry_tui.screens.")}
    assert ours == {f"foundry_tui.screens.{name}" for name in ("base", "list_preview", "offline_banner", "tasks")}
