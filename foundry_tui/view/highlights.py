"""Where a text has what the filter looks for."""

import re
from collections.abc import Iterator, Sequence

from foundry_tui.contract.filter import FUZZY_SCORE, Term, has_slips

_WORD_START = re.compile(r"\b\w")

Span = tuple[int, int]


def spans(text: str, terms: Sequence[Term], field: str = "") -> list[Span]:
    """The stretches of `text` that a term of the filter found, in order and apart; `field` is what the text is of."""
    lowered = text.lower()
    if len(lowered) != len(text):
        return []
    found = sorted(
        span for term in terms if not term.negated and term.field in ("", field) for span in _spans_of(term, lowered)
    )
    apart: list[Span] = []
    for start, end in found:
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _spans_of(term: Term, lowered: str) -> Iterator[Span]:
    """As it stands; else as first letters of words; else the stretch that is like it."""
    start = lowered.find(term.text)
    if start >= 0:
        while start >= 0:
            yield start, start + len(term.text)
            start = lowered.find(term.text, start + len(term.text))
        return
    if not has_slips(term):
        return
    begins = [match.start() for match in _WORD_START.finditer(lowered)]
    place = "".join(lowered[at] for at in begins).find(term.text)
    if place >= 0:
        yield from ((at, at + 1) for at in begins[place : place + len(term.text)])
        return
    if len(lowered) < len(term.text) - 1:
        return
    from rapidfuzz.fuzz import partial_ratio_alignment

    alike = partial_ratio_alignment(term.text, lowered, score_cutoff=FUZZY_SCORE)
    if alike is not None:
        stretch = lowered[alike.dest_start : alike.dest_end]
        start = alike.dest_start + len(stretch) - len(stretch.lstrip())
        if stretch.strip():
            yield start, start + len(stretch.strip())
