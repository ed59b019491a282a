"""Plays the demo's story against its backend, as a person and a script would, through the API."""

import random

import anyio

from foundry_tui.client.api import Api
from foundry_tui.client.connection import make_http
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.requests import CreateSession, CreateTask, ReleaseTask
from foundry_tui.demo.story import Act
from foundry_tui.demo.world import World


class Player:
    """Does every act of the world's story at its time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._entropy = random.Random(world.seed).randbytes
        self._ids: dict[int, str] = {}
        self.refused: list[str] = []
        """What the backend refused; a person in the demo may have killed a task before its act."""

    async def play(self) -> None:
        """Return when the story is over, or the backend is gone."""
        async with make_http(self._world.backend) as http:
            api = Api(http)
            begun = anyio.current_time()
            for act in self._world.story.acts:
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
