"""The highlighted task beside the list: where it stands, what was asked, what went wrong."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import TaskDetail, TaskSummary
from foundry_tui.view.ages import ago
from foundry_tui.view.cells import plain
from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.labels import UNSENT, glyph_of, state_text, title_of
from foundry_tui.view.questions import QuestionLine, heading_of, lines_of
from foundry_tui.view.rows import Role, state_role
from foundry_tui.view.stepper import failure, steps
from foundry_tui.widgets.stepper import Stepper

_STYLE = {
    Role.ASKS: "bold $text-warning",
    Role.FAILED: "$text-error",
    Role.WORKING: "$text-working",
    Role.PROVISIONING: "$text-primary",
    Role.READY: "$text-success",
}


_ASKED = {
    QuestionLine.PATH: "$text-accent",
    QuestionLine.TEXT: "$foreground",
    QuestionLine.FILE: "$text-faint",
    QuestionLine.HUNK: "$text-accent",
    QuestionLine.ADDED: "$text-success",
    QuestionLine.REMOVED: "$text-error",
    QuestionLine.CONTEXT: "$foreground",
}


class Peek(VerticalScroll, can_focus=False):
    """Shows a task; the whole of it where the store has that, else its summary."""

    def __init__(
        self, clock: Clock, heard: Clock, glyphs: Glyphs, *, ascii_only: bool = False, id: str | None = None
    ) -> None:
        """`heard` times what goes on in the backend: it stands still while nothing is heard of that."""
        super().__init__(id=id)
        self._clock = clock
        self._heard = heard
        self._glyphs = glyphs
        self._stepper = Stepper(heard, ascii_only=ascii_only)
        self._head = Static(id="peek-head")
        self._body = Static(id="peek-body")
        self._subject: TaskSummary | None = None
        self._creation: str | None = None

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._stepper
        yield self._body

    def show(self, task: TaskSummary | None, creation: str | None = None) -> None:
        """Show this task; `creation` is what `creation_word` says of one that is no more than asked for."""
        self._subject, self._creation = task, creation
        self._stepper.display = task is not None
        if task is None:
            self._head.update("")
            self._body.update("")
            return
        self._show_head(task)
        found = steps(task, pending=creation == "pending", unsent=creation == UNSENT, refused=creation == "refused")
        self._stepper.show(found, compact=False)
        self._body.update(self._text(task))

    def tick(self) -> None:
        """A second has passed."""
        if self._subject is not None:
            self._show_head(self._subject)
            self._stepper.tick()

    def _show_head(self, task: TaskSummary) -> None:
        now, creation, glyphs = self._clock.now_ms(), self._creation, self._glyphs
        style = _STYLE.get(state_role(task, creation), "$text-faint")
        state = state_text(task, glyphs, self._heard.now_ms(), creation, bar=False)
        self._head.update(
            Content.assemble(
                (plain(title_of(task)), "bold $foreground"),
                "\n",
                (f"{glyph_of(task, glyphs, 0, creation)} {state}", style),
                (f"  {glyphs.separator} created {ago(now - task.created_at)}\n", "$text-faint"),
            ),
            layout=False,
        )

    def _text(self, task: TaskSummary) -> Content:
        parts: list[tuple[str, str]] = []

        def row(name: str, value: str | None, style: str = "$foreground") -> None:
            if value:
                parts.extend([(f"{name:<11}", "$text-faint"), (f"{plain(value)}\n", style)])

        failed = failure(task)
        if failed is not None:
            parts.append((f"\n{failed.headline}\n", "bold $text-error"))
            parts.append((f"{failed.reason}\n", "$text-error"))
            if failed.tried:
                parts.append((f"{failed.tried}\n", "$text-faint"))
        if isinstance(task, TaskDetail):
            for permission in task.permissions:
                if permission.state is PermissionState.OPEN:
                    parts.append((f"\n{self._glyphs.asks} {plain(heading_of(permission))}\n", "bold $text-warning"))
                    parts += [(f"  {plain(text)}\n", _ASKED[line]) for line, text in lines_of(permission)]
                    choices = ", ".join(option.name for option in permission.options)
                    parts.append((f"  {plain(choices)}\n", "$text-faint"))
        parts.append(("\n", ""))
        row("repository", task.repo_label)
        row("branch", task.branch, "$text-branch")
        row("agent", task.agent)
        row("provider", task.provider)
        if len(task.sessions) > 1:
            row("sessions", ", ".join(session.name for session in task.sessions))
        row("id", task.task_id, "$text-faint")
        parts += [("\n", ""), (task.prompt, "$text-soft")]
        return Content.assemble(*((harmless(text, lines=True), style) for text, style in parts))
