"""Taking a theme that a person chose, and keeping it for the next start."""

from foundry_tui.app.options import Options


def keep(options: Options, name: str) -> str:
    """Keep this theme unless the settings name one; what is said of that."""
    if options.keep_theme is None:
        return "It stays until Foundry is left."
    if options.theme_is_set:
        return "The settings name another for the next start: see foundry config show."
    try:
        options.keep_theme(name)
    except OSError as trouble:
        return f"It cannot be kept: {trouble.strerror}"
    return "It is kept for the next start."
