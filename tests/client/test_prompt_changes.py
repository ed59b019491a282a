"""A queued prompt is edited or withdrawn: shown at once, done once, and nothing that was written is ever lost."""

from pathlib import Path

import anyio

from foundry_tui.contract.records import PromptState
from foundry_tui.contract.status import TaskStatus
from tests.client.app import App, with_app, with_ids
from tests.client.fake_backend import session_topic
from tests.client.transport import Backend, until

SESSION = "session-1"
Shown = list[tuple[str, PromptState]]
QUEUED, FAILED, WITHDRAWN = PromptState.QUEUED, PromptState.FAILED, PromptState.WITHDRAWN


def with_prompt(text: str = "go on") -> Backend:
    """A backend with a prompt that waits behind the first one."""
    backend = Backend()
    backend.world.create(with_ids(1))
    backend.world.prompt(SESSION, "prompt-1", text)
    return backend


def shown(app: App) -> Shown:
    """What is shown behind the first prompt."""
    session = app.store.session(SESSION)
    assert session is not None
    return [(prompt.text, prompt.state) for prompt in session.prompts[1:]]


def true(backend: Backend) -> Shown:
    """The same as the backend has it."""
    return [(prompt.text, prompt.state) for prompt in backend.world.sessions[SESSION].prompts[1:]]


async def opened(app: App) -> None:
    app.commands.hold(session_topic(SESSION))
    await until(lambda: app.store.session(SESSION) is not None)


def calls(backend: Backend, method: str) -> int:
    return len(backend.asked(method, f"/v1/sessions/{SESSION}/prompts/prompt-1"))


def test_it_is_shown_at_once_and_never_flickers() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        backend.delay = 0.3
        seen = []
        for text in ("one", "two"):
            app.commands.edit_prompt(SESSION, "prompt-1", text)
        for _ in range(40):
            seen.append(shown(app))
            await anyio.sleep(0.05)
        assert all(prompts == [("two", QUEUED)] for prompts in seen)
        app.commands.withdraw_prompt(SESSION, "prompt-1")
        assert shown(app) == [("two", WITHDRAWN)]
        await until(lambda: true(backend) == [("two", WITHDRAWN)])
        await anyio.sleep(1)
        assert shown(app) == true(backend)
        assert not app.problems and not app.foundry.outbox.commands

    with_app(test, backend)


def test_what_somebody_else_makes_of_it_afterwards_is_shown() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        app.commands.edit_prompt(SESSION, "prompt-1", "mine")
        await until(lambda: not app.foundry.outbox.commands)
        await anyio.sleep(1)
        backend.world.change_prompt(SESSION, "prompt-1", text="go on")
        await until(lambda: shown(app) == [("go on", QUEUED)])

    with_app(test, backend)


def test_one_that_was_not_sent_yet_goes_as_it_was_edited_or_not_at_all() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        backend.down = True
        edited, dropped = app.commands.prompt(SESSION, "one"), app.commands.prompt(SESSION, "two")
        await anyio.sleep(5)
        app.commands.edit_prompt(SESSION, edited, "three")
        app.commands.withdraw_prompt(SESSION, dropped)
        assert [text for text, _ in shown(app)] == ["go on", "three"]
        backend.down = False
        app.commands.reconnect()
        await until(lambda: not app.foundry.outbox.prompts)
        await anyio.sleep(5)
        assert [text for text, _ in true(backend)] == ["go on", "three"]
        assert {call.method for call in backend.calls if "prompts" in call.path} == {"POST"}

    with_app(test, backend)


def test_one_that_steers_does_so_also_when_it_could_be_sent_only_later(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"
    backend.down = True

    async def said(app: App) -> None:
        app.commands.prompt(SESSION, "stop that", steer=True)
        await anyio.sleep(1)

    async def later(_: App) -> None:
        backend.down = False
        await until(lambda: len(true(backend)) == 2)
        assert [prompt.steer for prompt in backend.world.sessions[SESSION].prompts[1:]] == [False, True]

    with_app(said, backend, keep)
    with_app(later, backend, keep)


def test_one_that_may_have_been_sent_is_changed_behind_it() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        backend.lose_answer = 1
        prompt_id = app.commands.prompt(SESSION, "one")
        await until(lambda: len(true(backend)) == 2)
        app.commands.edit_prompt(SESSION, prompt_id, "two")
        assert shown(app)[-1] == ("two", QUEUED)
        await until(lambda: true(backend)[-1] == ("two", QUEUED))
        await until(lambda: not app.foundry.outbox.commands)
        assert shown(app) == true(backend)

    with_app(test, backend)


def test_one_that_the_agent_has_stays_and_what_was_written_is_kept(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"

    async def test(app: App) -> None:
        await opened(app)
        backend.mute = True
        backend.world.change_prompt(SESSION, "prompt-1", state=PromptState.DELIVERED)
        app.commands.edit_prompt(SESSION, "prompt-1", "a long thought")
        app.commands.withdraw_prompt(SESSION, "prompt-1")
        await until(lambda: len(app.problems) == 2)
        assert [problem.action for problem in app.problems] == ["edit_prompt", "withdraw_prompt"]
        assert all("delivered already" in problem.message for problem in app.problems)
        assert shown(app) == [("go on", QUEUED), ("a long thought", FAILED)]

    async def after(app: App) -> None:
        await opened(app)
        assert shown(app) == [("go on", PromptState.DELIVERED), ("a long thought", FAILED)]
        session = app.store.session(SESSION)
        assert session is not None
        app.commands.discard_prompt(SESSION, session.prompts[-1].prompt_id)
        assert shown(app) == true(backend)

    with_app(test, backend, keep)
    backend.mute = False
    with_app(after, backend, keep)


def test_a_lost_answer_is_no_refusal() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        backend.lose_answer = 1
        app.commands.edit_prompt(SESSION, "prompt-1", "two")
        await until(lambda: true(backend) == [("two", QUEUED)])
        backend.world.change_prompt(SESSION, "prompt-1", state=PromptState.DELIVERED)
        await until(lambda: not app.foundry.outbox.commands)
        backend.world.prompt(SESSION, "prompt-2", "next")
        backend.lose_answer = 1
        app.commands.withdraw_prompt(SESSION, "prompt-2")
        await until(lambda: not app.foundry.outbox.commands)
        await until(lambda: shown(app) == [("two", PromptState.DELIVERED), ("next", WITHDRAWN)])
        assert not app.problems

    with_app(test, backend)


def test_it_outlives_the_app(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"
    backend.world.prompt(SESSION, "prompt-2", "take me back")

    async def before(app: App) -> None:
        await opened(app)
        backend.down = True
        backend.cut_all()
        app.commands.edit_prompt(SESSION, "prompt-1", "two")
        app.commands.withdraw_prompt(SESSION, "prompt-2")
        await anyio.sleep(60)
        assert not app.problems, "it is kept until the backend is back"

    async def after(app: App) -> None:
        await opened(app)
        await until(lambda: true(backend) == [("two", QUEUED), ("take me back", WITHDRAWN)])
        await until(lambda: not app.foundry.outbox.commands)
        assert not app.problems

    with_app(before, backend, keep)
    backend.down = False
    with_app(after, backend, keep)
    assert calls(backend, "PATCH") == 1
    with_app(opened, backend, keep)
    assert calls(backend, "PATCH") == 1


def test_a_prompt_and_its_edit_go_in_their_order_at_the_next_start(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"

    async def before(app: App) -> None:
        await opened(app)
        backend.hang = True
        prompt_id = app.commands.prompt(SESSION, "one")
        await anyio.sleep(1)
        app.commands.edit_prompt(SESSION, prompt_id, "two")
        await anyio.sleep(1)

    async def after(app: App) -> None:
        await opened(app)
        await until(lambda: true(backend)[1:] == [("two", QUEUED)])
        assert not app.problems

    with_app(before, backend, keep)
    backend.hang = False
    with_app(after, backend, keep)


def test_a_prompt_that_is_refused_is_kept_as_it_was_edited_or_not_at_all(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"

    async def before(app: App) -> None:
        await opened(app)
        backend.hang = True
        for text in ("one", "take me back"):
            app.commands.prompt(SESSION, text)
        await anyio.sleep(1)

    async def then(app: App) -> None:
        edited, withdrawn = app.foundry.outbox.prompts
        app.commands.edit_prompt(SESSION, edited, "a long thought")
        app.commands.withdraw_prompt(SESSION, withdrawn)
        await anyio.sleep(1)

    async def after(app: App) -> None:
        await opened(app)
        await until(lambda: not app.foundry.outbox.commands)
        assert shown(app)[1:] == [("a long thought", FAILED)]
        assert [prompt.text for prompt in app.foundry.outbox.prompts.values()] == ["a long thought"]

    with_app(before, backend, keep)
    with_app(then, backend, keep)
    backend.hang = False
    for status in (TaskStatus.KILLING, TaskStatus.KILLED):
        backend.world.move("task-1", status)
    with_app(after, backend, keep)


def test_what_is_edited_to_and_fro_while_nothing_is_heard_is_shown_as_it_is() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        backend.mute = True
        for text in ("two", "go on"):
            app.commands.edit_prompt(SESSION, "prompt-1", text)
            await until(lambda: not app.foundry.outbox.commands)
        backend.mute = False
        backend.cut_all()
        app.commands.reconnect()
        await anyio.sleep(30)
        assert shown(app) == true(backend) == [("go on", QUEUED)]

    with_app(test, backend)


def test_prompts_go_in_their_order_at_the_next_start(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"
    texts = [f"{number}" for number in range(9)]

    async def before(app: App) -> None:
        await opened(app)
        backend.down = True
        for text in texts:
            app.commands.prompt(SESSION, text)
        await anyio.sleep(1)

    async def after(app: App) -> None:
        await until(lambda: not app.foundry.outbox.prompts)
        assert [text for text, _ in true(backend)[1:]] == texts

    with_app(before, backend, keep)
    backend.down = False
    with_app(after, backend, keep)


def test_of_two_apps_that_know_of_a_prompt_the_one_that_changes_it_decides(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"

    async def test(app: App) -> None:
        await opened(app)
        backend.down = True
        edited, withdrawn = app.commands.prompt(SESSION, "one"), app.commands.prompt(SESSION, "two")
        await anyio.sleep(1)
        other = App(backend, keep)
        app.commands.edit_prompt(SESSION, edited, "three")
        app.commands.withdraw_prompt(SESSION, withdrawn)
        await anyio.sleep(1)
        async with anyio.create_task_group() as group:
            await group.start(other.foundry.run)
            backend.down = False
            other.commands.reconnect()
            await until(lambda: len(true(backend)) > 1)
            await anyio.sleep(60)
            assert true(backend)[1:] == [("three", QUEUED)]
            group.cancel_scope.cancel()

    with_app(test, backend, keep)


def test_a_text_that_another_app_has_sent_is_edited_there() -> None:
    backend = with_prompt()

    async def test(app: App) -> None:
        await opened(app)
        backend.down = True
        prompt_id = app.commands.prompt(SESSION, "one")
        await anyio.sleep(1)
        backend.world.prompt(SESSION, prompt_id, "one")
        app.commands.edit_prompt(SESSION, prompt_id, "two")
        backend.down = False
        app.commands.reconnect()
        await until(lambda: not app.foundry.outbox.prompts)
        await until(lambda: shown(app)[1:] == true(backend)[1:] == [("two", QUEUED)])

    with_app(test, backend)


def test_an_app_that_was_opened_in_between_does_not_bring_an_older_text_back(tmp_path: Path) -> None:
    backend, keep = with_prompt(), tmp_path / "outbox.json"

    async def test(app: App) -> None:
        await opened(app)
        backend.down = True
        app.commands.edit_prompt(SESSION, "prompt-1", "two")
        await anyio.sleep(1)
        other = App(backend, keep)
        app.commands.edit_prompt(SESSION, "prompt-1", "three")
        backend.down = False
        app.commands.reconnect()
        await until(lambda: not app.foundry.outbox.commands)
        await anyio.sleep(1)
        async with anyio.create_task_group() as group:
            await group.start(other.foundry.run)
            await opened(other)
            await until(lambda: not other.foundry.outbox.commands)
            assert shown(other) == true(backend) == [("three", QUEUED)]
            group.cancel_scope.cancel()

    with_app(test, backend, keep)
