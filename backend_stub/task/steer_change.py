"""What can happen to prompts that are said into a turn in progress: a part of a `TaskChange`."""

from backend_stub.task.rows import TaskRows
from foundry_tui.contract.records import HistoryKind, Prompt, PromptState, SessionStatus
from foundry_tui.contract.replace import replace
from foundry_tui.contract.transcript import TranscriptKind


class SteerChange:
    """Each method raises `KeyError` when the task has no session of this id."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    def possible(self, session_id: str) -> bool:
        """Whether a turn is in progress whose agent takes prompts into it."""
        is_running = self._rows.session(session_id).status is SessionStatus.RUNNING
        return is_running and self._rows.offer(session_id).accepts.steering

    def take(self, prompt: Prompt) -> None:
        """The agent has the prompt, and goes on with its turn."""
        self._rows.put_prompt(replace(prompt, state=PromptState.DELIVERED))
        self._rows.say(prompt.session_id, prompt.prompt_id, TranscriptKind.PROMPT, prompt.text)
        self._rows.record(
            HistoryKind.PROMPT_DELIVERED, session_id=prompt.session_id, prompt_id=prompt.prompt_id, steer=True
        )

    def give_back(self, prompt: Prompt) -> None:
        """The agent does not have the prompt: it waits on, before all others."""
        private = self._rows.private
        others = tuple(each for each in private.delivering if each != prompt.prompt_id)
        self._rows.private = replace(private, delivering=others)

    def answer(self, session_id: str) -> None:
        """The turn has ended well, and with it whatever was said into it is answered."""
        for prompt in self._rows.prompts(session_id):
            if prompt.state is PromptState.DELIVERED:
                self._rows.put_prompt(replace(prompt, state=PromptState.ANSWERED))
                self._rows.record(HistoryKind.PROMPT_ANSWERED, session_id=session_id, prompt_id=prompt.prompt_id)
