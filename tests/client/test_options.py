"""An option of a session is set: shown at once until the record has it, handed over once, and also over a restart."""

from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from foundry_tui.contract.records import OptionChoice, OptionType, SessionOption
from tests.client.app import App, with_app, with_ids
from tests.client.fake_backend import session_topic
from tests.client.transport import Backend, until

SESSION = "session-1"
CHOICES = tuple(OptionChoice(value=value, name=value.title()) for value in ("ask", "plan", "all"))
MODE = SessionOption(
    option_id="m", name="Mode", category="mode", type=OptionType.SELECT, value="ask", choices=CHOICES, error="no luck"
)
FAST = SessionOption(option_id="fast", name="Fast", type=OptionType.BOOLEAN, value=False)


def offering() -> Backend:
    backend = Backend()
    backend.world.create(with_ids(1))
    session = backend.world.sessions[SESSION]
    backend.world.sessions[SESSION] = replace(session, options=(MODE, FAST), mode="Ask")
    return backend


def shown(app: App) -> tuple[str | bool, ...]:
    """The values of both options."""
    session = app.store.session(SESSION)
    assert session is not None
    return tuple(option.value for option in session.options)


async def opened(app: App) -> None:
    app.commands.hold(session_topic(SESSION))
    await until(lambda: app.store.session(SESSION) is not None)


def test_it_is_shown_at_once_as_not_yet_set_and_never_flickers() -> None:
    backend = offering()

    async def test(app: App) -> None:
        await opened(app)
        backend.delay = 0.3
        app.commands.set_option(SESSION, "m", "plan")
        app.commands.set_option(SESSION, "fast", True)
        app.commands.set_option(SESSION, "m", "all")
        session = app.store.session(SESSION)
        assert session is not None and session.options[0].error is None
        assert session.mode == "All", "it is called by what was chosen last"
        assert app.store.unset_options(SESSION) == {"m", "fast"}
        for _ in range(40):
            assert shown(app) == ("all", True)
            await anyio.sleep(0.05)
        assert [each.value for each in backend.world.sessions[SESSION].options] == ["all", True]
        assert app.store.unset_options(SESSION) == frozenset()
        assert not app.problems and not app.foundry.outbox.commands
        backend.world.set_option(SESSION, "m", "ask")
        await until(lambda: shown(app)[0] == "ask")

    with_app(test, backend)


@pytest.mark.parametrize("value", ["refused", "plan"])
def test_what_the_backend_refuses_is_as_it_was_and_told(value: str) -> None:
    backend = offering()

    async def test(app: App) -> None:
        await opened(app)
        app.commands.set_option(SESSION, "m" if value == "refused" else "unknown", value)
        await until(lambda: bool(app.problems))
        assert app.problems[0].action == "set_option"
        assert shown(app) == ("ask", False)
        await until(lambda: not app.foundry.outbox.commands)

    with_app(test, backend)


def test_what_was_asked_for_while_the_backend_was_away_is_set_by_the_next_app(tmp_path: Path) -> None:
    backend = offering()
    kept = tmp_path / "kept.json"

    async def ask(app: App) -> None:
        await opened(app)
        backend.down = True
        for value in ("plan", "all"):
            app.commands.set_option(SESSION, "m", value)
        app.commands.set_option(SESSION, "fast", True)
        await anyio.sleep(1)

    async def come_back(app: App) -> None:
        await opened(app)
        await until(lambda: [each.value for each in backend.world.sessions[SESSION].options] == ["all", True])
        await until(lambda: shown(app) == ("all", True))
        assert not app.problems

    with_app(ask, backend, kept)
    backend.down = False
    with_app(come_back, backend, kept)
