"""`foundry help`: the texts of its topics say all that there is to say."""

import pytest

from backend_stub.demo.script import AgentScript, CallScript, Scene, Script, Step, TurnScript
from foundry_tui.cli.commands.help import DEMO_SCRIPT, TOPICS
from foundry_tui.cli.problems import EXIT_CODES
from foundry_tui.settings.config import KEYS
from tests.cli.command_line import Cli


def test_without_a_topic_it_lists_them(shared: Cli) -> None:
    told = shared("help", code=0).out
    assert all(f"foundry help {topic}" in told for topic in TOPICS)


def test_the_topics_are_whole(shared: Cli) -> None:
    config = shared("help", "config", code=0).out
    assert all(f"{key.name} = " in config and key.env in config for key in KEYS)
    codes = shared("help", "exit", "codes", code=0).out
    assert all(f"{code}  {meaning}" in codes for code, meaning in EXIT_CODES.items())
    assert shared("help", "demo", "script", code=0).out.rstrip("\n") == DEMO_SCRIPT


@pytest.mark.parametrize(
    "part", [Script, Scene, AgentScript, CallScript, TurnScript, Step], ids=lambda part: part.__name__
)
def test_all_that_a_script_can_say_is_explained(part: type[Script]) -> None:
    assert [name for name in part.__struct_encode_fields__ if name not in DEMO_SCRIPT] == []


def test_a_command_is_explained_as_by_its_own_help(shared: Cli) -> None:
    assert shared("help", "config", "path", code=0).out == shared("config", "path", "--help", code=0).out
    assert "no topic and no command" in shared("help", "nonsense", code=2).err
