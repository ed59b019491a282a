"""Tests of the app wait until it is idle: for all that runs, is due soon, is in a thread, or is to be drawn."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import anyio.to_thread
import pytest
from textual._compositor import Compositor
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from tests.app import idle
from tests.app.idle import until_idle

pytestmark = pytest.mark.anyio

FAR = 600.0
"""Seconds until what no test waits for."""


async def test_what_runs_on_and_on_is_waited_for_to_its_end() -> None:
    loop, turns = asyncio.get_running_loop(), 0

    def take_turn() -> None:
        nonlocal turns
        turns += 1
        if turns < 100:
            loop.call_soon(take_turn)

    loop.call_soon(take_turn)
    await until_idle()
    assert turns == 100


async def test_what_never_ends_is_not_waited_for_to_its_end() -> None:
    loop, over = asyncio.get_running_loop(), False

    def go_on() -> None:
        if not over:
            loop.call_soon(go_on)

    loop.call_soon(go_on)
    await until_idle(max_sleep=0.01)
    over = True


async def test_a_timer_that_is_due_soon_is_waited_for_and_a_later_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SOON", 1)
    rung: list[str] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later(FAR, rung.append, "later")
    loop.call_later(0.05, rung.append, "soon")
    await until_idle()
    later.cancel()
    assert rung == ["soon"]


async def in_executor(work: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, work)


@pytest.mark.parametrize("run", [in_executor, anyio.to_thread.run_sync])
async def test_what_is_done_in_a_thread_is_waited_for_with_what_follows_it(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[Callable[[], object]], Awaitable[object]]
) -> None:
    monkeypatch.setattr(idle, "SOON", FAR)
    done: list[str] = []

    def work() -> None:
        threading.Event().wait(0.05)
        done.append("work")

    async def work_and_go_on() -> None:
        await run(work)
        done.append("what follows")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work_and_go_on())
        await until_idle(max_sleep=FAR)
        assert done == ["work", "what follows"]


class OneLine(App[None]):
    """Shows how often it was asked to go on."""

    BINDINGS: ClassVar[list[BindingType]] = [("n", "next", "Next")]
    asked = 0

    def compose(self) -> ComposeResult:
        yield Static("0")

    def action_next(self) -> None:
        self.asked += 1
        self.query_one(Static).update(str(self.asked))


async def test_what_a_key_changes_is_drawn_when_the_pilot_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    render = Compositor.render_update

    def note(self: Compositor, *arguments: Any, **named: Any) -> Any:
        drawn.append("".join(str(strip.text) for strip in self.render_strips()).strip())
        return render(self, *arguments, **named)

    async with OneLine().run_test(size=(10, 1)) as pilot:
        await pilot.pause()
        monkeypatch.setattr(Compositor, "render_update", note)
        for number in "123":
            await pilot.press("n")
            assert drawn[-1:] == [number]
