"""What a prompt is to the agent: its text and what goes with it, as ACP's content blocks.

What the agent does not take, or is not where it was said to be, is told in sentences for the transcript.
"""

import base64
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
from foundry_tui.contract.records import Accepts

Block: TypeAlias = dict[str, Any]

_FENCE = re.compile(r"^`{3,}", re.MULTILINE)


class Content(Struct, frozen=True):
    """The blocks of a prompt, and what is to be said of attachments that are not among them."""

    blocks: tuple[Block, ...]
    notices: tuple[str, ...] = ()


def text_alone(text: str) -> Content:
    """The content of a prompt without attachments."""
    return Content(({"type": "text", "text": text},))


def content_of(text: str, attachments: Sequence[NewAttachment], accepts: Accepts, cwd: str, agent: str) -> Content:
    """In a thread: the content of a prompt to an agent, by what it takes and what files are in `cwd`."""
    blocks, notices = list(text_alone(text).blocks), []
    for attachment in attachments:
        match attachment:
            case FileAttachment(path=path):
                block, why_not = _link(path, Path(cwd))
                blocks += [] if block is None else [block]
                notices += [] if why_not is None else [why_not]
            case ImageAttachment() if accepts.image:
                data = base64.b64encode(attachment.data).decode()
                blocks.append({"type": "image", "mimeType": attachment.mime, "data": data})
            case TextAttachment():
                blocks.append(_resource(attachment) if accepts.embedded else _quoted(attachment))
    if (left_out := images_left_out(tuple(map(told, attachments)), accepts, agent)) is not None:
        notices.append(left_out)
    return Content(tuple(blocks), tuple(notices))


def _link(path: str, root: Path) -> tuple[Block | None, str | None]:
    """The block of a file in the sandbox, or why there is none."""
    place = Path(os.path.normpath(root / path))
    try:
        # Links are followed to find out where they lead, and no further.
        real = place.resolve(strict=True)
        found = real.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None, f"{path} is not in the sandbox: the prompt went without it."
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it leads to itself"
        return None, f"{path} cannot be looked at ({why}): the prompt went without it."
    if not real.is_relative_to(root.resolve()):
        return None, f"{path} leads out of the sandbox: the prompt went without it."
    block: Block = {"type": "resource_link", "uri": f"file://{quote(str(place))}", "name": place.name or str(place)}
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
