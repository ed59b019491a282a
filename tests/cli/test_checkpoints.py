"""`checkpoints`, `undo` and `diff --since` against the demo provider."""

import pytest

from tests.cli.command_line import Cli

EDIT = {"tool": "Edit a.py", "edit": {"path": "a.py", "old": "a\n", "new": "b\n"}}


@pytest.fixture
def changed(shared: Cli) -> str:
    """The id of a task whose turn has edited a file."""
    shared.set_script({"tasks": [{"match": "edit a file", "turn": {"ms": 0, "steps": [EDIT]}}]})
    done = shared("create", "edit a file", "--wait", "idle", "--json", code=0)
    task_id: str = done.json["task_id"]
    return task_id


def test_what_was_changed_is_listed_compared_with_and_undone(shared: Cli, changed: str) -> None:
    rows = [line.split("\t") for line in shared("checkpoints", changed, code=0).out.splitlines()]
    assert [(row[1], *row[3:6]) for row in rows] == [("before", "0", "0", "0"), ("after", "1", "1", "1")]
    before, after = (row[0] for row in rows)
    assert shared("diff", changed, "--since", "last", "--stat", code=0).out == "M\ta.py\t1\t1\n"
    assert shared("diff", changed, "--since", after, "--stat", code=0).out == ""
    assert "-a\n+b\n" in shared("diff", changed, "--since", before, code=0).out
    made = shared("undo", changed, code=0).out.strip()
    assert made.startswith("undo-")
    assert shared("diff", changed, "--since", "base", "--stat", code=0).out == ""
    told = shared("undo", changed, "--to", made, "--json", code=0).json
    assert (told["state"], told["result"]["to"]) == ("done", made)
    assert shared("diff", changed, "--stat", code=0).out == "M\ta.py\t1\t1\n"


def test_what_there_is_not_is_said_with_what_to_do(shared: Cli, changed: str) -> None:
    for words in (("diff", changed, "--since", "nothing", "--stat"), ("diff", changed, "--since", "nothing", "--json")):
        refused = shared(*words, code=1)
        assert refused.out == ""
        assert "There is no checkpoint nothing" in refused.err
        assert f"foundry checkpoints {changed}" in refused.err
    assert "no such checkpoint" in shared("undo", changed, "--to", "nothing", code=1).err
    plain = shared.create("nothing is edited")["task_id"]
    assert shared("checkpoints", plain, code=0).out == ""
