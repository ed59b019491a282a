"""`--attach`: files of this machine that go with a prompt."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.records import SessionState
from foundry_tui.settings.paths import absolute

if TYPE_CHECKING:
    from foundry_tui.process.attached_files import Place

attach_option = click.option(
    "--attach",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="Give the agent this file with it: an image, a file of the sandbox, or a text. Again for each more.",
)


def attached(files: Sequence[str], place: "Place | None") -> NewAttachments:
    """The files as attachments; raises `CommandError` for what cannot be attached."""
    if not files:
        return ()
    from foundry_tui.process.attached_files import AttachError, read_attachments

    try:
        return read_attachments([absolute(file) for file in files], place)
    except AttachError as error:
        raise CommandError(error.message, hint=error.hint) from None


def refuse_images(attachments: NewAttachments, session: SessionState) -> None:
    """Raise `CommandError` for images that the session's agent is known not to take."""
    from foundry_tui.view.attachments import why_no_images

    if (why := why_no_images(session, attachments)) is not None:
        raise CommandError(why, hint="leave the image out, or put it into the sandbox and name its path")
