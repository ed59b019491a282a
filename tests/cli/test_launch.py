"""The way to the first picture: the client that is loaded when it is needed, the snapshot that is fetched before."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import cast

import pytest

from foundry_tui.cli.kept_file import kept_for
from foundry_tui.cli.startup.lazy_client import LazyClient
from foundry_tui.cli.startup.prefetch import PrefetchedSnapshot
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.connection import Target
from foundry_tui.client.foundry import Foundry
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.settings import paths
from tests.cli.command_line import Cli

pytestmark = pytest.mark.anyio


class Made:
    """What a client is asked for, recorded."""

    def __init__(self) -> None:
        self.on_problem: Callable[[CommandProblem], None] | None = None
        self.commands = self
        self.held: list[Topic] = []
        self.asked: list[str] = []

    def hold(self, topic: Topic) -> Callable[[], None]:
        self.held.append(topic)
        return lambda: self.held.remove(topic)

    def retry(self, task_id: str) -> None:
        self.asked.append(task_id)


def lazy() -> tuple[LazyClient, list[Made]]:
    made: list[Made] = []

    def make() -> Foundry:
        made.append(Made())
        return cast("Foundry", made[-1])

    return LazyClient(Store(), make), made


def test_what_was_asked_of_one_backend_is_not_kept_for_another() -> None:
    addresses = ["unix:/run/one.sock", "unix:/run/two.sock", "127.0.0.1:8420", "https://foundry.example.org/team"]
    files = [kept_for(Target.parse(address), own=False) for address in addresses]
    files.append(kept_for(Target.parse(addresses[0]), own=True))
    assert len(set(files)) == len(files)
    assert {file.parent for file in files} == {paths.state_dir()}
    assert kept_for(Target.parse(addresses[0], token="secret"), own=False) == files[0]


def test_holding_a_topic_loads_nothing_and_is_made_good() -> None:
    client, made = lazy()
    first, second = Topic(TopicKind.TASK, "a"), Topic(TopicKind.TASK, "b")
    release_first, release_second = client.hold(first), client.hold(second)
    release_first()
    assert made == []
    client.load()
    assert made[0].held == [second]
    release_third = client.hold(first)
    assert made[0].held == [second, first]
    for release in (release_second, release_second, release_first, release_third):
        release()
    assert made[0].held == []


def test_a_command_loads_the_client_once() -> None:
    client, made = lazy()
    client.commands.retry("a")
    client.commands.retry("b")
    assert [each.asked for each in made] == [["a", "b"]]


def test_problems_reach_whoever_listens_also_later() -> None:
    client, made = lazy()
    client.load()
    told: list[CommandProblem] = []
    problem = CommandProblem(action="retry", message="no")
    assert made[0].on_problem is not None
    made[0].on_problem(problem)
    client.commands.on_problem = told.append
    made[0].on_problem(problem)
    assert told == [problem]


async def test_the_early_snapshot_fills_the_store_and_can_be_resumed_from(cli: Cli) -> None:
    task_id = cli.create("early bird")["task_id"]
    store = Store()
    assert await PrefetchedSnapshot(Target.parse(f"unix:{cli.socket}")).apply(store)
    assert list(store.tasks) == [task_id]
    seq = cli("list", "--json").json["seq"]
    assert (store.cursor(TASKS) or "").endswith(f"-{seq}")


async def test_the_client_that_was_faster_is_not_overruled(cli: Cli) -> None:
    cli.create("early bird")
    target = Target.parse(f"unix:{cli.socket}")
    store = Store()
    assert await PrefetchedSnapshot(target).apply(store)
    assert not await PrefetchedSnapshot(target).apply(store)


@pytest.mark.parametrize("address", ["unix:/nowhere/at/all", "127.0.0.1:9", "https://127.0.0.1:9"])
async def test_without_a_backend_there_is_no_early_snapshot(address: str) -> None:
    store = Store()
    assert not await PrefetchedSnapshot(Target.parse(address)).apply(store)
    assert store.cursor(TASKS) is None


def modules_after(*imported: str) -> list[str]:
    """What a new interpreter has loaded once it has imported these."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys, {', '.join(imported)}\nprint(*sys.modules)"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()


def test_hardly_anything_is_loaded_while_garbage_is_still_looked_for() -> None:
    assert {"msgspec", "foundry_tui.cli.context"}.isdisjoint(modules_after("foundry_tui.cli.startup.launch"))


def test_nothing_of_the_network_is_loaded_before_the_first_picture() -> None:
    names = modules_after("foundry_tui.cli.startup.launch", "foundry_tui.cli.startup.app")
    assert {"httpx", "httpx_sse", "anyio", "click", "http.client"}.isdisjoint(names)
    assert "textual" in names
