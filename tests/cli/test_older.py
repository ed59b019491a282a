"""Tasks that ended long ago: the list says that it leaves them out, and commands find them all the same."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backend_stub.storage.sqlite import FILE_NAME
from foundry_tui.cli.older import found_pages
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.connection import Target
from foundry_tui.contract.requests import NEWEST_ENDED
from tests.cli.command_line import Cli
from tests.many_tasks import multiply

LEFT_OUT = 25


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cli, list[str]]]:
    """A backend with so many ended tasks that some are left out, and the ids of those, newest first."""
    with Cli(Path(tmp_path_factory.mktemp("crowded"))) as cli:
        task_id = cli.create("fix the old chore")["task_id"]
        cli("archive", task_id, "--force", code=0)
        cli("watch", task_id, "--for", "archived", code=0)
        cli("backend", "stop", code=0)
        made = multiply(cli.data / FILE_NAME, task_id, NEWEST_ENDED + LEFT_OUT)
        yield cli, made[-LEFT_OUT:]


@pytest.mark.slow
def test_the_list_says_how_many_it_leaves_out_and_lists_all_when_asked(crowded: tuple[Cli, list[str]]) -> None:
    cli, older = crowded
    listed = cli("list", code=0)
    assert len(listed.rows) == NEWEST_ENDED
    assert f"{LEFT_OUT} older tasks, which have ended, are left out; all: foundry list --all" in listed.err
    assert cli("list", "--json", code=0).json["older"] == LEFT_OUT
    for words in (["--all"], ["--status", "archived"]):
        whole = cli("list", *words, code=0)
        assert [row[0] for row in whole.rows][-LEFT_OUT:] == older
        assert (len(whole.rows), whole.err) == (NEWEST_ENDED + LEFT_OUT, "")
    whole_json = cli("list", "--all", "--json", code=0).json
    assert (len(whole_json["tasks"]), whole_json["older"]) == (NEWEST_ENDED + LEFT_OUT, 0)
    living = cli("list", "--status", "failed", code=0)
    assert (living.out, living.err) == ("", ""), "what is asked for is listed whole"


def test_the_filter_finds_among_all(crowded: tuple[Cli, list[str]]) -> None:
    cli, older = crowded
    found = cli("list", "--filter", f"id:{older[-1]}", code=0)
    assert [row[0] for row in found.rows] == [older[-1]]
    assert cli("list", "--filter", "chore !old", "--json", code=0).json["tasks"] == []
    assert len(cli("list", "--filter", "chore", code=0).rows) == NEWEST_ENDED + LEFT_OUT


def test_a_task_that_is_left_out_is_meant_by_its_beginning_and_counted(crowded: tuple[Cli, list[str]]) -> None:
    cli, older = crowded
    assert cli("show", older[-1][:13], "--json", code=0).json["task_id"] == older[-1]
    assert cli("show", "nothing-like-that", code=3).out == ""
    status = cli("status", "--json", code=0).json
    assert (status["tasks"], status["older"]) == (NEWEST_ENDED + LEFT_OUT, LEFT_OUT)


class _Looks(BaseHTTPRequestHandler):
    """A backend that answers at once, but for a filter, for which it looks until it was asked twice how it is."""

    asked = threading.Semaphore(0)

    def do_GET(self) -> None:
        if self.path.startswith("/v1/tasks"):
            for _ in range(2):
                self.asked.acquire()
        else:
            self.asked.release()
        body = json.dumps({"seq": 1, "repos": [], "tasks": [], "older": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_a_filter_that_looks_through_very_many_is_waited_for_as_long_as_the_backend_answers() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Looks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = BlockingClient(Target(f"http://127.0.0.1:{server.server_port}"), patience=0.8)
        ((_, page),) = found_pages(client, "needle")
        server.shutdown()
    assert page.older == 0
