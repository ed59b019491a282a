"""Nothing of ours may block an event loop: what does fails the test that it runs in, also where nobody sees the error.

`blockbuster` stands in the way of calls that wait for the disk, the network, a lock or the clock. Who is to blame is
judged here: not what a test does itself, be it by calling a plain function of ours or in a fake that ours calls.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import blockbuster

_TESTS = str(Path(__file__).parent) + os.sep
_OURS = tuple(str(Path(_TESTS).parent / package) + os.sep for package in ("foundry_tui", "backend_stub"))
_SUSPENDED = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

MAY_BLOCK: dict[str, set[str]] = {
    # What is logged is to be there when the process dies.
    "/logging/__init__.py": {"emit", "flush"},
    # The demo provider's world is files of a few lines, there before a call returns.
    "backend_stub/providers/demo.py": {"make", "_remove"},
    "backend_stub/demo/script.py": {"read"},
    "backend_stub/demo/journal.py": {"append_line", "replay"},
    # What was kept is read once, before the client can be asked for anything.
    "foundry_tui/client/outbox.py": {"__init__"},
    # The app is leaving: a moment is better than a lost draft.
    "foundry_tui/client/persistence.py": {"save_now"},
    # The editor has ended, or the app is leaving: its file is read once more, and goes.
    "foundry_tui/screens/editor.py": {"edit"},
    # Python's own lock for a module that the first filter with a slip imports, mostly there by then.
    "foundry_tui/contract/filter.py": {"_alike"},
    # Textual finds and reads the styles of a screen when it is first shown.
    "/textual/_path.py": {"_make_path_object_relative"},
    "/textual/css/stylesheet.py": {"read"},
    # What is said of a folder that a person types, or wants to open, stands there in the frame of that key press.
    "foundry_tui/screens/repository_check.py": {"judge", "folders_below"},
    "foundry_tui/actions/availability.py": {"why_no_folder"},
}
"""Functions that may wait for the disk in an event loop all the same, by the end of their file's path."""

HARMLESS = ("os.getcwd", "os.path.abspath")
"""What blockbuster stands in the way of, though it waits for nothing."""

Found = list[str]
"""What blocked, each with the frames of ours that it was called from."""


@contextmanager
def nothing_blocks() -> Iterator[Found]:
    """Whatever of ours blocks an event loop raises `blockbuster.BlockingError` there, and is found."""
    found: Found = []
    blocking = blockbuster.BlockBuster(["foundry_tui", "backend_stub"])
    for name in HARMLESS:
        del blocking.functions[name]
    for function in blocking.functions.values():
        allowed = [*function.can_block_functions, *MAY_BLOCK.items()]
        function.can_block_predicate = partial(
            _may_block, found, function.full_name, function.can_block_predicate, allowed
        )
    blocking.activate()
    try:
        yield found
    finally:
        blocking.deactivate()


def _may_block(
    found: Found,
    name: str,
    is_harmless: Callable[..., bool],
    allowed: list[tuple[str, Iterable[str]]],
    *args: Any,
    **kwargs: Any,
) -> bool:
    if is_harmless(*args, **kwargs):
        return True
    # Called by blockbuster's wrapper around the function that was called.
    called_from = sys._getframe(2)
    if not _is_ours(called_from, allowed):
        return True
    found.append(f"{name} in {' < '.join(_frames(called_from))}")
    return False


def _is_ours(frame: FrameType | None, allowed: list[tuple[str, Iterable[str]]]) -> bool:
    """Whether code of ours is to blame: it, and not a test, was called by the loop or by a library."""
    ours = False
    while frame is not None:
        code = frame.f_code
        if any(code.co_name in names and code.co_filename.endswith(file) for file, names in allowed):
            return False
        if code.co_filename.startswith(_TESTS):
            return False
        if code.co_filename.startswith(_OURS):
            ours = True
            if code.co_flags & _SUSPENDED:
                return True
        frame = frame.f_back
    return ours


def _frames(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OURS):
            place = Path(frame.f_code.co_filename).relative_to(Path(_TESTS).parent)
            yield f"{place}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
