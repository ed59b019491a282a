"""What was said in the visible session of a task, what goes on there, what is asked, and where one writes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual.widget import Widget

from foundry_tui.actions.availability import why_no_writing
from foundry_tui.actions.context import Context
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.questions import AnswerAction, Permission, QuestionKind
from foundry_tui.contract.records import (
    Prompt,
    SessionCommand,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskSummary,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.process.attached_files import Place
from foundry_tui.screens.attached_files import AttachedFiles
from foundry_tui.screens.completions import Completions, FileSource
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.screens.unsent_text import UnsentText
from foundry_tui.view.attachments import why_no_images
from foundry_tui.view.clock import LastHeard
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.prompt_queue import above_composer, in_conversation, without_told_reason
from foundry_tui.view.questions import action_word, answers_of
from foundry_tui.view.silence import silent_since
from foundry_tui.view.task_notices import empty_state_of, open_permissions, turn_words
from foundry_tui.view.turn import TurnTime, turn_time
from foundry_tui.widgets.composer import PLACEHOLDERS, Composer
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.prompt_queue import PromptQueue
from foundry_tui.widgets.task_notices import EmptyStateView, TurnLine
from foundry_tui.widgets.transcript import Transcript

AFTER_FAILURE = "Kept, and delivered once the task works again"
"""What the empty composer says while the task is failed."""


class Conversation:
    """The widgets of the conversation, from the top to the bottom of the screen, and what they show."""

    def __init__(self, task: TaskInView, heard: LastHeard) -> None:
        """`heard` is the clock of what moves: it stands while nothing is heard of the task."""
        ascii_only = task.foundry.options.ascii
        self._task = task
        self._heard = heard
        self._writable = self._said = False
        self._queue: tuple[Prompt, ...] = ()
        self.transcript = Transcript(ascii_only=ascii_only)
        self.empty_state = EmptyStateView()
        self.turn = TurnLine(heard, ascii_only=ascii_only)
        self.request = PermissionRequest(ascii_only=ascii_only)
        self.queue = PromptQueue(ascii_only=ascii_only)
        self.composer = Composer()
        self.attached = AttachedFiles(task, self.composer)
        self.completions = Completions(task, self.composer, self._files, self._commands)

    def told(self, context: Context) -> Context:
        """The context with what is known of where one writes."""
        composer = self.composer
        return replace(
            context,
            queued=len(self.queue.prompts) if context.session is not None else 0,
            changing=composer.changing is not None,
            recallable=composer.recallable,
            naming=composer.naming,
            choosing=composer.choosing,
            detachable=composer.detachable,
            given=isinstance(context.permission, Permission) and bool(self.given_to(context.permission)),
        )

    def begin(self, unsent: UnsentText, session_id: str) -> None:
        """Show what was written in this session and not sent."""
        text = unsent.text(session_id)
        self.composer.start(text)
        self.composer.chips.show(unsent.files(session_id))
        self.completions.expect(text)

    def send(self, unsent: UnsentText, message: Composer.Sent) -> None:
        """Send what was written, with its files, to the visible session; until then it stays where it is."""
        session, foundry = self._task.session, self._task.foundry
        if session is None:
            return

        def sent(attachments: NewAttachments) -> None:
            if (why := why_no_images(self._task.store.session(session.session_id), attachments)) is not None:
                self._task.screen.notify(f"Not sent: {why}.", severity="error")
                return
            unsent.write(session.session_id, "")
            foundry.commands.prompt(session.session_id, message.text, message.steer, attachments)
            self.composer.sent(message.text)
            self.give_place()
            self.transcript.move_to_end()

        self.attached.read(self.completions.attachments(message.text), self._sandbox(), sent)

    def _sandbox(self) -> Place | None:
        """Where the agent works, if that is known: it finds the files there by their paths."""
        detail = self._task.store.detail(self._task.task_id)
        return Place(Path(detail.sandbox.cwd)) if detail is not None and detail.sandbox is not None else None

    @property
    def widgets(self) -> tuple[Widget, ...]:
        """All of them, from the top to the bottom."""
        above = (self.transcript, self.empty_state, self.turn, self.request, self.queue)
        return (*above, self.composer.chips, self.composer, self.composer.choices)

    def show_prompts(self, prompts: Sequence[Prompt], permissions: Sequence[Permission]) -> None:
        """Show what was said in the visible session, and above the composer what waits to be."""
        session = self._task.session
        said = self._task.store.transcript(session.session_id) if session is not None else ()
        writable = why_no_writing(self._task.context()) is None
        prompts = without_told_reason(prompts, self._task.record)
        self._queue = above_composer(prompts, begun=bool(said)) if writable else ()
        told = in_conversation(prompts, self._queue)
        self._said = bool(said) or bool(told)
        self.transcript.show(said, told, permissions)
        self.composer.remember(prompts)
        self.completions.know([each.path for prompt in prompts for each in prompt.attachments if each.path])
        self.show_queue()

    def _files(self) -> FileSource | None:
        """The files that can be named: those of the task's sandbox."""
        task_id = self._task.task_id
        return FileSource(task_id, partial(self._task.foundry.commands.task_files, task_id))

    def _commands(self) -> Sequence[SessionCommand]:
        """The commands of the visible session's agent."""
        session = self._task.session
        known = self._task.store.session(session.session_id) if session is not None else None
        return known.commands if known is not None else ()

    def show_queue(self) -> None:
        """Mark the one that is being changed."""
        changing = self.composer.changing
        session = self._task.session
        held = session is not None and session.held
        self.queue.show(self._queue, changing.prompt_id if changing is not None else None, held=held)

    def show_permission(self) -> None:
        """Show the question that the visible session asks, or another session of the task."""
        task, session = self._task.record, self._task.session
        asked = open_permissions(task, session.session_id if session else None) if task is not None else ()
        first = asked[0] if asked else None
        elsewhere = ""
        if first is not None and task is not None and (session is None or first.session_id != session.session_id):
            elsewhere = next((s.name for s in task.sessions if s.session_id == first.session_id), "another session")
        had_focus = self.request.has_focus
        leave = self._task.key_of("back") if self.composer.has_focus else ""
        keys = (self._task.key_of("question_down"), self._task.key_of("question_up"))
        given = self.given_to(first) if first is not None else ""
        more = max(0, len(asked) - 1)
        self.request.show(first, more=more, session=elsewhere, first=leave, keys=keys, given=given)
        if had_focus and first is None:
            self._task.screen.set_focus(None)

    def given_to(self, asked: Permission) -> str:
        """What this question was answered with while the backend is away, which keeps that from it; empty: nothing."""
        said = self._task.foundry.commands.given(asked.permission_id)
        if said is None or self._task.freshness().is_live:
            return ""
        named = (option.name for option in answers_of(asked) if option.option_id == said)
        return next(named, action_word(asked.kind, said))

    def reply(self, asked: Permission, action: AnswerAction) -> None:
        """Open the form that is to be filled in, or say what became of it or of a page."""
        if asked.kind is QuestionKind.FORM and action is AnswerAction.ACCEPT:
            from foundry_tui.screens.form import FormScreen

            self._task.screen.app.push_screen(FormScreen(asked, self._task.store))
        else:
            self._task.foundry.commands.reply(asked.permission_id, action)
            self._show_given()

    def answer(self, permission_id: str, option_id: str) -> None:
        """Answer a question with one of its options."""
        self._task.foundry.commands.answer(permission_id, option_id)
        self._show_given()

    def _show_given(self) -> None:
        """Where the backend is away, nothing else would tell that it was answered."""
        if not self._task.freshness().is_live:
            self.show_permission()
            self._task.show_actions()

    def show_turn(self) -> None:
        """Say what goes on in the visible session, and how much of it is not in sight."""
        task, session = self._task.record, self._task.session
        if task is None or self._task.store.gone(self._task.task_id):
            self.turn.show("", "plain", "")
            self.give_place()
            return
        context, store = self._task.context(), self._task.store
        known = store.session(session.session_id) if session is not None else None
        words = turn_words(
            task,
            session,
            glyph_set(self._task.foundry.options.ascii),
            self._heard.now_ms(),
            pending=context.pending,
            asks=context.permission is not None,
            live=(live := self._task.freshness().is_live),
            waits=live and bool(self._queue),
            put_off=self._task.creation.problem if self._task.creation is not None else None,
            last=self.transcript.last_item,
            turn=self._turn_time(task, session),
            silent_since=silent_since(known, store.transcript(known.session_id)) if known is not None else None,
        )
        text = words.text if not context.refused else ""
        below = 0 if self.transcript.following else self.transcript.lines_below
        if below:
            hint = f"{below:,} line{'s' * (below != 1)} below: {self._task.key_of('to_end')} for the newest"
            text = f"{text} {self._task.foundry.glyphs.separator} {hint}" if text else hint
        self.turn.show(text, words.emphasis, words.glyph)
        self.give_place()

    def _turn_time(self, task: TaskSummary, session: SessionSummary | None) -> TurnTime | None:
        """The times of the turn that runs in the visible session; None without one."""
        if session is None or session.status is not SessionStatus.RUNNING or not isinstance(task, TaskDetail):
            return None
        return turn_time(task.history, session.session_id, self._heard.now_ms())

    def show_empty_state(self) -> None:
        """Say why there is no conversation to show, if there is none."""
        app, task, session = self._task.foundry, self._task.record, self._task.session
        store = self._task.store
        known = session is not None and store.session(session.session_id) is not None
        found = empty_state_of(
            task,
            session,
            self._task.freshness(),
            glyph_set(app.options.ascii),
            app.clock.now_ms(),
            gone=store.gone(self._task.task_id),
            known=known,
            said=self._said and session is not None,
            starting=app.starting,
        )
        self.empty_state.show(found, self._task.keys(*found.actions) if found is not None else ())
        self._writable = why_no_writing(self._task.context()) is None
        if session is not None:
            failed = task is not None and task.status is TaskStatus.ERROR
            told = PLACEHOLDERS.get(session.status, PLACEHOLDERS[SessionStatus.READY])
            self.composer.placeholder = AFTER_FAILURE if failed else told

    def give_place(self) -> None:
        """Give the place to the conversation, or to the view that is open in its stead."""
        talking = not self._task.pane
        self.empty_state.display = talking and self.empty_state.shown is not None
        self.transcript.display = talking and self.empty_state.shown is None
        self.turn.display = talking and bool(self.turn.words)
        self.request.display = talking and self.request.permission is not None
        self.queue.display = talking and self._writable and bool(self._queue)
        self.composer.display = talking and self._writable
        self.composer.chips.display = self.composer.display and bool(self.composer.chips.files)
