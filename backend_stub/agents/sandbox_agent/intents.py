"""What rules go by in an agent's `session/request_permission`: the command as it would be run, and where."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.questions import COMMANDS, command_of, input_told, request_of
from backend_stub.agents.sandbox_agent.updates import Translation
from backend_stub.domain.rulings import READING, Intent, lies_inside
from foundry_tui.contract.codec import decode
from foundry_tui.contract.questions import Question

DISK_SECONDS = 1.0
"""How long a disk may take to say where a path leads."""
FOLDERS = ("cwd", "workdir", "working_directory", "workingDirectory", "directory", "dir_path")
"""What agents call the folder that a command is run in."""
ARGUMENTS = ("args", "arguments", "argv")
"""What they call words that follow a command and are not in it."""
VARIABLES = ("env", "environment", "envs")


async def intent_of(message: Message, translation: Translation, question: Question) -> Intent:
    """What the agent means to do; the question was read from the same message."""
    called_with = input_told(request_of(message).tool_call, translation)
    value: Any = decode(called_with.raw, Any) if called_with.raw else None
    given = value if isinstance(value, dict) else {}
    commands = tuple(dict.fromkeys(_commands(given)))
    folders = [given[name] for name in FOLDERS if given.get(name)]
    cwd = translation.cwd
    as_is = not any(given.get(name) for name in VARIABLES) and all(
        isinstance(folder, str) and lies_inside(cwd, (folder,)) for folder in folders
    )
    places = (*question.paths, *_places(value))
    inside = question.tool_kind in READING and await _lie_inside(cwd, places)
    return Intent(commands=commands, inside=inside, as_is=as_is)


def _commands(given: dict[str, Any]) -> Iterator[str]:
    """Each command that is named, and each with the arguments that stand apart from it."""
    arguments = [given[name] for name in ARGUMENTS if given.get(name)]
    for name in COMMANDS:
        if command := command_of(given.get(name)):
            yield command
            yield from (f"{command} {command_of(each) or each}" for each in arguments)


def _places(value: Any) -> Iterator[str]:
    """Whatever might be a path in what a tool is called with."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and ("/" in each or each in ("..", "~")) and "\n" not in each:
            yield each


async def _lie_inside(cwd: str, places: tuple[str, ...]) -> bool:
    """Whether all of them lead into the folder, links followed; False where the disk does not say in time."""
    if not lies_inside(cwd, places):
        return False
    with anyio.move_on_after(DISK_SECONDS):
        return await anyio.to_thread.run_sync(partial(_lead_inside, cwd, places), abandon_on_cancel=True)
    return False


def _lead_inside(cwd: str, places: tuple[str, ...]) -> bool:
    try:
        return lies_inside(os.path.realpath(cwd), [os.path.realpath(Path(cwd, place)) for place in places])
    except (OSError, ValueError):
        return False
