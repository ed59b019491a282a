"""Our own themes can be read: 4.5 to 1 for every colour of letters on every ground on which it may stand."""

import pytest
from textual.color import Color
from textual.theme import Theme

from foundry_tui.app import themes
from foundry_tui.widgets import row_styles
from foundry_tui.widgets.styles import NAMED_STYLES

LETTERS = (
    *("foreground", "primary", "accent", "text-primary", "text-accent", "text-warning", "text-error", "text-success"),
    *("text-working", "text-branch", "text-soft", "text-faint", "footer-key-foreground"),
)
GROUNDS = ("background", "surface", "panel", "row-cursor")


def luminance(color: Color) -> float:
    """As WCAG has it, from 0 to 1."""
    parts = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: Color, other: Color) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def color_of(theme: Theme, name: str) -> Color:
    return Color.parse(theme.variables.get(name) or getattr(theme, name))


def test_no_role_of_letters_is_left_out() -> None:
    # Letters that have a ground of their own are measured below; what fills a gap has no letters.
    styles = (style for name, style in NAMED_STYLES.items() if "on " not in style and name != "diff--fill")
    named = {word for style in styles for word in style.split()}
    roles = named | {name for role, (name, _) in row_styles._STYLES.items() if role != row_styles.RULE}
    assert roles - {"bold", "underline", "reverse"} <= set(LETTERS)


@pytest.mark.parametrize("theme", themes.OURS, ids=lambda theme: theme.name)
def test_letters_stand_out_from_every_ground(theme: Theme) -> None:
    pairs = [(letters, ground) for letters in LETTERS for ground in GROUNDS]
    found = {pair: contrast(*(color_of(theme, name) for name in pair)) for pair in pairs}
    assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", themes.OURS, ids=lambda theme: theme.name)
def test_letters_stand_out_from_a_ground_of_their_own(theme: Theme) -> None:
    poor = {}
    for name, style in NAMED_STYLES.items():
        front, _, back = style.partition("on ")
        letters = [word for word in front.split() if word not in ("bold", "underline")]
        if back and letters:
            ground, _, percent = back.partition(" ")
            mixed = color_of(theme, "background").blend(color_of(theme, ground), int(percent or 100) / 100)
            if (ratio := contrast(color_of(theme, letters[0]), mixed)) < 4.5:
                poor[name] = round(ratio, 2)
    assert poor == {}
