"""A task whole: its steps, its sessions, what was said in them, and everything that can be done about it."""

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, Protocol

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from foundry_tui import actions
from foundry_tui.actions import bindings
from foundry_tui.client.creations import CreationState
from foundry_tui.context import TASK, Context
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import PromptState, SessionSummary, TaskDetail, TaskSummary
from foundry_tui.contract.status import ENDED, PROVISIONING, RELEASING, TaskStatus
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.screens.task_panes import PANES, Scrolled, TaskPanes
from foundry_tui.task_conditions import why_no_writing
from foundry_tui.view.clock import FRAMES_A_SECOND
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.stepper import failure, steps
from foundry_tui.view.task_faces import chosen_session, face_of, open_permissions, refusal, turn_words
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.composer import PLACEHOLDERS, Composer
from foundry_tui.widgets.details import Details
from foundry_tui.widgets.faces import FaceView, FailureCard, Keys, TurnLine
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.session_tabs import SessionTabs
from foundry_tui.widgets.stepper import Stepper
from foundry_tui.widgets.task_header import TaskHeader
from foundry_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.client.commands import CommandProblem
    from foundry_tui.client.creations import Creation

WIDE = 120
"""Columns from which steps and details stand beside the conversation."""
BREAKPOINTS = [(0, "-narrow"), (80, "-medium"), (WIDE, "-wide")]
"""Style classes of the screen, by columns."""


class TaskScreen(FoundryScreen[None]):
    """One task. While it is open it holds the task's topic, the visible session's, and the log's while that shows."""

    SCREEN_NAME = TASK
    BINDINGS = bindings(TASK)
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "task.tcss",
        *(
            f"../widgets/{name}.tcss"
            for name in ("task_header", "stepper", "session_tabs", "transcript", "composer", "permission", "faces")
        ),
        *(f"../widgets/{name}.tcss" for name in ("details", "history", "stage_log", "changes")),
    ]
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self, task_id: str) -> None:
        super().__init__()
        self.task_id = task_id
        self._session_id: str | None = None
        self._wanted: str | None = None
        self._holds: dict[Topic, Callable[[], None]] = {}
        self._spinner: Timer | None = None
        self._unsent: dict[str, str] = {}
        self._was: TaskStatus | None = None

    # What stands on the screen.

    def compose(self) -> ComposeResult:
        app = self.foundry
        clock, plain = app.clock, app.options.ascii
        yield TaskHeader(clock, ascii_only=plain)
        with Horizontal(id="body"):
            with Vertical(id="side"):
                yield Stepper(clock, ascii_only=plain)
                yield Details(clock, self.key_of)
            with Vertical(id="main"):
                yield SessionTabs(clock, PANES, ascii_only=plain)
                yield FailureCard(ascii_only=plain)
                with Vertical(id="conversation"):
                    yield Transcript(ascii_only=plain)
                    yield FaceView()
                    yield TurnLine(clock, ascii_only=plain)
                    yield PermissionRequest(ascii_only=plain)
                    yield Composer()
        yield ActionBar()

    def on_mount(self) -> None:
        self.panes = TaskPanes(self, self.query_one("#main", Vertical), self.key_of)
        self._hold(Topic(TopicKind.TASK, self.task_id))
        self._spinner = self.set_interval(1 / FRAMES_A_SECOND, self._spin, pause=True)
        self._show_all()

    def on_unmount(self) -> None:
        self._keep_unsent()
        for release in self._holds.values():
            release()
        self._holds.clear()

    # What it is about.

    @property
    def record(self) -> TaskSummary | None:
        """The task as far as it is known: whole, or as lists have it, or not at all."""
        store = self.foundry.store
        return store.detail(self.task_id) or store.tasks.get(self.task_id)

    @property
    def creation(self) -> "Creation | None":
        """The creation that the backend has not confirmed, if the task is one."""
        return self.foundry.store.creations.get(self.task_id)

    @property
    def session(self) -> SessionSummary | None:
        """The visible session."""
        task = self.record
        return chosen_session(task.sessions, self._wanted) if task is not None else None

    def context(self) -> Context:
        task, creation, session = self.record, self.creation, self.session
        asked = open_permissions(task, session.session_id if session else None) if task is not None else ()
        return Context(
            screen=TASK,
            task=task,
            pending=creation is not None and creation.state is CreationState.PENDING,
            refused=creation is not None and creation.state is CreationState.REFUSED,
            session=session,
            permission=asked[0] if asked else None,
            undoable=self.foundry.undoable,
        )

    def shows_task(self, task_id: str) -> bool:
        return task_id == self.task_id and self.is_current

    # News.

    def on_store_changed(self, changes: "Changes") -> None:
        if not self.is_mounted:
            return
        task_changed = self.task_id in changes.tasks or self.task_id in changes.details
        session = self.session
        if task_changed or changes.freshness or self.task_id in changes.creations:
            self._show_all()
        elif session is not None and session.session_id in changes.sessions:
            self._show_session()
        if self.task_id in changes.logs:
            self._show_failure()
            self.panes.show_log()

    def on_problem(self, problem: "CommandProblem") -> bool:
        """A command of this task failed: a prompt that was not taken comes back to the composer."""
        if problem.action == "prompt" and problem.session_id == self._session_id and problem.session_id is not None:
            self._restore_unsent(problem.session_id)
        return False

    def on_tick(self) -> None:
        if not self.is_mounted:
            return
        self.query_one(TaskHeader).tick()
        self.query_one(Stepper).tick()
        self.query_one(Details).tick()
        self._show_turn()
        if self.query_one(FaceView).display:
            self._show_face()

    def _spin(self) -> None:
        for widget in self._spinning():
            widget.spin()

    def _spinning(self) -> "tuple[Spinning, ...]":
        return (
            self.query_one(TaskHeader),
            self.query_one(Stepper),
            self.query_one(SessionTabs),
            self.query_one(TurnLine),
        )

    def _show_all(self) -> None:
        task = self.record
        self._follow_status(task)
        self._show_header(task)
        self._show_steps(task)
        self._show_failure()
        self._show_session()
        self.query_one(Details).show(task)
        self.panes.show(task)
        self.show_actions()

    def _follow_status(self, task: TaskSummary | None) -> None:
        """Mark as read what is looked at, and have the log at hand while the task is failed."""
        if task is None:
            return
        if task.unread and self.is_current and self.creation is None:
            self.foundry.commands.mark(self.task_id, False)
        if task.status is TaskStatus.ERROR and self.creation is None:
            self._hold(self._log_topic)
        elif self.panes.current != "log":
            self._release(self._log_topic)

    def _show_header(self, task: TaskSummary | None) -> None:
        store = self.foundry.store
        creation = self.creation
        freshness = store.freshness(Topic(TopicKind.TASK, self.task_id)) if creation is None else store.freshness()
        self.query_one(TaskHeader).show(
            task,
            freshness,
            creation=str(creation.state) if creation is not None else None,
            gone=store.gone(self.task_id),
        )

    def _show_steps(self, task: TaskSummary | None) -> None:
        stepper = self.query_one(Stepper)
        self.query_one("#side").display = task is not None
        if task is None:
            return
        context = self.context()
        found = steps(task, pending=context.pending, refused=context.refused)
        provisioning = task.status in PROVISIONING or (task.status is TaskStatus.ERROR and task.stages_done < 4)
        stepper.show(found, compact=not provisioning and not context.refused and self.size.width < WIDE)

    def _show_failure(self) -> None:
        task, creation = self.record, self.creation
        card = self.query_one(FailureCard)
        if creation is not None and creation.state is CreationState.REFUSED:
            card.show(refusal(creation.problem), self._keys("retry", "edit_again", "discard"))
        elif task is not None and (found := failure(task, self.foundry.store.log(self.task_id))) is not None:
            card.show(found, self._keys("retry", "edit_again", "kill", "show_log"))
        else:
            card.show(None)

    def _show_session(self) -> None:
        task, session = self.record, self.session
        self._visit(session)
        asking = (
            frozenset(permission.session_id for permission in open_permissions(task, None)) if task else frozenset()
        )
        self.query_one(SessionTabs).show(
            task.sessions if task is not None else (),
            session.session_id if session is not None else None,
            self.panes.current,
            asking=asking,
            new=task is not None and self.creation is None and task.status not in ENDED | RELEASING,
            stuck=task is not None and task.status is TaskStatus.ERROR,
        )
        if session is not None and task is not None:
            store = self.foundry.store
            known = store.session(session.session_id)
            prompts = known.prompts if known is not None else ()
            if self.context().refused:
                # They are kept in the creation, but nobody has queued them.
                prompts = tuple(replace(prompt, state=PromptState.FAILED) for prompt in prompts)
            permissions = task.permissions if isinstance(task, TaskDetail) else ()
            self.query_one(Transcript).show(store.transcript(session.session_id), prompts, permissions)
            self.query_one(Composer).remember(tuple(prompt.text for prompt in prompts))
        self._show_permission()
        self._show_turn()
        self._show_face()

    def _show_permission(self) -> None:
        task, session = self.record, self.session
        asked = open_permissions(task, session.session_id if session else None) if task is not None else ()
        first = asked[0] if asked else None
        elsewhere = ""
        if first is not None and task is not None and (session is None or first.session_id != session.session_id):
            elsewhere = next((s.name for s in task.sessions if s.session_id == first.session_id), "another session")
        request = self.query_one(PermissionRequest)
        had_focus = request.has_focus
        request.show(first, more=max(0, len(asked) - 1), session=elsewhere)
        if had_focus and first is None:
            self.set_focus(None)

    def _show_turn(self) -> None:
        task, session = self.record, self.session
        line = self.query_one(TurnLine)
        if task is None:
            line.show("", "plain", "")
            return
        context = self.context()
        words = turn_words(
            task,
            session,
            glyph_set(self.foundry.options.ascii),
            self.foundry.clock.now_ms(),
            pending=context.pending,
            asks=context.permission is not None,
        )
        text = words.text if not context.refused else ""
        if text and not self.query_one(Transcript).following:
            text = f"{text} · scrolled up: {self.key_of('to_end')} for the newest"
        line.show(text, words.tone, words.glyph)
        if self._spinner is not None:
            moving = any(widget.moving for widget in self._spinning())
            (self._spinner.resume if moving else self._spinner.pause)()

    def _show_face(self) -> None:
        app, task, session = self.foundry, self.record, self.session
        store, known, said = app.store, False, False
        if session is not None:
            detail = store.session(session.session_id)
            known = detail is not None
            said = bool(store.transcript(session.session_id)) or (detail is not None and bool(detail.prompts))
        face = face_of(
            task,
            session,
            store.freshness(Topic(TopicKind.TASK, self.task_id)),
            glyph_set(app.options.ascii),
            app.clock.now_ms(),
            gone=store.gone(self.task_id),
            known=known,
            said=said,
        )
        self.query_one(FaceView).show(face, self._keys(*face.actions) if face is not None else ())
        self.query_one(Transcript).display = face is None
        composer = self.query_one(Composer)
        composer.display = why_no_writing(self.context()) is None and not store.gone(self.task_id)
        if session is not None:
            composer.placeholder = PLACEHOLDERS[session.status]

    # Sessions and topics.

    @property
    def _log_topic(self) -> Topic:
        return Topic(TopicKind.LOG, self.task_id)

    def _hold(self, topic: Topic) -> None:
        if topic not in self._holds:
            self._holds[topic] = self.foundry.commands.hold(topic)

    def _release(self, topic: Topic) -> None:
        release = self._holds.pop(topic, None)
        if release is not None:
            release()

    def hold_log(self, wanted: bool) -> None:
        """Subscribe to the stage log, or leave it, as the log is opened or closed."""
        task = self.record
        if wanted:
            self._hold(self._log_topic)
        elif task is None or task.status is not TaskStatus.ERROR:
            self._release(self._log_topic)

    def _visit(self, session: SessionSummary | None) -> None:
        """Make this session the visible one: its topic is held, its unsent text is in the composer."""
        wanted = session.session_id if session is not None else None
        if wanted == self._session_id:
            return
        composer = self.query_one(Composer)
        if self._session_id is not None:
            self._unsent[self._session_id] = composer.text
            self._release(Topic(TopicKind.SESSION, self._session_id))
            self.query_one(Transcript).show(())
        self._session_id = wanted
        if wanted is not None:
            self._hold(Topic(TopicKind.SESSION, wanted))
            self._restore_unsent(wanted)
            self.query_one(Transcript).move_to_end()

    def _restore_unsent(self, session_id: str) -> None:
        composer = self.query_one(Composer)
        draft = self.foundry.commands.drafts.get(_draft_key(session_id))
        text = self._unsent.pop(session_id, "") or (draft.prompt if draft is not None else "")
        composer.load_text(text)
        composer.move_cursor(composer.document.end)

    def _keep_unsent(self) -> None:
        """Keep what was written and not sent, for when the task is opened again, also after a restart."""
        from foundry_tui.contract.requests import CreateTask

        if self._session_id is not None:
            composers = self.query(Composer)
            self._unsent[self._session_id] = composers.first().text if composers else ""
        drafts = self.foundry.commands.drafts
        for session_id, text in self._unsent.items():
            if text.strip():
                drafts.put(_draft_key(session_id), CreateTask(repo=self.task_id, prompt=text))
            else:
                drafts.discard(_draft_key(session_id))

    def choose_session(self, session_id: str) -> None:
        """Show another session of the task."""
        self._wanted = session_id
        self.panes.close()
        self._show_session()
        self.show_actions()

    def _step_session(self, direction: int) -> None:
        task = self.record
        if task is None or not task.sessions:
            return
        ids = [session.session_id for session in task.sessions]
        place = ids.index(self._session_id) if self._session_id in ids else 0
        self.choose_session(ids[(place + direction) % len(ids)])

    # Messages of the widgets.

    @on(Composer.Sent)
    def _send(self, message: Composer.Sent) -> None:
        session = self.session
        if session is None:
            return
        commands = self.foundry.commands
        self._unsent.pop(session.session_id, None)
        commands.drafts.discard(_draft_key(session.session_id))
        commands.prompt(session.session_id, message.text)
        self.query_one(Composer).load_text("")
        self.query_one(Transcript).move_to_end()

    @on(PermissionRequest.Answered)
    def _answer(self, message: PermissionRequest.Answered) -> None:
        self.foundry.commands.answer(message.permission_id, message.option_id)

    @on(TaskHeader.Renamed)
    def _rename(self, message: TaskHeader.Renamed) -> None:
        self.foundry.commands.rename(self.task_id, message.title)

    @on(SessionTabs.SessionChosen)
    def _session_chosen(self, message: SessionTabs.SessionChosen) -> None:
        self.choose_session(message.session_id)

    @on(SessionTabs.ViewChosen)
    async def _view_chosen(self, message: SessionTabs.ViewChosen) -> None:
        await self.foundry.action_act(f"show_{message.view}")

    @on(SessionTabs.NewSession)
    async def _new_session_clicked(self) -> None:
        await self.foundry.action_act("new_session")

    @on(Details.CopyAsked)
    async def _copy_asked(self, message: Details.CopyAsked) -> None:
        await self.foundry.action_act(message.action)

    @on(Transcript.FollowChanged)
    def _follow_changed(self) -> None:
        self._show_turn()

    def on_resize(self) -> None:
        self._show_steps(self.record)

    # Actions.

    def action_write(self) -> None:
        self.panes.close()
        self._show_session()
        self.query_one(Composer).focus()

    async def action_back(self) -> None:
        """Out of the title, the composer or the view that is open; then out of the screen."""
        header = self.query_one(TaskHeader)
        if header.cancel_edit() or self.focused is not None:
            self.set_focus(None)
        elif self.panes.current:
            self.panes.close()
            self._show_session()
        else:
            await self.foundry.pop_screen()

    def action_stop(self) -> None:
        if (session := self.session) is not None:
            self.foundry.commands.stop(session.session_id)

    def action_new_session(self) -> None:
        self.choose_session(self.foundry.commands.add_session(self.task_id))

    def action_close_session(self) -> None:
        if (session := self.session) is not None:
            self.foundry.commands.close_session(session.session_id)

    def action_previous_session(self) -> None:
        self._step_session(-1)

    def action_next_session(self) -> None:
        self._step_session(1)

    def _answer_place(self, place: int) -> None:
        self.query_one(PermissionRequest).answer(place - 1)

    def action_answer_1(self) -> None:
        self._answer_place(1)

    def action_answer_2(self) -> None:
        self._answer_place(2)

    def action_answer_3(self) -> None:
        self._answer_place(3)

    def action_answer_4(self) -> None:
        self._answer_place(4)

    def action_fold(self) -> None:
        transcript = self.query_one(Transcript)
        transcript.fold(not transcript.unfolded)

    def action_show_history(self) -> None:
        self._toggle_pane("history")

    def action_show_log(self) -> None:
        self._toggle_pane("log")

    def action_show_changes(self) -> None:
        self._toggle_pane("changes")

    def action_show_details(self) -> None:
        self._toggle_pane("details")

    def _toggle_pane(self, name: str) -> None:
        self.set_focus(None)
        self.panes.toggle(name)
        self._show_session()

    def action_rename(self) -> None:
        self.query_one(TaskHeader).edit_title()

    def action_copy_path(self) -> None:
        task = self.record
        if isinstance(task, TaskDetail) and task.sandbox is not None:
            self.app.copy_to_clipboard(task.sandbox.cwd)
            self.notify(f"Copied {task.sandbox.cwd}", timeout=2)

    def action_line_up(self) -> None:
        self._scrolled.move(-1)

    def action_line_down(self) -> None:
        self._scrolled.move(1)

    def action_screen_up(self) -> None:
        self._scrolled.move_page(-1)

    def action_screen_down(self) -> None:
        self._scrolled.move_page(1)

    def action_to_start(self) -> None:
        self._scrolled.move_to_start()

    def action_to_end(self) -> None:
        self._scrolled.move_to_end()

    @property
    def _scrolled(self) -> Scrolled:
        return self.panes.scrolled or self.query_one(Transcript)

    def _keys(self, *action_ids: str) -> Keys:
        return tuple((self.key_of(action_id), actions.find(action_id).label) for action_id in action_ids)


class Spinning(Protocol):
    """A widget with something that turns."""

    @property
    def moving(self) -> bool: ...

    def spin(self) -> None: ...


def _draft_key(session_id: str) -> str:
    """Where the unsent text of a session is kept among the drafts."""
    return f"session:{session_id}"
