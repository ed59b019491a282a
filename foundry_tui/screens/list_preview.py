"""The preview beside the task list, and the answers that are given from there."""

from collections.abc import Callable, Container
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from textual.screen import Screen
from textual.timer import Timer

from foundry_tui.client.errors import RequestError
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import TaskSummary
from foundry_tui.view.answers import AnyAsk, is_answered_by_digits
from foundry_tui.view.clock import LastHeard
from foundry_tui.view.labels import unsent_words
from foundry_tui.view.preview import changes_words, is_prepared, open_question, session_in_view
from foundry_tui.view.prompt_queue import above_composer, in_conversation, without_told_reason
from foundry_tui.view.questions import answers_of
from foundry_tui.view.unread import Unread

if TYPE_CHECKING:
    from foundry_tui.screens.shell import Shell
    from foundry_tui.widgets.preview import Preview
    from foundry_tui.widgets.task_list import TaskList

WIDE = 120
"""Columns from which the preview stands beside the list unless it was closed."""
FOLLOW_AFTER = 0.1
"""Seconds that the cursor rests on a task before it is shown."""
HOLD_AFTER = 0.1
"""Seconds for which a task is shown before the whole of it is asked for."""
CHANGES_AFTER = 0.5
"""Seconds for which it is shown before its changes are counted."""
HERE_FOR = 60.0
"""Seconds since a key was pressed for which a person is taken to read what is shown."""


class ListScreen(Protocol):
    """The screen of the task list as its preview sees it."""

    @property
    def screen(self) -> Screen[object]:
        """The same as Textual has it: for timers, workers and widgets."""

    @property
    def foundry(self) -> "Shell": ...

    @property
    def tasks(self) -> "TaskList": ...

    def key_of(self, action_id: str) -> str: ...

    def creation_of(self, task_id: str) -> str | None: ...

    def show_actions(self) -> None: ...


class ListPreview:
    """Opens and closes the preview, keeps it on the highlighted task, and gives its answers.

    It holds the topics of one task at a time, and of none that the cursor only passes.
    """

    def __init__(self, owner: ListScreen) -> None:
        self._owner = owner
        self._widget: Preview | None = None
        self._wanted: bool | None = None
        """What was asked for; None: it stands there where the screen is wide enough."""
        self._opening = False
        self._out_of_sight = False
        """Another screen lies over the list."""
        self._following: Timer | None = None
        self._held: dict[Topic, Callable[[], None]] = {}
        self._timer: Timer | None = None
        self._changes_timer: Timer | None = None
        self._changes: dict[str, str] = {}
        """What was counted of the task that is shown."""
        self._counted: tuple[object, ...] = ()
        """How the task stood for which changes were counted last, or soon will be."""
        self._answered: dict[str, str] = {}
        """The tasks of the questions, by permission_id, whose answers are on their way."""
        self._unread = Unread()

    @property
    def is_open(self) -> bool:
        return self._widget is not None and self._widget.display

    @property
    def is_over_list(self) -> bool:
        """Whether it was asked for, so that the way back leads out of it."""
        return self.is_open and self._wanted is True

    @property
    def ask(self) -> AnyAsk | None:
        """The question of the highlighted task that a digit would answer."""
        task = self._task()
        ask = open_question(task, self._answered) if task is not None else None
        return ask if ask is not None and is_answered_by_digits(ask) else None

    # Coming and going.

    def enter(self) -> None:
        """The list is in sight again."""
        self._out_of_sight = False
        self.fit()
        self.show()

    def leave(self) -> None:
        """Another screen lies over the list: ask for nothing, and hold nothing."""
        self._out_of_sight = True
        for timer in (self._following, self._timer, self._changes_timer):
            if timer is not None:
                timer.stop()
        self._counted = ()
        self.hold(None)

    # Opening and closing.

    def toggle(self) -> None:
        """Open or close it, and remember that."""
        wide = self._owner.screen.size.width >= WIDE
        self._wanted = False if self.is_open else None if wide else True
        self.fit()

    def fit(self) -> None:
        """Stand beside the list, or not, as was asked for and as there is room."""
        wide = self._owner.screen.size.width >= WIDE
        wanted = (wide if self._wanted is None else self._wanted) and bool(self._owner.tasks.order.shown)
        if wanted and self._widget is None:
            if not self._opening:
                self._opening = True
                self._owner.screen.call_later(self._open)
            return
        if self._widget is not None and self._widget.display is not wanted:
            self._widget.display = wanted
            if wanted:
                self.show()
            else:
                self.hold(None)
            self._owner.show_actions()

    async def _open(self) -> None:
        from foundry_tui.widgets.preview import Preview

        app = self._owner.foundry
        app.read_styles(*(f"widgets/{name}.tcss" for name in Preview.STYLES))
        heard = LastHeard(app.clock, app.store.freshness)
        widget = Preview(app.clock, heard, app.glyphs, ascii_only=app.options.ascii, id="preview")
        await self._owner.screen.query_one("#body").mount(widget)
        self._widget = widget
        self._opening = False
        self.show()
        self.fit()
        self._owner.show_actions()

    # What it shows.

    def _task(self) -> TaskSummary | None:
        summary = self._owner.tasks.current
        return (self._owner.foundry.store.detail(summary.task_id) or summary) if summary is not None else None

    def follow(self) -> None:
        """The cursor is on another task: show that once it stays there, so that the list never waits for it."""
        if self._following is not None:
            self._following.stop()
        self._following = self._owner.screen.set_timer(FOLLOW_AFTER, self.settle) if self.is_open else None

    def settle(self) -> None:
        """Show the highlighted task now if it is to be shown."""
        following, self._following = self._following, None
        if following is not None:
            following.stop()
            self.show()

    def show(self) -> None:
        """Show the highlighted task as it is now."""
        task, widget = self._task(), self._widget
        if widget is None or not widget.display or self._out_of_sight:
            return
        creation = self._owner.creation_of(task.task_id) if task is not None else None
        if task is not None:
            self._unread.look(task)
        widget.show(task, creation, self._told_of_changes(task.task_id) if task is not None else ())
        self._show_conversation(widget, task)
        self._hold_soon(task)
        self._count_soon(task)

    def _told_of_changes(self, task_id: str) -> tuple[str, str]:
        comments = self._owner.foundry.commands.comments
        return self._changes.get(task_id, ""), unsent_words(comments.count(task_id))

    def _show_conversation(self, widget: "Preview", task: TaskSummary | None) -> None:
        store = self._owner.foundry.store
        ask = open_question(task, self._answered) if task is not None else None
        session = session_in_view(task, ask) if task is not None else None
        known = store.session(session.session_id) if session is not None else None
        items = store.transcript(session.session_id) if session is not None else ()
        prompts = without_told_reason(known.prompts if known is not None else (), task)
        told = in_conversation(prompts, above_composer(prompts, begun=bool(items)))
        widget.show_conversation(items, told, ask if isinstance(ask, Permission) else None)
        sent = list(self._answered.values()).count(task.task_id) if task is not None else 0
        more = max(0, task.needs_input - 1 - sent) if task is not None else 0
        keys = (self._owner.key_of("question_down"), self._owner.key_of("question_up"))
        widget.show_question(ask, more, keys, self._owner.key_of("open"))

    def tick(self) -> None:
        """A second has passed: a task counts as read once it was in sight for some of them."""
        if self._widget is None or not self._widget.display:
            return
        self._widget.tick()
        task = self._task()
        if task is not None and self._unread.second(task, in_sight=self._is_read(self._widget, task)):
            self._owner.foundry.commands.mark(task.task_id, False)

    def _is_read(self, widget: "Preview", task: TaskSummary) -> bool:
        """Whether a person is likely to read the task here now, and would not lose it from the list by that."""
        app = self._owner.foundry
        lists_unread = any(term.field == "is" for term in self._owner.tasks.order.terms)
        if self._out_of_sight or self._following is not None or lists_unread or not widget.tells(task.task_id):
            return False
        return self._owner.screen.app.app_focus and monotonic() - app.typed_at < HERE_FOR

    # What it asks for.

    def _hold_soon(self, task: TaskSummary | None) -> None:
        wanted = self._topics(task)
        if self._out_of_sight or wanted == set(self._held):
            return
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._owner.screen.set_timer(HOLD_AFTER, self.hold_highlighted)

    def hold_highlighted(self) -> None:
        """Subscribe to the whole of the task that is shown and to what is said in it, in place of the one before."""
        self.hold(self._task() if self.is_open else None)

    @staticmethod
    def _topics_of(task: TaskSummary, session_id: str | None) -> set[Topic]:
        session = {Topic(TopicKind.SESSION, session_id)} if session_id is not None else set()
        return {Topic(TopicKind.TASK, task.task_id), *session}

    def _topics(self, task: TaskSummary | None) -> set[Topic]:
        if task is None or self._owner.creation_of(task.task_id) is not None:
            return set()
        session = session_in_view(task, open_question(task, self._answered))
        return self._topics_of(task, session.session_id if session is not None else None)

    def hold(self, task: TaskSummary | None) -> None:
        """Subscribe to what belongs to this task and leave all else."""
        wanted = self._topics(task)
        for topic in wanted - set(self._held):
            self._held[topic] = self._owner.foundry.commands.hold(topic)
        for topic in set(self._held) - wanted:
            self._held.pop(topic)()

    def _count_soon(self, task: TaskSummary | None) -> None:
        """Count what was changed once for each task that stays highlighted, and again as it works, asks or ends."""
        if task is None or not is_prepared(task):
            return
        stands = (task.task_id, task.status, task.needs_input)
        if stands == self._counted:
            return
        self._counted = stands
        if self._changes_timer is not None:
            self._changes_timer.stop()
        self._changes_timer = self._owner.screen.set_timer(CHANGES_AFTER, self._count_changes)

    def _count_changes(self) -> None:
        task = self._task()
        if task is not None and self.is_open and is_prepared(task):
            self._owner.screen.run_worker(self._read_changes(task.task_id), group="preview-changes", exclusive=True)

    async def _read_changes(self, task_id: str) -> None:
        try:
            diff = await self._owner.foundry.commands.diff(task_id)
        except RequestError:
            return
        if diff.computed_at is not None:
            self._changes = {task_id: changes_words(diff.files)}
            self.show()

    # Answers.

    def scroll_question(self, pages: int) -> None:
        """Show what stands further down in the question, or open the preview that has it."""
        if self._widget is None or not self._widget.display:
            self._open_for_question()
        else:
            self._widget.request.action_scroll(pages)

    def _open_for_question(self) -> None:
        self._wanted = True if self._owner.screen.size.width < WIDE else None
        self.fit()

    def answer(self, place: int) -> None:
        """Answer the question of the highlighted task with its option of this place, counted from 1.

        One that rejects is taken at once, as is any where the line has all of the question. Else the first press opens
        the preview, and goes on there to the question's end.
        """
        ask = self.ask
        options = answers_of(ask) if ask is not None else ()
        if ask is None or place > len(options):
            return
        option = options[place - 1]
        if option.kind.startswith("reject") or self._owner.tasks.shows_whole(ask.permission_id):
            self.send(ask.permission_id, option.option_id)
            return
        widget = self._widget
        if widget is None or not widget.display:
            self._open_for_question()
            return
        shown = widget.request.permission
        if shown is not None and shown.permission_id == ask.permission_id:
            widget.request.answer(place)

    def send(self, permission_id: str, option_id: str) -> None:
        """The question is answered: say so to the backend, and go on to the next one that waits."""
        task = self._task()
        if task is None:
            return
        self._owner.foundry.commands.answer(permission_id, option_id)
        self._answered[permission_id] = task.task_id
        if open_question(task, self._answered) is None:
            self._owner.tasks.move_waiting(1, without=self._done())
        self.show()
        self._owner.show_actions()

    def _done(self) -> set[str]:
        """The tasks all of whose questions have answers on their way."""
        tasks = self._owner.foundry.store.tasks
        return {
            task_id
            for task_id in self._answered.values()
            if task_id not in tasks or open_question(tasks[task_id], self._answered) is None
        }

    def take(self, task_ids: Container[str]) -> None:
        """Take in that these tasks changed: an answer that has arrived need not be remembered."""
        tasks = self._owner.foundry.store.tasks
        for permission_id, task_id in list(self._answered.items()):
            if task_id in task_ids:
                asks = tasks[task_id].asks if task_id in tasks else ()
                if all(ask.permission_id != permission_id for ask in asks):
                    del self._answered[permission_id]
