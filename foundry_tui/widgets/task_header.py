"""The head of the task screen: title, state, place, agent and its use, age, freshness; the title is edited in place."""

from collections.abc import Sequence

from textual import events, on
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input

from foundry_tui.actions.context import TITLE
from foundry_tui.actions.table import bindings
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import SessionSummary, TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import PROVISIONING, RELEASING, TaskStatus
from foundry_tui.contract.task_words import STATUS_WORDS, needs_person
from foundry_tui.view.ages import age
from foundry_tui.view.clock import Clock
from foundry_tui.view.first_run import simulated_word
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.labels import freshness_glyph, freshness_text, glyph_of, is_animated, state_text, title_of
from foundry_tui.view.session_facts import asks_nothing, is_nearly_full, mode_words, model_words, money
from foundry_tui.view.turn import counted_from
from foundry_tui.view.usage import context_words
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, joined, spread, strip_of

NARROW = 90
"""Cells below which the facts take two lines."""


LONGEST_TITLE = 200
"""Characters of a title."""


class TitleInput(Input):
    """The title while it is edited."""

    FIELD = TITLE
    BINDINGS = bindings(TITLE)

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(title, max_length=LONGEST_TITLE, id=id, compact=True)

    async def action_save_title(self) -> None:
        await self.action_submit()


class TaskHeader(Drawn):
    """Two lines about a task, three on narrow screens."""

    class Renamed(Message):
        """A person gave the task another title."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(self, clock: Clock, heard: Clock, *, ascii_only: bool = False, id: str | None = None) -> None:
        """`heard` times what goes on in the backend: it stands still while nothing is heard of that."""
        super().__init__(id=id)
        self._clock = clock
        self._heard = heard
        self._glyphs = glyph_set(ascii_only)
        self._shown: TaskSummary | None = None
        self._session: SessionSummary | None = None
        self._creation: str | None = None
        self._freshness: Freshness | None = None
        self._gone = False

    def show(
        self, task: TaskSummary | None, freshness: Freshness, *, creation: str | None = None, gone: bool = False
    ) -> None:
        """Show a task; `creation` is what `creation_word` says of one that is no more than asked for."""
        state = (task, creation, freshness, gone)
        if state != (self._shown, self._creation, self._freshness, self._gone):
            self._shown, self._creation, self._freshness, self._gone = state
            self.refresh()

    def show_session(self, session: SessionSummary | None) -> None:
        """Show the agent of this session, with its model, its mode and what it has used."""
        if session != self._session:
            self._session = session
            self.refresh()

    def tick(self) -> None:
        """A second has passed."""
        self.refresh()

    @property
    def moving(self) -> bool:
        """Whether the glyph changes from frame to frame."""
        return self._shown is not None and not self._gone and (self._creation is None) and is_animated(self._shown)

    def spin(self) -> None:
        """The frame is another."""
        if self.moving:
            self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 3 if width < NARROW else 2

    @property
    def editing(self) -> bool:
        """Whether the title is being edited."""
        return bool(self.query(TitleInput))

    def edit_title(self) -> None:
        """Put a field with the title over it."""
        if self._shown is None or self.editing:
            return
        field = TitleInput(title_of(self._shown))
        self.mount(field)
        field.focus()

    def cancel_edit(self) -> bool:
        """Leave the title as it is; whether it was being edited."""
        fields = self.query(TitleInput)
        if not fields:
            return False
        # Textual would give the focus to what comes next.
        self.screen.set_focus(None)
        fields.remove()
        return True

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        title = " ".join(event.value.split())
        self.cancel_edit()
        if title and self._shown is not None and title != self._shown.title:
            self.post_message(self.Renamed(title))

    def on_click(self, event: events.Click) -> None:
        if event.y == 0 and event.chain == 2:
            self.edit_title()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        return strip_of(self._line(y, width), width, self.base)

    def _line(self, y: int, width: int) -> Text:
        task = self._shown
        dim = style_of(self, "task-header--dim")
        if y == 0:
            return spread(self._title(), self._mark(), width)
        if task is None:
            return Text()
        separator = f" {self._glyphs.separator} "
        place = [
            Text(task.repo_label, dim),
            Text(
                task.branch or "branch not settled yet",
                style_of(self, "task-header--branch") if task.branch else dim,
            ),
        ]
        room = width - 1 - self._state().cell_len - len(separator)
        if width >= NARROW:
            room -= sum(part.cell_len + len(separator) for part in place)
            line = [self._state(), *place, *self._facts(task, room, len(separator))] if y == 1 else list[Text]()
        else:
            line = [self._state(), *self._facts(task, room, len(separator))] if y == 1 else place
        return Text.assemble(" ", joined(line, separator, dim))

    def _facts(self, task: TaskSummary, room: int, gap: int) -> Sequence[Text]:
        """What is told of the agent, and the age: what fits into `room` cells, with a separator of `gap` between.

        What says least goes first; the agent and the age stay.
        """
        dim, warning = style_of(self, "task-header--dim"), style_of(self, "task-header--asks")
        session = self._session
        facts = {"agent": Text(harmless(session.agent if session is not None else task.agent), dim)}
        if session is not None:
            usage = session.usage
            facts["model"] = Text(harmless(model_words(session)), dim)
            facts["mode"] = Text(harmless(mode_words(session)), warning if asks_nothing(session) else dim)
            if usage is not None:
                facts["used"] = Text(context_words(usage), warning if is_nearly_full(usage) else dim)
                facts["cost"] = Text(harmless(money(usage.cost)) if usage.cost is not None else "", dim)
        if task.permission_policy != PermissionPolicy.ASK:
            everything = task.permission_policy == PermissionPolicy.ALL
            facts["permissions"] = Text(
                harmless(f"permissions {task.permission_policy}"), warning if everything else dim
            )
        # An agent and a provider may have the same name, which says no more when it is said twice.
        told_already = task.provider == facts["agent"].plain or bool(simulated_word(task.provider))
        facts["provider"] = Text("" if told_already else task.provider, dim)
        facts["age"] = Text(age(self._clock.now_ms() - task.created_at), dim)
        shown = {name: fact for name, fact in facts.items() if fact}
        for name in ("cost", "provider", "model", "used", "mode", "permissions"):
            if sum(fact.cell_len + gap for fact in shown.values()) - gap <= room:
                break
            shown.pop(name, None)
        return tuple(shown.values())

    def _title(self) -> Text:
        task = self._shown
        if task is None:
            return Text(" …", style_of(self, "task-header--dim"))
        glyph = glyph_of(task, self._glyphs, self._heard.frame(), self._creation)
        text = Text(" ")
        text.append(f"{glyph} ", style_of(self, f"task-header--{self._tone()}"))
        text.append(title_of(task), style_of(self, "task-header--title"))
        return text

    def _state(self) -> Text:
        task = self._shown
        if task is None:
            return Text()
        now = self._heard.now_ms()
        since = counted_from(task, self._session.session_id if self._session is not None else None, now)
        counted = replace(task, status_since=since)
        words = "deleted" if self._gone else state_text(counted, self._glyphs, now, self._creation, bar=False)
        if task.status is TaskStatus.ERROR and not self._gone and self._creation is None:
            # What failed stands with why it did.
            words = STATUS_WORDS[task.status]
        told = Text(words, style_of(self, f"task-header--{self._tone()}"))
        if simulated := simulated_word(task.provider):
            told.append(f" {self._glyphs.separator} ", style_of(self, "task-header--dim"))
            told.append(simulated, style_of(self, "task-header--asks"))
        return told

    def _tone(self) -> str:
        task = self._shown
        if task is None or self._gone:
            return "dim"
        if self._creation == "refused" or task.status is TaskStatus.ERROR:
            return "failed"
        if needs_person(task):
            return "asks"
        if self._creation or task.status in PROVISIONING or task.status is TaskStatus.RUNNING:
            return "active"
        if task.status is TaskStatus.IDLE:
            return "ready"
        return "asks" if task.status in RELEASING else "dim"

    def _mark(self) -> Text:
        freshness = self._freshness
        if freshness is None:
            return Text()
        name = {
            FreshnessState.LIVE: "ready",
            FreshnessState.RECONNECTING: "asks",
            FreshnessState.STALE: "asks",
            FreshnessState.OFFLINE: "failed",
        }[freshness.state]
        words = f"{freshness_glyph(freshness, self._glyphs)} {freshness_text(freshness, self._clock.now_ms())} "
        return Text(words, style_of(self, f"task-header--{name}"))
