"""Which words of a line were changed: its cost is bounded, however long the line is."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

Spans = Sequence[tuple[int, int]]
"""Parts of a line as (first character, the one behind the last)."""

LINE_LIMIT = 1_000
"""Characters of a line up to which words are compared."""
COMPARED = 2_500
"""Words of one line times those of the other, up to which they are compared one by one."""
IN_COMMON = 0.3
"""How much of the lines must be the same, from 0 to 1: else all of it is another line, and no word stands out."""

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


def likeness(one: str, other: str) -> float:
    """How much two lines have in common, from 0 to 1, by their words and whatever their order."""
    words, others = Counter(_words(one)), Counter(_words(other))
    total = words.total() + others.total()
    if not total:
        return 1.0 if one.strip() == other.strip() else 0.0
    return 2 * (words & others).total() / total


def _words(text: str) -> list[str]:
    """What tells lines apart. Brackets and commas are in all of them, so they count where there is nothing else."""
    words = [word for word in _WORDS.findall(text[:LINE_LIMIT]) if not word.isspace()]
    return [word for word in words if word[0].isalnum() or word[0] == "_"] or words


@lru_cache(maxsize=2_048)
def word_changes(old: str, new: str) -> tuple[Spans, Spans]:
    """The parts of the old and of the new line that differ; none where the lines have hardly anything in common."""
    if len(old) > LINE_LIMIT or len(new) > LINE_LIMIT or old == new:
        return (), ()
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    least = min(len(before), len(after))
    start = next((place for place in range(least) if before[place] != after[place]), least)
    end = next((place for place in range(least - start) if before[-1 - place] != after[-1 - place]), least - start)
    left, right = before[start : len(before) - end], after[start : len(after) - end]
    offset = sum(map(len, before[:start]))
    if len(left) * len(right) <= COMPARED:
        matcher = SequenceMatcher(None, left, right, autojunk=False)
        changes = [change[1:] for change in matcher.get_opcodes() if change[0] != "equal"]
    else:
        changes = [(0, len(left), 0, len(right))]
    spans_old = _spans(left, [(first, last) for first, last, _, _ in changes], offset)
    spans_new = _spans(right, [(first, last) for _, _, first, last in changes], offset)
    if _kept(old, spans_old) + _kept(new, spans_new) < IN_COMMON * (len(old.strip()) + len(new.strip())):
        return (), ()
    return spans_old, spans_new


def _kept(text: str, spans: Spans) -> int:
    """Characters of the line that stayed, white space left out."""
    return len("".join(text.split())) - sum(len("".join(text[first:last].split())) for first, last in spans)


def _spans(words: Sequence[str], parts: Spans, offset: int) -> Spans:
    """Parts counted in words as parts counted in characters; those with only a space between are one."""
    places = [offset]
    for word in words:
        places.append(places[-1] + len(word))
    found: list[tuple[int, int]] = []
    last_word = -1
    for first, last in parts:
        if first == last:
            continue
        if found and "".join(words[last_word:first]).isspace():
            found[-1] = (found[-1][0], places[last])
        else:
            found.append((places[first], places[last]))
        last_word = last
    return tuple(found)
