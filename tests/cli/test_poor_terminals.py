"""A terminal on which nothing can be drawn is named as such, with what helps."""

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import terminal


@pytest.mark.parametrize("words", [(), ("demo",)], ids=["app", "demo"])
@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_the_app_says_what_to_set_where_only_lines_can_be_printed(cli: Cli, kind: str, words: tuple[str, ...]) -> None:
    with terminal(cli, *words, TERM=kind) as shown:
        shown.read_until("foundry --help")
        assert f"terminal of type {kind}: set TERM" in shown.drawn and "commands work" in shown.drawn
        assert shown.wait() == 1
