"""What goes with a prompt, as agents get it: content blocks of what they take, once, also over kills."""

import base64
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from backend_stub.agents.sandbox_agent.content import Content, Receiver, content_of
from foundry_tui.contract.attachments import FileAttachment, ImageAttachment, NewAttachment, TextAttachment
from foundry_tui.contract.records import Accepts
from tests.backend.process import BackendProcess
from tests.contract.test_http_prompts import wait_prompts
from tests.local.test_backend import create, is_idle, texts
from tests.local.world import LocalWorld, open_gate

IMAGE = ImageAttachment(mime="image/png", data=b"\x89PNG", name="shot.png")
TEXT = TextAttachment(name="notes.md", text="a fence:\n```\nits text\n```\n")


def content(folder: Path, *attachments: NewAttachment, accepts: Accepts = Accepts()) -> Content:  # noqa: B008
    made = content_of("p", "do it", attachments, Receiver("pi", accepts, str(folder), folder / "aside"))
    assert made.blocks[0] == {"type": "text", "text": "do it"}
    return Content(made.blocks[1:], made.notices)


def test_an_agent_gets_images_and_texts_as_it_takes_them(tmp_path: Path) -> None:
    takes_all = content(tmp_path, IMAGE, TEXT, accepts=Accepts(image=True, embedded=True))
    assert takes_all.blocks == (
        {"type": "image", "mimeType": "image/png", "data": "iVBORw=="},
        {
            "type": "resource",
            "resource": {"uri": "attachment:///notes.md", "mimeType": "text/plain", "text": TEXT.text},
        },
    )
    assert takes_all.notices == ()
    takes_none = content(tmp_path, IMAGE, TEXT)
    assert takes_none.blocks == ({"type": "text", "text": "notes.md:\n````\na fence:\n```\nits text\n```\n````"},)
    assert takes_none.notices == ("pi takes no images: the prompt went without shot.png.",)


def test_files_are_links_within_the_sandbox(tmp_path: Path) -> None:
    sandbox, outside = tmp_path / "sandbox", tmp_path / "outside.txt"
    (sandbox / "a b").mkdir(parents=True)
    outside.write_text("secret")
    (sandbox / "a b" / "ü.txt").write_text("12345")
    (sandbox / "out").symlink_to(outside)
    (sandbox / "in").symlink_to("a b")
    (sandbox / "loop").symlink_to("loop")
    paths = ["a b/ü.txt", f"{sandbox}/in", "missing.py", "out", str(outside), "loop", "a b/ü.txt/x"]
    made = content(sandbox, *(FileAttachment(path=path) for path in paths))
    uri = sandbox.as_uri()
    assert made.blocks == (
        {
            "type": "resource_link",
            "uri": f"{uri}/a%20b/%C3%BC.txt",
            "name": "ü.txt",
            "size": 5,
            "mimeType": "text/plain",
        },
        {"type": "resource_link", "uri": f"{uri}/in", "name": "in"},
    )
    assert [notice.partition(":")[0] for notice in made.notices] == [
        "missing.py is not in the sandbox",
        "out leads out of the sandbox",
        f"{outside} leads out of the sandbox",
        "loop cannot be looked at (it leads to itself)",
        "a b/ü.txt/x is not in the sandbox",
    ]


def test_what_no_request_has_room_for_is_given_as_a_file(tmp_path: Path) -> None:
    image = ImageAttachment(mime="image/png", data=bytes(1024 * 1024), name="../a shot.png")
    made = content(tmp_path, image, image, accepts=Accepts(image=True))
    place = tmp_path / "aside" / "p-1" / "_a_shot.png"
    assert place.read_bytes() == image.data
    assert [block["type"] for block in made.blocks] == ["image", "resource_link"]
    assert made.blocks[1]["uri"] == place.as_uri()
    assert made.notices == ("../a shot.png is too large to be in a prompt: pi got it as a file.",)


@pytest.mark.slow
def test_the_agent_is_given_all_of_it_once_over_a_kill_before_it_is(world: LocalWorld, backend: BackendProcess) -> None:
    fitting, large = bytes(1024 * 1024), bytes(7 * 1024 * 1024)
    images = [
        {"kind": "image", "mime": "image/png", "data": base64.b64encode(data).decode()} for data in (fitting, large)
    ]
    gate = world.folder / "gate"
    os.mkfifo(gate)
    task_id = create(backend, world, f"wait {gate}", attachments=[{"kind": "file", "path": "a.txt"}])
    session_id = backend.wait_task(task_id, "running")["sessions"][0]["session_id"]
    said = {"prompt_id": "p", "text": "say seen", "attachments": [{"kind": "file", "path": "not/there"}, *images]}
    backend.post(f"/v1/sessions/{session_id}/prompts", said)
    backend.kill()
    backend.start()
    open_gate(gate)
    task = is_idle(backend, task_id, 2)
    first, second = [entry["params"]["prompt"] for entry in world.agent_saw("session/prompt")]
    assert [block["type"] for block in first] == ["text", "resource_link"]
    assert [block["type"] for block in second] == ["text", "image", "resource_link"]
    assert base64.b64decode(second[1]["data"]) == fitting
    assert Path(unquote(urlsplit(second[2]["uri"]).path)).read_bytes() == large
    assert texts(backend, task, "notice") == [
        "not/there is not in the sandbox: the prompt went without it.",
        "image.png is too large to be in a prompt: pi got it as a file.",
    ]

    said = {"prompt_id": "q", "text": "fail no more tokens", "attachments": images[:1]}
    backend.post(f"/v1/sessions/{session_id}/prompts", said)
    backend.wait_task(task_id, "error")
    backend.post(f"/v1/tasks/{task_id}/retry", {"resend": True})
    states = ["failed", "failed"]
    prompts = wait_prompts(backend, session_id, lambda prompts: [each["state"] for each in prompts[2:]] == states)
    assert [each["attachments"] for each in prompts[2:]] == [prompts[2]["attachments"]] * 2
    again = [entry["params"]["prompt"] for entry in world.agent_saw("session/prompt")][2:]
    assert again[0] == again[1]
    assert again[0][1]["type"] == "image"
