"""What can happen to a task: a change of its rows in the making, pure, in the words of the product."""

from collections.abc import Callable, Mapping, Sequence

from backend_stub.domain.storage import ItemKey, Opening, Private, TaskState
from backend_stub.task.activity import STILL, Pace
from backend_stub.task.agent_change import AgentChange
from backend_stub.task.host_change import HostChange
from backend_stub.task.name_change import NameChange
from backend_stub.task.offer_change import OfferChange
from backend_stub.task.operation_change import OperationChange
from backend_stub.task.question_change import QuestionChange
from backend_stub.task.rows import TaskRows, running_sessions
from backend_stub.task.sandbox_change import SandboxChange
from backend_stub.task.stage_change import StageChange
from backend_stub.task.steer_change import SteerChange
from foundry_tui.contract.activity import ActivityKind
from foundry_tui.contract.attachments import NewAttachments, told
from foundry_tui.contract.pull_request import PullRequest
from foundry_tui.contract.records import (
    ErrorKind,
    HistoryKind,
    Prompt,
    PromptState,
    Sandbox,
    SessionStatus,
    SessionSummary,
    StageRecord,
    StageState,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.rules import Rule
from foundry_tui.contract.status import READY, STAGE_OF_STATUS, STAGES, STATUS_OF_STAGE, StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.contract.work import Work


class TaskChange:
    """Each method that changes something is something that happens, and leaves its history events.

    It raises `IllegalMoveError` when that cannot happen to a record in the state it is in, and `KeyError` when the task
    has no session of this id. `seal` gives the commit, or None when nothing has happened.
    """

    def __init__(
        self,
        state: TaskState,
        now: int,
        new_id: Callable[[], str],
        item_keys: Mapping[str, Mapping[str, ItemKey]] | None = None,
        heard: Mapping[str, int] | None = None,
        pace: Pace = STILL,
    ) -> None:
        self.now = now
        self.new_id = new_id
        self._rows = rows = TaskRows(state, now, item_keys or {}, heard, pace)
        # What stands is asked of the rows, and what only adds to them goes there at once.
        self.stage, self.is_prepared = rows.stage, rows.is_prepared
        self.session, self.question, self.offer = rows.session, rows.question, rows.offer
        self.names = NameChange(rows)
        self.agents = AgentChange(rows)
        self.stages = StageChange(rows)
        self.sandbox = SandboxChange(rows)
        self.host = HostChange(rows)
        self.offers = OfferChange(rows, new_id)
        self.steers = SteerChange(rows)
        self.questions = QuestionChange(rows, self.mark_unread)
        self.operations = OperationChange(rows)
        self.prompts, self.prompt, self.delivering = rows.prompts, rows.prompt, rows.delivering
        self.record, self.say, self.log = rows.record, rows.say, rows.log
        self.seal = rows.seal

    @property
    def task(self) -> TaskDetail:
        return self._rows.task

    @property
    def private(self) -> Private:
        return self._rows.private

    @property
    def status(self) -> TaskStatus:
        return self._rows.status

    @property
    def new_keys(self) -> Mapping[str, Mapping[str, ItemKey]]:
        """What must be known to go on with the transcript items that were said, by session_id and item_id."""
        return self._rows.new_keys

    @property
    def pace(self) -> Pace:
        """How fast the task's line may say something new once this is sealed, and what it owes."""
        return self._rows.pace

    # The task

    def rename(self, title: str) -> None:
        """A person gave the task another title."""
        self.record(HistoryKind.TASK_RENAMED, title=title, before=self.task.title)
        self._rows.put_task(replace(self.task, title=title))

    def say_first(self, words: str) -> None:
        """These words go before what the task is about, unless the agent is not to be told of that any more."""
        first = self.task.sessions[0].session_id
        prompt = self.prompts(first)[0]
        if prompt.state is PromptState.QUEUED:
            self.edit_prompt(prompt, f"{words}\n\n{prompt.text}")

    def get_sandbox(self, sandbox: Sandbox, *, resumed: bool = False, rules: Sequence[Rule] | None = None) -> None:
        """The sandbox was made, or one that was there was taken (`resumed`); `rules` are those that it brought, None
        for as they were.
        """
        if rules is not None:
            self._set_private(replace(self.private, rules=tuple(rules)))
        self._rows.put_task(replace(self.task, sandbox=sandbox))
        kind = HistoryKind.SANDBOX_RESUMED if resumed else HistoryKind.SANDBOX_CREATED
        self.record(kind, sandbox_id=sandbox.sandbox_id, cwd=sandbox.cwd)

    def find_work(self, work: Work | None) -> None:
        """The branch was looked at; None: nothing new is known of it."""
        held = self.task.work
        if work is not None and (held is None or replace(held, at=work.at) != work):
            # What somebody else did there, or the remote, is no news of the task.
            self._rows.put_task(replace(self.task, work=work), news=False)

    def find_pull_request(self, found: PullRequest) -> None:
        """The forge told of it; that is no news of the task either."""
        self._rows.put_task(replace(self.task, pull_request=found), news=False)

    def mark_unread(self, unread: bool) -> None:
        if unread is not self.task.unread:
            self._rows.put_task(replace(self.task, unread=unread), news=False)

    def become_ready(self) -> None:
        """Nothing is left to prepare: the task is running where a session has a turn in progress, else idle."""
        if running_sessions(self.task):
            self._move(TaskStatus.RUNNING)
            self.record(HistoryKind.TASK_RUNNING)
        else:
            self._move(TaskStatus.IDLE)
            self.record(HistoryKind.TASK_IDLE)

    def fail(self, error: TaskError) -> None:
        """The task stops on a failure."""
        self._rows.put_task(replace(self.task, error=error, unread=True))
        self._rows.tell(ActivityKind.ERROR, error.message)
        self._move(TaskStatus.ERROR)
        self.record(
            HistoryKind.TASK_ERROR, stage=error.stage, kind=error.kind, message=error.message, retryable=error.retryable
        )

    def resume_provisioning(self, stage: StageName | None, downtime: int) -> None:
        """A restart cut the provisioning of the task, and of this stage if one was at work.

        The milliseconds in which nobody worked do not count against it.
        """
        if stage is not None and (deadline := self.stage(stage).deadline_at) is not None:
            self.stages.extend(stage, deadline + downtime)
        self.record(HistoryKind.PROVISION_RESUMED, stage=stage, status=self.status)

    def go_on(self, *, resend: bool = False, for_prompt: bool = False) -> None:
        """The failed task is queued again, to go on where it stands: a person asked for that, or said more
        (`for_prompt`).
        """
        for stage in self.task.stages:
            if stage.state is not StageState.DONE:
                self._rows.put_stage(StageRecord(name=stage.name, max_attempts=stage.max_attempts))
        for session in self.task.sessions:
            self.revive_session(session.session_id)
            self.let_go(session.session_id)
        self._set_private(replace(self.private, next_attempt_at=None, attaching=0, went_on=for_prompt))
        stopped_in = self.task.error.stage if self.task.error else None
        self._rows.put_task(replace(self.task, error=None))
        self._rows.fall_silent()
        self.record(HistoryKind.RETRY_REQUESTED, stage=stopped_in, resend=resend or None)
        self._move(TaskStatus.QUEUED)
        self.record(HistoryKind.PROVISION_QUEUED)

    def forgive_retry(self) -> None:
        """The retry that came too late, since a prompt had made the task go on, has come: a second one is an error."""
        self._set_private(replace(self.private, went_on=False))

    def find_agent_later(self, attempts: int, next_at: int) -> None:
        """The agent of a task that is prepared could not be found again, so often by now; the next attempt is due."""
        self._set_private(replace(self.private, attaching=attempts, next_attempt_at=next_at))

    def end_finding_agent(self) -> None:
        """The agent was found again, or it is known that it cannot be."""
        self._set_private(replace(self.private, attaching=0, next_attempt_at=None))

    # The end of the task

    def begin_release(self, *, archive: bool, force: bool, delete_branch: bool) -> None:
        """A person archives or kills the task: whatever goes on in it is over, and its sandbox is to be released."""
        message = f"The task was {'archived' if archive else 'killed'}."
        error = TaskError(kind=ErrorKind.CANCELLED, message=message, retryable=False, at=self.now)
        requested = HistoryKind.ARCHIVE_REQUESTED if archive else HistoryKind.KILL_REQUESTED
        self.record(requested, force=force or None, delete_branch=delete_branch or None)
        for stage in self.task.stages:
            if stage.state is StageState.RUNNING:
                self.stages.cancel(stage.name)
        self.questions.cancel()
        self.operations.cancel(message)
        for session in self.task.sessions:
            self.close_session(session.session_id, error)
        self._set_private(
            replace(
                self.private,
                next_attempt_at=None,
                release_attempt=0,
                release_force=force,
                release_delete_branch=delete_branch,
            )
        )
        self.mark_unread(False)
        self._move(TaskStatus.ARCHIVING if archive else TaskStatus.KILLING)

    def release_later(self, attempt: int, next_at: int) -> None:
        """This attempt to release failed; the next is due then."""
        self._set_private(replace(self.private, release_attempt=attempt, next_attempt_at=next_at))

    def end(self) -> None:
        """The release is over, and the task is kept for reading."""
        archive = self.status is TaskStatus.ARCHIVING
        self._set_private(replace(self.private, next_attempt_at=None))
        self._rows.free_branch = not archive or self.private.release_delete_branch
        self._move(TaskStatus.ARCHIVED if archive else TaskStatus.KILLED)
        self.record(HistoryKind.TASK_ARCHIVED if archive else HistoryKind.TASK_KILLED)

    # Its stages

    def begin_stage(self, name: StageName, attempt: int, timeout_ms: int) -> None:
        """An attempt begins, and has this long."""
        self._move(STATUS_OF_STAGE[name])
        sandbox_wanted = self.private.sandbox_wanted or name is StageName.CREATE_SANDBOX
        self._set_private(replace(self.private, next_attempt_at=None, sandbox_wanted=sandbox_wanted))
        if name is StageName.CREATE_SESSION:
            self.begin_opening(self.task.sessions[0].session_id)
        self.stages.begin(name, attempt, timeout_ms)

    def pass_stage(self, name: StageName) -> None:
        """The stage was done before: only its status is passed, on the way to a stage that was not.

        History says so, since every change of status leaves an event; that of a stage done is `stage.completed`, and
        there is one of it.
        """
        here = STAGE_OF_STATUS.get(self.status)
        if self.status is TaskStatus.QUEUED or (here is not None and STAGES.index(here) < STAGES.index(name)):
            self._move(STATUS_OF_STAGE[name])
            self.record(HistoryKind.PROVISION_RESUMED, stage=name, status=self.status, done=True)

    def retry_stage(self, name: StageName, error: TaskError, next_at: int) -> None:
        """The attempt failed, and the next is due then."""
        self._set_private(replace(self.private, next_attempt_at=next_at))
        self.stages.retry(name, error, next_at)

    def fail_stage(self, name: StageName, error: TaskError) -> None:
        """The stage failed for good, and the task with it."""
        self.stages.fail(name, error)
        if name is StageName.CREATE_SESSION:
            self.fail_session(self.task.sessions[0].session_id, error)
        self.fail(error)

    # Its sessions

    def request_session(self, session: SessionSummary) -> None:
        """A session beside the first was asked for."""
        self._rows.put_session(session)
        self.record(HistoryKind.SESSION_REQUESTED, session_id=session.session_id, name=session.name)

    def begin_opening(self, session_id: str) -> None:
        """The agent is about to be asked to open the session, if it has not been before."""
        session = self.session(session_id)
        if session.status is SessionStatus.PENDING_PROVISION:
            self._rows.put_session(replace(session, status=SessionStatus.PENDING_CREATE))

    def open_later(self, session_id: str, attempts: int, next_at: int) -> None:
        """The session could not be opened, so often by now; the next attempt is due then."""
        openings = {**self.private.openings, session_id: Opening(attempts, next_at)}
        self._set_private(replace(self.private, openings=openings))

    def open_session(self, session_id: str) -> None:
        """The agent has opened the session."""
        self._rows.put_session(replace(self.session(session_id), status=SessionStatus.READY, error=None))
        self._forget_opening(session_id)
        self.offers.opened(session_id)
        self.record(HistoryKind.SESSION_READY, session_id=session_id)

    def fail_session(self, session_id: str, error: TaskError) -> None:
        """The session cannot go on; a closed one stays closed."""
        session = self.session(session_id)
        if session.status is not SessionStatus.CLOSED:
            self._rows.put_session(replace(session, status=SessionStatus.ERROR, error=error))
            self._forget_opening(session_id)
            self.record(HistoryKind.SESSION_FAILED, session_id=session_id, message=error.message)

    def revive_session(self, session_id: str) -> None:
        """A session that failed is to be opened again if it never was, and is ready if it was a turn that failed."""
        session = self.session(session_id)
        if session.status is SessionStatus.ERROR:
            never_opened = session.error is not None and session.error.stage is StageName.CREATE_SESSION
            status = SessionStatus.PENDING_PROVISION if never_opened else SessionStatus.READY
            self._rows.put_session(replace(session, status=status, error=None))

    def close_session(self, session_id: str, error: TaskError) -> None:
        """The session is over, and with it the prompts that wait or are worked on, which fail with `error`."""
        if self.session(session_id).status is not SessionStatus.CLOSED:
            self.fail_prompts(session_id, frozenset({PromptState.QUEUED, PromptState.DELIVERED}), error)
            self._rows.put_session(
                replace(self.session(session_id), status=SessionStatus.CLOSED, error=None, held=False)
            )
            self.agents.need(session_id)
            self._forget_opening(session_id)
            self.record(HistoryKind.SESSION_CLOSED, session_id=session_id)

    def mark_session_unread(self, session_id: str, unread: bool) -> None:
        session = self.session(session_id)
        if unread is not session.unread:
            self._rows.put_session(replace(session, unread=unread), news=False)

    def restart_agent(self) -> list[str]:
        """A person has the agent begun anew; the ids of the sessions whose turns that stops."""
        stopped = [session.session_id for session in self.task.sessions if self.stop_turn(session.session_id)]
        for session in self.task.sessions:
            self.agents.need(session.session_id)
        self._set_private(replace(self.private, restarting=True))
        return stopped

    def agent_restarted(self) -> None:
        """The agent was begun anew."""
        if self.private.restarting:
            self._set_private(replace(self.private, restarting=False))
            self.record(HistoryKind.AGENT_READY, agent=self.task.agent)

    # Their prompts and turns

    def queue_prompt(
        self, session_id: str, prompt_id: str, text: str, attachments: NewAttachments = (), *, steer: bool = False
    ) -> Prompt:
        """A prompt waits for its turn; before all others if it steers."""
        prompt = Prompt(
            prompt_id=prompt_id,
            session_id=session_id,
            text=text,
            attachments=tuple(map(told, attachments)),
            steer=steer,
            state=PromptState.QUEUED,
            at=self.now,
        )
        if attachments:
            self._rows.attachments[prompt_id] = attachments
        self._queue(prompt, first=steer)
        return prompt

    def queue_again(self, failed: Prompt) -> None:
        """What a failed prompt said is said again, before all that waits."""
        again = replace(failed, prompt_id=self.new_id(), state=PromptState.QUEUED, error=None, steer=False, at=self.now)
        if failed.attachments:
            self._rows.handed_on[again.prompt_id] = failed.prompt_id
        self._queue(again, first=True, again=failed.prompt_id)

    def _queue(self, prompt: Prompt, *, first: bool, again: str | None = None) -> None:
        self._rows.put_prompt(prompt)
        # Whoever says more after having stopped the turn means that first.
        if self.let_go(prompt.session_id) or first:
            self._set_private(replace(self.private, go_first=(*self.private.go_first, prompt.prompt_id)))
        self.record(
            HistoryKind.PROMPT_QUEUED,
            session_id=prompt.session_id,
            prompt_id=prompt.prompt_id,
            again=again,
            steer=prompt.steer or None,
            attachments=[each.name for each in prompt.attachments] or None,
        )

    def edit_prompt(self, prompt: Prompt, text: str) -> Prompt:
        """The text of a prompt that waits is another; that of a task's first one is what the task is about."""
        edited = replace(prompt, text=text)
        self._rows.put_prompt(edited)
        first = self.task.sessions[0].session_id
        if prompt.session_id == first and self.prompts(first)[0].prompt_id == prompt.prompt_id:
            self._rows.put_task(replace(self.task, prompt=text))
        self.record(HistoryKind.PROMPT_EDITED, session_id=prompt.session_id, prompt_id=prompt.prompt_id)
        return edited

    def withdraw_prompt(self, prompt: Prompt) -> Prompt:
        """A prompt that waits is not to be handed over."""
        withdrawn = replace(prompt, state=PromptState.WITHDRAWN)
        self._rows.put_prompt(withdrawn)
        if not any(each.state is PromptState.QUEUED for each in self.prompts(prompt.session_id)):
            self.let_go(prompt.session_id)
        self.record(HistoryKind.PROMPT_WITHDRAWN, session_id=prompt.session_id, prompt_id=prompt.prompt_id)
        return withdrawn

    def begin_delivery(self, prompt: Prompt) -> None:
        """The prompt is about to be handed over: from now on the agent may have it, and it stays as it is."""
        self.agents.need(prompt.session_id)
        if prompt.prompt_id not in self.private.delivering:
            self._set_private(replace(self.private, delivering=(*self.private.delivering, prompt.prompt_id)))

    def begin_turn(self, prompt: Prompt) -> None:
        """The agent has the prompt: its turn is in progress."""
        self._rows.put_prompt(replace(prompt, state=PromptState.DELIVERED))
        self._rows.fall_silent()
        self.say(prompt.session_id, prompt.prompt_id, TranscriptKind.PROMPT, prompt.text)
        self.record(HistoryKind.PROMPT_DELIVERED, session_id=prompt.session_id, prompt_id=prompt.prompt_id)
        self._rows.put_session(replace(self.session(prompt.session_id), status=SessionStatus.RUNNING))
        self.agents.begin_turn(prompt.session_id)
        if self.status is not TaskStatus.RUNNING:
            self.become_ready()

    def end_turn(self, prompt: Prompt) -> None:
        """The turn has ended well."""
        self.steers.answer(prompt.session_id)
        self._rows.tell_end()
        self.questions.cancel(prompt.session_id)
        self._rows.put_session(replace(self.session(prompt.session_id), status=SessionStatus.READY, unread=True))
        self.mark_unread(True)
        self.settle()

    def stop_turn(self, session_id: str, *, hold: bool = False) -> bool:
        """A person stopped the turn in progress, or the handing over of its prompt; whether there was one.

        `hold`: what waits is not to be handed over until somebody says more or has it go on.
        """
        session, delivering = self.session(session_id), self.delivering(session_id)
        if session.status is not SessionStatus.RUNNING and delivering is None:
            return False
        error = TaskError(kind=ErrorKind.CANCELLED, message="The turn was stopped.", retryable=False, at=self.now)
        self.record(HistoryKind.SESSION_STOPPED, session_id=session_id)
        self.questions.cancel(session_id)
        self.fail_prompts(session_id, frozenset({PromptState.DELIVERED}), error)
        if delivering is not None:
            self.fail_prompt(delivering, error)
        if hold and any(each.state is PromptState.QUEUED for each in self.prompts(session_id)):
            session = replace(session, held=True)
            self._rows.put_session(session)
        if session.status is SessionStatus.RUNNING:
            self._rows.put_session(replace(session, status=SessionStatus.READY))
            self.settle()
        return True

    def let_go(self, session_id: str) -> bool:
        """What waits in the session is handed over again; whether it was held."""
        session = self.session(session_id)
        if session.held:
            self._rows.put_session(replace(session, held=False))
        return session.held

    def fail_turn(self, prompt: Prompt, error: TaskError) -> None:
        """The turn, or the handing over of its prompt, has failed, and with it a task that was ready."""
        self.fail_prompt(prompt, error)
        self.fail_prompts(prompt.session_id, frozenset({PromptState.DELIVERED}), error)
        self.questions.cancel(prompt.session_id)
        self.fail_session(prompt.session_id, error)
        if self.status in READY:
            self.fail(error)

    def settle(self) -> None:
        """A turn is over: the task is idle, unless another session has one in progress."""
        if self.status is TaskStatus.RUNNING and not running_sessions(self.task):
            self.become_ready()

    def fail_prompts(self, session_id: str, states: frozenset[PromptState], error: TaskError) -> None:
        """The session's prompts in one of these states fail."""
        for prompt in self.prompts(session_id):
            if prompt.state in states:
                self.fail_prompt(prompt, error)

    def fail_prompt(self, prompt: Prompt, error: TaskError) -> None:
        self._rows.put_prompt(replace(prompt, state=PromptState.FAILED, error=error))
        self.record(
            HistoryKind.PROMPT_FAILED, session_id=prompt.session_id, prompt_id=prompt.prompt_id, message=error.message
        )

    # What they have in common

    def _move(self, status: TaskStatus) -> None:
        """The task is in this state from now on; whether it may be, `put_task` checks."""
        if status is not self.status:
            self._rows.put_task(replace(self.task, status=status, status_since=self.now))

    def _set_private(self, private: Private) -> None:
        self._rows.private = private

    def _forget_opening(self, session_id: str) -> None:
        """The next time that the session is opened, attempts are counted anew."""
        if session_id in self.private.openings:
            others = {other: opening for other, opening in self.private.openings.items() if other != session_id}
            self._set_private(replace(self.private, openings=others))
