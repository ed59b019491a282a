"""Texts for terminals and pipes."""

from pathlib import Path

import pytest

from foundry_tui.cli import output
from foundry_tui.cli.commands.tasks import short_ids
from foundry_tui.cli.problems import CommandError
from foundry_tui.cli.repositories import repository_of
from foundry_tui.cli.units import launchd_plist, systemd_unit
from foundry_tui.contract.control_characters import harmless


def test_what_would_move_a_terminal_is_marked() -> None:
    assert harmless("a\tb\nc\x1b[31md\u2028e\x9bf\u202eg") == "a b c␛[31md e�f�g"
    assert harmless("a\nb\tc", lines=True) == "a\nb c"
    assert harmless("naïve 日本 🚀") == "naïve 日本 🚀"


def test_width_and_cut_count_cells() -> None:
    assert output.width("日本") == 4
    assert output.width("e\u0301") == 1
    assert output.cut("日本語です", 5) == "日本…"
    assert output.cut("short", 5) == "short"


def test_rows_of_a_pipe(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output.say_row(("a\tb", None, 3, "x\r\ny"))
    assert capfdbinary.readouterr().out == b"a b\t\t3\tx y\n"


def test_a_table_is_no_wider_than_the_terminal_and_its_widest_columns_give_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("1", "a title of some length", "feat/a-title-of-some-length-that-goes-on"), ("2", "short", "fix/short")]
    monkeypatch.setenv("COLUMNS", "50")
    output.table(("ID", "TITLE", "BRANCH"), rows, stretch=(1, 2))
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == "ID  TITLE                   BRANCH"
    assert first == "1   a title of some length  feat/a-title-of-some-…"
    assert second == "2   short                   fix/short"
    monkeypatch.setenv("COLUMNS", "10")
    output.table(("ID", "TITLE"), [("1", "short")], stretch=(1,))
    assert capsys.readouterr().out.splitlines() == ["ID  TITLE", "1   short"]


def test_short_ids_grow_until_they_differ() -> None:
    assert short_ids(["0193a2b4-1", "0193a2b5-1"]) == {"0193a2b4-1": "0193a2b4", "0193a2b5-1": "0193a2b5"}
    assert short_ids(["0193a2b4-1", "0193a2b4-2"]) == {"0193a2b4-1": "0193a2b4-1", "0193a2b4-2": "0193a2b4-2"}
    assert short_ids([]) == {}


def test_a_folder_means_the_repository_around_it(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    inner = tmp_path / "repo" / "a" / "b"
    inner.mkdir(parents=True)
    assert repository_of(str(inner)) == str(tmp_path / "repo")


@pytest.mark.parametrize("given", ["https://example.org/x.git", "git@example.org:team/x.git", "repo-4079"])
def test_what_only_the_backend_can_judge_is_passed_on(given: str) -> None:
    assert repository_of(given) == given


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for given in (tmp_path, tmp_path / "nope", file):
        with pytest.raises(CommandError) as caught:
            repository_of(str(given))
        assert caught.value.exit_code == 1
        assert caught.value.hint


def test_units_quote_their_words(tmp_path: Path) -> None:
    words = ["/opt/my tools/foundry", "backend", "serve", "100%"]
    assert 'ExecStart="/opt/my tools/foundry" backend serve 100%%\n' in systemd_unit(words, tmp_path)
    assert "<string>a&lt;b</string>" in launchd_plist(["a<b"], tmp_path)
