"""Entries of a transcript drawn as lines: Markdown for what was said, diffs for what was done, marks for the rest."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import ClassVar

from msgspec import Struct
from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.theme import Theme as RichTheme
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import FileEdit
from foundry_tui.contract.transcript import PermissionBody, PlanBody, ToolCallBody, TranscriptKind
from foundry_tui.view.attachments import attached_text
from foundry_tui.view.cells import apart, fit, flat
from foundry_tui.view.diffs import DiffLine, DiffMark, counts, edit_lines
from foundry_tui.view.glyphs import UNKNOWN
from foundry_tui.view.questions import (
    AnyQuestion,
    QuestionLine,
    edits_first,
    form_lines,
    heading_of,
    page_words,
    paths_of,
    text_of,
)
from foundry_tui.view.transcript import Body, Entry, Standing, blocks, unfenced
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, segments_of

FOLDED_OUTPUT = 4
"""Lines of a tool's output, and of a thought, that are shown while entries are folded."""
FOLDED_DIFF = 16
"""Lines of one file's diff that are shown while entries are folded."""
FOLDED_NOTE = 1
"""Lines of why a prompt's turn failed that are shown while entries are folded; the last failure has a card too."""

DIFF_GUTTER = 7
"""Cells of a diff's line before its text: number and mark."""


class TranscriptPalette(Struct, frozen=True, kw_only=True):
    """The styles that a transcript is drawn with. Equal palettes draw equal lines."""

    text: Style
    dim: Style
    accent: Style
    prompt: Style
    added: Style
    removed: Style
    success: Style
    warning: Style
    failure: Style
    code: Style
    code_theme: str
    """The name of the colours of code blocks, as Rich has them."""
    ascii: bool


def palette_of(widget: Widget, ascii_only: bool) -> TranscriptPalette:
    """The palette of the app's theme."""
    return TranscriptPalette(
        text=style_of(widget, "transcript--text"),
        dim=style_of(widget, "transcript--dim"),
        accent=style_of(widget, "transcript--accent"),
        prompt=style_of(widget, "transcript--prompt"),
        added=style_of(widget, "transcript--added"),
        removed=style_of(widget, "transcript--removed"),
        success=style_of(widget, "transcript--success"),
        warning=style_of(widget, "transcript--warning"),
        failure=style_of(widget, "transcript--failure"),
        code=style_of(widget, "transcript--code"),
        code_theme=code_theme(widget.app.current_theme, ascii_only),
        ascii=ascii_only,
    )


def code_theme(theme: Theme, ascii_only: bool) -> str:
    """Colours of the terminal's own for a theme of such, and for terminals that are likely to have no others."""
    if theme.ansi or ascii_only:
        return "ansi_dark" if theme.dark else "ansi_light"
    return "monokai" if theme.dark else "default"


class Marks(Struct, frozen=True):
    """The glyphs of a transcript."""

    bar: str
    message: str
    thought: str
    tool: str
    plan: str
    ask: str
    done: str
    active: str
    open: str
    failed: str
    stopped: str
    rule: str
    ellipsis: str


UNICODE_MARKS = Marks("▌", "●", "∴", "◆", "≡", "?", "✓", "▸", "○", "✗", "■", "─", "…")
ASCII_MARKS = Marks("|", "*", "~", "#", "=", "?", "+", ">", "o", "x", "!", "-", "~")


class _PlainHeading(Heading):
    """A heading as a bold line at the left, where Rich would centre it in a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _PlainCode(CodeBlock):
    """A code block without the padding that Rich puts around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(
            str(self.text).rstrip(), self.lexer_name, theme=self.theme, word_wrap=True, background_color="default"
        )


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _PlainHeading,
        "fence": _PlainCode,
        "code_block": _PlainCode,
    }


class Drawer:
    """Draws entries at one width with one palette, and remembers the blocks of messages that did not change."""

    def __init__(self, width: int, palette: TranscriptPalette, *, unfolded: bool = False) -> None:
        self.width = max(10, width)
        self.palette = palette
        self.unfolded = unfolded
        self.folds = False
        """Whether something was drawn of which a part is left out while it is folded."""
        self._marks = ASCII_MARKS if palette.ascii else UNICODE_MARKS
        self._console = _console(palette, self.width)
        self._markdown = lru_cache(maxsize=512)(self._render_markdown)

    def draw(self, entry: Entry) -> list[Strip]:
        """The lines of an entry, each as wide as the drawer, with an empty one behind them."""
        lines = self._lines(entry)
        lines.append([])
        return [Strip(segments).adjust_cell_length(self.width, self.palette.text) for segments in lines]

    def _lines(self, entry: Entry) -> list[list[Segment]]:
        body: Body = entry.body
        if isinstance(body, ToolCallBody):
            return self._tool(entry, body)
        if isinstance(body, PlanBody):
            return self._plan(body)
        if isinstance(body, PermissionBody):
            return self._permission(entry, body)
        if entry.kind is TranscriptKind.PROMPT:
            return self._prompt(entry, body)
        if entry.kind is TranscriptKind.THOUGHT:
            return self._thought(body)
        if entry.kind is TranscriptKind.MESSAGE:
            return self._message(body)
        if not entry.kind.is_known:
            return self._hung(
                f"{UNKNOWN} ", self.palette.dim, self._wrap(Text(f"{entry.kind}: {body}"), self.width - 2)
            )
        return self._notice(body)

    def _standing(self, entry: Entry, waiting: str, done: Style) -> tuple[str, Style]:
        """The mark of how an entry stands and its style, given the mark of what waits and the style of what is done."""
        palette, marks = self.palette, self._marks
        looks = {
            Standing.DONE: (marks.done, done),
            Standing.WAITING: (waiting, palette.warning),
            Standing.FAILED: (marks.failed, palette.failure),
            Standing.STOPPED: (marks.stopped, palette.dim),
        }
        return looks[entry.standing]

    def _prompt(self, entry: Entry, text: str) -> list[list[Segment]]:
        palette, marks = self.palette, self._marks
        glyph, style = self._standing(entry, marks.open, palette.dim)
        bar = Segment(f"{marks.bar} ", palette.accent + _background(palette.prompt))
        lines = []
        if entry.note:
            head = Text("You", palette.accent + Style(bold=True))
            head.append(f"  {glyph} {entry.note}", style)
        else:
            head = Text("You", palette.accent + Style(bold=True))
        told = self._fold(self._wrap(head, self.width - 2), FOLDED_NOTE)
        said = self._wrap(Text(text, palette.text), self.width - 2)
        if entry.attachments:
            said += self._wrap(Text(attached_text(entry.attachments), palette.dim), self.width - 2)
        for line in told + said:
            padded = Strip([bar, *line]).adjust_cell_length(self.width, palette.prompt)
            lines.append(list(padded.apply_style(_background(palette.prompt))))
        return lines

    def _message(self, text: str) -> list[list[Segment]]:
        lines: list[list[Segment]] = []
        for place, block in enumerate(blocks(text) or [""]):
            if place:
                lines.append([])
            lines.extend(list(line) for line in self._markdown(block))
        first = Segment(f"{self._marks.message} ", self.palette.accent)
        return [[first if not place else Segment("  "), *line] for place, line in enumerate(lines or [[]])]

    def _render_markdown(self, block: str) -> tuple[tuple[Segment, ...], ...]:
        width, block = self.width - 2, apart(harmless(block.expandtabs(4), lines=True))
        if _is_plain(block):
            return tuple(tuple(line) for line in self._wrap(Text(block.replace("\n", " "), self.palette.text), width))
        document = _Markdown(block, code_theme=self.palette.code_theme, hyperlinks=False)
        options = self._console.options.update(width=width, height=None)
        rendered = self._console.render_lines(document, options, style=self.palette.text, pad=False)
        lines = [[_without_default_background(segment) for segment in line] for line in rendered]
        while lines and _is_blank(lines[-1]):
            lines.pop()
        while lines and _is_blank(lines[0]):
            lines.pop(0)
        return tuple(tuple(line) for line in lines)

    def _thought(self, text: str) -> list[list[Segment]]:
        style = self.palette.dim + Style(italic=True)
        lines = self._wrap(Text(text.strip(), style), self.width - 2)
        lines = self._fold(lines, FOLDED_OUTPUT)
        return self._hung(f"{self._marks.thought} ", style, lines)

    def _tool(self, entry: Entry, body: ToolCallBody) -> list[list[Segment]]:
        palette, marks = self.palette, self._marks
        stopped = entry.standing is Standing.STOPPED
        state = "stopped" if stopped else _TOOL_WORDS.get(body.status, body.status)
        glyph, style = self._standing(entry, marks.active, palette.success)
        first, *others = (body.title.strip() or body.kind).split("\n", 1)
        head = Text.assemble((first, palette.text + Style(bold=True)))
        if body.kind and body.kind != "other":
            head.append(f"  {body.kind}", palette.dim)
        diffs = [(edit, edit_lines(edit.old, edit.new)) for edit in body.edits]
        added, removed = (sum(pair) for pair in zip((0, 0), *(counts(lines) for _, lines in diffs), strict=True))
        if diffs:
            head.append(f"  +{added}", palette.success)
            head.append(f" -{removed}", palette.failure)
        head.append(f"  {glyph} {state}", style)
        lines = self._hung(f"{marks.tool} ", palette.accent, self._wrap(head, self.width - 2))
        for rest in others:
            lines += self._hung(
                "  ", palette.text, self._fold(self._wrap(Text(rest, palette.text), self.width - 2), FOLDED_OUTPUT)
            )
        printed = unfenced(body.content)
        lines += self._quoted(printed.strip("\n") if printed.strip() else "", palette.dim)
        return lines + self._edits(diffs)

    def _edits(
        self, diffs: Sequence[tuple[FileEdit, Sequence[DiffLine]]], *, whole: bool = False
    ) -> list[list[Segment]]:
        """Diffs, their lines cut at the width, or `whole` on as many rows as they need."""
        palette, width = self.palette, self.width - 4
        lines: list[list[Segment]] = []
        for edit, diff in diffs:
            heading = Text(edit.path, palette.dim)
            if edit.old is None:
                heading.append("  new file", palette.success)
            lines += self._hung("    ", palette.dim, self._wrap(heading, self.width - 4))
            drawn: list[list[Segment]] = []
            for line in diff:
                if line.mark is not DiffMark.HUNK:
                    first, *rest = (
                        (chop_cells(_flat(line.text), max(1, width - DIFF_GUTTER)) or [""]) if whole else [line.text]
                    )
                    drawn.append(self.diff_line(line.mark, first, line.number, width))
                    drawn += [self.diff_line(line.mark, part, None, width) for part in rest]
            lines += self._hung("    ", palette.dim, self._fold(drawn, FOLDED_DIFF))
        return lines

    def question_lines(self, asked: AnyQuestion) -> list[list[Segment]]:
        """What a question asks beside its title: places, what would be run or done, changes as diffs."""
        palette = self.palette
        lines: list[list[Segment]] = []
        for path in paths_of(asked):
            lines += self._hung("  at ", palette.dim, self._wrap(Text(path, palette.accent), self.width - 5))
        if asked.url is not None:
            page = Text(asked.url, palette.accent)
            lines += self._hung("  ", palette.dim, self._wrap(page, self.width - 2))
            lines += self._hung("  ", palette.dim, self._wrap(Text(page_words(asked.url), palette.dim), self.width - 2))
        edits = self._edits([(edit, edit_lines(edit.old, edit.new)) for edit in asked.edits], whole=True)
        text = self._quoted(text_of(asked), palette.text)
        for line, words in form_lines(asked):
            style = palette.dim if line is QuestionLine.ABOUT else palette.text
            text += self._hung("  ", palette.dim, self._wrap(Text(words, style), self.width - 2))
        return lines + (edits + text if edits_first(asked) else text + edits)

    def _quoted(self, text: str, style: Style) -> list[list[Segment]]:
        """A text behind a rule at its left, folded where it is long; no line for none."""
        shown = self._fold(self._wrap(Text(text, style), self.width - 4), FOLDED_OUTPUT) if text else []
        return self._hung("  │ " if not self.palette.ascii else "  | ", self.palette.dim, shown, True)

    def diff_line(self, mark: DiffMark, text: str, number: int | None, width: int) -> list[Segment]:
        """One line of a diff in `width` cells: padded, or cut with an ellipsis."""
        palette = self.palette
        style = (
            palette.added if mark is DiffMark.ADDED else palette.removed if mark is DiffMark.REMOVED else palette.dim
        )
        gutter = f"{number:>4} " if number is not None else "     "
        return [
            Segment(gutter, palette.dim + _background(style)),
            Segment(fit(f"{mark} {_flat(text)}", width - len(gutter), self._marks.ellipsis), style),
        ]

    def _plan(self, body: PlanBody) -> list[list[Segment]]:
        palette, marks = self.palette, self._marks
        done = sum(entry.status == "completed" for entry in body.entries)
        head = Text.assemble(
            ("Plan", palette.text + Style(bold=True)), (f"  {done} of {len(body.entries)}", palette.dim)
        )
        lines = self._hung(f"{marks.plan} ", palette.accent, [segments_of(head)])
        for entry in body.entries:
            if entry.status == "completed":
                glyph, style, tone = marks.done, palette.success, palette.dim
            elif entry.status == "in_progress":
                glyph, style, tone = marks.active, palette.warning, palette.text + Style(bold=True)
            else:
                glyph, style, tone = marks.open, palette.dim, palette.text
            lines += self._hung(f"  {glyph} ", style, self._wrap(Text(entry.content, tone), self.width - 4))
        return lines

    def _permission(self, entry: Entry, body: PermissionBody) -> list[list[Segment]]:
        palette = self.palette
        _, style = self._standing(entry, self._marks.open, palette.success)
        text = Text.assemble((heading_of(body), palette.text + Style(bold=True)))
        if entry.note:
            text.append(f"  → {entry.note}" if not palette.ascii else f"  -> {entry.note}", style)
        lines = self._hung(f"{self._marks.ask} ", palette.warning, self._wrap(text, self.width - 2))
        # An open one stands whole where it is answered.
        return lines if entry.standing is Standing.WAITING else lines + self.question_lines(body)

    def _notice(self, text: str) -> list[list[Segment]]:
        rule = self._marks.rule * 2
        return self._hung(f"{rule} ", self.palette.dim, self._wrap(Text(text, self.palette.dim), self.width - 3))

    def _wrap(self, text: Text, width: int) -> list[list[Segment]]:
        width = max(1, width)
        if "\n" not in text.plain and "\t" not in text.plain and cell_len(text.plain) <= width:
            return [segments_of(text)]
        text.expand_tabs(4)
        wrapped = text.wrap(self._console, width, overflow="fold")
        return [segments_of(line) for line in wrapped]

    def _hung(
        self, lead: str, style: Style, lines: Sequence[Iterable[Segment]], each: bool = False
    ) -> list[list[Segment]]:
        """Lines behind a mark, which stands at the first of them or at each."""
        blank = " " * cell_len(lead)
        return [[Segment(lead if each or not place else blank, style), *line] for place, line in enumerate(lines)]

    def _fold(self, lines: list[list[Segment]], limit: int) -> list[list[Segment]]:
        hidden = len(lines) - limit
        self.folds = self.folds or hidden > 1
        if self.unfolded or hidden <= 1:
            return lines
        more = f"… {hidden} more lines" if not self.palette.ascii else f"... {hidden} more lines"
        return [*lines[:limit], [Segment(more, self.palette.dim + Style(italic=True))]]


_TOOL_WORDS = {"pending": "pending", "in_progress": "running", "completed": "done", "failed": "failed"}

_MARKDOWN_SIGNS = frozenset("*_`#[]<>|~\\&!")
_LIST_SIGNS = ("- ", "+ ", "    ", "\t", "===", "---")


def _is_plain(block: str) -> bool:
    """Whether Markdown would make nothing of this text but a paragraph."""
    if not _MARKDOWN_SIGNS.isdisjoint(block):
        return False
    for line in block.split("\n"):
        if line.endswith("  "):
            return False
        stripped = line.lstrip()
        if line.startswith(_LIST_SIGNS) or stripped.startswith(("- ", "+ ", "===", "---")):
            return False
        head = stripped.split(" ", 1)[0]
        if head[-1:] in (".", ")") and head[:-1].isdigit():
            return False
        if head in ("-", "+") or set(head) in ({"-"}, {"="}):
            return False
    return True


def _flat(text: str) -> str:
    """A line of code with its tabs as spaces and its control characters made visible."""
    return flat(text.expandtabs(4))


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)


def _without_default_background(segment: Segment) -> Segment:
    """Rich paints code on the terminal's own background, which need not be that of the theme."""
    style = segment.style
    if style is None or style.bgcolor is None or not style.bgcolor.is_default:
        return segment
    return Segment(
        segment.text, Style(color=style.color, bold=style.bold, italic=style.italic, underline=style.underline)
    )


def _background(style: Style) -> Style:
    return Style(bgcolor=style.bgcolor)


@lru_cache(maxsize=8)
def _console(palette: TranscriptPalette, width: int) -> Console:
    """A console that Rich renders with; it writes nowhere."""
    theme = RichTheme(
        {
            "markdown.code": palette.code,
            "markdown.code_block": palette.code,
            "markdown.h1": palette.accent + Style(bold=True),
            "markdown.h2": palette.accent + Style(bold=True),
            "markdown.h3": palette.text + Style(bold=True),
            "markdown.h4": palette.text + Style(bold=True),
            "markdown.h5": palette.dim + Style(bold=True),
            "markdown.h6": palette.dim,
            "markdown.item.bullet": palette.accent,
            "markdown.item.number": palette.accent,
            "markdown.link": palette.accent,
            "markdown.link_url": palette.dim + Style(underline=True),
            "markdown.block_quote": palette.dim,
            "markdown.hr": palette.dim,
            "markdown.list": palette.text,
            "markdown.table.border": palette.dim,
            "markdown.table.header": palette.text + Style(bold=True),
        }
    )
    return Console(
        width=width, color_system="truecolor", force_terminal=True, legacy_windows=False, theme=theme, quiet=True
    )
