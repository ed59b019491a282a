"""A task's patch as an answer: written whole before the first byte is sent, so that nobody takes half of it for all."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO

import anyio.to_thread
from starlette.responses import Response, StreamingResponse

from backend_stub.domain.errors import RefusedError
from foundry_tui.contract.checkpoints import PATCH_TYPE

_CHUNK = 256 * 1024


async def patch_answer(write: Callable[[BinaryIO], Awaitable[None]]) -> Response:
    """The patch that `write` writes, from a file that has no name and goes with the answer. Raises `RefusedError`."""
    try:
        file = await anyio.to_thread.run_sync(tempfile.TemporaryFile)
        try:
            await write(file)
            await anyio.to_thread.run_sync(file.flush)
            size = os.fstat(file.fileno()).st_size
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise RefusedError(503, f"The patch cannot be written here: {error.strerror or error}. Try again.") from None
    return StreamingResponse(_chunks(file), media_type=PATCH_TYPE, headers={"content-length": str(size)})


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        position = 0
        while chunk := await anyio.to_thread.run_sync(os.pread, file.fileno(), _CHUNK, position):
            position += len(chunk)
            yield chunk
