"""A text in so many cells fills them exactly, whatever its letters do to each other and to what stands beside it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from foundry_tui.view import cells
from foundry_tui.view.cells import fit

LETTERS = ("a", " ", "日", "👨", "💻", "🏽", "🇩", "🇪", "❤", "\u200b", "\u200d", "\ufe0f", "\u0301", "\u093f", "\xad")
TEXT = st.lists(st.sampled_from(LETTERS), max_size=12).map("".join)


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
    whole = cells.plain(text)
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
