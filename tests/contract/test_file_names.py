"""Names of files as JSON and texts have them."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.file_names import quoted, read, unquoted, written

NAMES = st.binary(min_size=1, max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape")) | st.text(
    st.sampled_from('a"\\1 \u009b\n é\u202e'), min_size=1, max_size=8
)


@given(NAMES)
@settings(max_examples=100)
def test_every_name_comes_back(name: str) -> None:
    assert decode(encode(written(name)), str) == written(name)
    assert read(written(name)) == name
    assert unquoted(quoted(name)) == name
    assert quoted(name).isprintable() and harmless(quoted(name)) == quoted(name)


@pytest.mark.parametrize("name", ["plain.py", "with space", "a\nb", 'in "quotes"', "back\\slash", '"half'])
def test_what_json_can_have_stands_as_it_is_unless_it_looks_quoted(name: str) -> None:
    assert read(name) == name
    assert (written(name) == name) == (not name.startswith('"'))


def test_it_is_quoted_as_git_quotes(tmp_path: Path) -> None:
    names = ["caf\udce9.txt", "tab\t.txt", 'a"b\\c', "bell\a"]
    for name in names:
        (tmp_path / name).touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    command = ["git", "-c", "core.quotePath=false", "ls-files", "-o"]
    told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout.decode("utf-8", "replace")
    assert sorted(line for line in told.splitlines() if "�" not in line) == sorted(map(quoted, names[1:]))
    assert quoted(names[0]) == '"caf\\351.txt"'
