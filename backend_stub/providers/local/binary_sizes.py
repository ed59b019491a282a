"""How large binary files are and were: git's own comparison says only that they differ."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread
from msgspec.structs import replace

from backend_stub.repository.git import run_git
from foundry_tui.contract.records import FileDiff

TIMEOUT = 20.0


async def with_sizes(
    folder: str, base: str, variables: Mapping[str, str], files: Sequence[FileDiff]
) -> tuple[FileDiff, ...]:
    """These files, binary ones with their bytes now and at `base`. A name that git writes otherwise has none."""
    binary = [file for file in files if _is_binary(file)]
    if not binary:
        return tuple(files)
    # A name of several lines would be asked for as several names.
    asked = [file.path for file in binary if "\n" not in file.path]
    given = "".join(f"{base}:{path}\n" for path in asked).encode("utf-8", "surrogateescape")
    told = await run_git(
        folder, "cat-file", "--batch-check=%(objectsize)", timeout=TIMEOUT, environment=variables, given=given
    )  # fmt: skip
    before = {path: int(line) for path, line in zip(asked, told.text.split("\n"), strict=False) if line.isdigit()}
    after = await anyio.to_thread.run_sync(_sizes, Path(folder), [file.path for file in binary])
    return tuple(
        replace(file, size=after.get(file.path), size_before=before.get(file.path)) if _is_binary(file) else file
        for file in files
    )


def _is_binary(file: FileDiff) -> bool:
    return file.added is None and "\nBinary files " in file.patch


def _sizes(folder: Path, paths: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in paths:
        try:
            status = os.lstat(folder / path)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(status.st_mode):
            found[path] = status.st_size
    return found
