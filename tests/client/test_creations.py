"""A creation through every ending, and the other commands: shown at once, settled by the answer, never lost."""

import itertools
import json
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from foundry_tui.client.commands import form_draft_key
from foundry_tui.client.creations import CreationState
from foundry_tui.client.foundry import FRAME
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract import codec
from foundry_tui.contract.questions import AnswerAction, FieldValue
from foundry_tui.contract.records import PromptState
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from tests.client.app import REQUEST, App, with_app, with_ids
from tests.client.fake_backend import FakeBackend, session_topic, task_topic
from tests.client.loop import simulate
from tests.client.transport import Backend, until


def test_a_task_is_there_before_any_answer() -> None:
    async def test(app: App) -> None:
        task_id = app.commands.create(REQUEST)
        assert app.posts() == 0
        assert app.store.tasks[task_id].status is TaskStatus.QUEUED
        assert app.store.detail(task_id) is not None
        await until(app.up_to_date)
        assert app.posts() == 1

    with_app(test)


def test_answer_first() -> None:
    async def test(app: App) -> None:
        await anyio.sleep(1)
        for line in app.backend.lines:
            line.stalled = True
        task_id = app.commands.create(REQUEST)
        await until(lambda: not app.store.creations)
        assert app.store.tasks[task_id].revision == 1
        await until(app.up_to_date)

    with_app(test)


def test_event_first() -> None:
    async def test(app: App) -> None:
        await anyio.sleep(1)
        app.backend.lose_answer = 1
        task_id = app.commands.create(REQUEST)
        await until(lambda: not app.store.creations)
        assert app.store.tasks[task_id].revision == 1
        await anyio.sleep(60)
        assert app.posts() <= 2
        assert len(app.backend.world.tasks) == 1

    with_app(test)


def test_a_refusal_is_kept_and_can_be_retried_or_discarded() -> None:
    async def test(app: App) -> None:
        task_id = app.commands.create(CreateTask(repo="/repo", prompt="Mend it", branch="bad..name"))
        await until(lambda: bool(app.problems))
        creation = app.store.creations[task_id]
        assert creation.state is CreationState.REFUSED
        assert creation.problem is not None
        assert creation.problem.status == 422
        assert app.problems[0].action == "create"
        assert app.problems[0].task_id == task_id
        await anyio.sleep(60)
        assert app.posts() == 1, "a refusal is an answer: it is not asked again"
        app.commands.retry(task_id)
        assert app.store.creations[task_id].state is CreationState.PENDING
        await until(lambda: len(app.problems) == 2)
        app.commands.discard_creation(task_id)
        assert not app.store.tasks
        await anyio.sleep(10)
        assert app.posts() == 2

    with_app(test)


@pytest.mark.parametrize(
    ("provider", "named"),
    [("local", ("codex", "reads")), ("demo", (None, None))],
    ids=["a real agent", "a simulated one"],
)
def test_a_task_that_is_asked_for_before_the_provider_is_told_gets_what_the_settings_name(
    tmp_path: Path, provider: str, named: tuple[str | None, str | None]
) -> None:
    backend = Backend()
    backend.providers = {provider: "ready", "another": "ready"}
    backend.down = True

    async def asked(app: App) -> None:
        task_id = app.commands.create(REQUEST, TaskDefaults(agent="codex", permissions="reads"))
        assert app.store.tasks[task_id].revision == 0, "it is shown at once all the same"
        await anyio.sleep(5)

    async def sent(app: App) -> None:
        app.backend.down = False
        app.backend.lose_answer = 2
        await until(app.up_to_date)
        bodies = {call.body for call in app.backend.asked("POST", "/v1/tasks")}
        request = codec.decode(bodies.pop(), CreateTask)
        assert not bodies, "sent again it is the same"
        assert (request.provider, request.agent, request.permissions) == (None, *named)
        assert len(app.backend.world.tasks) == 1

    with_app(asked, backend, keep=tmp_path / "app.json")
    assert not backend.calls
    with_app(sent, backend, keep=tmp_path / "app.json")


def test_a_pruned_id_is_refused_with_409() -> None:
    backend = Backend()
    backend.world.pruned.add("01a207b5-3bf2-7b85-b19b-000000000001")

    async def test(app: App) -> None:
        task_id = app.commands.create(msgspec.structs.replace(REQUEST, task_id=next(iter(backend.world.pruned))))
        await until(lambda: bool(app.problems))
        assert app.store.creations[task_id].state is CreationState.REFUSED

    with_app(test, backend)


def test_a_connection_lost_before_the_commit_is_settled_by_sending_the_same_id_again() -> None:
    async def test(app: App) -> None:
        app.backend.lose_request = 3
        app.commands.create(REQUEST)
        await until(lambda: len(app.backend.world.tasks) == 1)
        await until(app.up_to_date)
        assert app.posts() == 4
        assert not app.problems

    with_app(test)


def test_a_connection_lost_after_the_commit_makes_no_second_task() -> None:
    async def test(app: App) -> None:
        app.backend.mute = True
        app.backend.cut_all()
        app.backend.lose_answer = 3
        task_id = app.commands.create(REQUEST)
        await until(lambda: not app.store.creations)
        assert app.posts() == 4
        assert list(app.backend.world.tasks) == [task_id]
        assert not app.problems

    with_app(test)


def test_a_backend_that_is_away_for_a_minute_gets_the_task_when_it_is_back() -> None:
    async def test(app: App) -> None:
        await anyio.sleep(1)
        app.backend.down = True
        app.backend.cut_all()
        task_id = app.commands.create(REQUEST)
        await anyio.sleep(60)
        assert app.store.creations[task_id].state is CreationState.PENDING
        assert app.store.freshness().state is FreshnessState.OFFLINE
        app.backend.down = False
        app.commands.reconnect()
        began = anyio.current_time()
        await until(app.up_to_date)
        assert anyio.current_time() - began < 1, "it is not made to wait for its back-off"
        assert not app.problems

    with_app(test)


def test_a_backend_that_cannot_commit_just_now_is_asked_again() -> None:
    class Full(Backend):
        def _carry_out(self, method: str, path: str, body: bytes, query: httpx.QueryParams) -> tuple[int, bytes]:
            if method == "POST" and len(self.asked("POST", "/v1/tasks")) < 3:
                return 503, b'{"status":503,"title":"Full","detail":"the disk is full"}'
            return super()._carry_out(method, path, body, query)

    async def test(app: App) -> None:
        task_id = app.commands.create(REQUEST)
        await until(lambda: app.store.creations[task_id].problem is not None)
        creation = app.store.creations[task_id]
        assert creation.state is CreationState.PENDING
        assert creation.problem is not None and creation.problem.detail == "the disk is full"
        await until(lambda: len(app.backend.world.tasks) == 1)
        await until(app.up_to_date)
        assert not app.problems

    with_app(test, Full())


def test_quitting_in_between_leaves_a_file_that_the_next_start_settles(tmp_path: Path) -> None:
    keep = tmp_path / "kept" / "outbox.json"
    backend = Backend()
    backend.down = True
    made: list[str] = []

    async def before(app: App) -> None:
        made.append(app.commands.create(REQUEST))
        made.append(app.commands.prompt(app.store.creations[made[0]].session_id, "And the tests"))
        app.commands.drafts.put("/repo", CreateTask(repo="/repo", prompt="half a thou"))
        await anyio.sleep(0.2)

    with_app(before, backend, keep)
    assert keep.stat().st_mode & 0o077 == 0, "prompts are private"
    backend.down = False
    backend.delay = 0.1

    async def after(app: App) -> None:
        assert app.store.creations[made[0]].state is CreationState.PENDING, "shown before the backend answers"
        draft = app.commands.drafts.get("/repo")
        assert draft is not None
        assert draft.prompt == "half a thou"
        await until(lambda: made[0] in backend.world.tasks)
        session = backend.world.tasks[made[0]].sessions[0].session_id
        await until(lambda: len(backend.world.sessions[session].prompts) == 2)
        await until(app.up_to_date)
        app.commands.drafts.discard("/repo")

    with_app(after, backend, keep)
    assert len(backend.world.tasks) == 1

    async def again(app: App) -> None:
        assert not app.store.creations
        assert app.commands.drafts.get("/repo") is None
        await anyio.sleep(5)
        assert len(backend.asked("POST", "/v1/tasks")) == posts

    posts = len(backend.asked("POST", "/v1/tasks"))
    with_app(again, backend, keep)


def test_commands_that_nobody_answered_are_done_at_the_next_start(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    backend = Backend()
    tasks = [backend.world.create(with_ids(number)).task_id for number in (1, 2, 3)]

    async def before(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        app.commands.archive(tasks[0])
        app.commands.kill(tasks[1], force=True)
        app.commands.rename(tasks[2], "Mine")
        # Asked for at the last moment: nothing has been sent yet.

    with_app(before, backend, keep)
    backend.down = False

    async def after(app: App) -> None:
        await until(lambda: not app.foundry.outbox.commands)
        assert not app.problems

    with_app(after, backend, keep)
    statuses = [backend.world.tasks[task_id].status for task_id in tasks[:2]]
    assert statuses == [TaskStatus.ARCHIVING, TaskStatus.KILLING]
    assert backend.world.tasks[tasks[2]].title == "Mine"

    async def again(app: App) -> None:
        await until(app.up_to_date)

    asked = len(backend.calls)
    with_app(again, backend, keep)
    assert {call.method for call in backend.calls[asked:]} == {"GET"}


def test_a_filled_in_form_outlives_the_app_and_its_draft_a_refusal(tmp_path: Path) -> None:
    keep, path = tmp_path / "outbox.json", "/v1/permissions/permission-1"
    content: dict[str, FieldValue] = {"version": "v1", "where": ("eu",), "count": 2, "sure": True}
    draft = CreateTask(repo="task", prompt="{}")
    backend = Backend()

    async def before(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        app.commands.drafts.put(form_draft_key("permission-1"), draft)
        app.commands.reply("permission-1", AnswerAction.ACCEPT, content)
        await anyio.sleep(1)

    with_app(before, backend, keep)
    backend.down = False

    async def after(app: App) -> None:
        # This backend knows of no questions, and refuses the answer.
        await until(lambda: bool(app.problems))
        assert app.commands.drafts.get(form_draft_key("permission-1")) == draft, "what was written is not lost"

    with_app(after, backend, keep)
    sent = json.loads(backend.asked("POST", path)[-1].body)
    assert sent == {"action": "accept", "content": {**content, "where": ["eu"]}}


def test_an_answer_to_a_question_outlives_the_app_and_its_refusal_is_told(tmp_path: Path) -> None:
    keep, path = tmp_path / "outbox.json", "/v1/permissions/permission-1"
    backend = Backend()

    async def before(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        app.commands.answer("permission-1", "allow")
        await anyio.sleep(120)
        assert not app.problems, "it is kept until the backend has it"
        assert app.commands.given("permission-1") == "allow"

    with_app(before, backend, keep)
    backend.down = False
    already = len(backend.asked("POST", path))

    async def after(app: App) -> None:
        # this backend knows of no questions: it is as one that was answered elsewhere
        await until(lambda: bool(app.problems))
        assert [problem.action for problem in app.problems] == ["answer"]
        await until(lambda: not app.foundry.outbox.commands)
        assert app.commands.given("permission-1") is None

    with_app(after, backend, keep)
    asked = backend.asked("POST", path)[already:]
    assert len(asked) == 1 and b"allow" in asked[0].body
    with_app(lambda app: until(app.up_to_date), backend, keep)
    assert len(backend.asked("POST", path)) == already + 1


def test_an_answer_is_given_as_soon_as_the_backend_is_back() -> None:
    backend = Backend()

    async def test(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        backend.cut_all()
        app.commands.answer("permission-1", "allow")
        await anyio.sleep(300)
        backend.down = False
        before = len(backend.asked("POST", "/v1/permissions/permission-1"))
        back = anyio.current_time()
        app.commands.reconnect()
        await until(lambda: len(backend.asked("POST", "/v1/permissions/permission-1")) > before)
        assert anyio.current_time() - back < 1

    with_app(test, backend)


def test_a_kept_command_on_a_task_that_is_gone_by_then_is_no_problem(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    backend = Backend()
    task_id = backend.world.create(with_ids(1)).task_id

    async def before(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        app.commands.archive(task_id)

    async def after(app: App) -> None:
        await until(lambda: not app.foundry.outbox.commands)
        assert not app.problems

    with_app(before, backend, keep)
    backend.down = False
    backend.replace_world(FakeBackend())
    with_app(after, backend, keep)


def test_a_command_that_is_told_to_have_failed_is_kept_no_longer(tmp_path: Path) -> None:
    async def test(app: App) -> None:
        task_id = app.backend.world.create(with_ids(1)).task_id
        await until(app.up_to_date)
        app.backend.down = True
        app.commands.archive(task_id)
        await until(lambda: bool(app.problems), 60)
        assert not app.foundry.outbox.commands

    with_app(test, keep=tmp_path / "outbox.json")


def test_a_refused_creation_survives_quitting_too(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"

    async def before(app: App) -> None:
        app.commands.create(CreateTask(repo="/repo", prompt="a long thought", branch="bad..name"))
        await until(lambda: bool(app.problems))

    async def after(app: App) -> None:
        (creation,) = app.store.creations.values()
        assert creation.state is CreationState.REFUSED
        assert creation.request.prompt == "a long thought"

    with_app(before, keep=keep)
    with_app(after, keep=keep)


def test_a_command_on_a_task_that_is_not_answered_yet_waits_for_it() -> None:
    async def test(app: App) -> None:
        app.backend.lose_request = 2
        task_id = app.commands.create(REQUEST)
        app.commands.rename(task_id, "Mine")
        assert app.store.tasks[task_id].title == "Mine"
        await until(lambda: len(app.backend.world.tasks) == 1)
        assert app.store.tasks[task_id].title == "Mine"
        await until(lambda: app.backend.world.tasks[task_id].title == "Mine")
        await until(app.up_to_date)
        assert not app.problems

    with_app(test)


def test_renames_are_carried_out_in_their_order() -> None:
    async def test(app: App) -> None:
        task_id = app.backend.world.create(with_ids(1)).task_id
        await until(app.up_to_date)
        app.backend.delay = 0.3
        for title in ("one", "two", "three"):
            app.commands.rename(task_id, title)
            app.commands.mark(task_id, unread=title != "three")
        shown = []
        for _ in range(40):
            await anyio.sleep(0.05)
            shown.append(app.store.tasks[task_id].title)
        assert set(shown) == {"three"}
        await until(lambda: app.backend.world.tasks[task_id].title == "three")
        await until(app.up_to_date)

    with_app(test)


def test_a_prompt_is_shown_as_queued_at_once_and_sent_once_however_often_the_connection_breaks() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        app.commands.hold(session_topic("session-1"))
        await until(lambda: app.store.session("session-1") is not None)
        app.backend.lose_answer = 2
        prompt_id = app.commands.prompt("session-1", "go on")
        session = app.store.session("session-1")
        assert session is not None
        assert (session.prompts[-1].prompt_id, session.prompts[-1].state) == (prompt_id, PromptState.QUEUED)
        await until(lambda: len(app.backend.world.sessions["session-1"].prompts) == 2)
        await anyio.sleep(30)
        assert [prompt.text for prompt in app.backend.world.sessions["session-1"].prompts] == ["Mend it", "go on"]
        session = app.store.session("session-1")
        assert session is not None
        assert session.prompts == app.backend.world.sessions["session-1"].prompts

    with_app(test)


def test_a_refused_prompt_stays_with_its_reason() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        app.backend.world.move("task-1", TaskStatus.KILLING)
        app.backend.world.move("task-1", TaskStatus.KILLED)
        app.commands.hold(session_topic("session-1"))
        await until(lambda: app.store.session("session-1") is not None)
        prompt_id = app.commands.prompt("session-1", "too late")
        await until(lambda: bool(app.problems))
        session = app.store.session("session-1")
        assert session is not None
        assert session.prompts[-1].state is PromptState.FAILED
        app.commands.discard_prompt("session-1", prompt_id)
        session = app.store.session("session-1")
        assert session is not None
        assert session.prompts[-1].state is PromptState.QUEUED

    with_app(test)


def test_stop_never_waits_behind_a_prompt() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        await until(app.up_to_date)
        app.backend.hang = True
        app.commands.prompt("session-1", "for ever")
        await anyio.sleep(1)
        app.backend.hang = False
        app.commands.stop("session-1")
        await until(lambda: bool(app.backend.asked("POST", "/v1/sessions/session-1/stop")), 1)

    with_app(test)


def test_a_new_session_is_shown_at_once_and_connected_when_it_exists() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        await until(app.up_to_date)
        app.backend.delay = 1
        session_id = app.commands.add_session("task-1", name="tests")
        app.commands.hold(session_topic(session_id))
        seen = []
        for _ in range(40):
            seen.append(any(one.session_id == session_id for one in app.store.tasks["task-1"].sessions))
            await anyio.sleep(0.05)
        assert all(seen), "it never vanishes on the way"
        await until(lambda: app.backend.streams(session_topic(session_id)) == 1)
        await until(app.up_to_date)
        assert not [call for call in app.backend.calls if call.topic == str(session_topic(session_id))][1:]

    with_app(test)


def test_a_prompt_for_a_session_that_is_being_added_does_not_overtake_it() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        await until(app.up_to_date)
        app.backend.lose_request = 4
        session_id = app.commands.add_session("task-1")
        app.commands.prompt(session_id, "written while it is prepared")
        app.commands.stop(session_id)
        await until(lambda: session_id in app.backend.world.sessions)
        await until(lambda: bool(app.backend.world.sessions[session_id].prompts))
        await until(app.up_to_date)
        assert not app.problems

    with_app(test)


def test_a_session_asked_for_while_the_backend_is_away_outlives_a_quit_with_what_was_written_for_it(
    tmp_path: Path,
) -> None:
    backend = Backend()
    backend.world.create(with_ids(1))
    added: list[str] = []

    async def before(app: App) -> None:
        await until(app.up_to_date)
        backend.down = True
        backend.cut_all()
        added.append(app.commands.add_session("task-1", name="tests"))
        app.commands.prompt(added[0], "a long thought")
        await anyio.sleep(60)
        assert not app.problems, "it is kept until the backend is back"
        assert any(one.session_id == added[0] for one in app.store.tasks["task-1"].sessions)

    async def after(app: App) -> None:
        session = app.store.session(added[0])
        assert session is not None
        assert [prompt.text for prompt in session.prompts] == ["a long thought"]
        await anyio.sleep(10)
        backend.down = False
        app.commands.reconnect()
        await until(lambda: added[0] in backend.world.sessions)
        await until(lambda: bool(backend.world.sessions[added[0]].prompts))
        await until(app.up_to_date)
        assert not app.problems

    async def again(app: App) -> None:
        await anyio.sleep(5)
        assert len(backend.asked("POST", "/v1/tasks/task-1/sessions")) == posts

    keep = tmp_path / "outbox.json"
    with_app(before, backend, keep)
    with_app(after, backend, keep)
    posts = len(backend.asked("POST", "/v1/tasks/task-1/sessions"))
    with_app(again, backend, keep)


def test_a_refused_prompt_outlives_a_quit_and_is_not_sent_again(tmp_path: Path) -> None:
    backend = Backend()
    backend.world.create(with_ids(1))
    backend.world.move("task-1", TaskStatus.KILLING)
    backend.world.move("task-1", TaskStatus.KILLED)
    sent: list[str] = []

    async def before(app: App) -> None:
        sent.append(app.commands.prompt("session-1", "a long thought"))
        await until(lambda: bool(app.problems))

    async def after(app: App) -> None:
        app.commands.hold(session_topic("session-1"))
        await anyio.sleep(20)
        session = app.store.session("session-1")
        assert session is not None
        assert (session.prompts[-1].text, session.prompts[-1].state) == ("a long thought", PromptState.FAILED)
        assert session.prompts[-1].error is not None
        assert not app.problems
        app.commands.discard_prompt("session-1", sent[0])

    async def again(app: App) -> None:
        app.commands.hold(session_topic("session-1"))
        await until(lambda: app.store.session("session-1") is not None)
        session = app.store.session("session-1")
        assert session is not None
        assert len(session.prompts) == 1

    keep = tmp_path / "outbox.json"
    for test in (before, after, again):
        with_app(test, backend, keep)
    assert len(backend.asked("POST", "/v1/sessions/session-1/prompts")) == 1


def test_what_was_written_for_a_session_that_is_refused_is_kept_with_the_reason() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        await until(app.up_to_date)
        app.backend.world.move("task-1", TaskStatus.KILLING)
        app.backend.world.move("task-1", TaskStatus.KILLED)
        session_id = app.commands.add_session("task-1")
        app.commands.prompt(session_id, "a long thought")
        await until(lambda: len(app.problems) == 2)
        assert [problem.action for problem in app.problems] == ["add_session", "prompt"]

    with_app(test)


def test_a_command_that_nobody_answers_is_reported_in_the_end() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        await until(app.up_to_date)
        app.backend.down = True
        app.commands.rename("task-1", "never")
        await anyio.sleep(60)
        assert [(problem.action, problem.problem) for problem in app.problems] == [("rename", None)]
        assert app.store.tasks["task-1"].title is None

    with_app(test)


def test_listeners_are_told_at_most_once_a_frame_and_at_once_when_idle() -> None:
    times: list[float] = []

    async def test(app: App) -> None:
        await anyio.sleep(1)
        app.store.listen(lambda changes: times.append(anyio.current_time()))
        began = anyio.current_time()
        app.backend.world.create(with_ids(1))
        await anyio.sleep(0.001)
        assert times == [began]
        for turn in range(1000):
            app.backend.world.mark("task-1", turn % 2 == 0)
            await anyio.sleep(0.001)

    with_app(test)
    assert all(later - earlier >= FRAME * 0.99 for earlier, later in itertools.pairwise(times))
    assert 19 <= len(times) <= 23


def test_diagnostics_are_json() -> None:
    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        release = app.commands.hold(task_topic("task-1"))
        await anyio.sleep(1)
        app.backend.cut_all()
        await anyio.sleep(20)
        release()
        document = msgspec.json.decode(msgspec.json.encode(app.foundry.diagnostics()))
        tasks, task = document["topics"]
        assert (tasks["topic"], tasks["listeners"], tasks["link"]) == ("tasks", 1, "live")
        assert (task["topic"], task["listeners"], task["connections"], task["reconnects"]) == ("task:task-1", 0, 2, 1)
        assert task["last_refresh"] == "resume"
        assert task["snapshots"] == 1
        kinds = [event["kind"] for event in document["log"] if event["topic"] == "tasks"]
        assert kinds == ["connecting", "live", "retrying", "connecting", "live"]

    with_app(test)


def test_a_file_that_is_damaged_is_put_aside(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    keep.write_bytes(b'{"creations": {"half')

    async def test(app: App) -> None:
        app.commands.drafts.put("/repo", REQUEST)

    with_app(test, keep=keep)
    assert (tmp_path / "outbox.json.damaged").read_bytes() == b'{"creations": {"half'
    assert b"Mend it" in keep.read_bytes()


def test_a_file_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async def test(app: App) -> None:
        app.commands.create(REQUEST)
        await until(lambda: any(problem.action == "keep" for problem in app.problems))
        await until(app.up_to_date)

    with_app(test, keep=tmp_path / "file" / "outbox.json")


def test_what_is_sent_is_in_the_file_before(tmp_path: Path) -> None:
    """So no answer to a question, nor anything else that was asked for, is lost with the app, whenever it ends."""
    keep = tmp_path / "outbox.json"
    found: dict[str, list[str]] = {}

    class Looking(Backend):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST" and request.url.path not in found:
                kept = json.loads(keep.read_bytes()) if keep.exists() else {}
                found[request.url.path] = [key for part in kept.values() if isinstance(part, dict) for key in part]
            return await super().handle_async_request(request)

    async def test(app: App) -> None:
        app.backend.world.create(with_ids(1))
        await until(app.up_to_date)
        app.commands.answer("permission-1", "allow")
        prompt_id = app.commands.prompt("session-1", "go on")
        task_id = app.commands.create(REQUEST)
        app.commands.archive("task-1")
        await anyio.sleep(5)
        assert "answer:permission-1" in found["/v1/permissions/permission-1"]
        assert prompt_id in found["/v1/sessions/session-1/prompts"]
        assert task_id in found["/v1/tasks"]
        assert "archive:task-1" in found["/v1/tasks/task-1/archive"]

    with_app(test, Looking(), keep=keep)


def test_text_that_no_file_and_no_wire_can_carry_is_refused_and_stops_nothing(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"
    # What Python makes of a folder whose name is no UTF-8.
    folder = b"/caf\xe9".decode("utf-8", "surrogateescape")

    async def test(app: App) -> None:
        app.commands.drafts.put(folder, CreateTask(repo=folder, prompt="half a thought"))
        app.backend.world.create(with_ids(1))
        task_id = app.commands.create(CreateTask(repo=folder, prompt="a thought"))
        app.commands.rename("task-1", folder)
        await until(lambda: bool(app.store.creations) and len(app.problems) >= 2)
        assert app.store.creations[task_id].state is CreationState.REFUSED
        app.commands.discard_creation(task_id)
        app.commands.create(REQUEST)
        await until(app.up_to_date)
        await anyio.sleep(1)

    with_app(test, keep=keep)
    assert b"half a thought" in keep.read_bytes()


def test_two_apps_do_not_erase_what_the_other_keeps(tmp_path: Path) -> None:
    keep = tmp_path / "outbox.json"

    async def main() -> None:
        first, second = App(Backend(FakeBackend()), keep), App(Backend(FakeBackend()), keep)
        async with anyio.create_task_group() as group:
            for app, repo in ((first, "/one"), (second, "/two")):
                await group.start(app.foundry.run)
                app.commands.drafts.put(repo, CreateTask(repo=repo, prompt=f"of {repo}"))
                await anyio.sleep(1)
            group.cancel_scope.cancel()
        third = App(Backend(FakeBackend()), keep)
        assert third.commands.drafts.get("/one") is not None
        assert third.commands.drafts.get("/two") is not None
        await third.foundry.http.aclose()

    simulate(main)
