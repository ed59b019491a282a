"""Two themes of our own, and the few colours that our style sheets need beyond what Textual's themes define."""

from collections.abc import Mapping
from typing import Any, cast

from rich.console import Console
from textual.color import Color
from textual.constants import COLOR_SYSTEM
from textual.theme import Theme

# Greys are all but colourless, so that terminals of 256 colours pick a grey for them and no blue.
DARK = Theme(
    name="foundry-dark",
    primary="#ff9e4f",
    secondary="#7fb4ca",
    accent="#ffb86b",
    warning="#f2c14e",
    error="#f2726b",
    success="#8ccf7e",
    foreground="#d8dce3",
    background="#101318",
    surface="#191c21",
    panel="#20242b",
    dark=True,
    variables={
        "text-primary": "#ffb07a",
        "text-accent": "#ffb86b",
        "text-warning": "#f5cf74",
        "text-error": "#f58c86",
        "text-success": "#9fda93",
        "text-working": "#8cc8e6",
        "text-branch": "#93a4bd",
        "text-soft": "#a9b1bf",
        "text-faint": "#8f97a4",
        "line": "#2d3139",
        "row-cursor": "#2b2f37",
        "row-hover": "#1c1f24",
        "border": "#ff9e4f",
        "border-blurred": "#2d3139",
        "scrollbar": "#3c414a",
        "scrollbar-hover": "#4b5566",
        "scrollbar-active": "#ff9e4f",
        "scrollbar-background": "#101318",
        "scrollbar-background-hover": "#101318",
        "scrollbar-background-active": "#101318",
        "input-selection-background": "#ff9e4f 35%",
        "footer-key-foreground": "#ffb86b",
    },
)

LIGHT = Theme(
    name="foundry-light",
    primary="#a3480a",
    secondary="#2b6f8f",
    accent="#a24709",
    warning="#9a6700",
    error="#b3261e",
    success="#2d7335",
    foreground="#23272f",
    background="#faf8f4",
    surface="#f3f0ea",
    panel="#eae6de",
    dark=False,
    variables={
        "text-primary": "#a24709",
        "text-accent": "#a24709",
        "text-warning": "#855900",
        "text-error": "#a8211a",
        "text-success": "#27682f",
        "text-working": "#1f6385",
        "text-branch": "#4a5b76",
        "text-soft": "#4d5563",
        "text-faint": "#5d636f",
        "line": "#d8d2c6",
        "row-cursor": "#e9dfd0",
        "row-hover": "#f1ece3",
        "border": "#a3480a",
        "border-blurred": "#d8d2c6",
        "scrollbar": "#cfc8ba",
        "scrollbar-hover": "#b9b0a0",
        "scrollbar-active": "#a3480a",
        "scrollbar-background": "#faf8f4",
        "scrollbar-background-hover": "#faf8f4",
        "scrollbar-background-active": "#faf8f4",
        "input-selection-background": "#a3480a 30%",
        "footer-key-foreground": "#a24709",
    },
)

OURS: tuple[Theme, ...] = (DARK, LIGHT)
DEFAULT = DARK.name
COLOURLESS = "ansi-dark"
"""The theme where `NO_COLOR` is set: its colours are the terminal's own, so that they can be left out."""
OF_SIXTEEN = "ansi-dark"
"""The theme of terminals that have 16 colours: ours would be mixed of these, with red where there is orange."""


def colour_system() -> str | None:
    """What Textual finds that the terminal can."""
    return Console(color_system=cast("Any", COLOR_SYSTEM), force_terminal=True).color_system


def fitting(colour_system: str | None) -> str:
    """The theme for a terminal of this colour system, by rich's name, where nobody chose one."""
    return OF_SIXTEEN if colour_system == "standard" else DEFAULT


_ANSI = {
    "line": "ansi_bright_black",
    "text-faint": "ansi_default",
    "text-soft": "ansi_default",
    "text-branch": "ansi_default",
    "text-working": "ansi_cyan",
    "row-cursor": "ansi_default",
    "row-hover": "ansi_default",
}
"""The terminal's own 16 colours have no shades between them: what is faint elsewhere is as any other text here."""


def extra_variables(theme: Theme, variables: Mapping[str, str]) -> dict[str, str]:
    """What a theme of Textual's lacks for our style sheets, mixed from the colours that it has."""
    if theme.ansi:
        return _ANSI
    foreground, background = Color.parse(variables["foreground"]), Color.parse(variables["background"])
    surface = Color.parse(variables["surface"])
    return {
        "line": background.blend(foreground, 0.2).hex,
        "text-faint": background.blend(foreground, 0.6).hex,
        "text-soft": background.blend(foreground, 0.75).hex,
        "text-branch": background.blend(foreground, 0.75).hex,
        "text-working": variables["text-secondary"],
        "row-cursor": surface.blend(Color.parse(variables["primary"]), 0.22).hex,
        "row-hover": background.blend(foreground, 0.06).hex,
    }


_OPPOSITE = {"ansi-dark": "ansi-light", "ansi-light": "ansi-dark"}


def opposite(name: str) -> str:
    """The theme to change to from this one: light for dark, and back; the terminal's own colours stay its own."""
    if name in _OPPOSITE:
        return _OPPOSITE[name]
    return LIGHT.name if name == DARK.name else DARK.name
