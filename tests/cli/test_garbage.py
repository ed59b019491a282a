"""What screens leave behind is looked through in a pause, and never while somebody types."""

import gc
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from time import monotonic
from typing import cast

import pytest

from foundry_tui.cli.startup import garbage


class Loop:
    """What it is to call is called by the test."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.later.append((seconds, callback))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The generations that are looked through, as they are."""
    monkeypatch.setattr(garbage, "YOUNG", 1_000)
    seen: list[int] = []

    def heard(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            seen.append(info["generation"])

    gc.callbacks.append(heard)
    yield seen
    gc.callbacks.remove(heard)


def make_many() -> list[list[int]]:
    return [[] for _ in range(garbage.YOUNG * (garbage.OFTEN + 1))]


def test_all_is_looked_through_in_a_pause_once_much_was_made(looks: list[int]) -> None:
    loop = Loop()
    with garbage.collected_in_pauses(cast("AbstractEventLoop", loop), lambda: 0.0):
        for _ in range(2):
            looks.clear()
            assert make_many()
            assert set(looks) == {0}, "not where it was made"
            loop.soon.pop()()
            assert looks[-1] == 2
    assert not (loop.soon or loop.later)


def test_nobody_who_types_waits_for_it(looks: list[int]) -> None:
    loop, typed_at = Loop(), monotonic() + 10
    with garbage.collected_in_pauses(cast("AbstractEventLoop", loop), lambda: typed_at):
        looks.clear()
        assert make_many()
        loop.soon.pop()()
        for _ in range(3):
            seconds, again = loop.later.pop()
            assert garbage.PAUSE_SECONDS + 9 < seconds <= garbage.PAUSE_SECONDS + 10
            again()
        assert set(looks) == {0}
        typed_at = 0.0
        loop.later.pop()[1]()
        assert looks[-1] == 2
