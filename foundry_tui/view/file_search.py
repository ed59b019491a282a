"""Finding files by a few letters of their paths, the best first, among very many.

Both steps, making an index and searching it, are generators that yield after a small piece of work: whoever runs them
on an event loop lets others go first in between. Short paths stand first in the index, and its texts are searched by
C code as they lie behind each other; what is looked for in Python is only what was found so.

A file whose name begins with what was typed comes before one whose name has it, that before one whose path has it, and
that before one that has its letters in this order with others in between.
"""

import re
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import islice

from msgspec import Struct

from foundry_tui.contract.control_characters import harmless

PIECE = 512
"""Paths that are looked at between two yields."""
MOST_SCATTERED = 3_000
"""Paths that have the letters with others in between which are compared with each other; further ones are left out."""
_BOUNDARIES = frozenset("/_-. ")

Steps = Generator[None, None, "FileIndex"]
Found = Generator[None, None, tuple[str, ...]]


class _Piece(Struct, frozen=True):
    """Some paths in lower case behind each other, each after a newline, and where each of them begins."""

    paths: tuple[str, ...]
    whole: str
    starts: tuple[int, ...]
    names: str
    name_starts: tuple[int, ...]


class FileIndex(Struct, frozen=True):
    """Paths that are ready to be searched; `paths` are all of them, to look one up."""

    pieces: tuple[_Piece, ...] = ()
    paths: frozenset[str] = frozenset()


def index_of(paths: Sequence[str]) -> Steps:
    """Make an index of these paths, which stand in the order in which equally good ones are found."""
    by_length: dict[int, list[str]] = {}
    known: set[str] = set()
    for some in _some(paths):
        known.update(some)
        for path in some:
            by_length.setdefault(len(path) + 8 * path.count("/"), []).append(path)
        yield
    ordered = (path for length in sorted(by_length) for path in by_length[length])
    pieces: list[_Piece] = []
    for some in _some(ordered):
        whole, starts = _joined(some)
        names, name_starts = _joined([path.rpartition("/")[2] for path in some])
        pieces.append(_Piece(tuple(some), whole, starts, names, name_starts))
        yield
    return FileIndex(tuple(pieces), frozenset(known))


def find(index: FileIndex, query: str, most: int) -> Found:
    """The paths that a query finds, `most` at most, the best first; an empty query finds the shortest."""
    sought = _lower(query)
    if not sought:
        return tuple(islice((path for piece in index.pieces for path in piece.paths), most))
    found: dict[str, None] = {}
    for in_names, pattern in _exactly(sought):
        for piece in index.pieces:
            found.update(dict.fromkeys(islice(_matching(piece, pattern, in_names=in_names), most)))
            if len(found) >= most:
                return tuple(found)[:most]
            yield
    pattern = _scattered(sought)
    scattered: list[str] = []
    for piece in index.pieces:
        scattered += (path for path in _matching(piece, pattern, in_names=False) if path not in found)
        if len(scattered) >= MOST_SCATTERED:
            break
        yield
    scores: list[tuple[int, int, str]] = []
    for some in _some(scattered, 64):
        scores += ((-score(path, query), len(path), path) for path in some)
        yield
    return (*found, *(path for _, _, path in nsmallest(most - len(found), scores)))


def score(text: str, query: str) -> int:
    """How well a text has the letters of a query: higher where they stand together, and where words begin."""
    value, last = 0, -2
    places = letters(text, query)
    if places and places[0] > text.rfind("/"):
        value += 10
    for place in places:
        value += 4 * (place == last + 1) + 6 * _begins(text, place) - min(3, (place - last) // 8)
        last = place
    return value


def letters(text: str, query: str) -> tuple[int, ...]:
    """Where the letters of a query stand in a text; nothing if they do not in this order."""
    low, sought = _lower(text), _lower(query)
    name = low.rfind("/") + 1
    for start in (low.find(sought, name), low.find(sought)):
        if start >= 0:
            return tuple(range(start, start + len(sought)))
    for start in (name, 0):
        if (places := _places(low, sought, start)) is not None:
            return places
    return ()


def _places(low: str, sought: str, start: int) -> tuple[int, ...] | None:
    """The letters one after the other, each where a word begins if what follows can be found behind that."""
    places: list[int] = []
    for done, letter in enumerate(sought):
        place = first = low.find(letter, start)
        while place >= 0 and not _begins(low, place):
            place = low.find(letter, place + 1)
        if place < 0 or not _has(low, sought[done + 1 :], place + 1):
            place = first
        if place < 0:
            return None
        places.append(place)
        start = place + 1
    return tuple(places)


def _has(low: str, sought: str, start: int) -> bool:
    for letter in sought:
        start = low.find(letter, start) + 1
        if not start:
            return False
    return True


def _begins(text: str, place: int) -> bool:
    """Whether a word begins at this place."""
    return place == 0 or text[place - 1] in _BOUNDARIES


def _exactly(sought: str) -> Iterator[tuple[bool, re.Pattern[str]]]:
    """Patterns for what was typed as it stands, the better ones first, and whether the files' names are looked at."""
    text = re.escape(sought)
    if "/" not in sought:
        yield True, re.compile(rf"\n{text}(?=[.\n])")
        yield True, re.compile(rf"\n{text}")
        yield True, re.compile(rf"[ _.-]{text}")
        yield True, re.compile(text)
    yield False, re.compile(rf"[\n/]{text}")
    yield False, re.compile(text)


def _scattered(sought: str) -> re.Pattern[str]:
    """A pattern for a line with these letters in this order; it never goes back, so that each line is read once."""
    return re.compile("\n" + "".join(rf"[^\n{re.escape(letter)}]*+{re.escape(letter)}" for letter in sought))


def _matching(piece: _Piece, pattern: re.Pattern[str], *, in_names: bool) -> Iterator[str]:
    """The paths of a piece that a pattern finds, each once."""
    text, starts = (piece.names, piece.name_starts) if in_names else (piece.whole, piece.starts)
    position = 0
    while (found := pattern.search(text, position)) is not None:
        # A pattern may begin with the newline before a path, or within it.
        place = bisect_right(starts, found.start()) - 1
        yield piece.paths[place]
        if place + 1 == len(starts):
            return
        position = starts[place + 1]


def _joined(texts: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """The texts in lower case, each behind a newline, and where these newlines stand."""
    lines = ["\n" + _lower(text) for text in texts]
    starts: list[int] = []
    position = 0
    for line in lines:
        starts.append(position)
        position += len(line)
    return "".join(lines), tuple(starts)


def _lower(text: str) -> str:
    """The text as it is compared: letter for letter as it is shown, so that places in it are places there."""
    low = harmless(text).lower()
    return low if len(low) == len(text) else "".join(letter.lower()[0] for letter in harmless(text))


def _some(paths: Iterable[str], count: int = PIECE) -> Iterator[list[str]]:
    """The paths, so many at a time."""
    every = iter(paths)
    while some := list(islice(every, count)):
        yield some
