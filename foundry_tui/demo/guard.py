"""The demo's other process: it runs the private backend, and takes everything away once the demo is gone.

It reads its standard input to the end, which comes however the demo ends, SIGKILL included; then it stops the
backend and removes the demo's folder. Run as `python -m foundry_tui.demo.guard FOLDER LOG COMMAND…`.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from foundry_tui.client.private_files import open_file

STOP_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """Guard the folder; the backend's ready line goes to our standard output."""
    folder, log, *command = arguments
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        with os.fdopen(open_file(Path(log), os.O_WRONLY | os.O_APPEND), "ab") as errors:
            backend = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                # what is ignored here would stay ignored there
                preexec_fn=_default_signals,
            )
        # only the backend is to hold the other end of the pipe, so that its end is seen
        os.close(1)
        try:
            while os.read(0, 4096):
                pass
        finally:
            _end(backend)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _end(backend: subprocess.Popen[bytes]) -> None:
    backend.terminate()
    try:
        backend.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(backend.pid, signal.SIGKILL)
        backend.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
