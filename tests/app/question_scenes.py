"""Scenes of the task screen in which an agent asks for a form or a page."""

from typing import Any

from msgspec import to_builtins

from foundry_tui.client.store import Store
from foundry_tui.contract.questions import FieldChoice, FieldType, FormField, QuestionKind
from foundry_tui.contract.records import SessionStatus
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from tests.app.task_scenes import a_permission, a_session, a_task, a_transcript, item, store_with

RELEASE = (
    FormField(
        name="version",
        title="Version",
        type=FieldType.STRING,
        required=True,
        min=3,
        pattern="^v",
        description="As the tag will have it.",
    ),
    FormField(
        name="level",
        title="Kind of release",
        type=FieldType.SELECT,
        default="minor",
        choices=tuple(FieldChoice(value=name.lower(), name=name) for name in ("Patch", "Minor", "Major")),
    ),
    FormField(
        name="where",
        title="Regions",
        type=FieldType.MULTISELECT,
        required=True,
        min=1,
        choices=(FieldChoice(value="eu", name="Europe"), FieldChoice(value="us", name="America")),
    ),
    FormField(name="announce", title="Announce it", type=FieldType.BOOLEAN, default=True),
    FormField(name="wait", title="Minutes between regions", type=FieldType.INTEGER, min=0, max=60),
)
PAGE = "https://login.example.com/device?client=foundry&code=WDJB-MJHT&scope=read%3Arepository+write%3Aissues"


def asked_scene(kind: QuestionKind, **asked: Any) -> Store:
    """The task whose agent asks this."""
    question = a_permission(kind=kind, options=(), **asked)
    return store_with(
        a_task(TaskStatus.RUNNING, permissions=(question,), needs_input=1),
        a_session(SessionStatus.RUNNING, transcript=a_transcript()),
    )


def form_scene() -> Store:
    """The agent asks for a form to be filled in."""
    return asked_scene(QuestionKind.FORM, title="What shall be released?", fields=RELEASE)


def page_scene() -> Store:
    """The agent asks for a page to be opened."""
    return asked_scene(QuestionKind.URL, title="Log in at the issue tracker", url=PAGE)


def filled_scene() -> Store:
    """A form that was filled in, and a page that was declined, in the conversation."""
    form = {"permission_id": "p1", "kind": "form", "title": "What shall be released?", "fields": to_builtins(RELEASE)}
    page = {"permission_id": "p2", "kind": "url", "title": "Log in at the issue tracker", "url": PAGE}
    filled = {"version": "v1.4", "level": "minor", "where": ["eu", "us"], "announce": False}
    items = (
        item(7, TranscriptKind.PERMISSION, {**form, "answer": "accept", "content": filled}),
        item(8, TranscriptKind.PERMISSION, {**page, "answer": "decline"}),
    )
    session = a_session(SessionStatus.READY, transcript=(*a_transcript()[-1:], *items))
    return store_with(a_task(TaskStatus.IDLE), session)
