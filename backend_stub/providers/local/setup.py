"""Running the repository's own set-up script in a new worktree, its output on the stage log."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from backend_stub.agents.sandbox_agent.processes import MARK, end_marked
from backend_stub.providers.base import ProviderError

SCRIPT = Path(".foundry") / "setup"
_LINE_LIMIT = 4000
_LAST_LINES = 5


async def run_setup(
    worktree: Path,
    *,
    sandbox_id: str,
    repository: str,
    environ: Mapping[str, str],
    timeout: float,
    log: Callable[[str], None],
) -> None:
    """Run `.foundry/setup` of the worktree, if it has one, in the worktree, for at most `timeout` seconds.

    It gets FOUNDRY_SANDBOX_ID and FOUNDRY_REPOSITORY (the folder of the repository) and no input. Raises
    `ProviderError` when it fails; whatever it started is ended with it on a failure or a cancellation.
    """
    script = worktree / SCRIPT
    if not await anyio.to_thread.run_sync(script.is_file):
        return
    if not await anyio.to_thread.run_sync(os.access, script, os.X_OK):
        raise ProviderError(f"{SCRIPT} is not executable: chmod +x {SCRIPT}, and commit that", retryable=False)
    variables = {name: value for name, value in environ.items() if not name.startswith("FOUNDRY_")}
    variables |= {MARK: sandbox_id, "FOUNDRY_REPOSITORY": repository}
    if await anyio.to_thread.run_sync(end_marked, sandbox_id):
        log(f"{SCRIPT} was still running for a backend that is gone, and was ended")
    log(f"$ {SCRIPT}")
    began = anyio.current_time()
    try:
        with anyio.CancelScope(shield=True):
            # Cancelled half-way, it would leave a process that nobody ends.
            process = await anyio.open_process(
                [str(script)],
                cwd=worktree,
                env=variables,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise ProviderError(f"{SCRIPT} cannot be run: {error.strerror or error}", retryable=False) from error
    last: list[str] = []

    def line(text: str) -> None:
        log(text)
        last.append(text)
        del last[:-_LAST_LINES]

    try:
        with anyio.fail_after(timeout):
            if process.stdout is not None:
                await _lines(process.stdout, line)
            await process.wait()
    except TimeoutError:
        raise ProviderError(
            f"{SCRIPT} did not end within {timeout:g} s; FOUNDRY_SETUP_TIMEOUT_MS allows more", retryable=False
        ) from None
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)
        code, took = process.returncode, round((anyio.current_time() - began) * 1000)
        log(f"{SCRIPT} ended with exit code {code} after {took} ms")
    if code != 0:
        said = " / ".join(last)
        raise ProviderError(f"{SCRIPT} failed with exit code {code}: {said or 'it printed nothing'}", retryable=False)


async def _lines(stream: ByteReceiveStream, line: Callable[[str], None]) -> None:
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for piece in whole:
            line(_text(piece))
        if len(rest) > _LINE_LIMIT:
            line(_text(rest))
            rest = b""
    if rest:
        line(_text(rest))


def _text(line: bytes) -> str:
    # What a progress bar overwrote is not worth a line.
    return line.rstrip(b"\r").rpartition(b"\r")[2][:_LINE_LIMIT].decode(errors="replace")


async def _end(process: Process) -> None:
    """End what is left of the script's group, and close its pipes."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    await process.aclose()
