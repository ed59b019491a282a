"""The column beside a conversation: what came of it so far. Plan, changed files, commits, pull request, sessions."""

from collections.abc import Sequence

from msgspec import Struct
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from foundry_tui.actions.context import WORK
from foundry_tui.actions.table import bindings
from foundry_tui.contract.records import FileDiff, SessionStatus, SessionSummary, TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING
from foundry_tui.contract.transcript import PlanBody, PlanEntry
from foundry_tui.contract.work import Work
from foundry_tui.view.cells import fit, fit_end
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.labels import unsent_words
from foundry_tui.view.stepper import Step, StepState
from foundry_tui.view.way_home import merged_whole, pull_request_line
from foundry_tui.view.work import (
    conflict_words,
    count_of_files,
    current_entry,
    distance_words,
    in_files,
    keeping_words,
    listed,
    open_sessions,
    plan_progress,
    session_words,
    total_of,
    window,
)
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, joined, spread, strip_of, wrapped


class WorkShown(Struct, frozen=True, kw_only=True):
    """What the column shows. `files` is None while nobody knows which files were changed; `note` then says why."""

    task: TaskSummary
    prepared: Step
    plan: PlanBody | None = None
    files: Sequence[FileDiff] | None = None
    note: str = ""
    asking: frozenset[str] = frozenset()
    """Sessions that ask something."""
    comments: int = 0
    """Comments on the changes that were not sent yet."""


class _Row(Struct, frozen=True):
    """One line, and what a click on it means."""

    text: Text
    file: int | None = None
    session: str | None = None
    heading: str = ""
    """The action of the heading's view."""


_PLAN_LOOKS = {"completed": ("done", "work--done", "work--dim"), "in_progress": ("at", "work--at", "work--at")}
_PLAN_MARKS = {"done": ("✓", "+"), "at": ("▸", ">"), "open": ("○", "o")}


class WorkColumn(Drawn):
    """Sections of lines; with the focus the changed files have a cursor, and enter opens the diff at one.

    Where there is little room it is one line.
    """

    FIELD = WORK
    BINDINGS = bindings(WORK)

    class Chosen(Message):
        """Something is wanted whole: a session, or the diff, at a file if one was chosen."""

        def __init__(self, *, path: str | None = None, session_id: str | None = None) -> None:
            super().__init__()
            self.path = path
            self.session_id = session_id

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyph_set(ascii_only)
        self._set = int(ascii_only)
        self._work: WorkShown | None = None
        self._rows: list[_Row] = []
        self._rows_key: tuple[object, ...] = ()
        self._cursor = 0
        self.compact = False

    @property
    def files(self) -> Sequence[FileDiff]:
        """The changed files that are listed."""
        return (self._work.files or ()) if self._work is not None and not self.compact else ()

    def show(self, work: WorkShown | None, *, compact: bool) -> None:
        """Show this, on one line if `compact`."""
        if (work, compact) == (self._work, self.compact):
            return
        files = self.files
        path = files[self._cursor].path if self._cursor < len(files) else None
        self._work, self.compact = work, compact
        self._cursor = next((place for place, file in enumerate(self.files) if file.path == path), 0)
        self.display = work is not None and (not compact or bool(self._line()))
        self.refresh(layout=compact)

    @property
    def _runs(self) -> bool:
        """Whether an agent works on the task now."""
        sessions = self._work.task.sessions if self._work is not None else ()
        return any(session.status is SessionStatus.RUNNING for session in sessions)

    @property
    def _over(self) -> bool:
        """Whether the task has ended."""
        return self._work is not None and self._work.task.status in ENDED

    def go_to_files(self) -> None:
        """Have the keys here. Else `tab` passes by: it leads to what is asked, and to where one writes."""
        self.can_focus = True
        self.focus()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.can_focus = False
        self.refresh()

    def action_file_up(self) -> None:
        self._move(-1)

    def action_file_down(self) -> None:
        self._move(1)

    def _move(self, steps: int) -> None:
        self._cursor = max(0, min(self._cursor + steps, len(self.files) - 1))
        self.refresh()

    def action_open_file(self) -> None:
        if self._cursor < len(self.files):
            self.post_message(self.Chosen(path=self.files[self._cursor].path))

    def on_click(self, event: events.Click) -> None:
        rows = self._all_rows()
        row = rows[event.y] if 0 <= event.y < len(rows) else None
        if row is None:
            return
        if row.file is not None:
            self._cursor = row.file
            self.post_message(self.Chosen(path=self.files[row.file].path))
        elif row.session is not None:
            self.post_message(self.Chosen(session_id=row.session))
        elif row.heading:
            self.post_message(self.Chosen())

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self.compact:
            return strip_of(self._line() if not y else Text(), width, self.base)
        rows = self._all_rows()
        return strip_of(rows[y].text, width, self.base) if y < len(rows) else Strip.blank(width, self.base)

    def _style(self, name: str) -> Style:
        return style_of(self, f"work--{name}")

    def _dim(self, words: str, style: str = "dim") -> Text:
        """Words whose parts are separated as glyphs allow."""
        return Text(words.replace(" · ", f" {self._glyphs.separator} "), self._style(style))

    # The lines.

    def _all_rows(self) -> list[_Row]:
        key = (self._work, self.size, self._cursor, self.has_focus, self.app.theme)
        if key != self._rows_key:
            self._rows_key, self._rows = key, self._make_rows(*self.size)
        return self._rows

    def _make_rows(self, width: int, height: int) -> list[_Row]:
        work = self._work
        if work is None:
            return []
        plan = work.plan.entries if work.plan is not None else ()
        files, sessions = work.files or (), open_sessions(work.task)
        # Beside the lists there are a heading and an empty line for each, and the line at the top.
        commits = [*self._commits(work.task.work, width), *self._pull_request(work.task, width)]
        unsent = self._unsent(work)
        taken = 5 + 2 * bool(plan) + len(unsent) + len(commits)
        room = listed(len(plan), len(files), len(sessions), height - taken)
        rows = [_Row(self._prepared(work.prepared))]
        if work.plan is not None and plan:
            rows += [
                _Row(Text()),
                _Row(self._heading("Plan", Text(plan_progress(work.plan), self._style("dim")), width)),
            ]
            at = current_entry(work.plan)
            rows += [_Row(self._entry(plan[place], width)) for place in window(len(plan), at, room.plan)]
        rows += [_Row(Text()), _Row(self._heading("Changes", self._changes(work), width), heading="show_changes")]
        rows += [_Row(Text.assemble("   ", words), heading="show_changes") for words in unsent]
        rows += [
            _Row(self._file(place, files[place], width), file=place)
            for place in window(len(files), self._cursor, room.files)
        ]
        rows += [_Row(line) for line in commits]
        rows += [_Row(Text()), _Row(self._heading("Sessions", Text(), width))]
        rows += [
            _Row(self._session(session, session.session_id in work.asking, width), session=session.session_id)
            for session in sessions[: room.sessions]
        ]
        return rows

    def _prepared(self, step: Step) -> Text:
        done = step.state is StepState.DONE
        mark = (("✓", "+") if done else ("⊘", "-"))[self._set]
        return Text.assemble(" ", (f"{mark} ", self._style("done" if done else "dim")), (step.word, self._style("dim")))

    def _heading(self, name: str, told: Text, width: int) -> Text:
        return Text.assemble(" ", (name, self._style("heading")), "  ", told)

    def _entry(self, entry: PlanEntry, width: int) -> Text:
        mark, glyph_style, style = _PLAN_LOOKS.get(entry.status, ("open", "work--dim", "work--text"))
        if mark == "at" and not self._runs:
            # Nobody works on it now, and after the end nobody will.
            mark, glyph_style, style = ("open" if self._over else "at"), "work--dim", "work--text"
        glyph = _PLAN_MARKS[mark][self._set]
        words = fit(" ".join(entry.content.split()), max(1, width - 4), self._glyphs.ellipsis).rstrip()
        return Text.assemble(" ", (f"{glyph} ", style_of(self, glyph_style)), (words, style_of(self, style)))

    def _changes(self, work: WorkShown) -> Text:
        dim, known = self._style("dim"), work.task.work
        if work.files is None and known is not None and known.files:
            if known.added is None or known.removed is None:
                return Text(count_of_files(known.files), dim)
            return Text.assemble(*self._counts(known.added, known.removed), (in_files(known.files), dim))
        if work.files is None:
            return Text(work.note, dim)
        if not work.files:
            return Text("none yet", dim)
        return Text.assemble(*self._counts(*total_of(work.files)), (in_files(len(work.files)), dim))

    def _unsent(self, work: WorkShown) -> list[Text]:
        """That a review waits to be sent, which only the changes show."""
        words = unsent_words(work.comments)
        return [Text(words, self._style("asks"))] if words else []

    def _commits(self, work: Work | None, width: int) -> list[Text]:
        """How the branch stands to its base, and what is not kept elsewhere yet."""
        if work is None:
            return []
        lines = [Text(), self._heading("Commits", self._dim(distance_words(work)), width)]
        if words := keeping_words(work):
            lines.append(Text.assemble("   ", self._dim(words)))
        if words := conflict_words(work):
            told = Text(f"{self._glyphs.refused} {words}", self._style("asks"))
            lines += [
                Text.assemble(" " if not place else "   ", line) for place, line in enumerate(wrapped(told, width - 3))
            ]
        return lines

    def _pull_request(self, task: TaskSummary, width: int) -> list[Text]:
        """Its number, checks and reviews; once it is merged, what is left to do."""
        pull = task.pull_request
        if pull is None:
            return []
        words = pull_request_line(pull, ascii_only=self._glyphs.ready.isascii())
        if merged_whole(task) is not None and task.status not in ENDED | RELEASING:
            words += ": archive it"
        told = Text.assemble(("Pull request", self._style("heading")), "  ", self._dim(words))
        lines = wrapped(told, width - 1)
        return [Text(), *(Text.assemble(" " if not place else "   ", line) for place, line in enumerate(lines))]

    def _counts(self, added: int | None, removed: int | None) -> list[tuple[str, Style]]:
        if added is None or removed is None:
            return [("not counted ", self._style("dim"))]
        return [(f"+{added:,} ", self._style("added")), (f"-{removed:,} ", self._style("removed"))]

    def _file(self, place: int, file: FileDiff, width: int) -> Text:
        here = place == self._cursor and self.has_focus
        counts = Text.assemble(*self._counts(file.added, file.removed))
        room = max(4, width - 3 - counts.cell_len - 1)
        path = fit_end(file.path, room, self._glyphs.ellipsis)
        mark = f"{self._glyphs.cursor if here else ' '}{file.status[:1]} "
        left = Text.assemble((mark, self._style("at" if here else "dim")), (path, self._style("text")))
        line = spread(left, counts, width)
        if here and self.app.current_theme.ansi:
            return Text(line.plain, self._style("cursor"))
        if here:
            line.stylize(self._style("cursor"))
        return line

    def _session(self, session: SessionSummary, asks: bool, width: int) -> Text:
        glyphs = self._glyphs
        glyph, style = {
            SessionStatus.RUNNING: (glyphs.working[0], "at"),
            SessionStatus.READY: (glyphs.ready, "done"),
            SessionStatus.ERROR: (glyphs.failed, "removed"),
            SessionStatus.CLOSED: (glyphs.archived, "dim"),
        }.get(session.status, (glyphs.queued, "dim"))
        if asks:
            glyph, style = glyphs.asks, "asks"
        return Text.assemble(
            " ",
            (f"{glyph} ", self._style(style)),
            (session.name, self._style("text")),
            self._dim(f"  {session_words(session, asks=asks)}", "asks" if asks else "dim"),
        )

    def _line(self) -> Text:
        """All of it on one line."""
        work, dim = self._work, self._style("dim")
        if work is None:
            return Text()
        parts = []
        if progress := plan_progress(work.plan):
            parts.append(Text(f"plan {progress}", dim))
        known = work.task.work
        if work.files or (known is not None and known.files):
            parts.append(self._changes(work))
        parts += self._unsent(work)
        if known is not None and (known.ahead or known.behind):
            parts.append(self._dim(distance_words(known, short=True)))
        if known is not None and known.conflicts:
            parts.append(Text("conflicts", self._style("asks")))
        if pull := work.task.pull_request:
            plain = self._glyphs.ready.isascii()
            parts.append(self._dim(pull_request_line(pull, ascii_only=plain, brief=True)))
        line = joined(parts, f" {self._glyphs.separator} ", dim)
        return Text.assemble(" ", line) if parts else Text()
