"""From an agent's `session/request_permission` to the question that a person judges, whole."""

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent import elicitation
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.updates import NOTHING, Item, ToolInput, Translation, excerpt
from foundry_tui.contract.codec import decode
from foundry_tui.contract.questions import FileEdit, PermissionOption, Question
from foundry_tui.contract.rules import EXECUTE
from foundry_tui.contract.transcript import TranscriptKind

UNTITLED = "The agent asks for permission"
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish"})
SHOWN = "(as shown)"
"""Stands for a text that the question has already."""
COMMANDS = ("command", "cmd")
"""What agents call the command that would be run."""
LONG = 80
"""Characters of a line from which it is not said twice within a text; what has several lines never is."""
PATHS = frozenset({"path", "filepath", "file_path", "filePath"})
"""What agents call the one file that a tool works on."""
ANSWERS, ALWAYS = "available_decisions", "proposed_execpolicy_amendment"
"""What an agent calls the answers that its options are, and the words of the commands that `always` would allow."""
_ANSWERS_TOLD = re.compile(r"(?:^|\n)Available Decisions: \w+((?:\n\w+)*)\s*\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MARK = re.compile(r"=+|@@ [-+,\d ]+ @@|\\ No newline at end of file|")
_FILE = re.compile(r"(?:Index: |--- |\+\+\+ )([^\t]*)(?:\t.*)?")


class _Option(Struct, rename="camel"):
    option_id: str
    name: str | None = None
    kind: str | None = None


class ToolCall(Struct, rename="camel"):
    """The tool call that a request for permission is about, as far as the request tells it."""

    tool_call_id: str = ""
    title: str | None = None
    kind: str | None = None
    content: Raw = NOTHING
    raw_input: Raw = NOTHING
    locations: Raw = NOTHING


class Request(Struct, rename="camel"):
    """The parameters of `session/request_permission`."""

    tool_call: ToolCall = msgspec.field(default_factory=ToolCall)
    options: list[Raw] = []


_request = msgspec.json.Decoder(Request)
_option = msgspec.json.Decoder(_Option)


def question_of(message: Message, translation: Translation) -> Question:
    """What the agent asks, with what is known of the tool call from before; nothing in it is cut.

    An option that cannot be read is left out. Raises `msgspec.DecodeError` when the request itself cannot be read.
    """
    request = request_of(message)
    call = request.tool_call
    known = translation.tool(call.tool_call_id)
    called_with = input_told(call, translation)
    texts, edits = _shown(call, translation)
    if known is not None:
        texts = texts or [known.content] * bool(known.content)
        edits = edits or list(known.edits)
    kind = call.kind or (known.kind if known else "other")
    value: Any = decode(called_with.raw, Any) if called_with.raw else None
    texts = _without_what_is_known(texts, value, translation.cwd)
    options = tuple(option for raw in request.options if (option := _readable(raw)) is not None)
    news = _news(value, called_with.paths, edits, call.tool_call_id, translation)
    if isinstance(news, dict) and _is_said(news.get(ALWAYS), options):
        del news[ALWAYS]
    return Question(
        title=translation.titled(call.title, kind) if call.title else known.title if known else UNTITLED,
        options=options,
        tool_kind=kind,
        text=_text(news, texts, edits) or None,
        edits=tuple(edits),
        paths=called_with.paths,
    )


def note_call(message: Message, question: Question, translation: Translation) -> None:
    """Keep what this question calls the tool call that it is about."""
    call = request_of(message).tool_call
    if call.title:
        translation.asked_about(call.tool_call_id, question.title, question.tool_kind or "other")


def request_of(message: Message) -> Request:
    """What a `session/request_permission` holds; raises `msgspec.DecodeError` when it cannot be read."""
    return _request.decode(message.params)


def input_told(call: ToolCall, translation: Translation) -> ToolInput:
    """What the tool is called with, as far as the request or what was told before says it.

    An agent that tells no input, but the folder that a command would be run in, has the command as the title.
    """
    told = translation.input_of(call.tool_call_id, call.raw_input, call.locations)
    if told.raw or call.kind != EXECUTE or not call.title:
        return told
    texts, edits = _shown(call, translation)
    if edits or not any(text.startswith(_folder_told(translation.cwd)) for text in texts):
        return told
    return msgspec.structs.replace(told, raw=msgspec.json.encode({COMMANDS[0]: call.title}).decode())


def _folder_told(cwd: str) -> str:
    return f"[current working directory {cwd}]"


def _shown(call: ToolCall, translation: Translation) -> tuple[list[str], list[FileEdit]]:
    return translation.shown(call.content) if bytes(call.content) != bytes(NOTHING) else ([], [])


def _without_what_is_known(texts: Sequence[str], called_with: Any, cwd: str) -> list[str]:
    """The texts without the folder in which the agent works, and without the answers and what `always` would be.

    Of these the options tell, and what the tool is called with.
    """
    told = called_with if isinstance(called_with, dict) else {}
    pattern, answers = told.get(ALWAYS), told.get(ANSWERS)
    kept = []
    for whole in texts:
        text = whole.removeprefix(_folder_told(cwd))
        found = _ANSWERS_TOLD.search(text)
        if isinstance(answers, list) and found is not None and found[1].count("\n") + 1 == len(answers):
            text = text[: found.start()]
        if isinstance(pattern, list) and all(isinstance(word, str) for word in pattern):
            text = text.removesuffix("Proposed Amendment: " + "\n".join(pattern))
        kept.append(whole if text == whole else text.strip())
    return kept


def unasked(number: int, message: Message, translation: Translation, why: str, answer: str = "cancelled") -> Item:
    """The notice of a question that nobody could be asked; `number` is that of the event it came as."""
    try:
        asks = message.method == elicitation.ELICITATION
        title = elicitation.title_of(message) if asks else question_of(message, translation).title
    except (msgspec.DecodeError, RecursionError):
        title = bytes(message.params).decode(errors="replace")
    text = f"The agent asked: {excerpt(title)}. It was answered with {answer}, because {why}."
    return Item(translation.key(f"unasked-{number}"), TranscriptKind.NOTICE, text)


def _readable(raw: Raw) -> PermissionOption | None:
    try:
        option = _option.decode(raw)
    except msgspec.DecodeError:
        return None
    name = option.name or option.option_id
    return PermissionOption(option_id=option.option_id, name=name, kind=option.kind or "other")


def _news(value: Any, paths: Sequence[str], edits: list[FileEdit], id_: str, translation: Translation) -> Any:
    """What the tool is called with, without what says nothing new.

    That is the folder where the agent works, the call's id, the path of a file that is shown, a diff of the `edits`,
    how the agent reads a command that is shown, the answers that the options are, `always` where it would be this very
    command, and of what an agent keeps for itself the turn's id and when it began.
    """
    if not isinstance(value, dict):
        return value
    usual = {"cwd": translation.cwd, "call_id": id_}
    changed = {edit.path for edit in edits}
    shown = {*changed, *paths}
    command = next(filter(None, (command_of(value.get(name)) for name in COMMANDS)), "")

    def is_old(name: str, each: object) -> bool:
        if isinstance(each, list) and command:
            return name in (ANSWERS, "parsed_cmd") or (name == ALWAYS and command_of(each) == command)
        if name == "started_at_ms":
            return isinstance(each, int)
        return isinstance(each, str) and (
            each == usual.get(name)
            or (name == "turn_id" and _UUID.fullmatch(each) is not None)
            or (name in PATHS and translation.relative(each) in shown)
            or _is_diff(each, edits, lambda path: translation.relative(path) in changed)
        )

    return {name: each for name, each in value.items() if not is_old(name, each)}


def _is_said(pattern: object, options: Sequence[PermissionOption]) -> bool:
    """Whether an option names the words that commands would begin with."""
    words = command_of(pattern) if isinstance(pattern, list) else ""
    return bool(words) and any(f"`{words}`" in option.name for option in options)


def _is_diff(text: str, edits: list[FileEdit], known: Callable[[str], bool]) -> bool:
    """Whether a text is a unified diff of `known` files, with no line that is not in the edits."""
    old = {line for edit in edits for line in (edit.old or "").split("\n")}
    new = {line for edit in edits for line in edit.new.split("\n")}
    lines = text.split("\n")

    def is_known(line: str) -> bool:
        if _MARK.fullmatch(line):
            return True
        if (file := _FILE.fullmatch(line)) is not None:
            return known(file[1])
        return line[1:] in {"+": new, "-": old, " ": old}.get(line[0], ())

    return any(line.startswith("@@ ") for line in lines) and all(map(is_known, lines))


def _text(value: Any, texts: list[str], edits: list[FileEdit]) -> str:
    """The command, what the agent says of it, and whatever else of `value` these do not show.

    What is long stands in it, or in `edits`, once: where it comes again, a word refers to it.
    """
    command, rest = "", value
    known = [text for edit in edits for text in (edit.new, edit.old or "")]
    if isinstance(value, dict):
        name = next((name for name in COMMANDS if command_of(value.get(name))), "")
        command = command_of(value.get(name))
        known.append(command)
        shown = {*texts, *known}
        rest = {
            key: each for key, each in value.items() if key != name and not (isinstance(each, str) and each in shown)
        }
    parts = [command, *(_once(text, known) for text in texts if text != command)]
    known += texts
    if isinstance(rest, dict):
        parts.append("\n".join(f"{name}: {_plain(_once(each, known))}" for name, each in rest.items()))
    elif rest is not None:
        parts.append(_plain(_once(rest, known)))
    return "\n\n".join(part for part in parts if part)


def _once(value: Any, known: list[str]) -> Any:
    """The value, but texts in it that are shown already, and long parts of texts, are replaced by `SHOWN`."""
    if isinstance(value, str):
        if len(value) > len(SHOWN) and value in known:
            return SHOWN
        for text in sorted((each for each in known if len(each) > LONG or "\n" in each.strip()), key=len, reverse=True):
            value = value.replace(text, SHOWN)
        return value
    if isinstance(value, list):
        return [_once(each, known) for each in value]
    if isinstance(value, dict):
        return {name: _once(each, known) for name, each in value.items()}
    return value


def command_of(value: object) -> str:
    """A command as one would type it: of a script that a shell is given, the script; empty for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        shell, *arguments = value
        if PurePosixPath(shell).name in SHELLS and len(arguments) == 2 and arguments[0] in ("-c", "-lc"):
            return str(arguments[1])
        return shlex.join(value)
    return ""


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
