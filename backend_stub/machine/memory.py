"""How much memory processes take with all that they started. All here blocks for some milliseconds: use a thread."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend_stub.machine import processes
from foundry_tui.contract.memory import Measure

TELLS_PROCESSES_APART = sys.platform == "linux"
"""Whether this system shows which of a server's processes is which agent."""

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Memory:
    """What some processes take together."""

    bytes: int
    measure: Measure
    processes: int


def measured(roots: Mapping[int, str]) -> dict[int, Memory]:
    """What each of these processes takes with its descendants, by pid; `roots` has their start marks.

    One that has ended, or whose pid is another's by now, is left out.
    """
    alive = [pid for pid, started in roots.items() if processes.start_mark(pid) == started]
    if not alive:
        return {}
    if TELLS_PROCESSES_APART:
        families = processes.families(alive)
        return {pid: _of_linux(family) for pid, family in families.items()}
    return of_listing(_listing(), alive)


def of_listing(listing: str, roots: Iterable[int]) -> dict[int, Memory]:
    """The same from lines of `pid parent kilobytes`, as `ps` writes them."""
    rows = [tuple(map(int, line.split())) for line in listing.splitlines() if len(line.split()) == 3]
    parents, held = {pid: parent for pid, parent, _ in rows}, {pid: size * 1024 for pid, _, size in rows}
    families = processes.families([pid for pid in roots if pid in parents], parents)
    return {
        root: Memory(sum(held[pid] for pid in family), Measure.RSS, len(family)) for root, family in families.items()
    }


def _listing() -> str:
    done = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout


def _of_linux(family: Iterable[int]) -> Memory:
    shares = {pid: _share(pid) for pid in family}
    known = [share for share in shares.values() if share is not None]
    if len(known) == len(shares):
        return Memory(sum(known), Measure.PSS, len(known))
    held = [size for pid in shares if (size := _held(pid)) is not None]
    return Memory(sum(held), Measure.RSS, len(held))


def _share(pid: int) -> int | None:
    """What the process has to itself and its share of the rest; None where this system does not let us see it."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith("Pss:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def _held(pid: int) -> int | None:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return None
