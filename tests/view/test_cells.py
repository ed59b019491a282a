"""A text in so many cells fills them exactly, whatever its letters do to each other and to what stands beside it."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from foundry_tui.contract.control_characters import harmless
from foundry_tui.view import cells
from foundry_tui.view.cells import fit

LETTERS = ("a", " ", "日", "👨", "💻", "🏽", "🇩", "🇪", "❤", "\u200b", "\u200d", "\ufe0f", "\u0301", "\u093f", "\xad")
TEXT = st.lists(st.sampled_from(LETTERS), max_size=12).map("".join)


HOSTILE = st.lists(st.sampled_from((*LETTERS, "🏿", "\u200d" * 3, "\u0300", "ष")), max_size=12).map("".join)


@given(HOSTILE, st.integers(2, 14))
@example("\u200da\u200db\u200dc", 6)
@example("👩\u200d💻👍🏽❤\ufe0f", 9)
def test_it_has_the_same_cells_also_on_a_terminal_that_joins_nothing(text: str, width: int) -> None:
    assert sum(map(get_character_cell_size, fit(text, width))) == width
    assert sum(map(get_character_cell_size, cells.fit_end(text, width))) <= width


@given(HOSTILE)
@example("\u200d日")
@example("a\u200db")
@example("x\ufe0f\u200d👩")
def test_no_joiner_is_shown_that_joins_no_two_pictures(text: str) -> None:
    shown = harmless(text)
    assert shown.replace("\u200d", "") == text.replace("\u200d", "")
    assert not re.search("(^|[a 日ष])\ufe0f?\u200d|\u200d($|[a 日ष\u200d\ufe0f])", shown)


def test_pictures_stay_joined() -> None:
    for text in ("👩\u200d💻", "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈", "👩🏽\u200d🚀", "🧔\u200d♂\ufe0f"):
        assert harmless(text) == text


@given(HOSTILE)
@example("👨\u200d👩\u200d👧 end")
@example("👩🏽\u200d🚀👍🏿.")
@example("❤\ufe0f 1\ufe0f\u20e3|")
@example("🏳\ufe0f\u200d🌈 🧔\u200d♂\ufe0f")
def test_a_picture_made_of_more_keeps_the_cells_that_it_was_laid_out_for_on_any_terminal(text: str) -> None:
    text = harmless(text)
    shown = cells.kept_in_cells(text)
    assert not cells.is_made_of_more(shown)
    assert sum(map(get_character_cell_size, shown)) == cell_len(text)


@given(TEXT, st.integers(1, 14))
@example("👨\u200d", 4)
@example("\u200d日", 4)
@example("日本日本\u200d日", 9)
def test_it_fills_its_cells_alone_and_between_others(text: str, width: int) -> None:
    fitted = fit(text, width)
    assert cell_len(fitted) == width
    assert cell_len(f"x {fitted}  ") == width + 4


@given(st.text(st.sampled_from("ab/日é\u0301\u200d👩💻☂\ufe0f\x1b") | st.characters(), max_size=30), st.integers(1, 20))
def test_the_end_of_a_text_takes_no_more_cells_than_it_may(text: str, width: int) -> None:
    shown = cells.fit_end(text, width)
    assert cell_len(shown) <= width
    whole = cells.flat(text)
    assert shown == whole or whole.endswith(shown.removeprefix("…"))


def test_of_a_long_path_no_more_is_measured_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def measure(text: str) -> int:
        nonlocal measured
        measured += len(text)
        return cell_len(text)

    monkeypatch.setattr(cells, "cell_len", measure)
    path = "日本/" * 1_000
    assert cells.fit_end(path, 12) == "…/日本/日本/"
    assert measured < len(path) + 100
