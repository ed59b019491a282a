"""When an action applies, and why it cannot be done now: in words for after “Not now:”. And which tasks it is for."""

from collections.abc import Callable
from pathlib import Path

from foundry_tui.actions.context import TASKS, Context
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.questions import QuestionKind
from foundry_tui.contract.records import SessionStatus, TaskDetail, TaskSummary
from foundry_tui.contract.status import ENDED, PROVISIONING, RELEASING, TaskStatus
from foundry_tui.contract.task_words import needs_person
from foundry_tui.process.editors import why_no_editor
from foundry_tui.view.answers import answer_words
from foundry_tui.view.questions import answers_of

_LEFT = ENDED | RELEASING
LONG_NAME = 24
"""Letters of an answer's name from which it is called by a word, so that the footer has room for all digits."""


def has_failed(task: TaskSummary) -> bool:
    return task.status is TaskStatus.ERROR


def failed_in_turn(task: TaskSummary) -> bool:
    """Whether it stands on a turn that failed, whose prompt can be sent again."""
    in_turn = any(session.status is SessionStatus.ERROR for session in task.sessions)
    return has_failed(task) and task.error is not None and task.error.stage is None and in_turn


def lacks_option(task: TaskSummary) -> bool:
    """Whether its session could not be opened with an option that was asked for."""
    return has_failed(task) and task.error is not None and isinstance(task.error.option, str)


def is_living(task: TaskSummary) -> bool:
    """Whether it can still be archived or killed."""
    return task.status not in ENDED and task.status not in RELEASING


def has_ended(task: TaskSummary) -> bool:
    return task.status in ENDED


def is_any(_: TaskSummary) -> bool:
    return True


def needs_task(context: Context) -> str | None:
    return None if context.task is not None else "there is no task here"


def needs_one_real(context: Context) -> str | None:
    """Why nothing can be asked of the backend about the highlighted task."""
    missing = needs_task(context)
    if missing:
        return missing
    if context.pending:
        return "the backend has not answered for this task yet"
    return "the backend refused this task" if context.refused else None


def needs_real(context: Context) -> str | None:
    """Why nothing can be asked of the backend about the tasks that would be acted on."""
    if context.selecting:
        return None if context.marked else "no task is marked"
    return needs_one_real(context)


def why_no_retry(context: Context) -> str | None:
    if is_refused(context):
        return None
    return _why_none(context, has_failed, "this task has not failed", "only failed tasks can be retried")


def why_not_made_ready(context: Context) -> str | None:
    return _why_none(context, failed_in_turn, "no turn of this task failed", "no turn of a marked task failed")


def may_leave_out(context: Context) -> bool:
    """Whether an option that the agent does not offer is all that keeps these tasks from going on."""
    failed = list(filter(has_failed, context.targets))
    return bool(failed) and all(map(lacks_option, failed))


def why_no_release(context: Context) -> str | None:
    return _why_none(context, is_living, "it has ended already")


def _why_none(
    context: Context, wanted: Callable[[TaskSummary], bool], of_one: str, of_marked: str | None = None
) -> str | None:
    """Why an action has none of the tasks that it is for; `of_marked` is said where some are marked."""
    missing = needs_real(context)
    if missing or any(map(wanted, context.targets)):
        return missing
    return of_marked if context.selecting and of_marked is not None else of_one


def needs_list(context: Context) -> str | None:
    return None if context.shown else "the list is empty"


def needs_waiting(context: Context) -> str | None:
    return None if context.waiting else "no task waits for you"


def needs_another_waiting(context: Context) -> str | None:
    return None if context.waiting else "no other task waits for you"


def why_no_way_back(context: Context) -> str | None:
    if context.screen != TASKS or context.filtered or context.selecting or context.peeking:
        return None
    return "nothing is open over the list"


def is_ended(context: Context) -> bool:
    return bool(context.targets) and all(map(has_ended, context.targets))


def is_refused(context: Context) -> bool:
    return context.refused and not context.selecting


def has_left(context: Context) -> bool:
    """Whether the task is being released, or has ended."""
    return context.task is not None and context.task.status in _LEFT


def why_no_writing(context: Context) -> str | None:
    if context.refused:
        return "the backend refused this task"
    if context.session is None:
        return "there is no session here"
    if has_left(context):
        return "the task has ended"
    return "this session is closed" if context.session.status is SessionStatus.CLOSED else None


def why_no_stop(context: Context) -> str | None:
    if context.session is None or context.session.status is not SessionStatus.RUNNING:
        return "no turn is running in this session"
    return None


def is_held(context: Context) -> bool:
    """Whether a person stopped the turn, so that what waits is not handed over by itself."""
    return context.session is not None and context.session.held and not has_left(context)


def why_no_going_on(context: Context) -> str | None:
    return None if is_held(context) else "nothing is held back in this session"


def can_steer(context: Context) -> bool:
    """Whether what is written can be said into a turn that runs."""
    return why_no_stop(context) is None and not context.changing


def why_no_withdrawal(context: Context) -> str | None:
    return None if context.queued or context.changing else "nothing waits to be delivered"


def why_no_new_session(context: Context) -> str | None:
    return needs_real(context) or ("the task has ended" if has_left(context) else None)


def why_no_options(context: Context) -> str | None:
    return needs_real(context) or why_no_writing(context)


def why_no_closing(context: Context) -> str | None:
    missing = needs_real(context)
    if missing:
        return missing
    if context.session is None:
        return "there is no session here"
    return "this session is closed already" if context.session.status is SessionStatus.CLOSED else None


def why_no_restart(context: Context) -> str | None:
    """Why the task's agent cannot be begun anew."""
    if missing := needs_one_real(context):
        return missing
    if has_left(context):
        return "the task has ended"
    begun = context.task is not None and context.task.status not in PROVISIONING and context.task.stages_done >= 4
    return None if begun else "its agent has not begun yet"


def why_no_other_session(context: Context) -> str | None:
    count = len(context.task.sessions) if context.task is not None else 0
    return None if count > 1 else "there is no other session"


def why_no_path(context: Context) -> str | None:
    task = context.task
    return None if isinstance(task, TaskDetail) and task.sandbox is not None else "it has no sandbox yet"


def why_no_folder(context: Context) -> str | None:
    """Why its sandbox cannot be opened in an editor."""
    task = context.task
    missing = why_no_path(context)
    if missing or not isinstance(task, TaskDetail) or task.sandbox is None:
        return missing
    if not Path(task.sandbox.cwd).is_dir():
        return "the provider demo makes no folder" if task.provider == SIMULATED else "its folder is gone or elsewhere"
    return why_no_editor()


def why_no_answer(place: int) -> Callable[[Context], str | None]:
    """Why the open request cannot be answered with its option of this place, counted from 1."""

    def why(context: Context) -> str | None:
        if context.permission is None:
            asks = context.task is not None and needs_person(context.task)
            return "it is answered in the task itself: open it" if asks else "the agent asks nothing"
        if context.given:
            return "your answer is kept, and given once the backend is back"
        return None if len(answers_of(context.permission)) >= place else "its question has no such answer"

    return why


def option_name(place: int) -> Callable[[Context], str]:
    """What the option of this place, counted from 1, is called: by a word where its name would take all the room."""

    def name(context: Context) -> str:
        if context.permission is None:
            return f"answer {place}"
        options = answers_of(context.permission)
        whole = options[place - 1].name
        return whole if len(whole) < LONG_NAME else answer_words(options, len(options))[place - 1]

    return name


def offers(place: int) -> Callable[[Context], bool]:
    """Whether the open request has an option of this place, counted from 1."""

    def offered(context: Context) -> bool:
        return context.permission is not None and len(answers_of(context.permission)) >= place

    return offered


def is_page(context: Context) -> bool:
    """Whether the open question is a page to be opened."""
    return context.permission is not None and context.permission.kind is QuestionKind.URL


def asks_nothing(context: Context) -> bool:
    """Whether no question is in sight that the keys of half a screen would scroll."""
    return context.permission is None


def may_answer(place: int) -> Callable[[Context], bool]:
    """Whether a digit answers the open request, and picks no block of code."""
    offered = offers(place)
    return lambda context: offered(context) and not context.picking_code


def why_nothing_to_read(context: Context) -> str | None:
    return None if context.reading else "no conversation is in sight"


def why_no_fold(context: Context) -> str | None:
    return why_nothing_to_read(context) or (None if context.foldable else "nothing in sight is folded")


def why_no_match(context: Context) -> str | None:
    return None if context.found else "it was not found"


def why_no_answer_to_copy(context: Context) -> str | None:
    return None if context.answered else "the agent has not said anything yet"


def why_no_code(context: Context) -> str | None:
    return why_nothing_to_read(context) or (None if context.code else "no block of code is in sight")


def why_no_files(context: Context) -> str | None:
    return None if context.files else "no changed file is listed here"
