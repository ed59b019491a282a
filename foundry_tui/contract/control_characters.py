"""The characters that a terminal obeys, or that reorder what stands around them, instead of being shown.

These are the controls of ASCII and ISO 6429 (C0, DEL, C1), the separators of lines and paragraphs, the overrides,
embeddings and isolates of the direction of writing, and halves of surrogate pairs, which no terminal can be sent. Nor
is a joiner shown that joins no two pictures: terminals give both letters their cells, where what lays out counts one.
"""

import re
from functools import cache

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MARKED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
JOINER = "\u200d"
_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf"
    "\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]"
)
_STRAY_JOINER = f"(?<!{_PICTURE})(?<!{_PICTURE}\ufe0f){JOINER}|{JOINER}(?!{_PICTURE})"
_UNSEEN = f"{_MARKED.pattern[:-1]}\u200b-\u200f\u2060-\u206f\ufeff]"
"""The marked ones, and those that take no room: two texts that look alike are told apart by them."""
_SPACES = "\t\n\v\f\r\x85\u2028\u2029"


@cache
def _stand_ins(*, lines: bool) -> dict[int, str]:
    """What is shown instead of each; it is one cell wide, but for three that are left out. `lines` keeps newlines."""
    stand_ins = {
        **dict.fromkeys(
            (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)), "�"
        ),
        **{code: chr(0x2400 + code) for code in range(32)},
        0x7F: "␡",
        # Ordinary in texts that run from right to left, and without a width.
        **dict.fromkeys((0x061C, 0x200E, 0x200F), ""),
        **dict.fromkeys(map(ord, _SPACES), " "),
    }
    if lines:
        del stand_ins[ord("\n")]
    return stand_ins


def first_control(text: str) -> str | None:
    """The first control character proper (C0, DEL, C1), as `U+001B`, or None: a title must not have one."""
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found is not None else None


def harmless(text: str, *, lines: bool = False) -> str:
    """The text with visible marks in place of control characters, and spaces where they are white space.

    `lines` keeps newlines. A text that has none comes back as it is.
    """
    if text.isprintable():
        return text
    if JOINER in text:
        text = re.sub(_STRAY_JOINER, "", text)
    if _MARKED.search(text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_stand_ins(lines=lines))


def escaped(json: str) -> str:
    """The same JSON with all that is not seen written as `\\u009b`; JSON itself asks that only of some of it."""
    return re.sub(_UNSEEN, lambda found: f"\\u{ord(found[0]):04x}" if found[0] not in "\n\t" else found[0], json)
