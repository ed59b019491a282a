"""Commands of a task's conversation: prompt, transcript, stop, queue."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from foundry_tui.cli import problems
from foundry_tui.cli.attachments import attach_option, attached, refuse_images
from foundry_tui.cli.context import Context
from foundry_tui.cli.follow import following
from foundry_tui.cli.follow.answer import Turn, await_answer
from foundry_tui.cli.follow.conversation import follow_conversation, say_item, with_attachments
from foundry_tui.cli.follow.notices import say_notices
from foundry_tui.cli.follow.words import iso_time, standing
from foundry_tui.cli.output import clock_time, is_terminal, paint, say, say_json, say_row, tell
from foundry_tui.cli.parameters import (
    Utf8Text,
    json_option,
    pass_context,
    task_argument,
    through_option,
    timeout_option,
)
from foundry_tui.cli.problems import CommandError
from foundry_tui.cli.prompts import prompt_text
from foundry_tui.cli.questions import record_of
from foundry_tui.client.blocking import segment
from foundry_tui.client.errors import ProblemError
from foundry_tui.contract.attachments import ImageAttachment, NewAttachments
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import Prompt, PromptState, SessionDetail, SessionStatus, TaskDetail
from foundry_tui.contract.requests import CreatePrompt
from foundry_tui.contract.transcript import TranscriptKind

T = TypeVar("T")

session_option = click.option(
    "--session", type=Utf8Text(), metavar="SESSION", help="Which session; the task's first open one if absent."
)


@click.command()
@task_argument
@click.argument("text", type=Utf8Text(), required=False)
@click.option("-F", "--file", metavar="FILE", help="Take the text from a file; - is standard input.")
@session_option
@click.option("--wait", is_flag=True, help="Wait for the answer, and print it.")
@attach_option
@click.option("--steer", is_flag=True, help="Say it into the turn that runs, before all that waits.")
@through_option
@timeout_option
@json_option
@click.pass_context
@pass_context
def prompt(
    context: Context,
    ctx: click.Context,
    task: str,
    text: str | None,
    file: str | None,
    session: str | None,
    wait: bool,
    files: tuple[str, ...],
    steer: bool,
    through: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Say something to a task's agent. It is kept at once, and delivered when the agent is ready for it.

    Prints the prompt's id; with --wait what the agent said last in answer to it, in --json the prompt with `answer`,
    and on standard error what is to be known of the turn, such as that it ended as something was denied. It is exit 4
    when the turn or the task fails, 5 when --timeout is over, 7 when only a person can go on.

    \b
    Examples:
      foundry prompt 0193a2b4 "now add a test"
      git log -1 | foundry prompt fix/login-redirect -F -
      foundry prompt 0193a2b4 "which files did you change?" --wait --timeout 10m
      foundry prompt 0193a2b4 "why is the header cut?" --attach screenshot.png
      foundry prompt 0193a2b4 "stop that: only the tests" --steer
    """
    said = prompt_text(ctx, text, file)
    detail = context.task(task)
    session_id = named_session(detail, session, task) if session else open_session(detail, task)
    attachments = _attachments(context, files, detail, session_id, task)
    body = CreatePrompt(prompt_id=uuid7(), text=said, steer=steer, attachments=attachments)
    kept = on_session(context, task, session_id, "POST", "/prompts", Prompt, body)
    if not wait:
        if as_json:
            say_json(kept)
        else:
            say(kept.prompt_id)
        return
    turn = await_answer(context.client, detail.task_id, kept, timeout=timeout, through_questions=through)
    _say_turn(turn, detail.task_id, as_json=as_json)
    ctx.exit(turn.code)


def _attachments(
    context: Context, files: tuple[str, ...], task: TaskDetail, session_id: str, given: str
) -> NewAttachments:
    """The files as the session's agent gets them; raises `CommandError` for what it does not take."""
    if not files:
        return ()
    from foundry_tui.process.attached_files import Place

    attachments = attached(files, Place(Path(task.sandbox.cwd)) if task.sandbox is not None else None)
    if any(isinstance(each, ImageAttachment) for each in attachments):
        refuse_images(attachments, on_session(context, given, session_id, "GET", "", SessionDetail))
    return attachments


def _say_turn(turn: Turn, task_id: str, *, as_json: bool) -> None:
    if as_json:
        question = record_of(turn.task) if turn.code == problems.ASKS and turn.task is not None else None
        asked = {} if question is None else {"question": question}
        say_json({**msgspec.to_builtins(turn.prompt), "answer": turn.answer, **asked})
    elif turn.answer is not None:
        say(harmless(turn.answer, lines=True) if is_terminal() else turn.answer)
    say_notices(turn.notices)
    error = turn.prompt.error
    if turn.code == problems.TIMED_OUT:
        tell("foundry: it was not answered in time; the task goes on")
        tell(f"  see what comes: foundry transcript {task_id} -f")
    elif turn.prompt.state is PromptState.WITHDRAWN:
        tell("foundry: it was not answered: it was taken back before it was delivered")
    elif turn.code != problems.DONE and error is not None:
        tell(f"foundry: it was not answered: {harmless(error.message)}")
        if turn.code == problems.TASK_ERROR:
            tell(f"  send it again: foundry retry {task_id} --resend")
    elif turn.code != problems.DONE:
        following.explain(turn.code, turn.task, task_id, None)


def open_session(task: TaskDetail, given: str) -> str:
    """The first session that takes prompts; raises `CommandError` when there is none."""
    for session in task.sessions:
        if session.status is not SessionStatus.CLOSED:
            return session.session_id
    raise CommandError(
        f"the task {given} has no open session (it is {standing(task.status)})", hint=f"see: foundry show {given}"
    )


def named_session(task: TaskDetail, given: str, given_task: str) -> str:
    """The task's session whose id begins so; raises `CommandError` for none and for several."""
    found = _id_beginning((each.session_id for each in task.sessions), given, "sessions")
    if found is None:
        raise CommandError(f"the task {given_task} has no session {given!r}", hint=f"see: foundry show {given_task}")
    return found


def _id_beginning(ids: Iterable[str], given: str, what: str) -> str | None:
    """The id that is given whole or by its beginning, None for none; raises `CommandError` (usage) for several."""
    known = list(ids)
    found = [given] if given in known else [id_ for id_ in known if given and id_.startswith(given)]
    if len(found) > 1:
        raise CommandError(f"{given!r} means several {what}", hint="give more of the id", exit_code=problems.USAGE)
    return found[0] if found else None


def on_session(
    context: Context,
    given: str,
    session_id: str,
    method: str,
    path: str,
    type_: type[T],
    body: object = None,
) -> T:
    """A call on a session of the task `given`; raises `CommandError` where the backend knows no such session."""
    try:
        return context.client.call(method, f"/v1/sessions/{segment(session_id)}{path}", type_, body=body)
    except ProblemError as error:
        if error.problem.status == 404:
            raise CommandError(f"no session {session_id!r}", hint=f"see: foundry show {given}") from None
        raise


@click.command()
@task_argument
@click.option("--last", is_flag=True, help="Only what the agent said last, plain.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is said from now on, until the session is closed.")
@session_option
@json_option
@pass_context
def transcript(context: Context, task: str, last: bool, follow: bool, session: str | None, as_json: bool) -> None:
    """Show what was said and done in a task's session, oldest first.

    In a pipe one item a line, tab-separated: index, time, kind, text, and of a prompt whose turn failed or was stopped
    that. --json is the session whole; with -f one item a line, with --last the one item. With -f each item comes once
    it is complete; a tool call behind which others come already stands there as it is then, and again at its end. That
    a turn fails meanwhile is said on standard error.

    \b
    Examples:
      foundry transcript 0193a2b4
      foundry transcript 0193a2b4 --last > answer.md
      foundry transcript 0193a2b4 -f --json | jq -r 'select(.kind == "message") | .body'
    """
    if last and follow:
        raise click.UsageError("--last and --follow exclude each other")
    detail = context.task(task)
    session_id = named_session(detail, session, task) if session else session_to_read(detail, task)
    if follow:
        follow_conversation(context.client, session_id, task_id=detail.task_id, given=task, as_json=as_json)
        return
    found = on_session(context, task, session_id, "GET", "", SessionDetail)
    if last:
        said = [item for item in found.transcript if item.kind is TranscriptKind.MESSAGE]
        if not said:
            raise CommandError(
                "the agent has not said anything yet", hint=f"see what comes: foundry transcript {task} -f"
            )
        text = str(said[-1].body)
        if as_json:
            say_json(said[-1])
        else:
            say(harmless(text, lines=True) if is_terminal() else text)
    elif as_json:
        say_json(found)
    else:
        prompts = {each.prompt_id: each for each in found.prompts}
        asked = {each.permission_id: each for each in detail.permissions}
        for item in found.transcript:
            stands_for = item.body.get("permission_id", "") if isinstance(item.body, dict) else ""
            say_item(item, prompts.get(item.item_id), asked.get(stands_for))


def session_to_read(task: TaskDetail, given: str) -> str:
    """The first open session, or the first of all."""
    if not task.sessions:
        raise CommandError(f"the task {given} has no session yet", hint=f"see: foundry show {given}")
    opened = [session for session in task.sessions if session.status is not SessionStatus.CLOSED]
    return (opened or task.sessions)[0].session_id


@click.command()
@task_argument
@click.option(
    "--session", type=Utf8Text(), metavar="SESSION", help="Only the turn of this session; all that run if absent."
)
@json_option
@pass_context
def stop(context: Context, task: str, session: str | None, as_json: bool) -> None:
    """Stop what a task's agent is doing. The task stays, and takes the next prompt.

    Prompts that wait are held back: they go on after the next prompt, or by: foundry queue ID --go-on.
    In a pipe one session that was stopped a line: its id. Nothing running is success.

    \b
    Examples:
      foundry stop 0193a2b4
    """
    detail = context.task(task)
    running = [each.session_id for each in detail.sessions if each.status is SessionStatus.RUNNING]
    which = running if session is None else [named_session(detail, session, task)]
    for session_id in which:
        on_session(context, task, session_id, "POST", "/stop", msgspec.Raw, {"hold": True})
    if as_json:
        say_json({"task_id": detail.task_id, "stopped": which})
    elif not which:
        tell(f"nothing runs in the task {task} (it is {standing(detail.status)})")
    else:
        for session_id in which:
            say(f"stopped  {session_id}" if is_terminal() else session_id)


@click.command()
@task_argument
@click.option(
    "--edit", type=(Utf8Text(), Utf8Text()), metavar="PROMPT_ID TEXT", help="Give a prompt that waits another text."
)
@click.option("--withdraw", type=Utf8Text(), metavar="PROMPT_ID", help="Take a prompt that waits back.")
@click.option("--go-on", "go_on", is_flag=True, help="Send what waits and was held back by a stop.")
@json_option
@pass_context
def queue(
    context: Context,
    task: str,
    edit: tuple[str, str] | None,
    withdraw: str | None,
    go_on: bool,
    as_json: bool,
) -> None:
    """Show the prompts that wait to be delivered, oldest first, or change one of them.

    In a pipe one a line, tab-separated: prompt_id, session_id, time, text. A prompt_id may be cut to a unique
    beginning. One that was delivered meanwhile is refused (exit 1).

    \b
    Examples:
      foundry queue 0193a2b4
      foundry queue 0193a2b4 --edit 0193b7 "only in the tests"
      foundry queue 0193a2b4 --withdraw 0193b7
      foundry queue 0193a2b4 --go-on
    """
    if (edit is not None) + (withdraw is not None) + go_on > 1:
        raise click.UsageError("--edit, --withdraw and --go-on exclude each other")
    detail = context.task(task)
    held = {each.session_id for each in detail.sessions if each.held}
    for session_id in held if go_on else ():
        on_session(context, task, session_id, "POST", "/go-on", msgspec.Raw)
    held -= held if go_on else set()
    waiting = [
        each
        for session in detail.sessions
        if session.status is not SessionStatus.CLOSED
        for each in on_session(context, task, session.session_id, "GET", "", SessionDetail).prompts
        if each.state is PromptState.QUEUED
    ]
    if edit is not None:
        if not edit[1].strip():
            raise click.UsageError("the text is empty; take the prompt back with --withdraw")
        meant = _meant(waiting, edit[0], task)
        waiting = [on_session(context, task, meant.session_id, "PATCH", _path(meant), Prompt, {"text": edit[1]})]
    elif withdraw is not None:
        meant = _meant(waiting, withdraw, task)
        waiting = [on_session(context, task, meant.session_id, "DELETE", _path(meant), Prompt)]
    if as_json:
        say_json(waiting[0] if edit is not None or withdraw is not None else {"prompts": waiting})
        return
    for each in waiting:
        if is_terminal():
            standing_now = "held back" if each.session_id in held else ""
            said = standing_now if each.state is PromptState.QUEUED else each.state
            note = paint(f"  {said}", "yellow") if said else ""
            say(f"{paint(f'{each.prompt_id}  {clock_time(each.at)}', 'dim')}{note}")
            say(harmless(with_attachments(each.text, each).expandtabs(4), lines=True))
        else:
            say_row((each.prompt_id, each.session_id, iso_time(each.at), with_attachments(each.text, each)))
    if not waiting and is_terminal():
        say("Nothing waits to be delivered.")


def _meant(waiting: list[Prompt], given: str, task: str) -> Prompt:
    """The waiting prompt whose id begins so; raises `CommandError` for none and for several."""
    prompts = {each.prompt_id: each for each in waiting}
    found = _id_beginning(prompts, given, "prompts")
    if found is None:
        raise CommandError(f"no prompt {given!r} waits in the task {task}", hint=f"see: foundry queue {task}")
    return prompts[found]


def _path(prompt: Prompt) -> str:
    return f"/prompts/{segment(prompt.prompt_id)}"
