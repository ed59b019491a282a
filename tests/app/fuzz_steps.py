"""What hands and backend do at random to the app, one step at a time, and what must hold after each."""

import re
from collections.abc import Callable, Sequence
from random import Random

from msgspec import Struct
from textual import events
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Size
from textual.keys import REPLACED_KEYS, key_to_character
from textual.widgets import TextArea

from foundry_tui.actions.table import ACTIONS
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.view.order import TaskOrder
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.task_list import TaskList
from tests.app.fuzz_backend import TEXTS, RandomBackend
from tests.app.harness import Stage
from tests.app.looking import check_drawn

SIZES = ((1, 1), (2, 40), (20, 5), (16, 4), (40, 12), (60, 24), (80, 24), (120, 36), (100, 8), (240, 70), (300, 2))
KEYS = sorted(
    {key for action in ACTIONS for key in re.split("[, ]", action.keys) if key}
    | {"backspace", "delete", "ctrl+w", "ctrl+u", "ctrl+k", "ctrl+z", "ctrl+y", "ctrl+c", "ctrl+v", "ctrl+x"}
    | {"left", "right", "ctrl+left", "ctrl+right", "shift+left", "shift+down", "shift+home", "ctrl+shift+k"}
    | {"ctrl+home", "ctrl+end", "ctrl+pageup", "f3", "f6", "f7", "f10", "insert", "at", "z", "0", "alt+left"}
)
OFTEN = ("enter", "escape", "tab", "shift+tab", "down", "up", "space", "n", "ctrl+p", "ctrl+s", "i", "t", "v", "slash")


class Scene(Struct):
    """The app that is played with, and the world around it."""

    stage: Stage
    world: RandomBackend


class Step(Struct, frozen=True):
    """One thing that happens; its effects come later."""

    def do(self, scene: Scene) -> None:
        raise NotImplementedError


class Press(Step, frozen=True):
    """A key."""

    key: str

    def do(self, scene: Scene) -> None:
        character = key_to_character(REPLACED_KEYS.get(self.key, self.key))
        scene.stage.app.post_message(events.Key(self.key, character))


class Do(Step, frozen=True):
    """A key of one of the actions that apply now."""

    which: int

    def do(self, scene: Scene) -> None:
        app = scene.stage.app
        keys = [key for action in app.actions_of(app.screen) for key in app.keys_of(action)]
        if keys:
            for key in keys[self.which % len(keys)].split(" "):
                Press(key).do(scene)


class Write(Step, frozen=True):
    """Text that is typed at once."""

    text: str

    def do(self, scene: Scene) -> None:
        for letter in self.text:
            scene.stage.app.post_message(events.Key(letter, letter))


class Paste(Step, frozen=True):
    """Text that is pasted."""

    text: str

    def do(self, scene: Scene) -> None:
        scene.stage.app.post_message(events.Paste(self.text))


class Mouse(Step, frozen=True):
    """A press, a release, a move or a turn of the wheel, as a terminal sends it, anywhere."""

    x: int
    y: int
    code: int
    up: bool = False

    def do(self, scene: Scene) -> None:
        size = scene.stage.app.size
        x, y = self.x % max(1, size.width), self.y % max(1, size.height)
        scene.stage.type(f"\x1b[<{self.code};{x + 1};{y + 1}{'m' if self.up else 'M'}")


class Click(Step, frozen=True):
    """One click or more."""

    x: int
    y: int
    times: int

    def do(self, scene: Scene) -> None:
        for _ in range(self.times):
            Mouse(self.x, self.y, 0).do(scene)
            Mouse(self.x, self.y, 0, up=True).do(scene)


class Drag(Step, frozen=True):
    """The mouse is pressed here, moved, and released there."""

    x: int
    y: int
    to_x: int
    to_y: int

    def do(self, scene: Scene) -> None:
        Mouse(self.x, self.y, 0).do(scene)
        Mouse(self.to_x, self.to_y, 32).do(scene)
        Mouse(self.to_x, self.to_y, 0, up=True).do(scene)


class Resize(Step, frozen=True):
    """The terminal has another size."""

    width: int
    height: int

    def do(self, scene: Scene) -> None:
        app, size = scene.stage.app, Size(self.width, self.height)
        assert isinstance(app._driver, HeadlessDriver)
        app._driver._size = size
        app.post_message(events.Resize(size, size))


class Find(Step, frozen=True):
    """The palette is asked for something, and the first that it finds is taken."""

    text: str

    def do(self, scene: Scene) -> None:
        Press("ctrl+p").do(scene)
        Write(self.text).do(scene)
        Press("enter").do(scene)


class Pass(Step, frozen=True):
    """Time passes, in milliseconds."""

    milliseconds: int

    def do(self, scene: Scene) -> None:
        scene.world.clock.advance(self.milliseconds)
        scene.stage.app._tick()


class Change(Step, frozen=True):
    """Something happens at the backend; a method of `RandomBackend`."""

    what: str
    numbers: tuple[int, ...] = ()

    def do(self, scene: Scene) -> None:
        getattr(scene.world, self.what)(*self.numbers)
        scene.world.store.flush()


class Together(Step, frozen=True):
    """Several things before the app has dealt with the first of them."""

    steps: Sequence[Step]

    def do(self, scene: Scene) -> None:
        for step in self.steps:
            step.do(scene)


_WORDS = (*"abnqxyr/?:", "status:failed !x", "mend the gate", "日本 é", "repo:docs", "w" * 90, "[/] %s")
_CHANGES = {
    0: ("answer", "answer", "connect", "begin_anew"),
    1: ("say_freshness", "create", "remove", "settle_creation", "settle_creation"),
    2: ("move", "move", "move", "rename", "add_session", "ask", "say", "say", "print", "note", "fail"),
}
"""Methods of `RandomBackend` by how many numbers they take, as often as they are to come."""


def _place(rng: Random) -> int:
    return rng.randrange(300)


def _change(rng: Random) -> Step:
    count = rng.choice((0, 1, 2, 2, 2))
    return Change(rng.choice(_CHANGES[count]), tuple(rng.randrange(60) for _ in range(count)))


_MAKERS: tuple[Callable[[Random], Step], ...] = (
    lambda rng: Press(rng.choice(KEYS)),
    lambda rng: Press(rng.choice(OFTEN)),
    lambda rng: Do(rng.randrange(60)),
    lambda rng: Do(rng.randrange(60)),
    lambda rng: Write(rng.choice(_WORDS)),
    lambda rng: Paste(rng.choice(TEXTS)),
    lambda rng: Click(_place(rng), _place(rng), rng.randint(1, 3)),
    lambda rng: Drag(_place(rng), _place(rng), _place(rng), _place(rng)),
    lambda rng: Mouse(_place(rng), _place(rng), rng.choice((2, 16, 35, 64, 65, 66, 67, 68)), rng.random() < 0.2),
    lambda rng: Resize(*rng.choice(SIZES)),
    lambda rng: Find(rng.choice(_WORDS)),
    lambda rng: Pass(rng.choice((0, 90, 1_000, 61_000, 90_000_000))),
    *[_change] * 8,
)


def steps_of(rng: Random, count: int) -> list[Step]:
    """So many steps at random."""

    def single() -> Step:
        return rng.choice(_MAKERS)(rng)

    return [
        Together([single() for _ in range(rng.randint(2, 4))]) if rng.random() < 0.2 else single() for _ in range(count)
    ]


async def play(scene: Scene, step: Step) -> None:
    """Do a step, wait until it is over, and see that all holds."""
    stage = scene.stage
    written = _written(scene)
    step.do(scene)
    await stage.quiet()
    if scene.world.store.is_dirty:
        # Of what was asked for.
        scene.world.store.flush()
        await stage.quiet()
    for task_list in stage.app.screen_stack[0].query(TaskList):
        task_list.settle()
    _check(scene)
    if not isinstance(step, (Together, Find)):
        _check_kept(scene, written)


def _check(scene: Scene) -> None:
    app = scene.stage.app
    if app._exception is not None:
        raise app._exception
    assert app.is_running, "the app has ended"
    assert app.screen.is_running and app.screen.is_attached, "the screen on top does not live"
    focused = app.focused
    if focused is not None:
        assert focused.is_attached and focused.screen is app.screen, f"{focused} has the focus and is not there"
        hidden = [place for place in focused.ancestors_with_self if hasattr(place, "display") and not place.display]
        assert not hidden, f"{focused} has the focus and is not shown, as {hidden} is not"
    task_list = app.screen_stack[0].query_one(TaskList)
    order, store = task_list.order, scene.world.store
    fresh = TaskOrder(lambda: store.tasks, task_list._is_refused)
    fresh.regroup(order.grouping, order.sorting)
    fresh.filter(order.query)
    assert order.lines == fresh.lines, "the list is not what it would be if it were made anew"
    assert order.counts == fresh.counts, "the counts are not those of the tasks"
    assert (task_list.cursor in order.position) if order.position else task_list.cursor is None, "the cursor is nowhere"
    assert task_list.marked <= store.tasks.keys(), "a task is marked that is no more"
    check_drawn(app)


def _written(scene: Scene) -> dict[object, str]:
    """What is written and not sent, by where it is."""
    found: dict[object, str] = {}
    for screen in scene.stage.app.screen_stack:
        if isinstance(screen, NewTaskScreen) and screen.is_mounted:
            found[screen] = screen.query_one(TextArea).text
        elif isinstance(screen, TaskScreen) and screen.is_mounted:
            composer = screen.query_one(Composer)
            if composer._recalled is None:
                found[screen, screen._session_id] = composer.text
    return found


def _check_kept(scene: Scene, before: dict[object, str]) -> None:
    """What was written where one cannot write any more is kept, or was sent."""
    now, commands = _written(scene), scene.world.commands
    drafts = commands.drafts.kept  # type: ignore[attr-defined]
    # A dialog that was filled in from a task need not keep what stands there.
    kept = [*(draft.prompt for draft in drafts.values()), *(task.prompt for task in scene.world.details.values())]
    sent = [request.prompt for request in commands.created] + [
        str(call[2]) for call in commands.calls[-3:] if call[0] == "prompt"
    ]
    for place, text in before.items():
        if place not in now and text.strip():
            assert any(text.strip() in found for found in (*kept, *sent, *now.values())), f"{text!r} is lost"
