"""Keeping the files around turns goes wrong in every way: the turn goes on, and the log says what was not kept."""

from collections.abc import Awaitable, Callable, Collection, Sequence

import anyio
import pytest

from backend_stub.demo.checkpoints import DemoCheckpoints
from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.task import checkpoints
from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import HistoryKind
from foundry_tui.contract.requests import CreatePrompt
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio


class Odd(DemoCheckpoints):
    """Does what a test makes it do. `told` is what was asked of it, in order."""

    told: list[tuple[str, Sequence[str]]]
    doing: Callable[[], Awaitable[None]]

    async def begin(self, call: Call, prompt_id: str) -> None:
        self.told.append(("begin", [prompt_id]))
        await self.doing()

    async def end(self, call: Call, prompt_ids: Collection[str]) -> Sequence[Checkpoint]:
        self.told.append(("end", sorted(prompt_ids)))
        await self.doing()
        return [Checkpoint(checkpoint_id="after-1", prompt_id=min(prompt_ids), when=When.AFTER, at=1, files=2)]


async def _hang() -> None:
    await anyio.sleep_forever()


async def _refuse() -> None:
    raise GitError("the disk is full")


async def _break() -> None:
    raise ZeroDivisionError


async def _do() -> None:
    pass


@pytest.mark.parametrize(
    ("doing", "said"), [(_hang, "took longer than 0.05 s"), (_refuse, "the disk is full"), (_break, "not kept")]
)
async def test_a_turn_goes_on_without_them(
    place: InProcess, monkeypatch: pytest.MonkeyPatch, doing: Callable[[], Awaitable[None]], said: str
) -> None:
    for name in ("PROMPT_WAITS", "END_WAITS"):
        monkeypatch.setattr(checkpoints, name, 0.05)
    provider = place.provider()
    odd = provider.checkpoints = Odd(provider.checkpoints._world, provider._script, place.source)
    odd.told, odd.doing = [], doing
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        assert [what for what, _ in odd.told] == ["begin", "end"]

        async def is_said() -> bool:
            return sum(said in line.text for line in await backend.storage.lines(task_id, "turn", -1, 99)) == 2

        async for _ in backend.streams.stream(Topic(TopicKind.LOG, task_id), None):
            if await is_said():
                break
        kinds = [event.kind for event in await backend.storage.history(task_id, 0, 99)]
        assert HistoryKind.CHECKPOINT_MADE not in kinds


async def test_what_is_kept_of_a_turn_is_told_with_its_end_and_cut_turns_are_settled_with_the_next_prompt(
    place: InProcess,
) -> None:
    provider = place.provider()
    odd = provider.checkpoints = Odd(provider.checkpoints._world, provider._script, place.source)
    odd.told, odd.doing = [], _do
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, has_status(TaskStatus.IDLE))
        events = await backend.storage.history(task_id, 0, 99)
        (made,) = [event for event in events if event.kind is HistoryKind.CHECKPOINT_MADE]
        (idle,) = [event for event in events if event.kind is HistoryKind.TASK_IDLE]
        assert (made.payload["files"], made.at) == (2, idle.at)
        first = odd.told[0][1]
        odd.told.clear()
        await backend.commands.prompt(task.sessions[0].session_id, CreatePrompt(prompt_id="p2", text="more"))
        await until(backend, task_id, lambda task: len(odd.told) == 3 and task.status is TaskStatus.IDLE)
        assert odd.told == [("end", first), ("begin", ["p2"]), ("end", ["p2"])]
