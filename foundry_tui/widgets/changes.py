"""What a task changed, as one diff: a line that says how much and where one is, the diff, and what is searched for."""

from collections.abc import Sequence

from msgspec.structs import replace
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Input, Static, TextArea

from foundry_tui.actions.context import CHANGES_SEARCH, COMMENT, Review
from foundry_tui.actions.table import bindings
from foundry_tui.client.comments import Comment
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import FileDiff
from foundry_tui.view.comments import CommentState, comment_on, where
from foundry_tui.view.diff_rows import PULL_REQUEST
from foundry_tui.widgets.diff_lines import DiffLines
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.since_chooser import SINCE_BASE, Moment, SinceChooser
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, spread, strip_of

SAVE_SECONDS = 0.5
"""How long a comment is written on before that is saved: as much as a crash can lose."""
ROOM = 80
"""Columns from which all is said in whole words."""


class ChangesHead(Drawn):
    """How many files and lines, since when, and where one is."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: DiffLines | None = None
        self.since = SINCE_BASE
        """What the changes are told against."""

    def show(self, lines: DiffLines) -> None:
        """Tell of these lines as they are now."""
        self._lines = lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.base
        if y or self._lines is None:
            return Strip.blank(width, base)
        if not self._lines.document.files:
            # That there are none since the base is said by the words below.
            since = "" if self.since == SINCE_BASE else f" since {self.since.told}"
            return strip_of(Text(since, style_of(self, "diff--warning")), width, base)
        return strip_of(spread(self._totals(self._lines), self._standing(self._lines), width), width, base)

    def _totals(self, lines: DiffLines) -> Text:
        dim, document = style_of(self, "diff--number"), lines.document
        added, removed, uncounted = document.totals()
        count = document.file_count
        text = Text.assemble(
            (f" {count:,} file{'s' * (count != 1)}  ", style_of(self, "diff--head")),
        )
        if uncounted < count:
            text.append(f"+{added:,} ", Style(color=style_of(self, "diff--added").color))
            text.append(f"-{removed:,}", Style(color=style_of(self, "diff--removed").color))
        if count and uncounted == count:
            text.append("not counted", dim)
        elif uncounted and self.size.width >= ROOM:
            text.append(f", {uncounted:,} not counted", dim)
        text.append(f"  since {self.since.told}", dim if self.since == SINCE_BASE else style_of(self, "diff--warning"))
        if comments := document.comments:
            old = sum(each.state is CommentState.OUTDATED for each in comments)
            words = f"  {len(comments):,} comment{'s' * (len(comments) != 1)}" + (f", {old:,} outdated" if old else "")
            text.append(words, style_of(self, "diff--warning"))
        if reviews := document.reviews:
            text.append(f"  {len(reviews):,} of reviewers", style_of(self, "diff--warning"))
        return text

    def _standing(self, lines: DiffLines) -> Text:
        dim, document = style_of(self, "diff--number"), lines.document
        text = Text()
        if document.ignores_space:
            text.append("white space ignored  ", style_of(self, "diff--warning"))
        if lines.searched:
            found = f"{lines.match:,} of {len(lines.matches):,}" if lines.matches else "not found"
            text.append(f"{found}  ", style_of(self, "diff--warning"))
        at, count = document.file_at(lines.cursor) + 1, document.file_count
        if at > count:
            # Behind those that differ stand the others that were commented on.
            return text.append("not changed " if count else "", dim)
        return text.append(f"file {at:,} of {count:,} " if self.size.width >= ROOM else f"{at:,}/{count:,} ", dim)


class ChangesSearch(Input):
    """What is searched for in the changes, while it is typed."""

    FIELD = CHANGES_SEARCH
    BINDINGS = bindings(CHANGES_SEARCH)

    class Left(Message):
        """It is typed no longer: `kept` to go from match to match, or not searched for any more."""

        def __init__(self, kept: bool) -> None:
            super().__init__()
            self.kept = kept

    def action_keep_changes_search(self) -> None:
        self.post_message(self.Left(True))

    def action_drop_changes_search(self) -> None:
        self.post_message(self.Left(False))


class CommentEditor(TextArea):
    """Where a comment is written."""

    FIELD = COMMENT
    BINDINGS = bindings(COMMENT)

    class Kept(Message):
        """It is written."""

    def action_break_line(self) -> None:
        self.insert("\n")

    def action_keep_comment(self) -> None:
        self.post_message(self.Kept())


class ChangesView(Vertical):
    """The diff of a task. Keys are the screen's: it calls `move` and its like."""

    class CommentWritten(Message):
        """A comment is to be kept, or with an empty text to be forgotten."""

        def __init__(self, comment: Comment) -> None:
            super().__init__()
            self.comment = comment

    class SinceChosen(Message):
        """The changes are to be told since this moment."""

        def __init__(self, moment: Moment) -> None:
            super().__init__()
            self.moment = moment

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._head = ChangesHead()
        self.chooser = SinceChooser(ascii_only=ascii_only)
        self.chooser.display = False
        self.lines = DiffLines(ascii_only=ascii_only)
        self._search = ChangesSearch(placeholder="search in the changes", compact=True)
        self._search_row = Horizontal(Static("/", id="changes-search-mark"), self._search, id="changes-search")
        self._search_row.display = False
        self._about = Static("", id="comment-about", markup=False)
        self._editor = CommentEditor(compact=True, placeholder="what is wrong with it, or what is missing")
        self._comment_row = Vertical(self._about, self._editor, id="changes-comment")
        self._comment_row.display = False
        self._written: Comment | None = None
        self._saving: Timer | None = None

    def compose(self) -> ComposeResult:
        yield self._head
        yield self.chooser
        yield self.lines
        yield self._search_row
        yield self._comment_row

    def show(self, files: Sequence[FileDiff], note: str = "", *, whole: bool = True) -> None:
        """Show these files, where one was; `note` is said when there are none. `whole`: they are all that the task
        changed, and not what it did lately.
        """
        self.lines.show(files, note, whole=whole)
        self._head.show(self.lines)

    @on(DiffLines.Moved)
    def _moved(self, message: DiffLines.Moved) -> None:
        message.stop()
        self._head.show(self.lines)

    @property
    def review(self) -> Review:
        """What of the changes decides what can be done."""
        return Review(
            why_empty=None
            if self.lines.document.files
            else self.lines.note[:1].lower() + self.lines.note[1:].rstrip("."),
            choosing=bool(self.chooser.display),
            at_head=self.lines.at_head,
            searching=self.searching,
            marking=self.lines.marked is not None,
            comments=len(self.lines.document.comments),
        )

    # Since when.

    @property
    def since(self) -> Moment:
        """What the changes are told against."""
        return self._head.since

    def tell_since(self, moment: Moment) -> None:
        """Say that what is shown is told against this."""
        self._head.since = moment
        self._head.refresh()

    def offer_moments(self, moments: Sequence[tuple[Moment, Content]]) -> None:
        """Have one of these chosen, each as it is written; called again as more of them are known."""
        self.chooser.offer(moments, self.since.since)
        if not self.chooser.display:
            self.chooser.display = True
            self.chooser.focus()

    @on(SinceChooser.Chosen)
    def _since_chosen(self, message: SinceChooser.Chosen) -> None:
        message.stop()
        self.chooser.display = False
        self.screen.set_focus(None)
        if message.moment is not None:
            self.post_message(self.SinceChosen(message.moment))

    # Comments.

    def begin_comment(self, comment_id: str) -> bool:
        """Have a comment written on the marked lines, or on that of the cursor; at a gap on the next one; at the name
        of a file, or where it shows no lines, on all of it. Whether there is a file.
        """
        written = self.lines.comment_here
        if written is None:
            self.lines.leave_gap()
            path, lines = self.lines.document.lines_between(*self.lines.range) if self.lines.file else ("", ())
            if not path or path == PULL_REQUEST:
                return False
            written = comment_on(comment_id, path, lines, "")
        self._written = written
        whole = "" if written.first else ", the whole file"
        self._about.update(harmless(f"Comment on {where(written)}{whole}"))
        self._comment_row.display = True
        self._editor.text = written.text
        self._editor.move_cursor(self._editor.document.end)
        self._editor.focus()
        return True

    @on(CommentEditor.Changed)
    def _comment_typed(self, message: CommentEditor.Changed) -> None:
        message.stop()
        if self._saving is not None:
            self._saving.stop()
        self._saving = self.set_timer(SAVE_SECONDS, self.save_comment)

    def save_comment(self) -> None:
        """Keep what is written so far: it outlives whatever happens next."""
        if self._saving is not None:
            self._saving.stop()
            self._saving = None
            if self._written is not None:
                self.post_message(self.CommentWritten(replace(self._written, text=self._editor.text.strip())))

    @on(CommentEditor.Kept)
    def _comment_kept(self, message: CommentEditor.Kept) -> None:
        message.stop()
        self._comment_row.display = False
        self.screen.set_focus(None)
        self.lines.mark(False)
        self.save_comment()
        self._written = None

    # Search.

    @property
    def searching(self) -> bool:
        """Whether something is searched for."""
        return bool(self._search_row.display)

    def begin_search(self) -> None:
        """Take what is typed for what is searched for."""
        self._search_row.display = True
        self._search.focus()
        self._search.action_select_all()

    def end_search(self) -> None:
        """Search for nothing any more."""
        self._search_row.display = False
        self._search.value = ""
        self.lines.search("")

    @on(Input.Changed)
    def _typed(self, message: Input.Changed) -> None:
        message.stop()
        if self.searching:
            self.lines.search(message.value)

    @on(ChangesSearch.Left)
    def _left(self, message: ChangesSearch.Left) -> None:
        message.stop()
        self.screen.set_focus(None)
        if not message.kept or not self._search.value:
            self.end_search()

    # Where one is.

    def highlight(self, path: str) -> None:
        """Go to the file of this path, if there is one."""
        self.lines.to_path(path)

    def move(self, steps: int, /) -> None:
        """Move the cursor by some lines."""
        self.lines.move(steps)

    def move_page(self, pages: float, /) -> None:
        """Move by some screens."""
        self.lines.move_page(pages)

    def move_to_start(self) -> None:
        """To the first file."""
        self.lines.move_to_start()

    def move_to_end(self) -> None:
        """To the last line."""
        self.lines.move_to_end()
