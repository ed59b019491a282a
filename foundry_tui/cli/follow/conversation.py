"""A session's transcript as lines: for a person, for a pipe, and as it grows."""

import random
import time

from foundry_tui.cli import problems
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.follow.words import iso_time
from foundry_tui.cli.output import clock_time, is_terminal, paint, printable, say, say_json, say_row, tell
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.backoff import wait_after
from foundry_tui.client.blocking import BlockingClient, segment
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract import codec
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import Prompt, SessionDetail, SessionState, SessionStatus
from foundry_tui.contract.transcript import PermissionBody, PlanBody, ToolCallBody, TranscriptItem, TranscriptKind

_COLOURS = {TranscriptKind.PROMPT: "cyan", TranscriptKind.PERMISSION: "yellow", TranscriptKind.NOTICE: "yellow"}
_GROWING = frozenset({TranscriptKind.MESSAGE, TranscriptKind.THOUGHT, TranscriptKind.PLAN})
_ENDED = ("completed", "failed")


def say_item(item: TranscriptItem, prompt: Prompt | None = None) -> None:
    """One item, of a prompt with what went with it: as paragraphs on a terminal, as one line in a pipe."""
    text = with_attachments(words_of(item), prompt)
    if not is_terminal():
        say_row((item.index, iso_time(item.at), item.kind, text))
        return
    heading = f"{clock_time(item.at)[11:]} {str(item.kind).replace('_', ' ')}"
    say(paint(heading, _COLOURS.get(item.kind, "dim")))
    say(printable(text.expandtabs(4), lines=True))
    say()


def with_attachments(text: str, prompt: Prompt | None) -> str:
    """A prompt's text, and in a line below what is attached to it."""
    if prompt is None or not prompt.attachments:
        return text
    from foundry_tui.view.attachments import attached_text

    return f"{text}\n{attached_text(prompt.attachments)}"


def words_of(item: TranscriptItem) -> str:
    """What the item says, as text."""
    from foundry_tui.view.questions import action_word, form_lines
    from foundry_tui.view.transcript import body_of

    body = body_of(item)
    if isinstance(body, ToolCallBody):
        edits = [f"{'changes' if edit.old is not None else 'writes'} {edit.path}" for edit in body.edits]
        return "\n".join([f"{body.title} ({body.status})", *edits, *([body.content] if body.content else [])])
    if isinstance(body, PlanBody):
        return "\n".join(f"{entry.content} ({entry.status})" for entry in body.entries)
    if isinstance(body, PermissionBody):
        done = f" ({action_word(body.kind, body.answer)})" if body.answer else ""
        parts = [part for part in (body.text, body.url, body.answered_by) if part]
        return "\n".join([f"{body.title}{done}", *parts, *(line for _, line in form_lines(body, named=True))])
    return body


def follow_conversation(client: BlockingClient, session_id: str, *, given: str, as_json: bool) -> None:
    """Print each item once it is complete, until the session is closed.

    Raises `CommandError` when there is no such session, and when a person ends it.
    """
    follower = _Follower(client, as_json=as_json)
    try:
        with Feed(client, [Topic(TopicKind.SESSION, session_id)]) as feed:
            while not follower.over:
                got = feed.next()
                if isinstance(got, Lost | Back):
                    tell(got.words)
                elif isinstance(got, Event):
                    follower.take(got)
    except ProblemError as error:
        # a session topic that is unknown is a wrong value, not an unknown route
        if error.problem.status in (404, 422):
            raise CommandError(f"no session {session_id!r}", hint=f"see: foundry show {given}") from None
        raise
    except KeyboardInterrupt:
        raise CommandError(
            "no longer following; the task goes on",
            exit_code=problems.INTERRUPTED,
            hint=f"follow it again: foundry transcript {given} -f",
        ) from None


class _Follower:
    """Prints items in their order, each as soon as it grows no more."""

    def __init__(self, client: BlockingClient, *, as_json: bool) -> None:
        self._client = client
        self._as_json = as_json
        self._items: dict[int, TranscriptItem] = {}
        self._prompts: dict[str, Prompt] = {}
        self._next = 0
        self._works = True
        self._rng = random.Random()
        self.over = False

    def take(self, event: Event) -> None:
        if event.name is EventName.SNAPSHOT:
            self._hold(codec.decode(event.data, SessionDetail))
        elif event.name is EventName.SESSION:
            session = codec.decode(event.data, SessionState)
            if self._works and session.status is not SessionStatus.RUNNING:
                # What was said last may come behind this event. By now the next turn may run.
                self._hold(self._read(session.session_id))
            else:
                self._stand(session)
        elif event.name is EventName.TRANSCRIPT:
            self._keep(codec.decode(event.data, TranscriptItem))
        self._print()

    def _read(self, session_id: str) -> SessionDetail:
        """The session whole, asked for until the backend answers. Raises `ProblemError`."""
        failures = 0
        while True:
            try:
                return self._client.call("GET", f"/v1/sessions/{segment(session_id)}", SessionDetail)
            except UnreachableError as error:
                if not failures:
                    tell(f"foundry: {error.message}; trying again")
                failures += 1
                # there is no event for a backend that comes back
                time.sleep(wait_after(failures, self._rng))

    def _hold(self, session: SessionDetail) -> None:
        for item in session.transcript:
            self._keep(item)
        self._stand(session)

    def _stand(self, session: SessionState) -> None:
        self._works = session.status is SessionStatus.RUNNING
        self._prompts = {prompt.prompt_id: prompt for prompt in session.prompts}
        self.over = session.status is SessionStatus.CLOSED

    def _keep(self, item: TranscriptItem) -> None:
        held = self._items.get(item.index)
        if item.index >= self._next and (held is None or held.revision < item.revision):
            self._items[item.index] = item

    def _print(self) -> None:
        while (item := self._items.get(self._next)) is not None and self._is_complete(item):
            del self._items[self._next]
            self._next += 1
            if self._as_json:
                say_json(item, pretty=False)
            else:
                say_item(item, self._prompts.get(item.item_id))

    def _is_complete(self, item: TranscriptItem) -> bool:
        if not self._works or item.index + 1 in self._items:
            return True
        if isinstance(item.body, dict) and item.kind is TranscriptKind.TOOL_CALL:
            return item.body.get("status") in _ENDED
        return item.kind not in _GROWING
