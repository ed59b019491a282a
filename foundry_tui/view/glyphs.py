"""The two sets of glyphs, Unicode and ASCII; each state has a shape of its own, so that colour only underlines it."""

from msgspec import Struct


class Glyphs(Struct, frozen=True):
    """Single-cell glyphs; `spinner` and `working` hold one glyph a frame."""

    asks: str
    queued: str
    spinner: tuple[str, ...]
    working: tuple[str, ...]
    ready: str
    done: str
    failed: str
    releasing: str
    archived: str
    killed: str
    pending: str
    refused: str
    unread: str
    cursor: str
    marked: str
    unmarked: str
    full: str
    empty: str
    partial: str
    live: str
    reconnecting: str
    stale: str
    offline: str
    ellipsis: str
    separator: str
    rule: str
    arrow: str


UNICODE = Glyphs(
    asks="?",
    queued="◌",
    spinner=("⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"),
    working=("▸", "▸", "▸", "▸", "▹", "▹", "▹", "▹"),
    ready="●",
    done="✓",
    failed="✗",
    releasing="◍",
    archived="▪",
    killed="☓",
    pending="↑",
    refused="⊘",
    unread="•",
    cursor="▌",
    marked="◆",
    unmarked="◇",
    full="▰",
    empty="▱",
    partial="▰",
    live="●",
    reconnecting="◐",
    stale="◌",
    offline="○",
    ellipsis="…",
    separator="·",
    rule="─",
    arrow="→",
)

ASCII = Glyphs(
    asks="?",
    queued=".",
    spinner=("|", "/", "-", "\\"),
    working=(">", ">", ">", ">", " ", " ", " ", " "),
    ready="o",
    done="+",
    failed="X",
    releasing="%",
    archived="#",
    killed="+",
    pending="^",
    refused="!",
    unread="*",
    cursor=">",
    marked="x",
    unmarked="_",
    full="=",
    empty="-",
    partial=">",
    live="o",
    reconnecting="~",
    stale="-",
    offline="!",
    ellipsis="~",
    separator="-",
    rule="-",
    arrow=">",
)


UNKNOWN = "?"
"""What stands, in both sets, for a thing that only a newer backend knows."""


def glyph_set(ascii_only: bool) -> Glyphs:
    """The set to draw with."""
    return ASCII if ascii_only else UNICODE


def progress_bar(glyphs: Glyphs, done: int, total: int, *, running: bool = False) -> str:
    """`total` cells of which `done` are full; `running` shows the next one begun where the set can tell."""
    filled = glyphs.full * done
    if running and done < total and glyphs.partial != glyphs.full:
        return filled + glyphs.partial + glyphs.empty * (total - done - 1)
    return filled + glyphs.empty * (total - done)
