"""What gh alone does, against a GitHub on loopback; what every forge does is in `tests/ports/test_forge.py`."""

import json
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace as proposed
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_stub.domain.errors import GitError
from backend_stub.domain.forge import ForgeError, ForgeLimitedError, Proposal
from backend_stub.forge.gh import cli as gh
from backend_stub.forge.gh.answers import Check, Rollup
from backend_stub.forge.gh.check_logs import end_of_log
from backend_stub.forge.gh.cli import GitHubCli
from backend_stub.forge.gh.refusals import limited
from backend_stub.repository import git as repository_git
from foundry_tui.contract.pull_request import Checks, ChecksState
from foundry_tui.contract.replace import replace
from tests.forge.github_stub import GitHub, Pull, Repo
from tests.git import git, make_code
from tests.local.test_way_home import Told, change, operate, sandbox
from tests.local.world import LocalWorld, ended

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
    heal(hub)


def heal(hub: GitHub) -> None:
    hub.fail(times=0)
    hub.garbled, hub.delay, hub.used_up_until = False, 0.0, None


PULL = {"url": "https://github.example.test/acme/widgets/pull/1", "title": "T", "state": "OPEN"}
"""The least that gh tells of a pull request."""


def threads(**fields: object) -> object:
    """What gh tells of one comment, on a thread with these fields."""
    thread = {"comments": {"nodes": [{"body": "x"}]}, **fields}
    return {"data": {"repository": {"pullRequest": {"reviewThreads": {"nodes": [thread]}}}}}


def forge_that_says(folder: Path, answer: bytes) -> GitHubCli:
    """The forge with a gh that prints this, whatever it is asked."""
    (folder / "answer").write_bytes(answer)
    (folder / "gh").write_text(f"#!/bin/sh\nexec cat '{folder / 'answer'}'\n")
    (folder / "gh").chmod(0o755)
    return GitHubCli(lambda: 1, {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})


def forge_of(hub: GitHub, **environ: str) -> GitHubCli:
    return GitHubCli(lambda: 1, {**os.environ, **hub.env(), "GH_CONFIG_DIR": str(hub.folder / "config"), **environ})


def _close_a_draft(pull: Pull) -> None:
    pull.draft = True
    pull.close()  # type: ignore[no-untyped-call]  # it is taken as it is


def _use_up(hub: GitHub) -> None:
    hub.limit()
    hub.used_up_until = 3_600


Become = Callable[[Pull], object]
FAILED = ("ACTION_REQUIRED", "CANCELLED", "FAILURE", "STARTUP_FAILURE", "TIMED_OUT")
STATES: Mapping[str, tuple[Become, dict[str, object]]] = {
    "open": (lambda pull: None, {"state": "open", "review": "none", "mergeable": "yes", "comments": 0}),
    "draft": (lambda pull: setattr(pull, "draft", True), {"state": "draft"}),
    "a draft that was closed": (_close_a_draft, {"state": "closed"}),
    "merged": (Pull.merge, {"state": "merged"}),
    "closed": (Pull.close, {"state": "closed"}),
    "no checks": (lambda pull: None, {"checks": Checks()}),
    "checks that wait": (
        lambda pull: (pull.check("a", None), pull.check("b", "PENDING", "StatusContext")),
        {"checks": Checks(state=ChecksState.PENDING, pending=2)},
    ),
    "a required check that nobody has begun": (
        lambda pull: (pull.check("a", "SUCCESS"), pull.check("b", "EXPECTED", "StatusContext")),
        {"checks": Checks(state=ChecksState.PENDING, passed=1, pending=1)},
    ),
    "checks that pass": (
        lambda pull: [pull.check(outcome, outcome) for outcome in ("SUCCESS", "NEUTRAL", "SKIPPED")],
        {"checks": Checks(state=ChecksState.PASSING, passed=3)},
    ),
    "checks that fail": (
        lambda pull: [pull.check(outcome, outcome) for outcome in FAILED],
        {"checks": Checks(state=ChecksState.FAILING, failed=len(FAILED), names=FAILED)},
    ),
    "mixed checks": (
        lambda pull: (pull.check("a", "SUCCESS"), pull.check("b", None), pull.check("c", "ERROR", "StatusContext")),
        {"checks": Checks(state=ChecksState.FAILING, passed=1, pending=1, failed=1, names=("c",))},
    ),
    "a check that grew stale": (
        lambda pull: pull.check("a", "STALE"),
        {"checks": Checks(state=ChecksState.PENDING, pending=1)},
    ),
    "review required": (lambda pull: setattr(pull, "decision", "REVIEW_REQUIRED"), {"review": "required"}),
    "approved": (lambda pull: pull.review("mona", "APPROVED"), {"review": "approved"}),
    "changes requested": (lambda pull: pull.review("m", "CHANGES_REQUESTED"), {"review": "changes_requested"}),
    "a review that only remarks": (lambda pull: pull.review("mona", "COMMENTED"), {"review": "none"}),
    "conflicts": (lambda pull: setattr(pull, "mergeable", "CONFLICTING"), {"mergeable": "no"}),
    "not known whether it can be merged": (
        lambda pull: setattr(pull, "mergeable", "UNKNOWN"),
        {"mergeable": "unknown"},
    ),
    "comments": (
        lambda pull: (pull.thread("a.txt", 1, "why?"), pull.thread("a.txt", 2, "ok", resolved=True)),
        {"comments": 1},
    ),
    "comments that are resolved": (lambda pull: pull.thread("a.txt", 2, "ok", resolved=True), {"comments": 0}),
}
"""How a pull request came to be as it is, and what is told of it then."""


@pytest.mark.slow
async def test_each_state_is_told(hub: GitHub, repo: Repo) -> None:
    base = git(repo.bare, "rev-parse", "main")
    for name, (become, told) in STATES.items():
        repo.pulls.clear()
        git(repo.bare, "update-ref", "refs/heads/main", base)
        become(repo.open("T", "B", "feat"))
        seen = await forge_of(hub).look(REMOTE, 1)
        assert {field: getattr(seen, field) for field in told} == told, name
    assert not hub.unknown


def test_of_a_check_that_was_run_again_the_newer_run_counts() -> None:
    first = Check(name="a", workflow_name="CI", status="COMPLETED", conclusion="FAILURE", started_at="2026-01-01")
    again = replace(first, conclusion="SUCCESS", started_at="2026-01-02")
    other = replace(first, workflow_name="Nightly", conclusion="SUCCESS")
    told = Rollup(status_check_rollup=(again, first, other)).told()
    assert told == Checks(state=ChecksState.PASSING, passed=2)


Refuse = Callable[[GitHub], object]
FAULTS: Mapping[str, tuple[Refuse, dict[str, str], str]] = {
    "not logged in": (lambda hub: None, {"GH_ENTERPRISE_TOKEN": ""}, r"gh auth login --hostname github\.example\.test"),
    "401": (lambda hub: None, {"GH_ENTERPRISE_TOKEN": "wrong"}, r"gh auth login --hostname github\.example\.test"),
    "403": (lambda hub: hub.fail(403, message="Resource not accessible by token"), {}, "Resource not accessible"),
    "404": (lambda hub: hub.fail(404, message="Not Found"), {}, "knows no repository acme/widgets"),
    "500": (lambda hub: hub.fail(500), {}, "cannot be reached: .*HTTP 500"),
    "502": (lambda hub: hub.fail(502), {}, "cannot be reached: .*HTTP 502"),
    "503": (lambda hub: hub.fail(503), {}, "cannot be reached: .*HTTP 503"),
    "primary limit": (_use_up, {}, "Try again in 60 min"),
    "secondary limit": (lambda hub: hub.limit_more(90), {}, "Try again in 2 min"),
    "a limit that says no end": (lambda hub: hub.fail(429, message="slow down"), {}, "Try again later"),
    "no JSON": (lambda hub: setattr(hub, "garbled", True), {}, "no JSON.*proxy"),
    "a strange certificate": (lambda hub: None, {"SSL_CERT_FILE": os.devnull}, "certificate.*SSL_CERT_FILE"),
    "an unknown host": (lambda hub: None, {"HTTPS_PROXY": "", "https_proxy": ""}, "cannot be reached"),
    "a proxy that is away": (lambda hub: None, {"https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": ""}, "be reached"),
    "gh missing": (lambda hub: None, {"PATH": "/nowhere"}, "Install it"),
    "hangs": (lambda hub: setattr(hub, "delay", 5), {}, r"did not answer gh within 0\.5 s"),
}
"""What is wrong, and what is said of it."""


@pytest.mark.slow
@pytest.mark.parametrize("call", ["propose", "look", "comments"])
async def test_each_fault_is_said_with_what_to_do_and_the_next_try_works(
    hub: GitHub, repo: Repo, call: str, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]
) -> None:
    calls = {"look": lambda forge: forge.look(REMOTE, 1), "comments": lambda forge: forge.comments(REMOTE, 1)}
    ask: Callable[[GitHubCli], Awaitable[object]] = calls.get(call, lambda forge: forge.propose(REMOTE, PROPOSAL))
    for name, (break_it, environ, said) in FAULTS.items():
        repo.pulls.clear()
        if call != "propose":
            repo.open("T", "B", "feat")
        break_it(hub)
        with monkeypatch.context() as patch, pytest.raises(ForgeError, match=said) as failed:
            if hub.delay:
                patch.setattr(gh, "LIMIT", 0.5)
            await ask(forge_of(hub, **environ))
        assert isinstance(failed.value, ForgeLimitedError) == ("limit" in name), name
        if isinstance(failed.value, ForgeLimitedError):
            assert failed.value.until == {"primary limit": 3_600_001, "secondary limit": 90_001}.get(name)
        assert "stub-token" not in failed.value.message
        assert len(repo.pulls) == (call != "propose"), name
        heal(hub)
        await ask(forge_of(hub))
        assert len(repo.pulls) == 1, name
    tell(f"gh {call}: {len(FAULTS)} faults, each said and mended")


async def test_what_cannot_be_proposed_is_said(hub: GitHub, repo: Repo, tmp_path: Path) -> None:
    forge = forge_of(hub)
    with pytest.raises(ForgeError, match="knows no repository acme/nothing"):
        await forge.propose(REMOTE.replace("widgets", "nothing"), PROPOSAL)
    with pytest.raises(ForgeError, match="no repository of GitHub"):
        await forge.expect_usable(str(tmp_path))
    with pytest.raises(ForgeError, match=r"acme/widgets on \S+ has no pull request #"):
        await forge.look(REMOTE, 7)
    with pytest.raises(ForgeError, match="no branch of the base's name"):
        await forge.propose(REMOTE, proposed(PROPOSAL, base="gone"))
    git(repo.bare, "branch", "--force", "feat", "main")
    with pytest.raises(ForgeError, match="nothing to propose"):
        await forge.propose(REMOTE, PROPOSAL)
    assert not repo.pulls


SHAPES: Mapping[str, object] = {
    "a pull request without its fields": {},
    "checks that are one": {**PULL, "statusCheckRollup": {"name": "a"}},
    "checks that are none": {**PULL, "statusCheckRollup": [None, 7, "a"]},
    "a check whose name is a list": {**PULL, "statusCheckRollup": [{"name": ["a"]}]},
    "an owner that is a name": {**PULL, "headRepositoryOwner": "acme"},
    "a thread that is none": {"data": {"repository": {"pullRequest": {"reviewThreads": {"nodes": [None]}}}}},
    "a comment's line that is none": threads(line="7"),
    "a comment's path that is none": threads(path=7),
    "pull requests without a number": [{}],
    "a number that is none": [{"number": "7"}],
    "a list of lists": [[]],
    "no list at all": None,
}


@pytest.mark.parametrize("name", SHAPES)
async def test_an_answer_of_another_shape_is_said_and_no_fault_of_ours(tmp_path: Path, name: str) -> None:
    forge = forge_that_says(tmp_path, json.dumps(SHAPES[name]).encode())
    said = []
    for ask in (
        lambda: forge.look(REMOTE, 1),
        lambda: forge.head(REMOTE, 1),
        lambda: forge.comments(REMOTE, 1),
        lambda: forge.failed_checks(REMOTE, 1, (), 1, 100),
        lambda: forge.find(REMOTE, "feat"),
        lambda: forge.propose(REMOTE, PROPOSAL),
        lambda: forge.issue(REMOTE, 1),
    ):
        try:
            await ask()
        except ForgeError as error:
            said.append(str(error))
    assert any("something else than was asked for" in each for each in said)


async def test_a_gh_that_prints_without_end_is_stopped_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_git, "_OUTPUT_LIMIT", 100_000)
    with pytest.raises(ForgeError, match="printed more than"):
        await forge_that_says(tmp_path, b"y\n" * 100_000).look(REMOTE, 1)


@pytest.mark.parametrize(
    ("remote", "asked"),
    [
        ("git@github.com:acme/widgets.git", "github.com"),
        ("https://me:secret@GitHub.com/acme/widgets.git", "github.com"),
        ("https://www.github.com/acme/widgets/", "github.com"),
        ("ssh://git@ssh.github.com:443/acme/widgets.git", "github.com"),
        ("git@work:acme/widgets.git", "github.com"),
        ("work:acme/widgets", "github.com"),
        ("git@ghes.example:acme/widgets.git", "ghes.example"),
        ("https://work/acme/widgets.git", "work"),
        ("git@gitlab.com:acme/widgets.git", None),
        ("https://gitlab.example.org/acme/widgets.git", None),
        ("-oProxyCommand=x:acme/widgets.git", "-oproxycommand=x"),
        ("/srv/acme/widgets.git", None),
        ("C:/acme/widgets", None),
    ],
)
async def test_the_host_is_the_one_that_the_remote_means(tmp_path: Path, remote: str, asked: str | None) -> None:
    forge = forge_that_says(tmp_path, b"[]")
    (tmp_path / "gh").write_text(f"#!/bin/sh\necho \"$GH_HOST $*\" > '{tmp_path}/asked'\necho '[]'\n")
    # The configuration of the person has `Host work` and `Host ghes.example`, the latter by its address.
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\ncase $2 in work) echo hostname github.com;; *) echo hostname 10.0.0.7;; esac\n")
    ssh.chmod(0o755)
    if asked is None:
        with pytest.raises(ForgeError, match="no repository of GitHub"):
            await forge.find(remote, "feat")
        return
    assert await forge.find(remote, "feat") is None
    words = (tmp_path / "asked").read_text().split()
    assert (words[0], words[words.index("--repo") + 1]) == (asked, f"{asked}/acme/widgets")


async def test_colours_that_a_person_wants_everywhere_are_in_no_answer(hub: GitHub, repo: Repo) -> None:
    repo.open("T", "B", "feat")
    assert (await forge_of(hub, CLICOLOR_FORCE="1").look(REMOTE, 1)).title == "T"


async def test_a_gh_that_hangs_is_ended_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "gh"
    shim.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/pid\nwait\n")
    shim.chmod(0o755)
    monkeypatch.setattr(gh, "LIMIT", 0.5)
    with pytest.raises(ForgeError, match="did not answer"):
        await GitHubCli(lambda: 1, {"PATH": f"{tmp_path}:{os.environ['PATH']}"}).look(REMOTE, 1)
    await ended(int((tmp_path / "pid").read_text()))


@pytest.mark.slow
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


async def test_what_is_no_issue_is_said(hub: GitHub, repo: Repo) -> None:
    forge = forge_of(hub)
    number = (await forge.propose(REMOTE, PROPOSAL)).number
    assert number == 1
    told = await forge.issue(REMOTE, repo.issue("Slow", "").number)
    assert told.url == "https://github.example.test/acme/widgets/issues/2"
    with pytest.raises(ForgeError, match="#1 of acme/widgets is a pull request"):
        await forge.issue(REMOTE, number)
    with pytest.raises(ForgeError, match="has no issue #77"):
        await forge.issue(REMOTE, 77)
    assert not hub.unknown


async def test_what_the_forge_calls_things_is_one_line_that_every_list_can_bear(hub: GitHub, repo: Repo) -> None:
    endless = "Sums\n\nare  wrong " * 50_000
    pull = repo.open(endless, "", "feat")
    pull.check(endless, "FAILURE")
    forge = forge_of(hub)
    head = await forge.head(REMOTE, pull.number)
    issue = await forge.issue(REMOTE, repo.issue(endless, "text").number)
    (failed,) = await forge.failed_checks(REMOTE, pull.number, head.pull_request.checks.names, 0, 0)
    said = {head.pull_request.title, issue.title, failed.name, *head.pull_request.checks.names}
    assert said == {f"{('Sums are wrong ' * 50)[:299]}…"}
    assert issue.text == "text"


async def test_a_failed_check_s_log_ends_with_its_error_and_is_bounded(hub: GitHub, repo: Repo) -> None:
    forge = forge_of(hub)
    number = (await forge.propose(REMOTE, PROPOSAL)).number
    pull = repo.pulls[number]
    stamp = "2026-11-29T12:31:35.1234567Z "
    lines = [*(f"{stamp}line {count}" for count in range(200_000)), f"{stamp}\x1b[31mE   assert 1 == 2\x1b[0m"]
    lines += [f"{stamp}##[error]Process completed with exit code 1.", f"{stamp}Post job cleanup."]
    pull.check("tests", "FAILURE", log="\r\n".join(lines))
    pull.check("build", "SUCCESS", log="fine")
    pull.check("old", "ERROR", "StatusContext")
    pull.check("gone", "FAILURE", log="")
    tests, old, gone = await forge.failed_checks(REMOTE, number, (), 5, 1_000)
    assert tests.log.endswith("line 199999\nE   assert 1 == 2\n##[error]Process completed with exit code 1.")
    assert (tests.name, tests.cut, len(tests.log) <= 1_000) == ("tests", True, True)
    assert tests.log.startswith("line ")
    assert (old.name, old.log, gone.name, gone.log) == ("old", "", "gone", "")
    assert "/actions/runs/" in tests.url
    (named,) = await forge.failed_checks(REMOTE, number, ("tests",), 0, 1_000)
    assert (named.name, named.log) == ("tests", "")
    hub.fail(500, match="/logs")
    with pytest.raises(ForgeError, match="cannot be reached"):
        await forge.failed_checks(REMOTE, number, ("tests",), 5, 1_000)
    hub.fail(times=0)
    assert not hub.unknown


@given(st.text(alphabet="ab\n\r\x1b[31m`#é\u2028", max_size=200), st.integers(1, 50))
def test_the_end_of_any_log_is_short_and_harmless(log: str, most: int) -> None:
    text, cut = end_of_log(log, most)
    assert len(text) <= most
    assert not any(char in text for char in "\x1b\r")
    assert cut or text == end_of_log(log, 10_000)[0]


@pytest.mark.parametrize(
    "answer",
    ["HTTP/2.0 429\nRetry-After: 9999999\n\n{}", '\n\n{"resources":{"core":{"remaining":0,"reset":99999999999}}}'],
)
def test_no_answer_keeps_a_forge_from_being_asked_for_days(answer: str) -> None:
    refusal = limited("github.com", answer, now=0)
    assert refusal.until == 3_600_000
    assert "in 60 min" in str(refusal)
