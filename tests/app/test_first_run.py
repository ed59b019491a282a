"""Where no agent is installed the app says so before a prompt is written, and installs one with a key."""

from collections.abc import Callable

import pytest
from textual.widgets import OptionList, Static, TextArea

from foundry_tui.contract.agents import HOW_TO_RUN_ONE, how_to_get
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.problems import FieldError, Problem
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens import install_agent
from foundry_tui.screens.install_agent import InstallAgentScreen
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.view.first_run import no_agent
from tests.app.factories import make_repo
from tests.app.harness import Stage, make_store, stage
from tests.app.looking import text_of

pytestmark = pytest.mark.anyio

PROVIDERS = {"local": "ready", "demo": "ready"}


def agents(claude: AgentState = AgentState.MISSING, how: str = "") -> tuple[AgentInfo, ...]:
    known = [AgentInfo(name="claude", provider="local", state=claude, how=how or how_to_get("claude"))]
    known += [AgentInfo(name="pi", provider="local", state=AgentState.MISSING, how=how_to_get("pi"))]
    return (*known, AgentInfo(name="claude", provider="demo", state=AgentState.READY, how=""))


@pytest.mark.parametrize(
    ("providers", "told", "headline"),
    [
        (PROVIDERS, agents(), "No agent is installed"),
        (PROVIDERS, agents(how=HOW_TO_RUN_ONE), "What runs agents is not installed"),
        (PROVIDERS, agents(AgentState.NEEDS_LOGIN), None),
        (PROVIDERS, (), None),
        ({}, agents(), None),
        (dict(reversed(PROVIDERS.items())), agents(), None),
    ],
)
def test_what_keeps_a_request_from_being_answered(
    providers: dict[str, str], told: tuple[AgentInfo, ...], headline: str | None
) -> None:
    found = no_agent(providers, told)
    assert (found and found.headline) == headline


async def without_agent(on: Stage, *keys: str) -> None:
    """The dialog, on a backend that has no agent, or on another machine."""
    on.commands.providers = PROVIDERS
    on.commands.agents_told = agents()
    on.app._first_run._ours = True
    on.app._first_run._changed()
    await on.app._first_run.look()
    await on.press(*keys)


async def test_an_empty_list_says_that_no_agent_is_there_and_how_to_get_one() -> None:
    async with stage(make_store()) as on:
        await without_agent(on)
        shown = text_of(on)
        for words in ("No agent is installed", "foundry agent install claude", "f3", "foundry demo"):
            assert words in shown
        await on.press("f3")
        assert isinstance(on.app.screen, InstallAgentScreen)


async def test_the_dialog_keeps_its_draft_while_an_agent_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[str]] = []
    headings: list[str] = []
    codes = iter((1, 0))

    async def run(command: list[str], tell: Callable[[str], None]) -> int:
        said.append(command[-3:])
        tell("$ npm pack \x1b[8m")
        headings.append(str(on.app.screen.query_one("#heading", Static).content))
        code = next(codes)
        if code == 0:
            on.commands.agents_told = agents(AgentState.READY)
        return code

    monkeypatch.setattr(install_agent, "told_lines", run)
    async with stage(make_store([], [make_repo("shop")])) as on:
        await without_agent(on, "n")
        assert "No agent is installed" in text_of(on)
        on.app.screen.query_one(TextArea).focus()
        await on.burst("mend it")
        await on.press("ctrl+s")
        assert on.app.screen.query(OptionList)
        await on.press("down", "up", "enter")
        await on.quiet()
        assert "Nothing was installed (exit code 1)" in text_of(on)
        assert "␛[8m" in text_of(on)
        assert not on.app.screen.query_one(OptionList).disabled
        await on.press("enter")
        await on.app.workers.wait_for_complete()
        await on.quiet()
        assert said == [["agent", "install", "claude"]] * 2
        assert headings == ["Installing claude"] * 2
        assert isinstance(on.app.screen, NewTaskScreen)
        assert on.app.screen.query_one(TextArea).text == "mend it"
        assert "No agent is installed" not in text_of(on)
        assert not on.commands.created
        await on.press("ctrl+s")
        assert [request.prompt for request in on.commands.created] == ["mend it"]


async def test_what_wants_a_login_leads_on_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(command: list[str], tell: Callable[[str], None]) -> int:
        on.commands.agents_told = agents(AgentState.NEEDS_LOGIN)
        return 0

    monkeypatch.setattr(install_agent, "told_lines", run)
    async with stage(make_store()) as on:
        await without_agent(on, "f3", "enter")
        await on.app.workers.wait_for_complete()
        await on.quiet()
        assert "foundry agent login claude" in text_of(on)
        await on.press("escape")
        assert "No tasks yet" in text_of(on)


async def test_what_was_refused_for_want_of_an_agent_is_created_once_one_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run(command: list[str], tell: Callable[[str], None]) -> int:
        on.commands.agents_told = agents(AgentState.READY)
        return 0

    monkeypatch.setattr(install_agent, "told_lines", run)
    async with stage(make_store([], [make_repo("shop")])) as on:
        await without_agent(on)
        request = CreateTask(repo="repo-shop", prompt="mend it", task_id="t", session_id="s")
        on.store.create(request)
        problem = FieldError(field="provider", message="No agent is installed here")
        on.store.refused("t", Problem(status=422, title="Unprocessable", detail="", errors=(problem,)))
        on.app.open_new_task(draft=request)
        await on.quiet()
        assert "No agent is installed here" in text_of(on)
        await on.press("f3", "enter")
        await on.app.workers.wait_for_complete()
        await on.quiet()
        assert "No agent is installed" not in text_of(on)
        await on.press("ctrl+s")
        assert [each.prompt for each in on.commands.created] == ["mend it"]
