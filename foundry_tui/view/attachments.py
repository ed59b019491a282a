"""Attachments in words."""

from collections import Counter
from collections.abc import Iterable, Sequence

from foundry_tui.contract.attachments import Attachment, AttachmentKind
from foundry_tui.view.report import size_text


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


def takes_no_images(agent: str) -> str:
    """Why an image is not sent."""
    return f"{agent or 'this agent'} takes no images"
