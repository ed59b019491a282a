"""A task whole: its steps, its sessions, what was said in them, and everything that can be done about it."""

from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from textual import events, on
from textual.app import ComposeResult
from textual.timer import Timer

from foundry_tui.actions import table as actions
from foundry_tui.actions.context import SEARCH, TASK, Context
from foundry_tui.actions.model import Action
from foundry_tui.actions.table import bindings
from foundry_tui.client.creations import CreationState
from foundry_tui.client.freshness import Freshness
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import PromptState, SessionSummary, TaskDetail, TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING, TaskStatus
from foundry_tui.screens.base import breakpoint_of
from foundry_tui.screens.conversation import Conversation
from foundry_tui.screens.held_topics import HeldTopics
from foundry_tui.screens.offline_banner import OfflineBannerScreen, freshness_of
from foundry_tui.screens.prerender import PrerenderedScreen
from foundry_tui.screens.reading import Reading
from foundry_tui.screens.sandbox_actions import SandboxActions
from foundry_tui.screens.scrolling import ScrollActions, Scrolled
from foundry_tui.screens.session_actions import SessionActions
from foundry_tui.screens.task_failure import TaskFailure
from foundry_tui.screens.task_panes import PANES, TaskPanes
from foundry_tui.screens.task_side import TaskSide
from foundry_tui.screens.unsent_text import UnsentText
from foundry_tui.view.clock import FRAMES_A_SECOND, LastHeard
from foundry_tui.view.labels import creation_word
from foundry_tui.view.task_notices import chosen_session, open_permissions
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.chips import Chips
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.details import Details
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.session_tabs import SessionTabs
from foundry_tui.widgets.spinning import Spinning
from foundry_tui.widgets.task_header import TaskHeader
from foundry_tui.widgets.task_notices import Keys
from foundry_tui.widgets.transcript import Transcript
from foundry_tui.widgets.work import WorkColumn

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.client.creations import Creation
    from foundry_tui.client.store import Store

WIDE = 120
"""Columns from which steps and details stand beside the conversation."""
BREAKPOINTS = [(0, "-narrow"), (80, "-medium"), (WIDE, "-wide"), (160, "-broad"), (210, "-huge")]
"""Style classes of the screen, by columns."""


class TaskScreen(ScrollActions, PrerenderedScreen[None], OfflineBannerScreen[None]):
    """One task. While it is open it holds the task's topic, the visible session's, and the log's while that shows."""

    SCREEN_NAME = TASK
    BANNER_ABOVE = "#side"
    BINDINGS = bindings(TASK)
    PARTS = (TaskPanes, TaskSide, Reading, SandboxActions, SessionActions)
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "task.tcss",
        *(f"../widgets/{name}.tcss" for name in ("task_header", "stepper", "session_tabs", "transcript", "composer")),
        *(f"../widgets/{name}.tcss" for name in ("prompt_queue", "chips", "choices", "permission", "task_notices")),
        *(f"../widgets/{name}.tcss" for name in ("details", "history", "stage_log", "changes", "work")),
    ]
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self, task_id: str, stand_in: "Store | None" = None) -> None:
        """`stand_in` has a task like the one that will be told of by `open`; nothing is asked about it."""
        super().__init__()
        self.task_id = task_id
        self._stand_in = stand_in
        self._session_id: str | None = None
        self._wanted: str | None = None
        self._spinner: Timer | None = None
        self._stands = self._refused = False
        self._last: TaskSummary | None = None

    # What stands on the screen.

    def compose(self) -> ComposeResult:
        commands, clock, plain = self.foundry.commands, self.foundry.clock, self.foundry.options.ascii
        heard = self._heard = LastHeard(clock, self.freshness)
        self._header = TaskHeader(clock, heard, ascii_only=plain)
        self._tabs = SessionTabs(heard, PANES, ascii_only=plain)
        self._failure = TaskFailure(self)
        self._talk = Conversation(self, heard)
        self._side = TaskSide(self, heard, self._talk.transcript, wide=WIDE)
        self._reading = Reading(self, self._talk.transcript)
        self._topics = HeldTopics(commands)
        self._unsent = UnsentText(commands.drafts, self.task_id)
        self.panes = TaskPanes(self, self._side.changes)
        self.parts = (self.panes, self._side, self._reading, SandboxActions(self), SessionActions(self))
        # All is said before anything is laid out, so that the first picture is the whole one and made once.
        self.add_class(breakpoint_of(BREAKPOINTS, self.app.size.width))
        self._show_all()
        # Few containers: each of them is drawn whole under what it holds.
        yield self._header
        yield self._side.box
        yield self._tabs
        yield self._failure.card
        yield from self._talk.widgets
        yield ActionBar()

    def on_mount(self) -> None:
        if self._stand_in is None:
            self._topics.hold(Topic(TopicKind.TASK, self.task_id))
        self._spinner = self.set_interval(1 / FRAMES_A_SECOND, self._spin, pause=True)
        self._stands = True
        self._show_header(self.record)
        self._show_turn()
        self.watch(self._talk.transcript, "scroll_y", self._scrolled, init=False)

    def open(self, task_id: str) -> None:
        """Show this task in place of the one that stood in for it."""
        self._stand_in = None
        self.task_id = task_id
        self._unsent = UnsentText(self.foundry.commands.drafts, task_id)
        self._topics.hold(Topic(TopicKind.TASK, task_id))
        self._show_all()

    def on_unmount(self) -> None:
        self._topics.release_all()

    # What it is about.

    @property
    def store(self) -> "Store":
        """Where the task is looked up."""
        return self._stand_in or self.foundry.store

    @property
    def record(self) -> TaskSummary | None:
        """The task as far as it is known: whole, or as lists have it, or not at all; a deleted one as it was last."""
        store = self.store
        known = store.detail(self.task_id) or store.tasks.get(self.task_id)
        self._last = known or self._last
        return known or (self._last if store.gone(self.task_id) else None)

    @property
    def creation(self) -> "Creation | None":
        """The creation that the backend has not confirmed, if the task is one."""
        return self.store.creations.get(self.task_id)

    @property
    def session(self) -> SessionSummary | None:
        """The visible session."""
        task = self.record
        return chosen_session(task.sessions, self._wanted) if task is not None else None

    def context(self) -> Context:
        task, creation, session = self.record, self.creation, self.session
        if self.store.gone(self.task_id):
            # It is shown as it was, and nothing can be done with it.
            task = session = None
        asked = open_permissions(task, session.session_id if session else None) if task is not None else ()
        told = Context(
            screen=TASK,
            field=self.field,
            task=task,
            pending=creation is not None and creation.state is CreationState.PENDING,
            refused=creation is not None and creation.state is CreationState.REFUSED,
            pane=self.pane,
            review=self.panes.review,
            session=session,
            permission=asked[0] if asked else None,
            files=len(self._side.work.files),
            waiting=self.foundry.asks_beside(self.task_id),
            undoable=self.foundry.undoable,
            why_no_start=self.foundry.why_no_start,
        )
        return self._reading.told(self._talk.told(told))

    def shows_task(self, task_id: str) -> bool:
        return task_id == self.task_id and self.is_current

    # News.

    def on_store_changed(self, changes: "Changes") -> None:
        if self._leave_if_discarded():
            return
        task_changed = self.task_id in changes.tasks or self.task_id in changes.details
        session = self.session
        if task_changed or changes.freshness or self.task_id in changes.creations:
            self._show_all()
        elif session is not None and session.session_id in changes.sessions:
            self._show_session()
            self.panes.follow_changes()
        if self.task_id in changes.logs:
            self._failure.show()
            self.panes.show_log()

    def on_tick(self) -> None:
        self._header.tick()
        self._side.stepper.tick()
        self.panes.tick()
        self._show_turn()
        if self._talk.empty_state.display:
            self._talk.show_empty_state()

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        self.foundry.looked_at = self.task_id
        self._leave_if_discarded()

    def _leave_if_discarded(self) -> bool:
        """Close when the refused creation that was shown here is discarded, or another took its place."""
        if self.creation is not None or self.task_id in self.store.tasks:
            self._refused = self.creation is not None and self.creation.state is CreationState.REFUSED
        leaves = self._refused and self.creation is None and self.is_active
        if leaves:
            self._refused = False
            self.dismiss()
        return leaves

    def _spin(self) -> None:
        for widget in self._spinning():
            widget.spin()

    def _spinning(self) -> tuple[Spinning, ...]:
        return (self._header, self._side.stepper, self._tabs, self._talk.turn)

    def _show_all(self) -> None:
        task = self.record
        self._follow_status(task)
        self._show_header(task)
        self._failure.show()
        self._show_session()
        self._side.show(task)
        self.panes.show(task)
        self.show_actions()

    def _follow_status(self, task: TaskSummary | None) -> None:
        """Mark as read what is looked at, and have the log at hand while the task is failed."""
        if task is None:
            return
        if task.unread and self.is_current and self.creation is None:
            self.foundry.commands.mark(self.task_id, False)
        if task.status is TaskStatus.ERROR and self.creation is None:
            self._topics.hold(self._log_topic)
        elif self.panes.current != "log":
            self._topics.release(self._log_topic)

    def freshness(self) -> Freshness:
        """How far what is shown can be trusted; of one that is only asked for, as far as the list."""
        if self.creation is not None or self._stand_in is not None:
            return self.foundry.store.freshness()
        return freshness_of(self.store, self.task_id)

    def _show_header(self, task: TaskSummary | None) -> None:
        store, creation = self.store, self.creation
        list_freshness, gone = self.foundry.store.freshness(), store.gone(self.task_id)
        told = list_freshness if creation is not None or gone else store.freshness(Topic(TopicKind.TASK, self.task_id))
        if self._stands:
            self.show_offline_banner(*(() if task is None else (list_freshness, told)))
        self._header.show(
            task,
            told,
            creation=creation_word(str(creation.state), list_freshness) if creation is not None else None,
            gone=gone,
        )

    def is_in_footer(self, action: Action, context: Context) -> bool:
        """Only what can be done now, and no key that stands beside the failure."""
        told = action.footer > 0 and action.id not in self._failure.helps
        return told and action.why_not(context) is None

    def _show_session(self) -> None:
        task, session = self.record, self.session
        self._visit(session)
        asking = frozenset(each.session_id for each in open_permissions(task, None)) if task else frozenset()
        self._tabs.show(
            task.sessions if task is not None else (),
            session.session_id if session is not None else None,
            self.panes.current,
            asking=asking,
            new=task is not None and self.creation is None and task.status not in ENDED | RELEASING,
            stuck=task is not None and task.status is TaskStatus.ERROR,
        )
        if session is not None and task is not None:
            known = self.store.session(session.session_id)
            self._header.show_session(known or session)
            prompts = known.prompts if known is not None else ()
            if self.context().refused:
                # They are kept in the creation, but nobody has queued them.
                prompts = tuple(replace(prompt, state=PromptState.FAILED) for prompt in prompts)
            permissions = task.permissions if isinstance(task, TaskDetail) else ()
            self._talk.show_prompts(prompts, permissions)
            self._side.show_work()
            self._reading.tell_count()
        else:
            self._header.show_session(None)
        self._talk.show_permission()
        self._talk.show_empty_state()
        self._show_turn()

    def _show_turn(self) -> None:
        self._talk.show_turn()
        if self._spinner is not None:
            # What is not heard of any more does not look busy.
            moving = self.freshness().is_live and any(widget.moving for widget in self._spinning())
            (self._spinner.resume if moving else self._spinner.pause)()

    def give_place(self) -> None:
        """Give the place to the conversation, or to the view that is open in its stead."""
        self._talk.give_place()
        self._reading.give_place(not self.pane)

    @property
    def is_stand_in(self) -> bool:
        """Whether another task stands in for the one that will be told of."""
        return self._stand_in is not None

    def changes_known(self) -> None:
        """Something else is known of what the task changed."""
        self.panes.show_changes()
        self.show_actions()

    @property
    def pane(self) -> str:
        """The name of the view that is open; empty for the conversation."""
        return self.panes.current

    # Sessions and topics.

    @property
    def _log_topic(self) -> Topic:
        return Topic(TopicKind.LOG, self.task_id)

    def hold_log(self, wanted: bool) -> None:
        """Subscribe to the stage log, or leave it, as the log is opened or closed."""
        task = self.record
        if wanted:
            self._topics.hold(self._log_topic)
        elif task is None or task.status is not TaskStatus.ERROR:
            self._topics.release(self._log_topic)

    def _visit(self, session: SessionSummary | None) -> None:
        """Make this session the visible one: its topic is held, its unsent text is in the composer."""
        wanted = session.session_id if session is not None else None
        if wanted == self._session_id:
            return
        if self._session_id is not None:
            self._topics.release(Topic(TopicKind.SESSION, self._session_id))
            self._talk.transcript.show(())
        self._session_id = wanted
        if wanted is not None and self._stand_in is None:
            self._topics.hold(Topic(TopicKind.SESSION, wanted))
            self._talk.begin(self._unsent, wanted)
            self._talk.transcript.move_to_end()

    def choose_session(self, session_id: str) -> None:
        """Show another session of the task."""
        self._wanted = session_id
        self.show_conversation()
        self.show_actions()

    # Messages of the widgets.

    @on(SessionTabs.SessionChosen)
    def _session_chosen(self, message: SessionTabs.SessionChosen) -> None:
        self.choose_session(message.session_id)

    @on(SessionTabs.NewSession)
    async def _new_session_clicked(self) -> None:
        await self.foundry.action_act("new_session")

    @on(SessionTabs.ViewChosen)
    async def _view_chosen(self, message: SessionTabs.ViewChosen) -> None:
        await self.foundry.action_act(f"show_{message.view}")

    @on(WorkColumn.Chosen)
    async def _work_chosen(self, message: WorkColumn.Chosen) -> None:
        await self._side.open(message, self.panes)

    @on(ChangesView.CommentWritten)
    @on(ChangesView.SinceChosen)
    def _reviewed(self, message: ChangesView.CommentWritten | ChangesView.SinceChosen) -> None:
        self.panes.take_up(message)

    @on(Details.CopyAsked)
    async def _copy_asked(self, message: Details.CopyAsked) -> None:
        await self.foundry.action_act(message.action)

    @on(PermissionRequest.Answered)
    def _answer(self, message: PermissionRequest.Answered) -> None:
        self._talk.answer(message.permission_id, message.option_id)

    @on(PermissionRequest.Replied)
    def _reply(self, message: PermissionRequest.Replied) -> None:
        self._talk.reply(message.asked, message.action)

    def keep_written(self) -> None:
        composer = self._talk.composer
        if self._session_id is not None:
            self._unsent.write(self._session_id, composer.unsent, composer.chips.files)

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_moved(self) -> None:
        self._talk.show_permission()

    @on(Composer.Sent)
    def _send(self, message: Composer.Sent) -> None:
        self._talk.send(self._unsent, message)

    @on(Composer.SelectionChanged)
    def _cursor_moved(self) -> None:
        if self._talk.composer.chips.files:
            self.show_actions()

    @on(Composer.Changed)
    @on(Chips.Changed)
    def _written(self) -> None:
        self.keep_written()
        self._talk.show_queue()
        self.show_actions()

    @on(Composer.Asked)
    def _complete(self, message: Composer.Asked) -> None:
        self._talk.completions.asked(message.query)

    @on(Composer.Saved)
    def _save_prompt(self, message: Composer.Saved) -> None:
        prompt = message.prompt
        if message.text != prompt.text:
            self.foundry.commands.edit_prompt(prompt.session_id, prompt.prompt_id, message.text)

    @on(Composer.Overtaken)
    def _tell_overtaken(self, message: Composer.Overtaken) -> None:
        kept = f" What you wrote is kept: {self.key_of('send')} sends it as a new prompt." if message.kept else ""
        self.notify(f"It waits no longer, so it cannot be changed any more.{kept}", severity="warning")

    @on(TaskHeader.Renamed)
    def _rename(self, message: TaskHeader.Renamed) -> None:
        self.foundry.commands.rename(self.task_id, message.title)

    @on(Transcript.FollowChanged)
    def _follow_changed(self) -> None:
        self._show_turn()

    def _scrolled(self) -> None:
        if not self._talk.transcript.following:
            self._show_turn()

    def on_resize(self) -> None:
        self._side.show(self.record)

    # Actions.

    def action_write(self) -> None:
        self.show_conversation()
        self._talk.composer.focus()

    def begin_prompt(self, words: str) -> None:
        """Put these words before what is written, to be gone on with."""
        self.action_write()
        self._talk.composer.begin(words)

    async def action_back(self) -> None:
        """Out of the prompt being changed, the title, the composer, the search or the view that is open; then out of
        the screen.
        """
        if self._talk.composer.changing is not None:
            self._talk.composer.stop_changing(keep=False)
        elif self._header.cancel_edit() or (self.focused is not None and self.field != SEARCH):
            self.set_focus(None)
        elif self._reading.end():
            pass
        elif self.panes.current:
            self.show_conversation()
        else:
            await self.app.pop_screen()

    def show_conversation(self) -> None:
        self.panes.close()
        self._show_session()

    async def toggle_pane(self, name: str) -> None:
        self.set_focus(None)
        await self.panes.toggle(name)
        self._show_session()

    def action_rename(self) -> None:
        self._header.edit_title()

    @property
    def scrolled(self) -> Scrolled:
        return self.panes.scrolled or self._talk.transcript

    def keys(self, *action_ids: str) -> Keys:
        """The first key and the words of these actions."""
        return tuple((self.key_of(action_id), actions.find(action_id).label) for action_id in action_ids)
