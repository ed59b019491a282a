"""The demo agent: takes prompts, tells a scripted turn, asks for permission when the script says so."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

import anyio
from anyio.abc import TaskGroup

from backend_stub.demo.script import AgentScript, ScriptError, ScriptFile, Step, TurnScript
from backend_stub.demo.world import World
from backend_stub.domain.agent import (
    AcceptsChanged,
    CommandsChanged,
    OptionNotOfferedError,
    OptionRefusedError,
    OptionsChanged,
    OptionValue,
    SaidOutsideTurn,
    SessionChange,
    Steered,
    Turn,
    UsageChanged,
)
from backend_stub.domain.attachments import images_left_out
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.domain.options import settled, with_value
from backend_stub.domain.rulings import Intent, lies_inside
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.memory import AgentMemory
from foundry_tui.contract.questions import AnswerAction, PermissionOption, Question, QuestionKind
from foundry_tui.contract.records import Prompt, SessionOption, SessionSummary, Usage
from foundry_tui.contract.rules import EXECUTE
from foundry_tui.contract.transcript import TranscriptKind

OPTIONS = (
    PermissionOption(option_id="allow", name="Allow", kind="allow_once"),
    PermissionOption(option_id="deny", name="Deny", kind="reject_once"),
)
LATE_SECONDS = 0.2
"""How long after a turn, or after the word before, a late word is said that does not say when."""
CHUNK_SECONDS = 0.06
"""How often a text grows while it is told."""


class DemoAgents:
    """See `backend_stub.domain.agent.AgentRuntime`."""

    def __init__(self, world: World, script: ScriptFile) -> None:
        self.on_lost: Callable[[str, str, str], Awaitable[None]] | None = None
        self.on_said: Callable[[str, str, Sequence[SaidOutsideTurn]], Awaitable[None]] | None = None
        self.on_changed: Callable[[str, str, Sequence[SessionChange]], Awaitable[None]] | None = None
        self._world = world
        self._script = script
        self._group: TaskGroup | None = None

    def use(self, group: TaskGroup) -> None:
        """Say in this task group what is said after turns."""
        self._group = group

    async def ensure_agent(self, call: Call) -> None:
        task_id = call.task.task_id

        async def start() -> None:
            if task_id not in self._world.agents:
                await self._world.effect("start_agent", task_id, sandbox_id=task_id)

        await self._world.play("ensure_agent", call, start)

    async def create_session(
        self, call: Call, session: SessionSummary, options: Mapping[str, OptionValue] | None = None
    ) -> None:
        async def create() -> None:
            if session.session_id not in self._world.sessions:
                await self._world.effect("create_session", call.task.task_id, session_id=session.session_id)

        await self._world.play("create_session", call, create)
        offer = await self._offer(call)
        values, wrong = settled(offer.options, options or {})
        if wrong is not None:
            raise OptionNotOfferedError(f"{session.agent} cannot be set up as asked: {wrong[1]}", wrong[0])
        if values:
            await self._world.set_options(call.task.task_id, session.session_id, values)
        await self._tell_offer(call, session.session_id)

    async def set_option(
        self, call: Call, session_id: str, option_id: str, value: OptionValue
    ) -> tuple[SessionOption, ...]:
        offer = await self._offer(call)
        _, wrong = settled(offer.options, {option_id: value})
        if wrong is not None:
            raise OptionRefusedError(wrong[1])
        if option_id in offer.refuses:
            raise OptionRefusedError(offer.refuses[option_id])
        await self._world.set_options(call.task.task_id, session_id, {option_id: value})
        return self._options(offer, session_id)

    async def attach(self, call: Call) -> None:
        await self._world.call("attach", call.task.task_id)

    def _options(self, offer: AgentScript, session_id: str) -> tuple[SessionOption, ...]:
        options = offer.options
        for option_id, value in self._world.options.get(session_id, {}).items():
            options = with_value(options, option_id, value)
        return options

    async def _offer(self, call: Call) -> AgentScript:
        """What the script says that the agent offers."""
        try:
            return (await self._script.for_call()).agent(call.task.prompt)
        except ScriptError as error:
            raise AgentError(str(error)) from error

    async def _tell_offer(self, call: Call, session_id: str) -> None:
        offer = await self._offer(call)
        if self.on_changed is not None:
            options = self._options(offer, session_id)
            changes = (OptionsChanged(options), CommandsChanged(offer.commands), AcceptsChanged(offer.accepts))
            await self.on_changed(call.task.task_id, session_id, changes)

    async def restart(self, call: Call) -> None:
        """The demo agent is no process, and remembers all that was said."""

    async def unload(self, call: Call, session_id: str) -> None:
        """The same."""

    async def memory(self, task_id: str | None) -> Sequence[AgentMemory]:
        """The demo agent is no process."""
        return ()

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn, attachments: NewAttachments = ()) -> None:
        task_id = call.task.task_id
        await self._world.look(task_id)
        if prompt.prompt_id in self._world.prompts:
            return
        await self._world.call("turn", task_id, prompt.session_id, prompt.prompt_id)
        await self._world.effect("deliver_prompt", task_id, session_id=prompt.session_id, prompt_id=prompt.prompt_id)

    async def steer(self, call: Call, prompt: Prompt) -> Steered:
        task_id, session_id = call.task.task_id, prompt.session_id
        await self._world.look(task_id)
        if prompt.prompt_id not in self._world.prompts:
            await self._world.effect("deliver_prompt", task_id, session_id=session_id, prompt_id=prompt.prompt_id)
        return Steered.TAKEN

    async def follow(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        """The turn has the prompt from its beginning; what a script lets fail or hang is the telling of its outcome."""
        number, begun = self._world.turn_of(prompt.prompt_id)
        # The prompt that the task was made with may be sent again, and is no later one for that.
        script = await self._turn_script(call, later=number > 1 and prompt.text != call.task.prompt)
        for line in script.log:
            call.log(line)
        strikes = script.strikes(number)
        if strikes and script.fail is not None:
            await anyio.sleep(max(0.0, script.ms / 1000 - begun))
            raise AgentError(script.fail, retryable=script.retryable)
        if strikes and script.hang == "before":
            await anyio.sleep_forever()
        left_out = images_left_out(prompt.attachments, (await self._offer(call)).accepts, call.task.agent)
        if left_out is not None:
            await turn.say("attachments", TranscriptKind.NOTICE, left_out)
        use = partial(self._tell_usage, call, prompt.session_id)
        edit = partial(self._world.edit, call.task.task_id, prompt.prompt_id)
        await _Telling(script, turn, begun, use, edit).tell()
        if strikes and script.hang == "after":
            await anyio.sleep_forever()
        late = [step for step in script.steps if step.late is not None]
        if late and self._group is not None:
            self._group.start_soon(self._say_late, call.task.task_id, prompt, turn, late)

    async def _say_late(self, task_id: str, prompt: Prompt, turn: Turn, steps: Sequence[Step]) -> None:
        await turn.over.wait()
        for number, step in enumerate(steps):
            await anyio.sleep(LATE_SECONDS if step.ms is None else step.ms / 1000)
            if self.on_said is not None:
                word = SaidOutsideTurn(f"{prompt.prompt_id}:late-{number}", TranscriptKind.MESSAGE, step.late or "")
                await self.on_said(task_id, prompt.session_id, [word])

    async def stop(self, call: Call, session_id: str) -> None:
        """A turn of the demo agent ends when it is cut; there is nobody else to tell."""

    async def close_session(self, call: Call, session_id: str) -> None:
        """The demo world keeps closed sessions."""

    async def _tell_usage(self, call: Call, session_id: str, usage: Usage) -> None:
        if self.on_changed is not None:
            await self.on_changed(call.task.task_id, session_id, (UsageChanged(usage),))

    async def _turn_script(self, call: Call, *, later: bool) -> TurnScript:
        try:
            return (await self._script.for_call()).turn(call.task.prompt, later=later)
        except ScriptError as error:
            raise AgentError(str(error)) from error


def _commands_of(question: Question) -> tuple[str, ...]:
    """What the demo would run: the text of what is no other kind of tool call, or a title that says that it is run."""
    if question.tool_kind not in (None, EXECUTE):
        return ()
    command = question.text or (question.title if question.tool_kind == EXECUTE else "")
    return (command,) if command else ()


class _Telling:
    """One turn: its steps and the reply share its time evenly; permission is asked for half-way.

    `begun` seconds of it are over already: the agent worked on while nobody followed, so what it did then is told at
    once, and nothing that was told before is taken back.
    """

    def __init__(
        self,
        script: TurnScript,
        turn: Turn,
        begun: float,
        use: Callable[[Usage], Awaitable[None]],
        edit: Callable[[Collection[int]], Awaitable[None]],
    ) -> None:
        """`edit` is told which of the script's edits were made, by their places among these."""
        self._script = script
        self._use = use
        self._edit = edit
        self._turn = turn
        self._start = anyio.current_time() - begun
        self._plan: tuple[str, ...] = ()
        self._plan_key = ""
        self._plan_from = 0

    async def tell(self) -> None:
        steps = [*(step for step in self._script.steps if step.late is None), Step(message=self._script.reply)]
        share = self._script.ms / 1000 / sum(step.ms is None for step in steps)
        end, denied = 0.0, False
        edits = 0
        for number, step in enumerate(steps):
            made, edits = range(edits, edits + len(step.made)), edits + len(step.made)
            begin, end = end, end + (share if step.ms is None else step.ms / 1000)
            if number == len(steps) // 2 and self._script.permission is not None:
                begin = max(begin, self._script.ms / 2000)
                await self._reach(begin)
                denied = not await self._ask("permission", Step(permission=self._script.permission))
            await self._tell_plan(number, len(steps))
            if number == len(steps) - 1 and denied:
                step = Step(message=f"Understood, I did not do it. {self._script.reply}")
            if step.permission is not None:
                await self._reach(end)
                denied = not await self._ask(f"permission-{number}", step)
                await self._edit(() if denied else made)
            elif step.form is not None or step.url is not None:
                await self._reach(end)
                denied = not await self._elicit(f"elicitation-{number}", step)
            else:
                await self._tell_step(f"step-{number}", number, step, begin, end, made)
        await self._tell_plan(len(steps), len(steps))

    async def _reach(self, seconds: float) -> None:
        """Wait until the turn is so old."""
        await anyio.sleep_until(self._start + seconds)

    async def _ask(self, key: str, step: Step) -> bool:
        """Whether it is allowed. The time that a person takes for the answer is none of the turn's."""
        asked = anyio.current_time()
        options = OPTIONS if step.options is None else step.options
        question = Question(
            title=step.permission or "",
            options=options,
            tool_kind=None if step.kind == "other" else step.kind,
            text=step.text or step.content or None,
            edits=step.all_edits,
            paths=step.paths,
        )
        intent = Intent(_commands_of(question), inside=lies_inside("/sandbox", step.paths))
        answer = await self._turn.ask(key, question, intent)
        self._start += anyio.current_time() - asked
        return not any(option.option_id == answer and option.kind.startswith("reject") for option in options)

    async def _elicit(self, key: str, step: Step) -> bool:
        """Whether the form was filled in, or the page opened."""
        asked = anyio.current_time()
        kind = QuestionKind.URL if step.form is None else QuestionKind.FORM
        title = step.message or f"Open {step.url}" if step.form is None else step.form
        question = Question(title=title, kind=kind, text=step.text, fields=step.fields, url=step.url)
        reply = await self._turn.elicit(key, question, anyio.Event())
        self._start += anyio.current_time() - asked
        return reply.action is AnswerAction.ACCEPT

    async def _tell_step(
        self, key: str, number: int, step: Step, begin: float, end: float, made: Collection[int]
    ) -> None:
        if step.usage is not None:
            await self._reach(end)
            await self._use(step.usage)
        elif step.thought is not None:
            await self._tell_text(key, TranscriptKind.THOUGHT, step.thought, begin, end)
        elif step.message is not None:
            await self._tell_text(key, TranscriptKind.MESSAGE, step.message, begin, end)
        elif step.plan is not None:
            self._plan, self._plan_key, self._plan_from = step.plan, key, number + 1
            await self._tell_plan(number, number + 2)
            await self._reach(end)
        else:
            await self._tell_tool(key, step, "in_progress")
            await self._reach(end)
            await self._edit(made)
            await self._tell_tool(key, step, "completed")

    async def _tell_text(self, key: str, kind: TranscriptKind, text: str, begin: float, end: float) -> None:
        pieces = max(1, min(len(text.split(" ")), int((end - begin) / CHUNK_SECONDS)))
        beat = (end - begin) / (pieces + 1)
        for piece in range(1, pieces + 1):
            await self._reach(begin + piece * beat)
            stop = len(text) if piece == pieces else text.rfind(" ", 0, len(text) * piece // pieces + 1)
            if stop > 0:
                await self._turn.say(key, kind, text[:stop])
        await self._reach(end)

    async def _tell_tool(self, key: str, step: Step, status: str) -> None:
        done = status == "completed"
        await self._turn.say(
            key,
            TranscriptKind.TOOL_CALL,
            {
                "title": step.tool or "",
                "kind": step.kind,
                "status": status,
                "content": (step.text or step.content) if done else "",
                "edits": [{"path": edit.path, "old": edit.old, "new": edit.new} for edit in step.all_edits]
                if done
                else [],
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
