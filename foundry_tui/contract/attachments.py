"""What goes to the agent beside a prompt's text: as a request brings it, and as a prompt's record tells of it."""

import msgspec
from msgspec import Struct

from foundry_tui.contract.file_names import read, written
from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.problems import LARGEST_BODY
from foundry_tui.contract.record import Record

MOST_ATTACHMENTS = 20
"""Attachments that one prompt may have."""
LARGEST_BODY_WITH_ATTACHMENTS = 12 * 1024 * 1024
"""Bytes that the body of a request can have which brings attachments."""
LARGEST_ATTACHMENTS = 8 * 1024 * 1024
"""Bytes that the images and texts of one prompt may have together, so that their request, which is longer by a third
and has the prompt too, is not too large.
"""


class AttachmentKind(OpenEnum):
    """`file`: one in the sandbox, told by its path. `image` and `text`: the content itself."""

    FILE = "file"
    IMAGE = "image"
    TEXT = "text"


class Attachment(Record, frozen=True, kw_only=True):
    """What a `Prompt` tells of an attachment: all but its content. `size` is in bytes, `path` that of a file."""

    kind: AttachmentKind
    name: str
    mime: str | None = None
    size: int | None = None
    path: str | None = None


class _NewAttachment(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"
):
    """The base of what requests bring; `kind` stands in their JSON."""


class FileAttachment(_NewAttachment, frozen=True, kw_only=True, tag="file"):
    """A file in the sandbox: `path` is within it, or absolute, and stands as `file_names.written` writes it. It is
    looked for when the prompt is delivered.
    """

    path: str


class ImageAttachment(_NewAttachment, frozen=True, kw_only=True, tag="image"):
    """An image; `data` stands in JSON as base64."""

    mime: str
    data: bytes
    name: str | None = None


class TextAttachment(_NewAttachment, frozen=True, kw_only=True, tag="text"):
    """A text that the agent reads beside the prompt, under a name."""

    name: str
    text: str


NewAttachment = FileAttachment | ImageAttachment | TextAttachment
NewAttachments = tuple[NewAttachment, ...]


def told(attachment: NewAttachment) -> Attachment:
    """What the prompt's record tells of an attachment."""
    match attachment:
        case FileAttachment(path=path):
            name = written(read(path).rstrip("/").rpartition("/")[2]) or path
            return Attachment(kind=AttachmentKind.FILE, name=name, path=path)
        case ImageAttachment():
            name = attachment.name or f"image.{attachment.mime.partition('/')[2].partition('+')[0]}"
            return Attachment(kind=AttachmentKind.IMAGE, name=name, mime=attachment.mime, size=len(attachment.data))
        case TextAttachment():
            size = len(attachment.text.encode("utf-8", "replace"))
            return Attachment(kind=AttachmentKind.TEXT, name=attachment.name, mime="text/plain", size=size)


def body_limit(attachments: object) -> int:
    """Bytes that the body of a request can have which brings these attachments."""
    return LARGEST_BODY_WITH_ATTACHMENTS if attachments else LARGEST_BODY


def encode_attachments(attachments: NewAttachments) -> bytes:
    """The attachments as they are kept: images without the third that base64 adds."""
    return msgspec.msgpack.encode(attachments)


def decode_attachments(document: bytes) -> NewAttachments:
    """The attachments of what `encode_attachments` made; raises `msgspec.DecodeError`."""
    return msgspec.msgpack.decode(document, type=NewAttachments)
