"""`gh` as the forge's first side: the real command, against a GitHub on loopback."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import ForgeError, ForgeLimitedError, Proposal
from backend_stub.forge.gh import GitHubCli
from foundry_tui.contract.pull_request import Checks, ChecksState, Mergeable, PullRequestState, Review
from tests.forge.github_stub import GitHub, Repo
from tests.git import git, make_code
from tests.local.test_way_home import Told, change, operate, sandbox
from tests.local.world import LocalWorld

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed"),
    # The stand-in leaves its sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
REMOTE = "https://github.example.test/acme/widgets.git"
PROPOSAL = Proposal(head="feat", base="main", title="T", body="B")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    with GitHub(tmp_path_factory.mktemp("github")) as hub:
        yield hub


@pytest.fixture
def repo(hub: GitHub, tmp_path: Path) -> Iterator[Repo]:
    code = make_code(tmp_path / "code")
    git(code, "switch", "-q", "-c", "feat")
    git(code, "commit", "-q", "--allow-empty", "-m", "more")
    git(tmp_path, "clone", "-q", "--bare", str(code), "widgets.git")
    hub.requests.clear()
    yield hub.repo("acme/widgets", tmp_path / "widgets.git")
    hub.fail(times=0)
    hub.token = "stub-token"


def forge_of(hub: GitHub, **environ: str) -> GitHubCli:
    return GitHubCli(lambda: 1, {**os.environ, **hub.env(), "GH_CONFIG_DIR": str(hub.folder / "config"), **environ})


async def test_it_is_opened_once_and_refreshed_with_what_was_said(hub: GitHub, repo: Repo) -> None:
    forge = forge_of(hub)
    opened = await forge.propose(REMOTE, Proposal(head="feat", base="main", title="T", body="B", draft=True))
    assert (opened.number, opened.title, opened.state) == (1, "T", PullRequestState.DRAFT)
    assert opened.url == "https://github.example.test/acme/widgets/pull/1"
    again = await forge.propose(REMOTE, PROPOSAL)
    assert (again.number, again.title) == (1, "T")
    said = Proposal(head="feat", base="main", title="New", body="ignored", said=frozenset({"title"}))
    assert (await forge.propose(REMOTE, said)).title == "New"
    assert (len(repo.pulls), repo.pulls[1].body) == (1, "B")


async def test_every_state_is_told(hub: GitHub, repo: Repo) -> None:
    forge = forge_of(hub)
    number = (await forge.propose(REMOTE, PROPOSAL)).number
    pull = repo.pulls[number]
    assert (await forge.look(REMOTE, number)).checks == Checks()
    pull.check("build", "SUCCESS")
    pull.check("lint", None)
    assert (await forge.look(REMOTE, number)).checks == Checks(state=ChecksState.PENDING, passed=1, pending=1)
    pull.check("lint", "FAILURE")
    pull.check("old", "ERROR", "StatusContext")
    pull.mergeable = "CONFLICTING"
    pull.review("mona", "CHANGES_REQUESTED")
    pull.thread("a.txt", 2, "why?")
    pull.thread("a.txt", 1, "ok", resolved=True)
    seen = await forge.look(REMOTE, number)
    assert seen.checks == Checks(state=ChecksState.FAILING, passed=1, failed=2, names=("lint", "old"))
    assert (seen.review, seen.mergeable, seen.comments) == (Review.CHANGES_REQUESTED, Mergeable.NO, 1)
    comments = await forge.comments(REMOTE, number)
    assert {(each.path, each.line, each.author, each.body, each.resolved) for each in comments} == {
        ("a.txt", 2, "hubot", "why?", False),
        ("a.txt", 1, "hubot", "ok", True),
    }
    pull.review("mona", "APPROVED")
    pull.merge()  # type: ignore[no-untyped-call]  # it is taken as it is
    merged = await forge.look(REMOTE, number)
    assert (merged.state, merged.review) == (PullRequestState.MERGED, Review.APPROVED)
    assert not hub.unknown


async def test_what_is_in_the_way_is_said_with_what_to_do(hub: GitHub, repo: Repo, tmp_path: Path) -> None:
    forge = forge_of(hub)
    hub.limit()
    with pytest.raises(ForgeLimitedError, match="rate limit"):
        await forge.propose(REMOTE, PROPOSAL)
    hub.fail(500)
    with pytest.raises(ForgeError, match="cannot be reached"):
        await forge.propose(REMOTE, PROPOSAL)
    hub.fail(times=0)
    hub.token = "another"
    with pytest.raises(ForgeError, match=r"gh auth login --hostname github\.example\.test"):
        await forge.propose(REMOTE, PROPOSAL)
    hub.token = "stub-token"
    with pytest.raises(ForgeError, match="knows no repository acme/nothing"):
        await forge.propose(REMOTE.replace("widgets", "nothing"), PROPOSAL)
    with pytest.raises(ForgeError, match="gh auth login"):
        await forge_of(hub, GH_ENTERPRISE_TOKEN="").propose(REMOTE, PROPOSAL)
    with pytest.raises(ForgeError, match="no repository of GitHub"):
        await forge.expect_usable(str(tmp_path))
    with pytest.raises(ForgeError, match="Install it"):
        await forge_of(hub, PATH=str(tmp_path)).expect_usable(REMOTE)
    assert not repo.pulls


async def test_the_operation_commits_pushes_and_opens_and_a_second_time_only_refreshes(
    hub: GitHub, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hub.env().items():
        monkeypatch.setenv(name, value)
    with LocalWorld(tmp_path / "world") as world:
        async with world.provider() as provider:
            task, folder = await sandbox(world, provider)
            change(folder, "new.txt", "x\n")
            with pytest.raises(GitError, match="git remote add origin"):
                await operate(world, provider, task, "pull_request")
            git(world.repository, "remote", "add", "origin", str(tmp_path / "elsewhere.git"))
            with pytest.raises(ForgeError, match="no repository of GitHub"):
                await operate(world, provider, task, "pull_request")
            assert git(folder, "status", "--porcelain") == "?? new.txt", "nothing is committed for nothing"
            git(world.repository, "remote", "set-url", "origin", REMOTE)
            git(world.repository, "push", "-q", "--force", str(repo.bare), "main")
            told = Told()
            done = await operate(world, provider, task, "pull_request", told)
            assert done.result == {"number": 1, "url": "https://github.example.test/acme/widgets/pull/1"}
            assert told.steps == ["commit", "commit", "push", "pull_request"]
            assert (repo.pulls[1].title, repo.pulls[1].body) == ("Fix the login", "I fixed it.")
            again = await operate(world, provider, task, "pull_request", told, title="Better")
            assert (again.result, len(repo.pulls), repo.pulls[1].title) == (done.result, 1, "Better")
            assert git(repo.bare, "rev-list", "--count", f"main..{task.branch}") == "1"
            assert done.pull_request is not None
            held = replace(task, pull_request=done.pull_request)
            repo.pulls[1].check("build", "SUCCESS")
            seen = await provider.way_home.pull_request(world.call(held))
            assert seen is not None and seen.checks.state is ChecksState.PASSING
