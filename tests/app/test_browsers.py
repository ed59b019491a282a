"""Which browser is given a page: one with a window of its own, where there is a screen for it."""

from pathlib import Path

import pytest

from foundry_tui.process.browsers import browser_command, open_page


def _programs(folder: Path, *names: str) -> dict[str, str]:
    for name in names:
        program = folder / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("installed", "environ", "platform", "words"),
    [
        (("xdg-open",), {"DISPLAY": ":0"}, "linux", ["xdg-open"]),
        (("xdg-open",), {}, "linux", []),
        ((), {"WAYLAND_DISPLAY": "w"}, "linux", []),
        (("open",), {}, "darwin", ["open"]),
        (("fox", "xdg-open"), {"BROWSER": "fox --new '%s'", "DISPLAY": ":0"}, "linux", ["fox", "--new"]),
        (("w3m", "fox"), {"BROWSER": "w3m:gone:fox"}, "linux", ["fox"]),
        (("fox",), {"BROWSER": "fox 'unclosed"}, "linux", []),
    ],
)
def test_which_browser_is_given_a_page(
    installed: tuple[str, ...], environ: dict[str, str], platform: str, words: list[str], tmp_path: Path
) -> None:
    assert browser_command({**environ, **_programs(tmp_path, *installed)}, platform) == words


def test_where_there_is_none_nothing_is_opened(tmp_path: Path) -> None:
    assert not open_page("https://a.example", {"PATH": str(tmp_path)})
