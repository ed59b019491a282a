"""What can be done with the sessions of the task that a screen shows."""

from textual import on

from foundry_tui.contract.records import SessionSummary, TaskSummary
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.prerender import AheadScreen
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.session_tabs import SessionTabs
from foundry_tui.widgets.transcript import Transcript


class SessionActions(AheadScreen[None]):
    """The actions of the table's group Session, on the visible session."""

    task_id: str

    @property
    def record(self) -> TaskSummary | None:
        """The task as far as it is known."""
        raise NotImplementedError

    @property
    def session(self) -> SessionSummary | None:
        """The visible session."""
        raise NotImplementedError

    def choose_session(self, session_id: str) -> None:
        """Show another session of the task."""
        raise NotImplementedError

    @on(SessionTabs.SessionChosen)
    def _session_chosen(self, message: SessionTabs.SessionChosen) -> None:
        self.choose_session(message.session_id)

    @on(SessionTabs.NewSession)
    async def _new_session_clicked(self) -> None:
        await self.foundry.action_act("new_session")

    @on(PermissionRequest.Answered)
    def _answer(self, message: PermissionRequest.Answered) -> None:
        self.foundry.commands.answer(message.permission_id, message.option_id)

    def _step_session(self, direction: int) -> None:
        task = self.record
        if task is None or not task.sessions:
            return
        ids = [session.session_id for session in task.sessions]
        place = ids.index(session.session_id) if (session := self.session) is not None else 0
        self.choose_session(ids[(place + direction) % len(ids)])

    def action_fold(self) -> None:
        transcript = self.query_one(Transcript)
        transcript.fold(not transcript.unfolded)

    def action_stop(self) -> None:
        if (session := self.session) is not None:
            self.foundry.commands.stop(session.session_id)

    def action_new_session(self) -> None:
        task = self.record
        if task is None:
            return
        from foundry_tui.screens.new_session import NewSessionScreen, Wanted

        def answered(wanted: Wanted | None) -> None:
            if wanted is not None:
                draft = CreateTask(repo=task.repo_id, prompt="", title=wanted.name, agent=wanted.agent)
                self.foundry.sessions_asked[self.task_id] = draft
                self.choose_session(self.foundry.commands.add_session(self.task_id, wanted.name, wanted.agent))

        self.app.push_screen(NewSessionScreen(task), answered)

    def action_close_session(self) -> None:
        if (session := self.session) is not None:
            self.foundry.commands.close_session(session.session_id)

    def action_previous_session(self) -> None:
        self._step_session(-1)

    def action_next_session(self) -> None:
        self._step_session(1)

    def action_question_down(self) -> None:
        self.query_one(PermissionRequest).action_scroll(1)

    def action_question_up(self) -> None:
        self.query_one(PermissionRequest).action_scroll(-1)

    def action_answer_1(self) -> None:
        self.query_one(PermissionRequest).answer(0)

    def action_answer_2(self) -> None:
        self.query_one(PermissionRequest).answer(1)

    def action_answer_3(self) -> None:
        self.query_one(PermissionRequest).answer(2)

    def action_answer_4(self) -> None:
        self.query_one(PermissionRequest).answer(3)

    def action_answer_5(self) -> None:
        self.query_one(PermissionRequest).answer(4)

    def action_answer_6(self) -> None:
        self.query_one(PermissionRequest).answer(5)

    def action_answer_7(self) -> None:
        self.query_one(PermissionRequest).answer(6)

    def action_answer_8(self) -> None:
        self.query_one(PermissionRequest).answer(7)

    def action_answer_9(self) -> None:
        self.query_one(PermissionRequest).answer(8)
