"""What outlives the app: the outbox's file is written soon after it changed, and taken up again at the next start."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from foundry_tui.client import kept_commands as kept
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.creations import CreationState
from foundry_tui.client.outbox import Outbox
from foundry_tui.contract.records import PromptState

if TYPE_CHECKING:
    from foundry_tui.client.commands import Commands
    from foundry_tui.client.settlement import Settlement
    from foundry_tui.client.store import Store

MOMENT = 0.25
"""Seconds of typing that are saved together: as much as a crash can lose."""


class Persistence:
    """Writes an outbox into its file, on a thread. `report` is told each time that the file cannot be written."""

    def __init__(self, outbox: Outbox, report: Callable[[CommandProblem], None]) -> None:
        self._outbox = outbox
        self._report = report
        self._unsaved, self._pressing, self._round = anyio.Event(), anyio.Event(), anyio.Event()
        self._owed = self._tried = 0
        """Changes that cannot wait, and how many of them were written, or could not be."""
        outbox.on_change = self._changed

    def restore(self, store: "Store", settlement: "Settlement", commands: "Commands") -> None:
        """Show what the last run of the app left unanswered, and ask for it again."""
        for creation in list(self._outbox.creations.values()):
            store.put_creation(creation)
            if creation.state is CreationState.PENDING:
                settlement.send_creation(creation.task_id)
            else:
                settlement.expect(creation.task_id)
        for session in list(self._outbox.sessions.values()):
            settlement.send_session(session)
        for prompt in list(self._outbox.prompts.values()):
            store.put_prompt(prompt)
            if prompt.state is PromptState.QUEUED:
                settlement.send_prompt(prompt, maybe_sent=True)
        for command in list(self._outbox.commands.values()):
            _ask_again(command, commands)

    async def run(self) -> None:
        """Save until cancelled, and say first what of the file could not be read."""
        self._remark()
        while True:
            await self._unsaved.wait()
            with anyio.move_on_after(MOMENT):
                await self._pressing.wait()
            self._unsaved, self._pressing = anyio.Event(), anyio.Event()
            owed, delta, written = self._owed, self._outbox.take(), False
            try:
                whole = await anyio.to_thread.run_sync(self._outbox.write, delta)
                written = True
                if not whole:
                    self._outbox.put_all()
                    self._remark()
            except OSError as error:
                self._cannot_keep(error)
            finally:
                # Also when cancelled: a thread that was not begun has written nothing.
                if not written:
                    self._outbox.give_back(delta)
            self._tried = owed
            done, self._round = self._round, anyio.Event()
            done.set()

    async def saved(self) -> None:
        """Wait until all that was asked for so far is in the file, or could not be written into it."""
        owed = self._owed
        while self._tried < owed:
            await self._round.wait()

    def save_now(self) -> None:
        """Write what is unsaved, blocking: the app is leaving, and a moment is better than a lost draft."""
        try:
            if not self._outbox.write(self._outbox.take()):
                self._outbox.put_all()
                self._outbox.write(self._outbox.take())
        except OSError as error:
            self._cannot_keep(error)

    def _changed(self, can_wait: bool) -> None:
        self._unsaved.set()
        if not can_wait:
            self._owed += 1
            self._pressing.set()

    def _remark(self) -> None:
        if remarks := self._outbox.remarks:
            self._report(CommandProblem(action="keep", message=remarks))

    def _cannot_keep(self, error: OSError) -> None:
        message = f"Drafts and unanswered tasks cannot be kept in {self._outbox.path}: {error.strerror}."
        self._report(CommandProblem(action="keep", message=message))


def _ask_again(command: kept.KeptCommand, commands: "Commands") -> None:
    match command:
        case kept.Retry():
            commands.retry(command.subject_id, command.options.resend, command.options.without)
        case kept.Archive():
            commands.archive(command.subject_id, command.options.force)
        case kept.Kill():
            commands.kill(command.subject_id, command.options.force, command.options.delete_branch)
        case kept.Prune():
            commands.prune(command.subject_id)
        case kept.Rename():
            commands.rename(command.subject_id, command.options.title)
        case kept.Answer(options=kept.AnswerOptions(action=action, content=content)) if action is not None:
            commands.reply(command.subject_id, action, content)
        case kept.Answer():
            commands.answer(command.subject_id, command.options.option_id or "")
        case kept.PromptEdit():
            commands.edit_prompt(command.options.session_id, command.subject_id, command.options.text)
        case kept.PromptWithdrawal():
            commands.withdraw_prompt(command.options.session_id, command.subject_id)
        case kept.Operate():
            commands.operate(command.subject_id, command.options.request)
        case kept.CancelOperation():
            commands.cancel_operation(command.subject_id, command.options.operation_id)
        case kept.SetOption():
            commands.set_option(command.subject_id, command.options.option_id, command.options.value)
