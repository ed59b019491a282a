"""Files are found by a few letters, the best first, in small steps."""

from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.view.file_search import PIECE, find, index_of, letters

T = TypeVar("T")

FILES = (
    "src/app/task_screen.py",
    "src/app/tasks_screen.tcss",
    "src/task/screen.py",
    "tests/test_screen.py",
    "docs/Task List.md",
    "task.py",
    "deep/er/still/task.py",
    "src/tools/ask.py",
)


def run(steps: Generator[None, None, T]) -> tuple[T, int]:
    """What comes of it, and in how many steps."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result, count
        count += 1


def found(query: str, files: tuple[str, ...] = FILES, most: int = 50) -> list[str]:
    index, _ = run(index_of(files))
    return list(run(find(index, query, most))[0])


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("task", ["task.py", "deep/er/still/task.py", "docs/Task List.md", "src/app/task_screen.py"]),
        ("SCREEN", ["src/task/screen.py", "tests/test_screen.py", "src/app/task_screen.py"]),
        ("tsc", ["tests/test_screen.py", "src/app/task_screen.py", "src/app/tasks_screen.tcss"]),
        ("task/s", ["src/task/screen.py"]),
        ("k li", ["docs/Task List.md"]),
        ("", ["task.py"]),
    ],
)
def test_the_best_come_first(query: str, first: list[str]) -> None:
    assert found(query)[: len(first)] == first


def test_what_lacks_a_letter_is_not_found() -> None:
    assert found("taskz") == []
    assert len(found("t", most=3)) == 3


NAMES = st.text(st.sampled_from("ab/_.ß\nİ"), min_size=1, max_size=8)


@given(st.lists(NAMES, max_size=12, unique=True), st.text(st.sampled_from("abAß_"), min_size=1, max_size=3))
@settings(max_examples=60)
def test_all_that_have_the_letters_are_found_and_no_others(files: list[str], query: str) -> None:
    assert set(found(query, tuple(files))) == {file for file in files if letters(file, query)}


def test_many_files_are_searched_in_pieces() -> None:
    files = tuple(f"folder{number % 7}/file{number}.py" for number in range(5 * PIECE))
    index, steps = run(index_of(files))
    assert steps == 10
    assert run(find(index, "zz", 50)) == ((), 35)
    assert run(find(index, "f2504py", 50))[0] == ("folder5/file2504.py",)
