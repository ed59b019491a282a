"""Running the repository's own set-up script in a new worktree, its output on the stage log."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import Process

from backend_stub.domain.errors import ProviderError
from backend_stub.machine import privacy
from backend_stub.machine.processes import MARK, end_marked
from backend_stub.repository.setup_files import SETUP

_LINE_LIMIT = 4000
_LAST_LINES = 5
_PIECE = 64 * 1024
"""Bytes that are read at once, and that are still read once the script has ended: more fit into no pipe."""


async def run_setup(
    worktree: Path,
    script: bytes,
    *,
    sandbox_id: str,
    repository: str,
    environ: Mapping[str, str],
    timeout: float,
    log: Callable[[str], None],
) -> None:
    """Run the worktree's `.foundry/setup`, which says `script`, in the worktree, for at most `timeout` seconds.

    It gets FOUNDRY_SANDBOX_ID and FOUNDRY_REPOSITORY (the folder of the repository) and no input. It has ended when
    the script has: a child that it leaves behind goes on, and what that prints later is read by nobody. Raises
    `ProviderError` when it fails; whatever it started is ended with it on a failure or a cancellation.
    """
    path = worktree / SETUP
    if not await anyio.to_thread.run_sync(os.access, path, os.X_OK):
        raise ProviderError(f"{SETUP} is not executable: chmod +x {SETUP}, and commit that", retryable=False)
    if script.startswith(b"#!") and script.partition(b"\n")[0].endswith(b"\r"):
        raise ProviderError(
            f"{SETUP} has Windows line ends (CRLF), with which its first line names no program: save it with LF, add "
            f"'{SETUP} text eol=lf' to .gitattributes, and commit that",
            retryable=False,
        )
    variables = {name: value for name, value in environ.items() if not name.startswith("FOUNDRY_")}
    variables |= {MARK: sandbox_id, "FOUNDRY_REPOSITORY": repository}
    if await anyio.to_thread.run_sync(end_marked, sandbox_id):
        log(f"{SETUP} was still running for a backend that is gone, and was ended")
    log(f"$ {SETUP}")
    began = anyio.current_time()
    output = _Output(log)
    try:
        with anyio.CancelScope(shield=True):
            # Cancelled half-way, it would leave a process that nobody ends.
            process = await anyio.open_process(
                [str(path)],
                cwd=worktree,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output.write_end,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=privacy.umask_of_children(),
            )
    except OSError as error:
        output.close()
        raise ProviderError(_why_not(script, error), retryable=False) from error
    try:
        with anyio.fail_after(timeout):
            await output.follow(process)
    except TimeoutError:
        raise ProviderError(
            f"{SETUP} did not end within {timeout:g} s; FOUNDRY_SETUP_TIMEOUT_MS allows more", retryable=False
        ) from None
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
        output.close()
        code, took = process.returncode, round((anyio.current_time() - began) * 1000)
        log(f"{SETUP} ended with exit code {code} after {took} ms")
    if code != 0:
        _end_group(process.pid)
        said = " / ".join(output.last)
        raise ProviderError(f"{SETUP} failed with exit code {code}: {said or 'it printed nothing'}", retryable=False)


class _Output:
    """What the script and its children print, line by line; `last` are the last lines."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.last: list[str] = []
        self._log = log
        self._rest = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._open = [self._read_end, self.write_end]

    async def follow(self, process: Process) -> None:
        """Log lines until the process has ended, and then what it has printed by that time."""
        self._close(self.write_end)
        async with anyio.create_task_group() as group:
            group.start_soon(self._read_on)
            await process.wait()
            group.cancel_scope.cancel()
        self._take()
        if self._rest:
            self._line(self._rest)

    def close(self) -> None:
        for descriptor in tuple(self._open):
            self._close(descriptor)

    async def _read_on(self) -> None:
        while True:
            await anyio.wait_readable(self._read_end)
            if not self._take():
                return

    def _take(self) -> bool:
        """Read what is there; False at the end of all output."""
        try:
            chunk = os.read(self._read_end, _PIECE)
        except BlockingIOError:
            return True
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for piece in whole:
            self._line(piece)
        if len(self._rest) > _LINE_LIMIT:
            self._line(self._rest)
            self._rest = b""
        return bool(chunk)

    def _line(self, line: bytes) -> None:
        # What a progress bar overwrote is not worth a line.
        text = line.rstrip(b"\r").rpartition(b"\r")[2][:_LINE_LIMIT].decode(errors="replace")
        self._log(text)
        self.last.append(text)
        del self.last[:-_LAST_LINES]

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)


def _why_not(script: bytes, error: OSError) -> str:
    if not script.startswith(b"#!"):
        return f"{SETUP} cannot be run: its first line must name a program, as #!/bin/sh does"
    words = script.partition(b"\n")[0][2:].decode(errors="replace").split()
    if isinstance(error, FileNotFoundError) and words:
        return f"{SETUP} cannot be run: there is no {words[0]}, which its first line names"
    return f"{SETUP} cannot be run: {error.strerror or error}"


async def _end(process: Process) -> None:
    """End the script's whole group if it still runs."""
    if process.returncode is None:
        _end_group(process.pid)
    await process.wait()


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
