"""What stands for the characters that screens and commands draw with, on a terminal that has only ASCII."""

_DRAWN = {
    "-": "─━╌┄═╴╶–—‐⸺▔",
    "_": "▁▂",
    "|": "│┃║╎┆▌▐█▋▊▍▎▏▕▉▇▆▅▄▃",
    "+": "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝╞╡╪▛▜▙▟▗▖▝▘✓✔",
    "=": "≡▀▰",
    "~": "…∴↻◐",
    ".": "·◌○▱",
    "o": "●",
    "x": "✗☓☒☑◆",
    "*": "•",
    "!": "⊘",
    '"': "“”„",
    "'": "‘’",
    ">": "→▸▶❯›▹",
    "<": "←◀‹",
    "v": "↓▼▾",
    "?": "�",
    "^": "↑▲␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡",
}
"""What stands for the characters that the app and Textual's widgets draw with; each is one cell wide."""

STAND_INS = {ord(drawn): ascii_ for ascii_, all_drawn in _DRAWN.items() for drawn in all_drawn}
"""The same as `str.translate` takes it."""
