"""Texts that are too long, or none: said at once, with the limit or what to write, before anything is asked for."""

from pathlib import Path

import pytest

from foundry_tui.contract.problems import LARGEST_BODY
from foundry_tui.contract.requests import CHOSEN_TITLE_LIMIT
from foundry_tui.view.new_task import LARGEST_PROMPT, prompt_remark, title_remark
from tests.cli.command_line import Cli

LIMIT = f"{LARGEST_BODY:,}"


@pytest.fixture(scope="module")
def task_id(shared: Cli) -> str:
    return str(shared.create("something to talk about")["task_id"])


@pytest.mark.parametrize(
    "text",
    ["x" * 1_100_000, '"' * 600_000, "日" * 400_000, "x" * (LARGEST_BODY - 10)],
    ids=["long", "escapes", "wide", "rest"],
)
@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize("command", ["create", "prompt"])
def test_a_text_that_no_request_can_carry_is_refused_at_once(
    shared: Cli, task_id: str, tmp_path: Path, text: str, stdin: bool, command: str
) -> None:
    file = tmp_path / "prompt.md"
    file.write_text(text)
    before = shared("list", code=0).out
    words = [command, *([task_id] if command == "prompt" else []), "-F", "-" if stdin else str(file)]
    done = shared(*words, stdin=text if stdin else "", code=1)
    assert LIMIT in done.err
    assert len(done.err) < 400
    assert shared("list", code=0).out == before


def test_a_source_without_an_end_is_not_read_to_it(shared: Cli) -> None:
    assert LIMIT in shared("create", "-F", "/dev/zero", code=1).err


@pytest.mark.parametrize("words", [("create", "short", "--title", "x" * 201), ("rename", "{id}", "x" * 201)])
def test_a_title_that_is_too_long_names_its_limit(shared: Cli, task_id: str, words: tuple[str, ...]) -> None:
    assert str(CHOSEN_TITLE_LIMIT) in shared(*(word.format(id=task_id) for word in words), code=1).err


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", ""),
        ("create", " \n\t "),
        ("create", "-F", "-"),
        ("create", "-F", "{empty}"),
        ("create", "-F", "{folder}/none"),
        ("create", "-F", "{folder}"),
        ("create", "both", "-F", "{empty}"),
        ("prompt", "{id}"),
        ("prompt", "{id}", ""),
        ("prompt", "{id}", "-F", "-"),
        ("rename", "{id}", " "),
        ("rename", "{id}"),
        ("watch", "{id}", "--for", "soon"),
        ("watch", "{id}", "--for", ""),
        ("watch", "{id}", "--timeout", "soon"),
        ("create", "x", "--wait", "init_review_plan"),
        ("logs", "{id}", "--stage", "nowhere"),
        ("nonsense",),
        ("list", "--nonsense"),
    ],
)
def test_what_is_missing_or_means_nothing_is_a_usage_error(
    shared: Cli, task_id: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").touch()
    given = [word.format(id=task_id, empty=tmp_path / "empty", folder=tmp_path) for word in words]
    done = shared(*given, code=2)
    assert done.out == ""
    assert done.err


@pytest.mark.parametrize(
    "command", [*("show", "watch", "history", "logs", "retry", "archive", "kill", "prune"), *("path", "diff", "attach")]
)
@pytest.mark.parametrize("given", ["no-such-task", "01939999-0000-7000-8000-000000000001", "-"])
def test_a_task_that_there_is_not_is_3(shared: Cli, task_id: str, command: str, given: str) -> None:
    done = shared(command, "--", given, code=3)
    assert (done.out, given in done.err) == ("", True)


def test_the_dialog_says_beside_the_field_what_is_too_long() -> None:
    for prompt in ("x" * (LARGEST_PROMPT + 1), "\n" * 700_000, "日" * 400_000):
        remark = prompt_remark(prompt, tried=False)
        assert remark.bad
        assert f"{LARGEST_PROMPT:,}" in remark.text
    assert not prompt_remark("x" * 100_000, tried=True).bad
    assert not prompt_remark("", tried=False).bad
    assert prompt_remark("", tried=True).bad
    assert not title_remark("x" * 200).bad
    assert "200" in title_remark("x" * 201).text
