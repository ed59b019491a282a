"""Files of this machine as attachments: an image, a file of the sandbox by its path, or the text that it has."""

import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.contract.attachments import (
    LARGEST_ATTACHMENTS,
    MOST_ATTACHMENTS,
    FileAttachment,
    ImageAttachment,
    NewAttachment,
    NewAttachments,
    TextAttachment,
)

GIT_SECONDS = 5.0
"""How long git may take to say whether it knows a file."""
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
}
"""What images begin with."""
_LONGEST_BEGINNING = 12
_BY_SUFFIX = {".avif": "image/avif", ".heic": "image/heic", ".tif": "image/tiff", ".tiff": "image/tiff"}
"""Images whose beginnings say nothing that is simple."""


class AttachError(Exception):
    """A file that cannot be attached; the message says which and why, and `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Place:
    """A folder of this machine whose files an agent finds by their paths in it.

    `repository`: it is not the sandbox itself but what that is made of, so that the agent finds what git knows.
    """

    folder: Path
    repository: bool = False

    def path_of(self, file: Path) -> str | None:
        """The path by which the agent finds this file; None when it does not."""
        try:
            path = str(file.resolve().relative_to(self.folder.resolve()))
        except (OSError, RuntimeError, ValueError):
            return None
        return path if not self.repository or _is_known_to_git(self.folder, path) else None


def read_attachments(files: Sequence[Path], place: Place | None) -> NewAttachments:
    """The files as attachments of one prompt; blocks. Raises `AttachError` for what cannot be attached."""
    if len(files) > MOST_ATTACHMENTS:
        raise AttachError(f"{len(files)} files are too many: a prompt can have {MOST_ATTACHMENTS} attachments")
    attachments: list[NewAttachment] = []
    room = LARGEST_ATTACHMENTS
    for file in files:
        attachment, size = _read(file, place, room)
        attachments.append(attachment)
        room -= size
    return tuple(attachments)


def existing(paths: Sequence[str]) -> tuple[str, ...]:
    """The files at these paths, `~` filled in, where all of them are files that can be looked at; else none. Blocks."""
    try:
        found = [Path(path).expanduser() for path in paths]
        return tuple(map(str, found)) if all(file.is_file() for file in found) else ()
    except (OSError, RuntimeError, ValueError):
        return ()


def image_type(file: Path) -> str | None:
    """The mime type of an image, by what the file begins with, or its name; None for no image. Raises `OSError`."""
    with file.open("rb") as source:
        return _type_of(source.read(_LONGEST_BEGINNING), file)


def _read(file: Path, place: Place | None, room: int) -> tuple[NewAttachment, int]:
    """The attachment, and how much of the room for contents it takes."""
    try:
        found = file.stat()
        if stat.S_ISDIR(found.st_mode):
            if place is not None and (path := place.path_of(file)) is not None:
                return FileAttachment(path=path), 0
            raise AttachError(f"{file} is a folder, and not one that the agent has", hint="name the files in it")
        if not stat.S_ISREG(found.st_mode):
            raise AttachError(f"{file} is no file")
        mime = image_type(file)
        if mime is None and place is not None and (path := place.path_of(file)) is not None:
            return FileAttachment(path=path), 0
        data = _content(file, room)
    except OSError as error:
        raise AttachError(f"{file} cannot be read: {error.strerror or error}") from None
    if mime is not None:
        return ImageAttachment(mime=mime, data=data, name=file.name), len(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        hint = "put it into the sandbox, and name it there"
        raise AttachError(f"{file} is neither an image nor text, and the agent cannot open it", hint=hint)
    return TextAttachment(name=file.name, text=text), len(data)


def _content(file: Path, room: int) -> bytes:
    with file.open("rb") as source:
        # No more than shows that it is too long: the file may grow meanwhile.
        data = source.read(room + 1)
    if len(data) > room:
        size = max(file.stat().st_size, len(data))
        raise AttachError(
            f"{file} is too large: it has {size:,} bytes, and what is attached to one prompt can have "
            f"{LARGEST_ATTACHMENTS:,} together",
            hint="make it smaller, or put it into the sandbox and name it there",
        )
    return data


def _type_of(beginning: bytes, file: Path) -> str | None:
    for known, mime in _BEGINNINGS.items():
        if beginning.startswith(known) and (len(known) > 2 or file.suffix.lower() == ".bmp"):
            return mime
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    return _BY_SUFFIX.get(file.suffix.lower())


def _is_known_to_git(folder: Path, path: str) -> bool:
    """Whether git knows this path in the repository; where git does not say, it is taken to."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--", f":(literal){path}"]
    try:
        found = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return True
    return found.returncode != 0 or bool(found.stdout)
