"""Private names of Textual stand in one module, and each of them only as long as there is no public way."""

import ast
import gc
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import anyio
import pytest
from rich.cells import set_cell_size
from rich.console import Console
from rich.segment import Segment
from rich.text import Text
from textual import _time, message_pump
from textual import timer as textual_timer
from textual._styles_cache import StylesCache
from textual.app import App
from textual.binding import BindingType
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import TextArea

import foundry_tui
from foundry_tui.app import textual_compat
from tests.app.factories import make_task
from tests.app.harness import make_store, stage

pytestmark = pytest.mark.anyio

ROOT = Path(foundry_tui.__file__).parent
COMPAT = Path(textual_compat.__file__)


def _parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


NAMES: dict[str, tuple[type, Callable[[], bool]]] = {
    "_check_bindings": (App, lambda: True),  # see `test_only_the_private_way_tells_of_a_key_that_did_nothing`
    "_refresh_truecolor_filter": (App, lambda: "theme" not in _parameters(App.__init__)),
    "_driver": (App, lambda: not hasattr(App, "write")),
    "_notifications": (App, lambda: inspect.signature(App.notify).return_annotation in (None, "None")),
    "_unnotify": (App, lambda: not hasattr(App, "remove_notification")),
    "_refresh_notifications": (App, lambda: not hasattr(App, "remove_notification")),
    "_load_screen_css": (App, lambda: "show" not in _parameters(App.push_screen)),
    "_get_screen": (App, lambda: "show" not in _parameters(App.push_screen)),
    "_prune": (App, lambda: True),  # see `test_nothing_holds_a_screen_that_was_closed`
    "_bindings": (Widget, lambda: not hasattr(Widget, "bindings")),
    "_refresh_layout": (Screen, lambda: not hasattr(Screen, "refresh_layout")),
    "_compositor": (Screen, lambda: not hasattr(Screen, "compositor")),
    "_dirty_widgets": (Screen, lambda: not hasattr(Screen, "dirty_widgets")),
    "_background_screens": (App, lambda: not hasattr(App, "background_screens")),
    # See `test_behind_a_late_time_the_next_one_is_kept` and `test_a_timer_of_one_time_is_not_skipped`.
    "_tick": (Timer, lambda: True),
    "_active": (Timer, lambda: True),
    "_interval": (Timer, lambda: True),
    "_repeat": (Timer, lambda: True),
    "_reset": (Timer, lambda: True),
    "_skip": (Timer, lambda: True),
    "_writer_thread": (LinuxDriver, lambda: not hasattr(LinuxDriver, "is_writing")),
    "_file": (LinuxDriver, lambda: "file" not in _parameters(LinuxDriver.__init__)),
}
"""Each private name: the class of Textual that has it, and whether the app still needs it."""


@cache
def _names_of(cls: type) -> frozenset[str]:
    """The names with one underscore that a class defines, or sets or reads of itself."""
    found = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls)))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return frozenset(name for name in found if _is_private(name))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def _theirs(cls: type) -> set[str]:
    """The private names that a class has from Textual."""
    return {name for base in cls.__mro__ if base.__module__.startswith("textual.") for name in _names_of(base)}


def _modules() -> Iterator[ModuleType]:
    for package in ("app", "screens", "widgets"):
        for found in pkgutil.iter_modules([str(ROOT / package)]):
            yield importlib.import_module(f"foundry_tui.{package}.{found.name}")


@pytest.mark.parametrize("name", NAMES)
def test_textual_still_has_the_name(name: str) -> None:
    owner = NAMES[name][0]
    assert name in _theirs(owner), f"{owner.__name__}.{name} is gone: textual_compat needs another way"


@pytest.mark.parametrize("name", NAMES)
def test_there_is_still_no_public_way(name: str) -> None:
    owner, is_needed = NAMES[name]
    assert is_needed(), f"Textual has a public way now: take {owner.__name__}.{name} out of textual_compat"


def test_every_private_name_is_told_of() -> None:
    used = {node.attr for node in ast.walk(ast.parse(COMPAT.read_text())) if isinstance(node, ast.Attribute)}
    text = COMPAT.read_text()
    assert {name for name in used if _is_private(name)} | {"_writer_thread"} == set(NAMES)
    assert all(name in text for name in NAMES)


def test_no_other_module_touches_one() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in ROOT.rglob("*.py")
        if path != COMPAT and "textual" in path.read_text()
        for node in ast.walk(ast.parse(path.read_text()))
        if _reaches_into_another(node)
    ]
    assert found == []


def _reaches_into_another(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual."):
        return any(_is_private(part) for part in [*str(node.module).split("."), *(name.name for name in node.names)])
    itself = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    return isinstance(node, ast.Attribute) and _is_private(node.attr) and not itself


def test_no_class_of_ours_has_a_private_name_of_its_base() -> None:
    found = {
        f"{cls.__module__}.{cls.__name__}": shared
        for module in _modules()
        if module is not textual_compat
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ == module.__name__
        if (shared := _names_of(cls) & _theirs(cls))
    }
    assert found == {}


def _held() -> tuple[int, int]:
    """How many text areas there are, and how many widgets' drawn lines."""
    gc.collect()
    alive = gc.get_objects()
    return sum(isinstance(each, TextArea) for each in alive), sum(isinstance(each, StylesCache) for each in alive)


async def test_nothing_holds_a_screen_that_was_closed() -> None:
    async with stage(make_store([make_task(1)]), size=(120, 40)) as on:
        counts = []
        for _ in range(3):
            await on.press("enter")
            await on.press("escape")
            counts.append(_held())
        for of_a_kind in zip(*counts, strict=True):
            # What tests before this one left behind may still be let go.
            assert list(of_a_kind) == sorted(of_a_kind, reverse=True)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("\u200d\u200d\U0001f469\U0001f1e9\U0001f1ea\U0001f1e9e\ufe0f/\U0001f1ea-ba\u200d\U0001f469\U0001f4bb", 10),
        ("\u200d\u200d\U0001f4bb\U0001f1e9e\U0001f469\U0001f4bb.\U0001f468/\U0001f468.\ufe0f/ e..\ufe0f.", 20),
        (" b-. \u200d \u200d\u200d\U0001f4bb\U0001f468\U0001f4bb\U0001f468 \U0001f468a", 1),
    ],
)
def test_a_text_of_joiners_that_join_nothing_can_be_cut(text: str, width: int) -> None:
    """As an agent's may be: Rich counts its cells in two ways, and failed where they differ."""
    textual_compat.MendedApp()
    assert set_cell_size(text, width)
    assert Text(text).wrap(Console(), width, overflow="fold")


class _Late(App[None]):
    """Its timer is due before its task has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.done = anyio.Event()

    def on_mount(self) -> None:
        self.set_timer(0.001, self.done.set)


class _LateAndMended(_Late, textual_compat.MendedApp):
    pass


@pytest.mark.parametrize(("kind", "timer"), [(_Late, Timer), (_LateAndMended, textual_compat.SureTimer)])
async def test_a_timer_of_one_time_is_not_skipped(
    kind: type[_Late], timer: type[Timer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual's own is, where the process stands still between two looks at the clock."""
    monkeypatch.setattr(message_pump, "Timer", timer)
    later = count(0.0, 1.0)
    monkeypatch.setattr(_time, "get_time", lambda: next(later))
    app = kind()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.done.is_set() is (timer is not Timer)


@pytest.mark.parametrize("mended", [False, True])
def test_a_line_that_is_drawn_does_not_hold_itself(mended: bool) -> None:
    """Textual's does, and is left for the garbage collector with all its caches."""
    gc.collect()
    gc.disable()
    try:
        (textual_compat._divided if mended else textual_compat._divided_by_textual)(Strip([Segment("code")]), [4])
        assert (gc.collect() == 0) is mended
    finally:
        gc.enable()


class _EnoughError(Exception):
    pass


@pytest.mark.parametrize(("kind", "second"), [(Timer, 4.0), (textual_compat.SureTimer, 3.0)])
async def test_behind_a_late_time_the_next_one_is_kept(
    kind: type[Timer], second: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual leaves it out: what took one and a half of the times is followed by another one without any."""
    now, kept = 0.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    class Slow(kind):  # type: ignore[valid-type, misc]
        async def _tick(self, *, next_timer: float, count: int) -> None:
            nonlocal now
            kept.append(now)
            now += 1.5
            if len(kept) == 2:
                raise _EnoughError

    monkeypatch.setattr(_time, "get_time", lambda: now)
    for module in (_time, textual_timer):
        monkeypatch.setattr(module, "sleep", sleep)
    app: App[None] = App()
    with pytest.raises(_EnoughError):
        await Slow(app, 1.0)._run()
    assert kept == [1.0, second]


class _Listening(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [("a", "bound", "Bound")]

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.done: list[str] = []

    def action_bound(self) -> None:
        self.done.append("a")

    def on_key(self, event: Key) -> None:
        self.heard.append(event.key)


async def test_only_the_private_way_tells_of_a_key_that_did_nothing() -> None:
    app = _Listening()
    async with app.run_test() as pilot:
        await pilot.press("a", "b")

    # The public handler hears of both keys, before a binding is looked for.
    assert (app.done, app.heard) == (["a"], ["a", "b"])


async def test_a_key_that_did_nothing_is_told_of() -> None:
    unused: list[str] = []

    class Telling(textual_compat.UnusedKeys):
        BINDINGS: ClassVar[list[BindingType]] = [("a", "bound", "Bound")]

        def action_bound(self) -> None:
            pass

        def key_unused(self, key: str) -> None:
            unused.append(key)

    async with Telling().run_test() as pilot:
        await pilot.press("a", "b")
    assert unused == ["b"]
