"""The demo agent: takes prompts, tells a scripted turn, asks for permission when the script says so."""

from collections.abc import Awaitable, Callable

import anyio

from backend_stub.agents.base import Turn
from backend_stub.providers.base import AgentError, Call
from backend_stub.providers.demo_script import ScriptError, ScriptFile, Step, TurnScript
from backend_stub.providers.demo_world import World
from foundry_tui.contract.records import PermissionOption, Prompt, SessionSummary, TranscriptKind

Play = Callable[[str, Call, Callable[[], None]], Awaitable[None]]

OPTIONS = (
    PermissionOption(option_id="allow", name="Allow", kind="allow_once"),
    PermissionOption(option_id="deny", name="Deny", kind="reject_once"),
)
CHUNK_SECONDS = 0.06
"""How often a text grows while it is told."""


class DemoAgents:
    """See `backend_stub.agents.base.AgentRuntime`."""

    def __init__(self, world: World, script: ScriptFile, play: Play) -> None:
        self.on_lost: Callable[[str, str], Awaitable[None]] | None = None
        self._world = world
        self._script = script
        self._play = play

    async def ensure_agent(self, call: Call) -> None:
        task_id = call.task.task_id

        def start() -> None:
            if task_id not in self._world.agents:
                self._world.effect("start_agent", task_id, sandbox_id=task_id)

        await self._play("ensure_agent", call, start)

    async def create_session(self, call: Call, session: SessionSummary) -> None:
        def create() -> None:
            if session.session_id not in self._world.sessions:
                self._world.effect("create_session", call.task.task_id, session_id=session.session_id)

        await self._play("create_session", call, create)

    async def attach(self, call: Call) -> None:
        self._world.call("attach", call.task.task_id)

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        if prompt.prompt_id in self._world.prompts:
            return
        task_id = call.task.task_id
        number = self._world.call("turn", task_id, prompt.session_id, prompt.prompt_id)
        script = await self._turn_script(call)
        if script.hang == "before" and script.fail is None and script.strikes(number):
            await anyio.sleep_forever()
        self._world.effect("deliver_prompt", task_id, session_id=prompt.session_id, prompt_id=prompt.prompt_id)

    async def follow(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        script = await self._turn_script(call)
        for line in script.log:
            call.log(line)
        if script.strikes(self._world.prompts.get(prompt.prompt_id, 1)):
            if script.fail is not None:
                await anyio.sleep(script.ms / 1000)
                raise AgentError(script.fail, retryable=script.retryable)
            await anyio.sleep_forever()
        await _Telling(script, turn).tell()

    async def stop(self, call: Call, session_id: str) -> None:
        """A turn of the demo agent ends when it is cut; there is nobody else to tell."""

    async def close_session(self, call: Call, session_id: str) -> None:
        """The demo world keeps closed sessions."""

    async def _turn_script(self, call: Call) -> TurnScript:
        try:
            return (await self._script.for_call()).turn(call.task.prompt)
        except ScriptError as error:
            raise AgentError(str(error)) from error


class _Telling:
    """One turn: its steps and the reply share its time evenly; permission is asked for half-way."""

    def __init__(self, script: TurnScript, turn: Turn) -> None:
        self._script = script
        self._turn = turn
        self._plan: tuple[str, ...] = ()
        self._plan_key = ""
        self._plan_from = 0

    async def tell(self) -> None:
        steps = [*self._script.steps, Step(message=self._script.reply)]
        seconds = self._script.ms / 1000 / len(steps)
        reply = self._script.reply
        for number, step in enumerate(steps):
            half_way = number == len(steps) // 2
            if half_way and self._script.permission is not None:
                if len(steps) == 1:
                    await anyio.sleep(seconds / 2)
                    seconds /= 2
                answer = await self._turn.ask("permission", self._script.permission, OPTIONS)
                if answer == "deny":
                    reply = f"Understood, I did not do it. {self._script.reply}"
            await self._tell_plan(number, len(steps))
            if number == len(steps) - 1:
                step = Step(message=reply)
            await self._tell_step(f"step-{number}", number, step, seconds)
        await self._tell_plan(len(steps), len(steps))

    async def _tell_step(self, key: str, number: int, step: Step, seconds: float) -> None:
        if step.thought is not None:
            await self._tell_text(key, TranscriptKind.THOUGHT, step.thought, seconds)
        elif step.message is not None:
            await self._tell_text(key, TranscriptKind.MESSAGE, step.message, seconds)
        elif step.plan is not None:
            self._plan, self._plan_key, self._plan_from = step.plan, key, number + 1
            await self._tell_plan(number, number + 2)
            await anyio.sleep(seconds)
        else:
            await self._tell_tool(key, step, "in_progress")
            await anyio.sleep(seconds)
            await self._tell_tool(key, step, "completed")

    async def _tell_text(self, key: str, kind: TranscriptKind, text: str, seconds: float) -> None:
        pieces = max(1, min(len(text.split(" ")), int(seconds / CHUNK_SECONDS)))
        await anyio.sleep(seconds / (pieces + 1))
        for piece in range(1, pieces + 1):
            end = len(text) if piece == pieces else text.rfind(" ", 0, len(text) * piece // pieces + 1)
            if end > 0:
                await self._turn.say(key, kind, text[:end])
            await anyio.sleep(seconds / (pieces + 1))

    async def _tell_tool(self, key: str, step: Step, status: str) -> None:
        done = status == "completed"
        await self._turn.say(
            key,
            TranscriptKind.TOOL_CALL,
            {
                "title": step.tool or "",
                "kind": step.kind,
                "status": status,
                "content": step.content if done else "",
                "edits": [{"path": edit.path, "old": edit.old, "new": edit.new} for edit in step.edits] if done else [],
            },
        )

    async def _tell_plan(self, number: int, steps: int) -> None:
        """Tick off the plan in proportion to the steps behind it."""
        if not self._plan:
            return
        done = (number - self._plan_from) * len(self._plan) // max(1, steps - self._plan_from)
        await self._turn.say(
            self._plan_key,
            TranscriptKind.PLAN,
            {
                "entries": [
                    {
                        "content": content,
                        "status": "completed" if place < done else "in_progress" if place == done else "pending",
                        "priority": "medium",
                    }
                    for place, content in enumerate(self._plan)
                ]
            },
        )
