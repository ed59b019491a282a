"""Styles by name for widgets that draw their own lines, made of the theme's variables.

Component classes would do the same, but each of them costs as much as a widget whenever styles are applied, and the
task screen has to stand within a frame or two.
"""

from collections.abc import Mapping

from rich.style import Style
from textual.color import Color
from textual.widget import Widget

NAMED_STYLES: dict[str, str] = {
    "chips--dim": "text-faint",
    "chips--file": "text-accent on accent 15",
    "choices--cursor": "bold on row-cursor",
    "choices--dim": "text-faint",
    "choices--found": "bold text-accent",
    "choices--hint": "text-warning",
    "choices--name": "foreground",
    "details--bad": "text-warning",
    "details--key": "text-accent",
    "details--label": "text-faint",
    "details--value": "foreground",
    "diff--added": "text-success on success 16",
    "diff--added-word": "bold foreground on success 42",
    "diff--comment": "foreground on accent 14",
    "diff--comment-bar": "text-accent on accent 14",
    "diff--cursor": "bold text-accent",
    "diff--file": "bold foreground on row-cursor",
    "diff--fill": "line",
    "diff--found": "bold background on warning",
    "diff--gap": "text-faint",
    "diff--head": "foreground",
    "diff--number": "text-faint",
    "diff--removed": "text-error on error 16",
    "diff--removed-word": "bold foreground on error 42",
    "diff--text": "foreground",
    "diff--warning": "text-warning",
    "empty-state--active": "bold text-working",
    "empty-state--failed": "bold text-error",
    "empty-state--key": "bold text-accent",
    "empty-state--plain": "bold text-faint",
    "empty-state--text": "text-faint",
    "empty-state--warning": "bold text-warning",
    "failure--dim": "text-faint",
    "failure--headline": "bold text-error",
    "failure--key": "bold text-accent",
    "failure--text": "foreground",
    "file-list--added": "text-success",
    "file-list--cursor": "bold on row-cursor",
    "file-list--dim": "text-faint",
    "file-list--path": "foreground",
    "file-list--removed": "text-error",
    "form--choice": "foreground",
    "form--cursor": "bold on row-cursor",
    "form--taken": "bold text-success",
    "history--bad": "bold text-error",
    "history--detail": "text-faint",
    "history--good": "text-success",
    "history--plain": "foreground",
    "history--time": "text-faint",
    "history--waiting": "text-warning",
    "patch--added": "text-success on success 15",
    "patch--context": "foreground",
    "patch--hunk": "text-accent",
    "patch--number": "text-faint",
    "patch--removed": "text-error on error 15",
    "permission--allow": "bold text-success on success 18",
    "permission--chosen": "underline",
    "permission--dim": "text-faint",
    "permission--more": "bold text-warning",
    "permission--reject": "bold text-error on error 18",
    "permission--title": "bold foreground",
    "prompt-queue--changed": "bold text-accent",
    "prompt-queue--dim": "text-faint",
    "prompt-queue--held": "text-warning",
    "prompt-queue--steers": "text-working",
    "prompt-queue--text": "foreground",
    "prompt-queue--waits": "text-warning",
    "session-tabs--active": "bold foreground on background",
    "session-tabs--asks": "text-warning",
    "session-tabs--failed": "text-error",
    "session-tabs--key": "text-accent",
    "session-tabs--tab": "text-faint",
    "stage-log--command": "bold text-branch",
    "stage-log--stage": "text-accent",
    "stage-log--text": "foreground",
    "stage-log--time": "text-faint",
    "stepper--cancelled": "text-faint",
    "stepper--detail": "text-faint",
    "stepper--done": "text-success",
    "stepper--failed": "text-error",
    "stepper--pending": "text-faint",
    "stepper--running": "text-working",
    "stepper--waiting": "text-warning",
    "task-header--active": "text-working",
    "task-header--asks": "text-warning",
    "task-header--branch": "text-branch",
    "task-header--dim": "text-faint",
    "task-header--failed": "text-error",
    "task-header--ready": "text-success",
    "task-header--title": "bold foreground",
    "transcript--accent": "accent",
    "transcript--added": "text-success on success 15",
    "transcript--code": "text-accent",
    "transcript--dim": "text-faint",
    "transcript--failure": "text-error",
    "transcript--prompt": "foreground on accent 12",
    "transcript--removed": "text-error on error 15",
    "transcript--success": "text-success",
    "transcript--text": "foreground",
    "transcript--warning": "text-warning",
    "transcript--chosen": "bold on row-cursor",
    "transcript--found": "underline foreground on warning 35",
    "transcript--found-here": "bold reverse text-warning",
    "transcript--number": "bold reverse text-accent",
    "turn--active": "text-working",
    "turn--failed": "text-error",
    "turn--plain": "text-faint",
    "turn--warning": "text-warning",
    "work--added": "text-success",
    "work--asks": "text-warning",
    "work--at": "bold text-working",
    "work--cursor": "bold on row-cursor",
    "work--dim": "text-faint",
    "work--done": "text-success",
    "work--heading": "bold foreground",
    "work--removed": "text-error",
    "work--text": "foreground",
}
"""`[bold|underline|reverse] [variable] [on variable [percent over the background]]`."""


_cache: dict[str, Mapping[str, Style]] = {}
"""Styles by name, for each theme that was used."""


def style_of(widget: Widget, name: str) -> Style:
    """The style of this name in the app's theme; raises `KeyError` when there is none."""
    app = widget.app
    styles = _cache.get(app.theme)
    if styles is None:
        variables = app.get_css_variables()
        ansi = app.current_theme.ansi
        styles = _cache[app.theme] = {name: _style(text, variables, ansi) for name, text in NAMED_STYLES.items()}
    return styles[name]


def _style(text: str, variables: Mapping[str, str], ansi: bool) -> Style:
    front, _, back = text.partition("on ")
    words = front.split()
    colour = next((word for word in words if word not in ("bold", "underline", "reverse")), None)
    style = Style(
        bold="bold" in words or None, underline="underline" in words or None, reverse="reverse" in words or None
    )
    if colour is not None:
        style += Style(color=_colour(colour, variables).rich_color)
    if back and not ansi:
        name, _, percent = back.partition(" ")
        base = _colour("background", variables)
        blended = base.blend(_colour(name, variables), int(percent) / 100) if percent else _colour(name, variables)
        style += Style(bgcolor=blended.rich_color)
    elif back:
        # The terminal's own 16 colours cannot be mixed.
        style += Style(reverse=True) if colour is None else Style()
    return style


def _colour(name: str, variables: Mapping[str, str]) -> Color:
    """A theme's variable as a colour; one that Textual would choose by contrast is the foreground."""
    value = variables[name]
    return Color.parse(variables["foreground"] if value.startswith("auto") else value)
