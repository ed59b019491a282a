"""What exists in the demo world: a journal of its own, so that it remembers what the backend forgets."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct

from backend_stub.demo.journal import Journal, append_line
from backend_stub.demo.script import CallScript, ScriptError, ScriptFile
from backend_stub.domain.call import Call
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import ProviderError
from foundry_tui.contract.checkpoints import Checkpoint
from foundry_tui.contract.codec import decode, encode


class KeptFiles(Struct, frozen=True, kw_only=True):
    """A checkpoint, and which of the script's edits the files had then, and have from then on (`left`), by their places
    among these.
    """

    checkpoint: Checkpoint
    edited: tuple[int, ...]
    left: tuple[int, ...]


class _Earlier(Struct, frozen=True, kw_only=True):
    """A line as earlier versions wrote it of a checkpoint: the files have all of the script's edits, or none."""

    at: int
    task_id: str
    kept: "_KeptAll"


class _KeptAll(Struct, frozen=True, kw_only=True):
    checkpoint: Checkpoint
    edited: bool
    left: bool

    def by_places(self, known: Collection[int]) -> KeptFiles:
        """The same of today; `known` are the edits that the files had before it."""
        every = tuple(sorted(known)) or tuple(range(self.checkpoint.files))
        return KeptFiles(
            checkpoint=self.checkpoint, edited=every if self.edited else (), left=every if self.left else ()
        )


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the journal, and of the effects log: a call that began, or an effect that happened.

    `options`, `edits` and `kept`, of which the journal alone has lines, are what a session's options were set to, the
    script's edits that the turn of a prompt has made, by their places, and a checkpoint.
    """

    at: int
    task_id: str
    call: str | None = None
    effect: str | None = None
    sandbox_id: str | None = None
    session_id: str | None = None
    prompt_id: str | None = None
    operation_id: str | None = None
    options: dict[str, str | bool] | None = None
    edits: tuple[int, ...] | None = None
    kept: KeptFiles | None = None


class Begun(NamedTuple):
    """A turn that has its prompt: its number among the task's turns, from 1, and when it began."""

    number: int
    at: int


class Operated(NamedTuple):
    """An operation that has had its effect, and when."""

    task_id: str
    kind: str
    at: int


class World:
    """Sandboxes, agents, sessions and prompts that exist, and how often each call was made.

    Each line is appended to the journal before the effects log; a line that a kill kept from the latter is added to it
    when the world is opened again, or when another host looks at the task.
    """

    def __init__(self, journal: Journal, script: ScriptFile, runtime: Runtime) -> None:
        self._journal = journal
        self._script = script
        self._runtime = runtime
        self.calls: Counter[tuple[str, str]] = Counter()
        self.sandboxes: set[str] = set()
        self.agents: set[str] = set()
        self.sessions: set[str] = set()
        self.prompts: dict[str, Begun] = {}
        self.operations: dict[str, Operated] = {}
        """What was done, in order, by operation_id."""
        self.options: dict[str, dict[str, str | bool]] = {}
        """What options were set to, by session_id."""
        self.edits: dict[str, frozenset[int]] = {}
        """Which of the script's edits turns have made, by their prompts."""
        self._edited: dict[str, frozenset[int]] = {}
        self._kept: dict[str, list[KeptFiles]] = {}
        last = self._take(journal.replay())
        if last is not None and (log := script.effects_log()) is not None:
            _add_missing(log, last)

    async def call(self, name: str, task_id: str, session_id: str | None = None, prompt_id: str | None = None) -> int:
        """Note that a call begins; its number among the task's calls of this name, from 1."""
        line = Line(call=name, task_id=task_id, session_id=session_id, prompt_id=prompt_id, at=self._runtime.now())
        await self._note(line)
        return self.calls[task_id, name]

    async def effect(
        self,
        name: str,
        task_id: str,
        *,
        once: bool = True,
        sandbox_id: str | None = None,
        session_id: str | None = None,
        prompt_id: str | None = None,
        operation_id: str | None = None,
    ) -> bool:
        """Change the world; whether that was done: `once` is for what can be done only once to the sandbox, session,
        prompt or operation that is named, by whichever host.
        """
        what = operation_id or prompt_id or session_id or sandbox_id
        return await self._note(
            Line(
                effect=name,
                task_id=task_id,
                sandbox_id=sandbox_id,
                session_id=session_id,
                prompt_id=prompt_id,
                operation_id=operation_id,
                at=self._runtime.now(),
            ),
            f"{name} {what}" if once else "",
        )

    async def set_options(self, task_id: str, session_id: str, options: dict[str, str | bool]) -> None:
        """Options of a session are set from now on."""
        await self._note(Line(task_id=task_id, session_id=session_id, options=options, at=self._runtime.now()))

    def kept(self, task_id: str) -> Sequence[KeptFiles]:
        """The task's checkpoints, oldest first."""
        return self._kept.get(task_id, ())

    def edited(self, task_id: str) -> frozenset[int]:
        """Which of the script's edits the task's files have."""
        return self._edited.get(task_id, frozenset())

    async def edit(self, task_id: str, prompt_id: str, places: Collection[int]) -> None:
        """The turn of this prompt has made these of the script's edits; those that it has made are not made again."""
        if new := tuple(sorted(set(places) - self.edits.get(prompt_id, frozenset()))):
            await self._note(Line(task_id=task_id, prompt_id=prompt_id, edits=new, at=self._runtime.now()))

    async def keep(self, task_id: str, kept: KeptFiles) -> None:
        """A checkpoint is there from now on."""
        await self._note(Line(task_id=task_id, kept=kept, at=self._runtime.now()))

    async def play(self, name: str, call: Call, effect: Callable[[], Awaitable[None]]) -> None:
        """One call as the script has it; the effect happens half-way. Raises `ProviderError`."""
        try:
            script: CallScript = (await self._script.for_call()).call(name, call.task.prompt)
        except ScriptError as error:
            raise ProviderError(str(error)) from error
        number = await self.call(name, call.task.task_id)
        for line in script.log:
            call.log(line)
        strikes = script.strikes(number)
        if strikes and script.fail is not None:
            await anyio.sleep(script.ms / 1000)
            raise ProviderError(script.fail, retryable=script.retryable)
        if strikes and script.hang == "before":
            await anyio.sleep_forever()
        await anyio.sleep(script.ms / 2000)
        await effect()
        if strikes and script.hang == "after":
            await anyio.sleep_forever()
        await anyio.sleep(script.ms / 2000)

    def turn_of(self, prompt_id: str) -> tuple[int, float]:
        """The number of the turn that has this prompt, and the seconds since it began; one that is not known begins."""
        now = self._runtime.now()
        begun = self.prompts.get(prompt_id) or Begun(1, now)
        return begun.number, max(0, now - begun.at) / 1000

    async def look(self, task_id: str) -> None:
        """Take in what other hosts did with the task; whoever asks about it must have looked."""
        await self._hear(await self._journal.news(task_id))

    async def _note(self, line: Line, once: str = "") -> bool:
        """Add the line to the journal, and to the effects log; whether it was new."""
        document = encode(line)
        added, news = await self._journal.append(line.task_id, document, once)
        # Where it was not added it may have been all the same, by this process, which was not told so.
        await self._hear([each for each in news if not added or each != document])
        if added:
            self._apply(line)
            log = self._script.effects_log() if _is_logged(line) else None
            if log is not None and news:
                # Another host may have looked, and told of it, while this one stood still.
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_add_missing, log, document)
            elif log is not None:
                append_line(log, document)
        return added

    async def _hear(self, documents: Sequence[bytes]) -> None:
        """Take in lines that other hosts wrote, and see to it that the effects log has the last."""
        last = self._take(documents)
        if last is not None and (log := self._script.effects_log()) is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_add_missing, log, last)

    def _take(self, documents: Sequence[bytes]) -> bytes | None:
        """Take in lines that this process did not write; the last of those that the effects log is to have."""
        last = None
        for document in documents:
            line = self._read(document)
            if line is None:
                continue
            self._apply(line)
            last = document if _is_logged(line) else last
        return last

    def _read(self, document: bytes) -> Line | None:
        """A line, whichever version wrote it; None for one that only newer versions know."""
        with suppress(msgspec.DecodeError):
            return decode(document, Line)
        with suppress(msgspec.DecodeError):
            earlier = decode(document, _Earlier)
            kept = earlier.kept.by_places(self.edited(earlier.task_id))
            return Line(task_id=earlier.task_id, at=earlier.at, kept=kept)
        return None

    def _apply(self, line: Line) -> None:
        task_id = line.task_id
        if line.call is not None:
            self.calls[task_id, line.call] += 1
        elif line.kept is not None:
            self._kept.setdefault(task_id, []).append(line.kept)
            self._edited[task_id] = frozenset(line.kept.left)
        elif line.edits is not None and line.prompt_id:
            self._edited[task_id] = self.edited(task_id).union(line.edits)
            self.edits[line.prompt_id] = self.edits.get(line.prompt_id, frozenset()).union(line.edits)
        elif line.options is not None and line.session_id:
            self.options.setdefault(line.session_id, {}).update(line.options)
        elif line.operation_id is not None and line.effect is not None:
            self.operations[line.operation_id] = Operated(task_id, line.effect, line.at)
        elif line.effect in ("create_sandbox", "resume_sandbox"):
            self.sandboxes.add(task_id)
        elif line.effect in ("destroy_sandbox", "release_sandbox"):
            self.sandboxes.discard(task_id)
            self.agents.discard(task_id)
        elif line.effect == "start_agent":
            self.agents.add(task_id)
        elif line.effect == "create_session" and line.session_id:
            self.sessions.add(line.session_id)
        elif line.effect == "deliver_prompt" and line.prompt_id:
            self.prompts[line.prompt_id] = Begun(self.calls[task_id, "turn"], line.at)


def _is_logged(line: Line) -> bool:
    return line.options is None and line.edits is None and line.kept is None


def _add_missing(log: Path, document: bytes) -> None:
    """Add a line of the journal to the effects log unless it is there; blocks."""
    if not log.exists() or document not in log.read_bytes():
        append_line(log, document)
