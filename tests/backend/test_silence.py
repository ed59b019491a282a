"""Since when an agent says nothing in its turn is told when that is long, and never with each of its words."""

from pathlib import Path

import pytest

from backend_stub.server.backend import Backend
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import SessionDetail, TaskDetail
from foundry_tui.contract.requests import PatchTask
from tests.backend.in_process import InProcess, settings, until
from tests.backend.test_idle import pass_time

pytestmark = pytest.mark.anyio

MINUTE = 60_000


@pytest.fixture
def place(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


async def session_of(backend: Backend, task: TaskDetail) -> SessionDetail:
    topic = Topic(TopicKind.SESSION, task.sessions[0].session_id)
    snapshot = await backend.storage.events.snapshot(topic)
    assert snapshot is not None
    return backend.commands.as_heard(decode(b"".join(snapshot.pieces), SessionDetail))


async def test_a_long_silence_is_told_once_and_costs_words_nothing(place: InProcess) -> None:
    place.set_script({"default": {"turn": {"steps": [{"message": "many words " * 40, "ms": 500}], "hang": "after"}}})
    async with place.backend(place.provider(), settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, lambda task: task.status == "running")
        begun = await session_of(backend, task)
        assert begun.turn_silent_since is not None
        topic = Topic(TopicKind.SESSION, begun.session_id)
        async for frame in backend.streams.stream(topic, None):
            if b'"Done."' in frame:
                break
        said = await session_of(backend, task)
        assert said.revision == begun.revision, "words make transcript items, and no session events"
        assert said.turn_silent_since is not None
        assert said.turn_silent_since >= begun.turn_silent_since + 400
        pass_time(place, backend, 4 * MINUTE)
        told = await until(backend, task_id, lambda task: task.sessions[0].revision > said.revision)
        silent = await session_of(backend, told)
        assert silent.turn_silent_since == said.turn_silent_since
        assert place.clock.now() - silent.turn_silent_since >= 4 * MINUTE
        assert told.updated_at < place.clock.now() - 3 * MINUTE, "silence is no change"
        pass_time(place, backend, 4 * MINUTE)
        await backend.commands.stop(begun.session_id)
        task = await until(backend, task_id, lambda task: task.status == "idle")
        assert (await session_of(backend, task)).turn_silent_since is None


async def test_who_waits_for_a_person_is_not_silent(place: InProcess) -> None:
    place.set_script({"default": {"turn": {"permission": "Run make?"}}})
    async with place.backend(place.provider(), settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, lambda task: task.needs_input == 1)
        pass_time(place, backend, 10 * MINUTE)
        await backend.commands.patch(task_id, PatchTask(unread=True))
        assert (await backend.commands.task(task_id)).sessions[0].revision == task.sessions[0].revision
