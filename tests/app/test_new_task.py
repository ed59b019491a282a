"""The new-task dialog: every key, what it says beside its fields, and that nothing is waited for."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual._compositor import LayoutUpdate
from textual.content import Content
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Input, Static, TextArea

from foundry_tui.app.options import Options
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.problems import FieldError, Problem
from foundry_tui.contract.records import Repo
from foundry_tui.contract.requests import CreateTask, TasksSnapshot
from foundry_tui.contract.starts import StartFrom
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.editor import EditorError, edit
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.repository_check import folders_below, judge
from foundry_tui.screens.task import TaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.view.new_task import FIELDS, Remark, remarks_of
from foundry_tui.view.starts import read_start, written_start
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.completion import Completion
from foundry_tui.widgets.transcript import Transcript
from tests.app.factories import make_repo, make_task, task_id
from tests.app.harness import LIVE, Stage, make_store, stage
from tests.app.looking import text_of, words_of

pytestmark = pytest.mark.anyio


def a_store(*repos: Repo) -> Store:
    """A store that knows two repositories and one task."""
    store = Store()
    known = repos or (make_repo("shop", latest_activity=1), make_repo("docs", latest_activity=9))
    tasks = (make_task(1, TaskStatus.IDLE, branch="fix/taken"),)
    store.open(TASKS)
    store.apply(TASKS, EventName.SNAPSHOT, TasksSnapshot(seq=1, repos=known, tasks=tasks), 1)
    store.set_freshness(TASKS, LIVE)
    return store


@asynccontextmanager
async def dialog(
    store: Store | None = None,
    *,
    repo: str | None = "/src/shop",
    size: tuple[int, int] = (100, 34),
    agents: tuple[str, ...] = (),
    every_frame: bool = False,
) -> AsyncIterator[Stage]:
    """The app with the dialog open; `agents` are those of the config."""
    options = Options(bell=False, terminal_notifications=False, repo=repo, agents=agents)
    async with stage(store or a_store(), size=size, options=options, every_frame=every_frame) as on:
        await on.press("n")
        yield on


def the_dialog(on: Stage) -> NewTaskScreen:
    screen = on.app.screen
    assert isinstance(screen, NewTaskScreen)
    return screen


def put(on: Stage, field: str, value: str) -> None:
    """Set a field of the dialog."""
    the_dialog(on).query_one(f"#{field}", Input).value = value


# Creating.


@pytest.mark.parametrize("key", ["ctrl+s", "ctrl+enter"])
async def test_creating_shows_the_task_with_nothing_awaited(key: str) -> None:
    async with dialog() as on:
        await on.press(*"fix it", key)
        assert isinstance(on.app.screen, TaskScreen)
        assert on.commands.created == [CreateTask(repo="/src/shop", prompt="fix it")]
        assert [type(screen) for screen in on.app.screen_stack] == [TasksScreen, TaskScreen]


@pytest.mark.parametrize("key", ["ctrl+s", "ctrl+enter"])
async def test_what_was_typed_before_it_is_created_belongs_to_it_however_fast(key: str) -> None:
    async with dialog() as on:
        # All at once, as a paste, a script or a slow machine has it.
        for letter in "fix it":
            on.app.post_message(events.Key("space" if letter == " " else letter, letter))
        on.app.post_message(events.Key(key, None))
        await on.pilot.pause()
        assert [request.prompt for request in on.commands.created] == ["fix it"]


async def test_dialog_and_task_change_places_within_one_frame() -> None:
    async with dialog() as on:
        screen = the_dialog(on)
        screen.query_one(TextArea).load_text("fix it")
        # Nothing is awaited between these two lines, so that nothing can be drawn between them.
        screen.action_create()
        assert isinstance(on.app.screen, TaskScreen)
        await on.pilot.pause()
        assert isinstance(on.app.screen, TaskScreen)


async def test_the_first_frame_of_the_task_is_the_whole_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    store = a_store()
    async with dialog(store, every_frame=True) as on:
        store.create(CreateTask(task_id=task_id(9_001), session_id="s", repo="/src/shop", prompt="fix it"))
        frames: list[tuple[object, str]] = []

        def display(screen: Screen[None], renderable: object) -> None:
            if isinstance(screen, TaskScreen) and renderable is not None:
                frames.append((renderable, text_of(on)))

        monkeypatch.setattr(on.app, "_display", display)
        await on.press(*"fix it", "ctrl+s")
        first, text = frames[0]
        assert isinstance(first, LayoutUpdate)
        assert "fix it" in text
        assert text == text_of(on)


async def test_a_task_drawn_ahead_fits_a_terminal_that_was_resized_meanwhile() -> None:
    async with dialog() as on:
        await on.pilot.resize_terminal(70, 30)
        await on.press(*"fix it", "ctrl+s")
        screen = on.app.screen
        assert isinstance(screen, TaskScreen)
        assert screen.size == (70, 30)
        assert screen.has_class("-narrow")
        assert not screen.has_class("-wide")


async def test_nothing_is_asked_about_the_task_that_stands_in() -> None:
    async with dialog() as on:
        held = list(on.commands.held)
        await on.press(*"fix it")
        assert on.commands.held == held
        await on.press("escape")
        assert on.commands.held == held


async def test_the_task_screen_shows_the_prompt_before_the_backend_has_answered() -> None:
    store = a_store()
    async with dialog(store) as on:
        # The id is the one that the next create will be answered with.
        store.create(CreateTask(task_id=task_id(9_001), session_id="s", repo="/src/shop", prompt="fix it"))
        await on.press(*"fix it", "ctrl+s")
        assert "fix it" in text_of(on, Transcript)
        assert "sending" in text_of(on)


async def test_all_fields_are_sent() -> None:
    async with dialog() as on:
        await on.press(*"fix it", "ctrl+o")
        for name in ("title", "branch", "base_branch", "agent", "provider"):
            put(on, name, "local" if name == "provider" else f"a-{name}")
        await on.press("ctrl+s")
        assert on.commands.created == [
            CreateTask(
                repo="/src/shop",
                prompt="fix it",
                title="a-title",
                branch="a-branch",
                base_branch="a-base_branch",
                agent="a-agent",
                provider="local",
            )
        ]


async def test_agents_and_providers_are_offered_and_the_default_is_named() -> None:
    async with dialog() as on:
        await on.press("ctrl+o")
        assert "the default: demo (or local)" in text_of(on)
        the_dialog(on).query_one("#provider").focus()
        await on.press("down")
        await on.press("down", "enter")
        assert the_dialog(on).values["provider"] == "local"
        assert "sandbox-agent is not installed" in text_of(on)
        the_dialog(on).query_one("#agent").focus()
        await on.press("down")
        assert "opencode" in text_of(on)


async def test_what_the_backend_knows_of_agents_is_said_while_typing() -> None:
    async with dialog() as on:
        await on.press("escape")
        on.commands.providers = {"local": "ready", "demo": "ready"}
        how = "foundry agent install codex"
        on.commands.agents_told = (
            AgentInfo(name="codex", provider="local", state=AgentState.MISSING, how=how),
            AgentInfo(name="claude", provider="local", state=AgentState.NEEDS_LOGIN, how="foundry agent login claude"),
            AgentInfo(name="opencode", provider="local", state=AgentState.READY, how=""),
            AgentInfo(name="demo", provider="demo", state=AgentState.READY, how=""),
        )
        await on.press("n", "ctrl+o")
        for agent, said in (
            ("codex", "✗ not installed: foundry agent install codex"),
            ("claude", "it wants a login: foundry agent login claude"),
            ("nonsense", "✗ there is no such agent; there is codex, claude, opencode"),
        ):
            put(on, "agent", agent)
            await on.pilot.pause()
            assert said in text_of(on)
        put(on, "agent", "")
        the_dialog(on).query_one("#agent").focus()
        await on.press("down")
        shown = text_of(on)
        assert shown.index("opencode") < shown.index("codex"), "what is ready comes first"


@pytest.mark.parametrize(("width", "below"), [(80, "agent"), (120, "model")])
async def test_what_is_said_of_a_field_stands_below_it(width: int, below: str) -> None:
    async with dialog(size=(width, 40)) as on:
        on.commands.agents_told = (AgentInfo(name="codex", provider="local", state=AgentState.READY, how=""),)
        put(on, "agent", "nonsense")
        await on.pilot.pause()
        field, remark = (the_dialog(on).query_one(name).region for name in (f"#{below}", "#agent-remark"))
        assert remark.height and remark.y == field.bottom
        assert (the_dialog(on).query_one("#agent").region.y == field.y) is (width == 120 or below == "agent")


async def test_an_agent_of_the_config_is_no_unknown_one() -> None:
    async with dialog(agents=("my-own",)) as on:
        await on.press("ctrl+o")
        put(on, "agent", "my-own")
        await on.pilot.pause()
        assert "no task has had this agent yet" not in text_of(on)
        put(on, "agent", "my-")
        await on.pilot.pause()
        assert "claude, my-own" in text_of(on)


async def test_an_unknown_agent_is_questioned_and_an_unknown_provider_refused_beside_its_field() -> None:
    async with dialog() as on:
        await on.press(*"fix it", "ctrl+o")
        put(on, "agent", "x")
        put(on, "provider", "clouds")
        await on.pilot.pause()
        assert "no task has had this agent yet; known are claude" in text_of(on)
        assert "there is no such provider; there is demo, local" in text_of(on)
        await on.press("ctrl+s")
        assert on.commands.created == []
        put(on, "provider", "")
        await on.press("ctrl+s")
        assert on.commands.created[0].agent == "x"


async def test_nothing_is_called_wrong_before_anything_was_written() -> None:
    async with dialog(make_store([]), repo=None) as on:
        assert "choose a repository" in text_of(on)
        assert "✗" not in text_of(on)
        await on.press("ctrl+s")
        assert "✗ choose a repository" in text_of(on)


@pytest.mark.parametrize("rows", [12, 20, 24, 30, 36, 50])
async def test_the_keys_of_the_dialog_are_on_the_screen_however_much_is_said_in_it(rows: int) -> None:
    async with dialog(size=(80, rows)) as on:
        await on.press("ctrl+o")
        for name in ("title", "branch", "base_branch", "agent", "provider"):
            put(on, name, "a..b")
        await on.press("ctrl+s")
        assert "create" in text_of(on, ActionBar)
        box = the_dialog(on).query_one("#dialog").region
        assert the_dialog(on).region.contains_region(box)
        bar = the_dialog(on).query_one(ActionBar).region
        assert box.contains_region(bar)
        fields = the_dialog(on).query_one("#fields")
        # Either all of it is seen, or it scrolls: no rows are left empty.
        assert fields.virtual_size.height >= fields.size.height


async def test_an_empty_prompt_is_said_beside_it() -> None:
    async with dialog() as on:
        assert "say what the agent should do" not in text_of(on)
        await on.press("ctrl+s")
        assert the_dialog(on)
        assert "say what the agent should do" in text_of(on)
        assert on.commands.created == []
        await on.press(*"x")
        assert "say what the agent should do" not in text_of(on)


@pytest.mark.parametrize(
    ("prompt", "typed"),
    [("fix it", ""), ("fix it", "zz..b"), ("fix it", "d\x1b[B"), ("", "a")],
    ids=["nothing", "wrong", "a choice", "no prompt"],
)
@pytest.mark.parametrize("name", FIELDS)
async def test_from_every_field_the_key_creates_or_says_why_not(name: str, prompt: str, typed: str) -> None:
    async with dialog(size=(80, 12)) as on:
        await on.press(*prompt)
        the_dialog(on).add_class("-unfolded")
        the_dialog(on).query_one(f"#{name}").focus()
        await on.burst(f"{typed}\x13")
        if on.commands.created:
            assert isinstance(on.app.screen, TaskScreen)
            return
        focused = the_dialog(on).focused
        assert focused is not None
        told = the_dialog(on).query_one(f"#{focused.id}-remark", Static)
        assert told.has_class("-bad")
        assert str(told.content)[:30] in words_of(on), "it stands where one sees it"


async def test_the_key_takes_the_choice_that_is_highlighted_unless_something_else_is_meant() -> None:
    async with dialog() as on:
        await on.press(*"fix it", "shift+tab")
        put(on, "repo", "")
        await on.burst("d\x13")
        assert [request.repo for request in on.commands.created] == ["/src/docs"]
    async with dialog(make_store([make_task(1, TaskStatus.IDLE, agent="claude")], [make_repo("shop")])) as on:
        await on.press(*"fix it", "tab")
        await on.burst("cl\x13")
        assert on.commands.created[0].agent == "cl", "it is a name as good as another"
        await on.press("escape", "n", *"again", "tab")
        await on.burst("cl\x1b[B\x13")
        assert on.commands.created[1].agent == "claude"


async def test_creating_another_stays_open() -> None:
    async with dialog() as on:
        await on.press("ctrl+t", *"one", "ctrl+s")
        assert the_dialog(on).values["prompt"] == ""
        await on.press(*"two", "ctrl+s")
        assert [request.prompt for request in on.commands.created] == ["one", "two"]
        await on.press("ctrl+t", *"three", "ctrl+s")
        assert isinstance(on.app.screen, TaskScreen)


async def test_a_refusal_comes_back_to_the_dialog_that_stayed_open() -> None:
    store = a_store()
    async with dialog(store) as on:
        await on.press("ctrl+t", *"one", "ctrl+o")
        put(on, "branch", "fine")
        await on.press("ctrl+s")
        made = task_id(9_001)
        sent = on.commands.created[0]
        store.create(CreateTask(task_id=made, session_id="s", repo=sent.repo, prompt="one", branch="fine"))
        error = FieldError(field="branch", message="a branch called fine exists already")
        store.refused(made, Problem(status=422, title="Wrong", detail="", errors=(error,)))
        await on.flush()
        await on.pilot.pause()
        assert "a branch called fine exists already" in text_of(on)
        assert the_dialog(on).values["prompt"] == "one"
        put(on, "branch", "better")
        await on.pilot.pause()
        await on.press("ctrl+s")
        assert ("discard_creation", made) in on.commands.calls
        assert on.commands.created[-1].branch == "better"


# Beside the fields.


@pytest.mark.parametrize(
    ("branch", "said"),
    [
        ("bad..name", "cannot contain two dots in a row"),
        ("-x", "cannot begin with a dash"),
        ("a b", "cannot contain spaces"),
        ("fix/taken", "exists already"),
        ("main", "exists already"),
    ],
)
async def test_a_wrong_branch_is_said_while_typing(branch: str, said: str) -> None:
    async with dialog() as on:
        on.commands.branch_names["repo-shop"] = ("main", "develop")
        the_dialog(on)._told.asked.clear()
        await on.press(*"fix it", "ctrl+o")
        put(on, "branch", branch)
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert said in text_of(on)
        await on.press("ctrl+s")
        assert on.commands.created == []
        assert the_dialog(on).focused is the_dialog(on).query_one("#branch")


async def test_a_folder_that_is_no_repository_is_said_while_typing(tmp_path: Path) -> None:
    async with dialog(size=(140, 34)) as on:
        put(on, "repo", str(tmp_path))
        await on.pilot.pause()
        assert "this folder is no git repository" in text_of(on)
        put(on, "repo", str(tmp_path / "nowhere"))
        await on.pilot.pause()
        assert "there is no such folder" in text_of(on)
        (tmp_path / ".git").mkdir()
        put(on, "repo", str(tmp_path))
        await on.pilot.pause()
        assert "no git repository" not in text_of(on)
        await on.press(*"x", "ctrl+s")
        assert on.commands.created[0].repo == str(tmp_path.resolve())


async def test_the_current_folder_comes_first_and_completes() -> None:
    async with dialog() as on:
        assert the_dialog(on).values["repo"] == "shop"
    async with dialog(repo=None) as on:
        assert the_dialog(on).values["repo"] == "docs"
        the_dialog(on).query_one("#repo").focus()
        await on.press("ctrl+u", *"sh", "tab")
        assert the_dialog(on).values["repo"] == "shop"
        assert on.app.focused is the_dialog(on).query_one("#repo"), "what tab took is written on"
        await on.press("ctrl+u", *"sh", "enter")
        assert the_dialog(on).values["repo"] == "shop"
        assert on.app.focused is not the_dialog(on).query_one("#repo"), "enter goes on, as it does in a whole field"


async def test_the_first_frame_of_the_dialog_has_the_keys_of_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    render = ActionBar.render

    def noted(bar: ActionBar) -> Content:
        shown = render(bar)
        if isinstance(bar.screen, NewTaskScreen):
            drawn.append(shown.plain.split()[-2])
        return shown

    monkeypatch.setattr(ActionBar, "render", noted)
    async with dialog(every_frame=True):
        assert set(drawn) == {"f1"}


@pytest.mark.parametrize("size", [(100, 34), (60, 20)])
async def test_choices_stand_under_their_field_and_nothing_moves_for_them(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with dialog(size=size) as on:
        field = the_dialog(on).query_one("#repo", Input)
        field.focus()
        field.value = str(tmp_path / "x")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "there is no such folder" in words_of(on)
        before = field.region
        choices = the_dialog(on).query_one(Completion)
        await on.press("backspace", "o")
        assert choices.display and field.region == before
        assert choices.region == Region(before.x, before.bottom, before.width, 2)
        assert "no such folder" not in text_of(on)


async def test_base_branches_are_completed() -> None:
    async with dialog() as on:
        on.commands.branch_names["repo-shop"] = ("main", "release/2")
        the_dialog(on)._told.asked.clear()
        await on.press("ctrl+o", "tab", "tab", *"rel")
        await on.app.workers.wait_for_complete()
        await on.press("e", "enter")
        assert the_dialog(on).values["base_branch"] == "release/2"


# Drafts.


async def test_escape_keeps_the_draft_for_the_next_time() -> None:
    async with dialog() as on:
        await on.press(*"half a thought", "ctrl+o")
        put(on, "title", "A title")
        await on.press("escape")
        assert isinstance(on.app.screen, TasksScreen)
        await on.press("n")
        assert the_dialog(on).values["prompt"] == "half a thought"
        assert the_dialog(on).values["title"] == "A title"
        assert "A title" in text_of(on)


async def test_what_is_written_is_kept_as_it_is_written() -> None:
    async with dialog() as on:
        await on.press(*"half a thought")
        drafts = on.commands.drafts
        for key in ("", "/src/shop"):
            draft = drafts.get(key)
            assert draft is not None and draft.prompt == "half a thought"
        await on.press("ctrl+s")
        assert drafts.get("") is None and drafts.get("/src/shop") is None


async def test_a_repository_that_is_passed_while_typing_keeps_its_own_draft() -> None:
    async with dialog() as on:
        other = CreateTask(repo="/src/docs", prompt="for the docs")
        on.commands.drafts.put("/src/docs", other)
        await on.press(*"for the shop")
        put(on, "repo", "/src/docs")
        await on.pilot.pause()
        assert on.commands.drafts.get("/src/docs") == other
        last = on.commands.drafts.get("")
        assert last is not None and (last.repo, last.prompt) == ("/src/docs", "for the shop")


async def test_what_was_made_of_a_given_request_is_there_when_it_is_given_again() -> None:
    given = CreateTask(repo="/src/shop", prompt="first wording")
    async with dialog() as on:
        await on.press("escape")
        on.app.open_new_task("/src/shop", given)
        await on.pilot.pause()
        await on.press(*", bettered", "escape")
        on.app.open_new_task("/src/shop")
        await on.pilot.pause()
        assert the_dialog(on).values["prompt"] == ""
        await on.press("escape")
        on.app.open_new_task("/src/shop", given)
        await on.pilot.pause()
        assert the_dialog(on).values["prompt"] == "first wording, bettered"
        await on.press("ctrl+s", "escape")
        on.app.open_new_task("/src/shop", given)
        await on.pilot.pause()
        assert the_dialog(on).values["prompt"] == "first wording"


async def test_two_presses_at_once_leave_no_editor_unasked(recwarn: pytest.WarningsRecorder) -> None:
    async with dialog() as on:
        screen = the_dialog(on)
        screen.action_open_editor()
        screen.action_open_editor()
        await on.pilot.pause()
        gc.collect()
        assert [str(warning.message) for warning in recwarn] == []


async def test_drafts_are_kept_for_each_repository() -> None:
    async with dialog() as on:
        for repo, prompt in (("/src/shop", "for the shop"), ("/src/docs", "for the docs")):
            put(on, "repo", repo)
            the_dialog(on).query_one(TextArea).load_text(prompt)
            await on.pilot.pause()
            await on.press("escape", "n")
        on.app.pop_screen()
        on.app.open_new_task("/src/docs")
        await on.pilot.pause()
        assert the_dialog(on).values["prompt"] == "for the docs"


async def test_creating_forgets_the_draft() -> None:
    async with dialog() as on:
        await on.press(*"done soon", "escape", "n", "ctrl+s", "escape", "n")
        assert the_dialog(on).values["prompt"] == ""


async def test_options_fold_and_tell_what_is_set() -> None:
    async with dialog() as on:
        await on.press("ctrl+o")
        put(on, "base_branch", "develop")
        await on.press("ctrl+o")
        assert "base branch develop" in text_of(on)


@pytest.mark.parametrize("size", [(60, 22), (80, 24), (120, 40)])
async def test_the_dialog_fits(size: tuple[int, int]) -> None:
    async with dialog(size=size) as on:
        await on.press("ctrl+o")
        box = the_dialog(on).query_one("#dialog").region
        assert box.right <= size[0]
        assert box.bottom <= size[1]
        assert "create" in words_of(on)


# The editor.


async def test_the_editor_writes_the_prompt(tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nprintf "%s, and more\\n" "$(cat "$2")" > "$2"\n')
    script.chmod(0o755)
    assert await edit("begun", {**os.environ, "EDITOR": f"{script} -w"}) == "begun, and more"


async def test_an_editor_that_fails_leaves_the_prompt_as_it_was() -> None:
    with pytest.raises(EditorError, match="exit code 1"):
        await edit("begun", {**os.environ, "EDITOR": "false"})
    with pytest.raises(EditorError, match="could not be started"):
        await edit("begun", {**os.environ, "EDITOR": "/nowhere/at-all"})


async def test_a_terminal_that_cannot_be_lent_says_so() -> None:
    async with dialog() as on:
        await on.press(*"kept", "ctrl+e")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "cannot be given to an editor" in [str(note.message) for note in on.app._notifications][-1]
        assert the_dialog(on).values["prompt"] == "kept"


async def test_a_known_repository_is_called_by_its_name_and_where_it_is_stands_below() -> None:
    async with dialog() as on:
        assert the_dialog(on).query_one("#repo", Input).value == "shop"
        assert text_of(on).count("/src/shop") == 1, "below the field"
        await on.press(*"do it", "ctrl+s")
    request = next(call[1] for call in on.commands.calls if call[0] == "create")
    assert isinstance(request, CreateTask) and request.repo == "/src/shop"


async def test_of_two_repositories_of_one_name_the_field_tells_the_folders() -> None:
    both = make_repo("shop"), make_repo("shop", repo_id="repo-old", path="/old/shop")
    async with dialog(a_store(*both), repo="/old/shop") as on:
        assert the_dialog(on).query_one("#repo", Input).value == "/old/shop"


# Repositories, judged by their folders.


def test_what_a_repository_field_means(tmp_path: Path) -> None:
    known = [make_repo("shop"), make_repo("far", path=None, remote="git@example.org:far.git")]
    assert judge("", known, tmp_path).remark.bad
    assert judge("shop", known, tmp_path).value == "/src/shop"
    assert judge("git@example.org:far.git", known, tmp_path).repo == known[1]
    assert judge("https://example.org/new.git", known, tmp_path).value == "https://example.org/new.git"
    (tmp_path / "work" / ".git").mkdir(parents=True)
    (tmp_path / "work" / "deep").mkdir()
    assert judge("work", known, tmp_path).value == str((tmp_path / "work").resolve())
    assert judge("work/deep", known, tmp_path).value == str((tmp_path / "work").resolve())
    (tmp_path / "file").write_text("")
    assert judge("file", known, tmp_path).remark.text == "this is a file, not a folder"


def test_a_worktree_and_a_bare_repository_are_repositories(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text("gitdir: /elsewhere\n")
    assert judge("tree", [], tmp_path).value is not None
    for name in ("objects", "refs"):
        (tmp_path / "bare.git" / name).mkdir(parents=True)
    (tmp_path / "bare.git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert judge("bare.git", [], tmp_path).value is not None


def test_folders_complete_as_they_are_typed(tmp_path: Path) -> None:
    for name in ("alpha", "album", ".hidden", "beta"):
        (tmp_path / name).mkdir()
    assert folders_below("./al", tmp_path) == ["./album", "./alpha"]
    assert folders_below("./.h", tmp_path) == ["./.hidden"]
    assert folders_below("al", tmp_path) == []
    assert folders_below("./nowhere/x", tmp_path) == []


# Starting from what exists.


@pytest.mark.parametrize(
    ("typed", "start", "told"),
    [
        ("pr 212", StartFrom(pull_request=212), "pull request #212"),
        ("PR#212", StartFrom(pull_request=212), "pull request #212"),
        ("https://github.com/acme/shop/pull/212/files", StartFrom(pull_request=212), "pull request #212"),
        ("issue 7", StartFrom(issue=7), "issue #7 goes before the prompt"),
        ("https://github.com/acme/shop/issues/7#issuecomment-1", StartFrom(issue=7), "issue #7"),
        ("spike/issue", StartFrom(branch="spike/issue"), "works on this branch itself"),
        ("", None, ""),
    ],
)
async def test_a_task_starts_from_what_is_written(typed: str, start: StartFrom | None, told: str) -> None:
    async with dialog(size=(100, 40)) as on:
        await on.press(*"go on", "ctrl+o")
        put(on, "from", typed)
        await on.flush()
        assert told in str(the_dialog(on).query_one("#from-remark", Static).content)
        assert read_start(written_start(start)) == start
        await on.press("ctrl+s")
        assert on.commands.created == [CreateTask(repo="/src/shop", prompt="go on", from_=start)]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"from": "pr 0"}, "write a branch, pr 12 or issue 12"),
        ({"from": "a..b"}, "write a branch, pr 12 or issue 12"),
        ({"from": "-x"}, "write a branch, pr 12 or issue 12"),
        ({"from": "issue 99999999999"}, "write a branch, pr 12 or issue 12"),
        ({"from": "spike", "branch": "mine"}, "leave Branch empty"),
        ({"from": "pr 1", "base_branch": "next"}, "leave Base branch empty"),
    ],
)
async def test_a_wrong_start_is_said_beside_its_field_and_loses_nothing(fields: dict[str, str], why: str) -> None:
    async with dialog(size=(100, 40)) as on:
        await on.press(*"go on")
        for name, value in fields.items():
            put(on, name, value)
        await on.press("ctrl+s")
        screen = the_dialog(on)
        assert why in str(screen.query_one("#from-remark", Static).content)
        assert screen.focused is screen.query_one("#from")
        assert on.commands.created == []
        await on.press("escape", "n")
        assert {name: the_dialog(on).values[name] for name in fields} == fields, "the draft is kept"


async def test_what_the_backend_refuses_of_a_start_is_said_beside_its_field() -> None:
    problem = Problem(
        status=422, title="", detail="", errors=(FieldError(field="from.branch", message="It is no branch."),)
    )
    assert remarks_of(problem) == {"from": Remark("It is no branch.", bad=True)}
