"""What the local provider keeps, as `foundry doctor` looks at it."""

from pathlib import Path

import pytest

from foundry_tui.cli.sandboxes import clones, held, orphans, room
from foundry_tui.contract.records import Repo
from tests.local.world import LocalWorld


@pytest.mark.anyio
async def test_sandboxes_and_what_belongs_to_no_task(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        tasks = [git_world.task(f"fix/{number}") for number in range(2)]
        for task in tasks:
            await git_world.with_sandbox(provider, task)
    folder = git_world.data / "sandboxes" / tasks[0].task_id
    (folder / "work/code/big").write_bytes(b"x" * 200_000)
    (folder / "work/code/link").symlink_to("/usr")
    (git_world.data / "sandboxes" / "something else").mkdir()
    found = list(held(git_world.data))
    assert [sandbox.task_id for sandbox in found] == sorted(task.task_id for task in tasks)
    first = next(sandbox for sandbox in found if sandbox.task_id == tasks[0].task_id)
    assert 200_000 <= first.bytes < 1_000_000
    assert [sandbox.task_id for sandbox in orphans(found, {tasks[0].task_id})] == [tasks[1].task_id]


@pytest.mark.anyio
async def test_clones_and_the_room_they_take(git_world: LocalWorld) -> None:
    repo = Repo(repo_id="r3", label="code", remote=git_world.repository.as_uri())
    async with git_world.provider() as provider:
        await provider.create_sandbox(git_world.call(git_world.task("fix/it"), repo))
    folder = git_world.data / "repositories/r3/code"
    (folder / "big").write_bytes(b"x" * 200_000)
    (found,) = clones(git_world.data)
    assert found.folder == folder
    assert 200_000 <= found.bytes < 1_000_000


def test_no_data_folder_holds_nothing(tmp_path: Path) -> None:
    assert list(held(tmp_path / "nowhere")) == []
    assert list(clones(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (12_300_000, "12 MB"), (2_500_000_000, "2.5 GB")]
)
def test_room_in_words(count: int, words: str) -> None:
    assert room(count) == words
