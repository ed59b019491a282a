"""The files that are attached to what is being written: read when it is sent, and not before."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from foundry_tui.contract.attachments import MOST_ATTACHMENTS, FileAttachment, NewAttachments
from foundry_tui.process.attached_files import AttachError, Place, read_attachments
from foundry_tui.screens.completions import WritingPlace
from foundry_tui.screens.repository_check import RepositoryChoice
from foundry_tui.widgets.attaching_area import AttachingArea

Sent = Callable[[NewAttachments], None]


def repository_place(choice: RepositoryChoice) -> Place | None:
    """What the agent of a new task will have of this repository, if that is a folder here."""
    folder = Path((choice.repo.path if choice.repo is not None else choice.value) or "")
    return Place(folder, repository=True) if folder.is_absolute() else None


class AttachedFiles:
    """Reads the files of one field on a thread; while that goes on, nothing else is sent from it."""

    def __init__(self, place: WritingPlace, area: AttachingArea) -> None:
        self._place = place
        self._area = area
        self._reading = False

    def read(self, named: tuple[FileAttachment, ...], where: Place | None, sent: Sent) -> None:
        """Tell `sent` all that goes with the text: the files that it names, and those that are attached.

        At once where none are attached. What cannot be attached is said, and nothing is sent.
        """
        files = self._area.chips.files
        if not files:
            sent(named)
        elif len(named) + len(files) > MOST_ATTACHMENTS:
            self._say(f"{len(named) + len(files)} files are too many: a prompt can have {MOST_ATTACHMENTS} attachments")
        elif not self._reading:
            self._reading = True
            reading = self._read(named, tuple(map(Path, files)), where, sent)
            self._place.screen.run_worker(reading, group="attached", exit_on_error=False)

    async def _read(
        self, named: tuple[FileAttachment, ...], files: tuple[Path, ...], where: Place | None, sent: Sent
    ) -> None:
        try:
            attached = await asyncio.to_thread(read_attachments, files, where)
        except AttachError as error:
            self._say(f"{error.message}: {error.hint}" if error.hint else error.message)
            return
        finally:
            self._reading = False
        sent((*named, *(each for each in attached if each not in named)))

    def _say(self, why: str) -> None:
        take_off = self._place.key_of("remove_attachment")
        self._place.screen.notify(
            f"Not sent: {why}. {take_off} at the beginning of the text takes the last file off.", severity="error"
        )
