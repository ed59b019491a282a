"""A question's content as lines: what would be run or done, where, and the changes it would make, all of it."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from foundry_tui.contract.forms import needs, shown_value, written_value
from foundry_tui.contract.questions import (
    AnswerAction,
    Ask,
    FieldType,
    FormField,
    Permission,
    PermissionOption,
    Question,
    QuestionKind,
)
from foundry_tui.contract.transcript import PermissionBody
from foundry_tui.view.diffs import DiffMark, edit_lines

AnyQuestion = Question | PermissionBody
"""What was asked, open or as the transcript keeps it."""


class QuestionLine(StrEnum):
    """What a line is."""

    URL = "url"
    FIELD = "field"
    ABOUT = "about"
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


_FORM = (
    PermissionOption(option_id=AnswerAction.ACCEPT, name="Fill in", kind="allow_once"),
    PermissionOption(option_id=AnswerAction.DECLINE, name="Decline", kind="reject_once"),
)
_URL = (
    PermissionOption(option_id=AnswerAction.ACCEPT, name="Done", kind="allow_once"),
    PermissionOption(option_id=AnswerAction.DECLINE, name="Decline", kind="reject_once"),
)
_DONE = {
    QuestionKind.FORM: {AnswerAction.ACCEPT: "filled in", AnswerAction.DECLINE: "declined"},
    QuestionKind.URL: {AnswerAction.ACCEPT: "done", AnswerAction.DECLINE: "declined"},
}


_ORDER = {"allow_once": 0, "allow_always": 1, "reject_once": 3, "reject_always": 4}
"""The places of kinds among the answers; what is of another kind stands in the middle."""


def answers_of(asked: Question | Ask) -> tuple[PermissionOption, ...]:
    """What can be answered, in the order of the digits; of a form and a page the ids are actions.

    What allows once comes first, whatever order the agent has: no digit may allow for ever with one agent what it
    allows once with another. As lists have them, forms and pages are answered where they are seen whole.
    """
    if isinstance(asked, Ask) or asked.kind is QuestionKind.PERMISSION:
        return tuple(sorted(asked.options, key=lambda option: _ORDER.get(option.kind, 2)))
    return {QuestionKind.FORM: _FORM, QuestionKind.URL: _URL}.get(asked.kind, asked.options)


def action_word(kind: QuestionKind, action: str) -> str:
    """What was done with a form or a page."""
    return _DONE.get(kind, {}).get(AnswerAction(action), "left alone") if action in list(AnswerAction) else action


def host_of(url: str) -> str:
    """Whose page it is; a name that is not in Latin letters also as the network has it, since letters look alike."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    if host.isascii():
        return host
    try:
        return f"{host} ({host.encode('idna').decode()})"
    except UnicodeError:
        return f"{host} (no name that the network knows)"


def page_words(url: str) -> str:
    """Whose page it is, to be said below its address."""
    return f"a page of {host_of(url)}"


def field_title(field: FormField, fields: Sequence[FormField]) -> str:
    """What a field is called. Where several fields of a form are called the same, as claude's are for an answer of
    one's own, it is told to which of the others it belongs: to that with whose name its own begins.
    """
    title = field.title or field.name
    others = [each for each in fields if each.name != field.name]
    if all((each.title or each.name) != title for each in others):
        return title
    owners = [each for each in others if field.name.startswith(each.name)]
    owner = max(owners, key=lambda each: len(each.name), default=None)
    return f"{title} ({field.name if owner is None else owner.title or owner.name})"


def field_name(field: FormField, fields: Sequence[FormField], *, named: bool = False) -> str:
    """The same, marked where it is needed; `named`: with its name beside its title."""
    title = field_title(field, fields)
    also = f" ({field.name})" if named and title != field.name else ""
    return f"{title}{also}{' *' if field.required else ''}"


def field_needs(field: FormField, *, named: bool = False) -> str:
    """What a field takes, with its choices and what it begins with; `named`: as one writes it, else as it is read."""
    words = needs(field)
    if field.type in (FieldType.SELECT, FieldType.MULTISELECT):
        both = (f"{each.value} ({each.name})" if each.name != each.value else each.value for each in field.choices)
        words += f": {', '.join(both if named else (each.name for each in field.choices))}"
    elif field.type is FieldType.BOOLEAN and not named:
        words = "yes or no"
    if field.default is None:
        return words
    return f"{words}; default {written_value(field.default) if named else shown_value(field, field.default)}"


def heading_of(asked: AnyQuestion | Ask) -> str:
    """The title; of one that has several lines, which the text has too, the first."""
    title = asked.title.strip()
    first, *others = title.split("\n", 1)
    return f"{first} …" if others and title in (asked.text or "") else asked.title


def text_of(asked: AnyQuestion) -> str:
    """What would be run or done, where that is more than the title says already."""
    text, heading = (asked.text or "").strip("\n"), heading_of(asked).strip()
    return "" if text.strip() == heading else text.removeprefix(f"{heading}\n\n")


def edits_first(asked: AnyQuestion) -> bool:
    """Whether the changes stand above the text: it is what would be run, or else only what is said of the changes."""
    return bool(asked.edits) and asked.tool_kind != "execute"


def paths_of(asked: AnyQuestion) -> tuple[str, ...]:
    """The places that the question names, but for those of its edits."""
    edited = {edit.path for edit in asked.edits}
    return tuple(path for path in asked.paths if path not in edited)


def lines_of(asked: AnyQuestion, *, named: bool = False) -> Iterator[tuple[QuestionLine, str]]:
    """All that is asked beside the title, a line at a time; lines of a diff begin with their mark.

    `named`: fields of a form are shown with the names by which they are set.
    """
    for path in paths_of(asked):
        yield QuestionLine.PATH, path
    if asked.url is not None:
        yield QuestionLine.URL, asked.url
        yield QuestionLine.ABOUT, page_words(asked.url)
    parts = (_changes(asked), _text(asked)) if edits_first(asked) else (_text(asked), _changes(asked))
    for part in parts:
        yield from part
    yield from form_lines(asked, named=named)


def form_lines(asked: AnyQuestion, *, named: bool = False) -> Iterator[tuple[QuestionLine, str]]:
    """The fields of a form with what they take, or, once it is filled in, with what they were filled in with."""
    filled = asked.content if isinstance(asked, PermissionBody) else None
    for field in asked.fields:
        if filled is not None:
            if field.name in filled:
                title, value = field_title(field, asked.fields), shown_value(field, filled[field.name])
                yield QuestionLine.FIELD, f"{title}: {value}"
            continue
        yield QuestionLine.FIELD, f"{field_name(field, asked.fields, named=named)}: {field_needs(field, named=named)}"
        for line in (field.description or "").strip().split("\n"):
            if line.strip():
                yield QuestionLine.ABOUT, f"  {line}"


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
            for option in answers_of(question):
                if option.kind == kind:
                    return option
    return next((option for option in answers_of(question) if option.option_id == said), None)
