"""A text in so many cells fills them exactly, whatever its letters do to each other and to what stands beside it."""

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

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
