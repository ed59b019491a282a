"""What is typed into the app in a terminal, all at once: nothing of it is lost, and nothing of it is a command."""

import httpx
import pytest

from tests.cli.command_line import Cli
from tests.cli.terminal import terminal


@pytest.mark.slow
def test_a_task_and_its_next_prompts_in_one_burst(cli: Cli) -> None:
    with terminal(cli) as shown:
        shown.read_until("No tasks yet")
        shown.type(b"nfix the vault: xsa\x13iask xsa/n\rW1\nW2\r\x1b[200~not\nsent\x1b[201~")
        shown.read_until("sent")
        shown.type(b"\x11")
        assert shown.wait() == 0
    (task,) = cli("list", "--json", code=0).json["tasks"]
    (session,) = task["sessions"]
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(cli.socket)), base_url="http://foundry") as backend:
        prompts = backend.get(f"/v1/sessions/{session['session_id']}").json()["prompts"]
    assert [prompt["text"] for prompt in prompts] == ["fix the vault: xsa", "ask xsa/n", "W1\nW2"]
    assert task["status"].startswith("init_") or task["status"] in ("running", "idle")
