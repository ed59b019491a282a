"""The script of the demo provider: which call takes how long, fails, hangs or asks; read again whenever it changes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import msgspec
import msgspec.inspect
from msgspec import Struct

from backend_stub.demo.known_fields import unknown_field
from backend_stub.demo.own_options import OWN_OPTIONS
from backend_stub.domain.errors import SettingError
from backend_stub.domain.options import why_not
from foundry_tui.contract.codec import decode
from foundry_tui.contract.forms import wrong_fields
from foundry_tui.contract.pull_request import Checks, Comment
from foundry_tui.contract.questions import FileEdit, FormField, PermissionOption
from foundry_tui.contract.records import Accepts, SessionCommand, SessionOption, Usage

T = TypeVar("T")

SCRIPT_VARIABLE = "FOUNDRY_DEMO_SCRIPT"
DEFAULT_MS = 20


class ScriptError(SettingError):
    """The script cannot be read or says something that cannot be; the message names the file."""


class WrongScriptError(ScriptError):
    """The script has unknown keys or values; the backend ends because of it."""


class CallScript(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one call goes. `times`: only the task's first n calls fail (or hang); without it all of them."""

    ms: int = DEFAULT_MS
    fail: str | None = None
    times: int | None = None
    retryable: bool = True
    hang: Literal["before", "after"] | None = None
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.ms <= 86_400_000:
            raise ValueError("ms must be between 0 and a day")
        if self.times is not None and self.times < 0:
            raise ValueError("times must not be negative")

    def strikes(self, number: int) -> bool:
        """Whether the task's call of this number (from 1) fails or hangs as scripted."""
        return (self.fail is not None or self.hang is not None) and (self.times is None or number <= self.times)


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent does: one of `thought`, `plan`, `tool`, `message`, `permission`, `form`, `url`, `usage` in a turn,
    or `late`, a message that comes `ms` after its end.

    `ms` is how long it takes; steps without share the turn's time. `text` (or `content`) and `edit` or `edits` belong
    to what a tool did and to what a permission is asked for; `paths` and `options` to a permission alone. `form` is a
    message with its `fields`, `url` a page, with the `message` that asks to open it.
    """

    thought: str | None = None
    plan: tuple[str, ...] | None = None
    tool: str | None = None
    message: str | None = None
    permission: str | None = None
    form: str | None = None
    url: str | None = None
    usage: Usage | None = None
    late: str | None = None
    ms: int | None = None
    kind: str = "other"
    text: str | None = None
    content: str = ""
    edit: FileEdit | None = None
    edits: tuple[FileEdit, ...] = ()
    paths: tuple[str, ...] = ()
    options: tuple[PermissionOption, ...] | None = None
    fields: tuple[FormField, ...] = ()

    def __post_init__(self) -> None:
        said = self.message if self.url is None else None
        what = (self.thought, self.plan, self.tool, said, self.permission, self.form, self.url, self.usage)
        if sum(each is not None for each in (*what, self.late)) != 1:
            raise ValueError(
                "a step is exactly one of thought, plan, tool, message, permission, form, url, usage and late"
            )
        if self.fields and self.form is None:
            raise ValueError("only a form has fields")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        if (wrong := wrong_fields(self.fields)) is not None:
            raise ValueError(wrong)
        if self.ms is not None and not 0 <= self.ms <= 86_400_000:
            raise ValueError("ms must be between 0 and a day")
        if self.options is not None and not self.options:
            raise ValueError("a permission needs an option")

    @property
    def all_edits(self) -> tuple[FileEdit, ...]:
        return self.edits if self.edit is None else (self.edit, *self.edits)

    @property
    def made(self) -> tuple[FileEdit, ...]:
        """What it makes of files when it is done."""
        return self.edits if self.tool is None else self.all_edits


class TurnScript(CallScript, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a turn goes: its steps, spread over `ms` and what they take themselves, then the reply; half-way it may ask
    for permission.
    """

    reply: str = "Done."
    permission: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def edits(self) -> tuple[FileEdit, ...]:
        """What the turn makes of files if it comes to its end."""
        return tuple(edit for step in self.steps for edit in step.made)


class PullRequestScript(CallScript, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How opening a pull request goes, and how it stands after that; `checks` may be their state alone, and `logs` has
    by name what those that failed printed. For `checks_ms` after it was opened they run, one after the other. `title`,
    `branch` and `base` are those of one that a task starts from.
    """

    checks: Checks | Literal["none", "pending", "passing", "failing"] = "none"
    checks_ms: int = 0
    review: Literal["none", "required", "approved", "changes_requested"] = "none"
    state: Literal["draft", "open", "merged", "closed"] | None = None
    mergeable: Literal["yes", "no", "unknown"] = "yes"
    comments: tuple[Comment, ...] = ()
    logs: dict[str, str] = {}
    title: str | None = None
    branch: str | None = None
    base: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.checks_ms <= 86_400_000:
            raise ValueError("checks_ms must be between 0 and a day")


class IssueScript(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an issue says that a task starts from."""

    title: str | None = None
    text: str = ""


class AgentScript(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the agent offers, in the words of a session's state; models and modes where the script has no `options`.
    `refuses` has its words by the option that it refuses to set.
    """

    options: tuple[SessionOption, ...] = OWN_OPTIONS
    commands: tuple[SessionCommand, ...] = ()
    accepts: Accepts = Accepts()
    refuses: dict[str, str] = {}

    def __post_init__(self) -> None:
        for option in self.options:
            if not option.type.is_known:
                raise ValueError(f"{option.type} is no type of an option: select or boolean")
            if (wrong := why_not(option, option.value)) is not None:
                raise ValueError(f"the option {option.option_id} cannot be {option.value}: {wrong}")
        names = [option.option_id for option in self.options]
        if len(set(names)) < len(names):
            raise ValueError("each option needs an option_id of its own")
        if (strange := next((name for name in self.refuses if name not in names), None)) is not None:
            raise ValueError(f"refuses is about options, and {strange} is none")


class Scene(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls that a part of the script names."""

    match: str | None = None
    ensure_name: CallScript | None = None
    create_sandbox: CallScript | None = None
    ensure_agent: CallScript | None = None
    create_session: CallScript | None = None
    destroy_sandbox: CallScript | None = None
    release_sandbox: CallScript | None = None
    turn: TurnScript | None = None
    later: TurnScript | None = None
    """What a turn does that is not the task's first; without it each does what `turn` says."""
    commit: CallScript | None = None
    update: CallScript | None = None
    push: CallScript | None = None
    pull_request: PullRequestScript | None = None
    land: CallScript | None = None
    apply: CallScript | None = None
    undo: CallScript | None = None
    hand_over: CallScript | None = None
    issue: IssueScript | None = None
    agent: AgentScript | None = None
    would_lose: tuple[str, ...] | None = None
    files: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.later is not None and any(step.all_edits for step in self.later.steps):
            raise ValueError("later edits no files")


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole script: the first of `tasks` that matches the prompt and names the call counts, else `default`."""

    effects_log: str | None = None
    agent_offers: AgentScript = msgspec.field(name="agent", default=AgentScript())
    default: Scene = Scene()
    tasks: tuple[Scene, ...] = ()

    def __post_init__(self) -> None:
        if self.default.match is not None:
            raise ValueError("default takes no match")
        if any(scene.match is None for scene in self.tasks):
            raise ValueError("each of tasks needs a match")

    def call(self, name: str, prompt: str) -> CallScript:
        return self._find(prompt, lambda scene: getattr(scene, name), CallScript())

    def turn(self, prompt: str, *, later: bool = False) -> TurnScript:
        """How a turn of the task of this prompt goes; `later`: one that is not its first."""
        again = self._find(prompt, lambda scene: scene.later, None) if later else None
        return again or self._find(prompt, lambda scene: scene.turn, TurnScript())

    def pull_request(self, prompt: str) -> PullRequestScript:
        return self._find(prompt, lambda scene: scene.pull_request, PullRequestScript())

    def issue(self, prompt: str) -> IssueScript:
        return self._find(prompt, lambda scene: scene.issue, IssueScript())

    def agent(self, prompt: str) -> AgentScript:
        return self._find(prompt, lambda scene: scene.agent, self.agent_offers)

    def would_lose(self, prompt: str) -> tuple[str, ...]:
        return self._find(prompt, lambda scene: scene.would_lose, ())

    def files(self, prompt: str) -> tuple[str, ...]:
        """What the sandbox has beside what the turns edit."""
        return self._find(prompt, lambda scene: scene.files, ())

    def _find(self, prompt: str, part: Callable[[Scene], T | None], otherwise: T) -> T:
        """This part of the first scene that matches the prompt and has it, else of `default`, else `otherwise`."""
        matching = (scene for scene in self.tasks if scene.match is not None and scene.match in prompt)
        return next((found for scene in (*matching, self.default) if (found := part(scene)) is not None), otherwise)


_TYPE = msgspec.inspect.type_info(Script)


def read_script(document: bytes) -> Script:
    """The script of its JSON; raises `msgspec.DecodeError`, a `ValidationError` for names and values that are none."""
    script = decode(document, Script)
    if (odd := unknown_field(decode(document, Any), _TYPE)) is not None:
        raise msgspec.ValidationError(f"Object contains unknown field {odd}")
    return script


class ScriptFile:
    """The script as the file says it now; no file, no script. `wrong` is told of unknown keys and values."""

    def __init__(self, path: Path | None, wrong: Callable[[ScriptError], None]) -> None:
        self._path = path
        self._wrong = wrong
        self._seen: tuple[int, int, int] | None = None
        self._script = Script()

    def read(self) -> Script:
        """Raises `ScriptError`."""
        if self._path is None:
            return self._script
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._script = read_script(self._path.read_bytes())
                self._seen = seen
        except OSError as error:
            raise ScriptError(f"the demo script {self._path} cannot be read: {error.strerror}") from error
        except msgspec.ValidationError as error:
            wrong = WrongScriptError(f"the demo script {self._path} is wrong: {error}")
            self._wrong(wrong)
            raise wrong from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ScriptError(f"the demo script {self._path} is no JSON: {error}") from error
        return self._script

    async def for_call(self) -> Script:
        """The script for a call that begins; raises `ScriptError`.

        A wrong script ends the backend: the call waits for that, and is made again after the next start.
        """
        try:
            return self.read()
        except WrongScriptError:
            await anyio.sleep_forever()
            raise

    def effects_log(self) -> Path | None:
        """Where effects are written to; while the script cannot be read, where they were written to before."""
        try:
            name = self.read().effects_log
        except ScriptError:
            name = self._script.effects_log
        return Path(name) if name else None


def script_file(environ: Mapping[str, str], wrong: Callable[[ScriptError], None]) -> ScriptFile:
    """The script that `FOUNDRY_DEMO_SCRIPT` names."""
    name = environ.get(SCRIPT_VARIABLE)
    return ScriptFile(Path(name) if name else None, wrong)
