"""Types that several threads meet for the first time at once: where msgspec alone takes the process down."""

import subprocess
import sys

SCRIPT = """
import sys
from enum import StrEnum
from threading import Barrier, Thread
from msgspec import Struct
from foundry_tui.contract.codec import convert, decode

sys.setswitchinterval(1e-6)
for round in range(150):
    State = StrEnum("State", {"A": "a", "B": "b"})
    Inner = type("Inner", (Struct,), {"__annotations__": {"state": State, "number": int}, "number": 0})
    fields = {"one": Inner | None, "two": list[Inner], "three": dict[str, Inner], "four": State}
    Outer = type("Outer", (Struct,), {"__annotations__": fields, "__module__": __name__})
    together = Barrier(6)

    def meet(number):
        together.wait()
        if number % 2:
            decode(b'{"one":{"state":"a"},"two":[{"state":"b","number":1}],"three":{},"four":"a"}', Outer)
        else:
            convert({"state": "a"}, Inner)

    threads = [Thread(target=meet, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("whole")
"""


def test_threads_may_meet_a_type_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr
