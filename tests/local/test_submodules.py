"""Submodules of a new sandbox: filled without the network where the repository has them, and said where they are not
to be had."""

import contextlib
import shlex
import subprocess
from pathlib import Path

import pytest

from backend_stub.domain.errors import GitError
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from tests.git import git, make_code
from tests.local.test_way_home import Told, add_origin, change, identify, operation_of
from tests.local.test_way_home import sandbox as with_sandbox
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio

ALLOW = ("-c", "protocol.file.allow=always")


@pytest.fixture
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who lets git take submodules from paths."""
    config = tmp_path / "gitconfig"
    config.write_text('[protocol "file"]\n\tallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))


@pytest.fixture
def library(git_world: LocalWorld) -> Path:
    """A repository that has another as its submodule, and is one of the world's."""
    inner = make_code(git_world.folder / "inner")
    library = make_code(git_world.folder / "library")
    git(library, *ALLOW, "submodule", "--quiet", "add", str(inner), "deep/inner")
    git(library, "commit", "--quiet", "--message=inner")
    git(git_world.repository, *ALLOW, "submodule", "--quiet", "add", "--name", "odd name 名", str(library), "lib")
    git(git_world.repository, *ALLOW, "submodule", "--quiet", "update", "--init", "--recursive")
    git(git_world.repository, "commit", "--quiet", "--message=library")
    return library


async def sandbox(world: LocalWorld, provider: LocalProvider, branch: str = "fix/it") -> Path:
    return Path((await provider.create_sandbox(world.call(world.task(branch)))).sandbox.cwd)


async def test_they_are_filled_from_the_repository_itself(git_world: LocalWorld, library: Path) -> None:
    config = (git_world.repository / ".git/config").read_text()
    gone = git_world.folder / "gone"
    library.rename(gone)
    (git_world.folder / "inner").rename(git_world.folder / "inner gone")
    async with git_world.provider() as provider:
        folder = await sandbox(git_world, provider)
        assert (folder / "lib/a.txt").read_text() == "one\ntwo\n"
        assert (folder / "lib/deep/inner/a.txt").read_text() == "one\ntwo\n"
        assert git(folder, "submodule", "status", "--recursive").startswith(" ")
        assert git(folder, "status", "--porcelain") == ""
        assert git(folder / "lib", "remote", "get-url", "origin").strip() == str(library)
        assert any(
            line.startswith("filled 2 submodules in ") and line.endswith(" 2 from the repository itself, 0 by URL")
            for line in git_world.lines
        )
        assert (git_world.repository / ".git/config").read_text() == config
        assert git(git_world.repository, "status", "--porcelain") == ""


async def test_git_takes_none_from_a_path_unless_allowed(git_world: LocalWorld, library: Path) -> None:
    (git_world.repository / ".git/modules").rename(git_world.folder / "modules")
    async with git_world.provider() as provider:
        with pytest.raises(
            GitError, match=r"the submodule lib cannot be filled: git does not take.*'file' not allowed"
        ):
            await sandbox(git_world, provider)


@pytest.mark.usefixtures("allowed")
async def test_one_that_only_its_url_has_is_cloned_from_there(git_world: LocalWorld, library: Path) -> None:
    git(git_world.repository, "submodule", "--quiet", "deinit", "--all", "--force")
    (git_world.repository / ".git/modules").rename(git_world.folder / "modules")
    async with git_world.provider() as provider:
        folder = await sandbox(git_world, provider)
        assert (folder / "lib/deep/inner/a.txt").exists()
        assert git_world.logged("0 from the repository itself, 2 by URL")


@pytest.mark.usefixtures("allowed")
async def test_a_commit_that_the_repository_lacks_comes_by_url(git_world: LocalWorld, library: Path) -> None:
    (library / "new.txt").write_text("new\n")
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message=new")
    tip = git(library, "rev-parse", "HEAD").strip()
    git(git_world.repository, "update-index", "--cacheinfo", f"160000,{tip},lib")
    git(git_world.repository, "commit", "--quiet", "--message=newer")
    async with git_world.provider() as provider:
        folder = await sandbox(git_world, provider)
        assert (folder / "lib/new.txt").exists()
        assert git_world.logged("1 from the repository itself, 1 by URL")


@pytest.mark.usefixtures("allowed")
async def test_a_commit_that_nobody_has_is_said(git_world: LocalWorld, library: Path) -> None:
    git(git_world.repository, "update-index", "--cacheinfo", f"160000,{'1' * 40},lib")
    git(git_world.repository, "commit", "--quiet", "--message=nowhere")
    async with git_world.provider() as provider:
        with pytest.raises(GitError, match="the submodule lib cannot be filled"):
            await sandbox(git_world, provider)


async def test_a_repository_can_leave_them_empty(git_world: LocalWorld, library: Path) -> None:
    (git_world.repository / ".foundry").mkdir()
    (git_world.repository / ".foundry/submodules").write_text("off\n")
    git(git_world.repository, "add", ".foundry")
    git(git_world.repository, "commit", "--quiet", "--message=off")
    async with git_world.provider() as provider:
        folder = await sandbox(git_world, provider)
        assert list((folder / "lib").iterdir()) == []
        assert git_world.logged("submodules are left empty: .foundry/submodules says off")


async def test_names_that_lead_elsewhere_are_followed_nowhere(git_world: LocalWorld, library: Path) -> None:
    """What a commit says of its submodules is not to be believed."""
    modules = git_world.repository / ".gitmodules"
    victim = make_code(git_world.folder / "victim")
    for name in ("../../../victim/.git", "x/../../../../victim/.git"):
        modules.write_text(f'[submodule "{name}"]\n\tpath = lib\n\turl = ext::sh -c "touch {git_world.folder}/harm"\n')
        git(git_world.repository, "commit", "--quiet", "--all", "--message=evil")
        async with git_world.provider() as provider:
            folder = await sandbox(git_world, provider, f"fix/{len(name)}")
            assert list((folder / "lib").iterdir()) == []
            assert git_world.logged("the submodule lib is left empty: git does not accept")
    modules.write_text('[submodule "lib"]\n\tpath = lib\n\turl = -u./payload\n\tupdate = !touch harm\n')
    git(git_world.repository, "commit", "--quiet", "--all", "--message=evil")
    async with git_world.provider() as provider:
        with contextlib.suppress(GitError):
            await sandbox(git_world, provider, "fix/last")
    assert not any(git_world.folder.rglob("harm"))
    assert git(victim, "status", "--porcelain") == ""


async def test_a_sandbox_with_submodules_lives_and_dies(git_world: LocalWorld, library: Path) -> None:
    async with git_world.provider() as provider:
        task = git_world.task()
        first = await provider.create_sandbox(git_world.call(task))
        again = await provider.create_sandbox(git_world.call(task))
        assert again.resumed
        await git_world.kill(provider, task, force=False)
        assert not Path(first.sandbox.cwd).exists()
        assert not list((git_world.repository / ".git").glob("worktrees/*"))


async def operate(world: LocalWorld, provider: LocalProvider, task: TaskDetail, kind: str, **request: object) -> None:
    operation = operation_of(task, kind, **request)
    await provider.way_home.operate(world.call(task), operation, Told())


@pytest.mark.parametrize("kind", ["push", "land"])
async def test_a_commit_of_one_that_nobody_else_could_get_goes_nowhere(
    git_world: LocalWorld, library: Path, kind: str
) -> None:
    add_origin(git_world)
    git(library, "config", "receive.denyCurrentBranch", "ignore")
    async with git_world.provider() as provider:
        task, folder = await with_sandbox(git_world, provider)
        change(folder, "b.txt", "ours\n", commit=True)
        await operate(git_world, provider, task, kind)
        identify(folder / "lib")
        change(folder / "lib", "new.txt", "new\n", commit=True)
        git(folder, "commit", "--quiet", "--all", "--message=lib")
        before = git(git_world.repository, "for-each-ref")
        with pytest.raises(GitError, match=r"puts lib on a commit that no remote") as refused:
            await operate(git_world, provider, task, kind)
        assert git(git_world.repository, "for-each-ref") == before
        command = refused.value.message.partition("(")[2].partition(")")[0]
        assert command.startswith(f"git -C {folder / 'lib'} push origin ")
        subprocess.run(shlex.split(command), check=True, capture_output=True)
        await operate(git_world, provider, task, kind)


async def test_a_branch_that_only_the_person_s_own_repository_has_is_no_branch_of_the_remote(
    git_world: LocalWorld, library: Path
) -> None:
    lib = git_world.repository / "lib"
    identify(lib)
    known = git(lib, "rev-parse", "HEAD").strip()
    git(lib, "checkout", "--quiet", "-b", "mine")
    change(lib, "mine.txt", "mine\n", commit=True)
    mine = git(lib, "rev-parse", "HEAD").strip()
    git(lib, "checkout", "--quiet", known)
    add_origin(git_world)
    async with git_world.provider() as provider:
        task, folder = await with_sandbox(git_world, provider)
        told = git(folder / "lib", "for-each-ref", "--format=%(refname)", "refs/remotes").split()
        assert "refs/remotes/origin/mine" not in told
        assert "refs/remotes/origin/main" in told
        git(folder / "lib", "checkout", "--quiet", mine)
        git(folder, "commit", "--quiet", "--all", "--message=lib")
        with pytest.raises(GitError, match=r"puts lib on a commit that no remote"):
            await operate(git_world, provider, task, "push")
        await operate(git_world, provider, task, "land")


async def test_one_that_the_person_s_own_repository_has_is_landed(git_world: LocalWorld, library: Path) -> None:
    async with git_world.provider() as provider:
        task, folder = await with_sandbox(git_world, provider)
        identify(folder / "lib")
        change(folder / "lib", "new.txt", "new\n", commit=True)
        git(folder, "commit", "--quiet", "--all", "--message=lib")
        with pytest.raises(GitError, match="no remote"):
            await operate(git_world, provider, task, "land")
        git(git_world.repository / "lib", *ALLOW, "fetch", "--quiet", str(folder / "lib"), "HEAD")
        await operate(git_world, provider, task, "land")
        git(git_world.repository, *ALLOW, "submodule", "--quiet", "update", "--no-fetch")
        assert (git_world.repository / "lib/new.txt").exists()


async def amended(world: LocalWorld, provider: LocalProvider, library: Path) -> tuple[TaskDetail, Path, str]:
    """A task whose branch put its submodule first on the commit that is returned, then on another, which is pushed."""
    add_origin(world)
    git(library, "config", "receive.denyCurrentBranch", "ignore")
    task, folder = await with_sandbox(world, provider)
    identify(folder / "lib")
    change(folder / "lib", "new.txt", "new\n", commit=True)
    discarded = git(folder / "lib", "rev-parse", "HEAD").strip()
    git(folder, "commit", "--quiet", "--all", "--message=lib")
    git(folder / "lib", "commit", "--quiet", "--amend", "--message=better")
    git(folder, "commit", "--quiet", "--all", "--message=lib again")
    git(folder / "lib", "push", "--quiet", "origin", "HEAD:refs/heads/better")
    return task, folder, discarded


@pytest.mark.parametrize("kind", ["push", "land"])
async def test_one_that_the_branch_has_left_is_not_advised_to_be_pushed(
    git_world: LocalWorld, library: Path, kind: str
) -> None:
    async with git_world.provider() as provider:
        task, _, discarded = await amended(git_world, provider, library)
        with pytest.raises(GitError, match=rf"puts lib on {discarded[:10]}.*has left since.*one commit") as refused:
            await operate(git_world, provider, task, kind)
        assert "push origin" not in refused.value.message


async def test_of_what_is_squashed_only_the_last_state_lands(git_world: LocalWorld, library: Path) -> None:
    async with git_world.provider() as provider:
        task, folder, _ = await amended(git_world, provider, library)
        await operate(git_world, provider, task, "land", how="squash")
        assert git(git_world.repository, "rev-parse", "main:lib") == git(folder, "rev-parse", "HEAD:lib")
        git(git_world.repository, *ALLOW, "submodule", "--quiet", "update", "--recursive")
        git(folder / "lib", "commit", "--quiet", "--allow-empty", "--message=more")
        git(folder, "commit", "--quiet", "--all", "--message=lib once more")
        with pytest.raises(GitError, match=r"puts lib on a commit that no remote"):
            await operate(git_world, provider, task, "land", how="squash")


async def test_however_often_it_was_put_on_another_its_commits_are_looked_for_once(
    git_world: LocalWorld, library: Path
) -> None:
    async with git_world.provider() as provider:
        task, folder = await with_sandbox(git_world, provider)
        identify(folder / "lib")
        for number in range(3):
            git(folder / "lib", "commit", "--quiet", "--allow-empty", f"--message={number}")
            git(folder, "commit", "--quiet", "--all", f"--message={number}")
        git(git_world.repository / "lib", *ALLOW, "fetch", "--quiet", str(folder / "lib"), "HEAD")
        git_world.lines.clear()
        await operate(git_world, provider, task, "land")
        assert sum("rev-list --ignore-missing" in line for line in git_world.lines) == 1
        assert sum("cat-file" in line for line in git_world.lines) == 1


async def test_the_first_push_to_a_remote_looks_at_no_commit_from_before_the_branch(
    git_world: LocalWorld, library: Path
) -> None:
    lib = git_world.repository / "lib"
    identify(lib)
    known = git(lib, "rev-parse", "HEAD").strip()
    git(lib, "checkout", "--quiet", "--detach")
    change(lib, "new.txt", "new\n", commit=True)
    git(git_world.repository, "commit", "--quiet", "--all", "--message=lost since")
    lost = git(lib, "rev-parse", "HEAD").strip()
    git(lib, "checkout", "--quiet", known)
    git(git_world.repository, "commit", "--quiet", "--all", "--message=back")
    add_origin(git_world)
    for ref in git(git_world.repository, "for-each-ref", "--format=%(refname)", "refs/remotes").split():
        git(git_world.repository, "update-ref", "--no-deref", "-d", ref)
    async with git_world.provider() as provider:
        task, folder = await with_sandbox(git_world, provider)
        git(folder / "lib", *ALLOW, "fetch", "--quiet", str(lib), lost)
        change(folder, "b.txt", "ours\n", commit=True)
        await operate(git_world, provider, task, "push")
        identify(folder / "lib")
        git(folder / "lib", "commit", "--quiet", "--allow-empty", "--message=more")
        git(folder, "commit", "--quiet", "--all", "--message=lib")
        with pytest.raises(GitError, match="no remote"):
            await operate(git_world, provider, task, "push")
