"""What goes with prompts and new tasks on the client's side: in files of its own until the backend has it."""

from pathlib import Path

from msgspec.structs import replace

from foundry_tui.client.creations import files_key
from foundry_tui.contract import codec
from foundry_tui.contract.attachments import ImageAttachment, NewAttachments, TextAttachment, told
from foundry_tui.contract.records import PromptState
from foundry_tui.contract.requests import CreatePrompt, CreateTask
from tests.client.app import REQUEST, App, with_app, with_ids
from tests.client.transport import Backend, until

IMAGE = ImageAttachment(mime="image/png", data=bytes(3 * 1024 * 1024), name="shot.png")
NOTES = TextAttachment(name="notes.txt", text="look here")
PROMPT_PATH = "/v1/sessions/session-1/prompts"


def files(keep: Path) -> list[Path]:
    folder = keep.with_name(f"{keep.name}.attachments")
    return sorted(folder.iterdir()) if folder.exists() else []


def asked_offline(keep: Path) -> Backend:
    """What is left of an app that asked for a task and a prompt with attachments while nobody answered."""
    backend = Backend()
    backend.world.create(with_ids(1))

    async def test(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        task_id = app.commands.create(replace(REQUEST, attachments=(IMAGE,)))
        app.commands.drafts.put(files_key(task_id), REQUEST)
        app.commands.prompt("session-1", "and this", attachments=[IMAGE, NOTES])
        (creation,) = app.store.creations.values()
        (first,) = app.store.session(creation.session_id).prompts  # type: ignore[union-attr]
        assert first.attachments == (told(IMAGE),)
        await until(lambda: len(files(keep)) == 2 and b"and this" in keep.read_bytes())

    with_app(test, backend, keep)
    return backend


def test_they_outlive_the_app_and_are_sent_whole(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    backend = asked_offline(keep)
    assert keep.stat().st_size < 10_000
    assert all(file.stat().st_mode & 0o077 == 0 for file in files(keep))
    backend.down = False

    async def test(app: App) -> None:
        (waiting,) = app.foundry.outbox.prompts.values()
        assert waiting.attachments == (told(IMAGE), told(NOTES))
        await until(lambda: not app.foundry.outbox.unanswered())
        await until(lambda: not files(keep))
        assert b"files:" not in keep.read_bytes()

    with_app(test, backend, keep)
    sent = [codec.decode(call.body, CreatePrompt).attachments for call in backend.asked("POST", PROMPT_PATH)]
    assert sent[-1] == (IMAGE, NOTES)
    made: list[NewAttachments] = [
        codec.decode(call.body, CreateTask).attachments for call in backend.asked("POST", "/v1/tasks")
    ]
    assert made[-1] == (IMAGE,)


def test_what_cannot_be_read_any_more_is_said_and_not_sent(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    backend = asked_offline(keep)
    for file in files(keep):
        file.unlink()
    backend.down = False

    async def test(app: App) -> None:
        await until(lambda: len(app.problems) == 2)
        assert all("shot.png" in problem.message for problem in app.problems)
        (kept,) = app.foundry.outbox.prompts.values()
        assert (kept.text, kept.state) == ("and this", PromptState.FAILED)

    with_app(test, backend, keep)
    assert not backend.asked("POST", PROMPT_PATH)
    assert not backend.asked("POST", "/v1/tasks")
