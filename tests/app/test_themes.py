"""A theme that was chosen is there at the next start, unless the settings name one."""

from pathlib import Path

import pytest
from rich.style import Style
from textual.command import Hit

from foundry_tui.app import themes
from foundry_tui.app.options import Options
from foundry_tui.app.palette import PaletteProvider
from foundry_tui.cli.startup.app import options
from foundry_tui.settings.config import Settings
from foundry_tui.settings.kept_theme import LONGEST, keep_theme, kept_theme, theme_file
from foundry_tui.settings.sections import App
from foundry_tui.view.roles import Role
from foundry_tui.widgets.row_styles import row_style
from tests.app.factories import make_task
from tests.app.harness import make_store, stage

pytestmark = pytest.mark.anyio


def test_what_was_chosen_is_read_again_and_what_cannot_be_a_name_is_not(tmp_path: Path) -> None:
    file = tmp_path / "state" / "theme"
    assert kept_theme(file) is None
    keep_theme(file, "dracula")
    assert kept_theme(file) == "dracula"
    file.write_bytes(b"\xff\xfe")
    assert kept_theme(file) is None
    file.write_text("x" * 1_000_000)
    assert len(kept_theme(file) or "") == LONGEST
    assert [each.name for each in file.parent.iterdir()] == ["theme"]


def test_settings_come_before_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    assert options(Settings(), None).theme == themes.DEFAULT
    keep_theme(theme_file(), "nord")
    assert options(Settings(), None).theme == "nord"
    assert options(Settings(app=App(theme="gruvbox")), None).theme == "gruvbox"


@pytest.mark.parametrize(
    ("term", "colorterm", "theme"),
    [
        ("linux", None, themes.OF_SIXTEEN),
        ("xterm", None, themes.OF_SIXTEEN),
        ("xterm", "truecolor", themes.DEFAULT),
        ("screen-256color", None, themes.DEFAULT),
    ],
)
def test_a_terminal_of_sixteen_colours_has_them_as_they_are(
    term: str, colorterm: str | None, theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLORTERM", raising=False)
    if colorterm is not None:
        monkeypatch.setenv("COLORTERM", colorterm)
    assert options(Settings(), None).theme == theme
    keep_theme(theme_file(), "nord")
    assert options(Settings(), None).theme == "nord"


@pytest.mark.parametrize(("is_set", "kept"), [(False, [themes.LIGHT.name]), (True, [])])
async def test_a_key_changes_the_theme_and_keeps_it(is_set: bool, kept: list[str]) -> None:
    found: list[str] = []
    chosen = Options(bell=False, terminal_notifications=False, keep_theme=found.append, theme_is_set=is_set)
    async with stage(make_store([make_task(1)]), options=chosen) as on:
        await on.press("T")
        assert on.app.theme == themes.LIGHT.name
        assert found == kept


@pytest.mark.parametrize(
    ("query", "finds"),
    [("new", False), ("foun", True), ("theme nord", True), ("thm nrd", False), ("#", False), ("- ?", False)],
)
async def test_the_palette_finds_a_theme_by_how_its_words_begin(query: str, finds: bool) -> None:
    """Found by any letters of its name, a theme would stand below nearly every search, to be chosen by mistake."""
    async with stage(make_store([make_task(1)])) as on:
        hits = [hit async for hit in PaletteProvider(on.app.screen).search(query)]
        assert any((hit.text or "").startswith("Theme:") for hit in hits if isinstance(hit, Hit)) is finds


@pytest.mark.parametrize("name", ["ansi-dark", "ansi-light"])
async def test_the_row_of_the_cursor_is_seen_without_colours_of_our_own(name: str) -> None:
    chosen = Options(theme=name, bell=False, terminal_notifications=False)
    async with stage(make_store([make_task(1)]), options=chosen) as on:
        variables = on.app.theme_variables
        assert row_style(Role.TITLE, "row-cursor", Style(), variables).reverse
        assert not row_style(Role.TITLE, "", Style(), variables).reverse
