"""Our own themes can be read: 4.5 to 1 for every colour of letters on every ground on which it may stand."""

from collections.abc import Callable, Sequence

import pytest
from textual.color import Color
from textual.theme import Theme

from foundry_tui.app import themes
from foundry_tui.app.options import Options
from foundry_tui.client.store import Store
from foundry_tui.widgets import row_styles
from foundry_tui.widgets.styles import NAMED_STYLES
from tests.app import task_scenes
from tests.app.harness import stage

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


@pytest.mark.anyio
@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light"])
@pytest.mark.parametrize(
    ("scene", "keys"),
    [
        (task_scenes.away_scene, ()),
        (task_scenes.naming_scene, ("i", "slash", "t")),
        (task_scenes.permission_scene, ("f2",)),
        (task_scenes.permission_scene, ("ctrl+p", "t")),
    ],
    ids=["the banner", "a list beside a field", "a title that is all selected", "the palette"],
)
async def test_no_letter_has_the_terminal_s_own_colour_of_its_ground(
    scene: Callable[[], Store], keys: Sequence[str], theme: str
) -> None:
    """These are not mixed: two that differ elsewhere may be the same."""
    async with stage(scene(), options=Options(theme=theme, bell=False, terminal_notifications=False)) as on:
        on.app.open_task(task_scenes.TASK)
        await on.press(*keys)
        await on.found()
        for strip in on.app.screen._compositor.render_strips():
            for text, style, _ in strip:
                if style is not None and style.bgcolor is not None and not style.bgcolor.is_default and text.strip():
                    assert style.color != style.bgcolor, text
