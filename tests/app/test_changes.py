"""The changes of a task: moving, folding, searching, and staying where one is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from textual import events

from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.pull_request import Comment, PullRequest, PullRequestState
from foundry_tui.contract.records import FileDiff
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.view.diff_rows import Place
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.work import WorkColumn
from tests.app import task_scenes as scenes
from tests.app.checkpoint_scenes import KEPT
from tests.app.diff_scenes import REVIEW, diff_of, file_diff
from tests.app.harness import Stage, put_detail, stage
from tests.app.looking import text_of
from tests.app.task_scenes import SESSION, TASK

pytestmark = pytest.mark.anyio

UNCOMMON_FILES = (
    FileDiff(
        path="win.txt",
        status="M",
        added=1,
        removed=1,
        patch="@@ -1,2 +1,2 @@\n same\r\n-old line\r\n+a line of Windows\r\n",
    ),
    FileDiff(path="logo.png", status="M", added=None, removed=None, patch="Binary files a/l and b/l differ\n"),
    FileDiff(path="long.csv", status="?", added=9000, removed=0, patch="@@ -0,0 +1,9000 @@\n+one\n", cut=True),
)
"""Files of which not all can be shown."""


@asynccontextmanager
async def reviewing(files: Sequence[FileDiff], size: tuple[int, int] = (120, 36)) -> AsyncIterator[Stage]:
    """The app with the changes of a task open."""
    async with stage(scenes.status_scene(TaskStatus.IDLE), size=size) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        on.commands.diffs[TASK] = diff_of(*files)
        await on.press("d")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        yield on


def at(on: Stage) -> str:
    """The text of the row of the cursor."""
    lines = on.app.screen.query_one(ChangesView).lines
    return lines.strip_at(lines.cursor).text.strip("▌ ")


async def test_hunks_files_and_folds_have_keys() -> None:
    async with reviewing(REVIEW) as on:
        assert "7 files  +3,236 -350, 1 not counted  since base" in text_of(on, ChangesView)
        lines = on.app.screen.query_one(ChangesView).lines
        generated = [lines.document.is_folded(number) for number in range(7)]
        await on.press("right_square_bracket", "right_square_bracket")
        assert at(on).startswith("▾ shop/auth.py")
        await on.press("n")
        assert "from urllib.parse import urlsplit" in at(on)
        await on.press("n")
        assert 'target = request.query.get("next")' in at(on)
        await on.press("N", "left_square_bracket")
        assert at(on).startswith("▾ shop/auth.py")
        await on.press("o")
        assert at(on).startswith("▸ shop/auth.py")
        await on.press("O")
        assert "def safe_next" not in text_of(on, ChangesView)
        await on.press("O")
        assert [lines.document.is_folded(number) for number in range(7)] == generated
        await on.press("enter")
        assert at(on).startswith("▸ shop/auth.py")
        await on.press("enter")
        assert at(on).startswith("▾ shop/auth.py")
        await on.press("G")
        assert "request_for(next=wanted)" in at(on)
        await on.press("g", "d")
        assert on.app.context().pane == ""


async def test_keys_go_on_from_where_the_wheel_went() -> None:
    async with reviewing(REVIEW) as on:
        lines = on.app.screen.query_one(ChangesView).lines
        lines.scroll_to(y=25, animate=False)
        await on.pilot.pause()
        await on.press("j")
        assert lines.scroll_y == 25
        assert lines.cursor == 27


async def test_the_same_diff_told_again_leaves_marked_lines_marked() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("n", "v", "j")
        on.app.screen.query_one(ChangesView).show(REVIEW)
        await on.press("m", *"both", "ctrl+s")
        assert [(each.first, each.last) for each in on.commands.comments.of(TASK)] == [(3, 3)]
        await on.press("right_square_bracket", "right_square_bracket", "n", "j", "v", "j", "j", "escape")
        assert on.app.context().review.marking is False


async def test_search_goes_from_match_to_match_also_into_folded_files() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("O", "slash", *"target")
        assert "1 of 5" in text_of(on, ChangesView)
        assert "- " in at(on) and "target = request" in at(on)
        await on.press("enter", "n")
        assert "2 of 5" in text_of(on, ChangesView)
        assert "next match" in text_of(on, ActionBar)
        await on.press("N", "N")
        assert "5 of 5" in text_of(on, ChangesView)
        await on.press("escape")
        assert "5 of 5" not in text_of(on, ChangesView)
        assert on.app.context().pane == "changes"


async def test_search_finds_files_by_their_names_and_leaves_them_folded() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("slash", *"logo.png")
        assert "1 of 1" in text_of(on, ChangesView)
        assert "shop/static/logo.png" in at(on)
        await on.press("enter", "escape", "O", "slash", *"auth.py")
        assert "2 of 2" in text_of(on, ChangesView) and at(on).startswith("▸ tests/test_auth.py")
        await on.press("enter", "n")
        assert "1 of 2" in text_of(on, ChangesView) and at(on).startswith("▸ shop/auth.py")


async def test_what_was_edited_by_hand_is_looked_for_when_one_comes_back() -> None:
    async with reviewing(REVIEW[:1]) as on:
        on.commands.diffs[TASK] = diff_of(*REVIEW)
        on.app.post_message(events.AppBlur())
        await on.pilot.pause()
        await on.app.workers.wait_for_complete()
        assert "1 file " in text_of(on, ChangesView), "nobody is told of it"
        on.app.post_message(events.AppFocus())
        await on.pilot.pause()
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "7 files " in text_of(on, ChangesView)


async def test_another_mode_is_said_also_while_the_file_is_folded() -> None:
    mode = "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
    async with reviewing([FileDiff(path="run.sh", status="M", added=0, removed=0, patch=mode)]) as on:
        await on.press("O")
        assert "▸ run.sh  mode 100644 is now 100755" in text_of(on, ChangesView)


async def test_white_space_is_left_out_on_a_key() -> None:
    async with reviewing(REVIEW) as on:
        assert "- echo 1" in text_of(on, ChangesView)
        await on.press("W")
        assert "- echo 1" not in text_of(on, ChangesView)
        assert "white space ignored" in text_of(on, ChangesView)


async def test_old_and_new_stand_side_by_side_where_there_is_room() -> None:
    async with reviewing(REVIEW, size=(150, 36)) as on:
        row = next(line for line in text_of(on, ChangesView).split("\n") if "unquote, urlsplit" in line)
        assert "import urlsplit" in row.partition("│")[0]


async def test_comments_are_written_on_lines_and_sent_together() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("right_square_bracket", "right_square_bracket", "n", "j", "m", *"why", "ctrl+s")
        assert "┃ why" in text_of(on, ChangesView)
        await on.press("n", "j", "j", "v", "j", "m", *"one", "enter", *"line", "ctrl+s")
        assert "2 comments" in text_of(on, ChangesView)
        assert "^s send 2 comments" in text_of(on, ActionBar)
        assert [(each.path, each.first, each.last) for each in on.commands.comments.of(TASK)] == [
            ("shop/auth.py", 3, 3),
            ("shop/auth.py", 12, 13),
        ]
        await on.press("ctrl+s")
        assert on.commands.calls[-1][:2] == ("prompt", scenes.SESSION)
        assert on.commands.calls[-1][2] == PROMPT
        assert on.commands.comments.of(TASK) == ()
        assert "┃" not in text_of(on, ChangesView)


PROMPT = """2 comments on your changes:

**shop/auth.py:3**
```
from urllib.parse import unquote, urlsplit
```
why

**shop/auth.py:12-13**
```
    target = unquote(request.query.get("next", DEFAULT))
    # `//evil.example` is a host of its own, however it looks.
```
one
line"""


async def test_a_comment_has_several_lines_and_the_footer_says_that_enter_begins_one() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("n", "m", *"one")
        assert "^s keep" in text_of(on, ActionBar) and "enter new line" in text_of(on, ActionBar)
        await on.press("enter", *"two", "escape")
        assert [each.text for each in on.commands.comments.of(TASK)] == ["one\ntwo"]


async def test_a_comment_at_the_name_of_a_file_is_on_all_of_it_as_is_one_where_it_has_no_lines() -> None:
    async with reviewing(UNCOMMON_FILES, size=(150, 36)) as on:
        await on.press("m", *"why", "ctrl+s", "right_square_bracket", "j", "m", *"dull")
        assert "Comment on logo.png, the whole file" in text_of(on, ChangesView)
        await on.press("ctrl+s")
        rows = [" ".join(line.split()) for line in text_of(on, ChangesView).split("\n")]
        assert rows[next(at for at, row in enumerate(rows) if "▾ win.txt" in row) + 1] == "┃ why"
        assert "┃ dull" in rows
        # A lost review would be: kept, and nowhere to be seen.
        await on.press("escape")
        assert "2 comments not sent" in text_of(on, WorkColumn)
        await on.press("d", "ctrl+s", "escape")
        assert on.commands.calls[-1][2] == "2 comments on your changes:\n\n**logo.png**\ndull\n\n**win.txt**\nwhy"
        assert "not sent" not in text_of(on, WorkColumn)


async def test_a_comment_is_changed_where_it_stands_and_forgotten_when_it_is_emptied() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("n", "m", *"ab", "escape", "j", "m", "backspace", *"c", "ctrl+s")
        assert [each.text for each in on.commands.comments.of(TASK)] == ["ac"]
        assert "┃ ac" in text_of(on, ChangesView)
        await on.press("m", "backspace", "backspace", "ctrl+s")
        assert on.commands.comments.of(TASK) == ()


async def test_a_comment_whose_line_was_changed_says_so() -> None:
    async with reviewing(REVIEW) as on:
        await on.press("right_square_bracket", "right_square_bracket", "n", "j", "m", *"why", "ctrl+s")
        changed = [
            replace(file, patch=file.patch.replace("import unquote, urlsplit", "import urlsplit, unquote"))
            for file in REVIEW
        ]
        view = on.app.screen.query_one(ChangesView)
        view.show(changed)
        await on.pilot.pause()
        assert "1 comment, 1 outdated" in text_of(on, ChangesView)
        assert "outdated, line 3 was: from urllib.parse import unquote, urlsplit" in text_of(on, ChangesView)
        await on.pilot.resize_terminal(60, 30)
        await on.pilot.pause()
        cut = next(line for line in text_of(on, ChangesView).splitlines() if "outdated, line 3 was" in line)
        assert cut.rstrip("▁▂▃▄▅▆▇█ ").endswith("…"), cut
        view.show([file for file in REVIEW if file.path != "shop/auth.py"])
        await on.pilot.pause()
        assert "6 files" in text_of(on, ChangesView)
        await on.press("G")
        assert "This file is not changed." in text_of(on, ChangesView)


async def test_a_newer_diff_leaves_one_where_one_is() -> None:
    old = "".join(f"line {number}\n" for number in range(90))
    new = old.replace("line 50\n", "line fifty\n")
    async with reviewing((file_diff("b.py", old, new), file_diff("c.py", "1\n", "2\n"))) as on:
        view = on.app.screen.query_one(ChangesView)
        await on.press("n", "j")
        assert at(on).endswith("line fifty")
        view.show((file_diff("a.py", "", old, "A"), file_diff("b.py", old, new.replace("line 20\n", "twenty\n"))))
        await on.pilot.pause()
        assert at(on).endswith("line fifty")


async def test_what_was_not_counted_or_is_cut_says_so() -> None:
    async with reviewing(UNCOMMON_FILES) as on:
        shown = text_of(on, ChangesView)
        assert "not counted" in shown
        assert "+0" not in shown
        assert "+9,000 -0  cut" in shown
        assert "� " not in shown
        assert "+ a line of Windows" in shown
        assert "No lines to show: a binary file" in shown
        assert "cut here; whole it is in" not in shown
        await on.press("G", "o")
        assert "cut here; whole it is in" in text_of(on, ChangesView)
        on.app.screen.query_one(ChangesView).show(UNCOMMON_FILES[1:2])
        await on.pilot.pause()
        assert "1 file  not counted  since base" in text_of(on, ChangesView)


async def test_no_changes_are_said_to_be_none() -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        on.commands.diffs[TASK] = Diff(files=(), computed_at=1)
        await on.press("d", "o", "O", "W", "j", "G", "m")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "No file was changed." in text_of(on, ChangesView)
        await on.press("n")
        assert [note.message for note in on.app._notifications][-1] == "Not now: no file was changed."
        assert "b since" in text_of(on, ActionBar) and "n next hunk" not in text_of(on, ActionBar)


async def test_where_nothing_differs_it_is_said_since_when() -> None:
    async with reviewing(REVIEW) as on:
        on.commands.diffs[TASK] = Diff(files=(), computed_at=2)
        await on.press("b", "down", "enter")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = text_of(on, ChangesView)
        assert "since the last prompt" in shown and "No file differs now from what it was then." in shown


async def test_changes_that_are_not_known_are_not_said_to_be_none() -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        on.commands.diffs[TASK] = Diff(files=(), computed_at=None)
        await on.press("d")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        await on.press("n")
        assert [note.message for note in on.app._notifications][-1] == "Not now: changes are not known yet."


async def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    hostile = "\x1b]2;evil\x1b\\\x1b[2J\x9b31m\x08\x7f\u202eevil"
    patch = f"rename from {hostile}\n@@ -3 +3 @@ {hostile}\n-a{hostile}\n+b\t{hostile}\n\\ No newline at end of file\n"
    file = FileDiff(path=f"src/{hostile}.py", status="M", added=1, removed=1, patch=patch)
    async with reviewing((file,), size=(150, 30)) as on:
        await on.press("n", "m", *"odd", "ctrl+s")
        made = on.commands.comments.of(TASK)[0]
        on.commands.comments.put(TASK, replace(made, text=f"{hostile}\n{hostile}", code="gone"))
        await on.press("c", "c")
        await on.app.workers.wait_for_complete()
        shown = text_of(on, ChangesView)
        assert shown.count("evil") >= 6
        assert all(line.isprintable() for line in shown.split("\n"))


async def test_since_when_is_chosen_in_the_pane_and_said_in_its_head() -> None:
    since = {"last": ("late.py", "1\n", "2\n"), "before-2": ("both.py", "1\n", "2\n")}
    async with reviewing(REVIEW) as on:
        on.commands.kept[TASK] = KEPT
        on.commands.diffs_since = {moment: diff_of(file_diff(*file)) for moment, file in since.items()}
        await on.press("b")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = text_of(on, ChangesView)
        assert "• base" in shown and "the last prompt" in shown and "after a turn" in shown
        await on.press("down", "enter")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = text_of(on, ChangesView)
        assert "1 file  +1 -1  since the last prompt" in shown
        assert "late.py" in shown and "shop/auth.py" not in shown
        await on.press("b", "b")
        assert "late.py" in text_of(on, ChangesView)
        await on.press("b")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        await on.press("j", "j", "down", "enter")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = text_of(on, ChangesView)
        assert "both.py" in shown and "before" in shown.split("\n")[0]
        await on.press("b", "g", "g", "enter")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "7 files" in text_of(on, ChangesView) and "since base" in text_of(on, ChangesView)


async def test_a_comment_on_what_another_turn_changed_is_not_taken_for_outdated() -> None:
    old, new = "a\nb\nc\n", "a\nB\nc\n"
    async with reviewing((file_diff("a.py", old, new),)) as on:
        view = on.app.screen.query_one(ChangesView)
        await on.press("n", "j", "m", "w", "h", "y", "ctrl+s")
        assert "why" in text_of(on, ChangesView)
        view.show((file_diff("z.py", "1\n", "2\n"),), whole=False)
        await on.pilot.pause()
        shown = text_of(on, ChangesView)
        assert "on line 2" in shown and "outdated" not in shown


async def test_while_the_agent_works_what_it_does_is_shown_without_losing_the_place() -> None:
    old = "".join(f"line {number}\n" for number in range(90))
    new = old.replace("line 50\n", "line fifty\n")
    store = scenes.status_scene(TaskStatus.RUNNING)
    async with stage(store, size=(120, 36)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        on.commands.diffs[TASK] = diff_of(file_diff("b.py", old, new))
        await on.press("d")
        await on.app.workers.wait_for_complete()
        await on.press("n", "j", "v")
        assert at(on).endswith("line fifty")
        more = new.replace("line 20\n", "line 20\nfirst\nsecond\nthird\n")
        on.commands.diffs[TASK] = diff_of(file_diff("a.py", "1\n", "2\n"), file_diff("b.py", old, more))
        said = scenes.item(
            len(store.transcript(SESSION)), TranscriptKind.TOOL_CALL, {"title": "edit", "status": "completed"}
        )
        store.apply(Topic(TopicKind.SESSION, SESSION), EventName.TRANSCRIPT, said, 60)
        await on.flush()
        await on.app.workers.wait_for_complete()
        await on.quiet()
        assert "2 files" in text_of(on, ChangesView)
        assert at(on).endswith("line fifty")
        lines = on.app.screen.query_one(ChangesView).lines
        assert lines.range == (lines.cursor, lines.cursor) and lines.marked == lines.cursor


async def test_what_was_changed_far_to_the_right_is_in_sight() -> None:
    old = f"{'one word after the other ' * 8}and then the last of them\n"
    async with reviewing((file_diff("a.md", old, old.replace("last", "very last")),), size=(80, 24)) as on:
        shown = text_of(on, ChangesView)
        assert "- …e other" in shown and "then the very last of them" in shown and "then the last of them" in shown
        await on.press("right")
        assert "then the" not in text_of(on, ChangesView)


async def test_a_renamed_file_says_from_where_also_while_it_is_folded() -> None:
    patch = "similarity index 97%\nrename from shop/old.py\nrename to shop/new.py\n@@ -1 +1 @@\n-1\n+2\n"
    renamed = FileDiff(path="shop/new.py", status="R", added=1, removed=1, patch=f"diff --git a/x b/y\n{patch}")
    async with reviewing((renamed,)) as on:
        assert text_of(on, ChangesView).count("renamed from shop/old.py, 97% alike") == 1
        await on.press("o")
        assert "▸ shop/new.py  renamed from shop/old.py, 97% alike" in at(on)


@pytest.mark.parametrize("size", [(80, 30), (160, 30)])
async def test_long_lines_are_wrapped_on_a_key_and_lose_nothing(size: tuple[int, int]) -> None:
    words = " ".join(f"日本{number}" for number in range(40))
    file = file_diff("notes.txt", f"before\n{words}\nafter\n", f"before\n{words} END\nafter\n")
    async with reviewing([file], size=size) as on:
        lines = on.app.screen.query_one(ChangesView).lines
        await on.press("n")
        cut = lines.line_count
        assert "日本39 END" not in text_of(on, ChangesView) or "日本0 " not in text_of(on, ChangesView)
        await on.press("L")
        rows = [lines.strip_at(row).text for row in range(lines.line_count)]
        assert len(rows) > cut and all(len(row) <= size[0] for row in rows)
        told = "".join(row[13:] if size[0] < 140 else row[row.index("│") + 8 :] for row in rows if "日" in row)
        assert "".join(f"日本{number}" for number in range(40)) + "END" in told.replace(" ", "")
        await on.press("j", "m", *"long", "ctrl+s")
        made = on.commands.comments.of(TASK)[0]
        assert made.code == (words if size[0] < 140 else f"{words} END"), "once, however many rows it has"
        await on.press("L")
        assert lines.line_count == cut + 1


async def test_both_sides_show_the_same_part_of_a_long_line() -> None:
    for before in range(44, 49):
        old = f"{'x' * before} = {'one, two, three, ' * 3}\n"
        async with reviewing((file_diff("a.txt", old, old.replace("= one", "= the one")),), size=(140, 24)) as on:
            await on.press("n")
            left, right = at(on).split("│")
            assert ("…x" in left) == ("…x" in right), before


async def test_a_file_that_only_has_a_comment_is_none_of_those_counted() -> None:
    async with reviewing((file_diff("a.py", "1\n", "2\n"), file_diff("b.py", "1\n", "2\n"))) as on:
        await on.press("n", "m", *"why", "ctrl+s")
        view = on.app.screen.query_one(ChangesView)
        view.show((file_diff("b.py", "1\n", "2\n"), file_diff("c.py", "1\n", "2\n")))
        await on.press("g", "g")
        assert "file 1 of 2" in text_of(on, ChangesView)
        await on.press("G")
        shown = text_of(on, ChangesView)
        assert "▾ a.py" in shown and "file 3" not in shown
        # What the cursor was on is gone: it is where that stood.
        await on.press("m", "ctrl+s")
        view.lines.document.set_comments(())
        assert view.lines.document.find(Place("z.py")) == view.lines.document.start_of(1)


async def test_what_reviewers_said_stands_at_its_lines() -> None:
    old = "".join(f"line {number}\n" for number in range(1, 60))
    new = old.replace("line 9\n", "line 8a\nline nine\n").replace("line 50\n", "line fifty\n")
    said = Comment(comment_id="1", author="mona", body="why nine?", at=1, path="a.py", line=9, code="line nine")
    comments = (
        said,
        replace(said, comment_id="2", body="fine\r\nby me now", resolved=True),
        replace(said, comment_id="3", author="\x1bhub", body="was it needed?", line=None, code="gone", outdated=True),
        replace(said, comment_id="4", body="no test", path="test_a.py", line=7, code=None),
        replace(said, comment_id="5", body="split it up", path=None, line=None, code=None),
    )
    store = scenes.status_scene(TaskStatus.IDLE)
    task = store.detail(TASK)
    assert task is not None
    pull = PullRequest(number=1, url="https://forge/1", title="t", state=PullRequestState.OPEN, at=1, comments=4)
    put_detail(store, replace(task, pull_request=pull, revision=task.revision + 1))
    store.flush()
    async with stage(store, size=(100, 44)) as on:
        on.commands.reviewed[TASK] = comments
        on.commands.diffs[TASK] = diff_of(file_diff("a.py", old, new))
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("d")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = text_of(on, ChangesView)
        assert "5 of reviewers" in shown
        rows = [" ".join(line.split()) for line in shown.split("\n")]
        nine = rows.index("10 + line nine")
        assert rows[nine + 1 : nine + 4] == ["┃ mona", "┃ why nine?", "┃ mona, resolved: fine by me now"]
        assert "┃ ␛hub, outdated" in rows and "┃ was it needed?" in rows
        assert "┃ mona, on line 7" in rows and "┃ no test" in rows
        whole = rows.index("▾ the pull request")
        assert rows[whole + 1 : whole + 3] == ["┃ mona", "┃ split it up"]
        lines = on.app.screen.query_one(ChangesView).lines
        lines.to_row(lines.document.find(Place("a.py", False, 10, below=3)))
        await on.press("o")
        rows = [" ".join(line.split()) for line in text_of(on, ChangesView).split("\n")]
        assert rows[nine + 3 : nine + 6] == ["▌ ┃ mona, resolved", "┃ fine", "┃ by me now"]
        assert "ctrl+s" not in text_of(on, ActionBar)
