"""The outbox of another version, or a damaged one: what can be read is done, the rest is kept, and it is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.client.creations import Creation, CreationState
from foundry_tui.client.kept_attachments import KeptAttachments
from foundry_tui.client.kept_commands import Retry
from foundry_tui.client.outbox import Outbox
from foundry_tui.contract.attachments import ImageAttachment
from foundry_tui.contract.requests import CreateTask
from tests.client.app import App, with_app
from tests.client.transport import Backend, until

REQUEST = CreateTask(repo="/repo", prompt="Mend it", task_id="task-1", session_id="session-1")
NEWER: dict[str, Any] = {
    "version": 7,
    "commands": {
        "promote:task-9": {"action": "promote", "task_id": "task-9", "options": {"to": "main"}},
        "run:task-9": {"action": "run", "task_id": "task-9"},
        "_restore:task-9": {"action": "_restore", "task_id": "task-9", "options": {}},
        "kill:task-8": {"action": "kill", "task_id": "task-8", "options": {"softly": True}},
        "archive:task-7": {"action": "archive", "task_id": "task-7", "options": {"force": [1]}},
    },
    "creations": {
        "task-5": {"request": {"repo": "/r", "prompt": "with more", "mood": "good"}, "state": "pending", "since": 1},
        "task-6": {"request": {"repo": "/r", "prompt": "elsewhere"}, "state": "delegated", "since": 1},
    },
    "drafts": {"/other": {"repo": "/other", "prompt": "half a thought of a newer version", "images": [1]}},
    "letters": {"a": "what no part is for here"},
}
"""What another version may have written, with actions, fields, states and parts that are not ours."""

COMMANDS: dict[str, Any] = {
    "retry:t": {"action": "retry", "task_id": "t", "options": {"resend": True}},
    "archive:t": {"action": "archive", "task_id": "t", "options": {"force": True}},
    "kill:t": {"action": "kill", "task_id": "t", "options": {"force": False, "delete_branch": True}},
    "prune:t": {"action": "prune", "task_id": "t", "options": {}},
    "rename:t": {"action": "rename", "task_id": "t", "options": {"title": "Mend it"}},
    "answer:q": {"action": "answer", "task_id": "q", "options": {"option_id": "1"}},
    "edit_prompt:p": {"action": "edit_prompt", "task_id": "p", "options": {"session_id": "s", "text": "x"}},
    "withdraw_prompt:p": {"action": "withdraw_prompt", "task_id": "p", "options": {"session_id": "s"}},
    "set_option:s:mode": {"action": "set_option", "task_id": "s", "options": {"option_id": "mode", "value": "plan"}},
    "operate:t:o": {
        "action": "operate",
        "task_id": "t",
        "options": {"request": {"kind": "commit", "message": "m", "operation_id": "o"}},
    },
    "cancel_operation:t:o": {"action": "cancel_operation", "task_id": "t", "options": {"operation_id": "o"}},
}
"""One of each command, as every version has written it."""


def kept(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_what_another_version_kept_stops_nothing_and_is_kept_and_said(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    ours = Outbox(keep)
    ours.put_creation(Creation(request=REQUEST, state=CreationState.PENDING, since=1))
    ours.put("/repo", CreateTask(repo="/repo", prompt="half a thought"))
    ours.write(ours.take())
    mixed = {**kept(keep), **{part: NEWER[part] for part in ("version", "letters", "commands")}}
    for part in ("creations", "drafts"):
        mixed[part] = {**mixed[part], **NEWER[part]}
    keep.write_text(json.dumps(mixed))

    async def test(app: App) -> None:
        await until(lambda: "task-1" in app.store.tasks)
        await until(lambda: any(problem.action == "keep" for problem in app.problems))
        (said,) = [problem.message for problem in app.problems if problem.action == "keep"]
        assert "9 things" in said
        assert str(keep) in said
        draft = app.commands.drafts.get("/repo")
        assert draft is not None
        assert draft.prompt == "half a thought"
        app.commands.drafts.put("/new", CreateTask(repo="/new", prompt="another"))

    with_app(test, keep=keep)
    after = kept(keep)
    for part in ("commands", "letters", "version"):
        assert after[part] == NEWER[part]
    for part in ("creations", "drafts"):
        assert NEWER[part].items() <= after[part].items()
    assert "task-1" not in after["creations"]
    assert set(after["drafts"]) == {"/other", "/repo", "/new"}


def test_commands_are_read_and_written_as_every_version_has_written_them(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    keep.write_text(json.dumps({"version": 1, "commands": COMMANDS}))
    outbox = Outbox(keep)
    assert not outbox.remarks
    assert {key: command.key for key, command in outbox.commands.items()} == {key: key for key in COMMANDS}
    outbox.put_all()
    outbox.write(outbox.take())
    after = kept(keep)["commands"]
    assert {key: each["task_id"] for key, each in after.items()} == {
        key: each["task_id"] for key, each in COMMANDS.items()
    }
    assert after.keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"creations": 3}',
        b'{"drafts": []}',
        b"\0" * 4096,
    ],
)
def test_what_is_no_outbox_is_put_aside_and_said(tmp_path: Path, document: bytes) -> None:
    keep = tmp_path / "outbox.json"
    for turn in range(2):
        keep.write_bytes(document)

        async def test(app: App) -> None:
            await until(lambda: any(problem.action == "keep" for problem in app.problems))
            app.commands.drafts.put("/repo", REQUEST)

        with_app(test, keep=keep)
        aside = tmp_path / f"outbox.json.damaged{turn or ''}"
        assert aside.read_bytes() == document
        assert b"Mend it" in keep.read_bytes()


def test_a_path_that_is_no_text_spoils_nothing_of_another_version(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    keep.write_text(json.dumps(NEWER))
    folder = b"/caf\xe9".decode("utf-8", "surrogateescape")
    outbox = Outbox(keep)
    outbox.put(folder, CreateTask(repo=folder, prompt="half a thought"))
    outbox.put_command(Retry("task-1"))
    outbox.write(outbox.take())
    after = kept(keep)
    assert after["letters"] == NEWER["letters"]
    assert NEWER["creations"].items() <= after["creations"].items()
    assert "retry:task-1" in after["commands"]
    assert "promote:task-9" in after["commands"]


IMAGE = (ImageAttachment(name="a.png", mime="image/png", data=b"a picture"),)


def test_what_goes_with_a_damaged_outbox_is_put_aside_with_it(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    ours = Outbox(keep)
    ours.put_creation(Creation(request=REQUEST, state=CreationState.PENDING, since=1), IMAGE)
    ours.write(ours.take())
    keep.write_bytes(keep.read_bytes()[:-1])
    later = Outbox(keep)
    later.put("/repo", REQUEST)
    later.write(later.take())
    assert b"Mend it" in (tmp_path / "outbox.json.damaged").read_bytes()
    assert KeptAttachments(tmp_path / "outbox.json.damaged.attachments").read("task-1") == IMAGE


@pytest.mark.parametrize("document", [None, b"", b"{"], ids=["removed", "emptied", "damaged"])
def test_an_outbox_that_is_lost_while_the_app_runs_is_written_again_whole(
    tmp_path: Path, document: bytes | None
) -> None:
    keep = tmp_path / "outbox.json"
    backend = Backend()
    backend.down = True

    async def test(app: App) -> None:
        app.commands.create(REQUEST)
        await until(lambda: keep.exists())
        if document is None:
            keep.unlink()
        else:
            keep.write_bytes(document)
        app.commands.drafts.put("/repo", CreateTask(repo="/repo", prompt="half a thought"))
        await until(lambda: keep.exists() and b"task-1" in keep.read_bytes())
        assert "/repo" in kept(keep)["drafts"]
        said = [problem for problem in app.problems if problem.action == "keep"]
        assert len(said) == (document is not None), "what was put aside is said"

    with_app(test, backend, keep=keep)
