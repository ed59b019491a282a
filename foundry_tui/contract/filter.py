"""The filter of the task list: `login status:failed repo:shop !docs`; all its terms must hold.

A word is found as it stands, or, from four characters on and but for small slips, in title, branch and repository; the
letters of a word may also be the first letters of a title's or branch's words. Fields are `status:`, `repo:`, `agent:`,
`host:`, `branch:`, `id:`, `pr:open` (draft, merged, passing, approved …) and `is:unread`; a word of any other field is
looked for as it stands.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module

from msgspec import Struct

from foundry_tui.contract.pull_request import PullRequestState
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.task_words import STATUS_WORDS, group_of

EXAMPLES = {
    "status": "status:failed",
    "repo": "repo:x",
    "agent": "agent:x",
    "is": "is:unread",
    "pr": "pr:open",
    "branch": "branch:x",
    "host": "host:x",
    "id": "id:x",
}
"""How each field is written, those first that are wanted most: what tells of the filter makes its words of these."""
FIELDS = tuple(EXAMPLES)
FUZZY_FROM = 4
"""Characters from which on a word may be written with slips."""
FUZZY_SCORE = 80.0
"""How alike, of 100, the best stretch of title, branch and repository must be to a word with slips."""

TERM = re.compile(r'!?(?:[a-z]+:)?"[^"]*"?|\S+')
_WORD_START = re.compile(r"\b\w")


class Term(Struct, frozen=True):
    """One part of a filter. `field` is empty for a word; `text` is in lower case."""

    field: str
    text: str
    negated: bool = False


class Entry(Struct, frozen=True, gc=False):
    """A task as the filter sees it; all in lower case."""

    text: str
    """Title, branch, repository, prompt and id."""
    name: str
    """Title, branch and repository, where slips are forgiven."""
    initials: str
    status: str
    repo: str
    agent: str
    host: str
    branch: str
    task_id: str
    pull_request: str
    """In which state it is, what its checks and its reviewers say; "" without one."""
    unread: bool


def parse(query: str) -> tuple[Term, ...]:
    """The terms of a filter; unfinished ones (`status:`, `!`) are left out, so that nothing vanishes while typing."""
    terms: list[Term] = []
    for match in TERM.finditer(query.lower()):
        raw = match.group()
        negated = raw.startswith("!")
        body = raw[1:] if negated else raw
        name, colon, value = body.partition(":")
        is_field = bool(colon) and name in FIELDS
        text = (value if is_field else body).strip('"')
        if text:
            terms.append(Term(name if is_field else "", text, negated))
    return tuple(terms)


def entry_of(task: TaskSummary, refused: bool = False) -> Entry:
    """What the filter looks at in a task."""
    title = (task.title or "").lower()
    branch = (task.branch or "").lower()
    repo = task.repo_label.lower()
    name = f"{title} {branch} {repo}"
    group = group_of(task, refused).lower()
    words = f"{task.status} {STATUS_WORDS[task.status]} {group}" + (" refused" if refused else "")
    return Entry(
        text=f"{name} {task.prompt.lower()} {task.task_id}",
        name=name,
        initials="".join(_WORD_START.findall(f"{title} {branch}")),
        status=words,
        repo=repo,
        agent=task.agent.lower(),
        host=(task.host or "").lower(),
        branch=branch,
        task_id=task.task_id,
        pull_request=_pull_request_words(task),
        unread=task.unread,
    )


def _pull_request_words(task: TaskSummary) -> str:
    pull = task.pull_request
    if pull is None:
        return ""
    # A draft is open too.
    opened = "open " if pull.state is PullRequestState.DRAFT else ""
    return f"{opened}{pull.state} {pull.checks.state} {str(pull.review).replace('_', ' ')} #{pull.number}"


def has_slips(term: Term) -> bool:
    """Whether slips are forgiven in it: in what is to be left out they would hide tasks that nobody named."""
    return not (term.field or term.negated) and len(term.text) >= FUZZY_FROM


def load() -> None:
    """Import what finds slips, which the first screen has no use for: at the first filter it would be late."""
    for name in ("fuzz", "process"):
        import_module(f"rapidfuzz.{name}")


def _alike(text: str, names: Mapping[str, str]) -> Iterator[str]:
    """The keys of the names that have a stretch which is like the text."""
    from rapidfuzz.fuzz import partial_ratio
    from rapidfuzz.process import extract_iter

    return (key for _, _, key in extract_iter(text, names, scorer=partial_ratio, score_cutoff=FUZZY_SCORE))


_WORDS_OF: dict[str, Callable[[Entry], str]] = {
    "": lambda entry: entry.text,
    "status": lambda entry: entry.status,
    "repo": lambda entry: entry.repo,
    "agent": lambda entry: entry.agent,
    "host": lambda entry: entry.host,
    "branch": lambda entry: entry.branch,
    "id": lambda entry: entry.task_id,
    "pr": lambda entry: entry.pull_request,
}
"""Where a term of each field is looked for."""


def _test(term: Term) -> Callable[[Entry], bool]:
    """A test whether an entry has the term exactly as written, without regard to slips of typing."""
    text = term.text
    if words_of := _WORDS_OF.get(term.field):
        return lambda entry: text in words_of(entry)
    is_meant = "unread".startswith(text)
    return lambda entry: is_meant and entry.unread


def _holding(term: Term, entries: dict[str, Entry]) -> dict[str, Entry]:
    test = _test(term)
    if not has_slips(term):
        return {key: entry for key, entry in entries.items() if test(entry) is not term.negated}
    text = term.text
    plain = {key: entry for key, entry in entries.items() if test(entry) or text in entry.initials}
    names = {key: entry.name for key, entry in entries.items() if key not in plain}
    return {**plain, **{key: entries[key] for key in _alike(text, names)}}


def matching(terms: Iterable[Term], entries: dict[str, Entry]) -> dict[str, Entry]:
    """Those for which all terms hold; all at once, which is much sooner than one by one."""
    for term in terms:
        entries = _holding(term, entries)
    return entries


def matches(terms: Iterable[Term], entry: Entry) -> bool:
    """Whether all terms hold for a task."""
    return bool(matching(terms, {"": entry}))


def narrows(old: tuple[Term, ...], new: tuple[Term, ...]) -> bool:
    """Whether `new` can only hold where `old` held, so that only those tasks have to be looked at again."""
    if len(new) < len(old) or new[: len(old) - 1] != old[: len(old) - 1]:
        return False
    if not old:
        return True
    was, now = old[-1], new[len(old) - 1]
    if was == now:
        return True
    return bool(was.field) and was.field == now.field and not was.negated and not now.negated and was.text in now.text
