"""What every forge promises, as `backend_stub.domain.forge` says. What only gh does is tried in `tests/forge`."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from backend_stub.domain.forge import Forge, ForgeError, Proposal
from backend_stub.forge.gh.cli import GitHubCli
from foundry_tui.contract.pull_request import ChecksState, PullRequestState
from tests.forge.github_stub import GitHub
from tests.git import git, make_code

pytestmark = [
    pytest.mark.anyio,
    # The stand-in leaves its sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
PROPOSAL = Proposal(head="feat", base="main", title="T", body="B")


class Side(Protocol):
    """A forge and what it talks to: an empty repository but for the branches `main` and `feat`, one commit ahead."""

    remote: str
    forge: Forge

    def opened(self) -> int:
        """How many pull requests there are."""
        ...

    def body(self, number: int) -> str:
        """What the pull request says of itself."""
        ...

    def come_from(self, number: int, owner: str) -> None:
        """The pull request is of a fork that this owner has."""
        ...

    def comment(self, number: int, path: str, line: int, text: str, *, resolved: bool) -> None:
        """Somebody says something of a line."""
        ...

    def fail(self, number: int, check: str, log: str) -> None:
        """A check of the pull request has failed."""
        ...

    def issue(self, title: str, text: str) -> int:
        """Somebody reports something; its number."""
        ...

    def close(self) -> None: ...


class OfGitHub:
    """gh, and a GitHub on loopback."""

    def __init__(self, folder: Path) -> None:
        code = make_code(folder / "code")
        git(code, "switch", "-q", "-c", "feat")
        git(code, "commit", "-q", "--allow-empty", "-m", "more")
        git(folder, "clone", "-q", "--bare", str(code), "widgets.git")
        self._stack = ExitStack()
        hub = self._stack.enter_context(GitHub(folder / "github"))
        self._repo = hub.repo("acme/widgets", folder / "widgets.git")
        self.remote = f"{self._repo.url}.git"
        environ = {**os.environ, **hub.env(), "GH_CONFIG_DIR": str(folder / "config")}
        self.forge: Forge = GitHubCli(lambda: 1, environ)

    def opened(self) -> int:
        return len(self._repo.pulls)

    def body(self, number: int) -> str:
        return str(self._repo.pulls[number].body)

    def come_from(self, number: int, owner: str) -> None:
        self._repo.pulls[number].fork = owner

    def comment(self, number: int, path: str, line: int, text: str, *, resolved: bool) -> None:
        self._repo.pulls[number].thread(path, line, text, resolved=resolved)

    def fail(self, number: int, check: str, log: str) -> None:
        self._repo.pulls[number].check(check, "FAILURE", log=log)

    def issue(self, title: str, text: str) -> int:
        return int(self._repo.issue(title, text).number)

    def close(self) -> None:
        self._stack.close()


SIDES: Mapping[str, Callable[[Path], Side]] = {"gh": OfGitHub}
"""Each forge that there is; the command of its name has to be there."""


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    side = SIDES[request.param](tmp_path)
    yield side
    side.close()


async def test_it_is_opened_once_and_refreshed_with_what_was_said(side: Side) -> None:
    opened = await side.forge.propose(side.remote, replace(PROPOSAL, draft=True))
    assert (opened.title, opened.state) == ("T", PullRequestState.DRAFT)
    again = await side.forge.propose(side.remote, replace(PROPOSAL, title="Another"))
    assert (again.number, again.url, again.title) == (opened.number, opened.url, "T")
    said = replace(PROPOSAL, title="New", body="ignored", said=frozenset({"title"}))
    assert (await side.forge.propose(side.remote, said)).title == "New"
    assert (side.opened(), side.body(opened.number)) == (1, "B")


async def test_it_is_a_draft_or_ready_as_was_said_and_else_stays_what_it_is(side: Side) -> None:
    for said, state in (
        (None, PullRequestState.OPEN),
        (True, PullRequestState.DRAFT),
        (None, PullRequestState.DRAFT),
        (False, PullRequestState.OPEN),
        (False, PullRequestState.OPEN),
    ):
        assert (await side.forge.propose(side.remote, replace(PROPOSAL, draft=said))).state is state


async def test_it_is_found_by_its_branch_and_looked_at_by_its_number(side: Side) -> None:
    assert await side.forge.find(side.remote, "feat") is None
    opened = await side.forge.propose(side.remote, PROPOSAL)
    found = await side.forge.find(side.remote, "feat")
    seen = await side.forge.look(side.remote, opened.number)
    assert found is not None
    assert found.number == seen.number == opened.number
    assert seen.state is PullRequestState.OPEN
    with pytest.raises(ForgeError):
        await side.forge.look(side.remote, opened.number + 70)


async def test_where_it_comes_from_is_told(side: Side) -> None:
    number = (await side.forge.propose(side.remote, PROPOSAL)).number
    head = await side.forge.head(side.remote, number)
    assert (head.branch, head.base, head.fork, head.pull_request.number) == ("feat", "main", None, number)
    side.come_from(number, "eve")
    assert (await side.forge.head(side.remote, number)).fork == "eve"


async def test_comments_are_told_with_where_they_stand(side: Side) -> None:
    number = (await side.forge.propose(side.remote, PROPOSAL)).number
    assert list(await side.forge.comments(side.remote, number)) == []
    side.comment(number, "a.txt", 2, "why?", resolved=False)
    side.comment(number, "a.txt", 1, "ok", resolved=True)
    comments = await side.forge.comments(side.remote, number)
    assert {(each.path, each.line, each.body, each.resolved) for each in comments} == {
        ("a.txt", 2, "why?", False),
        ("a.txt", 1, "ok", True),
    }
    assert all(each.author for each in comments)
    assert (await side.forge.look(side.remote, number)).comments == 1


async def test_of_checks_that_failed_the_end_of_their_logs_is_told(side: Side) -> None:
    number = (await side.forge.propose(side.remote, PROPOSAL)).number
    side.fail(number, "tests", "\n".join(f"line {count}" for count in range(1_000)))
    side.fail(number, "lint", "unused import")
    checks = (await side.forge.look(side.remote, number)).checks
    assert (checks.state, checks.failed, set(checks.names)) == (ChecksState.FAILING, 2, {"tests", "lint"})
    failed = {each.name: each for each in await side.forge.failed_checks(side.remote, number, (), 5, 100)}
    assert failed.keys() == {"tests", "lint"}
    assert failed["tests"].log.endswith("line 999")
    assert (failed["tests"].cut, len(failed["tests"].log) <= 100) == (True, True)
    (named,) = await side.forge.failed_checks(side.remote, number, ("lint",), 0, 100)
    assert (named.name, named.log) == ("lint", "")


async def test_an_issue_is_told_whole_and_a_pull_request_is_none(side: Side) -> None:
    told = await side.forge.issue(side.remote, side.issue("Slow ü", "Very\n\nslow"))
    assert (told.title, told.text) == ("Slow ü", "Very\n\nslow")
    assert told.url
    number = (await side.forge.propose(side.remote, PROPOSAL)).number
    for none in (number, number + 70):
        with pytest.raises(ForgeError):
            await side.forge.issue(side.remote, none)


async def test_a_remote_of_which_nothing_can_be_made_is_said_without_asking(side: Side, tmp_path: Path) -> None:
    await side.forge.expect_usable(side.remote)
    with pytest.raises(ForgeError):
        await side.forge.expect_usable(str(tmp_path))
