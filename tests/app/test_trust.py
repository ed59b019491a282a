"""The question about a repository's own set-up: what it shows, when it is asked, and what comes of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from textual.widgets import Static

from foundry_tui.app import confirmations
from foundry_tui.app.options import Options
from foundry_tui.contract.requests import RepoSetup, SetupFile
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.trust import TrustScreen
from tests.app.factories import make_repo, make_task
from tests.app.harness import Stage, make_store, stage
from tests.app.looking import text_of

pytestmark = pytest.mark.anyio

DIGEST = "d" * 64
SCRIPT = "#!/bin/sh\nnpm ci\n\trm -rf ~ \x1b[8m # hidden \u202e\n" + "".join(f"echo {n}\n" for n in range(40))


@pytest.fixture(autouse=True)
def _a_pause_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0.05)


def a_setup(**fields: object) -> RepoSetup:
    files = (SetupFile(path=".foundry/setup", text=SCRIPT), SetupFile(path=".foundry/mcp.json", text="{}"))
    return RepoSetup(**{"digest": DIGEST, "files": files, **fields})  # type: ignore[arg-type]


@asynccontextmanager
async def created(setup: RepoSetup, size: tuple[int, int] = (100, 34), provider: str = "local") -> AsyncIterator[Stage]:
    """A task just created in a repository that has this set-up."""
    options = Options(bell=False, terminal_notifications=False, repo="/src/shop")
    store = make_store([make_task(1)], [make_repo("shop")])
    async with stage(store, size=size, options=options, notifications=True) as on:
        on.commands.providers = {provider: "ready"}
        on.commands.setups["repo-shop"] = setup
        await create(on)
        yield on


async def create(on: Stage) -> None:
    await on.press("n")
    await on.burst("fix it")
    await on.press("ctrl+s")
    await settled(on)


async def settled(on: Stage) -> None:
    """Wait until it is asked, or clear that nothing is."""
    await looked(on)
    if on.app.confirmations.waiting:
        await on.opens(TrustScreen)
    await on.quiet()


async def looked(on: Stage) -> None:
    """Wait until the repository's set-up has been looked at."""
    if looking := [worker for worker in on.app.workers if worker.group == "trust"]:
        await on.app.workers.wait_for_complete(looking)


def asks(on: Stage) -> bool:
    return isinstance(on.app.screen, TrustScreen)


async def test_all_of_it_is_shown_and_trusted_with_a_key() -> None:
    async with created(a_setup()) as on:
        assert asks(on)
        shown = "\n".join(str(each.content) for each in on.app.screen.query(Static))
        assert "echo 39" in shown
        assert ".foundry/mcp.json" in shown
        assert "␛[8m # hidden �" in shown
        await on.press("y")
        assert ("trust", "repo-shop", DIGEST) in on.commands.calls
        assert not asks(on)


async def test_skipping_asks_no_more_about_this_content() -> None:
    async with created(a_setup()) as on:
        await on.press("escape")
        assert any("foundry trust repo-shop" in each.message for each in on.app._notifications)
        assert not any(call[0] == "trust" for call in on.commands.calls)
        await on.press("escape")
        await create(on)
        assert not asks(on)


async def test_what_was_skipped_can_be_trusted_from_the_palette() -> None:
    async with created(a_setup()) as on:
        await on.press("escape", "escape", "ctrl+p")
        await on.press(*"trust set", "enter")
        await settled(on)
        assert asks(on)
        await on.press("y")
        await settled(on)
        assert ("trust", "repo-shop", DIGEST) in on.commands.calls


@pytest.mark.parametrize(
    ("setup", "said"), [(RepoSetup(), "has nothing that wants trust"), (a_setup(trusted=True), "is trusted as it is")]
)
async def test_who_asks_hears_why_there_is_nothing_to_trust(setup: RepoSetup, said: str) -> None:
    async with created(setup) as on:
        await on.press("escape")
        await on.app.action_act("trust_setup")
        await settled(on)
        assert not asks(on)
        assert any(said in each.message for each in on.app._notifications)


@pytest.mark.parametrize("setup", [RepoSetup(), a_setup(trusted=True)])
async def test_nothing_is_asked_where_nothing_would_be_skipped(setup: RepoSetup) -> None:
    async with created(setup) as on:
        assert not asks(on)


async def test_a_simulated_task_asks_nothing() -> None:
    async with created(a_setup(), provider="demo") as on:
        assert not asks(on)


async def test_what_nobody_can_trust_is_said() -> None:
    async with created(a_setup(problem=".foundry/setup is a symbolic link")) as on:
        assert not asks(on)
        assert any("is a symbolic link" in each.message for each in on.app._notifications)


async def test_it_waits_for_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed for the next task does not answer it."""
    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 60)
    options = Options(bell=False, terminal_notifications=False, repo="/src/shop")
    async with stage(make_store([make_task(1)], [make_repo("shop")]), options=options) as on:
        on.commands.providers = {"local": "ready"}
        on.commands.setups["repo-shop"] = a_setup()
        await on.press("n")
        await on.burst("fix it")
        await on.press("ctrl+s")
        await on.press("n")
        await on.burst("yes and more")
        await looked(on)
        assert on.app.confirmations.waiting
        monkeypatch.setattr(confirmations, "monotonic", lambda: monotonic() + 60)
        on.app.confirmations._ask_next()
        await on.quiet()
        assert isinstance(on.app.screen, NewTaskScreen)
        assert not any(call[0] == "trust" for call in on.commands.calls)
        await on.press("escape")
        on.app.confirmations._ask_next()
        await on.quiet()
        assert asks(on)


async def test_what_is_not_in_view_is_told_and_scrolled_to_with_keys() -> None:
    async with created(a_setup(), size=(60, 20)) as on:
        assert "more lines: pgdn" in text_of(on)
        assert "echo 39" not in text_of(on)
        await on.press("pagedown")
        assert "echo 2" in text_of(on)
        await on.press("G")
        assert "That is all of it; pgup goes back" in text_of(on)
        assert ".foundry/mcp.json" in text_of(on)
        await on.press("g", "g")
        assert "#!/bin/sh" in text_of(on)
        assert asks(on)


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_it_fits(size: tuple[int, int]) -> None:
    async with created(a_setup(), size=size) as on:
        assert asks(on)
        drawn = text_of(on)
        for words in ("Run the set-up of shop", "Trust it", "Skip it", "#!/bin/sh"):
            assert words in drawn
