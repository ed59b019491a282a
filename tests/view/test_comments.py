"""Where comments stand in a newer diff, and that several processes keep them in one file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from foundry_tui.client.comments import Comment, KeptComments
from foundry_tui.contract.ids import uuid7
from foundry_tui.view.comments import CommentState, comment_on, comments_prompt, placed, prompt_id_of
from foundry_tui.view.patches import parse_patch

PATCH = "@@ -10,3 +10,4 @@\n keep\n-old\n+new\n+more\n end\n"
LINES = parse_patch(PATCH).lines


@pytest.mark.parametrize(
    ("patch", "state", "first"),
    [
        (PATCH, CommentState.CURRENT, 11),
        (PATCH.replace("-10,3 +10,4", "-10,3 +50,4"), CommentState.CURRENT, 51),
        (PATCH.replace("+more", "+others"), CommentState.OUTDATED, 11),
        (PATCH.replace("+new\n", "+new\n+between\n").replace("+10,4", "+10,5"), CommentState.OUTDATED, 11),
        ("", CommentState.OUTDATED, 11),
    ],
    ids=["same", "moved", "changed", "parted", "gone"],
)
def test_where_a_comment_stands(patch: str, state: CommentState, first: int) -> None:
    comment = comment_on(uuid7(), "x.py", LINES[2:4], "why")
    assert (comment.first, comment.last, comment.code) == (11, 12, "new\nmore")
    found = placed(comment, parse_patch(patch).lines)
    assert (found.state, found.comment.first) == (state, first)


def test_a_comment_on_removed_lines_counts_in_the_old_file() -> None:
    comment = comment_on(uuid7(), "x.py", LINES[1:2], "keep it")
    assert (comment.old, comment.first) == (True, 11)
    assert placed(comment, LINES).place == 1
    assert "**x.py:11** (lines that you removed)" in comments_prompt([placed(comment, LINES)])


def test_lines_that_the_diff_does_not_show_are_not_said_to_be_outdated() -> None:
    comment = Comment(comment_id=uuid7(), path="x.py", first=70, last=70, code="far", text="here too")
    assert placed(comment, LINES).state is CommentState.OUTSIDE


def test_code_with_fences_is_fenced_whole() -> None:
    comment = Comment(comment_id=uuid7(), path="x.md", first=1, last=2, code="```\n````", text="odd")
    assert "\n`````\n```\n````\n`````\n" in comments_prompt([placed(comment, ())])


def test_the_same_comments_are_the_same_prompt() -> None:
    comment = Comment(comment_id=uuid7(), path="x.py", first=1, last=1, text="a")
    assert prompt_id_of((comment,)) == prompt_id_of((comment,))
    assert prompt_id_of((comment,)) != prompt_id_of((replace(comment, text="b"),))


def test_comments_of_several_processes_are_all_kept(tmp_path: Path) -> None:
    made = [Comment(comment_id=uuid7(), path="x.py", first=n, last=n, text=f"{n}") for n in range(1, 25)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: KeptComments(tmp_path / "c").put("task", each), made))
    kept = KeptComments(tmp_path / "c")
    assert sorted(kept.of("task"), key=lambda each: each.first) == made
    kept.put("task", replace(made[0], text="changed meanwhile"))
    assert [each.text for each in kept.remove("task", made)] == ["changed meanwhile"]
    assert kept.of("another") == ()


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text("{")
    comments = KeptComments(tmp_path)
    with pytest.raises(OSError, match=r"cannot be read, and are in .*task\.json\.damaged now"):
        comments.of("task")
    assert comments.of("task") == ()
    (tmp_path / "task.json").write_text("[")
    with pytest.raises(OSError, match=r"task\.json\.damaged1 now"):
        comments.put("task", Comment(comment_id=uuid7(), path="x", first=1, last=1, text="x"))
    assert [(tmp_path / f"task.json.damaged{more}").read_text() for more in ("", "1")] == ["{", "["]
