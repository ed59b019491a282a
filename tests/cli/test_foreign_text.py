"""Whatever a prompt, an agent or a backend says, no control sequence of theirs reaches a person's terminal."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import Terminal, terminal
from tests.git import make_repository

pytestmark = pytest.mark.slow

HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07\x1b]2;evil\x1b\\\x1b[2J\x1b[5;31m\x9b31m\x08\x7f\u202eevil\u2066\u2028\ufdd0 [red]x[/]"
)
OURS = re.compile(r"\x1b\[(?:(?!5;31m|2J)[0-9;]*m|[0-9]+A|\?25[lh]|2K|0J)")
OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def drawn_raw(shown: Terminal) -> str:
    """All that a command writes to its terminal until it ends."""
    data = b""
    while True:
        try:
            piece = os.read(shown.master, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        data += piece
    shown.process.wait(30)
    return data.decode("utf-8")


def check(text: str, words: tuple[str, ...]) -> None:
    rest = OURS.sub("", text)
    found = OBEYED.search(rest)
    assert found is None, (words, rest[max(0, found.start() - 80) : found.end() + 20])


def test_no_command_hands_control_sequences_to_the_terminal(cli: Cli, tmp_path: Path) -> None:
    repo = make_repository(tmp_path / f"evil{chr(27)}]2;x{chr(7)}repo")
    edit = {"path": f"a{HOSTILE}", "old": f"{HOSTILE}\n", "new": f"x{HOSTILE}\n"}
    options = [
        {"option_id": f"o{HOSTILE}", "name": HOSTILE, "kind": "allow_once"},
        {"option_id": "deny", "name": HOSTILE, "kind": "reject_once"},
    ]
    steps = [
        {"message": HOSTILE},
        {"tool": HOSTILE, "text": HOSTILE, "edit": edit},
        {
            "permission": HOSTILE,
            "text": f"{HOSTILE}\n{HOSTILE}",
            "edits": [edit],
            "paths": [HOSTILE],
            "options": options,
        },
    ]
    cli.set_script(
        {
            "tasks": [
                {"match": "failing", "create_sandbox": {"fail": HOSTILE, "retryable": False, "log": [HOSTILE]}},
                {"match": "asking", "turn": {"steps": steps, "log": [HOSTILE]}, "would_lose": [HOSTILE]},
            ]
        }
    )
    prompt = HOSTILE.replace("\x00", "")
    failing = cli("create", f"failing {prompt}", "--repo", str(repo), code=0).out.strip()
    cli("watch", failing, "--for", "idle", code=4)
    asking = cli("create", f"asking {prompt}", code=0).out.strip()
    cli("watch", asking, "--for", "idle", code=7)
    for words in (
        ("list",),
        ("list", "--json"),
        ("show", failing),
        ("show", failing, "--json"),
        ("show", asking),
        ("history",),
        ("history", failing, "--json"),
        ("logs", failing),
        ("logs", asking, "--json"),
        ("watch", failing, "--for", "idle"),
        ("watch", asking, "--for", "idle"),
        ("watch", asking, "--for", "idle", "--json"),
        ("diff", asking),
        ("path", asking),
        ("status",),
        ("doctor",),
        ("config", "show"),
        ("answer", asking, f"no{HOSTILE}".replace("\x00", "")),
        ("show", f"no{HOSTILE}".replace("\x00", "")),
        ("rename", asking, f"no{HOSTILE}".replace("\x00", "")),
        ("create", f"asking {prompt}", "--wait", "idle"),
        ("create", f"failing {prompt}", "--follow", "--repo", str(repo)),
        (f"nosuch{HOSTILE}".replace("\x00", ""),),
        ("archive", asking, "--yes"),
        ("kill", asking, "--yes"),
        ("answer", asking, "allow"),
    ):
        with terminal(cli, *words) as shown:
            text = drawn_raw(shown)
            check(text, words)
            assert len(words) < 2 or words[1] != failing or "␛" in text or "u001b" in text
    for row in cli("list", code=0).rows:
        assert len(row) == 8
    for words in (("list",), ("show", failing), ("history",), ("logs", failing)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", cli(*words, code=0).out)
    told = json.loads(cli("show", failing, "--json", code=0).out)
    assert told["prompt"] == f"failing {prompt}", "JSON in a pipe is exact"


def test_a_title_with_control_characters_is_refused_in_words(shared: Cli) -> None:
    refused = shared("create", "a prompt", "--title", "a\x1b[2Jb", code=1)
    assert "U+001B" in refused.err and "title" in refused.err.lower()
    task_id = shared.create("another prompt")["task_id"]
    assert "U+0007" in shared("rename", task_id, "a\x07b", code=1).err


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LANG": "de_DE.ISO-8859-1"}, {"LANG": "C"}])
def test_a_locale_that_is_not_utf_8_is_told_in_ascii(shared: Cli, locale: dict[str, str]) -> None:
    shared.set_script({})
    task_id = shared.create("prüfe das … 日本")["task_id"]
    for words in (("list",), ("show", task_id), ("doctor",), ("history", task_id)):
        with terminal(shared, *words, **{"LANG": "", **locale}) as shown:
            text = drawn_raw(shown)
            assert text.isascii() and "Traceback" not in text and len(text) > 20
    assert "日本" in shared("list", environ=locale, code=0).out, "a pipe gets what it says"
