"""The one line of `foundry statusline`: printed many times a minute, so nothing is loaded or started for it.

A fast path around the blocking client, for the rows "foundry statusline" of `python -m tests.bench commands`: on our
own socket the request is written by hand, since importing Python's HTTP client takes nearly half as long as all the
rest. A backend on TCP is asked by the blocking client.
"""

import socket
import sys
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from foundry_tui.contract.status import ENDED, RELEASING, TaskStatus
from foundry_tui.settings import config

if TYPE_CHECKING:
    from foundry_tui.client.connection import Target

ANSWER_SECONDS = 0.3
"""How long the line may be waited for: it is printed many times a minute."""
_REQUEST = b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Silence(StrEnum):
    """Why there are no counts, in the word that the line has for it."""

    OFF = "off"
    NO_ANSWER = "does not answer"
    REFUSED = "refuses us"
    STRANGE = "answers strangely"


class _Task(Struct, frozen=True, kw_only=True):
    """What the line needs of a task; the rest is not decoded."""

    status: TaskStatus
    needs_input: int = 0


class _Tasks(Struct, frozen=True, kw_only=True):
    tasks: tuple[_Task, ...]


def counts(tasks: tuple[_Task, ...]) -> dict[str, int]:
    """How many tasks ask, work, are ready, failed."""
    found = {"asks": 0, "working": 0, "ready": 0, "failed": 0}
    for task in tasks:
        if task.status in ENDED or task.status in RELEASING:
            continue
        if task.status is TaskStatus.ERROR:
            found["failed"] += 1
        elif task.needs_input:
            found["asks"] += 1
        elif task.status is TaskStatus.IDLE:
            found["ready"] += 1
        else:
            found["working"] += 1
    return found


def read_counts(settings: config.Settings) -> dict[str, int] | Silence:
    """The counts, or why there are none; known within `ANSWER_SECONDS`."""
    target, _ = config.target(settings)
    document = _ask_socket(target.uds) if target.uds is not None else _ask(target)
    if isinstance(document, Silence):
        return document
    try:
        return counts(msgspec.json.decode(document, type=_Tasks).tasks)  # noqa: TID251  # one thread, and quick to import
    except msgspec.DecodeError:
        return Silence.STRANGE


def _ask_socket(path: str) -> bytes | bytearray | Silence:
    """The snapshot as the backend on this Unix socket writes it, head and time-outs read by hand."""
    until = monotonic() + ANSWER_SECONDS
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        answer = bytearray()
        try:
            connection.connect(path)
            connection.sendall(_REQUEST)
            while piece := connection.recv(65_536):
                answer += piece
                connection.settimeout(max(0.001, until - monotonic()))
        except (TimeoutError, BlockingIOError):
            return Silence.NO_ANSWER
        except (FileNotFoundError, ConnectionRefusedError):
            return Silence.OFF
        except OSError:
            return Silence.STRANGE
    head, _, body = answer.partition(b"\r\n\r\n")
    return body if head.startswith(b"HTTP/1.1 200") and b"chunked" not in head.lower() else Silence.STRANGE


def _ask(target: "Target") -> bytes | Silence:
    from foundry_tui.client.blocking import BlockingClient
    from foundry_tui.client.errors import ProblemError, UnreachableError

    try:
        return BlockingClient(target).send("GET", "/v1/tasks", timeout=ANSWER_SECONDS)[1]
    except UnreachableError as error:
        return Silence.OFF if error.absent else Silence.NO_ANSWER if error.silent else Silence.STRANGE
    except ProblemError:
        return Silence.REFUSED


def line_of(found: dict[str, int] | Silence) -> str:
    """`2? 3▸ 1● 1✗`: asking, working, ready, failed; those of none left out. Without counts, why."""
    if isinstance(found, Silence):
        return f"foundry {found}"
    marks = {"asks": "?", "working": "▸", "ready": "●", "failed": "✗"}
    return " ".join(f"{number}{marks[name]}" for name, number in found.items() if number) or "foundry –"


def print_line() -> None:
    """Print the line by the settings of file and environment."""
    line = line_of(read_counts(config.load().settings))
    sys.stdout.buffer.write(f"{line}\n".encode())
    sys.stdout.buffer.flush()
