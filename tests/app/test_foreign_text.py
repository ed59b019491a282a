"""Text from outside is shown, never obeyed: no control of it reaches the terminal, on any screen, in any field."""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.content import Content
from textual.widgets import DataTable, Input

from foundry_tui.actions.table import ACTIONS
from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.statistics import Diagnostics, TopicDiagnostics
from foundry_tui.client.store import Store
from foundry_tui.contract.events import Topic
from foundry_tui.contract.questions import Ask, PermissionOption
from foundry_tui.contract.records import FileDiff, SessionStatus
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.control_filter import CONTROL_FILTER
from foundry_tui.widgets.task_list import TaskList
from foundry_tui.widgets.transcript import Transcript
from tests.app import task_scenes
from tests.app.factories import NOW, make_task
from tests.app.harness import LIVE, make_store, stage
from tests.app.looking import text_of
from tests.app.test_ascii import MORE
from tests.gallery import SHOTS, Shot

pytestmark = pytest.mark.anyio

HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07\x1b]2;evil\x1b\\\x1b[2J\x1b[5;31m\x9b31m\x9d8;;file:///x\x9c\x08\x0b\x00\x7f"
    "\u202eevil\u2066\u2029 [red]markup[/red] [link=file:///x]l[/link] [@click=app.bell]b[/] <http://evil/> [l](x:y)"
)
OURS = re.compile(r"\x1b\[(?!5;31m)[0-9;]*[mH]")
"""What the app itself writes into a picture: colours, and where to go on."""
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
OUR_WORDS = {"event_id", "status", "kind", "state", "name", "mode", "option_id", "path", "remote"}
"""Fields that are looked up by what they say, with those that end like an id."""


def poisoned(value: Any, name: str = "") -> Any:
    """A record in which every text that somebody wrote has control sequences and markup in it."""
    if isinstance(value, Struct):
        changes = {each: poisoned(getattr(value, each), each) for each in value.__struct_fields__}
        return msgspec.convert(msgspec.to_builtins(replace(value, **changes)), type(value))
    if isinstance(value, tuple | list):
        return type(value)(poisoned(each, name) for each in value)
    if isinstance(value, dict):
        return {key: poisoned(each, key) for key, each in value.items()}
    spared = isinstance(value, Enum) or name in OUR_WORDS or name.endswith(("_id", "stage"))
    return f"{HOSTILE}{value}{HOSTILE}" if isinstance(value, str) and not spared else value


def written(app: FoundryApp) -> list[str]:
    """What the driver is handed for the picture of now, whole, line by line of what is in it."""
    screen = app.screen
    app.console.size = screen.size
    update = screen._compositor.render_full_update()
    return update.render_segments(app.console).split("\x1b[0m")


def check_nothing_obeyed(app: FoundryApp) -> str:
    picture = "\x1b[0m".join(written(app))
    rest = OURS.sub("", picture).replace("\n", "")
    found = OBEYED.search(rest)
    assert found is None, repr(rest[max(0, found.start() - 60) : found.end() + 20])
    fields = {y for field in app.screen.query(Input) for y in field.region.line_range}
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        assert strip.cell_length == app.screen.size.width == cell_len(strip.text)
        # Textual leaves some out of the text of a field, which keeps them.
        assert y in fields or "==␛" not in strip.text, f"the control character between these has no mark: {strip.text}"
    return rest


PROBLEM = CommandProblem(action="rename", message=f"no{HOSTILE}", task_id=task_scenes.TASK)
SCREENS: Sequence[Shot] = (
    *SHOTS,
    *MORE,
    Shot("unfolded", "", task_scenes.permission_scene, ("O", "home"), opens=True),
    Shot("details", "", task_scenes.permission_scene, ("D",), opens=True),
    Shot("rename", "", task_scenes.permission_scene, ("escape", "f2")),
)


@pytest.mark.parametrize("plain", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize("shot", SCREENS, ids=[f"{number}-{shot.name}" for number, shot in enumerate(SCREENS)])
async def test_no_control_of_any_field_reaches_the_terminal(
    shot: Shot, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Store.apply

    def poison(self: Store, topic: Topic, name: Any, record: Any, *others: Any) -> Any:
        return apply(self, topic, name, poisoned(record), *others)

    monkeypatch.setattr(Store, "apply", poison)
    store = shot.store()

    options = Options(ascii=plain, bell=False, terminal_notifications=False, theme=shot.theme)
    async with stage(store, size=shot.size, options=options, notifications=True) as on:
        patch = f"@@ -1 +1 @@ {HOSTILE}\n-a{HOSTILE}\n+b{HOSTILE}\n"
        file = FileDiff(path=f"src/{HOSTILE}.py", status="M", added=1, removed=1, patch=patch)
        on.commands.diffs[task_scenes.TASK] = Diff(files=(file,), computed_at=NOW)
        on.commands.providers = {f"demo{HOSTILE}": HOSTILE}
        if shot.opens:
            on.app.open_task(task_scenes.TASK)
            await on.pilot.pause()
        check_nothing_obeyed(on.app)
        on.commands.fail(PROBLEM)
        for key in shot.keys:
            await on.pilot.press(key)
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        check_nothing_obeyed(on.app)


async def test_no_joiner_of_any_name_moves_the_columns_of_the_list() -> None:
    """What lays out counts no cells for a letter behind one, and terminals do."""
    odd = "\u200d日\u200d本a\u200db\u200d👩\u200d💻❤\ufe0f👍🏽"
    ask = Ask(permission_id="q", session_id="s", title=f"{odd}?", at=NOW, options=(
        PermissionOption(option_id="y", name=odd, kind="allow_once"),
    ))  # fmt: skip
    task = make_task(1, TaskStatus.RUNNING, title=odd * 9, branch=odd, repo_label=odd, prompt=odd, agent=odd, host=odd)
    tasks = [task, replace(task, task_id="other", host="b", needs_input=1, asks=(ask,)), make_task(3)]
    for width in (60, 80, 120, 160, 220):
        async with stage(make_store(tasks), size=(width, 30)) as on:
            shown = on.app.screen.query_one(TaskList)
            strips = [shown.render_line(y) for y in range(shown.size.height)]
            assert odd[1] in "".join(strip.text for strip in strips)
            for strip in strips:
                assert sum(map(get_character_cell_size, strip.text)) == shown.size.width, strip.text


async def test_of_what_an_agent_says_every_picture_is_shown_and_keeps_its_cells() -> None:
    """Joined they are two cells on one terminal and four or six on the next."""
    said = "By 👩\u200d💻 👍🏽 ❤\ufe0f for the 👨\u200d👩\u200d👧"
    kinds = (TranscriptKind.MESSAGE, TranscriptKind.THOUGHT)
    items = tuple(task_scenes.item(place, kind, f"{said} {kind}") for place, kind in enumerate(kinds))
    told = task_scenes.a_session(SessionStatus.READY, transcript=(*items, task_scenes.item(9, kinds[0], f"**{said}**")))
    async with stage(task_scenes.store_with(task_scenes.a_task(TaskStatus.IDLE), told), size=(120, 30)) as on:
        on.app.open_task(task_scenes.TASK)
        await on.quiet()
        assert text_of(on, Transcript).count("By 👩💻 👍 ❤ for the 👨👩👧") == 3


MARKUP = "[/x] [@click=app.quit]quit[/]"


async def test_no_id_of_a_topic_is_markup() -> None:
    topic = TopicDiagnostics(topic=MARKUP[:20], listeners=1, link="open", freshness=LIVE)
    report = Diagnostics(at=NOW, freshness=LIVE, topics=(topic,), log=(), tasks=0, creations=0, flushes=0)
    async with stage(make_store([make_task(1)])) as on:
        on.app.diagnostics = lambda: report
        await on.press("f12")
        assert str(on.app.screen.query_one(DataTable).get_row_at(0)[0]) == MARKUP[:20]
        check_nothing_obeyed(on.app)


async def test_no_reason_why_a_key_does_nothing_is_markup() -> None:
    async with stage(make_store([make_task(1)])) as on:
        bar = on.app.screen.query_one(ActionBar)
        bar.show([(ACTIONS[0], "/", MARKUP)])
        await on.pilot.hover(bar, (2, 0))
        assert isinstance(bar.tooltip, Content)
        assert MARKUP in bar.tooltip.plain


TEXTS = st.text(st.sampled_from("ab \x1b\x07\x9b\n\t\u202e\u200f日é") | st.characters(), max_size=12)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_line_keeps_its_length_whatever_is_in_it(texts: list[str]) -> None:
    segments = [Segment(text, Style(link="file:///x")) for text in texts if text]
    shown = CONTROL_FILTER.apply(segments, Color(0, 0, 0))
    assert sum(cell_len(part.text) for part in shown) == sum(cell_len(part.text) for part in segments)
    assert not any(OBEYED.search(part.text) or (part.style and part.style.link) for part in shown)


def test_the_mark_takes_its_cell_from_the_next_gap() -> None:
    line = [Segment("  title\x1b[2J"), Segment("    now "), Segment("|")]
    shown = "".join(part.text for part in CONTROL_FILTER.apply(line, Color(0, 0, 0)))
    assert shown == "  title␛[2J   now |"


def test_what_is_harmless_is_left_alone() -> None:
    line = [Segment("plain"), Segment("日本 é \ue0b0 👩💻🇩🇪", Style(bold=True))]
    assert CONTROL_FILTER.apply(line, Color(0, 0, 0)) == line


def test_of_pictures_that_are_joined_the_first_is_shown() -> None:
    shown = CONTROL_FILTER.apply([Segment("─ "), Segment("ok 👨\u200d👩\u200d👧 ❤\ufe0f|")], Color(0, 0, 0))
    assert "".join(part.text for part in shown) == "─ ok 👨 ❤ |"
