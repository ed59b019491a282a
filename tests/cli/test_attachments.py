"""`--attach`: images, files of the sandbox and texts, and what cannot be attached."""

from pathlib import Path

import pytest

from foundry_tui.contract.attachments import FileAttachment, ImageAttachment, NewAttachment, TextAttachment
from foundry_tui.process.attached_files import AttachError, Place, read_attachments
from tests.cli.command_line import Cli
from tests.git import git, make_repository

PNG = b"\x89PNG\r\n\x1a\n and so on"


def test_what_goes_with_a_prompt_is_shown_with_it(cli: Cli) -> None:
    cli.set_script({"agent": {"accepts": {"image": True}}, "default": {"turn": {"ms": 0}}})
    shot = cli.folder / "shot.png"
    shot.write_bytes(PNG)
    (cli.folder / "server.log").write_text("it failed\n")
    made = cli.foundry("create", "like this", "--attach", str(shot), "--attach", "../server.log", code=0)
    task_id = made.out.strip()
    cli.foundry("watch", task_id, "--for", "idle", code=0)
    assert cli.foundry("show", task_id, code=0).out.splitlines().count("attached\tshot.png, server.log") == 1
    first = cli.foundry("transcript", task_id, code=0).rows[0]
    assert first[3] == "like this attached: image shot.png (18 B), text server.log (10 B)"
    assert '"attachments":["shot.png","server.log"]' in cli.foundry("history", task_id, code=0).out

    cli.foundry("prompt", task_id, "and?", "--attach", str(shot), "--wait", code=0)
    cli.set_script({"default": {"turn": {"hang": "before"}}})
    cli.foundry("prompt", task_id, "hm", code=0)
    cli.foundry("prompt", task_id, "then", "--attach", str(shot), code=0)
    assert cli.foundry("queue", task_id, code=0).rows[-1][3] == "then attached: image shot.png (18 B)"


def test_what_cannot_be_attached_is_said_and_nothing_is_sent(cli: Cli) -> None:
    cli.set_script({"default": {"turn": {"ms": 0}}})
    task_id = cli.foundry("create", "begin", "--wait", "idle", code=0).out.splitlines()[0]
    (cli.folder / "shot.png").write_bytes(PNG)
    (cli.folder / "large.png").write_bytes(PNG + bytes(10 * 1024 * 1024))
    for file, words in (
        ("shot.png", "takes no images"),
        ("large.png", "8,388,608"),
        ("none.txt", "cannot be read: No such file"),
    ):
        refused = cli.foundry("prompt", task_id, "see", "--attach", str(cli.folder / file), code=1)
        assert words in refused.err
    assert "see" not in cli.foundry("transcript", task_id, code=0).out
    cli.foundry("create", "see", "--attach", str(cli.folder / "none.txt"), code=1)


def test_what_was_noted_of_a_turn_is_said_by_whoever_has_waited_for_it(cli: Cli) -> None:
    cli.set_script({"default": {"turn": {"ms": 0}}})
    shot = cli.folder / "shot.png"
    shot.write_bytes(PNG)
    made = cli.foundry("create", "like this", "--attach", str(shot), "--wait", "idle", "--json", code=0)
    noted = "takes no images"
    assert made.err.count(noted) == 1
    task_id = made.json["task_id"]
    assert cli.foundry("watch", task_id, code=0).err.count(noted) == 1
    assert cli.foundry("create", "like this", "--attach", str(shot), "--follow", code=0).err.count(noted) == 1
    assert noted not in cli.foundry("prompt", task_id, "go on", "--wait", code=0).err
    assert noted not in cli.foundry("watch", task_id, code=0).err, "it was noted of the turn before"


def read(file: Path, place: Place | None = None) -> NewAttachment:
    (attachment,) = read_attachments([file], place)
    return attachment


def test_a_file_is_attached_by_what_it_is_and_where(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    for name in ("known.py", "new.py", "drawing"):
        (repository / name).write_bytes(PNG if name == "drawing" else b"x = 1\n")
    git(repository, "add", "known.py")
    (tmp_path / "binary").write_bytes(b"\0\1")
    text = TextAttachment(name="new.py", text="x = 1\n")
    assert read(repository / "new.py", Place(repository)) == FileAttachment(path="new.py")
    assert read(repository / "known.py", Place(repository, repository=True)) == FileAttachment(path="known.py")
    assert read(repository / "new.py", Place(repository, repository=True)) == text
    assert read(repository / "new.py", Place(tmp_path / "elsewhere")) == text
    assert read(repository / "drawing") == ImageAttachment(mime="image/png", data=PNG, name="drawing")
    with pytest.raises(AttachError, match="neither an image nor text"):
        read(tmp_path / "binary")
    with pytest.raises(AttachError, match="is a folder"):
        read(repository)
    with pytest.raises(AttachError, match="too many"):
        read_attachments([repository / "new.py"] * 21, None)
