"""Running a command of our own command line, as the app does for what takes long or needs the terminal."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress


def foundry_command(*words: str) -> list[str]:
    """The words that run this command of ours, whatever is on the PATH."""
    return [sys.executable, "-P", "-m", "foundry_tui.cli.main", *words]


async def told_lines(command: list[str], tell: Callable[[str], None]) -> int:
    """Run it with its lines told as they come; its exit code. Cancelled, it and what it started are ended.

    Raises `OSError` when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            tell(line.decode("utf-8", "replace").rstrip("\n"))
        return await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        raise
