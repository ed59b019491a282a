"""Where pull requests are opened: `gh` speaks to GitHub. `domain/forge.py` says what each side promises."""
