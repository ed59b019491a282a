"""The browser that a person is used to, given a page without anything of this terminal."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

IN_TERMINALS = frozenset({"browsh", "elinks", "links", "links2", "lynx", "w3m", "www-browser"})
"""Browsers that need the terminal, which the app has."""


def browser_command(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> list[str]:
    """The words that open a page, which follows them; none where no browser can be started from here."""
    for name in environ.get("BROWSER", "").split(os.pathsep):
        try:
            words = shlex.split(name)
        except ValueError:
            continue
        if words and Path(words[0]).name not in IN_TERMINALS and shutil.which(words[0], path=environ.get("PATH")):
            return [word for word in words if word != "%s"]
    has_screen = platform == "darwin" or any(
        environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
    )
    for name in ("open",) if platform == "darwin" else ("xdg-open", "wslview"):
        if has_screen and shutil.which(name, path=environ.get("PATH")):
            return [name]
    return []


def open_page(url: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Hand the page to the browser, which lives on by itself; False where there is none.

    The address stands behind the words of the command, so that no shell ever reads it.
    """
    command = browser_command(environ)
    if not command:
        return False
    try:
        subprocess.Popen(
            [*command, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    return True
