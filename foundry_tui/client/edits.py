"""Changes that the user has asked for, shown on top of the backend's records until those have them."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.contract.records import Prompt, PromptState, SessionSummary, TaskSummary

T = TypeVar("T", bound=TaskSummary)


class Edit(Struct, frozen=True, kw_only=True):
    """One command that is on its way: what it will change of the task, where that can be foreseen.

    `answered` marks one that the backend has accepted and that stands only until the task's own record shows it.
    """

    token: int
    task_id: str
    title: str | None = None
    unread: bool | None = None
    session: SessionSummary | None = None
    answered: bool = False

    @property
    def session_id(self) -> str | None:
        """The session that it adds."""
        return None if self.session is None else self.session.session_id


class PromptChange(Struct, frozen=True, kw_only=True):
    """Another text for a queued prompt, or None where it is withdrawn.

    `before` are the texts that the session's record may still have from before. `answered`: the backend has done it,
    and it stands only until the record shows that.
    """

    token: int
    prompt_id: str
    text: str | None
    before: frozenset[str]
    answered: bool = False

    def is_shown_by(self, prompts: Iterable[Prompt]) -> bool:
        """Whether these prompts, as the backend has them, are from after the change."""
        for prompt in prompts:
            if prompt.prompt_id == self.prompt_id:
                return prompt.state is not PromptState.QUEUED or (
                    self.text is not None and (prompt.text == self.text or prompt.text not in self.before)
                )
        return False


def change_prompts(prompts: Iterable[Prompt], changes: Iterable[PromptChange]) -> tuple[Prompt, ...]:
    """The prompts with the changes applied to those that are still queued, in the order they were asked for."""
    changed = {prompt.prompt_id: prompt for prompt in prompts}
    for change in changes:
        prompt = changed.get(change.prompt_id)
        if prompt is not None and prompt.state is PromptState.QUEUED:
            changed[prompt.prompt_id] = (
                replace(prompt, state=PromptState.WITHDRAWN)
                if change.text is None
                else replace(prompt, text=change.text)
            )
    return tuple(changed.values())


def lay_over(task: T, edits: Iterable[Edit]) -> T:
    """The task with the edits applied in the order they were asked for; its revision stays the backend's."""
    for edit in edits:
        if edit.title is not None:
            task = replace(task, title=edit.title)
        if edit.unread is not None:
            task = replace(task, unread=edit.unread)
        session = edit.session
        if session is not None and all(session.session_id != known.session_id for known in task.sessions):
            task = replace(task, sessions=(*task.sessions, session))
    return task


def merge_prompts(known: tuple[Prompt, ...], pending: Iterable[Prompt]) -> tuple[Prompt, ...]:
    """The backend's prompts, then those that it does not know yet."""
    ids = {prompt.prompt_id for prompt in known}
    return known + tuple(prompt for prompt in pending if prompt.prompt_id not in ids)
