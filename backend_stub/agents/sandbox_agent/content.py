"""What a prompt is to the agent: its text and what goes with it, as ACP's content blocks.

What the agent does not take, or is not where it was said to be, is told in sentences for the transcript.
"""

import base64
import errno
import mimetypes
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from msgspec import Struct

from backend_stub.domain.attachments import images_left_out
from foundry_tui.contract.attachments import FileAttachment, ImageAttachment, NewAttachment, TextAttachment, told
from foundry_tui.contract.codec import encode
from foundry_tui.contract.file_names import read, written
from foundry_tui.contract.records import Accepts

Block: TypeAlias = dict[str, Any]

_FENCE = re.compile(r"^`{3,}", re.MULTILINE)


LARGEST_REQUEST = 2 * 1024 * 1024
"""Bytes of one request to sandbox-agent, which closes the connection on a larger one."""
_AROUND = 1_024
"""Bytes of a request that are none of its blocks'."""
_NO_PART_OF_A_NAME = re.compile(r"[^\w.-]+")


class Content(Struct, frozen=True):
    """The blocks of a prompt, and what is to be said of attachments that are not among them as they are."""

    blocks: tuple[Block, ...]
    notices: tuple[str, ...] = ()


class Receiver(Struct, frozen=True):
    """Who gets a prompt: an agent that takes this beside text and works in `cwd`.

    What is too large for a prompt is written into `aside`, a folder from which the agent can read.
    """

    agent: str
    accepts: Accepts
    cwd: str
    aside: Path


def text_alone(text: str) -> Content:
    """The content of a prompt without attachments."""
    return Content(({"type": "text", "text": text},))


def content_of(prompt_id: str, text: str, attachments: Sequence[NewAttachment], receiver: Receiver) -> Content:
    """In a thread, since files are looked for: what a prompt is to this agent. Raises `OSError` on a full disk."""
    blocks, notices = list(text_alone(text).blocks), []
    room = LARGEST_REQUEST - _AROUND - len(encode(blocks))
    for number, attachment in enumerate(attachments):
        block: Block | None
        if isinstance(attachment, FileAttachment):
            block, why_not = _link(attachment.path, Path(receiver.cwd))
            notices += [] if why_not is None else [why_not]
        else:
            block = _inline(attachment, receiver.accepts)
            if block is not None and len(encode(block)) > room:
                block = _put_aside(attachment, receiver.aside / f"{prompt_id}-{number}")
                notices.append(f"{block['name']} is too large to be in a prompt: {receiver.agent} got it as a file.")
        if block is not None:
            room -= len(encode(block))
            blocks.append(block)
    if (left_out := images_left_out(tuple(map(told, attachments)), receiver.accepts, receiver.agent)) is not None:
        notices.append(left_out)
    return Content(tuple(blocks), tuple(notices))


def _inline(attachment: ImageAttachment | TextAttachment, accepts: Accepts) -> Block | None:
    """The block with the attachment itself; None for an image that the agent does not take."""
    if isinstance(attachment, TextAttachment):
        return _resource(attachment) if accepts.embedded else _quoted(attachment)
    if not accepts.image:
        return None
    return {"type": "image", "mimeType": attachment.mime, "data": base64.b64encode(attachment.data).decode()}


def _put_aside(attachment: ImageAttachment | TextAttachment, folder: Path) -> Block:
    """The link to a file with the attachment. The same again leaves the same."""
    about = told(attachment)
    document = attachment.text.encode("utf-8", "replace") if isinstance(attachment, TextAttachment) else attachment.data
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = folder / (_NO_PART_OF_A_NAME.sub("_", about.name).strip(".")[-100:] or "attachment")
    place.write_bytes(document)
    uri = f"file://{quote(str(place))}"
    return {"type": "resource_link", "uri": uri, "name": about.name, "mimeType": about.mime, "size": len(document)}


def _link(path: str, root: Path) -> tuple[Block | None, str | None]:
    """The block of a file in the sandbox, or why there is none."""
    place = Path(os.path.normpath(root / read(path)))
    try:
        # Links are followed to find out where they lead, and no further.
        real = place.resolve(strict=True)
        found = real.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None, f"{path} is not in the sandbox: the prompt went without it."
    except (OSError, RuntimeError, ValueError) as error:
        # Until Python 3.12 a link that leads to itself is a RuntimeError.
        round_about = isinstance(error, RuntimeError) or getattr(error, "errno", None) == errno.ELOOP
        why = "it leads to itself" if round_about else getattr(error, "strerror", None) or "no file can have this name"
        return None, f"{path} cannot be looked at ({why}): the prompt went without it."
    if not real.is_relative_to(root.resolve()):
        return None, f"{path} leads out of the sandbox: the prompt went without it."
    uri = f"file://{quote(os.fsencode(place))}"
    block: Block = {"type": "resource_link", "uri": uri, "name": written(place.name or str(place))}
    if stat.S_ISREG(found.st_mode):
        block["size"] = found.st_size
        if (mime := mimetypes.guess_type(place.name)[0]) is not None:
            block["mimeType"] = mime
    return block, None


def _resource(attachment: TextAttachment) -> Block:
    uri = f"attachment:///{quote(attachment.name)}"
    return {"type": "resource", "resource": {"uri": uri, "mimeType": "text/plain", "text": attachment.text}}


def _quoted(attachment: TextAttachment) -> Block:
    """The text under its name, between fences longer than any that it has itself."""
    longest = max((len(fence) for fence in _FENCE.findall(attachment.text)), default=2)
    fence = "`" * (longest + 1)
    return {"type": "text", "text": f"{attachment.name}:\n{fence}\n{attachment.text.removesuffix(chr(10))}\n{fence}"}
