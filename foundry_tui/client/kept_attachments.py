"""What goes with unanswered prompts and tasks, kept in files beside the outbox's: one for each, written once.

It can have megabytes, which the outbox's own file, replaced as a whole with each change, is spared.
"""

import os
import tempfile
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from foundry_tui.client.private_files import make_folder
from foundry_tui.contract.attachments import NewAttachments, decode_attachments, encode_attachments

_UNFINISHED = "."


class KeptAttachments:
    """The files in `folder`, by the ids of the prompts and tasks. Threads may use it; whoever writes does so alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, id_: str, attachments: NewAttachments) -> None:
        """Raises `OSError`."""
        make_folder(self._folder)
        # mkstemp makes the file readable by its owner alone.
        descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode_attachments(attachments))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._place(id_))
        except OSError:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def read(self, id_: str) -> NewAttachments:
        """Raises `OSError`, and `msgspec.DecodeError` for a file that is none of ours."""
        return decode_attachments(self._place(id_).read_bytes())

    def sweep(self, wanted: Container[str]) -> None:
        """Remove the files of all that is not wanted any more."""
        with suppress(OSError):
            for place in self._folder.iterdir():
                if place.name.startswith(_UNFINISHED) or unquote(place.name) not in wanted:
                    place.unlink()

    def _place(self, id_: str) -> Path:
        return self._folder / quote(id_, safe="")
