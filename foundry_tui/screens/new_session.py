"""The dialog that opens another session of a task; enter alone takes the defaults, which it shows."""

from pathlib import PurePath
from typing import ClassVar

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from foundry_tui.actions.context import NEW_SESSION
from foundry_tui.actions.table import bindings
from foundry_tui.client.commands import session_draft_key
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.view.labels import title_of
from foundry_tui.view.new_session import default_name, session_remarks
from foundry_tui.view.new_task import Remark, known_agents
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.completion import Completion, settle_choices


class NewSessionRequest(Struct, frozen=True):
    """What a new session shall be; None leaves it to the backend."""

    name: str | None
    agent: str | None


class NewSessionScreen(FoundryDialog[NewSessionRequest]):
    """Answers with what is wanted; what was written and not sent is kept for the next time."""

    SCREEN_NAME = NEW_SESSION
    BINDINGS = bindings(NEW_SESSION)
    CSS_PATH: ClassVar[list[str | PurePath]] = ["new_session.tcss", "../widgets/choices.tcss"]
    AUTO_FOCUS = "#name"

    def __init__(self, task: TaskSummary) -> None:
        super().__init__()
        self._about = task

    def compose(self) -> ComposeResult:
        draft = self.foundry.commands.drafts.get(self._draft_key)
        name, agent = (draft.title, draft.agent) if draft is not None else (None, None)
        with Vertical(id="session-box"):
            yield Static(f"New session with “{harmless(title_of(self._about))}”", id="heading", markup=False)
            for field, label, value in (("name", "Name", name), ("agent", "Agent", agent)):
                with Horizontal(classes="field"):
                    yield Static(label, classes="label")
                    yield Input(value or "", id=field, compact=True)
                yield Static("", id=f"{field}-remark", classes="remark", markup=False)
            yield ActionBar()
        yield Completion("#agent", candidates=lambda _: self._agents())

    def on_mount(self) -> None:
        self._judge()

    def _value(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    @property
    def _draft_key(self) -> str:
        return session_draft_key(self._about.task_id)

    def _agents(self) -> list[str]:
        return known_agents(self.foundry.store.tasks.values(), self.foundry.options.agents)

    def _remarks(self) -> dict[str, Remark]:
        return session_remarks(self._value("name"), self._value("agent"), self._agents())

    @on(Input.Changed)
    def _changed(self) -> None:
        self._judge()
        if self.is_current:
            # Else it was sent by the key that came next.
            self.keep_written()

    def keep_written(self) -> None:
        name, agent, drafts = self._value("name"), self._value("agent"), self.foundry.commands.drafts
        if name or agent:
            drafts.put(self._draft_key, CreateTask(repo=self._about.repo_id, prompt="", title=name, agent=agent))
        else:
            drafts.discard(self._draft_key)

    def _judge(self) -> None:
        mark = "! " if self.foundry.options.ascii else "✗ "
        for field, remark in self._remarks().items():
            line = self.query_one(f"#{field}-remark", Static)
            line.update(harmless(f"{mark if remark.bad else ''}{remark.text}", lines=True))
            line.set_class(remark.bad, "-bad")
            line.display = bool(remark.text)
        self.query_one("#name", Input).placeholder = harmless(default_name(self._about, self._value("agent")))
        self.query_one("#agent", Input).placeholder = harmless(self._about.agent)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_open_session()

    def action_open_session(self) -> None:
        settle_choices(self, lambda name: self._remarks()[name].bad)
        wrong = next((field for field, remark in self._remarks().items() if remark.bad), None)
        if wrong is not None:
            self.query_one(f"#{wrong}").focus()
            return
        self.foundry.commands.drafts.discard(self._draft_key)
        self.dismiss(NewSessionRequest(name=self._value("name") or None, agent=self._value("agent") or None))

    def action_close_dialog(self) -> None:
        self.dismiss(None)
