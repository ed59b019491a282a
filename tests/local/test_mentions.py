"""Commands and files of an agent: kept over a kill of the backend, listed from its worktree, handed over right."""

import json
import os
from pathlib import Path

from tests.backend.process import BackendProcess
from tests.local.test_backend import create, is_idle
from tests.local.world import LocalWorld

COMMANDS = [{"name": "review", "description": "Reviews", "input": {"hint": "what"}}]


def test_commands_outlive_the_backend_and_files_of_any_name_are_handed_over(
    world: LocalWorld, backend: BackendProcess
) -> None:
    update = {"sessionUpdate": "available_commands_update", "availableCommands": COMMANDS}
    task_id = create(backend, world, f"edit new.txt hello\nupdate {json.dumps(update)}")
    task = is_idle(backend, task_id)
    folder = os.fsencode(task["sandbox"]["cwd"])
    for name in (b"caf\xe9.txt", b"a\nb c.txt"):
        Path(os.fsdecode(folder + b"/" + name)).write_text("")
    backend.kill()
    backend.start()
    session_id = task["sessions"][0]["session_id"]
    assert backend.get(f"/v1/sessions/{session_id}")["commands"] == [
        {"name": "review", "description": "Reviews", "hint": "what"}
    ]
    paths = backend.get(f"/v1/tasks/{task_id}/files", newer=0)["paths"]
    assert paths == [".gitignore", "a.txt", "b.txt", "a\nb c.txt", '"caf\\351.txt"', "new.txt"]
    said = {
        "prompt_id": "p",
        "text": "/review it",
        "attachments": [{"kind": "file", "path": path} for path in paths[3:5]],
    }
    backend.post(f"/v1/sessions/{session_id}/prompts", said)
    is_idle(backend, task_id, 2)
    text, *links = world.agent_saw("session/prompt")[-1]["params"]["prompt"]
    assert text == {"type": "text", "text": "/review it"}
    uri = f"file://{task['sandbox']['cwd']}"
    assert [link["uri"] for link in links] == [f"{uri}/a%0Ab%20c.txt", f"{uri}/caf%E9.txt"]
    assert [link["name"] for link in links] == ["a\nb c.txt", '"caf\\351.txt"']
