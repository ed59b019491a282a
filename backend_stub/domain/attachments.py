"""What is wrong with the attachments that a request brings."""

import re
from collections.abc import Sequence

from backend_stub.domain.errors import RefusedError, conflict, wrong_values
from backend_stub.domain.settings import MAX_QUEUED_ATTACHMENTS
from foundry_tui.contract.attachments import (
    MOST_ATTACHMENTS,
    Attachment,
    AttachmentKind,
    FileAttachment,
    ImageAttachment,
    NewAttachment,
    NewAttachments,
    told,
)
from foundry_tui.contract.problems import LARGEST_BODY
from foundry_tui.contract.records import Accepts, Prompt

MAX_ATTACHED_NAME = 255
"""Characters of an attachment's name."""
MAX_PATH = 4_096
_IMAGE_TYPE = re.compile(r"image/[a-z0-9][a-z0-9.+-]{0,63}", re.IGNORECASE)


def check_attachments(attachments: NewAttachments, text: str) -> None:
    """Refuse what no agent could be given beside this prompt's text: 422 naming the field, or 413."""
    wrong = wrong_attachments(attachments)
    if wrong:
        raise wrong_values(*wrong)
    check_text_beside(attachments, text)


def check_text_beside(attachments: NewAttachments, text: str) -> None:
    """Refuse (413) a text that would be too long without its attachments."""
    if attachments and len(text.encode("utf-8", "replace")) > LARGEST_BODY:
        raise RefusedError(413, f"A prompt can have at most {LARGEST_BODY} bytes of text beside its attachments.")


def check_room(waiting: Sequence[Prompt], attachments: NewAttachments) -> None:
    """Refuse (409) more than is kept of attachments beside the prompts that wait in a session."""
    held = sum(each.size or 0 for prompt in waiting for each in prompt.attachments)
    if held and attachments and held + sum(told(each).size or 0 for each in attachments) > MAX_QUEUED_ATTACHMENTS:
        raise conflict("The attachments that wait in this session are too large together; let some be delivered.")


def wrong_attachments(attachments: NewAttachments) -> Sequence[tuple[str, str]]:
    """Field and sentence of each thing that is wrong."""
    if len(attachments) > MOST_ATTACHMENTS:
        return [("attachments", f"A prompt can have at most {MOST_ATTACHMENTS} attachments, not {len(attachments)}.")]
    named = [(f"attachments[{number}]", attachment) for number, attachment in enumerate(attachments)]
    return [(f"{place}.{field}", why) for place, attachment in named for field, why in _wrong(attachment)]


def images_left_out(attachments: Sequence[Attachment], accepts: Accepts, agent: str) -> str | None:
    """What is to be said of images that this agent does not take; None when it is given all."""
    names = [each.name for each in attachments if each.kind is AttachmentKind.IMAGE]
    if accepts.image or not names:
        return None
    return f"{agent} takes no images: the prompt went without {', '.join(names)}."


def _wrong(attachment: NewAttachment) -> Sequence[tuple[str, str]]:
    match attachment:
        case FileAttachment(path=path):
            return [("path", why)] if (why := _wrong_path(path)) else []
        case ImageAttachment(mime=mime, data=data, name=name):
            wrong = []
            if not _IMAGE_TYPE.fullmatch(mime):
                wrong.append(("mime", "The mime type of an image is image/png or another of image/…."))
            if not data:
                wrong.append(("data", "The image is empty."))
            if name is not None and (why := _wrong_name(name)):
                wrong.append(("name", why))
            return wrong
        case _:
            return [("name", why)] if (why := _wrong_name(attachment.name)) else []


def _wrong_name(name: str) -> str | None:
    if not name.strip():
        return "An attachment's name cannot be blank."
    if len(name) > MAX_ATTACHED_NAME:
        return f"An attachment's name can have at most {MAX_ATTACHED_NAME} characters; this one has {len(name)}."
    return None


def _wrong_path(path: str) -> str | None:
    """Only what can be told from the path alone: the sandbox is looked at when the prompt is delivered."""
    if not path.strip():
        return "Name a file: the path is empty."
    if "\0" in path or len(path) > MAX_PATH:
        return f"A path has at most {MAX_PATH} characters, and no NUL."
    if not path.startswith("/"):
        depth = 0
        for part in path.split("/"):
            depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
            if depth < 0:
                return f"{path} leads out of the sandbox: name a file in it."
    return None
