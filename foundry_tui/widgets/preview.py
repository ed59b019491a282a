"""The highlighted task beside the list: the end of what was said, the question whole, what was changed.

Stages stand there only while they matter: while the task is prepared, or when that failed.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import Prompt, TaskDetail, TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.transcript import TranscriptItem
from foundry_tui.view.ages import ago
from foundry_tui.view.answers import AnyAsk, is_answered_by_digits
from foundry_tui.view.clock import Clock
from foundry_tui.view.first_run import simulated_word
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.labels import UNSENT, glyph_of, state_text, title_of
from foundry_tui.view.preview import session_in_view, shows_stages
from foundry_tui.view.questions import heading_of
from foundry_tui.view.roles import Role
from foundry_tui.view.rows import state_role
from foundry_tui.view.stepper import failure, steps
from foundry_tui.view.turn import counted_from
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.stepper import Stepper
from foundry_tui.widgets.transcript import Transcript

_STYLE = {
    Role.ASKS: "bold $text-warning",
    Role.FAILED: "$text-error",
    Role.WORKING: "$text-working",
    Role.PROVISIONING: "$text-primary",
    Role.READY: "$text-success",
}


Piece = tuple[str, str]
"""A text and its style."""


class Preview(Vertical, can_focus=False):
    """Shows a task. Its keys are the screen's: nothing in it takes the focus from the list."""

    STYLES = ("preview", "stepper", "transcript", "permission")
    """Its style sheets, in the package's `widgets`."""

    def __init__(
        self, clock: Clock, heard: Clock, glyphs: Glyphs, *, ascii_only: bool = False, id: str | None = None
    ) -> None:
        """`heard` times what goes on in the backend: it stands still while nothing is heard of that."""
        super().__init__(id=id)
        self._clock = clock
        self._heard = heard
        self._glyphs = glyphs
        self._head = Static(id="preview-head")
        self._facts = Static(id="preview-facts")
        self._stepper = Stepper(heard, ascii_only=ascii_only)
        self._failure = Static(id="preview-failure")
        self._note = Static(id="preview-note")
        self._transcript = Transcript(ascii_only=ascii_only)
        self.request = PermissionRequest(ascii_only=ascii_only)
        self.request.can_focus = False
        self._waits = Static(id="preview-waits")
        self._subject: TaskSummary | None = None
        self._creation: str | None = None
        self._told: dict[Static, Sequence[Piece]] = {}
        """What stands in each part now: what it has already is not laid out again."""

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._facts
        yield self._stepper
        yield self._failure
        yield self._note
        yield self._transcript
        yield self.request
        yield self._waits

    def show(self, task: TaskSummary | None, creation: str | None = None, changes: Sequence[str] = ()) -> None:
        """Show this task; `creation` is what `creation_word` says of one that is no more than asked for, `changes` what
        is told of its changes.
        """
        self._subject, self._creation = task, creation
        staged = task is not None and (creation is not None or shows_stages(task))
        if self._stepper.display is not staged:
            self._stepper.display = staged
        if task is None:
            for part in (self._head, self._facts, self._failure, self._note):
                part.display = False
            return
        self._show_head(task)
        facts = (task.repo_label, task.agent, *changes, task.branch or "")
        between = f" {self._glyphs.separator} "
        self._tell(self._facts, [(harmless(between.join(fact for fact in facts if fact)), "")])
        if staged:
            pending, unsent, refused = (creation == word for word in ("pending", UNSENT, "refused"))
            self._stepper.show(steps(task, pending=pending, unsent=unsent, refused=refused), compact=False)
        self._tell(self._failure, self._failure_of(task))

    def show_conversation(
        self, items: Sequence[TranscriptItem], told: Sequence[Prompt], asked: Permission | None
    ) -> None:
        """Show the end of what was said in the session in view; `told` are the prompts that stand in it, `asked` is
        the question that stands below.
        """
        task = self._subject
        known = () if asked is None else (asked,)
        permissions = task.permissions if isinstance(task, TaskDetail) else known
        self._transcript.show(items, told, permissions)
        silent = task is not None and not items and not told
        if self._transcript.display is silent:
            self._transcript.display = not silent
        # The first line of a prompt is often all of it, and stands above as the title.
        said = task is not None and task.prompt.strip() != title_of(task)
        self._tell(self._note, [(task.prompt, "")] if silent and said and task is not None else [])

    def show_question(self, question: AnyAsk | None, more: int, keys: tuple[str, str], opens: str) -> None:
        """Show a question, or none; `more` wait behind it, `keys` scroll it, down and up.

        A form and a page are answered in the task alone, which the key `opens`: digits are said to come after it.

        What the list has not all of is only named until the whole of it has come.
        """
        whole = question if isinstance(question, Permission) else None
        first = opens if whole is not None and not is_answered_by_digits(whole) else ""
        self.request.show(whole, more=more, first=first, keys=keys)
        if self.request.display is (whole is None):
            self.request.display = whole is not None
        waits = question is not None and whole is None
        named = f"{self._glyphs.asks} {harmless(heading_of(question))}\n" if question is not None else ""
        told = [(named, "bold $text-warning"), ("Reading the whole question", "$text-faint")]
        self._tell(self._waits, told if waits else [])

    def _tell(self, part: Static, told: Sequence[Piece]) -> None:
        """Have a part say this; one that says nothing is not there."""
        before = self._told.get(part)
        if told != before:
            self._told[part] = told
            text = Content.assemble(*((harmless(text, lines=True), style) for text, style in told))
            # Laying out the screen takes far longer than drawing these few lines.
            part.update(text, layout=part not in (self._facts, self._note) and not self._is_as_high(text, part))
        if part.display is not bool(told):
            part.display = bool(told)

    @staticmethod
    def _is_as_high(text: Content, part: Static) -> bool:
        """Whether the text takes the lines that the part has."""
        lines = text.plain.split("\n")
        width, height = part.content_size
        return len(lines) == height and all(cell_len(line) <= width for line in lines)

    def tells(self, task_id: str) -> bool:
        """Whether it has what was said in this task, what it asks, or why it failed."""
        told = (self._transcript, self.request, self._failure)
        return self._subject is not None and self._subject.task_id == task_id and any(part.display for part in told)

    def tick(self) -> None:
        """A second has passed."""
        if self._subject is not None:
            self._show_head(self._subject)
            self._stepper.tick()

    def _show_head(self, task: TaskSummary) -> None:
        now, creation, glyphs = self._clock.now_ms(), self._creation, self._glyphs
        style = _STYLE.get(state_role(task, creation), "$text-faint")
        heard = self._heard.now_ms()
        session = session_in_view(task, None)
        since = counted_from(task, session.session_id if session is not None else None, heard)
        state = state_text(replace(task, status_since=since), glyphs, heard, creation, bar=False)
        simulated = simulated_word(task.provider)
        told = [
            (f"{harmless(title_of(task))}\n", "bold $foreground"),
            (f"{glyph_of(task, glyphs, 0, creation)} {state}", style),
            (f" {glyphs.separator} {simulated}" if simulated else "", "$text-warning"),
            (f" {glyphs.separator} {ago(now - task.created_at)}", "$text-faint"),
        ]
        self._tell(self._head, told)

    def _failure_of(self, task: TaskSummary) -> list[tuple[str, str]]:
        failed = failure(task)
        if failed is None:
            return []
        tried = [(failed.tried, "$text-faint")] if failed.tried else []
        # A stage's own line says what failed, but not why.
        headline = [(f"{failed.headline}\n", "bold $text-error")] if failed.stage is None else []
        between = [("\n", "")] if tried else []
        return [*headline, (failed.reason, "$text-error"), *between, *tried]
