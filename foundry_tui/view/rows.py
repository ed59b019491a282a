"""One task in one line: which columns a width has room for, and what stands in each."""

from enum import StrEnum

from msgspec import Struct
from rich.cells import cell_len

from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING, TaskStatus
from foundry_tui.view.ages import age
from foundry_tui.view.cells import fit, plain
from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.labels import LEAVING, UNSENT, glyph_of, needs_person, state_text, title_of

GAP = 2
"""Cells between columns."""
LEAST_REASON = 12
"""Cells that are worth telling a reason in, behind a title."""
WIDE_STATE = 25
"""Cells that hold a stage, minutes with seconds and `attempt 2/3`, or the bar with one of them less."""
_ATTEMPT, _NUMBERS = " attempt {}/{}", " {}/{}"
"""How an attempt is said: with its word where there is room for that."""


class Role(StrEnum):
    """What a piece of a row is. Its colour depends on that: see `widgets/row_styles.py`."""

    CURSOR = "cursor-mark"
    MARK = "mark"
    UNREAD = "unread"
    TITLE = "title"
    DIM = "dim"
    REPO = "repo"
    BRANCH = "branch"
    ASKS = "asks"
    WORKING = "working"
    PROVISIONING = "provisioning"
    READY = "ready"
    FAILED = "failed"
    DONE = "done"
    PENDING = "pending"
    MATCH = "match"
    AGE = "age"


RowPiece = tuple[str, Role]


class Columns(Struct, frozen=True):
    """Cells of each column at some width; 0 leaves a column out. `title` takes what the others leave."""

    width: int
    marks: bool
    title: int
    repo: int
    branch: int
    state: int
    agent: int
    age: int

    @property
    def glyph_at(self) -> int:
        """The column of the status glyph."""
        return 4 if self.marks else 2


def columns_for(width: int, *, marks: bool = False, with_repo: bool = True) -> Columns:
    """The columns that a width has room for: narrow keeps title, state and age; wide shows them all."""
    room = width - (7 if marks else 5)
    age_width = 4
    if width < 80:
        state = 19 if width >= 50 else 14
        title = max(8, room - state - age_width - 2 * GAP)
        return Columns(width, marks, title, 0, 0, state, 0, age_width)
    state = WIDE_STATE
    repo = (10 if width < 110 else 12) if with_repo and width >= 100 else 0
    agent = 0 if width < 110 else 8
    gaps = 3 + bool(repo) + bool(agent)
    rest = room - state - repo - agent - age_width - gaps * GAP
    branch = min(40, max(14, rest * 2 // 5))
    return Columns(width, marks, max(8, rest - branch), repo, branch, state, agent, age_width)


def state_role(task: TaskSummary, creation: str | None = None) -> Role:
    """The colour of glyph and state."""
    if creation == "refused" or task.status is TaskStatus.ERROR:
        return Role.FAILED
    if creation in ("pending", UNSENT, LEAVING):
        return Role.PENDING
    if needs_person(task):
        return Role.ASKS
    if task.status is TaskStatus.RUNNING:
        return Role.WORKING
    if task.status is TaskStatus.IDLE:
        return Role.READY
    if task.status in ENDED or task.status in RELEASING:
        return Role.DONE
    return Role.PROVISIONING


class Moving(Struct, frozen=True):
    """The parts of a row that change with time alone: a row whose parts are equal need not be drawn again."""

    glyph: str
    state: str
    age: str


def moving_parts(
    task: TaskSummary, columns: Columns, glyphs: Glyphs, now: int, heard: Clock, creation: str | None
) -> Moving:
    """What time has made of a row; the progress bar gives way where the words need the room.

    Its age is that of `now`; what it does is timed by `heard`, which stands still while nothing is heard of it.
    """
    last = heard.now_ms()
    failed_narrow = task.status is TaskStatus.ERROR and columns.state < WIDE_STATE
    forms = [(True, _ATTEMPT), (False, _ATTEMPT), (True, _NUMBERS), (False, _NUMBERS)][int(failed_narrow) :]
    texts = (state_text(task, glyphs, last, creation, bar=bar, attempts=attempts) for bar, attempts in forms)
    state = next((text for text in texts if len(text) <= columns.state), "")
    state = state or state_text(task, glyphs, last, creation, bar=False, attempts=_NUMBERS)
    return Moving(glyph_of(task, glyphs, heard.frame(), creation), state, age(now - task.created_at))


def _title_pieces(text: str, width: int, role: Role, words: tuple[str, ...], glyphs: Glyphs) -> list[RowPiece]:
    fitted = fit(text, width, glyphs.ellipsis)
    lowered = fitted.lower()
    if not words or len(lowered) != len(fitted):
        return [(fitted, role)]
    spans = sorted((lowered.find(word), len(word)) for word in words if word in lowered)
    pieces: list[RowPiece] = []
    end = 0
    for start, length in spans:
        if start < end:
            continue
        if start > end:
            pieces.append((fitted[end:start], role))
        end = start + length
        pieces.append((fitted[start:end], Role.MATCH))
    if end < len(fitted):
        pieces.append((fitted[end:], role))
    return pieces


def row_pieces(
    task: TaskSummary,
    columns: Columns,
    glyphs: Glyphs,
    moving: Moving,
    *,
    creation: str | None = None,
    reason: str | None = None,
    highlighted: bool = False,
    marked: bool = False,
    words: tuple[str, ...] = (),
) -> list[RowPiece]:
    """A row from left to right, exactly `columns.width` cells; `words` stand out, `reason` says why it was refused."""
    role = state_role(task, creation)
    quiet = task.status in ENDED or task.status in RELEASING
    pieces: list[RowPiece] = [
        (glyphs.cursor if highlighted else " ", Role.CURSOR),
        (glyphs.unread if task.unread else " ", Role.MARK),
    ]
    if columns.marks:
        pieces.append((f"{glyphs.marked if marked else glyphs.unmarked} ", Role.MARK if marked else Role.DIM))
    pieces.append((f"{moving.glyph} ", role))
    title_role = (
        Role.DIM if quiet or creation in ("pending", UNSENT, LEAVING) else Role.UNREAD if task.unread else Role.TITLE
    )
    trouble = reason or (task.error.message if task.error is not None and task.status is TaskStatus.ERROR else None)
    gap = " " * GAP
    title = title_of(task)
    left = columns.title - cell_len(plain(title))
    if not trouble or left < GAP + LEAST_REASON:
        left = 0
    pieces += _title_pieces(title, columns.title - left, title_role, words, glyphs)
    if left:
        pieces.append((fit(f"{gap}{trouble}", left, glyphs.ellipsis), Role.DIM))
    if columns.repo:
        pieces += [
            (gap, Role.DIM),
            (fit(task.repo_label, columns.repo, glyphs.ellipsis), Role.DIM if quiet else Role.REPO),
        ]
    if columns.branch:
        pieces.append((gap, Role.DIM))
        branch_role = Role.DIM if quiet else Role.BRANCH
        pieces += _title_pieces(task.branch or "", columns.branch, branch_role, words, glyphs)
    pieces += [(gap, Role.DIM), (fit(moving.state, columns.state, glyphs.ellipsis), role)]
    if columns.agent:
        pieces += [(gap, Role.DIM), (fit(task.agent, columns.agent, glyphs.ellipsis), Role.DIM)]
    pieces += [(gap, Role.DIM), (f"{moving.age.rjust(columns.age)} ", Role.AGE)]
    return pieces
