"""The dialog in which one fills in a form that an agent asks for; what was written stays when one goes away."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from foundry_tui.actions.context import FORM
from foundry_tui.actions.table import bindings
from foundry_tui.client.commands import form_draft_key
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.forms import defaults_of, needs, read_value, why_wrong, written_value
from foundry_tui.contract.questions import (
    AnswerAction,
    FieldType,
    FieldValue,
    FormField,
    Permission,
    PermissionState,
)
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.view.questions import field_name, heading_of, text_of
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.form_field import ChoiceField

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.client.store import Store

CHOSEN = frozenset({FieldType.BOOLEAN, FieldType.SELECT, FieldType.MULTISELECT})
"""Fields whose values are chosen; all others are written."""
FRAME = 9
"""Rows of the dialog around its fields, which scroll where not all of them fit."""


class FormScreen(FoundryDialog[None]):
    """Sends what is filled in, or that it will not be; a field that is not right yet keeps it from being sent."""

    SCREEN_NAME = FORM
    BINDINGS = bindings(FORM)
    CSS_PATH = "form.tcss"

    def __init__(self, asked: Permission, store: "Store") -> None:
        """`store` tells whether it is still asked."""
        super().__init__()
        self._asked = asked
        self._store = store
        self._tried = False

    def compose(self) -> ComposeResult:
        written = self._first_values()
        with Vertical(id="form-box"):
            yield Static(harmless(heading_of(self._asked), lines=True), id="heading", markup=False)
            with VerticalScroll(id="fields", can_focus=False):
                if text := text_of(self._asked):
                    yield Static(harmless(text, lines=True), id="about", markup=False)
                for place, field in enumerate(self._asked.fields):
                    name = harmless(field_name(field, self._asked.fields))
                    yield Static(name, classes="name" if place else "name -first", markup=False)
                    if field.description:
                        yield Static(harmless(field.description, lines=True), classes="hint", markup=False)
                    yield self._widget(place, field, written.get(field.name))
                    yield Static("", id=f"remark-{place}", classes="remark", markup=False)
            yield ActionBar()

    def on_mount(self) -> None:
        self._judge()
        first = next((widget for _, widget in self._widgets()), None)
        if first is not None:
            self.set_focus(first)

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#fields").styles.max_height = max(3, event.size.height - FRAME)

    def on_store_changed(self, changes: "Changes") -> None:
        """Close when nobody waits for the answer any more."""
        task = self._store.detail(self._asked.task_id)
        if task is None:
            return
        mine = [each for each in task.permissions if each.permission_id == self._asked.permission_id]
        if not mine or mine[0].state is not PermissionState.OPEN:
            self.foundry.commands.drafts.discard(self._draft_key)
            self.notify("It is not asked any more.", severity="warning")
            self.dismiss(None)

    # What is filled in.

    def _widget(self, place: int, field: FormField, value: FieldValue | None) -> Widget:
        if field.type in CHOSEN:
            return ChoiceField(field, value, ascii_only=self.foundry.options.ascii, id=f"field-{place}")
        text = "" if value is None else written_value(value)
        return Input(text, placeholder=harmless(needs(field)), id=f"field-{place}", compact=True, select_on_focus=False)

    def _widgets(self) -> Iterator[tuple[FormField, "Input | ChoiceField"]]:
        for place, field in enumerate(self._asked.fields):
            widget = self.query_one(f"#field-{place}")
            assert isinstance(widget, Input | ChoiceField)
            yield field, widget

    def _values(self) -> dict[str, Any]:
        """What is filled in, by the names of the fields; what is left empty is not among them."""
        values: dict[str, Any] = {}
        for field, widget in self._widgets():
            written = widget.value
            if written is None or (isinstance(widget, Input) and not widget.value.strip()):
                continue
            values[field.name] = read_value(field, widget.value) if isinstance(widget, Input) else written
        return values

    def _wrong(self) -> dict[str, str]:
        """What is to be said beside each field; what is missing only once somebody has tried to send it."""
        values = self._values()
        found = {field.name: why_wrong(field, values.get(field.name)) for field in self._asked.fields}
        return {name: why for name, why in found.items() if why is not None and (self._tried or name in values)}

    @on(Input.Changed)
    @on(ChoiceField.Changed)
    def _changed(self) -> None:
        self._judge()
        if self.is_current:
            # Else it was sent by the key that came next.
            self.keep_written()

    def _judge(self) -> None:
        wrong, mark = self._wrong(), "! " if self.foundry.options.ascii else "✗ "
        for place, field in enumerate(self._asked.fields):
            remark = self.query_one(f"#remark-{place}", Static)
            remark.update(harmless(f"{mark}{wrong.get(field.name, '')}", lines=True))
            remark.display = field.name in wrong

    # The draft.

    @property
    def _draft_key(self) -> str:
        return form_draft_key(self._asked.permission_id)

    def _first_values(self) -> dict[str, Any]:
        """What was filled in before one went away, else what the form begins with."""
        draft = self.foundry.commands.drafts.get(self._draft_key)
        if draft is not None:
            try:
                return codec.decode(draft.prompt, dict[str, FieldValue])
            except msgspec.DecodeError:
                pass
        return dict(defaults_of(self._asked.fields))

    def keep_written(self) -> None:
        values, drafts = self._values(), self.foundry.commands.drafts
        if values == defaults_of(self._asked.fields):
            drafts.discard(self._draft_key)
        else:
            written = codec.encode(values).decode()
            drafts.put(self._draft_key, CreateTask(repo=self._asked.task_id, prompt=written))

    # Actions.

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_next_field()

    def action_next_field(self) -> None:
        """To the next field; behind the last one it is sent."""
        widgets = [widget for _, widget in self._widgets()]
        if isinstance(self.focused, ChoiceField):
            self.focused.settle()
        if not widgets or self.focused is widgets[-1]:
            self.action_send_form()
        else:
            self.focus_next()

    def action_send_form(self) -> None:
        if isinstance(self.focused, ChoiceField):
            self.focused.leave()
        self._tried = True
        self._judge()
        wrong = self._wrong()
        for field, widget in self._widgets():
            if field.name in wrong:
                widget.focus()
                return
        self.keep_written()
        self._reply(AnswerAction.ACCEPT, self._values())

    def action_decline_form(self) -> None:
        self._reply(AnswerAction.DECLINE)

    def _reply(self, action: AnswerAction, content: dict[str, Any] | None = None) -> None:
        self.foundry.commands.reply(self._asked.permission_id, action, content)
        self.dismiss(None)

    def action_close_dialog(self) -> None:
        self.dismiss(None)
