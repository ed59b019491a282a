"""The demo's world where several hosts have it in common."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from backend_stub.demo.journal import Appended
from backend_stub.demo.script import ScriptFile
from backend_stub.demo.world import World
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import SettingError


class SharedLines:
    """What hosts have in common; each reads on from where it was."""

    def __init__(self, lines: list[bytes]) -> None:
        self.before_it_is_known: Callable[[], Awaitable[None]] | None = None
        """What happens when a line is there, and the host that added it stands still."""
        self._lines = lines
        self._told = 0

    def replay(self) -> Sequence[bytes]:
        return ()

    async def append(self, task_id: str, document: bytes, once: str = "") -> Appended:
        self._lines.append(document)
        if self.before_it_is_known is not None:
            await self.before_it_is_known()
        return Appended(True, await self.news(task_id))

    async def news(self, task_id: str) -> Sequence[bytes]:
        news = self._lines[self._told :]
        self._told = len(self._lines)
        return news


def never(error: SettingError) -> None:
    raise error


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[tuple[World, SharedLines], World]:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"effects_log": str(tmp_path / "effects.jsonl")}))
    lines: list[bytes] = []
    journals = [SharedLines(lines), SharedLines(lines)]
    one, other = (World(journal, ScriptFile(script, never), Runtime()) for journal in journals)
    return (one, journals[0]), other


def told(folder: Path) -> list[str]:
    return [json.loads(line).get("effect") for line in (folder / "effects.jsonl").read_text().splitlines()]


@pytest.mark.anyio
async def test_what_a_host_did_before_it_stood_still_is_told_once(
    hosts: tuple[tuple[World, SharedLines], World], tmp_path: Path
) -> None:
    (frozen, journal), other = hosts

    async def successor_looks() -> None:
        await other.look("t")

    journal.before_it_is_known = successor_looks
    assert await frozen.effect("create_sandbox", "t", sandbox_id="t")
    assert other.sandboxes == frozen.sandboxes == {"t"}
    assert told(tmp_path) == ["create_sandbox"]


@pytest.mark.anyio
async def test_what_was_told_long_ago_is_not_told_again(
    hosts: tuple[tuple[World, SharedLines], World], tmp_path: Path
) -> None:
    (one, _), other = hosts
    await one.effect("create_sandbox", "t", sandbox_id="t")
    with (tmp_path / "effects.jsonl").open("a") as file:
        file.writelines('{"effect":"start_agent","task_id":"u","at":1}\n' for _ in range(10_000))
    await other.look("t")
    assert told(tmp_path).count("create_sandbox") == 1


@pytest.mark.anyio
async def test_checkpoints_that_an_earlier_version_wrote_are_there_with_their_edits(
    hosts: tuple[tuple[World, SharedLines], World],
) -> None:
    (_, journal), world = hosts
    for when, files, has in (("before", 0, False), ("after", 2, True)):
        checkpoint = {"checkpoint_id": when, "when": when, "at": 1, "files": files, "added": files, "removed": 0}
        kept = {"checkpoint": checkpoint, "edited": has, "left": has}
        await journal.append("t", json.dumps({"at": 1, "task_id": "t", "kept": kept}).encode())
    await world.look("t")
    assert [each.checkpoint.checkpoint_id for each in world.kept("t")] == ["before", "after"]
    assert world.edited("t") == {0, 1}
