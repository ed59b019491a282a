"""The transcript as entries to draw: what was said, with what is known about it besides its own text."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from math import ceil

import msgspec
from msgspec import Struct

from foundry_tui.contract.attachments import Attachment
from foundry_tui.contract.questions import AnswerAction, Permission, PermissionState, QuestionKind
from foundry_tui.contract.records import ErrorKind, Prompt, PromptState
from foundry_tui.contract.transcript import PermissionBody, PlanBody, ToolCallBody, TranscriptItem, TranscriptKind
from foundry_tui.contract.wording import Wording
from foundry_tui.view.questions import action_word

Body = str | ToolCallBody | PlanBody | PermissionBody


class Standing(Enum):
    """Whether an entry is done. A queued prompt and an open question wait; what was cut short is stopped."""

    DONE = auto()
    WAITING = auto()
    FAILED = auto()
    STOPPED = auto()


class Entry(Struct, frozen=True, kw_only=True):
    """One piece of the transcript. `note` is what stands beside it: a prompt's state, a permission's answer.

    `attachments` are those of a prompt.
    """

    key: str
    kind: TranscriptKind
    body: Body
    at: int
    note: str = ""
    standing: Standing = Standing.DONE
    attachments: tuple[Attachment, ...] = ()


PROMPT_WORDS: Wording[PromptState] = Wording(
    {
        PromptState.QUEUED: "queued",
        PromptState.DELIVERED: "delivered",
        PromptState.ANSWERED: "answered",
        PromptState.FAILED: "failed",
        PromptState.WITHDRAWN: "withdrawn",
    }
)
_OF_PROMPT: dict[PromptState, Standing] = {
    PromptState.QUEUED: Standing.WAITING,
    PromptState.DELIVERED: Standing.WAITING,
    PromptState.ANSWERED: Standing.DONE,
    PromptState.FAILED: Standing.FAILED,
    PromptState.WITHDRAWN: Standing.STOPPED,
}
_OF_TOOL: dict[str, Standing] = {
    "pending": Standing.WAITING,
    "in_progress": Standing.WAITING,
    "failed": Standing.FAILED,
}


def body_of(item: TranscriptItem) -> Body:
    """The typed body of an item; one that does not fit its kind is given as text, so that nothing said is hidden."""
    if isinstance(item.body, str):
        return item.body
    try:
        if item.kind is TranscriptKind.TOOL_CALL:
            return msgspec.convert(item.body, ToolCallBody)
        if item.kind is TranscriptKind.PLAN:
            return msgspec.convert(item.body, PlanBody)
        if item.kind is TranscriptKind.PERMISSION:
            return msgspec.convert(item.body, PermissionBody)
    except msgspec.ValidationError:
        pass
    return msgspec.json.encode(item.body).decode()


def entry_of(
    item: TranscriptItem, prompts: Mapping[str, Prompt], permissions: Mapping[str, Permission], *, cut: bool = False
) -> Entry:
    """An item with what is known about it. `prompts` is by item_id (see `prompts_by_item`), `permissions` by id; `cut`
    as `is_cut` says.
    """
    body = body_of(item)
    note, standing = "", Standing.DONE
    attachments: tuple[Attachment, ...] = ()
    if item.kind is TranscriptKind.PROMPT and (prompt := prompts.get(item.item_id)) is not None:
        note, standing = _prompt_note(prompt)
        attachments = prompt.attachments
    elif isinstance(body, PermissionBody):
        note, standing = _permission_note(permissions.get(body.permission_id), body)
        if body.answered_by:
            note = body.answered_by
            standing = Standing.FAILED if note.startswith("denied") else standing
    elif isinstance(body, ToolCallBody):
        standing = Standing.STOPPED if cut else _OF_TOOL.get(body.status, Standing.DONE)
    fits = isinstance(body, str) is isinstance(item.body, str)
    kind = item.kind if fits or not item.kind.is_known else TranscriptKind.NOTICE
    return Entry(
        key=item.item_id, kind=kind, body=body, at=item.at, note=note, standing=standing, attachments=attachments
    )


def is_cut(items: Sequence[TranscriptItem], place: int, prompts: Mapping[str, Prompt]) -> bool:
    """Whether the item at this place is a tool call that was at work when its turn was stopped, or failed.

    `prompts` is by item_id.
    """
    body = items[place].body
    if not isinstance(body, dict) or _OF_TOOL.get(str(body.get("status"))) is not Standing.WAITING:
        return False
    before = (
        prompts.get(items[at].item_id) for at in range(place - 1, -1, -1) if items[at].kind is TranscriptKind.PROMPT
    )
    turn = next((prompt for prompt in before if prompt is not None and not prompt.steer), None)
    return turn is not None and turn.state is PromptState.FAILED


def is_asked_below(entry: Entry) -> bool:
    """Whether it is a question that is still open: it stands whole below the conversation, with its answers."""
    return entry.kind is TranscriptKind.PERMISSION and entry.standing is Standing.WAITING


def entry_of_prompt(prompt: Prompt) -> Entry:
    """A prompt that the transcript does not have yet."""
    note, standing = _prompt_note(prompt)
    return Entry(
        key=prompt.prompt_id,
        kind=TranscriptKind.PROMPT,
        body=prompt.text,
        at=prompt.at,
        note=note,
        standing=standing,
        attachments=prompt.attachments,
    )


def _prompt_note(prompt: Prompt) -> tuple[str, Standing]:
    if prompt.error is not None and prompt.error.kind is ErrorKind.CANCELLED:
        return "stopped", Standing.STOPPED
    word = PROMPT_WORDS[prompt.state]
    if prompt.error is not None:
        word = f"{word}: {prompt.error.message}"
    return word, _OF_PROMPT.get(prompt.state, Standing.WAITING)


def _permission_note(permission: Permission | None, body: PermissionBody) -> tuple[str, Standing]:
    if body.answer is not None:
        taken = body.answer == AnswerAction.ACCEPT
        return action_word(body.kind, body.answer), Standing.DONE if taken else Standing.FAILED
    if permission is None:
        return "", Standing.DONE
    if permission.state is PermissionState.OPEN:
        return "waiting for your answer", Standing.WAITING
    if permission.state is PermissionState.CANCELLED:
        return "no longer asked", Standing.STOPPED
    if not permission.state.is_known:
        return str(permission.state), Standing.WAITING
    for option in permission.options:
        if option.option_id == permission.answer:
            return option.name, Standing.FAILED if option.kind.startswith("reject") else Standing.DONE
    if permission.kind is not QuestionKind.PERMISSION and permission.answer:
        return action_word(permission.kind, permission.answer), Standing.DONE
    return permission.answer or "answered", Standing.DONE


def prompts_by_item(
    items: Iterable[TranscriptItem], prompts: Sequence[Prompt]
) -> tuple[dict[str, Prompt], tuple[Prompt, ...]]:
    """Which prompt stands at which item, and the prompts that the transcript does not have yet, oldest first.

    An item belongs to the prompt whose id it bears; failing that, to the first prompt of the same text that is
    not placed yet.
    """
    said = [item for item in items if item.kind is TranscriptKind.PROMPT]
    by_id = {prompt.prompt_id: prompt for prompt in prompts}
    placed: dict[str, Prompt] = {}
    taken: set[str] = set()
    rest = []
    for item in said:
        prompt = by_id.get(item.item_id) or by_id.get(item.item_id.removeprefix("prompt-"))
        if prompt is not None:
            placed[item.item_id] = prompt
            taken.add(prompt.prompt_id)
        else:
            rest.append(item)
    for item in rest:
        for prompt in prompts:
            if prompt.prompt_id not in taken and prompt.text == item.body:
                placed[item.item_id] = prompt
                taken.add(prompt.prompt_id)
                break
    return placed, tuple(prompt for prompt in prompts if prompt.prompt_id not in taken)


def first_difference(old: Sequence[TranscriptItem], new: Sequence[TranscriptItem], *, window: int = 128) -> int:
    """The first place where two versions of a transcript differ; the shorter's length if it begins the other.

    Records are shared between versions, so equal pieces are the same objects. Changes are near the end almost always:
    all before the last `window` items is compared at one go, and searched only if something there changed.
    """
    common = min(len(old), len(new))
    settled = max(0, common - window)
    if old[:settled] != new[:settled]:
        settled = 0
    for place in range(settled, common):
        if old[place] is not new[place] and old[place] != new[place]:
            return place
    return common


def estimated_height(item: TranscriptItem, width: int) -> int:
    """Lines that an item will probably take, without rendering it."""
    body = item.body
    if not isinstance(body, str):
        return 2
    if item.kind is TranscriptKind.THOUGHT:
        return 2
    if width <= 0 or (len(body) <= width and "\n" not in body):
        return 2
    return 1 + sum(max(1, ceil(len(line) / width)) for line in body.split("\n"))


def unfenced(text: str) -> str:
    """What a code fence around the whole of a text holds; else the text. Agents fence what a command has printed."""
    first, *lines = text.strip("\n").split("\n")
    fence = first[: len(first) - len(first.lstrip("`"))]
    if len(fence) < 3 or not lines or lines.pop().rstrip() != fence or any(line.startswith(fence) for line in lines):
        return text
    return "\n".join(lines)


def blocks(markdown: str) -> list[str]:
    """A Markdown text cut where blank lines stand outside of code fences, so that a growing text changes its last
    block only. Joining the blocks with a blank line gives an equal text.
    """
    found: list[str] = []
    block: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        stripped = line.lstrip()
        if fence:
            if stripped.startswith(fence) and not stripped.strip(fence[0]).strip():
                fence = ""
        elif stripped.startswith(("```", "~~~")):
            fence = stripped[: len(stripped) - len(stripped.lstrip(stripped[0]))]
        if line.strip() or fence:
            block.append(line)
        elif block:
            if _indented(line, block):
                block.append(line)
            else:
                found.append("\n".join(block))
                block = []
    if block:
        found.append("\n".join(block))
    return found


def _indented(line: str, block: list[str]) -> bool:
    """Whether a blank line belongs to an indented code block, which it does not end."""
    return block[-1].startswith("    ") and bool(line)
