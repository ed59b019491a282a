"""What each agent offered the last time that it told of its options: to choose from before there is a session."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct

from foundry_tui.contract.codec import decode
from foundry_tui.contract.records import SessionOption
from foundry_tui.contract.replace import replace

logger = logging.getLogger(__name__)

NAME = "offered.json"
"""The file in the data folder."""
LARGEST = 256 * 1024
"""Bytes that the options of one agent may have; of more none are kept."""


class _Offered(Struct, frozen=True):
    provider: str
    agent: str
    options: tuple[SessionOption, ...]


class OfferedOptions:
    """Kept in the data folder, or only in memory without one. What is lost of it is told again by the next session."""

    def __init__(self, data_dir: Path | None = None) -> None:
        self._file = None if data_dir is None else data_dir / NAME
        self._offered: Mapping[tuple[str, str], tuple[SessionOption, ...]] = self._load()
        self._writing = anyio.Lock()

    def of(self, provider: str, agent: str) -> tuple[SessionOption, ...]:
        """What this agent of this provider offered last; nothing before it has."""
        return self._offered.get((provider, agent), ())

    async def learn(self, provider: str, agent: str, options: Sequence[SessionOption]) -> None:
        """An agent offers these options now."""
        offered = tuple(replace(option, error=None) for option in options)
        if offered == self.of(provider, agent) or len(msgspec.json.encode(offered)) > LARGEST:
            return
        self._offered = {**self._offered, (provider, agent): offered}
        if self._file is not None:
            async with self._writing:
                await anyio.to_thread.run_sync(self._save, self._file, self._offered)

    def _load(self) -> Mapping[tuple[str, str], tuple[SessionOption, ...]]:
        if self._file is None:
            return {}
        try:
            kept = decode(self._file.read_bytes(), tuple[_Offered, ...])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("what agents offered cannot be read, and is forgotten: %s", error)
            return {}
        return {(each.provider, each.agent): each.options for each in kept}

    @staticmethod
    def _save(file: Path, offered: Mapping[tuple[str, str], tuple[SessionOption, ...]]) -> None:
        """In a thread: a disk that is full or away costs no more than what would have been kept."""
        kept = [_Offered(provider, agent, options) for (provider, agent), options in offered.items()]
        new = file.with_suffix(".new")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(msgspec.json.encode(kept))
            new.replace(file)
        except OSError as error:
            logger.warning("what agents offer cannot be kept: %s", error)
