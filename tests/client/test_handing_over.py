"""What was asked last gets a moment to reach the backend when a person leaves; what is left goes the next time."""

from collections import Counter
from pathlib import Path

import anyio
import msgspec

from foundry_tui.client.creations import CreationState
from tests.client.app import REQUEST, App, with_app, with_ids
from tests.client.fake_backend import session_topic
from tests.client.loop import simulate
from tests.client.transport import Backend, until

SECONDS = 2.0


async def hand_over(app: App) -> float:
    """How many seconds it took."""
    began = anyio.current_time()
    await app.foundry.hand_over(SECONDS)
    return anyio.current_time() - began


def unanswered(app: App) -> Counter[str]:
    return app.foundry.outbox.unanswered()


def test_it_ends_as_soon_as_all_is_settled() -> None:
    backend = Backend()
    backend.world.create(with_ids(1))

    async def test(app: App) -> None:
        await until(app.up_to_date)
        assert await hand_over(app) == 0, "nothing waits"
        backend.delay = 0.3
        for text in ("one", "two", "three"):
            app.commands.prompt("session-1", text)
        assert unanswered(app) == Counter(prompt=3)
        assert 0.89 <= await hand_over(app) < 1.2
        assert not unanswered(app)
        assert [one.text for one in backend.world.sessions["session-1"].prompts[1:]] == ["one", "two", "three"]

    with_app(test, backend)


def test_a_task_asked_for_before_the_client_runs_is_waited_for_with_its_next_prompt() -> None:
    async def main(app: App) -> None:
        async with anyio.create_task_group() as group:
            task_id = app.commands.create(REQUEST)
            app.commands.prompt(app.store.creations[task_id].session_id, "and the tests")
            group.start_soon(app.foundry.run)
            assert await hand_over(app) < SECONDS
            (session,) = app.backend.world.sessions.values()
            assert [prompt.text for prompt in session.prompts] == ["Mend it", "and the tests"]
            group.cancel_scope.cancel()

    simulate(lambda: main(App(Backend())))


def test_what_a_backend_that_hangs_does_not_take_goes_at_the_next_start_once(tmp_path: Path) -> None:
    keep, backend = tmp_path / "outbox.json", Backend()
    backend.world.create(with_ids(1))

    async def before(app: App) -> None:
        await until(app.up_to_date)
        backend.hang = True
        app.commands.prompt("session-1", "go on")
        app.commands.answer("permission-1", "allow")
        app.commands.answer("permission-2", "allow")
        app.commands.kill("task-1")
        app.commands.create(REQUEST)
        app.commands.add_session("task-1")
        assert await hand_over(app) == SECONDS
        assert unanswered(app) == Counter(task=1, session=1, prompt=1, answer=2, kill=1)

    async def after(app: App) -> None:
        app.commands.hold(session_topic("session-1"))
        await until(lambda: not unanswered(app))
        assert [one.text for one in backend.world.sessions["session-1"].prompts] == ["Mend it", "go on"]

    with_app(before, backend, keep)
    backend.hang = False
    with_app(after, backend, keep)


def test_one_that_is_known_not_to_answer_is_not_waited_for() -> None:
    backend = Backend()
    backend.world.create(with_ids(1))

    async def test(app: App) -> None:
        await until(app.up_to_date)
        backend.mute = True
        app.commands.prompt("session-1", "go on")
        await anyio.sleep(20)
        backend.down = True
        backend.cut_all()
        await anyio.sleep(20)
        app.commands.prompt("session-1", "and on")
        assert await hand_over(app) == 0
        assert unanswered(app)["prompt"] == 1

    with_app(test, backend)


def test_what_belongs_to_a_refused_task_is_neither_waited_for_nor_promised() -> None:
    async def test(app: App) -> None:
        task_id = app.commands.create(msgspec.structs.replace(REQUEST, branch="bad..name"))
        app.commands.prompt(app.store.creations[task_id].session_id, "and the tests")
        app.commands.prompt(app.commands.add_session(task_id), "and the docs")
        app.commands.rename(task_id, "Mine")
        await until(lambda: app.store.creations[task_id].state is CreationState.REFUSED)
        assert await hand_over(app) == 0
        assert not unanswered(app)
        app.backend.delay = 0.3
        app.commands.create(REQUEST)
        assert 0.29 <= await hand_over(app) < SECONDS, "what can go is waited for beside it"

    with_app(test)


def test_what_is_asked_of_a_client_that_never_ran_is_kept(tmp_path: Path) -> None:
    keep = tmp_path / "app.json"

    async def leave_at_once(app: App) -> None:
        app.commands.create(REQUEST)
        app.foundry.save_now()

    simulate(lambda: leave_at_once(App(Backend(), keep)))

    async def next_time(app: App) -> None:
        await until(lambda: not unanswered(app) and app.up_to_date())
        assert [task.prompt for task in app.backend.world.tasks.values()] == [REQUEST.prompt]

    with_app(next_time, Backend(), keep)
