"""What a task is called: its title and its branch, from its prompt.

Pure functions: no clock, no disk, no git.
"""

import re
import unicodedata
from collections.abc import Collection, Generator, Iterator, Sequence
from enum import StrEnum

from anyascii import anyascii

from backend_stub.domain.names import INVISIBLE
from foundry_tui.contract.branches import conflicting_branch, fold_branch

TITLE_LIMIT = 72
"""Characters of a title made from a prompt."""
BRANCH_LIMIT = 50
"""Characters of a branch name that we make, its kind included."""
UNTITLED = "Untitled task"

_ASKED_FIRST = 3
"""Numbers that are asked about together with the name itself: mostly it is free."""
_ASKED_AT_ONCE = 16

_LINES_READ = 200
_LINE_READ = 2_000


class Kind(StrEnum):
    """What sort of change a task is, in the words of Conventional Commits; the first part of its branch."""

    FEAT = "feat"
    FIX = "fix"
    DOCS = "docs"
    REFACTOR = "refactor"
    CHORE = "chore"
    TEST = "test"
    PERF = "perf"
    CI = "ci"
    BUILD = "build"
    STYLE = "style"
    REVERT = "revert"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(rows: dict[Kind, str]) -> dict[str, Kind]:
    return {word: kind for kind, words in rows.items() for word in words.split()}


_PREFIXES = _table(
    {
        Kind.FEAT: "feat feature features enhancement",
        Kind.FIX: "fix bug bugfix bug-fix hotfix hot-fix",
        Kind.DOCS: "docs doc documentation",
        Kind.REFACTOR: "refactor refactoring",
        Kind.CHORE: "chore chores maintenance deps",
        Kind.TEST: "test tests",
        Kind.PERF: "perf performance",
        Kind.CI: "ci",
        Kind.BUILD: "build",
        Kind.STYLE: "style",
        Kind.REVERT: "revert",
    }
)
"""Words that count as an explicit kind when a colon follows: `fix:`, `feat(scope)!:`."""

_VERBS = _table(
    {
        Kind.FIX: (
            "fix fixes fixed fixing bugfix bug-fix hotfix hot-fix repair repairs repairing debug debugging resolve "
            "resolves resolving correct corrects correcting patch mend solve solves"
        ),
        Kind.REFACTOR: (
            "refactor refactors refactored refactoring restructure restructuring rework reworking simplify "
            "simplifies simplifying extract extracts extracting rename renames renaming reorganize reorganise "
            "deduplicate decouple modularize modularise rewrite rewriting inline tidy split"
        ),
        Kind.PERF: "optimize optimizes optimizing optimise optimises optimising speed accelerate",
        Kind.REVERT: "revert reverts reverted reverting undo",
        Kind.CHORE: (
            "bump bumps bumping upgrade upgrades upgrading remove removes removing delete deletes drop clean cleanup"
        ),
        Kind.STYLE: "reformat format lint prettify",
    }
)
"""Verbs that say the kind by themselves."""

_OPENING_VERBS = _table(
    {
        Kind.TEST: "test testing cover",
        Kind.DOCS: "document documenting describe",
    }
)
"""Words that are verbs only where a request begins; elsewhere they are mostly nouns."""

_ASKING_VERBS = _words("review investigate explain check run list look find analyze analyse audit explore research")
"""Verbs of requests that change nothing; a chore unless what they ask about is broken or slow."""

_MAKING_VERBS = _words(
    "add adds adding create creates creating write writes writing implement implements implementing introduce"
)
"""Verbs whose object says the kind: `add tests`, `update the docs`; a feature unless it does."""

_OPENING_MAKING_VERBS = _words(
    "update improve change extend expand increase make build support allow enable provide generate set configure "
    "prefix show display let use move convert migrate switch replace handle"
)
"""The same, but only where a request begins: `build a page`, not `the build fails`."""

_HEADS = _table(
    {
        Kind.TEST: "test tests testing coverage testcase testcases unittest unittests",
        Kind.DOCS: (
            "doc docs documentation readme readme.md changelog changelog.md docstring docstrings tutorial manual "
            "comments javadoc guide"
        ),
        Kind.CI: "ci workflow-file pipeline github-actions",
        Kind.PERF: "performance speed latency throughput",
        Kind.CHORE: "dependency dependencies deps lockfile version versions gitignore .gitignore",
        Kind.BUILD: "dockerfile makefile packaging",
        Kind.STYLE: "formatting indentation",
    }
)
"""Last words of an object that say the kind."""

_SYMPTOMS = _words(
    "bug bugs broken crash crashes crashed crashing fail fails failing failed failure error errors wrong regression "
    "leak leaks doesn't doesnt don't can't cannot isn't typo typos hang hangs freezes incorrect exception stacktrace "
    "traceback deadlock"
)
_SLOWNESS = _words("faster slow slower quicker")
_COURTESIES = _words(
    "please pls can could would will you we i lets let's need needs should must want wants to have us me "
    "just also now go and first then help kindly hi hello hey"
)
_PREPOSITIONS = _words(
    "for to in of with on from that when so and or by as into at which where while if after before because using "
    "via without about is are be"
)

_PREFIX = re.compile(r"\s*([A-Za-z][A-Za-z-]{0,20})\s*(?:[(\[（][^()\[\]（）]{0,60}[)\]）])?\s*!?\s*[:：]\s*")
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_BLANKS = re.compile(r"\s+")
_MARK = re.compile(r"(?:#{1,6}(?=\s)|>+|[-*+•‣–—](?=\s)|\d{1,3}[.)](?=\s)|\[[ xX]?\](?=\s))\s*")
_LINK = re.compile(r"!?\[([^\[\]]{1,300})\]\([^()\s]{0,500}(?:\s[^()]{0,100})?\)")
_EMPHASIS = re.compile(r"(\*\*|~~|``?|(?<!\w)\*)([^\s*~`](?:.{0,300}?[^\s*~`])??)\1(?!\w)")
_COMMENT = re.compile(r"<!--.*?(?:-->|$)")
_CLOSING_HASHES = re.compile(r"\s+#+$")
_GREETING = re.compile(r"(?:(?:please|pls|kindly|(?:can|could|would) you)[ ,]+)+", re.IGNORECASE)
_WORD = re.compile(r"\.?[a-z](?:[a-z'.-]*[a-z])?")
_DASHES = re.compile(r"[^a-z0-9]+")


def title_from(prompt: str) -> str:
    """A title of the prompt's first line that says something: one line of 1 to `TITLE_LIMIT` characters.

    Marks of Markdown, quotes and lists and an explicit `fix:` or `feat(scope):` are left out, white space is
    collapsed, and a long line is cut at a word and ends in `…`. Every script and emoji is kept.
    """
    kinds = ""
    silent = ""
    for line in _plain_lines(prompt):
        _, rest = _split_prefix(line)
        if any(_says_something(char) for char in rest):
            return _shorten(rest)
        kinds = kinds or (line if rest != line else "")
        silent = silent or rest
    return _shorten(kinds.rstrip(" :：!") or silent or UNTITLED)


def kind_from(prompt: str) -> Kind:
    """The kind of change that the prompt asks for: from an explicit prefix, else from its whole words.

    The first line decides when it says anything, then the next lines; a request that says nothing is a feature.
    """
    for number, line in enumerate(_plain_lines(prompt)):
        kind, rest = _split_prefix(line)
        found = kind or _kind_of_words(rest)
        if found is not None:
            return found
        if number == 4:
            break
    return Kind.FEAT


def branch_from(text: str, kind: Kind, task_id: str) -> str:
    """A branch name of a title or a prompt, such as `fix/the-login-redirect`: at most `BRANCH_LIMIT` characters.

    It has only a–z, 0–9 and dashes behind the kind. Other scripts are transliterated; where nothing remains, the
    end of the task id (the random part of a UUIDv7) makes it readable and its own.
    """
    title = title_from(text).removesuffix("…")
    slug = _slug(_GREETING.sub("", title)) or _slug(title) if title != UNTITLED else ""
    if not slug:
        own = _slug(task_id).replace("-", "")[-8:]
        slug = f"task-{own}" if own else "task"
    return f"{kind}/{_cut_at_dash(slug, BRANCH_LIMIT - len(kind) - 1)}"


def free_branch(wanted: str) -> Generator[Sequence[str], Collection[str], str]:
    """`wanted`, or `wanted-2`, `wanted-3` … the first that conflicts with no branch where few are taken.

    It yields names, is sent the branches that may be in their way (more do no harm; those of a remote without its
    name), and returns the name. How often it asks grows with the logarithm of how many are taken. What is returned
    has at most `BRANCH_LIMIT` characters unless `wanted` itself is free and longer. Where a branch stands in the way of
    a folder (`fix` of `fix/a`), the slash becomes a dash (`fix-a`).
    """
    names = {number: _numbered(wanted, number) for number in range(2, _ASKED_FIRST + 1)}
    found = yield [wanted, *names.values()]
    if conflicting_branch(wanted, found) is None:
        return wanted
    base = wanted
    for slash in [place for place, char in enumerate(wanted) if char == "/"]:
        if fold_branch(base[:slash]) in {fold_branch(branch) for branch in found}:
            base = f"{base[:slash]}-{base[slash + 1 :]}"
            found = yield [base]
    taken, numbers = 0, [*range(1, 10), *(2**power for power in range(4, 21))]
    while True:
        names = {number: _numbered(base, number) for number in numbers}
        found = yield list(names.values())
        free = next((number for number in numbers if conflicting_branch(names[number], found) is None), None)
        taken = max((number for number in numbers if free is None or number < free), default=taken)
        if free is None:
            numbers = [numbers[-1] * 2**power for power in range(1, 10)]
        elif free - taken <= 1:
            return names[free]
        else:
            # Ever closer to where the numbers end that were given out one after the other.
            step = max(1, (free - taken) // _ASKED_AT_ONCE)
            numbers = [*range(taken + step, free, step), free]


def _numbered(base: str, number: int) -> str:
    suffix = f"-{number}" if number > 1 else ""
    return _cut_at_dash(base, BRANCH_LIMIT - len(suffix)) + suffix


def _plain_lines(prompt: str) -> Iterator[str]:
    """Non-blank lines without marks and fences; bounded, so that a prompt of a megabyte costs no more than a page."""
    read = 0
    for match in _LINE.finditer(prompt, 0, _LINES_READ * _LINE_READ):
        raw = match.group()[:_LINE_READ]
        line = _BLANKS.sub(" ", INVISIBLE.sub("", _BLANKS.sub(" ", raw))).strip()
        if not line:
            continue
        read += 1
        if read > _LINES_READ:
            return
        if line.startswith(("```", "~~~")):
            continue
        plain = _without_marks(line)
        if plain:
            yield plain


def _without_marks(line: str) -> str:
    plain = _COMMENT.sub("", line).strip()
    headed = plain.startswith("#")
    while (match := _MARK.match(plain)) is not None:
        plain = plain[match.end() :]
    if headed:
        plain = _CLOSING_HASHES.sub("", plain)
    plain = _LINK.sub(r"\1", plain)
    for _ in range(3):
        plain = _EMPHASIS.sub(r"\2", plain)
    return _BLANKS.sub(" ", plain).strip()


def _split_prefix(line: str) -> tuple[Kind | None, str]:
    """The explicit kind in front of a line, and the rest of the line."""
    match = _PREFIX.match(line)
    kind = _PREFIXES.get(match.group(1).lower()) if match else None
    if match is None or kind is None:
        return None, line
    return kind, line[match.end() :]


def _says_something(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN" or (unicodedata.category(char) == "So")


def _kind_of_words(line: str) -> Kind | None:
    words = [_bare(word) for word in re.split(r"[\s,;:()\"“”‘`]+", line.lower().replace("’", "'"))]
    opening = True
    asks = False
    for place, word in enumerate(words):
        if word in _VERBS:
            return _VERBS[word]
        if word in _MAKING_VERBS or (opening and word in _OPENING_MAKING_VERBS):
            return _kind_of_object(words[place + 1 :])
        if opening and word in _OPENING_VERBS:
            return _OPENING_VERBS[word]
        asks = asks or (opening and word in _ASKING_VERBS)
        opening = opening and (not word or word in _COURTESIES)
    found = set(words)
    if found & _SLOWNESS:
        return Kind.PERF
    if found & _SYMPTOMS:
        return Kind.FIX
    if asks:
        return Kind.CHORE
    return next((_HEADS[word] for word in words if word in _HEADS), None)


def _kind_of_object(words: list[str]) -> Kind:
    """The kind of what is to be made: by the last word of the object, so that a test button is no test."""
    head = ""
    for word in words:
        if word in _PREPOSITIONS:
            break
        head = word or head
    if head in _HEADS:
        return _HEADS[head]
    return Kind.PERF if _SLOWNESS & set(words) else Kind.FEAT


def _bare(word: str) -> str:
    """The word without punctuation around it; nothing when it is a path, a number or another script."""
    stripped = word.strip("!?*_-<>[]{}'…").rstrip(".")
    return stripped if _WORD.fullmatch(stripped) else ""


def _shorten(line: str) -> str:
    text = line.strip()
    if len(text) > 1:
        text = text.rstrip(":：").rstrip() or text
    if len(text) <= TITLE_LIMIT:
        return text
    end = _whole_character(text, TITLE_LIMIT - 1)
    # The space right behind the limit counts too: then the last word just fits.
    space = text.rfind(" ", TITLE_LIMIT // 2, end + 1)
    return (text[: space if space > 0 else end].rstrip(" ,;:.-–—(") or text[:end]) + "…"


def _whole_character(text: str, end: int) -> int:
    """The nearest place at or before `end` that cuts through no accent, emoji sequence or flag."""
    place = end
    while place > 0 and (_is_attached(text[place]) or text[place - 1] == "\u200d"):
        place -= 1
    flags = 0
    while flags < place and "\U0001f1e6" <= text[place - 1 - flags] <= "\U0001f1ff":
        flags += 1
    if flags % 2 and "\U0001f1e6" <= text[place] <= "\U0001f1ff":
        place -= 1
    return place or end


def _is_attached(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Mn", "Me", "Mc")
        or char == "\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def _slug(text: str) -> str:
    """Lower-case ASCII words joined by dashes; empty when nothing can be written that way."""
    parts: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        if char in "'’":
            continue
        if char.isascii():
            parts.append(char)
            continue
        latin = anyascii(char)
        # Ideographs and syllables come as capitalised words without a space between them.
        begins_word = latin[:1].isupper() and unicodedata.category(char) == "Lo"
        is_symbol = unicodedata.category(char)[0] == "S"
        parts.append(
            f"-{latin}" if begins_word else f"-{latin}-" if is_symbol and len(latin) > 1 else latin.replace("'", "")
        )
    return _DASHES.sub("-", "".join(parts).lower()).strip("-")


def _cut_at_dash(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    cut = name[:limit] if name[limit] == "-" else name[: max(name.rfind("-", 0, limit), 0)]
    # A word longer than half the room is cut through rather than lost.
    if len(cut) < limit // 2:
        cut = name[:limit]
    return cut.rstrip("-./")
