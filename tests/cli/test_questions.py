"""Questions on the command line: shown whole with what answers them, answered by words, and no wait that never ends."""

import json

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import terminal
from tests.world import Json

SCRIPT = "\n".join(["cd shop", *(f"echo {n}" for n in range(2, 40)), "rm -rf /srv"])
OPTIONS = [
    {"option_id": "p1", "name": "Yes", "kind": "allow_once"},
    {"option_id": "p 2", "name": "Yes, for ever", "kind": "allow_always"},
    {"option_id": "p3", "name": "No, never", "kind": "reject_always"},
]
EDIT = {"path": "app.py", "old": "a\n", "new": "b\n"}
WAITING = 7


def asking(cli: Cli, prompt: str, *, options: list[Json] = OPTIONS) -> str:
    """A task whose agent asks."""
    step = {"permission": "Run it?", "text": SCRIPT, "edits": [EDIT], "paths": ["/srv"], "options": options}
    cli.set_script({"tasks": [{"match": prompt, "turn": {"steps": [step]}}]})
    task_id = cli.create(prompt, wait="running")["task_id"]
    cli("watch", task_id, "--for", "idle", "--timeout", "30s", code=WAITING)
    return str(task_id)


@pytest.mark.parametrize(
    ("said", "chosen"), [("allow", "p1"), ("always", "p 2"), ("deny", "p3"), ("p1", "p1"), ("p 2", "p 2")]
)
def test_an_answer_goes_by_what_the_option_does(shared: Cli, said: str, chosen: str) -> None:
    task_id = asking(shared, f"asked for {said}")
    assert shared("answer", task_id, said, code=0).rows[0][1:] == ["answered", chosen]
    shared("watch", task_id, "--for", "idle", "--timeout", "30s", code=0)


def test_a_word_that_no_option_means_says_what_there_is(shared: Cli) -> None:
    task_id = asking(shared, "only yes", options=OPTIONS[:1])
    for word in ("deny", "always"):
        refused = shared("answer", task_id, word, code=1)
        assert f"no option that means {word}" in refused.err and "p1 (allow once)" in refused.err
    assert "no option 'nope'" in shared("answer", task_id, "nope", code=1).err


def test_a_question_is_shown_whole_with_the_commands_that_answer_it(shared: Cli) -> None:
    task_id = asking(shared, "shown whole")
    rows = shared("show", task_id, code=0).rows
    shown = [row[1] for row in rows if row[0].startswith("question.")]
    assert [line.removeprefix("text ") for line in shown if line.startswith("text ")] == SCRIPT.split("\n")
    assert {"path /srv", "file app.py", "removed -a", "added +b"} <= set(shown)
    commands = [row[1:] for row in rows if row[0].startswith("answer.")]
    assert commands == [
        [f"foundry answer {task_id} allow", "allow_once", "Yes"],
        [f"foundry answer {task_id} always", "allow_always", "Yes, for ever"],
        [f"foundry answer {task_id} deny", "reject_always", "No, never"],
    ]


def test_waiting_ends_with_7_where_only_a_person_can_go_on(shared: Cli) -> None:
    task_id = asking(shared, "waits for you")
    waited = shared("watch", task_id, "--for", "idle", code=WAITING)
    for part in ("only a person", "Run it?", "rm -rf /srv", f"foundry answer {task_id} allow", "--through-questions"):
        assert part in waited.err
    lines = shared("watch", task_id, "--for", "idle", "--json", code=WAITING).out.splitlines()
    last = json.loads(lines[-1])
    assert (last["event"], last["data"]["text"]) == ("question", SCRIPT)
    assert last["data"]["commands"]["p3"] == f"foundry answer {task_id} deny"
    assert shared("watch", task_id, "--for", "running", code=0), "what is passed is met"
    through = ("watch", task_id, "--for", "idle", "--through-questions", "--timeout", "1s")
    assert "Run it?" in shared(*through, code=5).err


def test_create_waits_no_longer_than_until_it_asks(shared: Cli) -> None:
    shared.set_script({"tasks": [{"match": "make it", "turn": {"permission": "Run make?"}}]})
    done = shared("create", "make it", "--wait", "idle", "--json", code=WAITING)
    assert done.json["question"]["title"] == "Run make?"
    assert done.json["question"]["commands"]["deny"] == f"foundry answer {done.json['task_id']} deny"
    followed = shared("create", "make it again", "--follow", "--timeout", "2s", code=5)
    assert "Run make?" in followed.err and "foundry answer" in followed.err


FIELDS: list[Json] = [
    {"name": "version", "title": "Version", "type": "string", "required": True, "min": 3},
    {
        "name": "level",
        "type": "select",
        "default": "low",
        "choices": [{"value": v, "name": v} for v in ("low", "high")],
    },
    {"name": "where", "type": "multiselect", "choices": [{"value": v, "name": v.upper()} for v in ("eu", "us")]},
]
PAGE = "https://login.example/device?code=1"


def test_a_form_and_a_page_are_shown_and_answered(shared: Cli) -> None:
    steps = [{"form": "Which release?", "fields": FIELDS}, {"url": PAGE, "message": "Log in"}, {"form": "Sure?"}]
    shared.set_script({"tasks": [{"match": "release it", "turn": {"ms": 1, "steps": steps}}]})
    done = shared("create", "release it", "--wait", "idle", "--json", code=WAITING)
    task_id = done.json["task_id"]
    assert done.json["question"]["commands"] == {
        "accept": f"foundry answer {task_id} --set version=VALUE",
        "decline": f"foundry answer {task_id} --decline",
    }
    rows = [row[1] for row in shared("show", task_id, code=0).rows if row[0].startswith("question.")]
    assert rows == [
        "title Which release?",
        "field Version (version) *: text, at least 3 characters",
        "field level: one of: low, high; default low",
        "field where: any of: eu (EU), us (US)",
    ]
    assert "--set FIELD=VALUE" in shared("answer", task_id, code=2).err
    shared("answer", task_id, "--set", "version", code=2)
    shared("answer", task_id, "--set", "version=1.4", "--decline", code=2)
    wrong = shared("answer", task_id, "--set", "version=1", "--set", "level=mid", "--set", "other=1", code=1)
    for part in (
        "version: It must have at least 3",
        "level: It must be one of low, high",
        "other: The form has no such",
    ):
        assert part in wrong.err
    settings = ("--set", "version=1.4", "--set", "where=US", "--set", "where=eu")
    answered = shared("answer", task_id, *settings, code=0)
    assert answered.rows[0][1:] == ["answered", "accept"]
    waited = shared("watch", task_id, "--for", "idle", code=WAITING)
    for part in (PAGE, "a page of login.example", f"foundry answer {task_id} allow", f"{task_id} --decline"):
        assert part in waited.err
    assert "no fields to set" in shared("answer", task_id, "--set", "a=b", code=1).err
    assert shared("answer", task_id, "allow", code=0).rows[0][1:] == ["answered", "accept"]
    said = shared("transcript", task_id, code=0).out
    assert "Which release? (filled in)" in said and "where: US, EU" in said and PAGE in said
    shared("watch", task_id, "--for", "idle", code=WAITING)
    assert shared("answer", task_id, "--decline", code=0).rows[0][1:] == ["answered", "decline"]
    shared("watch", task_id, "--for", "idle", "--timeout", "30s", code=0)


def test_a_terminal_that_follows_shows_the_question_and_goes_on(shared: Cli) -> None:
    step = {"permission": "Run it?", "text": SCRIPT, "options": OPTIONS}
    shared.set_script({"tasks": [{"match": "follow me", "turn": {"steps": [step]}}]})
    with terminal(shared, "create", "follow me", "--follow") as followed:
        followed.read_until("No, never")
        assert "cd shop" in followed.drawn and "rm -rf /srv" in followed.drawn
        followed.read_until("asks you")
        task_id = followed.drawn.split()[0]
        shared("answer", task_id, "deny", code=0)
        assert followed.wait() == 0
    assert followed.drawn.count("rm -rf /srv") == 1


@pytest.mark.slow
def test_show_cuts_nothing_on_a_terminal(shared: Cli) -> None:
    said = "a long prompt " + "word " * 200 + "\n" * 3 + "its end"
    why = "no room " * 60 + "at the end"
    shared.set_script({"tasks": [{"match": "a long prompt", "create_sandbox": {"fail": why, "retryable": False}}]})
    task_id = shared("create", said, code=0).out.strip()
    shared("watch", task_id, "--for", "idle", code=4)
    with terminal(shared, "show", task_id) as shown:
        shown.read_until("its end")
        drawn = " ".join(shown.drawn.split())
        assert " ".join(why.split()) in drawn and " ".join(said.split()) in drawn
        assert shown.wait() == 0


def test_a_form_is_not_sent_with_nothing_filled_in(shared: Cli) -> None:
    fields = [{"name": "colour", "type": "string"}, {"name": "size", "type": "string"}]
    shared.set_script({"tasks": [{"match": "all optional", "turn": {"steps": [{"form": "Which?", "fields": fields}]}}]})
    task_id = shared.create("all optional", wait="running")["task_id"]
    shared("watch", task_id, "--for", "idle", "--timeout", "30s", code=WAITING)
    assert ["title Which?"] in [row[1:] for row in shared("show", task_id, code=0).rows if "question" in row[0]]
    refused = shared("answer", task_id, "allow", code=1).err
    assert "nothing is filled in" in refused and "colour: text" in refused
    shared("answer", task_id, "--set", "colour=", code=0)
    shared("watch", task_id, "--for", "idle", "--timeout", "30s", code=0)
