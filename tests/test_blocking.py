"""The guard against blocking calls, which is on in all tests, sees them."""

import asyncio
from pathlib import Path

import anyio
import pytest

from backend_stub.repository.files import mode_of
from tests.blocking import MAY_BLOCK, nothing_blocks


@pytest.mark.anyio
async def test_what_blocks_the_loop_is_found_and_what_a_test_does_itself_is_not(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    with nothing_blocks() as found:
        assert mode_of(str(tmp_path)) is not None
        await anyio.to_thread.run_sync(mode_of, str(tmp_path))
        assert not found
        loop.call_soon(mode_of, str(tmp_path))
        await anyio.lowlevel.checkpoint()
    assert len(found) == 1
    assert found[0].startswith("os.stat in backend_stub/repository/files.py")


def test_what_may_block_is_there() -> None:
    root = Path(__file__).parent.parent
    for file, names in MAY_BLOCK.items():
        if not file.startswith("/"):
            text = (root / file).read_text()
            assert all(f"def {name}(" in text for name in names), file
