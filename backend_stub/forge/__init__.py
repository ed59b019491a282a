"""Where pull requests are opened, a folder a forge: `gh` speaks to GitHub. What each promises: `domain/forge.py`."""
