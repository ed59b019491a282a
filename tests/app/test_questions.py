"""A question can be read whole before it is answered, however long it is and wherever it stands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.events import MouseScrollDown

from foundry_tui.client.store import Store
from foundry_tui.contract.questions import FileEdit, PermissionOption, PermissionState
from foundry_tui.contract.records import SessionStatus
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.transcript import Transcript
from tests.app import task_scenes as scenes
from tests.app.harness import Stage, stage
from tests.app.looking import text_of, words_of

pytestmark = pytest.mark.anyio

SCRIPT = "\n".join("rm -rf / --no-preserve-root" if n == 7 else f"echo {n} of 300" for n in range(1, 301))
LONG_OPTIONS = (
    PermissionOption(option_id="once", name="Yes, proceed with it this once", kind="allow_once"),
    PermissionOption(option_id="ever", name="Yes, and never ask again for `make release`", kind="allow_always"),
    PermissionOption(option_id="no", name="No, and tell the agent what to do differently", kind="reject_once"),
)
EDITS = (
    FileEdit(path="src/login.py", old="def a():\n    return 1\n", new="def a():\n    return 2\n"),
    FileEdit(path="docs/new.md", new=f"# New {'long ' * 60}end\n"),
)


def asking(**changes: Any) -> Store:
    """A task whose agent asks this."""
    task = scenes.a_task(TaskStatus.RUNNING, permissions=(scenes.a_permission(**changes),), needs_input=1)
    return scenes.store_with(task, scenes.a_session(SessionStatus.RUNNING))


@asynccontextmanager
async def opened(store: Store, size: tuple[int, int] = (120, 36), **options: Any) -> AsyncIterator[Stage]:
    async with stage(store, size=size, **options) as on:
        on.app.open_task(scenes.TASK)
        await on.pilot.pause()
        yield on


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "key"), [((160, 44), "ctrl+d"), ((80, 24), "ctrl+d"), ((60, 20), "ctrl+d"), ((160, 44), "wheel")]
)
async def test_a_long_command_is_seen_whole_before_it_is_answered(size: tuple[int, int], key: str) -> None:
    async with opened(asking(text=SCRIPT, options=LONG_OPTIONS), size) as on:
        seen: set[str] = set()
        for _ in range(320):
            shown = text_of(on, PermissionRequest)
            seen.update(line.strip(" │█?").strip() for line in shown.split("\n"))
            assert "3 No, and tell the agent" in shown, "the answers stay in sight"
            if "more line" not in shown:
                break
            if key == "wheel":
                request = on.app.screen.query_one(PermissionRequest)
                request.post_message(MouseScrollDown(request, 1, 1, 0, 1, 0, False, False, False))
                await on.pilot.pause()
            else:
                await on.press(key)
        assert seen >= set(SCRIPT.split("\n"))
        await on.press("ctrl+u")
        assert "more line" in text_of(on, PermissionRequest)
        await on.press("3")
        assert on.commands.calls[-1] == ("answer", "permission-1", "no")


@pytest.mark.parametrize("key", ["1", "enter", "click"])
async def test_nothing_is_allowed_before_its_end_was_in_view(key: str) -> None:
    async with opened(asking(text="\n".join(SCRIPT.split("\n")[:30]), options=LONG_OPTIONS), (80, 24)) as on:

        async def allow() -> None:
            if key == "click":
                rows = text_of(on, PermissionRequest).split("\n")
                row = next(number for number, line in enumerate(rows) if "1 Yes, proceed" in line)
                await on.pilot.click(PermissionRequest, offset=(8, row))
                await on.quiet()
            else:
                await on.press(key)

        if key == "enter":
            await on.press("tab")
        seen: set[str] = set()
        while "That was all of it" not in text_of(on, PermissionRequest):
            seen.update(line.strip(" │█?") for line in text_of(on, PermissionRequest).split("\n"))
            assert not any(call[0] == "answer" for call in on.commands.calls)
            await allow()
        seen.update(line.strip(" │█?") for line in text_of(on, PermissionRequest).split("\n"))
        assert seen >= set(SCRIPT.split("\n")[:30])
        await allow()
        assert on.commands.calls[-1] == ("answer", "permission-1", "once")


async def test_a_question_can_be_refused_before_it_was_read() -> None:
    async with opened(asking(text=SCRIPT, options=LONG_OPTIONS), (80, 24)) as on:
        await on.press("3")
        assert on.commands.calls[-1] == ("answer", "permission-1", "no")


async def test_a_question_behind_another_view_is_shown_before_it_is_answered() -> None:
    async with opened(asking(options=LONG_OPTIONS)) as on:
        await on.press("h", "1")
        assert not any(call[0] == "answer" for call in on.commands.calls)
        assert "1 Yes, proceed" in text_of(on, PermissionRequest)
        await on.press("1")
        assert on.commands.calls[-1] == ("answer", "permission-1", "once")


async def test_options_that_do_not_fit_one_row_stand_on_rows_of_their_own() -> None:
    async with opened(asking(options=LONG_OPTIONS), (60, 24)) as on:
        lines = [line.strip(" █│") for line in text_of(on, PermissionRequest).split("\n")]
        assert [line[:1] for line in lines[-3:]] == ["1", "2", "3"]
        await on.pilot.click(PermissionRequest, offset=(10, len(lines) - 2))
        await on.pilot.pause()
        assert on.commands.calls[-1] == ("answer", "permission-1", "ever")


async def test_the_fortieth_option_can_be_chosen() -> None:
    options = tuple(PermissionOption(option_id=f"o{n}", name=f"Option {n}", kind="allow_once") for n in range(1, 41))
    async with opened(asking(options=options), (80, 24)) as on:
        assert "more rows of answers" in text_of(on, PermissionRequest)
        await on.press("tab", "up")
        assert "Option 40" in text_of(on, PermissionRequest)
        await on.press("enter")
        assert on.commands.calls[-1] == ("answer", "permission-1", "o40")


@pytest.mark.parametrize("place", range(1, 10))
async def test_digits_answer_up_to_the_ninth(place: int) -> None:
    options = tuple(PermissionOption(option_id=f"o{n}", name=f"Option {n}", kind="allow_once") for n in range(1, 10))
    async with opened(asking(options=options)) as on:
        await on.press(str(place))
        assert on.commands.calls[-1] == ("answer", "permission-1", f"o{place}")


async def test_edits_are_shown_as_a_diff_and_places_are_named() -> None:
    paths = ("src/login.py", "/etc/passwd")
    async with opened(asking(edits=EDITS, paths=paths), (80, 44)) as on:
        words = words_of(on, PermissionRequest)
        assert "at /etc/passwd" in words
        assert "src/login.py" in words and "- return 1" in words and "+ return 2" in words
        assert "docs/new.md new file" in words and "end" in words.replace("+", ""), "no line is cut"


@pytest.mark.parametrize("size", [(120, 40), (60, 40)])
async def test_an_answered_question_stands_in_the_transcript_with_what_was_asked(size: tuple[int, int]) -> None:
    ended = scenes.a_permission(state=PermissionState.ANSWERED, answer="deny")
    task = scenes.a_task(TaskStatus.RUNNING, permissions=(ended,))
    body: dict[str, Any] = {
        "permission_id": "permission-1",
        "title": "Run it?",
        "text": "make a\nmake b",
        "paths": ["/srv"],
    }
    body["edits"] = [{"path": "a.py", "old": "1\n", "new": "2\n"}]
    asked = scenes.item(7, TranscriptKind.PERMISSION, body)
    store = scenes.store_with(task, scenes.a_session(SessionStatus.RUNNING, transcript=(asked,)))
    async with opened(store, size) as on:
        words = words_of(on, Transcript)
        assert "Run it? → Deny" in words
        for part in ("at /srv", "make a", "make b", "a.py", "1 - 1", "1 + 2"):
            assert part in words


async def test_changes_in_a_transcript_fit_while_the_terminal_becomes_narrow() -> None:
    ended = scenes.a_permission(state=PermissionState.ANSWERED, answer="deny")
    body = {"permission_id": "permission-1", "title": "Write?", "edits": [{"path": "a.py", "new": "one line\n"}]}
    asked = scenes.item(7, TranscriptKind.PERMISSION, body)
    task = scenes.a_task(TaskStatus.RUNNING, permissions=(ended,))
    store = scenes.store_with(task, scenes.a_session(SessionStatus.RUNNING, transcript=(asked,)))
    async with opened(store, (140, 40)) as on:
        await on.pilot.resize_terminal(60, 30)
        assert "one line" in words_of(on, Transcript)


async def test_what_the_title_says_already_is_not_said_again() -> None:
    async with opened(asking(title="make test", text="make test\n")) as on:
        assert text_of(on, PermissionRequest).count("make test") == 1


HEADING = "Run the release script for the production cluster and delete THE-OLD-ONE now?"


@pytest.mark.parametrize("width", [30, 46, 60, 78, 80, 100, 105, 106, 120])
@pytest.mark.parametrize("session", ["", "review", "a session with a name that is longer than any terminal is wide"])
async def test_no_word_of_a_heading_gives_way_to_what_stands_beside_it(width: int, session: str) -> None:
    async with opened(asking(), (width, 40)) as on:
        asked = on.app.screen.query_one(PermissionRequest)
        for more in (0, 1, 12, 0):
            asked.show(scenes.a_permission(title=HEADING, text="make release"), more=more, session=session)
            await on.pilot.pause()
            rows = [asked.render_line(y).text for y in range(asked.size.height)]
            assert not more or f"{more} more" in rows[0]
            assert not [word for word in HEADING.split() if word not in " ".join(rows).split()]


async def test_a_question_that_is_cut_is_never_taken_for_read() -> None:
    async with opened(asking(title="Run the release script", text="make release"), (80, 24)) as on:
        asked = on.app.screen.query_one(PermissionRequest)
        asked.styles.width = 12
        await on.pilot.pause()
        # The width at which all was read is no longer that of another question.
        asked.show(scenes.a_permission(title="Delete THE-OLD-ONE"))
        await on.pilot.pause()
        await on.press("1")
        assert not any(call[0] == "answer" for call in on.commands.calls)
        asked.styles.width = 60
        await on.pilot.pause()
        await on.press("1")
        assert on.commands.calls[-1] == ("answer", "permission-1", "allow")
