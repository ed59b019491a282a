"""A session's transcript as lines: for a person, for a pipe, and as it grows."""

import random
import time

from foundry_tui.cli import problems
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.follow.words import iso_time
from foundry_tui.cli.output import clock_time, is_terminal, paint, say, say_json, say_row, tell
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.backoff import wait_after
from foundry_tui.client.blocking import BlockingClient, segment
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import ErrorKind, Prompt, SessionDetail, SessionState, SessionStatus, TaskDetail
from foundry_tui.contract.transcript import PermissionBody, PlanBody, ToolCallBody, TranscriptItem, TranscriptKind

_COLOURS = {TranscriptKind.PROMPT: "cyan", TranscriptKind.PERMISSION: "yellow", TranscriptKind.NOTICE: "yellow"}
_GROWING = frozenset({TranscriptKind.MESSAGE, TranscriptKind.THOUGHT, TranscriptKind.PLAN})
_ENDED = ("completed", "failed")


def say_item(item: TranscriptItem, prompt: Prompt | None = None, asked: Permission | None = None) -> None:
    """One item: as paragraphs on a terminal, as one line in a pipe.

    A prompt has what went with it, and says if its turn failed or was stopped; of what was `asked` the answer is told.
    """
    text = with_attachments(words_of(item, asked), prompt)
    failed = what_failed(prompt) if prompt is not None else ""
    if not is_terminal():
        say_row((item.index, iso_time(item.at), item.kind, text, *([failed] if failed else [])))
        return
    heading = f"{clock_time(item.at)[11:]} {str(item.kind).replace('_', ' ')}"
    note = paint(f" · {harmless(failed)}", "red") if failed else ""
    say(f"{paint(heading, _COLOURS.get(item.kind, 'dim'))}{note}")
    say(harmless(text.expandtabs(4), lines=True))
    say()


def with_attachments(text: str, prompt: Prompt | None) -> str:
    """A prompt's text, and in a line below what is attached to it."""
    if prompt is None or not prompt.attachments:
        return text
    from foundry_tui.view.attachments import attached_text

    return f"{text}\n{attached_text(prompt.attachments)}"


def what_failed(prompt: Prompt) -> str:
    """That the turn of this prompt has failed, and why, or was stopped; else nothing."""
    if prompt.error is None:
        return ""
    return "was stopped" if prompt.error.kind is ErrorKind.CANCELLED else f"failed: {prompt.error.message}"


def words_of(item: TranscriptItem, asked: Permission | None = None) -> str:
    """What the item says, as text; `asked` is the question that stands there, as far as it is known."""
    from foundry_tui.view.questions import form_lines, heading_of, text_of
    from foundry_tui.view.transcript import body_of, entry_of

    body = body_of(item)
    if isinstance(body, ToolCallBody):
        edits = [f"{'changes' if edit.old is not None else 'writes'} {edit.path}" for edit in body.edits]
        return "\n".join([f"{body.title} ({body.status})", *edits, *([body.content] if body.content else [])])
    if isinstance(body, PlanBody):
        return "\n".join(f"{entry.content} ({entry.status})" for entry in body.entries)
    if isinstance(body, PermissionBody):
        note = entry_of(item, {}, {} if asked is None else {body.permission_id: asked}).note
        parts = [part for part in (text_of(body), body.url) if part]
        first = f"{heading_of(body)} ({note})" if note else heading_of(body)
        return "\n".join([first, *parts, *(line for _, line in form_lines(body, named=True))])
    return body


def follow_conversation(client: BlockingClient, session_id: str, *, task_id: str, given: str, as_json: bool) -> None:
    """Print each item once it is complete, until the session is closed; that the task's host is away is said.

    Raises `CommandError` when there is no such session, and when a person ends it.
    """
    follower = _Follower(client, as_json=as_json)
    host = AwayHost()
    topics = [Topic(TopicKind.SESSION, session_id), Topic(TopicKind.TASK, task_id)]
    try:
        with Feed(client, topics) as feed:
            while not follower.over:
                got = feed.next()
                if isinstance(got, Lost | Back):
                    # Both topics lose the same backend, which is said once.
                    if got.topic is topics[0]:
                        tell(got.words)
                elif isinstance(got, Event) and got.topic.kind is TopicKind.SESSION:
                    follower.take(got)
                elif isinstance(got, Event) and got.name in (EventName.SNAPSHOT, EventName.TASK):
                    host.look(codec.decode(got.data, TaskDetail))
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
        self._begun: dict[int, int] = {}
        """Revisions, by index, of the tool calls that were printed before they had ended."""
        self._failed: list[str] = []
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
        for words in self._failed:
            tell(f"foundry: {harmless(words)}")
        self._failed.clear()

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
        for prompt in session.prompts:
            before = self._prompts.get(prompt.prompt_id)
            if before is not None and before.error is None and prompt.error is not None:
                self._failed.append(f"the turn {what_failed(prompt)}")
        self._prompts = {prompt.prompt_id: prompt for prompt in session.prompts}
        self.over = session.status is SessionStatus.CLOSED

    def _keep(self, item: TranscriptItem) -> None:
        held = self._items.get(item.index)
        if item.index >= self._next and (held is None or held.revision < item.revision):
            self._items[item.index] = item
        elif self._begun.get(item.index, item.revision) < item.revision and _has_ended(item):
            del self._begun[item.index]
            self._say(item)

    def _print(self) -> None:
        while (item := self._items.get(self._next)) is not None and self._is_complete(item):
            del self._items[self._next]
            self._next += 1
            if not _has_ended(item):
                self._begun[item.index] = item.revision
            self._say(item)

    def _say(self, item: TranscriptItem) -> None:
        if self._as_json:
            say_json(item, pretty=False)
        else:
            say_item(item, self._prompts.get(item.item_id))

    def _is_complete(self, item: TranscriptItem) -> bool:
        if not self._works or item.index + 1 in self._items:
            return True
        return _has_ended(item) and item.kind not in _GROWING


def _has_ended(item: TranscriptItem) -> bool:
    """Whether it is no tool call that is still at work."""
    if item.kind is TranscriptKind.TOOL_CALL and isinstance(item.body, dict):
        return item.body.get("status") in _ENDED
    return True
