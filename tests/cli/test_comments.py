"""`comment` and `comments` on a task whose changes are real, from several commands at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.command_line import Cli

pytestmark = pytest.mark.slow


def test_comments_are_kept_until_they_are_sent_together(cli: Cli) -> None:
    words = ("--provider", "local", "--wait", "ensure_agent", "--timeout", "30s")
    task_id = cli("create", "change a file", *words, code=0).out.strip()
    folder = Path(cli("path", task_id, code=0).out.strip())
    (folder / "new.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    assert cli("comment", task_id, "./new.py:2-3", "why both?", code=0).out == "new.py:2-3\n"
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda word: cli("comment", task_id, "new.py:1", word, code=0), ("a", "b", "c")))
    rows = cli("comments", task_id, code=0).rows
    assert rows[0] == ["new.py:2-3", "current", "why both?"]
    assert sorted(row[2] for row in rows[1:]) == ["a", "b", "c"]
    (folder / "new.py").write_text("one = 1\ntwo = 22\nthree = 3\n")
    told = cli("comments", task_id, "--json", code=0).json["comments"]
    assert (told[0]["state"], told[0]["code"]) == ("outdated", "two = 2\nthree = 3")
    sent = cli("comments", task_id, "--send", "--json", code=0).json
    assert "**new.py:2-3** (they have changed since" in sent["text"]
    assert "```\none = 1\n```\na" in sent["text"]
    assert cli("comments", task_id, code=0).out == ""
    assert "no comment to send" in cli("comments", task_id, "--send", code=1).err
    cli("comment", task_id, "new.py:1", "and this?", code=0)
    cli("kill", task_id, "--force", code=0)
    cli("watch", task_id, "--for", "killed", "--timeout", "30s", code=0)
    cli("prune", task_id, "--yes", code=0)
    assert not list(cli.folder.rglob(f"*{task_id}.json*")), "what was not sent goes with its task"


def test_nothing_outside_of_the_sandbox_is_quoted(cli: Cli, tmp_path: Path) -> None:
    words = ("--provider", "local", "--wait", "ensure_agent", "--timeout", "30s")
    task_id = cli("create", "change a file", *words, code=0).out.strip()
    folder = Path(cli("path", task_id, code=0).out.strip())
    secret = tmp_path / "key"
    secret.write_text("open\nSECRET\n")
    (folder / "own.txt").write_text("inside\n")
    (folder / "inner").symlink_to("own.txt")
    (folder / "notes.txt").symlink_to(secret)
    (folder / "round").symlink_to("round")
    (folder / "above").symlink_to(tmp_path, target_is_directory=True)
    for path in ("notes.txt", "above/key", str(secret), f"../../../../../../../../../../..{secret}"):
        refused = cli("comment", task_id, f"{path}:2", "why?", code=1)
        assert "leads out of the sandbox" in refused.err
    # A link that is changed is what its diff has: where it leads to.
    for path in ("notes.txt", "inner", str(folder / "own.txt"), "round", "not there"):
        cli("comment", task_id, f"{path}:1", "why?", code=0)
    told = cli("comments", task_id, "--json", code=0).json["comments"]
    assert [each["path"] for each in told] == ["notes.txt", "inner", "own.txt", "round", "not there"]
    assert [each["code"] for each in told] == [str(secret), "own.txt", "inside", "round", ""]


def test_a_file_without_lines_is_commented_on_as_a_whole(cli: Cli) -> None:
    words = ("--provider", "local", "--wait", "ensure_agent", "--timeout", "30s")
    task_id = cli("create", "change a file", *words, code=0).out.strip()
    folder = Path(cli("path", task_id, code=0).out.strip())
    (folder / "logo.png").write_bytes(b"\0" * 900)
    assert cli("comment", task_id, str(folder / "logo.png"), "dull", code=0).out == "logo.png\n"
    for path in ("not there", "..", "../other", "/etc/passwd", ".git/config"):
        assert "no file of the task" in cli("comment", task_id, path, "why?", code=2).err
    assert cli("comments", task_id, code=0).rows == [["logo.png", "current", "dull"]]
    (told,) = cli("comments", task_id, "--json", code=0).json["comments"]
    assert (told["path"], told["lines"], told["code"]) == ("logo.png", "", "")
    sent = cli("comments", task_id, "--send", "--json", code=0).json
    assert sent["text"] == "A comment on your changes:\n\n**logo.png**\ndull"


def test_what_is_no_place_is_refused(shared: Cli) -> None:
    task_id = shared.create("be commented on")["task_id"]
    for place in ("a.py", "a.py:0", "a.py:5-2", ":3", "a.py:x", "a.py:" + "9" * 5_000):
        assert "no PATH:LINE" in shared("comment", task_id, place, "why", code=2).err
    assert "is empty" in shared("comment", task_id, "a.py:1", " ", code=2).err


def test_comments_that_cannot_be_kept_are_said_to_be_that(cli: Cli) -> None:
    task_id = cli.create()["task_id"]
    (cli.folder / "state").mkdir(exist_ok=True)
    (cli.folder / "state" / "foundry").mkdir()
    (cli.folder / "state" / "foundry" / "app.json.comments").write_text("a file in its place")
    for words in (("comment", task_id, "a.txt:1", "why?"), ("comments", task_id), ("comments", task_id, "--send")):
        refused = cli(*words, code=1)
        assert refused.err == "foundry: comments cannot be kept: Not a directory\n"


def test_comments_that_were_damaged_are_put_aside_and_said(cli: Cli) -> None:
    task_id = cli.create()["task_id"]
    cli("comment", task_id, "a.txt:1", "why?", code=0)
    (file,) = (cli.folder / "state" / "foundry" / "app.json.comments").glob("*.json")
    file.write_bytes(file.read_bytes()[:-1])
    assert f"{file}.damaged" in cli("comments", task_id, code=1).err
    assert cli("comments", task_id, code=0).out == ""
    cli("comment", task_id, "a.txt:1", "and why?", code=0)
    assert b"why?" in Path(f"{file}.damaged").read_bytes()
