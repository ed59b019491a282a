"""What processes take with all that they started, where the system tells, and from the listing of one that does not."""

import subprocess
import sys

import pytest

from backend_stub.machine import memory, processes
from backend_stub.machine.memory import Memory, measured, of_listing
from foundry_tui.contract.memory import Measure

HOARDER = "import subprocess, sys; held = bytearray(%d); print('.', flush=True); sys.stdin.read()"


@pytest.mark.skipif(not memory.TELLS_PROCESSES_APART, reason="needs /proc")
def test_a_process_is_measured_with_its_children() -> None:
    inner = repr(HOARDER % 30_000_000)
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner}])"
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        started = processes.start_mark(process.pid)
        assert started is not None
        taken = measured({process.pid: started, 1: "of another"})
        process.communicate(b"")
    assert set(taken) == {process.pid}
    assert taken[process.pid].processes == 2
    assert 30_000_000 < taken[process.pid].bytes < 90_000_000
    assert measured({process.pid: started}) == {}


def test_a_listing_gives_what_all_hold_under_one_root() -> None:
    listing = "  1     0   100\n 10     1    20\n 11    10    30\n 12    11     5\n 20     1   999\n header\n"
    assert of_listing(listing, [10, 77]) == {10: Memory(55 * 1024, Measure.RSS, 3)}
