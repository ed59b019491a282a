"""The colours and letters of the task list's rows, out of the theme's variables."""

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color

from foundry_tui.view.roles import Role

HEADING, RULE = "heading", "rule"
_STYLES: dict[str, tuple[str, Style]] = {
    HEADING: ("text-accent", Style(bold=True)),
    RULE: ("line", Style()),
    Role.CURSOR: ("primary", Style(bold=True)),
    Role.MARK: ("primary", Style(bold=True)),
    Role.TITLE: ("foreground", Style()),
    Role.DIM: ("text-faint", Style()),
    Role.REPO: ("text-soft", Style()),
    Role.BRANCH: ("text-branch", Style()),
    Role.SAID: ("text-soft", Style()),
    Role.KEY: ("text-accent", Style(bold=True)),
    Role.ASKS: ("text-warning", Style()),
    Role.WORKING: ("text-working", Style()),
    Role.PROVISIONING: ("text-primary", Style()),
    Role.READY: ("text-success", Style()),
    Role.FAILED: ("text-error", Style()),
    Role.DONE: ("text-faint", Style()),
    Role.PENDING: ("text-faint", Style(italic=True)),
    Role.MATCH: ("primary", Style(bold=True, underline=True)),
    Role.AGE: ("text-faint", Style()),
}
"""The theme's variable and the letters of each role; as component classes they would slow each applying of styles."""


def row_style(role: str, ground: str, base: Style, variables: Mapping[str, str]) -> Style:
    """The style of a role over `base`; `ground` names the variable of another background, empty for none.

    The terminal's own colours have no such background: there the row of the cursor is reversed, in one colour.
    """
    name, letters = _STYLES[role]
    if ground == "row-cursor" and variables[ground].startswith("ansi_"):
        return base + letters + Style(reverse=True)
    style = base + Style(color=Color.parse(variables[name]).rich_color) + letters
    return style + Style(bgcolor=Color.parse(variables[ground]).rich_color) if ground else style
