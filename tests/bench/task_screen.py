"""From the key that creates a task to its screen, against pushing an empty screen of Textual's."""

import asyncio
import time

from textual.screen import Screen
from textual.widgets import TextArea

from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.task import TaskScreen
from tests.app.factories import task_id
from tests.app.harness import Stage, stage
from tests.app.task_scenes import status_scene
from tests.bench.figure import Figure, against_floor, fastest_half

ROUNDS = 15
SIZE = (120, 36)


async def _painted(screen: Screen[None]) -> None:
    done = asyncio.Event()
    screen.call_after_refresh(done.set)
    await done.wait()


async def _empty(on: Stage) -> float:
    began = time.perf_counter()
    screen: Screen[None] = Screen()
    on.app.push_screen(screen)
    await _painted(screen)
    return time.perf_counter() - began


async def _task(on: Stage, number: int) -> float:
    await on.press("n")
    dialog = on.app.screen
    assert isinstance(dialog, NewTaskScreen)
    dialog.query_one(TextArea).load_text("fix it")
    on.store.create(_request(on.commands.next_id, number))
    await on.pilot.pause(0.1)
    began = time.perf_counter()
    dialog.action_create()
    screen = on.app.screen
    assert isinstance(screen, TaskScreen)
    await _painted(screen)
    return time.perf_counter() - began


def _request(next_id: int, number: int) -> CreateTask:
    return CreateTask(task_id=task_id(next_id), session_id=f"bench-{number}", repo="/src/shop", prompt="fix it")


async def _measure() -> tuple[float, float]:
    floors, tasks = [], []
    async with stage(status_scene(TaskStatus.IDLE), size=SIZE) as on:
        for number in range(ROUNDS):
            floors.append(await _empty(on))
            await on.app.pop_screen()
            await on.pilot.pause()
            tasks.append(await _task(on, number))
            await on.app.pop_screen()
            await on.pilot.pause()
    return fastest_half(tasks[1:]), fastest_half(floors[1:])


def run() -> list[Figure]:
    task, floor = asyncio.run(_measure())
    name = "key press in the dialog → task screen painted"
    return [against_floor(name, task * 1000, floor * 1000, "ms", 2, "against an empty screen")]
