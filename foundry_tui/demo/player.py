"""Plays the demo's story against its backend, as a person and a script would, through the API."""

import random
from collections.abc import Mapping, Sequence

import anyio

from foundry_tui.client.api import Api
from foundry_tui.client.connection import make_http
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.operations import PullRequest
from foundry_tui.contract.requests import CreateSession, CreateTask, ReleaseTask
from foundry_tui.contract.status import PROVISIONING
from foundry_tui.demo.story import Act
from foundry_tui.demo.world import World

PREPARE_LOOKS, PREPARE_SECONDS = 60, 0.05
"""How often, and after how many seconds each time, it is looked whether the tasks of before have come to rest."""


class Player:
    """Does every act of the world's story at its time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._entropy = random.Random(world.seed).randbytes
        self._ids: dict[int, str] = {}
        self.refused: list[str] = []
        """What the backend refused; a person in the demo may have killed a task before its act."""

    async def prepare(self) -> None:
        """Do what was done before the demo is opened, and wait for it to come to rest, if not for long."""
        earlier = [act for act in self._world.story.acts if act.at < 0]
        begun = [act for act in earlier if act.kind == "create"]
        async with make_http(self._world.backend) as http:
            api = Api(http)
            await self._do_all(api, begun)
            for _ in range(PREPARE_LOOKS):
                # The backend's stream would tell it too; this is asked a few times, of a dozen tasks.
                if not any(task.status in PROVISIONING for task in (await api.tasks()).tasks):
                    break
                await anyio.sleep(PREPARE_SECONDS)
            await self._do_all(api, [act for act in earlier if act not in begun])

    async def play(self) -> None:
        """Return when the story is over, or the backend is gone."""
        async with make_http(self._world.backend) as http:
            await self._do_all(Api(http), [act for act in self._world.story.acts if act.at >= 0])

    async def missing(self, known: Mapping[str, int]) -> int:
        """How many of the backend's tasks are not among those `known`, by task id and revision, or are older there.

        Raises `UnreachableError`.
        """
        async with make_http(self._world.backend) as http:
            tasks = (await Api(http).tasks()).tasks
        return sum(known.get(task.task_id, 0) < task.revision for task in tasks)

    async def _do_all(self, api: Api, acts: Sequence[Act]) -> None:
        begun = anyio.current_time()
        for act in acts:
            await anyio.sleep_until(begun + act.at)
            try:
                await self._do(api, act)
            except ProblemError as problem:
                self.refused.append(str(problem))
            except UnreachableError:
                return

    async def _do(self, api: Api, act: Act) -> None:
        if act.kind == "create":
            opening = self._world.story.openings[act.task]
            task_id = self._ids[act.task] = uuid7(entropy=self._entropy)
            await api.create(
                CreateTask(
                    task_id=task_id,
                    repo=str(self._world.repository(opening.repo)),
                    prompt=opening.prompt,
                    title=opening.title,
                    branch=opening.branch,
                    agent=opening.agent,
                )
            )
            return
        task_id = self._ids[act.task]
        if act.kind == "session":
            await api.add_session(task_id, CreateSession(session_id=uuid7(entropy=self._entropy), name=act.text))
        elif act.kind == "archive":
            await api.archive(task_id, ReleaseTask(force=True))
        elif act.kind == "kill":
            await api.kill(task_id, ReleaseTask(force=True))
        elif act.kind == "pull_request":
            await api.operate(task_id, PullRequest(operation_id=uuid7(entropy=self._entropy), wait=True))
