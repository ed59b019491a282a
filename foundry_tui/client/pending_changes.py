"""What the user has asked for and the backend's records do not show yet: creations, edits, prompts, options."""

from collections.abc import Iterable, Set
from itertools import count
from typing import TypeVar

from msgspec.structs import replace

from foundry_tui.client.creations import Creation
from foundry_tui.client.edits import (
    Edit,
    OptionChange,
    PromptChange,
    change_options,
    change_prompts,
    lay_over,
    merge_prompts,
)
from foundry_tui.contract.options import OptionValue
from foundry_tui.contract.records import Prompt, SessionDetail, SessionState, SessionSummary, TaskDetail, TaskSummary

T = TypeVar("T", bound=TaskSummary)


class PendingChanges:
    """The user's side of the store; it knows nothing of streams.

    `creations` are unconfirmed. `made` are all creations of this run of the app, which stand in for a task's detail
    until its own topic has told it; `answers` are what the backend answered to them. `accepted` maps the prompts that
    it has accepted to their sessions. `prompt_changes` and `option_changes` are those of each session, by its id, in
    the order they were asked for. `edition` rises with every edit.
    """

    def __init__(self) -> None:
        self.creations: dict[str, Creation] = {}
        self.made: dict[str, Creation] = {}
        self.answers: dict[str, TaskDetail] = {}
        self.edits: dict[str, list[Edit]] = {}
        self.prompts: dict[str, dict[str, Prompt]] = {}
        self.accepted: dict[str, str] = {}
        self.prompt_changes: dict[str, list[PromptChange]] = {}
        self.option_changes: dict[str, list[OptionChange]] = {}
        self.edition = 0
        self._made_sessions: dict[str, str] = {}
        self._tokens = count(1)

    def put_creation(self, creation: Creation) -> None:
        """Keep a creation, or its new state."""
        self.creations[creation.task_id] = creation
        self.made[creation.task_id] = creation
        self._made_sessions[creation.session_id] = creation.task_id

    def forget_creation(self, task_id: str) -> None:
        """Keep nothing of a creation."""
        self.answers.pop(task_id, None)
        made = self.made.pop(task_id, None)
        if made is not None:
            self._made_sessions.pop(made.session_id, None)

    def made_session(self, session_id: str) -> Creation | None:
        """The creation whose first session this is."""
        return self.made.get(self._made_sessions.get(session_id, ""))

    def add_edit(self, task_id: str, title: str | None, unread: bool | None, session: SessionSummary | None) -> Edit:
        """A new edit, the last one of its task."""
        edit = Edit(token=next(self._tokens), task_id=task_id, title=title, unread=unread, session=session)
        self.edits.setdefault(task_id, []).append(edit)
        self.edition += 1
        return edit

    def drop_edit(self, task_id: str, token: int) -> None:
        """The edit is settled."""
        self._keep(task_id, [edit for edit in self.edits.get(task_id, ()) if edit.token != token])

    def answer_session(self, token: int, session: SessionSummary) -> None:
        """The backend has made the session that an edit asked for."""
        edits = self.edits.get(session.task_id, [])
        answered = [replace(edit, session=session, answered=True) if edit.token == token else edit for edit in edits]
        self._keep(session.task_id, answered)

    def forget_answers(self) -> list[str]:
        """The database is another one: what the old one accepted is no promise. The tasks whose edits changed."""
        self.answers.clear()
        for prompt_id, session_id in list(self.accepted.items()):
            self.drop_prompt(session_id, prompt_id)
        for session_id, changes in list(self.prompt_changes.items()):
            self._keep_prompt_changes(session_id, [one for one in changes if not one.answered])
        for session_id, settings in list(self.option_changes.items()):
            self._keep_option_changes(session_id, [one for one in settings if one.revision is None])
        changed = [task_id for task_id, edits in self.edits.items() if any(edit.answered for edit in edits)]
        for task_id in changed:
            self._keep(task_id, [edit for edit in self.edits[task_id] if not edit.answered])
        return changed

    def lay_over(self, task: T) -> T:
        """The task as the user asked it to be."""
        edits = self.edits.get(task.task_id)
        return task if edits is None else lay_over(task, edits)

    def lay_over_session(self, session: SessionDetail) -> SessionDetail:
        """The session with the prompts and options that the user asked for."""
        session_id = session.session_id
        prompts, options = session.prompts, self.option_changes.get(session_id)
        if pending := self.prompts.get(session_id):
            prompts = merge_prompts(prompts, pending.values())
        if changes := self.prompt_changes.get(session_id):
            prompts = change_prompts(prompts, changes)
        session = session if prompts is session.prompts else replace(session, prompts=prompts)
        return change_options(session, options) if options else session

    def confirm(self, task: TaskSummary) -> None:
        """The task's own record has come: answered edits that it shows are settled."""
        edits = self.edits.get(task.task_id, ())
        if any(edit.answered for edit in edits):
            known = {session.session_id for session in task.sessions}
            self._keep(task.task_id, [edit for edit in edits if not (edit.answered and edit.session_id in known)])

    def session_edit(self, session_id: str) -> Edit | None:
        """The edit that asks for this session."""
        for edits in self.edits.values():
            for edit in edits:
                if edit.session_id == session_id:
                    return edit
        return None

    def expects_session(self, session_id: str) -> bool:
        """Whether the session was asked for and the backend is not known to have it."""
        made = self.made_session(session_id)
        if made is not None and made.task_id in self.creations:
            return True
        edit = self.session_edit(session_id)
        return edit is not None and not edit.answered

    def put_prompt(self, prompt: Prompt) -> None:
        """Keep a prompt, or its new state."""
        self.prompts.setdefault(prompt.session_id, {})[prompt.prompt_id] = prompt

    def drop_prompt(self, session_id: str, prompt_id: str) -> bool:
        """Keep a prompt no longer; the answer is whether there was one."""
        self.accepted.pop(prompt_id, None)
        pending = self.prompts.get(session_id)
        if pending is None or pending.pop(prompt_id, None) is None:
            return False
        if not pending:
            del self.prompts[session_id]
        return True

    def change_prompt(self, session_id: str, prompt_id: str, text: str | None, shown: Iterable[str]) -> int:
        """A prompt, `shown` with a text, is to have another or (None) to be withdrawn; the token of that change."""
        changes = self.prompt_changes.setdefault(session_id, [])
        before = frozenset(shown).union(*(one.before for one in changes if one.prompt_id == prompt_id))
        change = PromptChange(token=next(self._tokens), prompt_id=prompt_id, text=text, before=before)
        changes.append(change)
        return change.token

    def settle_prompt_change(self, session_id: str, token: int, *, made: bool) -> None:
        """The backend has made the change, and its record of the session will show that; or it never will.

        One that was made replaces those of its prompt that were made before, which no record may show any more.
        """
        kept: list[PromptChange] = []
        for one in self.prompt_changes.get(session_id, ()):
            if one.token != token:
                kept.append(one)
            elif made:
                kept = [other for other in kept if other.prompt_id != one.prompt_id]
                kept.append(replace(one, answered=True))
        self._keep_prompt_changes(session_id, kept)

    @property
    def sessions(self) -> Set[str]:
        """Ids of the sessions with changes that are kept here until the sessions' own records show them."""
        return self.prompts.keys() | self.prompt_changes.keys() | self.option_changes.keys()

    def change_option(self, session_id: str, option_id: str, value: OptionValue) -> int:
        """An option is to have another value; the token of that change."""
        change = OptionChange(token=next(self._tokens), option_id=option_id, value=value)
        self.option_changes.setdefault(session_id, []).append(change)
        return change.token

    def settle_option(self, session_id: str, token: int, revision: int | None) -> None:
        """The backend has kept the change with this revision of the session; None: it never will."""
        changes = self.option_changes.get(session_id, ())
        settled = [replace(one, revision=revision) if one.token == token else one for one in changes]
        kept = [one for one in settled if one.token != token or revision is not None]
        self._keep_option_changes(session_id, kept)

    def drop_shown(self, session: SessionState) -> None:
        """The session's own record has come: prompts that it shows, and changes that are in it, are settled."""
        session_id = session.session_id
        for prompt in session.prompts:
            self.drop_prompt(session_id, prompt.prompt_id)
        changes = self.prompt_changes.get(session_id, [])
        unshown = [one for one in changes if not (one.answered and one.is_shown_by(session.prompts))]
        self._keep_prompt_changes(session_id, unshown)
        options = self.option_changes.get(session_id, [])
        unset = [one for one in options if one.revision is None or one.revision > session.revision]
        self._keep_option_changes(session_id, unset)

    def _keep_option_changes(self, session_id: str, changes: list[OptionChange]) -> None:
        if changes:
            self.option_changes[session_id] = changes
        else:
            self.option_changes.pop(session_id, None)

    def _keep_prompt_changes(self, session_id: str, changes: list[PromptChange]) -> None:
        if changes:
            self.prompt_changes[session_id] = changes
        else:
            self.prompt_changes.pop(session_id, None)

    def _keep(self, task_id: str, edits: list[Edit]) -> None:
        self.edition += 1
        if edits:
            self.edits[task_id] = edits
        else:
            self.edits.pop(task_id, None)
