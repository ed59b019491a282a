"""What commands load: a command that does not draw must not pay for what draws."""

import subprocess
import sys

import pytest

from foundry_tui.cli.command_table import COMMANDS
from tests.cli.command_line import Cli

HEAVY = ("textual", "rich", "asyncio", "starlette", "uvicorn", "keyring")

_RUN = """
import sys
sys.argv = ["foundry", *{words!r}]
from foundry_tui.cli.main import main
main()
print("LOADED", *sorted(set(name.partition(".")[0] for name in sys.modules)))
"""


def loaded(cli: Cli, *words: str) -> set[str]:
    """The top modules that a command had loaded when it ended."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(words=words)],
        env=cli.environ,
        cwd=cli.repository,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    line = done.stdout.splitlines()[-1]
    assert line.startswith("LOADED "), done.stderr
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("create", "x", "--wait", "idle"),
        ("show", "nope"),
        ("watch", "nope"),
        ("history",),
        ("statusline",),
        ("doctor",),
        ("config", "show"),
        ("backend", "status"),
        ("completion", "bash"),
    ],
)
def test_a_command_that_does_not_draw_loads_nothing_heavy(shared: Cli, words: tuple[str, ...]) -> None:
    assert loaded(shared, *words).isdisjoint(HEAVY)


@pytest.mark.parametrize("words", [("config", "show"), ("help", "config"), ("list", "--status", "nope")])
def test_what_asks_nothing_of_the_backend_loads_no_http(shared: Cli, words: tuple[str, ...]) -> None:
    assert loaded(shared, *words).isdisjoint(("httpx", "anyio", "http"))


def test_statusline_does_not_even_load_click_or_http(shared: Cli) -> None:
    assert loaded(shared, "statusline").isdisjoint(("click", "httpx", "anyio", "http"))


def test_help_loads_no_command(shared: Cli) -> None:
    names = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom foundry_tui.cli import command_table\n"
            "command_table.foundry.main(['--help'], standalone_mode=False)\n"
            "print(*sorted(sys.modules))",
        ],
        env=shared.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()[-1]
    assert not {f"foundry_tui.cli.commands.{row.module}" for row in COMMANDS.values()} & set(names.split())
