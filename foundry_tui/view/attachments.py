"""Attachments in words."""

from collections import Counter
from collections.abc import Iterable, Sequence

from foundry_tui.contract.attachments import Attachment, AttachmentKind, ImageAttachment, NewAttachment
from foundry_tui.contract.records import SessionState, SessionStatus
from foundry_tui.view.report import size_text

_OPENED = (SessionStatus.READY, SessionStatus.RUNNING)
"""When it is known what an agent takes."""


def attachment_text(attachment: Attachment) -> str:
    """One attachment: `image shot.png (2.1 MB)`, `file src/app.py`."""
    name = attachment.path if attachment.kind is AttachmentKind.FILE else attachment.name
    size = "" if attachment.size is None else f" ({size_text(attachment.size)})"
    return f"{attachment.kind} {name or attachment.name}{size}"


def attached_text(attachments: Sequence[Attachment]) -> str:
    """All that goes with a prompt, for a line of its own; empty for nothing."""
    return f"attached: {', '.join(map(attachment_text, attachments))}" if attachments else ""


def count_text(attachments: Iterable[Attachment]) -> str:
    """How many there are of each kind, for a corner: `+1 image`, `+2 files, 1 text`; empty for nothing."""
    counted = Counter(str(each.kind) for each in attachments)
    words = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counted.items()]
    return f"+{', '.join(words)}" if words else ""


def why_no_images(session: SessionState | None, attachments: Iterable[NewAttachment]) -> str | None:
    """Why these are not sent to a session whose agent is known to take no images; None when they can be."""
    if session is None or session.accepts.image or session.status not in _OPENED:
        return None
    has_images = any(isinstance(each, ImageAttachment) for each in attachments)
    return f"{session.agent or 'this agent'} takes no images" if has_images else None
