"""Tasks that start from what exists: real git, a bare repository as `origin`, and the real `gh` where it is asked."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from backend_stub.domain.errors import GitError
from backend_stub.domain.provider import Release
from backend_stub.domain.start import Start
from backend_stub.providers.local import LocalProvider
from backend_stub.providers.local.sandbox_record import Records
from backend_stub.providers.local.way_home.pull_request import closing
from foundry_tui.contract.records import Repo, TaskDetail
from foundry_tui.contract.starts import StartedFrom
from tests.backend.process import BackendProcess
from tests.forge.github_stub import GitHub
from tests.forge.github_stub import Repo as HubRepo
from tests.git import git
from tests.local.test_way_home import add_origin, change, identify, operate
from tests.local.world import LocalWorld

pytestmark = [
    pytest.mark.anyio,
    # The stand-in leaves its sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
needs_gh = pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed")


async def started(
    world: LocalWorld, provider: LocalProvider, asked: StartedFrom, repo: Repo | None = None
) -> tuple[TaskDetail, Path]:
    """What the first two stages make of a task that starts so."""
    task = world.task(branch=asked.branch or "", started_from=asked)
    found = await provider.find_start(world.call(task, repo), asked)
    assert found.branch is not None
    return await with_sandbox(world, provider, task, found, repo)


async def with_sandbox(
    world: LocalWorld, provider: LocalProvider, task: TaskDetail, found: Start, repo: Repo | None = None
) -> tuple[TaskDetail, Path]:
    task = msgspec.structs.replace(
        task, branch=found.branch, base_branch=found.base, pull_request=found.pull_request, title=found.title
    )
    made = await provider.create_sandbox(world.call(task, repo))
    return msgspec.structs.replace(task, sandbox=made.sandbox), Path(made.sandbox.cwd)


def branch_of(folder: Path) -> str:
    return git(folder, "symbolic-ref", "--short", "HEAD")


def spike(world: LocalWorld) -> str:
    """A branch of the person's own with one commit of its own; its commit."""
    code = world.repository
    identify(code)
    git(code, "switch", "--quiet", "--create", "spike")
    change(code, "mine.txt", "mine\n", commit=True)
    git(code, "switch", "--quiet", "main")
    return git(code, "rev-parse", "spike")


async def test_the_persons_branch_is_worked_on_and_outlives_the_task(git_world: LocalWorld) -> None:
    tip = spike(git_world)
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="spike"))
        assert (branch_of(folder), git(folder, "rev-parse", "HEAD")) == ("spike", tip)
        change(folder, "more.txt", "more\n")
        await operate(git_world, provider, task, "commit", message="More")
        work = await provider.work(git_world.call(task))
        assert work is not None
        assert (work.base, work.ahead, work.behind) == ("main", 2, 0)
        assert provider.would_lose(task, delete_branch=True) == ()
        for end in (provider.release_sandbox, provider.destroy_sandbox):
            await end(git_world.call(task), Release(delete_branch=True, force=True))
        assert git(git_world.repository, "rev-parse", "spike^") == tip
        assert any("it was there before the task" in line for line in git_world.lines)
        assert not folder.exists()


async def test_it_lands_in_its_base_and_is_updated_from_it(git_world: LocalWorld) -> None:
    spike(git_world)
    change(git_world.repository, "base.txt", "moved\n", commit=True)
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="spike"))
        await operate(git_world, provider, task, "update", how="rebase")
        assert (folder / "base.txt").exists()
        done = await operate(git_world, provider, task, "land")
        assert done.result["into"] == "main"
        assert (git_world.repository / "mine.txt").read_text() == "mine\n"


async def test_a_branch_of_the_remote_alone_is_gone_on_with_and_pushed_there(git_world: LocalWorld) -> None:
    spike(git_world)
    remote = add_origin(git_world)
    git(git_world.repository, "branch", "--delete", "--force", "spike")
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="spike"))
        change(folder, "more.txt", "more\n")
        await operate(git_world, provider, task, "commit", message="More")
        assert (await operate(git_world, provider, task, "push")).result["branch"] == "spike"
        assert git(remote, "log", "-1", "--format=%s", "spike") == "More"
        await provider.destroy_sandbox(git_world.call(task), Release(delete_branch=True))
        assert git(git_world.repository, "branch", "--list", "spike") == "", "the task had made this one"
        assert git(remote, "log", "-1", "--format=%s", "spike") == "More"


async def test_a_branch_that_was_made_from_the_remotes_base_is_not_pushed_into_that(git_world: LocalWorld) -> None:
    remote = add_origin(git_world)
    identify(git_world.repository)
    git(git_world.repository, "branch", "--track", "mine", "origin/main")
    before = git(remote, "rev-parse", "main")
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="mine"))
        change(folder, "more.txt", "more\n", commit=True)
        work = await provider.work(git_world.call(task))
        assert work is not None
        assert (work.pushed, work.upstream) == (False, None)
        assert (await operate(git_world, provider, task, "push")).result["branch"] == "mine"
        assert git(remote, "rev-parse", "main") == before


async def test_working_on_the_base_itself_is_compared_with_where_it_was(git_world: LocalWorld) -> None:
    identify(git_world.repository)
    git(git_world.repository, "switch", "--quiet", "--create", "away")
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="main"))
        change(folder, "more.txt", "more\n", commit=True)
        work = await provider.work(git_world.call(task))
        assert work is not None
        assert (work.ahead, work.files) == (1, 1)


@pytest.mark.parametrize("where", ["checkout", "worktree", "task", "removed"])
async def test_a_branch_that_a_worktree_has_is_refused_and_the_worktree_named(
    git_world: LocalWorld, where: str
) -> None:
    spike(git_world)
    code, beside = git_world.repository, git_world.folder / "beside"
    async with git_world.provider() as provider:
        holder = code
        if where == "checkout":
            git(code, "switch", "--quiet", "spike")
        elif where == "task":
            _, holder = await started(git_world, provider, StartedFrom(branch="spike"))
        else:
            git(code, "worktree", "add", "--quiet", str(beside), "spike")
            holder = beside
        if where == "removed":
            shutil.rmtree(beside)
        with pytest.raises(GitError, match="is taken: the worktree") as refused:
            await started(git_world, provider, StartedFrom(branch="spike"))
        assert str(holder) in str(refused.value)
        assert not refused.value.retryable
        if where == "removed":
            git(code, "worktree", "prune")
            await started(git_world, provider, StartedFrom(branch="spike"))


async def test_who_switches_to_the_branch_while_the_worktree_is_made_keeps_it(git_world: LocalWorld) -> None:
    spike(git_world)
    code = git_world.repository
    change(code, ".gitattributes", "base.txt filter=person\n", commit=True)
    change(code, "base.txt", "base\n", commit=True)
    git(code, "branch", "--force", "spike", "main")
    unset = "env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE"
    git(code, "config", "filter.person.smudge", f"{unset} git -C {code} symbolic-ref HEAD refs/heads/spike; cat")
    async with git_world.provider() as provider:
        with pytest.raises(GitError, match=f"taken: the worktree {code} has it"):
            await started(git_world, provider, StartedFrom(branch="spike"))
        assert git(code, "worktree", "list").count("\n") == 0
        assert branch_of(code) == "spike"


async def test_a_sandbox_that_was_cut_is_completed_on_the_persons_branch(git_world: LocalWorld) -> None:
    tip = spike(git_world)
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="spike"))
        records = Records(git_world.data)
        record = records.load(task.task_id)
        assert record is not None
        records.save(msgspec.structs.replace(record, made="making", git_dir=""))
        git(git_world.repository, "worktree", "remove", "--force", str(folder))
        # Somebody goes on with their own branch meanwhile.
        git(git_world.repository, "branch", "--force", "spike", "main")
        await provider.create_sandbox(git_world.call(task))
        assert (branch_of(folder), git(folder, "rev-parse", "HEAD")) == (
            "spike",
            git(git_world.repository, "rev-parse", "main"),
        )
        assert tip


async def test_a_clone_of_ours_has_every_branch_free(git_world: LocalWorld) -> None:
    spike(git_world)
    remote = add_origin(git_world)
    repo = Repo(repo_id="repo-0123456789ab", label="code", remote=f"file://{remote}", default_branch="main")
    async with git_world.provider() as provider:
        with pytest.raises(GitError, match="no branch gone"):
            await started(git_world, provider, StartedFrom(branch="gone"), repo)
        for branch in ("spike", "main"):
            _, folder = await started(git_world, provider, StartedFrom(branch=branch), repo)
            assert branch_of(folder) == branch
        with pytest.raises(GitError, match="is taken"):
            await started(git_world, provider, StartedFrom(branch="main"), repo)


async def test_a_branch_of_a_clone_goes_with_its_task_though_the_clones_head_names_it(git_world: LocalWorld) -> None:
    spike(git_world)
    repo = Repo(repo_id="repo-0123456789ab", label="code", remote=f"file://{add_origin(git_world)}")
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, StartedFrom(branch="main"), repo)
        await provider.destroy_sandbox(git_world.call(task, repo), Release(delete_branch=True))
        assert not folder.exists()
        _, again = await started(git_world, provider, StartedFrom(branch="main"), repo)
        assert branch_of(again) == "main"


async def test_another_name_of_a_branch_is_as_taken_as_that(git_world: LocalWorld) -> None:
    spike(git_world)
    code = git_world.repository
    git(code, "symbolic-ref", "refs/heads/master", "refs/heads/main")
    async with git_world.provider() as provider:
        with pytest.raises(GitError, match=f"The branch master is taken: the worktree {code} has it"):
            await started(git_world, provider, StartedFrom(branch="master"))
        task, _ = await started(git_world, provider, StartedFrom(branch="spike"))
        done = await operate(git_world, provider, task, "land", into="master")
        assert done.result["into"] == "main"
        assert git(code, "status", "--porcelain") == "", "the checkout came along"
        assert (code / "mine.txt").exists()


# The forge


@dataclass
class Forge:
    """A GitHub with acme/widgets, which is the world's `origin` too."""

    hub: GitHub
    repo: HubRepo
    bare: Path


@pytest.fixture
def forge(git_world: LocalWorld, tmp_path: Path) -> Iterator[Forge]:
    spike(git_world)
    bare = add_origin(git_world)
    with GitHub(tmp_path / "github") as hub:
        repo = hub.repo("acme/widgets", bare)
        git(git_world.repository, "remote", "set-url", "origin", f"{repo.url}.git")
        git_world.environ |= {**hub.env(), "GH_CONFIG_DIR": str(tmp_path / "gh")}
        yield Forge(hub, repo, bare)


def push_elsewhere(forge: Forge, folder: Path, text: str) -> str:
    """Somebody else pushes to `spike`; the new commit."""
    git(folder.parent, "clone", "--quiet", "--branch", "spike", str(forge.bare), folder.name)
    identify(folder)
    change(folder, "theirs.txt", text, commit=True)
    git(folder, "push", "--quiet", "origin", "spike")
    return git(folder, "rev-parse", "HEAD")


@needs_gh
async def test_a_pull_request_is_gone_on_with_at_its_head(
    git_world: LocalWorld, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in forge.hub.env().items():
        monkeypatch.setenv(name, value)
    forge.repo.open("Mend the sums", "", "spike")
    theirs = push_elsewhere(forge, git_world.folder / "elsewhere", "theirs\n")
    asked = StartedFrom(pull_request=1)
    async with git_world.provider() as provider:
        task, folder = await started(git_world, provider, asked)
        assert (task.title, task.base_branch, branch_of(folder)) == ("Mend the sums", "main", "spike")
        assert git(folder, "rev-parse", "HEAD") == theirs, "the person's branch was behind that"
        assert task.pull_request is not None
        assert task.pull_request.number == 1
        change(folder, "more.txt", "more\n")
        done = await operate(git_world, provider, task, "pull_request")
        assert done.result["number"] == 1
        assert len(forge.repo.pulls) == 1
        assert git(forge.bare, "rev-parse", "spike^") == theirs
        on_branch = await provider.find_start(
            git_world.call(git_world.task(branch="other")), StartedFrom(issue=forge.repo.issue("Slow", "Very").number)
        )
        assert (on_branch.branch, on_branch.title, on_branch.text) == (None, "Slow", "Very")


@needs_gh
async def test_a_branch_has_its_pull_request_at_once_and_one_that_parted_is_refused(
    git_world: LocalWorld, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in forge.hub.env().items():
        monkeypatch.setenv(name, value)
    pull = forge.repo.open("Mend the sums", "", "spike")
    async with git_world.provider() as provider:
        found = await provider.find_start(git_world.call(git_world.task()), StartedFrom(branch="spike"))
        assert found.pull_request is not None
        assert (found.pull_request.number, found.base) == (pull.number, None)
        push_elsewhere(forge, git_world.folder / "elsewhere", "theirs\n")
        git(git_world.repository, "switch", "--quiet", "spike")
        change(git_world.repository, "here.txt", "here\n", commit=True)
        git(git_world.repository, "switch", "--quiet", "main")
        before = git(git_world.repository, "rev-parse", "spike")
        with pytest.raises(GitError, match="gone different ways"):
            await started(git_world, provider, StartedFrom(pull_request=pull.number))
        assert git(git_world.repository, "rev-parse", "spike") == before


WRONG = {
    "no pull request": ({"pull_request": 99}, "has no pull request #99"),
    "an issue is no pull request": ({"pull_request": 1}, "may be an issue"),
    "no issue": ({"issue": 98}, "has no issue #98"),
    "a pull request is no issue": ({"issue": 2}, "#2 of acme/widgets is a pull request"),
    "merged": ({"pull_request": 3}, "#3 is merged"),
    "closed": ({"pull_request": 4}, "#4 is closed"),
    "a fork's": ({"pull_request": 5}, "comes from a fork, eve's"),
    "no branch": ({"branch": "gone"}, "no branch gone"),
    "the checkout's branch": ({"branch": "main"}, "has it. Switch to another branch there"),
    "not logged in": ({"pull_request": 2}, "gh auth login"),
    "no login for the issue": ({"issue": 1}, "gh auth login"),
    "gh missing": ({"issue": 1}, "apt install gh"),
    "no remote": ({"issue": 1}, "git remote add origin URL"),
    "another forge": ({"pull_request": 1}, "no repository of GitHub"),
}


@needs_gh
@pytest.mark.slow
@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_started_from_fails_in_words_and_can_be_retried(
    git_world: LocalWorld, forge: Forge, tmp_path: Path, what: str
) -> None:
    asked, words = WRONG[what]
    code = git_world.repository
    git(code, "branch", "two", "spike")
    for number in range(4):
        git(forge.bare, "branch", f"b{number}", "spike")
    assert forge.repo.issue("Slow").number == 1
    forge.repo.open("Two", "", "spike")
    forge.repo.open("Three", "", "b0").merge()  # type: ignore[no-untyped-call]  # it is taken as it is
    git(forge.bare, "update-ref", "refs/heads/main", "main^")
    forge.repo.open("Four", "", "b1").close()  # type: ignore[no-untyped-call]  # as above
    forge.repo.open("Five", "", "b2").fork = "eve"
    environ = dict(git_world.environ)
    if "logged in" in what or "login" in what:
        forge.hub.token = "another"
    if what == "gh missing":
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("git", "sh"):
            (tools / name).symlink_to(shutil.which(name) or "")
        environ["PATH"] = str(tools)
    if what == "no remote":
        git(code, "remote", "remove", "origin")
    if what == "another forge":
        git(code, "remote", "set-url", "origin", str(forge.bare))
    with BackendProcess(git_world.folder, environ) as backend:
        backend.start()
        task_id = backend.create("go on", repo=str(code), **{"from": asked})["task_id"]
        task = backend.wait_task(task_id, "error")
        assert (task["error"]["stage"], task["error"]["kind"]) == ("ensure_name", "git"), task["error"]
        assert words in task["error"]["message"]
        assert "sandbox.created" not in backend.kinds(task_id)
        assert git(code, "worktree", "list").count("\n") == 0
        if "logged in" in what:
            forge.hub.token = "stub-token"
            backend.post(f"/v1/tasks/{task_id}/retry")
            assert backend.wait_task(task_id, lambda task: bool(task["sandbox"]))["branch"] == "spike"
        else:
            backend.post(f"/v1/tasks/{task_id}/kill")
            backend.wait_task(task_id, "killed")


@pytest.mark.parametrize(
    ("body", "start", "whole"),
    [
        ("Done.", StartedFrom(issue=7), "Done.\n\nCloses #7"),
        ("", StartedFrom(issue=7), "Closes #7"),
        ("It fixes #7, and more.", StartedFrom(issue=7), "It fixes #7, and more."),
        ("See #77.", StartedFrom(issue=7), "See #77.\n\nCloses #7"),
        ("Done.", StartedFrom(pull_request=7), "Done."),
        ("Done.", None, "Done."),
    ],
)
def test_the_pull_request_closes_the_issue_that_the_task_started_from(
    body: str, start: StartedFrom | None, whole: str
) -> None:
    assert closing(body, start) == whole
