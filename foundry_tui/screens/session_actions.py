"""What can be done with the sessions of the task that a screen shows."""

from foundry_tui.contract.attachments import AttachmentKind
from foundry_tui.contract.records import SessionStatus
from foundry_tui.contract.requests import CreateTask
from foundry_tui.process.browsers import open_page
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.view.prompt_queue import waiting
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.permission import PermissionRequest


class SessionActions:
    """The actions of the table's group Session, on the visible session."""

    def __init__(self, task: TaskInView) -> None:
        self._task = task

    def _step_session(self, direction: int) -> None:
        task = self._task.record
        if task is None or not task.sessions:
            return
        ids = [session.session_id for session in task.sessions]
        place = ids.index(session.session_id) if (session := self._task.session) is not None else 0
        self._task.choose_session(ids[(place + direction) % len(ids)])

    def action_stop(self) -> None:
        if (session := self._task.session) is not None:
            self._task.foundry.commands.stop(session.session_id)

    def action_go_on(self) -> None:
        if (session := self._task.session) is not None:
            self._task.foundry.commands.go_on(session.session_id)

    def action_withdraw(self) -> None:
        """Take back the prompt that is being changed, or the newest that waits; its text is kept where one writes."""
        session, composer = self._task.session, self._task.screen.query_one(Composer)
        known = self._task.store.session(session.session_id) if session is not None else None
        queue = waiting(known.prompts) if known is not None else ()
        prompt = composer.changing or (queue[-1] if queue else None)
        if prompt is None:
            return
        if composer.changing is not None:
            composer.stop_changing(keep=True)
        elif not composer.text:
            composer.start(prompt.text)
            composer.focus()
            if any(each.kind is not AttachmentKind.FILE for each in prompt.attachments):
                self._task.screen.notify("What was attached to it has to be attached again.")
        else:
            self._task.screen.notify(
                f"Taken back; {self._task.key_of('earlier_prompt')} recalls it to send it after all."
            )
        self._task.foundry.commands.withdraw_prompt(prompt.session_id, prompt.prompt_id)

    def action_new_session(self) -> None:
        task = self._task.record
        if task is None:
            return
        from foundry_tui.screens.new_session import NewSessionRequest, NewSessionScreen

        def answered(wanted: NewSessionRequest | None) -> None:
            if wanted is not None:
                draft = CreateTask(repo=task.repo_id, prompt="", title=wanted.name, agent=wanted.agent)
                self._task.foundry.sessions_asked[self._task.task_id] = draft
                self._task.choose_session(
                    self._task.foundry.commands.add_session(self._task.task_id, wanted.name, wanted.agent)
                )

        self._task.screen.app.push_screen(NewSessionScreen(task), answered)

    def action_choose_options(self) -> None:
        if (session := self._task.session) is not None:
            from foundry_tui.screens.session_options import SessionOptionsScreen

            self._task.screen.app.push_screen(SessionOptionsScreen(session.session_id, self._task.store))

    def action_close_session(self) -> None:
        """Close the visible session, once it was asked."""
        session = self._task.session
        if session is None:
            return
        from foundry_tui.screens.confirm import ConfirmScreen

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._task.foundry.commands.close_session(session.session_id)

        known = self._task.store.session(session.session_id)
        count = len(waiting(known.prompts)) if known is not None else 0
        losses = ["Nothing more can be said in it; what was said stays readable."]
        if session.status is SessionStatus.RUNNING:
            losses.append("Its turn is ended.")
        if count:
            losses.append(f"{count:,} prompt{'s' if count > 1 else ''} that wait{'' if count > 1 else 's'} in it.")
        self._task.screen.app.push_screen(
            ConfirmScreen(f"Close the session “{session.name}”?", losses, "Close"), answered
        )

    def action_restart_agent(self) -> None:
        """Begin the task's agent anew, once it was asked where that ends a turn."""
        task = self._task.record
        if task is None:
            return
        foundry = self._task.foundry

        def restart() -> None:
            foundry.commands.restart_agent(task.task_id)
            foundry.reply("Restarting the agent.")

        turns = [session.name for session in task.sessions if session.status is SessionStatus.RUNNING]
        if not turns:
            restart()
            return
        from foundry_tui.screens.confirm import ConfirmScreen

        def answered(agreed: bool | None) -> None:
            if agreed:
                restart()

        losses = [f"The turn that runs in “{name}” is ended, and not begun again." for name in turns]
        losses.append("What was said stays; prompts that wait are delivered after it.")
        self._task.screen.app.push_screen(ConfirmScreen("Restart the agent?", losses, "Restart"), answered)

    def action_previous_session(self) -> None:
        self._step_session(-1)

    def action_next_session(self) -> None:
        self._step_session(1)

    def action_open_page(self) -> None:
        """Open the page that is asked for, once all of its address was in view."""
        if self._task.pane:
            self._task.show_conversation()
            return
        url = self._task.screen.query_one(PermissionRequest).page_seen()
        if url is None:
            return
        if open_page(url):
            self._task.screen.notify("Given to your browser. Answer here when it is done.", timeout=4)
        else:
            self._task.foundry.copy(url)
            self._task.screen.notify("No browser can be started from here: the address is copied.", severity="warning")

    def action_question_down(self) -> None:
        self._task.screen.query_one(PermissionRequest).action_scroll(1)

    def action_question_up(self) -> None:
        self._task.screen.query_one(PermissionRequest).action_scroll(-1)

    def _answer(self, place: int) -> None:
        """Answer the question with its option of this place, counted from 1; one that is not in view is shown first."""
        if self._task.pane:
            self._task.show_conversation()
        else:
            self._task.screen.query_one(PermissionRequest).answer(place)

    def action_answer_1(self) -> None:
        self._answer(1)

    def action_answer_2(self) -> None:
        self._answer(2)

    def action_answer_3(self) -> None:
        self._answer(3)

    def action_answer_4(self) -> None:
        self._answer(4)

    def action_answer_5(self) -> None:
        self._answer(5)

    def action_answer_6(self) -> None:
        self._answer(6)

    def action_answer_7(self) -> None:
        self._answer(7)

    def action_answer_8(self) -> None:
        self._answer(8)

    def action_answer_9(self) -> None:
        self._answer(9)
