"""Operations are asked for once: also when an answer is lost, and over a restart of the app."""

from pathlib import Path

import anyio

from foundry_tui.contract.operations import Commit, Push
from foundry_tui.contract.records import OperationKind
from tests.client.app import App, with_app, with_ids
from tests.client.transport import Backend, until


def test_what_was_asked_for_while_the_backend_was_away_is_asked_for_by_the_next_app(tmp_path: Path) -> None:
    backend, kept, asked = Backend(), tmp_path / "kept.json", []
    task_id = backend.world.create(with_ids(1)).task_id

    async def ask(app: App) -> None:
        backend.down = True
        asked.append(app.commands.operate(task_id, Commit(message="Mine")))
        asked.append(app.commands.operate(task_id, Push()))
        await anyio.sleep(0.5)

    async def come_back(app: App) -> None:
        await until(lambda: len(backend.world.operations) == 2 and not app.foundry.outbox.commands)
        assert not app.problems

    with_app(ask, backend, kept)
    backend.down = False
    with_app(come_back, backend, kept)
    assert [(each.operation_id, each.kind) for each in backend.world.operations.values()] == [
        (asked[0], OperationKind.COMMIT),
        (asked[1], OperationKind.PUSH),
    ]


def test_a_lost_answer_is_no_second_operation() -> None:
    backend = Backend()
    task_id = backend.world.create(with_ids(1)).task_id

    async def test(app: App) -> None:
        backend.lose_answer = 1
        operation_id = app.commands.operate(task_id, Commit())
        await until(lambda: not app.foundry.outbox.commands)
        assert list(backend.world.operations) == [operation_id]
        assert not app.problems

    with_app(test, backend)
