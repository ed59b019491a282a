"""`status`: the backend, the tasks, and the same figures of connections as the diagnostics screen."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from foundry_tui.client.statistics import Diagnostics
from tests.bench.terminal import Terminal
from tests.cli.command_line import Cli
from tests.world import FOUNDRY, Json

SHAPE = {field.encode_name for field in msgspec.structs.fields(Diagnostics)}


@contextmanager
def app(cli: Cli) -> Iterator[Terminal]:
    """The app in a terminal, its list filled."""
    with Terminal([str(FOUNDRY)], cli.environ, cwd=cli.repository, rows=30) as terminal:
        terminal.wait_for("live")
        yield terminal


def test_diagnostics_are_those_of_a_client_that_has_the_list(shared: Cli) -> None:
    shared.create("something to count")
    found = shared("status", "--json", code=0).json
    assert {"backend", "seq", "tasks", "statuses", "needs_input", "unread", "repos"} <= found.keys()
    report = found["diagnostics"]
    assert report.keys() == SHAPE
    assert msgspec.convert(report, Diagnostics).tasks == found["tasks"]
    assert report["freshness"]["state"] == "live"
    (topic,) = report["topics"]
    assert (topic["topic"], topic["listeners"], topic["link"], topic["last_refresh"]) == (
        "tasks",
        1,
        "live",
        "bootstrap",
    )
    assert (topic["connections"], topic["reconnects"], topic["snapshots"]) == (1, 0, 1)
    assert topic["bytes"] > 100
    assert [event["kind"] for event in report["log"]] == ["connecting", "live"]
    assert found["apps"] == []


def test_the_table_says_how_the_connection_is(shared: Cli) -> None:
    facts = dict(shared("status", code=0).rows)
    assert facts["connection"] == "live, 1 topic, 0 reconnects"


@pytest.mark.slow
def test_what_a_running_app_shows_is_told_from_outside(cli: Cli) -> None:
    task = cli.create("look at this")
    with app(cli) as terminal:
        terminal.press("\r")
        terminal.wait_for("Ready for the next prompt")
        cli("rename", task["task_id"], "Looked at", code=0)
        terminal.wait_for("Looked at")
        (found,) = _apps(cli)
        assert found["pid"] == terminal.pid
        assert found["backend"] == f"unix:{cli.socket}"
        report = found["diagnostics"]
        assert report.keys() == SHAPE
        topics = {topic["topic"]: topic for topic in report["topics"]}
        assert topics["tasks"]["link"] == topics[f"task:{task['task_id']}"]["link"] == "live"
        assert topics["tasks"]["events_applied"] >= 1
        assert topics["tasks"]["latency"]["count"] >= 1
        assert f"app.{terminal.pid}" in dict(cli("status", code=0).rows)
        assert [path.stat().st_mode & 0o077 for path in (cli.socket.parent,)] == [0]
    assert _apps(cli) == []
    assert not _sockets(cli), "an app that was left leaves nothing"


def test_the_socket_of_an_app_that_was_killed_is_removed(cli: Cli) -> None:
    with app(cli) as terminal:
        os.kill(terminal.pid, 9)
        while terminal.pump(5):
            pass
        assert _sockets(cli)
        assert _apps(cli) == []
        assert not _sockets(cli)


def _apps(cli: Cli) -> list[Json]:
    found: list[Json] = cli("status", "--json", code=0).json["apps"]
    return found


def _sockets(cli: Cli) -> list[Path]:
    return list(cli.socket.parent.glob("app-*.sock"))
