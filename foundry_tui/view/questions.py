"""A question's content as lines: what would be run or done, where, and the changes it would make, all of it."""

from collections.abc import Iterator
from enum import StrEnum

from foundry_tui.contract.questions import Ask, Permission, PermissionOption, Question
from foundry_tui.contract.transcript import PermissionBody
from foundry_tui.view.diffs import DiffMark, edit_lines

AnyQuestion = Question | PermissionBody
"""What was asked, open or as the transcript keeps it."""


class QuestionLine(StrEnum):
    """What a line is."""

    PATH = "path"
    TEXT = "text"
    FILE = "file"
    HUNK = "hunk"
    ADDED = "added"
    REMOVED = "removed"
    CONTEXT = "context"


_LINES = {
    DiffMark.HUNK: QuestionLine.HUNK,
    DiffMark.ADDED: QuestionLine.ADDED,
    DiffMark.REMOVED: QuestionLine.REMOVED,
    DiffMark.CONTEXT: QuestionLine.CONTEXT,
}


def heading_of(asked: AnyQuestion | Ask) -> str:
    """The title; of one that has several lines, which the text has too, the first."""
    title = asked.title.strip()
    first, *others = title.split("\n", 1)
    return f"{first} …" if others and title in (asked.text or "") else asked.title


def text_of(asked: AnyQuestion) -> str:
    """What would be run or done, where that is more than the title says already."""
    text = (asked.text or "").strip("\n")
    return "" if text.strip() == heading_of(asked).strip() else text


def edits_first(asked: AnyQuestion) -> bool:
    """Whether the changes stand above the text: it is what would be run, or else only what is said of the changes."""
    return bool(asked.edits) and asked.tool_kind != "execute"


def paths_of(asked: AnyQuestion) -> tuple[str, ...]:
    """The places that the question names, but for those of its edits."""
    edited = {edit.path for edit in asked.edits}
    return tuple(path for path in asked.paths if path not in edited)


def lines_of(asked: AnyQuestion) -> Iterator[tuple[QuestionLine, str]]:
    """All that is asked beside the title, a line at a time; lines of a diff begin with their mark."""
    for path in paths_of(asked):
        yield QuestionLine.PATH, path
    parts = (_changes(asked), _text(asked)) if edits_first(asked) else (_text(asked), _changes(asked))
    for part in parts:
        yield from part


def _text(asked: AnyQuestion) -> Iterator[tuple[QuestionLine, str]]:
    if text := text_of(asked):
        for line in text.split("\n"):
            yield QuestionLine.TEXT, line


def _changes(asked: AnyQuestion) -> Iterator[tuple[QuestionLine, str]]:
    for edit in asked.edits:
        yield QuestionLine.FILE, f"{edit.path}{'  (new file)' if edit.old is None else ''}"
        for part in edit_lines(edit.old, edit.new):
            yield _LINES[part.mark], part.text if part.mark is DiffMark.HUNK else f"{part.mark}{part.text}"


WORDS = {"allow": ("allow_once",), "always": ("allow_always",), "deny": ("reject_once", "reject_always")}
"""What a person says for an option, and the kinds that it means, the first that there is."""


def option_of(question: Permission, said: str) -> PermissionOption | None:
    """The option that is meant by its id, or by `allow`, `always` or `deny`: these go by the kind of the option."""
    if said in WORDS:
        for kind in WORDS[said]:
            for option in question.options:
                if option.kind == kind:
                    return option
    return next((option for option in question.options if option.option_id == said), None)
