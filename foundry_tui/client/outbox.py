"""What must outlive the app: tasks, sessions and commands that the backend has not answered, prompts, and drafts.

One small JSON file, replaced as a whole, so that a crash leaves the old or the new one and never half of one.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from foundry_tui.client.creations import Creation, CreationState, RequestedSession, files_key
from foundry_tui.client.kept_attachments import KeptAttachments
from foundry_tui.client.kept_commands import KeptCommand
from foundry_tui.client.private_files import make_folder
from foundry_tui.client.shared_file import alone, put_aside, replace_file
from foundry_tui.contract import codec
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.records import Prompt, PromptState
from foundry_tui.contract.requests import CreateTask

T = TypeVar("T")

Delta = dict[tuple[str, str], Creation | RequestedSession | KeptCommand | Prompt | CreateTask | NewAttachments | None]
"""Changes of the file: part and key to the new value, or to None where it is dropped."""


class _Contents(Struct, kw_only=True):
    """What the file holds of ours. `foreign` names the part of each thing in it that this version cannot read.

    `attachments` are in files of their own, and here those that were asked for in this run.
    """

    creations: dict[str, Creation] = {}
    sessions: dict[str, RequestedSession] = {}
    commands: dict[str, KeptCommand] = {}
    prompts: dict[str, Prompt] = {}
    drafts: dict[str, CreateTask] = {}
    attachments: dict[str, NewAttachments] = {}
    foreign: list[str] = []


_File = dict[str, msgspec.Raw | dict[str, msgspec.Raw]]
"""The file as it is: the entries of each of our parts, and the parts of other versions."""
_PARTS: dict[str, Any] = {
    "creations": Creation,
    "sessions": RequestedSession,
    "commands": KeptCommand,
    "prompts": Prompt,
    "drafts": CreateTask,
}
"""The parts of the file, and what the entries of each are."""
_APART = "attachments"
"""What is no part of the file, but has files of its own."""


class Outbox:
    """The file at `path` (None: nothing is kept beyond the app's life), and what it holds.

    `on_change` is called when there is something to `take` and `write`, with whether that can wait for a moment, as
    drafts can: they change with each key. Several apps may share the file: each writes
    its own changes into what is there, and a creation sent twice is made once.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.damaged: Path | None = None
        """Where a file went that was none of ours, if there was one."""
        self._found = False
        """Whether the file was there when it was read last, and is one of ours."""
        self.on_change: Callable[[bool], None] | None = None
        try:
            self._contents = _contents_of(self._read())
        except OSError:
            # Writing will fail in the same way, and that is where it is said.
            self._contents = _Contents()
        self._is_held = self._found
        """Whether there has to be a file by now."""
        self._touched: dict[tuple[str, str], None] = {}
        self._kept_attachments = None if path is None else KeptAttachments(_attachments_beside(path))

    @property
    def remarks(self) -> str:
        """What is to be said of a file that this version cannot read, or not all of; empty for nothing."""
        parts = self._contents.foreign
        if self.damaged is not None:
            return f"What was kept of drafts and unanswered requests could not be read: it is in {self.damaged}."
        if not parts:
            return ""
        things = "1 thing that was" if len(parts) == 1 else f"{len(parts)} things that were"
        where = ", ".join(dict.fromkeys(parts))
        return f"{things} kept by another version ({where}) cannot be read by this one: left in {self.path}, not done."

    @property
    def creations(self) -> dict[str, Creation]:
        """Unsettled creations by task_id; to be read only."""
        return self._contents.creations

    @property
    def sessions(self) -> dict[str, RequestedSession]:
        """Sessions that the backend has not answered, by session_id; to be read only."""
        return self._contents.sessions

    @property
    def commands(self) -> dict[str, KeptCommand]:
        """Commands that the backend has not answered, by their keys, in the order of asking; to be read only."""
        return self._contents.commands

    @property
    def prompts(self) -> dict[str, Prompt]:
        """Prompts that the backend has not accepted or has refused (`failed`), by prompt_id; to be read only."""
        return self._contents.prompts

    def prompt_as_kept(self, prompt: Prompt) -> Prompt | None:
        """The prompt as the file has it by now: another app may have changed it, or (None) settled it.

        As `is_kept` it touches nothing else, so that a thread may do it. A file that cannot be read changes nothing.
        """
        return self._in_file("prompts", prompt.prompt_id, prompt)

    def is_kept(self, command: KeptCommand) -> bool:
        """Whether the file has this command still: another app may have settled it, or asked for another instead."""
        return self._in_file("commands", command.key, command) == command

    def _in_file(self, part: str, key: str, here: T) -> T | None:
        """What the file has under this key, None for nothing; what is `here` where the file cannot be read."""
        if self.path is None:
            return here
        try:
            entries = _file_of(self.path.read_bytes())[part]
            assert isinstance(entries, dict)
            entry = entries.get(_text(key))
            found: T | None = None if entry is None else codec.decode(entry, _PARTS[part])
            return found
        except (OSError, msgspec.DecodeError):
            return here

    def unanswered(self) -> Counter[str]:
        """How many things of each kind the backend owes an answer to: `task`, `session`, `prompt`, a command's action.

        What it has refused is not among them, nor what belongs to a task that it has refused.
        """
        refused = {one.task_id: one for one in self.creations.values() if one.state is CreationState.REFUSED}
        tasks = [task_id for task_id in self.creations if task_id not in refused]
        sessions = [one for one in self.sessions.values() if one.summary.task_id not in refused]
        nowhere = {one.session_id for one in refused.values()} | self.sessions.keys() - {
            one.summary.session_id for one in sessions
        }
        prompts = [
            one for one in self.prompts.values() if one.state is PromptState.QUEUED and one.session_id not in nowhere
        ]
        commands = [one for one in self.commands.values() if one.subject_id not in refused]
        found = Counter(task=len(tasks), session=len(sessions), prompt=len(prompts))
        found.update(one.action for one in commands)
        return +found

    def attachments_of(self, id_: str) -> NewAttachments:
        """In a thread: what goes with a prompt or a new task. Raises `OSError`, and `msgspec.DecodeError`."""
        here = self._contents.attachments.get(id_)
        if here is not None or self._kept_attachments is None:
            return here or ()
        return self._kept_attachments.read(id_)

    def put_creation(self, creation: Creation, attachments: NewAttachments = ()) -> None:
        """Keep it with its attachments, which are given once."""
        self._put_attachments(creation.task_id, attachments)
        self._contents.creations[creation.task_id] = creation
        self._touch("creations", creation.task_id)

    def drop_creation(self, task_id: str) -> None:
        self._contents.attachments.pop(task_id, None)
        if self._contents.creations.pop(task_id, None) is not None:
            self._touch("creations", task_id)
            self.discard(files_key(task_id))

    def put_session(self, session: RequestedSession) -> None:
        self._contents.sessions[session.summary.session_id] = session
        self._touch("sessions", session.summary.session_id)

    def drop_session(self, session_id: str) -> None:
        if self._contents.sessions.pop(session_id, None) is not None:
            self._touch("sessions", session_id)

    def put_command(self, command: KeptCommand) -> None:
        """Keep it, in place of one before; one that is kept already is not written again."""
        if self._contents.commands.get(command.key) != command:
            self._contents.commands[command.key] = command
            self._touch("commands", command.key)

    def drop_command(self, command: KeptCommand) -> None:
        """It has been answered; one that has come after it stays."""
        if self._contents.commands.get(command.key) == command:
            del self._contents.commands[command.key]
            self._touch("commands", command.key)

    def forget_command(self, command: KeptCommand) -> None:
        """The file has it no longer, since another app has settled or replaced it: it is not to be written again."""
        if self._contents.commands.get(command.key) == command:
            del self._contents.commands[command.key]

    def put_prompt(self, prompt: Prompt, attachments: NewAttachments = ()) -> None:
        """Keep it with its attachments, which are given once."""
        self._put_attachments(prompt.prompt_id, attachments)
        self._contents.prompts[prompt.prompt_id] = prompt
        self._touch("prompts", prompt.prompt_id)

    def drop_prompt(self, prompt_id: str) -> None:
        self._contents.attachments.pop(prompt_id, None)
        if self._contents.prompts.pop(prompt_id, None) is not None:
            self._touch("prompts", prompt_id)

    def get(self, key: str) -> CreateTask | None:
        """The draft kept under `key`, or None; for the keys see `Drafts`."""
        return self._contents.drafts.get(key)

    def put(self, key: str, draft: CreateTask) -> None:
        """Keep `draft` under `key`, in place of the one before."""
        if self._contents.drafts.get(key) != draft:
            self._contents.drafts[key] = draft
            self._touch("drafts", key)

    def discard(self, key: str) -> None:
        """Forget the draft under `key`."""
        if self._contents.drafts.pop(key, None) is not None:
            self._touch("drafts", key)

    def take(self) -> Delta:
        """What changed since the last time, in the order of asking, to be handed to `write`."""
        touched, self._touched = self._touched, {}
        return {(part, key): getattr(self._contents, part).get(key) for part, key in touched}

    def give_back(self, delta: Delta) -> None:
        """A `write` failed: what it should have written is tried again with the next change."""
        self._touched = {**dict.fromkeys(delta), **self._touched}

    def write(self, delta: Delta) -> bool:
        """Write changes into the file; touches nothing else, so that a thread may do it. Raises `OSError`.

        False where what was in the file before is gone, removed or damaged by somebody: see `put_all`.
        """
        if self.path is None or self._kept_attachments is None or not delta:
            return True
        make_folder(self.path.parent)
        with alone(self.path):
            file = self._read()
            whole = self._found or not self._is_held
            for (part, key), value in delta.items():
                if isinstance(value, tuple):
                    self._kept_attachments.write(key, value)
                    continue
                if part == _APART:
                    continue
                there = file[part]
                assert isinstance(there, dict)
                if value is None:
                    there.pop(_text(key), None)
                else:
                    there[_text(key)] = _entry(value)
            replace_file(self.path, msgspec.json.encode(file))
            self._is_held = True
            self._kept_attachments.sweep({*file["prompts"], *file["creations"]})
        return whole

    def put_all(self) -> None:
        """Have all that is kept here written again."""
        for key in self._contents.attachments:
            self._touch(_APART, key)
        for part in _PARTS:
            for key in getattr(self._contents, part):
                self._touch(part, key)

    def _put_attachments(self, id_: str, attachments: NewAttachments) -> None:
        if attachments:
            self._contents.attachments[id_] = attachments
            # Before what they go with, so that this is never kept without them.
            self._touch(_APART, id_)

    def _touch(self, part: str, key: str) -> None:
        self._touched[part, key] = None
        if self.on_change is not None:
            self.on_change(part == "drafts")

    def _read(self) -> _File:
        if self.path is None:
            return _file_of(b"{}")
        self._found = False
        try:
            file = _file_of(self.path.read_bytes())
        except FileNotFoundError:
            return _file_of(b"{}")
        except msgspec.DecodeError:
            # The next save would overwrite it, and remove what goes with it.
            self.damaged = put_aside(self.path)
            with suppress(FileNotFoundError):
                _attachments_beside(self.path).replace(_attachments_beside(self.damaged))
            return _file_of(b"{}")
        self._found = True
        return file


def _attachments_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.attachments")


def _file_of(document: bytes) -> _File:
    """The file of its bytes; raises `msgspec.DecodeError` where they are none."""
    whole = codec.decode(document, dict[str, msgspec.Raw])
    ours = {part: codec.decode(whole.get(part, b"{}"), dict[str, msgspec.Raw]) for part in _PARTS}
    return {"version": msgspec.Raw(b"1"), **whole, **ours}


def _contents_of(file: _File) -> _Contents:
    """What is ours of a file, each entry read by itself."""
    contents = _Contents()
    for part, entries in file.items():
        if not isinstance(entries, dict):
            contents.foreign += [part] * (part != "version")
            continue
        for key, entry in entries.items():
            try:
                getattr(contents, part)[key] = codec.decode(entry, _PARTS[part])
            except msgspec.DecodeError:
                contents.foreign.append(part)
    return contents


def _entry(value: Struct) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except UnicodeEncodeError:
        # A folder's name can hold what is no text; all the rest is worth keeping.
        return msgspec.Raw(json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode("utf-8", "replace"))


def _text(key: str) -> str:
    return key.encode("utf-8", "replace").decode()
