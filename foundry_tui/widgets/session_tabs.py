"""One line of tabs: the task's sessions at the left, the other views of the task at the right."""

from collections.abc import Sequence

from msgspec import Struct
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from foundry_tui.contract.records import SessionStatus, SessionSummary
from foundry_tui.contract.wording import Wording
from foundry_tui.view.cells import cells_of
from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import UNKNOWN, glyph_set
from foundry_tui.view.labels import SESSION_WORDS
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of

_WORDS = Wording({**SESSION_WORDS, SessionStatus.READY: ""})
"""A session that is ready needs no word."""
LEAST_SESSIONS = 10
"""Cells that the sessions have, however narrow it is."""


class ViewTab(Struct, frozen=True):
    """A view beside the sessions: its name for messages, its label and the key that opens it."""

    name: str
    label: str
    key: str


class _Place(Struct, frozen=True):
    """Cells of the line that belong to one tab."""

    start: int
    end: int
    session_id: str | None = None
    view: str | None = None
    new: bool = False


class SessionTabs(Drawn):
    """Tabs that are clicked, or chosen by the screen's keys."""

    class SessionChosen(Message):
        """A session's tab was clicked."""

        def __init__(self, session_id: str) -> None:
            super().__init__()
            self.session_id = session_id

    class ViewChosen(Message):
        """A view's tab was clicked."""

        def __init__(self, view: str) -> None:
            super().__init__()
            self.view = view

    class NewSession(Message):
        """The tab with the plus was clicked."""

    def __init__(
        self, clock: Clock, views: Sequence[ViewTab], *, ascii_only: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._views = tuple(views)
        self._glyphs = glyph_set(ascii_only)
        self._sessions: tuple[SessionSummary, ...] = ()
        self._active: str | None = None
        self._view = ""
        self._asking: frozenset[str] = frozenset()
        self._new = False
        self._stuck = False
        self._places: list[_Place] = []

    def show(
        self,
        sessions: tuple[SessionSummary, ...],
        active: str | None,
        view: str,
        *,
        asking: frozenset[str] = frozenset(),
        new: bool = True,
        stuck: bool = False,
    ) -> None:
        """Show these sessions. `asking` have open permission requests; `new` says that another can be made, `stuck`
        that nothing is done for those that are not open yet.
        """
        state = (sessions, active, view, asking, new, stuck)
        if state != (self._sessions, self._active, self._view, self._asking, self._new, self._stuck):
            self._sessions, self._active, self._view, self._asking, self._new, self._stuck = state
            self.refresh()

    @property
    def moving(self) -> bool:
        """Whether a tab changes from frame to frame."""
        return any(session.status in _MOVING for session in self._sessions)

    def spin(self) -> None:
        """The frame is another."""
        if self.moving:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y:
            return Strip.blank(width, self.base)
        # A glyph tells without its word how a session is, and a key without its label where it leads.
        for words, labels in ((True, True), (False, True), (True, False), (False, False)):
            views, marks = self._draw_views(labels)
            text, places = self._draw_sessions(words)
            room = max(LEAST_SESSIONS, width - views.cell_len - 1)
            if text.cell_len <= room:
                break
        if text.cell_len > room:
            if first := self._first_in_sight(places, room):
                text, places = self._draw_sessions(False, first)
            text.truncate(room, overflow="ellipsis")
        gap = max(0, width - text.cell_len - views.cell_len)
        offset = text.cell_len + gap
        text.append(" " * gap)
        text.append_text(views)
        self._places = places + [_Place(mark.start + offset, mark.end + offset, view=mark.view) for mark in marks]
        return strip_of(text, width, self.base)

    def _style(self, name: str) -> Style:
        return style_of(self, f"session-tabs--{name}")

    def _draw_views(self, labels: bool) -> tuple[Text, list[_Place]]:
        text, places = Text(), []
        for view in self._views:
            start = text.cell_len
            style = self._style("active" if view.name == self._view else "tab")
            text.append(" ", style)
            text.append(view.key, self._style("key") + Style(bgcolor=style.bgcolor))
            text.append(f" {view.label} " if labels else " ", style)
            places.append(_Place(start, text.cell_len, view=view.name))
        return text, places

    def _first_in_sight(self, places: Sequence[_Place], room: int) -> int:
        """The place of the first session that is drawn, so that the one in view has room, and part of the next."""
        active = next((place for place in places if place.session_id == self._active), None)
        if active is None:
            return 0
        at = places.index(active)
        more = cells_of(self._glyphs.ellipsis) * (2 if at + 1 < len(places) else 1)
        fits = (first for first in range(at) if active.end - places[first].start + (more if first else 1) <= room)
        return next(fits, at)

    def _draw_sessions(self, words: bool, first: int = 0) -> tuple[Text, list[_Place]]:
        """All sessions from the `first` on; without `words` only the one in view says how it is."""
        text, places = Text(), []
        if first:
            text.append(self._glyphs.ellipsis, self._style("tab"))
        for session in self._sessions[first:]:
            start = text.cell_len
            active = session.session_id == self._active and not self._view
            style = self._style("active" if active else "tab")
            glyph, style = self._glyph(session)
            text.append(f" {glyph} ", style + Style(bgcolor=style.bgcolor))
            text.append(session.name, style)
            if session.unread and not active:
                text.append(self._glyphs.unread, self._style("asks") + Style(bgcolor=style.bgcolor))
            word = "asks" if session.session_id in self._asking else _WORDS[session.status]
            if self._stuck and session.status in _EARLY:
                word = "waits"
            if not words and session.session_id != self._active:
                word = ""
            text.append(f" {word} " if word else " ", style + Style(bgcolor=style.bgcolor))
            places.append(_Place(start, text.cell_len, session_id=session.session_id))
        if self._new and self._sessions:
            start = text.cell_len
            text.append(" + ", self._style("key"))
            places.append(_Place(start, text.cell_len, new=True))
        return text, places

    def _glyph(self, session: SessionSummary) -> tuple[str, Style]:
        frame = self._clock.frame()
        if session.session_id in self._asking:
            return self._glyphs.asks, self._style("asks")
        match session.status:
            case SessionStatus.PENDING_PROVISION | SessionStatus.PENDING_CREATE if self._stuck:
                return self._glyphs.queued, self._style("tab")
            case SessionStatus.PENDING_PROVISION | SessionStatus.PENDING_CREATE:
                return self._glyphs.spinner[frame % len(self._glyphs.spinner)], self._style("key")
            case SessionStatus.RUNNING:
                return self._glyphs.working[frame % len(self._glyphs.working)], self._style("key")
            case SessionStatus.ERROR:
                return self._glyphs.failed, self._style("failed")
            case SessionStatus.CLOSED:
                return self._glyphs.archived, self._style("tab")
            case _:
                glyph = self._glyphs.ready if session.status.is_known else UNKNOWN
                return glyph, self._style("tab")

    def on_click(self, event: events.Click) -> None:
        for place in self._places:
            if place.start <= event.x < place.end:
                if place.session_id is not None:
                    self.post_message(self.SessionChosen(place.session_id))
                elif place.view is not None:
                    self.post_message(self.ViewChosen(place.view))
                elif place.new:
                    self.post_message(self.NewSession())
                return


_EARLY = frozenset({SessionStatus.PENDING_PROVISION, SessionStatus.PENDING_CREATE})
_MOVING = _EARLY | {SessionStatus.RUNNING}
