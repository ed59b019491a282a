"""Who this backend is among others: an id that its data folder keeps, and a name."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from backend_stub.domain.errors import StartError
from backend_stub.domain.hosts import HostIdentity
from backend_stub.domain.names import check_name
from foundry_tui.contract.codec import decode, encode

FILE_NAME = "host.json"


def host_identity(folder: Path, name: str | None, new_id: Callable[[], str]) -> HostIdentity:
    """The identity kept in this data folder, made at the first start.

    `name` is what it is to be called by, or None for the machine's name. Raises `StartError`.
    """
    called = name if name is not None else _machine_name()
    if why := check_name("A host's name", called):
        raise StartError(f"the host cannot be called {called!r}: {why}")
    path = folder / FILE_NAME
    try:
        kept = decode(path.read_bytes(), HostIdentity)
    except FileNotFoundError:
        kept = None
    except (OSError, msgspec.DecodeError) as error:
        raise StartError(
            f"{path}, which says which host this is, cannot be read ({error}): restore it from a copy of the folder"
        ) from error
    identity = HostIdentity(host_id=kept.host_id if kept is not None else new_id(), name=called)
    if identity == kept:
        return identity
    _write(path, encode(identity))
    return replace(identity, former_name=kept.name if kept is not None else None)


def _machine_name() -> str:
    return platform.node().partition(".")[0][:64] or "localhost"


def _write(path: Path, document: bytes) -> None:
    """Whole or not at all, whenever the machine stops."""
    draft = path.with_suffix(".new")
    try:
        with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StartError(f"{path} cannot be written ({error.strerror}): free some disk space") from error
