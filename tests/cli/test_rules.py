"""Permissions and rules from the command line: asked for, shown, and what they decided told."""

import pytest

from tests.cli.command_line import Cli


@pytest.fixture
def ruled(cli: Cli) -> Cli:
    """A person whose config file has rules."""
    file = cli.folder / "config/foundry/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[[rules]]\nallow = "make *"\n[[rules]]\ndeny = "git push*"\nrepository = "code"\n')
    return cli


@pytest.mark.slow
def test_what_the_rules_of_the_config_decide_is_told(ruled: Cli) -> None:
    steps = [{"permission": "Run it", "kind": "execute", "text": text} for text in ("make all", "rm x")]
    ruled.set_script({"default": {"turn": {"ms": 1, "steps": steps}}})
    made = ruled("create", "build", "--permissions", "all", "--wait", "idle", "--json", code=0).json
    task_id = made["task_id"]
    assert made["permission_policy"] == "all"
    assert ["permissions", "all"] in ruled("show", task_id, code=0).rows
    told = ruled("transcript", task_id, code=0).out
    assert "allowed by rule `make *`" in told
    assert "allowed by permissions all" in told
    assert '"answered_by":"allowed by rule `make *`"' in ruled("history", task_id, code=0).out
    checks = {check["name"]: check for check in ruled("doctor", "--json").json["checks"]}
    assert checks["rules"]["found"] == "1 that allow, 1 that deny"
    assert ["rules.2", "deny git push* in code"] in [row[:2] for row in ruled("config", "show", code=0).rows]
    (ruled.folder / "config/foundry/config.toml").unlink()
    assert "FOUNDRY_RULES is not taken" in ruled("create", "x", code=0).err, "they go on counting"
    ruled("backend", "stop", code=0)
    assert ruled("create", "x", code=0).err == ""


@pytest.mark.slow
def test_a_question_that_a_rule_leaves_to_a_person_ends_the_waiting(ruled: Cli) -> None:
    step = {"permission": "Run it", "kind": "execute", "text": "make all; rm x"}
    ruled.set_script({"default": {"turn": {"ms": 1, "steps": [step]}}})
    ruled("create", "build", "--permissions", "reads", "--wait", "idle", code=7)


@pytest.mark.slow
def test_permissions_that_there_are_none_of_are_a_wrong_word(cli: Cli) -> None:
    assert "'yolo' is not one of 'ask', 'reads', 'all'" in cli("create", "x", "--permissions", "yolo", code=2).err


@pytest.mark.slow
def test_a_wrong_rule_is_named_with_its_line_by_every_command(ruled: Cli) -> None:
    file = ruled.folder / "config/foundry/config.toml"
    file.write_text('[[rules]]\nallow = "make; make install"\n')
    for words in (("list",), ("create", "x"), ("doctor",)):
        done = ruled(*words)
        assert done.code == (1 if words == ("doctor",) else 2)
        assert f"{file}:1: rules" in done.out + done.err
    assert "allow = " in ruled("help", "config", code=0).out
