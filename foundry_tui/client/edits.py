"""Changes that the user has asked for, shown on top of the backend's records until those have them."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.contract.options import OptionValue, find_option, value_name
from foundry_tui.contract.records import Prompt, PromptState, SessionDetail, SessionSummary, TaskSummary

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


class OptionChange(Struct, frozen=True, kw_only=True):
    """Another value for an option of a session.

    `revision` is that of the session with which the backend has kept it: it stands until the session's record has come
    so far. None: the backend has not answered.
    """

    token: int
    option_id: str
    value: OptionValue
    revision: int | None = None


def change_options(session: SessionDetail, changes: Iterable[OptionChange]) -> SessionDetail:
    """The session with the options set as they were asked for, and called by them."""
    values = {change.option_id: change.value for change in changes}
    options = tuple(
        replace(option, value=values[option.option_id], error=None) if option.option_id in values else option
        for option in session.options
    )
    names = {}
    for category in ("model", "mode"):
        option = find_option(options, category)
        if option is not None and option.option_id in values:
            names[category] = value_name(option, option.value)
    return replace(session, options=options, **names)


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
