"""One task in one line: which columns a width has room for, and what stands in each."""

from collections.abc import Sequence

from msgspec import Struct

from foundry_tui.contract.filter import Term
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import ENDED, RELEASING, TaskStatus
from foundry_tui.contract.task_words import Group, group_of
from foundry_tui.view.ages import age
from foundry_tui.view.answers import first_ask, said_in_title
from foundry_tui.view.cells import cells_of, fit, flat
from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.highlights import spans
from foundry_tui.view.labels import LEAVING, UNSENT, glyph_of, title_of
from foundry_tui.view.roles import Role, RowPiece
from foundry_tui.view.says import RowKeys, Saying, behind_time, context_share, saying, timed_text

GAP = 2
"""Cells between columns."""
LEAST_SAID, AT_EASE = 10, 16
"""Cells that a text keeps before what stands behind it is said at all, and before it is said in full."""
WITH_REPO, WITH_HOST, WITH_AGENT, WITH_BRANCH = 84, 96, 108, 176
"""The widths from which there are these columns."""
WITH_SEVERAL_REPOS = 70
"""The width from which the repository stands there where the list has several: with a preview beside it, too."""
LONGEST_BRANCH = 40
LONGEST_HOST = 16
LONGEST_TITLE = 60
LEAST_TITLE = 20
"""Cells that titles have where there are, however short all of them are."""
TELLING_TITLE = 24
"""Cells of a title that tell it from others: up to that it has as many as what the task says."""
AMPLE_SAID = 52
"""Cells of what a task says behind which a longer title takes the rest."""
_SHARE = 8
"""Cells of ` · 100 %` behind an agent's name."""


class Needs(Struct, frozen=True):
    """Cells that the longest name of a repository, an agent, a host, where there are several, and a task have; and how
    many repositories there are.
    """

    repo: int = 12
    agent: int = 6
    host: int = 0
    title: int = 44
    repos: int = 1


class Columns(Struct, frozen=True):
    """Cells of each column at some width; 0 leaves a column out. `said` takes what the others leave."""

    width: int
    marks: bool
    title: int
    repo: int
    said: int
    agent: int
    host: int
    age: int
    branch: int

    @property
    def glyph_at(self) -> int:
        """The column of the status glyph."""
        return 4 if self.marks else 2


def columns_for(width: int, needs: Needs | None = None, *, marks: bool = False, with_repo: bool = True) -> Columns:
    """The columns that a width has room for: a narrow one keeps the title, what the task says, and its age."""
    needs = needs or Needs()
    age_width = 4
    room = width - (7 if marks else 5) - age_width - GAP
    agent = min(needs.agent, 16) + _SHARE if width >= WITH_AGENT else 0
    host = min(needs.host, LONGEST_HOST) if width >= WITH_HOST else 0
    branch = min(LONGEST_BRANCH, (width - 120) // 2) if width >= WITH_BRANCH else 0
    tells_repo = with_repo and width >= (WITH_REPO if needs.repos < 2 else WITH_SEVERAL_REPOS)
    repo = min(needs.repo, max(16 if width >= WITH_REPO else 12, room // 6)) if tells_repo else 0
    rest = room - sum(column + GAP for column in (agent, host, branch, repo) if column) - GAP
    share = max(8, min(44, max(rest * 2 // 5, min(TELLING_TITLE, rest // 2)) if repo else rest * 9 // 20))
    ample = max(share, min(LONGEST_TITLE, rest - AMPLE_SAID))
    title = min(ample, max(needs.title, min(share, LEAST_TITLE)))
    return Columns(width, marks, title, repo, max(0, rest - title), agent, host, age_width, branch)


_GROUP_ROLES = {
    Group.FAILED: Role.FAILED,
    Group.NEEDS_INPUT: Role.ASKS,
    Group.READY: Role.READY,
    Group.DONE: Role.DONE,
}


def state_role(task: TaskSummary, creation: str | None = None) -> Role:
    """The colour of the glyph, and of the words where a task says no more than its state: that of its group, but for
    what is on its way to the backend or from there to work.
    """
    group = group_of(task, refused=creation == "refused")
    if creation in ("pending", UNSENT, LEAVING) and group is not Group.FAILED:
        return Role.PENDING
    if group is Group.WORKING and task.status is not TaskStatus.RUNNING:
        return Role.PROVISIONING
    return _GROUP_ROLES.get(group, Role.WORKING)


class Moving(Struct, frozen=True):
    """The parts of a row that change with time alone: a row whose parts are equal need not be drawn again.

    `state` is None where what the task says has no time in it.
    """

    glyph: str
    state: str | None
    age: str


def moving_parts(
    task: TaskSummary, columns: Columns, glyphs: Glyphs, now: int, heard: Clock, creation: str | None
) -> Moving:
    """What time has made of a row; the progress bar gives way where the words need the room.

    Its age is that of `now`; what it does is timed by `heard`, which stands still while nothing is heard of it.
    """
    behind = sum(cells_of(text) for text, _ in behind_time(task))
    room = columns.said - (GAP + behind if behind else 0)
    width = room if room >= LEAST_SAID else columns.said
    state = timed_text(task, glyphs, heard.now_ms(), creation, width=width)
    return Moving(glyph_of(task, glyphs, heard.frame(), creation), state, age(now - task.created_at))


def _found(text: str, role: Role, terms: Sequence[Term], field: str = "") -> list[RowPiece]:
    """The text in pieces, those found by the filter in a role of their own."""
    if not terms:
        return [(text, role)]
    pieces: list[RowPiece] = []
    at = 0
    for start, end in spans(text, terms, field):
        pieces += [(text[at:start], role), (text[start:end], Role.MATCH)]
        at = end
    return [piece for piece in (*pieces, (text[at:], role)) if piece[0]]


def _cells_of(said: Saying) -> int:
    """The cells that all of it takes."""
    behind = sum(cells_of(text) for text, _ in said.behind)
    return cells_of(said.text) + (GAP + behind if behind else 0)


def _fitting(said: Saying, width: int) -> Saying:
    """The same with what stands behind the text said briefly, or without it, where it would leave too little room."""
    text = cells_of(said.text)
    brief = replace(said, behind=said.briefly)
    for form, least in ((said, AT_EASE), (brief, LEAST_SAID)):
        if form.behind and width - (_cells_of(form) - text) >= min(least, text):
            return form
    return replace(said, behind=())


def _said(said: Saying, width: int, glyphs: Glyphs, role: Role | None, terms: Sequence[Term]) -> list[RowPiece]:
    """What the task says, cut where there is no more room, and at the right what stands behind it."""
    text_width = width - (_cells_of(said) - cells_of(said.text))
    pieces = _found(fit(said.text, text_width, glyphs.ellipsis), role or said.role, terms)
    if not said.behind:
        return pieces
    return [*pieces, (" " * GAP, Role.DIM), *((flat(text), role or own) for text, own in said.behind)]


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
    terms: Sequence[Term] = (),
    keys: RowKeys | None = None,
) -> list[RowPiece]:
    """A row from left to right, exactly `columns.width` cells; what `terms` found stands out.

    `reason` says why a creation was refused.
    """
    role = state_role(task, creation)
    quiet = Role.DIM if task.status in ENDED or task.status in RELEASING else None
    gap: RowPiece = (" " * GAP, Role.DIM)
    pieces: list[RowPiece] = [
        (glyphs.cursor if highlighted else " ", Role.CURSOR),
        (glyphs.unread if task.unread else " ", Role.MARK),
    ]
    if columns.marks:
        pieces.append((f"{glyphs.marked if marked else glyphs.unmarked} ", Role.MARK if marked else Role.DIM))
    pieces.append((f"{moving.glyph} ", role))
    title_role = Role.DIM if creation in ("pending", UNSENT, LEAVING) else quiet or Role.TITLE
    said = _fitting(saying(task, glyphs, moving.state, role, reason=reason, keys=keys), columns.said)
    pieces += _found(fit(title_of(task), columns.title, glyphs.ellipsis), title_role, terms)
    # The repository takes of the cells of what the task says those that would be empty. A title does not: the
    # columns behind it would stand elsewhere in each row, and move whenever the task says something else.
    spare = max(0, columns.said - _cells_of(said))
    more_repo = max(0, min(spare, cells_of(task.repo_label) - columns.repo)) if columns.repo else 0
    if columns.repo:
        repo = fit(task.repo_label, columns.repo + more_repo, glyphs.ellipsis)
        pieces += [gap, *_found(repo, quiet or Role.REPO, terms, "repo")]
    pieces += [gap, *_said(said, columns.said - more_repo, glyphs, quiet, terms)]
    if columns.agent:
        pieces += [gap, *_agent(task, columns.agent, glyphs, terms)]
    if columns.host:
        host = fit(task.host or "", columns.host, glyphs.ellipsis)
        pieces += [gap, *_found(host, quiet or Role.DIM, terms, "host")]
    pieces += [gap, (moving.age.rjust(columns.age), Role.AGE)]
    if columns.branch:
        branch = fit(task.branch or "", columns.branch, glyphs.ellipsis)
        pieces += [gap, *_found(branch, quiet or Role.BRANCH, terms, "branch")]
    return [*pieces, (" ", Role.DIM)]


def says_all(task: TaskSummary, columns: Columns, glyphs: Glyphs, keys: RowKeys | None = None) -> bool:
    """Whether the task's line has all of the question that it asks first."""
    ask = first_ask(task)
    if ask is None or not said_in_title(ask):
        return False
    return _cells_of(saying(task, glyphs, None, Role.ASKS, keys=keys)) <= columns.said


def _agent(task: TaskSummary, width: int, glyphs: Glyphs, terms: Sequence[Term]) -> list[RowPiece]:
    """The agent's name, and how much of its context is used."""
    share = context_share(task)
    used = "" if share is None else f" {glyphs.separator} {share} %"
    name = fit(task.agent, min(width - len(used), cells_of(task.agent)), glyphs.ellipsis)
    return [*_found(name, Role.DIM, terms, "agent"), (used.ljust(width - cells_of(name)), Role.DIM)]
