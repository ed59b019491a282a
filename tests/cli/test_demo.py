"""The demo: one story a seed, shown in a real terminal, nothing left behind however it ends."""

import asyncio
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest

from backend_stub.demo.script import Script
from foundry_tui.client.api import Api
from foundry_tui.client.connection import Target, make_http
from foundry_tui.contract.status import ENDED, RELEASING
from foundry_tui.demo import story as demo_story
from foundry_tui.demo.player import Player
from foundry_tui.demo.proxy import Line
from foundry_tui.demo.scenes import ATTEMPTS
from foundry_tui.demo.world import World
from foundry_tui.process.backend import listener, wait_for_exit
from tests.backend.process import BackendProcess
from tests.cli.command_line import Cli
from tests.cli.terminal import terminal


def test_the_same_seed_tells_the_same_story() -> None:
    assert demo_story.tell(3, 1.0, 100) == demo_story.tell(3, 1.0, 100)
    assert demo_story.tell(3, 1.0, 100) != demo_story.tell(4, 1.0, 100)


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
def test_the_backend_takes_the_script(speed: float) -> None:
    script = msgspec.json.decode(msgspec.json.encode(demo_story.tell(7, speed, 100).script), type=Script)
    assert len(script.tasks) >= 15


@pytest.mark.parametrize("tasks", [0, 3, 100, 1000])
def test_there_are_as_many_tasks_as_asked_for(tasks: int) -> None:
    story = demo_story.tell(7, 1.0, tasks)
    assert len(story.openings) == tasks
    assert [act.task for act in story.acts if act.kind == "create"].__len__() == tasks
    assert all(act.task < tasks for act in story.acts)


def test_acts_come_in_order_after_their_task_and_within_a_minute() -> None:
    acts = demo_story.tell(7, 1.0).acts
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    made: set[int] = set()
    for act in acts:
        if act.kind == "create":
            made.add(act.task)
        assert act.task in made
    assert acts[-1].at < 60


def test_files_are_completed_in_every_task_as_its_repository_has_them() -> None:
    story = demo_story.tell(7, 1.0)
    named = {entry["match"]: entry["files"] for entry in story.script["tasks"] if "files" in entry}
    for opening in story.openings:
        assert named[opening.prompt] == sorted(demo_story.FILES[opening.repo])
    assert story.script["default"]["files"] == ["README.md"]


def test_the_story_shows_every_way_that_a_task_can_go() -> None:
    story = demo_story.tell(7, 1.0)
    calls = [call for scene in story.script["tasks"] for call in scene.values() if isinstance(call, dict)]
    assert any(call.get("permission") for call in calls)
    ends = {call["times"] < ATTEMPTS for call in calls if call.get("hang")}
    assert ends == {True, False}, "a time-out that is survived, and one that a person retries"
    assert any(call.get("fail") and call.get("times") for call in calls), "a retry that succeeds"
    assert any(call.get("fail") and call.get("retryable") is False for call in calls)
    assert any(len(call.get("steps", ())) > 200 for call in calls), "a long transcript"
    assert {act.kind for act in story.acts} == {"create", "session", "archive", "kill", "pull_request"}
    for scene in story.script["tasks"]:
        for stage in ("ensure_name", "create_sandbox", "ensure_agent", "create_session"):
            assert scene.get(stage, {}).get("ms", 0) < demo_story.STAGE_SECONDS * 1000


def test_what_fails_in_the_demo_goes_on_when_it_is_retried(stopped: BackendProcess) -> None:
    story = demo_story.tell(7, 50.0)
    fails = [
        scene["match"]
        for scene in story.script["tasks"]
        if any(isinstance(call, dict) and (call.get("fail") or call.get("hang")) for call in scene.values())
    ]
    stopped.environ |= {"FOUNDRY_STAGE_TIMEOUT_MS": "250", "FOUNDRY_STAGE_BACKOFF_MS": "1"}
    stopped.environ["FOUNDRY_STAGE_ATTEMPTS"] = str(ATTEMPTS)
    stopped.set_script(story.script)
    stopped.start()
    made = [stopped.create(match)["task_id"] for match in fails]
    stood = [stopped.wait_task(task_id, lambda task: task["status"] in ("error", "idle")) for task_id in made]
    failed = [task for task in stood if task["status"] == "error"]
    assert len(failed) >= 5, "of each kind there is one"
    for task in failed:
        stopped.post(f"/v1/tasks/{task['task_id']}/retry", {"resend": True})
        stopped.wait_task(task["task_id"], "idle")
    overflow = next(task for task in failed if "context" in task["error"]["message"])
    assert overflow["error"]["kind"] == "agent", "it was its first turn alone that was too long"


def test_who_answers_a_form_with_other_than_what_it_proposed_is_not_told_of_what_was_proposed() -> None:
    for scene in demo_story.tell(7, 1.0).script["tasks"]:
        turn = scene.get("turn", {})
        fields = [field for step in turn.get("steps", ()) for field in step.get("fields", ())]
        later = [turn.get("reply", ""), *(str(step) for step in turn.get("steps", ()) if "fields" not in step)]
        proposed = {str(field["default"]) for field in fields if field["type"] == "string"}
        assert not [text for text in later if any(each in text for each in proposed)]


def test_an_agent_tells_as_many_files_as_are_counted_beside_its_words() -> None:
    told = []
    for entry in demo_story.tell(1, 1.0).script["tasks"]:
        turn = entry.get("turn", {})
        found = re.search(r"(\w+) files? changed", turn.get("reply", ""))
        edits = [edit for step in turn.get("steps", ()) for edit in (*step.get("edits", ()), step.get("edit")) if edit]
        paths = {edit["path"] for edit in edits}
        if found is not None:
            told.append((["", "one", "two", "three"].index(found[1].lower()), len(paths)))
    assert told and all(said == counted for said, counted in told)


def test_the_world_has_been_running_when_it_is_opened_and_shows_what_the_product_can() -> None:
    story = demo_story.tell(7, 1.0)
    earlier = {act.task for act in story.acts if act.at < 0 and act.kind == "create"}
    assert len(earlier) >= 10
    assert {act.kind for act in story.acts if act.at < 0} == {"create", "archive", "kill", "pull_request"}
    scenes = {scene.get("match"): scene for scene in story.script["tasks"]}
    turns = [scenes[story.openings[task].prompt].get("turn", {}) for task in earlier]
    kinds = {key for turn in turns for step in turn.get("steps", ()) for key in step}
    assert {"form", "url", "permission", "usage", "plan", "edit", "thought"} <= kinds
    assert demo_story.CUT_AT + demo_story.CUT_FOR < 30


@pytest.mark.anyio
async def test_what_was_there_before_stands_in_every_group_before_the_demo_is_opened() -> None:
    world = World(7, 20.0, None)
    try:
        world.start()
        await anyio.to_thread.run_sync(world.make_repositories)
        await anyio.to_thread.run_sync(world.wait_until_ready)
        player = Player(world)
        await player.prepare()
        async with make_http(world.backend) as http:
            tasks = (await Api(http).tasks()).tasks
        known = {task.task_id: task.revision for task in tasks}
        assert player.refused == []
        assert {task.status for task in tasks} >= {"running", "idle", "error"}
        assert any(task.needs_input for task in tasks)
        assert any(task.status in ENDED | RELEASING for task in tasks)
        first = tasks[0].task_id
        assert await player.missing({**known, first: known[first] - 1}) >= 1
    finally:
        world.close()


@pytest.mark.anyio
async def test_the_line_drops_what_it_carries_and_is_mended() -> None:
    with tempfile.TemporaryDirectory(prefix="fdry-") as short:
        front, back = Path(short) / "front", Path(short) / "back"
        line = Line(front, back)

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data)
            writer.close()

        async def said_back() -> bytes:
            reader, writer = await asyncio.open_unix_connection(front)
            try:
                writer.write(b"hello")
                return await reader.read(100)
            except ConnectionError:
                return b""
            finally:
                writer.close()

        async with await asyncio.start_unix_server(echo, back), anyio.create_task_group() as group:
            await group.start(line.run)
            reader, writer = await asyncio.open_unix_connection(front)
            writer.write(b"hello")
            assert await reader.read(100) == b"hello"
            mended = anyio.Event()

            async def cut() -> None:
                await line.cut(0.1)
                mended.set()

            group.start_soon(cut)
            assert await reader.read(100) == b"", "the connection that stood is dropped"
            assert await said_back() == b"", "a new one is dropped too"
            await mended.wait()
            assert await said_back() == b"hello"
            writer.close()
            group.cancel_scope.cancel()


def test_the_world_is_made_without_the_persons_own_git_and_removed(tmp_path: Path) -> None:
    world = World(7, 50.0, 0)
    try:
        world.start({"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FOUNDRY_PROVIDER": "local"})
        world.make_repositories()
        world.wait_until_ready()
        for name in demo_story.REPOSITORIES:
            assert (world.repository(name) / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
        assert world.back.exists()
    finally:
        world.close()
    assert not world.folder.exists()
    # the test's own folders for HOME and runtime stay as they were
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def parent_of(pid: int) -> int:
    """The process that started this one."""
    facts = Path(f"/proc/{pid}/stat")
    if facts.exists():
        return int(facts.read_text().rpartition(")")[2].split()[1])
    told = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(told.stdout)


def worlds(cli: Cli) -> list[Path]:
    """Demo folders that are there now."""
    return list(cli.runtime.glob("foundry-demo-*"))


@pytest.fixture
def demo_environ(cli: Cli) -> dict[str, str]:
    # temporary folders of the demo where nobody else's are; short, since a socket stands in them
    return {"TMPDIR": str(cli.runtime)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"),
    [("quit", 0), ("closed", 129), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
    ids=["quit", "closed", "sigterm", "sighup", "sigkill"],
)
def test_the_demo_leaves_nothing_behind(
    cli: Cli, demo_environ: dict[str, str], end: "str | signal.Signals", code: int
) -> None:
    with terminal(cli, "demo", "--speed", "20", "--tasks", "5", **demo_environ) as shown:
        shown.read_until("fix the login")
        (world,) = worlds(cli)
        backend = listener(Target.parse(f"unix:{world / 'backend.sock'}"))
        assert backend is not None
        guard = parent_of(backend)
        if isinstance(end, signal.Signals):
            shown.process.send_signal(end)
        elif end == "closed":
            shown.type(b"n")
            shown.read_until("Stay open")
            shown.hang_up()
        else:
            shown.type(b"\x11")
        assert shown.wait() == code
    # where the demo could not wait for it, its guard cleans up by itself
    assert wait_for_exit(guard, 20)
    assert wait_for_exit(backend, 0)
    assert worlds(cli) == []
    assert not cli.log.exists()


@pytest.mark.slow
def test_the_app_starts_a_backend_that_outlives_it(cli: Cli) -> None:
    with terminal(cli) as shown:
        shown.read_until("live")
        assert "Cannot reach the backend" not in shown.drawn
        pid = cli("backend", "status", "--json", code=0).json["pid"]
        cli("create", "made while the app is open", "--wait", "idle", code=0)
        shown.read_until("made while the app is open")
        shown.type(b"\x11")
        assert shown.wait() == 0
    assert cli("backend", "status", "--json", code=0).json["pid"] == pid


@pytest.mark.slow
def test_a_backend_that_died_under_the_app_is_started_again_by_a_key(cli: Cli) -> None:
    with terminal(cli) as shown:
        shown.read_until("No tasks yet")
        pid = cli("backend", "status", "--json", code=0).json["pid"]
        os.kill(pid, signal.SIGKILL)
        shown.read_until("start it")
        shown.drawn = ""
        shown.type(b"B")
        shown.read_until("live")
        assert cli("backend", "status", "--json", code=0).json["pid"] != pid
        shown.type(b"\x11")
        assert shown.wait() == 0


@pytest.mark.slow
def test_watch_draws_its_stages_on_a_terminal(cli: Cli) -> None:
    cli.set_script({"default": {"create_sandbox": {"ms": 400}}})
    with terminal(cli, "create", "draw me", "--follow") as shown:
        shown.read_until("sandbox")
        shown.read_until("ready")
        assert shown.wait() == 0
    assert "✓ session" in shown.drawn
