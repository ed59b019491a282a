"""The blocks of code of a Markdown text, as they are copied, and where they begin in its drawn lines."""

from collections.abc import Sequence


def code_blocks(markdown: str) -> list[str]:
    """What stands in the fences of a text, without these and without their indentation; an open one counts too."""
    found: list[str] = []
    block: list[str] | None = None
    fence, indent = "", 0
    for line in markdown.split("\n"):
        stripped = line.lstrip(" ")
        if block is None:
            sign = stripped[:1]
            length = len(stripped) - len(stripped.lstrip(sign)) if sign in ("`", "~") and sign else 0
            if length >= 3 and not (sign == "`" and "`" in stripped[length:]):
                block, fence, indent = [], sign * length, len(line) - len(stripped)
        elif stripped.startswith(fence) and not stripped.strip(fence[0]).strip():
            found.append("\n".join(block))
            block = None
        else:
            block.append(line[min(indent, len(line) - len(stripped)) :])
    if block:
        found.append("\n".join(block))
    return [text for text in found if text.strip()]


def begins_at(lines: Sequence[str], blocks: Sequence[str]) -> list[int]:
    """The drawn line at which each block begins, in their order; a block that is not found stands at the last found."""
    places: list[int] = []
    at = 0
    for block in blocks:
        first = next(line.strip() for line in block.split("\n") if line.strip()).expandtabs(4)
        place = next((number for number in range(at, len(lines)) if _begins(lines[number].strip(), first)), None)
        places.append(place if place is not None else max(0, at - 1))
        at = places[-1] + 1
    return places


def blocks_between(top: int, bottom: int, markdown: str, drawn: Sequence[str], start: int) -> list[tuple[int, str]]:
    """The blocks of a text drawn from line `start` of which some stands in the lines from `top` to before `bottom`.

    Of each the first line that does, and its text.
    """
    blocks = code_blocks(markdown)
    places = [start + at for at in begins_at(drawn, blocks)]
    return [
        (max(top, at), text)
        for at, text in zip(places, blocks, strict=True)
        if at < bottom and at + text.count("\n") >= top
    ]


def _begins(drawn: str, code: str) -> bool:
    """Whether a drawn line is this line of code, or the beginning of one that is wrapped."""
    return drawn == code or (len(drawn) > 20 and code.startswith(drawn))
