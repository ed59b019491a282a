"""Commands that outlive the app until the backend has answered them, one type an action.

Their form is that of the outbox's file. One that this version does not know whole, action or option, is none of these:
decoding it fails, and it stays in the file for who does.
"""

from typing import TypeAlias

from msgspec import Struct, field

from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.questions import AnswerAction, FieldValue


class _Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What a command says beside what it is about."""


class RetryOptions(_Options, frozen=True, omit_defaults=True):
    resend: bool = False
    without: tuple[str, ...] = ()


class ArchiveOptions(_Options, frozen=True):
    force: bool = False


class KillOptions(_Options, frozen=True):
    force: bool = False
    delete_branch: bool = False


class PruneOptions(_Options, frozen=True):
    pass


class RenameOptions(_Options, frozen=True):
    title: str


class AnswerOptions(_Options, frozen=True, omit_defaults=True):
    """An option of a permission, or else what is done with a form or a page."""

    option_id: str | None = None
    action: AnswerAction | None = None
    content: dict[str, FieldValue] | None = None


class PromptEditOptions(_Options, frozen=True):
    session_id: str
    text: str


class PromptWithdrawalOptions(_Options, frozen=True):
    session_id: str


class SetOptionOptions(_Options, frozen=True):
    option_id: str
    value: str | bool


class OperateOptions(_Options, frozen=True):
    request: StartOperation


class CancelOperationOptions(_Options, frozen=True):
    operation_id: str


class _Kept(Struct, frozen=True, forbid_unknown_fields=True, tag_field="action"):
    subject_id: str = field(name="task_id")
    """The id of what it is about: a task, unless its class says another thing. Files call it `task_id` in any case."""

    @property
    def key(self) -> str:
        """What it is kept under, in the place of one before."""
        return f"{self.action}:{self.subject_id}"

    @property
    def action(self) -> str:
        """Its tag, which is the name of the method that asks for it."""
        return str(type(self).__struct_config__.tag)


class Retry(_Kept, frozen=True, tag="retry"):
    options: RetryOptions = RetryOptions()


class Archive(_Kept, frozen=True, tag="archive"):
    options: ArchiveOptions = ArchiveOptions()


class Kill(_Kept, frozen=True, tag="kill"):
    options: KillOptions = KillOptions()


class Prune(_Kept, frozen=True, tag="prune"):
    options: PruneOptions = PruneOptions()


class Rename(_Kept, frozen=True, tag="rename"):
    options: RenameOptions


class Answer(_Kept, frozen=True, tag="answer"):
    """An answer to an agent's question, which is its subject."""

    options: AnswerOptions


class PromptEdit(_Kept, frozen=True, tag="edit_prompt"):
    """Another text for a prompt, which is its subject."""

    options: PromptEditOptions


class PromptWithdrawal(_Kept, frozen=True, tag="withdraw_prompt"):
    """A prompt that is taken back, which is its subject."""

    options: PromptWithdrawalOptions


class SetOption(_Kept, frozen=True, tag="set_option"):
    """Another value for an option of a session, which is its subject."""

    options: SetOptionOptions

    @property
    def key(self) -> str:
        """Each option of a session is set for itself."""
        return f"{super().key}:{self.options.option_id}"


class Operate(_Kept, frozen=True, tag="operate"):
    """An operation on a task's work."""

    options: OperateOptions

    @property
    def key(self) -> str:
        """Each operation is asked for by itself: another one does not take its place."""
        return f"{super().key}:{self.options.request.operation_id}"


class CancelOperation(_Kept, frozen=True, tag="cancel_operation"):
    options: CancelOperationOptions

    @property
    def key(self) -> str:
        return f"{super().key}:{self.options.operation_id}"


KeptCommand: TypeAlias = (
    Retry
    | Archive
    | Kill
    | Prune
    | Rename
    | Answer
    | PromptEdit
    | PromptWithdrawal
    | SetOption
    | Operate
    | CancelOperation
)
