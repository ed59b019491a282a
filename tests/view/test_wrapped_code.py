"""Long lines of code in rows: none wider than there is room, nothing lost, words whole where that costs little."""

import pytest
from rich.cells import cell_len

from foundry_tui.view.wrapped_code import UNENDED, row_starts

ROOM = 20


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("x" * 20, ["x" * 20]),
        ("x" * 21, ["x" * 20, "x"]),
        ("    return request.query", ["    return ", "request.query"]),
        ("a verylongwordthatgoeson", ["a verylongwordthatgo", "eson"]),
        ("日本語" * 4, ["日本語日本語日本語日", "本語"]),
        ("e\u0301" * 22, ["e\u0301" * 20, "e\u0301" * 2]),
        ("x\u0301\u0301\u0301\u0301" * 30, ["x\u0301\u0301\u0301\u0301" * 16, "x\u0301\u0301\u0301\u0301" * 14]),
        ("x日" * 8, ["x日x日x日x日x日x日x", "日x日"]),
    ],
)
def test_rows_are_no_wider_than_the_room(text: str, rows: list[str]) -> None:
    starts = row_starts(text, ROOM)
    assert [text[at:end] for at, end in zip(starts, [*starts[1:], None], strict=True)] == rows
    assert all(cell_len(row) <= ROOM for row in rows)


def test_there_is_room_for_the_words_behind_the_last_line() -> None:
    assert len(row_starts("x" * 20, ROOM, ended=False)) == 3, UNENDED
