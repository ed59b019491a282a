"""However the app ends, it does end, within seconds, and what was written is there the next time."""

import json
import os
import signal
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from foundry_tui.process.backend import wait_for_exit
from tests.cli.command_line import Cli
from tests.cli.terminal import Terminal, own_terminal, terminal
from tests.waiting import until_seen

pytestmark = pytest.mark.slow

QUIT = b"\x11"
EDIT = b"\x05"
ESCAPE = b"\x1b"
WRITTEN = "never lose this"


def drafts(cli: Cli) -> list[str]:
    """The prompts that are kept."""
    path = cli.folder / "state" / "foundry" / "app.json"
    kept = json.loads(path.read_text())["drafts"] if path.exists() else {}
    return [draft["prompt"] for draft in kept.values()]


def script(path: Path, *lines: str) -> str:
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def close(shown: Terminal) -> None:
    """Close the dialog, and leave."""
    shown.drawn = ""
    shown.type(ESCAPE)
    shown.read_until("No tasks yet")
    shown.type(QUIT)
    assert shown.wait() == 0


def write(shown: Terminal, text: str = WRITTEN) -> None:
    """Open the dialog and write a prompt."""
    shown.read_until("live")
    shown.type(b"n")
    shown.read_until("Stay open")
    shown.type(text.encode())
    shown.read_until(text.rpartition(" ")[2])


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("false", "false ended with exit code 1; the prompt is as it was"),
        ('"unfinished', "No editor could be started: No closing quotation"),
    ],
    ids=["fails", "misspelt"],
)
def test_an_editor_that_fails_gives_the_dialog_back_as_it_was(cli: Cli, editor: str, said: str) -> None:
    with terminal(cli, EDITOR=editor) as shown:
        write(shown)
        shown.type(EDIT)
        shown.read_until(said)
        shown.type(b" either")
        shown.read_until("either")
        close(shown)
    assert set(drafts(cli)) == {f"{WRITTEN} either"}


def test_what_an_editor_saved_before_it_failed_is_told(cli: Cli) -> None:
    editor = script(cli.folder / "editor", 'echo more >> "$1"', "exit 3")
    with terminal(cli, EDITOR=editor, TMPDIR=str(cli.runtime)) as shown:
        write(shown)
        shown.type(EDIT)
        shown.read_until("what it saved is in")
        (saved,) = cli.runtime.glob("foundry-*.md")
        assert saved.read_text() == f"{WRITTEN}more\n"


def test_a_process_that_was_stopped_goes_on(cli: Cli) -> None:
    with terminal(cli) as shown:
        write(shown)
        tasks = Path(f"/proc/{shown.process.pid}/task")
        for _ in range(4):
            shown.drawn = ""
            shown.process.send_signal(signal.SIGSTOP)
            shown.read_until_so(
                lambda: (tasks.parent / "stat").read_text().rpartition(")")[2].split()[0] == "T", "stop"
            )
            shown.process.send_signal(signal.SIGCONT)
            shown.read_until("New task")
        shown.type(b" after all")
        shown.read_until("after all")
        close(shown)


@pytest.mark.parametrize(
    ("opened", "keys", "drawn"),
    [
        (own_terminal, b"n", "Stay open"),
        (own_terminal, b"?", "Keys of this screen"),
        (terminal, b"n", "Stay open"),
        (terminal, b"", "live"),
    ],
    ids=["told-new-task", "told-help", "untold-new-task", "untold-list"],
)
def test_a_terminal_that_is_closed_ends_the_app(
    cli: Cli, opened: Callable[[Cli], AbstractContextManager[Terminal]], keys: bytes, drawn: str
) -> None:
    with opened(cli) as shown:
        shown.read_until("live")
        shown.type(keys)
        shown.read_until(drawn)
        shown.hang_up()
        assert shown.wait(15) == 128 + signal.SIGHUP


@pytest.mark.parametrize("end", ["closed", signal.SIGTERM, signal.SIGKILL])
def test_what_was_written_is_there_the_next_time(cli: Cli, end: "str | signal.Signals") -> None:
    with terminal(cli) as shown:
        write(shown)
        if isinstance(end, str):
            shown.hang_up()
        else:
            if end == signal.SIGKILL:
                shown.read_until_so(lambda: WRITTEN in drafts(cli), "it was not kept as it was written")
            shown.process.send_signal(end)
        shown.wait(15)
    with terminal(cli) as shown:
        shown.read_until("live")
        shown.type(b"n")
        shown.read_until(WRITTEN)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_what_an_open_editor_has_saved_is_there_the_next_time(cli: Cli, end: signal.Signals) -> None:
    pid = cli.folder / "pid"
    editor = script(
        cli.folder / "editor",
        'echo " and this" >> "$1"',
        f'echo $$ > "{pid}.new"; mv "{pid}.new" "{pid}"',
        "exec sleep 100",
    )
    with terminal(cli, EDITOR=editor) as shown:
        write(shown)
        shown.type(EDIT)
        shown.read_until_so(pid.exists, "no editor was opened")
        shown.process.send_signal(end)
        assert shown.wait(15) == 128 + end
    assert wait_for_exit(int(pid.read_text()), 5)
    assert f"{WRITTEN} and this" in drafts(cli)


def test_what_a_backend_that_froze_has_not_taken_is_told_and_goes_at_the_next_start_once(cli: Cli) -> None:
    session = cli.create()["sessions"][0]["session_id"]
    pid = cli("backend", "status", "--json", code=0).json["pid"]

    def prompts() -> list[str]:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(cli.socket)), base_url="http://foundry") as backend:
            return [prompt["text"] for prompt in backend.get(f"/v1/sessions/{session}").json()["prompts"]]

    with terminal(cli) as shown:
        shown.read_until("live")
        shown.type(b"\ri")
        shown.read_until("Say what to do next")
        os.kill(pid, signal.SIGSTOP)
        try:
            shown.type(WRITTEN.encode() + b"\r")
            shown.read_until("queued")
            shown.type(QUIT)
            shown.read_until("has not taken 1 prompt yet: kept, and handed over when Foundry is opened again", 15)
            assert shown.wait(5) == 0
        finally:
            os.kill(pid, signal.SIGCONT)
    with terminal(cli) as shown:
        shown.read_until("live")
        shown.read_until_so(lambda: WRITTEN in prompts(), "it was not handed over")
        shown.type(QUIT)
        assert shown.wait() == 0
        assert "has not taken" not in shown.drawn
    assert prompts().count(WRITTEN) == 1


def test_a_terminal_that_takes_nothing_more_does_not_keep_the_app(cli: Cli) -> None:
    with terminal(cli) as shown:
        write(shown)
        shown.read_until_so(lambda: WRITTEN in drafts(cli), "it was not kept as it was written")
        # each change of the dialog is drawn, and nobody reads that
        for _ in range(200):
            shown.type(b"\x0f")
        until_seen(shown.is_full)
        os.kill(shown.process.pid, signal.SIGTERM)
        assert shown.process.wait(15) == 128 + signal.SIGTERM
    assert WRITTEN in drafts(cli)


def test_what_was_archived_offline_at_the_last_moment_is_archived_at_the_next_start(cli: Cli) -> None:
    task_id = cli.create("mend the gate")["task_id"]
    with terminal(cli) as shown:
        shown.read_until("mend the gate")
        shown.read_until("live")
        cli("backend", "stop", code=0)
        shown.read_until("reconnecting")
        shown.type(b"a")
        shown.read_until("Press u to undo")
        shown.type(QUIT)
        assert shown.wait() == 0
    with terminal(cli) as shown:
        shown.read_until("live")
        cli("watch", task_id, "--for", "archived", "--timeout", "20", code=0)
