"""The recording of the demo: what changed is written, where it stands, and nothing else."""

import json

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from foundry_tui.demo.cast import KEYS, SECONDS, Cast

RED = Style(color="red")


def rows(*texts: str) -> list[Strip]:
    """Lines whose first and last character stand apart from what is between."""
    return [Strip([Segment(text[0]), Segment(text[1:-1], RED), Segment(text[-1])]) for text in texts]


def test_the_first_picture_is_whole_and_the_next_only_what_changed() -> None:
    cast = Cast(4, 2)
    cast.picture(0.0, rows("abcd", "efgh"))
    cast.picture(0.5, rows("abcd", "efgh"))
    cast.picture(0.7, [])
    cast.picture(1.0, rows("abcd", "eXYh"))
    header, first, second = (json.loads(line) for line in str(cast).splitlines())
    assert (header["version"], header["width"], header["height"]) == (2, 4, 2)
    assert first[:2] == [0.0, "o"]
    assert all(letters in first[2] for letters in ("\x1b[2J", "\x1b[1;1H", "bc", "\x1b[2;1H", "fg"))
    assert second[:2] == [1.0, "o"]
    assert second[2] == "\x1b[2;2H\x1b[0;31mXY"


def test_wide_letters_before_a_change_take_two_columns() -> None:
    cast = Cast(6, 1)
    cast.picture(0.0, [Strip([Segment("日本"), Segment("a", RED), Segment("b")])])
    cast.picture(1.0, [Strip([Segment("日本"), Segment("c", RED), Segment("b")])])
    assert json.loads(str(cast).splitlines()[-1])[2].startswith("\x1b[1;5H")


def test_keys_are_pressed_in_order_and_before_its_end() -> None:
    times = [at for at, _ in KEYS]
    assert times == sorted(times)
    assert times[-1] < SECONDS < 60
