"""Keys as people write them, from Textual's names."""

import unicodedata
from functools import cache

_NAMES = {
    "slash": "/",
    "question_mark": "?",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "full_stop": ".",
    "comma": ",",
    "minus": "-",
    "plus": "+",
    "asterisk": "*",
    "backspace": "bksp",
    "delete": "del",
}
_ASCII = {"up": "up", "down": "down", "left": "left", "right": "right"}


def key_label(key: str, *, ascii_only: bool = False) -> str:
    """`ctrl+p` as `^p`, `question_mark` as `?`, `g g` and `shift+tab` as they are; arrows in words where only ASCII is
    drawn.
    """
    if " " in key:
        return " ".join(key_label(part, ascii_only=ascii_only) for part in key.split(" "))
    *modifiers, name = key.split("+") if key != "+" else ["+"]
    label = _NAMES.get(name) or _sign(name)
    if ascii_only:
        label = _ASCII.get(name, label)
    if modifiers == ["ctrl"]:
        return f"^{label}"
    return "+".join((*modifiers, label))


@cache
def _sign(name: str) -> str:
    """The sign that Unicode calls so, as `left_curly_bracket`; else the name."""
    try:
        sign = unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return name
    return sign if sign.isprintable() and not sign.isspace() else name
