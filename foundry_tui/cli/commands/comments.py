"""`comment` and `comments`: what is to be said about a task's changes, kept until it is sent together."""

import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from foundry_tui.cli.commands.conversation import named_session, on_session, open_session, session_option
from foundry_tui.cli.context import Context
from foundry_tui.cli.diffs import changes_since
from foundry_tui.cli.kept_file import kept_for
from foundry_tui.cli.output import is_terminal, say, say_json, say_row
from foundry_tui.cli.parameters import Utf8Text, json_option, pass_context, task_argument
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.comments import Comment, KeptComments
from foundry_tui.contract.checkpoints import BASE
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import Prompt, TaskDetail
from foundry_tui.contract.requests import CreatePrompt
from foundry_tui.view.comments import PlacedComment, comment_on, comments_prompt, placed_all, prompt_id_of, span, where
from foundry_tui.view.patches import PatchLine, parse_patch

_PLACE = re.compile(r"(.+):(\d{1,9})(?:-(\d{1,9}))?")
MOST_BYTES = 4_000_000
"""The largest file of a sandbox that is read for the lines of a comment."""


@click.command()
@task_argument
@click.argument("place", type=Utf8Text(), metavar="PATH[:LINE[-LINE]]")
@click.argument("text", type=Utf8Text())
@json_option
@click.pass_context
@pass_context
def comment(context: Context, ctx: click.Context, task: str, place: str, text: str, as_json: bool) -> None:
    """Keep a comment on lines of a file as the task has it now, or on the whole file. The app shows it in the changes.

    Nothing is sent: `foundry comments ID --send`, or a key in the app's changes, sends all of them as one prompt.

    \b
    Examples:
      foundry comment fix/login-redirect shop/auth.py:12 "why is it unquoted twice?"
      foundry comment 0193a2b4 shop/auth.py:20-27 "one line says the same"
      foundry comment 0193a2b4 shop/logo.png "the old one was sharper"
    """
    no_place = click.UsageError(f"{place!r} is no PATH:LINE or PATH:LINE-LINE, and no file of the task.", ctx)
    found = _PLACE.fullmatch(place)
    first, last = (int(found[2]), int(found[3] or found[2])) if found is not None else (0, 0)
    if found is not None and not 0 < first <= last:
        raise no_place
    if not text.strip():
        raise click.UsageError("the comment is empty.", ctx)
    detail = context.task(task)
    path = _in_sandbox(detail, found[1] if found is not None else place)
    if found is not None:
        made = _on_lines(context, detail, task, path, (first, last), text.strip())
    elif _has_file(context, detail, task, path):
        made = comment_on(uuid7(), path, (), text.strip())
    else:
        raise no_place
    with _told_apart():
        kept_comments(context).put(detail.task_id, made)
    if as_json:
        say_json(made)
    else:
        say(where(made))


@click.command()
@task_argument
@click.option("--send", is_flag=True, help="Send them to the agent as one prompt, and forget them.")
@session_option
@json_option
@pass_context
def comments(context: Context, task: str, send: bool, session: str | None, as_json: bool) -> None:
    """Show the comments on a task's changes that were not sent yet, or send them together.

    In a pipe one a line, tab-separated: PATH[:LINE[-LINE]], current, outside (of what changed) or outdated (the lines
    were changed since), text. --json is {comments}. With --send it prints the prompt's id, in --json the prompt.

    \b
    Examples:
      foundry comments fix/login-redirect
      foundry comments fix/login-redirect --send
    """
    detail = context.task(task)
    kept = kept_comments(context)
    with _told_apart():
        known = kept.of(detail.task_id)
    where_now = _placed(context, detail, task, known)
    if send:
        if not known:
            raise CommandError("there is no comment to send", hint=f"foundry comment {task} PATH:LINE TEXT")
        session_id = named_session(detail, session, task) if session else open_session(detail, task)
        # The same comments are the same prompt, so that they are not said twice when this was killed in between.
        body = CreatePrompt(prompt_id=prompt_id_of(known), text=comments_prompt(where_now))
        prompt = on_session(context, task, session_id, "POST", "/prompts", Prompt, body)
        with _told_apart():
            kept.remove(detail.task_id, known)
        if as_json:
            say_json(prompt)
        else:
            say(prompt.prompt_id)
    elif as_json:
        say_json({"comments": [_told(each) for each in where_now]})
    else:
        for each in where_now:
            if is_terminal():
                state = "" if each.state == "current" else f"  ({each.state})"
                say(f"{harmless(where(each.comment))}{state}")
                say("".join(f"    {harmless(line)}\n" for line in each.comment.text.split("\n")).rstrip("\n"))
            else:
                say_row((where(each.comment), str(each.state), each.comment.text))
        if not where_now and is_terminal():
            say("There are no comments.")


def _in_sandbox(detail: TaskDetail, path: str) -> str:
    """The path as the diff has it: an editor knows a file by its whole one."""
    if detail.sandbox is not None and Path(path).is_relative_to(detail.sandbox.cwd):
        return str(Path(path).relative_to(detail.sandbox.cwd))
    return path.removeprefix("./")


def _told(each: PlacedComment) -> dict[str, object]:
    comment = each.comment
    return {
        "comment_id": comment.comment_id,
        "path": comment.path,
        "lines": span(comment),
        "old": comment.old,
        "state": str(each.state),
        "code": comment.code,
        "text": comment.text,
    }


@contextmanager
def _told_apart() -> Iterator[None]:
    """A file of comments that cannot be read or written is said to be that."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"comments cannot be kept: {error.strerror or error}") from None


def kept_comments(context: Context) -> KeptComments:
    """What was not sent yet to the backend that is spoken to."""
    target, own = context.target
    return KeptComments.beside(kept_for(target, own))


def _lines_of(context: Context, detail: TaskDetail, task: str, path: str) -> Sequence[PatchLine]:
    """The lines of a file's patch as the sandbox is now; none where it was not changed."""
    diff = changes_since(context, detail.task_id, task, BASE)[1]
    return next((parse_patch(file.patch).lines for file in diff.files if file.path == path), ())


def _has_file(context: Context, detail: TaskDetail, task: str, path: str) -> bool:
    """Whether a file of this path is in the sandbox, or was changed by the task, if only away."""
    if detail.sandbox is not None and _lies_in(Path(detail.sandbox.cwd), path):
        return True
    return any(file.path == path for file in changes_since(context, detail.task_id, task, BASE)[1].files)


def _lies_in(sandbox: Path, path: str) -> bool:
    try:
        # What a link leads to is not asked for: nothing of it is quoted.
        held = sandbox / path
        return held.parent.resolve(strict=True).is_relative_to(sandbox.resolve()) and not stat.S_ISDIR(
            held.lstat().st_mode
        )
    except (OSError, RuntimeError, ValueError):
        return False


def _placed(context: Context, detail: TaskDetail, task: str, known: Sequence[Comment]) -> Sequence[PlacedComment]:
    if not known:
        return ()
    return placed_all(known, changes_since(context, detail.task_id, task, BASE)[1].files)


def _on_lines(context: Context, detail: TaskDetail, task: str, path: str, lines: tuple[int, int], text: str) -> Comment:
    """The comment with the lines that it is on: as the diff has them, else as the file in the sandbox does."""
    first, last = lines
    meant = [line for line in _lines_of(context, detail, task, path) if first <= line.new <= last]
    if len(meant) == last - first + 1:
        return comment_on(uuid7(), path, meant, text)
    code = "" if detail.sandbox is None else _code_of(Path(detail.sandbox.cwd), path, first, last)
    return Comment(comment_id=uuid7(), path=path, first=first, last=last, code=code, text=text)


def _code_of(sandbox: Path, path: str, first: int, last: int) -> str:
    """These lines of a file; empty where there is none. A line too far is an error, as is what leads elsewhere: the
    agent is to be quoted nothing that is not in its sandbox, and a link that it made can lead anywhere."""
    try:
        # Links are followed to find out where they lead, and no further.
        file = (sandbox / path).resolve(strict=True)
        if not file.is_relative_to(sandbox.resolve()):
            raise CommandError(f"{harmless(path)} leads out of the sandbox", hint=f"comment on a file in {sandbox}")
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            return ""
        found = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except (OSError, RuntimeError, ValueError):
        # Until Python 3.12 a link that leads to itself is a RuntimeError.
        return ""
    if found and not found[-1]:
        found.pop()
    if last > len(found):
        raise CommandError(f"{harmless(file.name)} has {len(found):,} lines: there is no line {last:,}")
    return "\n".join(line.removesuffix("\r") for line in found[first - 1 : last])
