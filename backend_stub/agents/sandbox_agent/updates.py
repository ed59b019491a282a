"""From the agent's `session/update` messages to transcript items; pure, and its state can be kept in a file."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.messages import Arrival, Gap, Unreadable
from backend_stub.agents.sandbox_agent.own_words import is_warning
from foundry_tui.contract.codec import decode
from foundry_tui.contract.questions import FileEdit
from foundry_tui.contract.transcript import PlanBody, PlanEntry, ToolCallBody, TranscriptKind

TEXT_LIMIT = 200_000
"""Characters of one text that an item keeps; what is beyond is cut and said to be."""
TITLE_LIMIT = 4_000
"""Characters that an item keeps of a title, of a line of a plan, and of a path."""
PLAN_LIMIT = 500
"""Lines of a plan that an item keeps; one more says how many there are beyond."""
EDITS_LIMIT = 1_000_000
"""Characters of all changes of one tool call that an item keeps, as whole changes but for the first."""
KEPT_WHOLE = 20
"""Tool calls that have ended and of which all is kept; an update of an earlier one has to bring its own words."""
KEPT_TITLES = 1_000
"""Tool calls that have ended and of which is kept what they are called."""

NOTHING = Raw(b"null")
EXCERPT = 200
"""Characters of something unreadable that a notice quotes."""


class Block(Struct, kw_only=True):
    """A piece of content: text, or something that is shown by its name only."""

    type: str = "text"
    text: str | None = None
    name: str | None = None
    uri: str | None = None

    def words(self) -> str:
        if self.type == "text":
            return self.text or ""
        named = self.name or self.uri
        return f"[{self.type}: {named}]" if named else f"[{self.type}]"


class ToolContent(Struct, kw_only=True, rename="camel"):
    """What a tool call shows: a content block, or a diff of a file."""

    type: str = "content"
    content: Block | None = None
    path: str = ""
    old_text: str | None = None
    new_text: str = ""


class Entry(Struct, kw_only=True):
    """One line of a plan as the agent tells it."""

    content: str
    priority: str | None = None
    status: str | None = None


class _Typed(Struct):
    type: str = "content"


class Update(Struct, kw_only=True, rename="camel"):
    """Every kind of `session/update` in one; what a kind does not use stays unset.

    `raw_input` is what a tool was called with, in the tool's own words.
    """

    session_update: str
    content: Raw = NOTHING
    raw_output: Raw = NOTHING
    raw_input: Raw = NOTHING
    message_id: str | None = None
    locations: Raw = NOTHING
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
_ENDED = ("completed", "failed")
_ON_FILES = ("read", "edit", "delete", "move")
"""ACP's kinds of tool calls whose title is a word and a path, and no command."""
_KINDS = frozenset({*_CHUNKS, "tool_call", "tool_call_update", "plan"})
"""The updates that concern a transcript; all others may have any shape."""
_block = msgspec.json.Decoder(Block)
_update = msgspec.json.Decoder(Update)


_pieces = msgspec.json.Decoder(list[Raw])
_piece = msgspec.json.Decoder(ToolContent)
_typed = msgspec.json.Decoder(_Typed)


class _Kind(Struct, rename="camel"):
    session_update: str = ""


class _Notification(Struct):
    update: Raw = NOTHING


_kind = msgspec.json.Decoder(_Kind)
_notification = msgspec.json.Decoder(_Notification)


class ToolInput(Struct, kw_only=True):
    """What is known of what a tool was called with: as JSON, and the places that the call names."""

    raw: str = ""
    paths: tuple[str, ...] = ()


class Translation(Struct, kw_only=True):
    """The turn of one prompt so far: what is still growing, and the tool calls, which are updated by id.

    Keys are counted from the start of the turn, so that the same stream read again gives the same keys. What the agent
    says after the turn's end goes on in the same way, until the next turn. `parts` are the text that grows, `beyond`
    counts the characters of it that are too many to be kept, `unreadable` what could not be read. `asked` are tool
    calls that only a question has told of.
    """

    prompt_id: str
    cwd: str = ""
    count: int = 0
    growing: str = ""
    message_id: str | None = None
    parts: list[str] = []
    beyond: int = 0
    tools: dict[str, ToolCallBody] = {}
    ended: dict[str, ToolCallBody] = {}
    titles: dict[str, ToolCallBody] = {}
    asked: dict[str, ToolCallBody] = {}
    forgotten: int = 0
    inputs: dict[str, ToolInput] = {}
    unreadable: int = 0

    def take(self, arrival: Arrival) -> Item | None:
        """The item that something arriving makes or changes, be it the notice of what is lost; None for the rest."""
        message = arrival.message
        if isinstance(message, Gap):
            text = f"{message.events} events of the agent were lost: nobody was listening, or not fast enough."
            return Item(f"gap-{arrival.number}", TranscriptKind.NOTICE, text)
        if isinstance(message, Unreadable):
            return self.cannot_read(message.text, message.why)
        return self.read(message.params) if message.method == "session/update" else None

    def read(self, params: Raw) -> Item | None:
        """The item that this notification makes or changes; the notice of it where it cannot be read."""
        try:
            update = _notification.decode(params).update
            if _kind.decode(update).session_update not in _KINDS:
                return None
            return self.apply(_update.decode(update))
        except (msgspec.DecodeError, RecursionError) as error:
            return self.cannot_read(bytes(params).decode(errors="replace"), str(error))

    def cannot_read(self, text: str, why: str) -> Item:
        """The turn's one notice of what could not be read, with one more counted."""
        self.unreadable += 1
        count = "A message" if self.unreadable == 1 else f"{self.unreadable} messages"
        last = "It is" if self.unreadable == 1 else "The last is"
        body = f"{count} of the agent could not be read. {last}: {excerpt(text)} ({why})"
        return Item(self.key("unreadable"), TranscriptKind.NOTICE, body)

    def end_message(self) -> None:
        """What is said from now on is another message."""
        self.growing, self.parts, self.beyond, self.message_id = "", [], 0, None

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
            body = PlanBody(entries=tuple(_plan(update.entries)))
            return Item(self.key("plan"), TranscriptKind.PLAN, msgspec.to_builtins(body))
        return None

    def key(self, name: str) -> str:
        return f"{self.prompt_id}:{name}"

    def _grow(self, kind: TranscriptKind, update: Update) -> Item | None:
        if bytes(update.content) == bytes(NOTHING):
            return None
        text = _block.decode(update.content).words()
        if not text:
            return None
        if kind is TranscriptKind.MESSAGE and is_warning(text):
            self.end_message()
            self.count += 1
            return Item(self.key(f"{TranscriptKind.NOTICE}-{self.count}"), TranscriptKind.NOTICE, text.strip())
        another = None not in (update.message_id, self.message_id) and update.message_id != self.message_id
        if self.growing != kind or another:
            self.end_message()
            self.growing = kind
            self.count += 1
        self.message_id = update.message_id or self.message_id
        whole = "".join((*self.parts, text))
        self.beyond += max(0, len(whole) - TEXT_LIMIT)
        kept = whole[:TEXT_LIMIT]
        self.parts = [kept] if self.beyond or len(self.parts) > 64 else [*self.parts, text]
        return Item(self.key(f"{kind}-{self.count}"), kind, _with_rest(kept, self.beyond))

    def tool(self, tool_call_id: str) -> ToolCallBody | None:
        """The call of this id as it was told so far."""
        told = (self.tools, self.ended, self.titles, self.asked)
        return next((held[tool_call_id] for held in told if tool_call_id in held), None)

    def asked_about(self, tool_call_id: str, title: str, kind: str) -> None:
        """Keep what a question calls its tool call: what comes of that may be told without a title."""
        if tool_call_id and self.tool(tool_call_id) is None:
            self.asked[tool_call_id] = ToolCallBody(title=title, kind=cut_line(kind))
            if len(self.asked) > KEPT_TITLES:
                del self.asked[next(iter(self.asked))]

    def _tool(self, update: Update) -> Item | None:
        id_ = update.tool_call_id
        shows = bytes(update.content) != bytes(NOTHING)
        known = self.tool(id_)
        let_go = id_ in self.titles or (known is None and self.forgotten and update.title is None)
        if let_go and not shows:
            # It ended long ago, and what it showed then stays.
            return None
        body = known or ToolCallBody(title="Tool call")
        changes: dict[str, object] = {}
        if update.title is not None:
            changes["title"] = self.titled(update.title, update.kind or body.kind)
        if update.kind is not None:
            changes["kind"] = cut_line(update.kind)
        if update.status is not None:
            changes["status"] = cut_line(update.status)
        if shows:
            changes["content"], changes["edits"] = _cut_shown(*self.shown(update.content))
        if not changes.get("content", body.content) and bytes(update.raw_output) != bytes(NOTHING):
            changes["content"] = cut(_words_of(update.raw_output))
        body = msgspec.structs.replace(body, **changes)
        shown = msgspec.structs.replace(body, title=cut_line(body.title))
        called_with = self.input_of(id_, update.raw_input, update.locations)
        for held in (self.tools, self.ended, self.titles, self.asked, self.inputs):
            held.pop(id_, None)
        if body.status in _ENDED:
            self.ended[id_] = shown
            self._let_go()
        else:
            # A question about it has its title whole.
            self.tools[id_] = body
            if called_with.raw or called_with.paths:
                self.inputs[id_] = called_with
        return Item(self.key(f"tool-{id_}"), TranscriptKind.TOOL_CALL, msgspec.to_builtins(shown))

    def _let_go(self) -> None:
        """Let go of what those calls showed that ended before the last `KEPT_WHOLE`."""
        if len(self.ended) > KEPT_WHOLE:
            oldest = next(iter(self.ended))
            self.titles[oldest] = msgspec.structs.replace(self.ended.pop(oldest), content="", edits=())
        if len(self.titles) > KEPT_TITLES:
            del self.titles[next(iter(self.titles))]
            self.forgotten += 1

    def input_of(self, tool_call_id: str, raw: Raw, locations: Raw) -> ToolInput:
        """What the tool is called with, as far as this or what was told before says it."""
        known = self.inputs.get(tool_call_id, ToolInput())
        new = bytes(raw).decode(errors="replace") if bytes(raw) not in (bytes(NOTHING), b"{}") else ""
        paths = tuple(self.relative(path) for path in _paths(locations))
        return ToolInput(raw=new or known.raw, paths=paths or known.paths)

    def shown(self, content: Raw) -> tuple[list[str], list[FileEdit]]:
        """The texts and the changes that a tool call shows, whole; of types that we do not know nothing is shown.

        Raises `msgspec.DecodeError` when something of a type that we know cannot be read.
        """
        texts, edits = [], []
        for raw in _pieces.decode(content):
            kind = _typed.decode(raw).type
            if kind not in ("content", "diff"):
                continue
            piece = _piece.decode(raw)
            if kind == "content" and piece.content:
                texts.append(piece.content.words())
            elif kind == "diff":
                edits.append(FileEdit(path=self.relative(piece.path), new=piece.new_text, old=piece.old_text))
        return texts, edits

    @property
    def working(self) -> bool:
        """Whether a tool is at work, so that silence says nothing."""
        return bool(self.tools)

    def titled(self, title: str, kind: str) -> str:
        """A tool call's title; that of work on a file names it as seen from where the agent works."""
        return title.replace(f"{self.cwd}/", "") if self.cwd and kind in _ON_FILES else title

    def relative(self, path: str) -> str:
        """The path as seen from where the agent works."""
        pure = PurePosixPath(path)
        return str(pure.relative_to(self.cwd)) if self.cwd and pure.is_relative_to(self.cwd) else path


def _paths(locations: Raw) -> Iterator[str]:
    """The paths of those places that can be read."""
    places: object = decode(locations, Any)
    for place in places if isinstance(places, list) else ():
        if isinstance(place, dict) and isinstance(path := place.get("path"), str) and path:
            yield path


def _cut_shown(texts: Sequence[str], edits: Sequence[FileEdit]) -> tuple[str, tuple[FileEdit, ...]]:
    """What a tool call shows, as far as an item keeps it; words say how many changes are left out."""
    kept, room = list[FileEdit](), EDITS_LIMIT
    for edit in edits:
        change = FileEdit(path=cut_line(edit.path), new=cut(edit.new), old=None if edit.old is None else cut(edit.old))
        room -= len(change.path) + len(change.new) + len(change.old or "")
        if kept and room < 0:
            break
        kept.append(change)
    beyond = len(edits) - len(kept)
    return cut("\n".join(texts)) + (f"\n… {beyond} more changes" if beyond else ""), tuple(kept)


def _plan(entries: Sequence[Entry]) -> Iterator[PlanEntry]:
    """The lines of a plan that an item keeps, and one that says how many there are beyond."""
    for each in entries[:PLAN_LIMIT]:
        yield PlanEntry(
            content=cut_line(each.content),
            status=cut_line(each.status or "pending"),
            priority=cut_line(each.priority or "medium"),
        )
    beyond = entries[PLAN_LIMIT:]
    if beyond:
        done = all(each.status == "completed" for each in beyond)
        yield PlanEntry(content=f"… {len(beyond)} more", status="completed" if done else "pending")


def cut_line(text: str) -> str:
    """A title or another text of one line, or its beginning and a word about the rest."""
    beyond = len(text) - TITLE_LIMIT
    return f"{text[:TITLE_LIMIT]}… {beyond} more characters" if beyond > 0 else text


def excerpt(text: str) -> str:
    """The beginning of something that an agent sent, on one line."""
    line = " ".join(text[: EXCERPT * 2].split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT]}…"


def cut(text: str) -> str:
    """The text, or its beginning and a word about the rest."""
    return _with_rest(text[:TEXT_LIMIT], max(0, len(text) - TEXT_LIMIT))


def _with_rest(text: str, beyond: int) -> str:
    return f"{text}\n… {beyond} more characters" if beyond else text


def _words_of(raw: Raw) -> str:
    """The text of a raw output: itself, or what stands under one of the usual names."""
    value: object = decode(raw, Any)
    if isinstance(value, dict):
        value = next((value[name] for name in _OUTPUTS if isinstance(value.get(name), str) and value[name]), "")
    return value if isinstance(value, str) else ""
