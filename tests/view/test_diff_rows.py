"""Patches taken apart, their rows in one column and side by side, changed words, and finding a place again."""

import time

import pytest

from foundry_tui.client.comments import Comment
from foundry_tui.contract.records import FileDiff
from foundry_tui.view.diff_rows import DiffDocument, Place, RowKind
from foundry_tui.view.diffs import DiffMark
from foundry_tui.view.folded_files import size_words, why_folded
from foundry_tui.view.patches import aligned, parse_patch, without_space_changes
from foundry_tui.view.word_changes import word_changes
from tests.app.diff_scenes import HUGE, LOCK, LOGO, REVIEW, SPACES, file_diff


def shown(document: DiffDocument) -> list[str]:
    """The rows as words: heads, gaps and the two sides."""
    found = []
    for number in range(document.row_count):
        at, row = document.row_at(number)
        file = document.files[at]
        lines = file.patch.lines if row.kind is RowKind.CODE else ()
        sides = [lines[side].text if lines and side >= 0 else "~" for side in (row.left, row.right)]
        found.append(
            {
                RowKind.FILE: f"# {file.diff.path}",
                RowKind.GAP: f"... {row.left} {row.text}".rstrip(),
                RowKind.CODE: " | ".join(sides) if document.split else sides[0],
                RowKind.NOTE: f"({row.text})",
                RowKind.BLANK: "",
            }[row.kind]
        )
    return found


def document_of(*files: FileDiff, split: bool = False) -> DiffDocument:
    document = DiffDocument()
    document.set_split(split)
    document.show(files)
    return document


def test_both_sides_have_their_numbers_and_gaps_are_counted() -> None:
    patch = parse_patch(
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -3,2 +3,3 @@ def f():\n one\n-two\n+zwei\n+drei\n"
        "@@ -20 +21 @@\n--- no head\n+++ no head\n\\ No newline at end of file\n"
    )
    assert [(line.mark, line.text, line.old, line.new) for line in patch.lines] == [
        (DiffMark.CONTEXT, "one", 3, 3),
        (DiffMark.REMOVED, "two", 4, 0),
        (DiffMark.ADDED, "zwei", 0, 4),
        (DiffMark.ADDED, "drei", 0, 5),
        (DiffMark.REMOVED, "-- no head", 20, 0),
        (DiffMark.ADDED, "++ no head", 0, 21),
    ]
    assert [(hunk.skipped, hunk.heading) for hunk in patch.hunks] == [(2, "def f():"), (15, "")]
    assert [line.ended for line in patch.lines] == [True] * 5 + [False]


def test_a_file_that_became_a_link_has_the_lines_of_both_sections() -> None:
    patch = parse_patch(
        "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n"
        "diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+target\n"
    )
    assert [line.text for line in patch.lines] == ["one", "target"]
    assert patch.notes == ("a link",)


def test_lines_that_end_as_on_windows_are_shown_without_that_unless_it_is_the_difference() -> None:
    same = parse_patch("@@ -1,2 +1,2 @@\n one\r\n-two\r\n+three\r\n")
    assert [line.text for line in same.lines] == ["one", "two", "three"]
    mixed = parse_patch("@@ -1 +1 @@\n-one\n+one\r\n")
    assert [line.text for line in mixed.lines] == ["one", "one^M"]


def test_rows_in_one_column_and_side_by_side() -> None:
    file = file_diff("x.py", "a\nkeep = one(two)\nb\n", "a\nnew\nkeep = one(three)\nb\n")
    assert shown(document_of(file)) == ["# x.py", "a", "keep = one(two)", "new", "keep = one(three)", "b"]
    split = document_of(file, split=True)
    assert shown(split) == ["# x.py", "a | a", "~ | new", "keep = one(two) | keep = one(three)", "b | b"]
    split.show([file_diff("x.py", "", "new\n", "A")])
    assert not split.files[0].split, "half of it would be empty"


def test_similar_lines_stand_beside_each_other() -> None:
    patch = parse_patch("@@ -1,3 +1,2 @@\n-alpha(one)\n-beta(two)\n-gamma(three)\n+beta(2)\n+gamma(3)\n")
    assert aligned(patch.lines, range(3), range(3, 5)) == [(0, -1), (1, 3), (2, 4)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("target = get(next)", "target = unquote(get(next))", ([], ["unquote(", ")"])),
        ("a = one + two", "a = one - two", (["+"], ["-"])),
        ("return x", "for y in z:", ([], [])),
        ("", "new", ([], [])),
        ("same", "same", ([], [])),
        ("x" * 5_000, "x" * 4_999 + "y", ([], [])),
    ],
)
def test_changed_words(old: str, new: str, words: tuple[list[str], list[str]]) -> None:
    before, after = word_changes(old, new)
    assert ([old[a:b] for a, b in before], [new[a:b] for a, b in after]) == words


def test_changed_words_of_the_worst_lines_take_a_bounded_time() -> None:
    began = time.process_time()
    for number in range(10):
        word_changes("a b " * 240 + str(number), "b a " * 240)
    assert time.process_time() - began < 0.5


def test_changes_of_white_space_can_be_left_out() -> None:
    document = document_of(SPACES)
    assert "  echo 1" in shown(document) and "echo 1" in shown(document)
    document.ignore_space(True)
    assert "echo 1" not in shown(document)
    only = without_space_changes(parse_patch("@@ -1 +1 @@\n-a b\n+a  b\n"))
    assert only.hunks == ()


def test_what_nobody_reads_is_folded_and_says_how_much_it_is() -> None:
    assert [why_folded(file) for file in (LOCK, HUGE, LOGO, SPACES)] == ["generated", "huge", "binary", ""]
    assert size_words(LOCK) == "1,152 changed lines"
    said = file_diff("api.go", "", "// Code generated by protoc. DO NOT EDIT.\npackage api\n", "A")
    assert why_folded(said) == "generated"
    speaks_of_it = file_diff("a.py", "", 'WORDS = "@generated"\n', "A")
    assert why_folded(speaks_of_it) == ""
    document = document_of(LOCK, HUGE)
    assert shown(document) == [f"# {LOCK.path}", f"# {HUGE.path}"]
    document.fold(1, False)
    assert document.row_count == 2 + 2_400


def test_a_place_is_found_again_in_a_newer_diff() -> None:
    old = "".join(f"line {number}\n" for number in range(60))
    new = old.replace("line 40\n", "line forty\n")
    document = document_of(file_diff("a.py", "x\n", "y\n"), file_diff("b.py", old, new))
    row = next(at for at, text in enumerate(shown(document)) if text == "line forty")
    place = document.place_of(row)
    assert place == Place("b.py", False, 41, text="line forty")
    document.show((file_diff("_.py", "", "1\n2\n3\n", "A"), file_diff("b.py", old, new.replace("line 3\n", ""))))
    assert shown(document)[document.find(place)] == "line forty"
    assert document.find(Place("a.py", False, 1)) == document.start_of(1)


def test_files_that_stayed_are_not_taken_apart_again() -> None:
    document = document_of(*REVIEW)
    before = document.files
    document.show(REVIEW)
    assert all(one is other for one, other in zip(before, document.files, strict=True))


def test_search_counts_capital_letters_only_if_there_are_any() -> None:
    document = document_of(*REVIEW)
    assert len(document.search("hello")) == 2
    assert document.search("HELLO, ") == []
    assert document.search("nowhere in it") == []


def test_what_was_not_counted_is_not_taken_for_nothing() -> None:
    assert document_of(LOGO, SPACES).totals() == (2, 1, 1)


@pytest.mark.parametrize("first", [0, 70])
def test_a_comment_on_no_line_that_is_shown_stands_at_the_head_also_side_by_side(first: int) -> None:
    document = document_of(file_diff("a.py", "one\n", "zwei\ndrei\nvier\n"), split=True)
    assert any(-1 in (row.left, row.right) for row in document.files[0].rows if row.kind is RowKind.CODE)
    document.set_comments([Comment(comment_id="1", path="a.py", first=first, last=first, text="why")])
    assert document.row_at(1)[1].kind is RowKind.COMMENT
