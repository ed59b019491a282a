"""From the agent's `session/update` messages to transcript items; pure, and its state can be kept in a file."""

from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Raw, Struct

from foundry_tui.contract.records import FileEdit, PlanBody, PlanEntry, ToolCallBody, TranscriptKind

TEXT_LIMIT = 200_000
"""Characters of one text that an item keeps; what is beyond is cut and said to be."""


NOTHING = Raw(b"null")


class Block(Struct, kw_only=True):
    """A piece of content: text, or something that is shown by its name only."""

    type: str = "text"
    text: str = ""
    name: str = ""
    uri: str = ""

    def words(self) -> str:
        if self.type == "text":
            return self.text
        return f"[{self.type}{': ' + (self.name or self.uri) if self.name or self.uri else ''}]"


class ToolContent(Struct, kw_only=True, rename="camel"):
    """What a tool call shows: a content block, a diff of a file, or a terminal."""

    type: str = "content"
    content: Block | None = None
    path: str = ""
    old_text: str | None = None
    new_text: str = ""
    terminal_id: str = ""


class Entry(Struct, kw_only=True):
    """One line of a plan as the agent tells it."""

    content: str
    priority: str = "medium"
    status: str = "pending"


class Update(Struct, kw_only=True, rename="camel"):
    """Every kind of `session/update` in one; what a kind does not use stays unset."""

    session_update: str
    content: Raw = NOTHING
    raw_output: Raw = NOTHING
    tool_call_id: str = ""
    title: str | None = None
    kind: str | None = None
    status: str | None = None
    entries: list[Entry] = []


class Item(Struct, frozen=True):
    """A transcript item to be told under its key; the body is the whole item as it stands now."""

    key: str
    kind: TranscriptKind
    body: str | dict[str, Any]


_CHUNKS = {
    "agent_message_chunk": TranscriptKind.MESSAGE,
    "agent_thought_chunk": TranscriptKind.THOUGHT,
}
_OUTPUTS = ("formatted_output", "aggregated_output", "output", "stdout", "text")
"""Where agents put the text of a tool's raw output, which the protocol leaves to them."""
_block = msgspec.json.Decoder(Block)
_tool_content = msgspec.json.Decoder(list[ToolContent])


class Translation(Struct, kw_only=True):
    """The turn of one prompt so far: what is still growing, and the tool calls, which are updated by id.

    Keys are counted from the start of the turn, so that the same stream read again gives the same keys.
    """

    prompt_id: str
    cwd: str = ""
    count: int = 0
    growing: str = ""
    parts: list[str] = []
    tools: dict[str, ToolCallBody] = {}

    def apply(self, update: Update) -> Item | None:
        """The item that this update makes or changes, or None when it concerns no transcript."""
        kind = _CHUNKS.get(update.session_update)
        if kind is not None:
            return self._grow(kind, update)
        if update.session_update in ("tool_call", "tool_call_update") and update.tool_call_id:
            self.growing = ""
            return self._tool(update)
        if update.session_update == "plan":
            self.growing = ""
            entries = tuple(PlanEntry(content=e.content, status=e.status, priority=e.priority) for e in update.entries)
            return Item(self.key("plan"), TranscriptKind.PLAN, msgspec.to_builtins(PlanBody(entries=entries)))
        return None

    def key(self, name: str) -> str:
        return f"{self.prompt_id}:{name}"

    def _grow(self, kind: TranscriptKind, update: Update) -> Item | None:
        if bytes(update.content) == bytes(NOTHING):
            return None
        text = _block.decode(update.content).words()
        if not text:
            return None
        if self.growing != kind:
            self.growing = kind
            self.parts = []
            self.count += 1
        self.parts = ["".join(self.parts) + text] if len(self.parts) > 64 else [*self.parts, text]
        return Item(self.key(f"{kind}-{self.count}"), kind, cut("".join(self.parts)))

    def _tool(self, update: Update) -> Item:
        body = self.tools.get(update.tool_call_id, ToolCallBody(title="Tool call"))
        changes: dict[str, object] = {}
        if update.title is not None:
            changes["title"] = update.title
        if update.kind is not None:
            changes["kind"] = update.kind
        if update.status is not None:
            changes["status"] = update.status
        if bytes(update.content) != bytes(NOTHING):
            changes |= self._tool_content(_tool_content.decode(update.content))
        if not changes.get("content", body.content) and bytes(update.raw_output) != bytes(NOTHING):
            changes["content"] = cut(_words_of(update.raw_output))
        body = msgspec.structs.replace(body, **changes)
        self.tools[update.tool_call_id] = body
        return Item(self.key(f"tool-{update.tool_call_id}"), TranscriptKind.TOOL_CALL, msgspec.to_builtins(body))

    def _tool_content(self, pieces: list[ToolContent]) -> dict[str, object]:
        texts = [piece.content.words() for piece in pieces if piece.type == "content" and piece.content]
        edits = tuple(
            FileEdit(
                path=self._relative(piece.path),
                new=cut(piece.new_text),
                old=None if piece.old_text is None else cut(piece.old_text),
            )
            for piece in pieces
            if piece.type == "diff"
        )
        return {"content": cut("\n".join(texts)), "edits": edits}

    def _relative(self, path: str) -> str:
        pure = PurePosixPath(path)
        return str(pure.relative_to(self.cwd)) if self.cwd and pure.is_relative_to(self.cwd) else path


def cut(text: str) -> str:
    """The text, or its beginning and a word about the rest."""
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}\n… {len(text) - TEXT_LIMIT} more characters"


def _words_of(raw: Raw) -> str:
    """The text of a raw output: itself, or what stands under one of the usual names."""
    value: object = msgspec.json.decode(raw)  # noqa: TID251  # no type
    if isinstance(value, dict):
        value = next((value[name] for name in _OUTPUTS if isinstance(value.get(name), str) and value[name]), "")
    return value if isinstance(value, str) else ""
