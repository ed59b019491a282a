"""The untracked files that a new sandbox gets: as in .gitignore's language, and nothing through a link."""

import os
from pathlib import Path

import pytest

from backend_stub.providers.local import LocalSettings
from tests.git import git
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


def with_list(world: LocalWorld, text: str) -> None:
    (world.repository / ".foundry").mkdir(exist_ok=True)
    (world.repository / ".foundry" / "copy").write_text(text)
    commit(world)


def commit(world: LocalWorld) -> None:
    git(world.repository, "add", ".foundry")
    git(world.repository, "commit", "--quiet", "--message=copy")


async def sandbox(world: LocalWorld, *names: str) -> Path:
    async with world.provider(LocalSettings(copy=names)) as provider:
        return Path((await provider.create_sandbox(world.call(world.task()))).sandbox.cwd)


async def test_listed_files_are_copied(git_world: LocalWorld) -> None:
    (git_world.repository / ".env").write_text("SECRET=1\n")
    (git_world.repository / ".env").chmod(0o600)
    (git_world.repository / "conf").mkdir(mode=0o750)
    (git_world.repository / "conf" / "local.ini").write_text("x\n")
    with_list(git_world, "# local settings\nconf/local.ini\nmissing\n\n")
    folder = await sandbox(git_world, ".env", "a.txt")
    assert (folder / ".env").read_text() == "SECRET=1\n"
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert (folder / "conf/local.ini").read_text() == "x\n"
    assert (folder / "conf").stat().st_mode & 0o777 == 0o750
    assert git_world.logged("copy missing: not there")
    assert git_world.logged("copy a.txt: there already")
    assert git_world.logged("copied 2 files, 1 KiB")
    assert git(folder, "status", "--porcelain", "--ignored") == "?? conf/\n!! .env"


async def test_patterns_and_folders_are_those_of_gitignore(git_world: LocalWorld) -> None:
    for name in ("certs/dev.pem", "certs/dev.key", "certs/ca/root.pem", "deep/er/.env.local", ".env.test", "node/x.js"):
        place = git_world.repository / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(name)
    (git_world.repository / "name with 名 [x].txt").write_text("x")
    with_list(git_world, "certs/\n!*.key\n.env.*\n/name*\n")
    folder = await sandbox(git_world)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {".git"}
    assert there == {
        *("a.txt", "b.txt", ".gitignore", ".foundry/copy"),
        *("certs/dev.pem", "certs/ca/root.pem", "deep/er/.env.local", ".env.test", "name with 名 [x].txt"),
        # As git has it: what lies in an excluded folder cannot be taken out again.
        "certs/dev.key",
    }


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", ".git/config", "!../secret"])
async def test_no_file_from_outside_the_repository_is_copied(git_world: LocalWorld, name: str) -> None:
    (git_world.folder / "secret").write_text("x")
    folder = await sandbox(git_world, name)
    assert sorted(path.name for path in folder.iterdir()) == [".git", ".gitignore", "a.txt", "b.txt"]
    assert git_world.logged("refused, since it leads out") or git_world.logged("etc/hostname: not there")


async def test_no_link_is_followed_on_the_way_in_or_out(git_world: LocalWorld) -> None:
    outside = git_world.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (git_world.repository / "link").symlink_to(outside / "secret")
    os.mkfifo(git_world.repository / "fifo")
    # The commit has a link where the person's own folder has a folder.
    (git_world.repository / "conf").symlink_to(outside)
    git(git_world.repository, "add", "conf")
    git(git_world.repository, "commit", "--quiet", "--message=link")
    git(git_world.repository, "rm", "--quiet", "--cached", "conf")
    (git_world.repository / "conf").unlink()
    (git_world.repository / "conf" / "deep").mkdir(parents=True)
    (git_world.repository / "conf" / "deep" / "local.ini").write_text("x")
    folder = await sandbox(git_world, "link", "fifo", "conf/")
    assert sorted(path.name for path in outside.rglob("*")) == ["secret"]
    assert not os.path.lexists(folder / "link")
    assert git_world.logged("copy link: not copied: it, or a folder on the way, is a symbolic link")
    assert git_world.logged("copy conf/deep/local.ini: not copied: it, or a folder on the way, is a symbolic link")


@pytest.mark.parametrize("target", ["/proc/self/environ", "/dev/zero", "../../secret"])
async def test_a_list_that_is_a_link_is_not_read(git_world: LocalWorld, target: str) -> None:
    (git_world.folder / "secret").write_text("first line of the secret")
    (git_world.repository / ".foundry").mkdir()
    (git_world.repository / ".foundry" / "copy").symlink_to(target)
    commit(git_world)
    await sandbox(git_world)
    assert git_world.logged(".foundry/copy cannot be used: it is a symbolic link")
    assert not git_world.logged("HOME=")
    assert not git_world.logged("first line")


async def test_a_list_that_is_too_long_is_not_read(git_world: LocalWorld) -> None:
    with_list(git_world, "x\n" * 40_000)
    await sandbox(git_world)
    assert git_world.logged(".foundry/copy cannot be used: it is larger than 64 KiB")


async def test_a_file_too_large_is_said(git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend_stub.providers.local.copying.MOST_BYTES", 1 << 20)
    (git_world.repository / ".env").write_bytes(b"x" * ((1 << 20) + 1))
    folder = await sandbox(git_world, ".env")
    assert not (folder / ".env").exists()
    assert git_world.logged("copy .env: not copied: all together would be more than 1 MiB")


async def test_a_repository_in_it_is_not_copied(git_world: LocalWorld) -> None:
    git(git_world.repository, "init", "--quiet", "inner")
    (git_world.repository / "inner" / "x").write_text("x")
    folder = await sandbox(git_world, "inner")
    assert not (folder / "inner").exists()
    assert git_world.logged("copy inner/: not copied: it is a repository of its own")


async def test_a_bare_repository_has_nothing_to_copy(git_world: LocalWorld) -> None:
    git(git_world.folder, "clone", "--quiet", "--bare", str(git_world.repository), str(git_world.folder / "bare.git"))
    git_world.repository = git_world.folder / "bare.git"
    folder = await sandbox(git_world, ".env")
    assert (folder / "a.txt").exists()
    assert git_world.logged("nothing is copied: ")


async def test_a_name_that_is_no_text(git_world: LocalWorld) -> None:
    name = os.fsdecode(b"local-\xe9.ini")
    (git_world.repository / name).write_text("x")
    folder = await sandbox(git_world, "local-*")
    assert (folder / name).read_text() == "x"
