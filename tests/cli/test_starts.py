"""`create --on`, `--pr` and `--issue`: what they print and refuse, and what `show` says of it."""

import pytest

from tests.cli.command_line import Cli
from tests.git import git

EXCLUSIVE = [("--on", "main"), ("--pr", "1"), ("--issue", "1")]


@pytest.mark.parametrize("one", EXCLUSIVE)
@pytest.mark.parametrize("other", EXCLUSIVE)
def test_a_task_starts_from_one_thing(shared: Cli, one: tuple[str, str], other: tuple[str, str]) -> None:
    if one >= other:
        return
    refused = shared("create", "x", *one, *other, code=2)
    assert "exclude each other" in refused.err
    assert refused.out == ""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--pr", "0"), "--pr"),
        (("--pr", "x"), "--pr"),
        (("--issue", "-1"), "--issue"),
        (("--issue", str(2**31)), "--issue"),
        (("--on", "a..b"), "--on"),
        (("--on", ""), "--on"),
        (("--on", "-x"), "--on"),
        (("--on", "main", "--branch", "b"), "--branch does not go with --on"),
        (("--pr", "1", "--branch", "b"), "--branch does not go with --pr"),
        (("--pr", "1", "--base", "b"), "--base does not go with --pr"),
    ],
)
def test_what_is_wrong_with_it_is_exit_2_by_the_option(shared: Cli, words: tuple[str, ...], why: str) -> None:
    assert why in shared("create", "x", *words, code=2).err


def test_show_says_what_it_started_from(shared: Cli) -> None:
    git(shared.repository, "branch", "spike")
    shared.set_script({"tasks": [{"match": "as reported", "issue": {"title": "Sums\x1b[31m are wrong", "text": "x"}}]})
    task = shared.create("go on", "--on", "spike")
    assert (task["branch"], task["started_from"]["branch"]) == ("spike", "spike")
    assert "from\tthe branch spike\t" in shared("show", task["task_id"], code=0).out
    task = shared.create("as reported", "--issue", "7", "--branch", "mine")
    assert task["branch"] == "mine"
    shown = shared("show", "mine", code=0).out
    assert "from\tissue #7: Sums␛[31m are wrong\thttps://forge.invalid/demo/issues/7" in shown
    task = shared.create("go on", "--pr", "12")
    assert task["pull_request"]["number"] == 12
    assert "from\tpull request #12" in shared("show", task["task_id"], code=0).out


def test_a_branch_that_is_taken_ends_in_error_which_names_the_worktree(shared: Cli) -> None:
    failed = shared("create", "go on", "--on", "main", "--wait", "idle", "--repo", str(shared.repository), code=4)
    assert f"the worktree {shared.repository} has it" in failed.err
