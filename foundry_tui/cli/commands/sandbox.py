"""`attach`, `path` and `diff`: where the agent works and what it changed."""

import os
import sys
from pathlib import Path

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.diffs import changes_since
from foundry_tui.cli.follow.words import standing
from foundry_tui.cli.output import is_terminal, paint, say, say_json, say_row, write
from foundry_tui.cli.parameters import Utf8Text, json_option, pass_context, task_argument
from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.checkpoints import BASE
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import FileDiff, TaskDetail
from foundry_tui.contract.status import PROVISIONING, TaskStatus
from foundry_tui.process.editors import editor_command, is_windowed


def _folder(task: TaskDetail, given: str) -> Path:
    """The folder of the task's sandbox; raises `CommandError` when there is none on this machine."""
    if task.sandbox is None:
        if task.status in PROVISIONING:
            raise CommandError(
                f"the task {given} has no sandbox yet (it is {standing(task.status)})",
                hint=f"wait for it: foundry watch {given} --for ensure_agent",
            )
        raise CommandError(
            f"the task {given} has no sandbox (it is {standing(task.status)})", hint=f"see: foundry show {given}"
        )
    folder = Path(task.sandbox.cwd)
    if not folder.is_dir():
        raise CommandError(f"the sandbox {folder} is no folder on this machine: it is gone, or on another one")
    return folder


@click.command()
@task_argument
@json_option
@pass_context
def path(context: Context, task: str, as_json: bool) -> None:
    """Print the folder of a task's sandbox.

    \b
    Examples:
      cd "$(foundry path 0193a2b4)"
    """
    detail = context.task(task)
    folder = _folder(detail, task)
    if as_json:
        say_json({"task_id": detail.task_id, "path": str(folder)})
    else:
        say(str(folder))


@click.command()
@task_argument
@click.option("--editor", is_flag=True, help="Open the folder in $VISUAL or $EDITOR instead of a shell.")
@click.option("--json", "as_json", is_flag=True, help="Print what would be run, as JSON, and run nothing.")
@pass_context
def attach(context: Context, task: str, editor: bool, as_json: bool) -> None:
    """Open a shell ($SHELL) in a task's sandbox, or an editor; inside tmux, in a new window.

    \b
    Examples:
      foundry attach 0193a2b4
      foundry attach 0193a2b4 --editor
    """
    detail = context.task(task)
    folder = _folder(detail, task)
    words = [*editor_command(), str(folder)] if editor else [os.environ.get("SHELL") or "/bin/sh"]
    windowed = editor and is_windowed(words)
    if os.environ.get("TMUX") and not windowed:
        # tmux would expand `#(…)` by running it, in the name as in a folder behind -c: it takes the one that we are in.
        name = harmless(detail.branch or detail.task_id[:8]).replace("#", "##")
        words = ["tmux", "new-window", "-n", name, "--", *words]
    if as_json:
        say_json({"task_id": detail.task_id, "path": str(folder), "command": words})
        return
    if not sys.stdin.isatty() and "TMUX" not in os.environ and not windowed:
        raise CommandError(
            f"there is no terminal to open {'an editor' if editor else 'a shell'} on",
            hint=f'go there with: cd "$(foundry path {task})"',
        )
    os.chdir(folder)
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise CommandError(
            f"{words[0]} cannot be run: {error.strerror}",
            hint=f"set {'EDITOR to your editor' if editor else 'SHELL to your shell'}",
        ) from None


@click.command()
@task_argument
@click.option("--stat", is_flag=True, help="Only the files, with the lines added and removed.")
@click.option(
    "--since",
    metavar="base|last|CHECKPOINT",
    type=Utf8Text(),
    default=BASE,
    help="Against its base (as without this), before the last prompt, or a checkpoint (foundry checkpoints).",
)
@json_option
@pass_context
def diff(context: Context, task: str, stat: bool, since: str, as_json: bool) -> None:
    """Show what a task changed against its base: patches, or with --stat one file a line.

    In a pipe it is the patch that git itself makes, never cut.

    \b
    Examples:
      foundry diff 0193a2b4 | git apply
      foundry diff 0193a2b4 --since last --stat
    """
    detail = context.task(task)
    if not (stat or as_json or is_terminal()):
        # To be applied: what git itself makes of the sandbox as it is now, byte for byte.
        write(context.patch(detail.task_id, task, since))
        return
    document, found = changes_since(context, detail.task_id, task, since)
    if found.computed_at is None and not as_json:
        if detail.sandbox is None:
            raise CommandError(f"the task {task} has no sandbox, so there is no diff (it is {standing(detail.status)})")
        if detail.status is TaskStatus.KILLED:
            raise CommandError(f"the sandbox of the task {task} was destroyed, and its diff with it")
        raise CommandError("the diff is not computed yet", hint=f"ask again in a moment: foundry diff {task}")
    if as_json:
        say_json(document)
    elif stat:
        for file in found.files:
            _stat(file)
    else:
        for file in found.files:
            _patch(file)


def _stat(file: FileDiff) -> None:
    counted = file.added is not None and file.removed is not None
    if not is_terminal():
        # A dash for what is not counted, as git's own --numstat has it.
        say_row((file.status, file.path, *((file.added, file.removed) if counted else ("-", "-"))))
        return
    counts = f"{paint(f'+{file.added}', 'green')} {paint(f'-{file.removed}', 'red')}" if counted else "not counted"
    say(f"{file.status}  {harmless(file.path)}  {counts}")


def _patch(file: FileDiff) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in file.patch.removesuffix("\n").split("\n"):
        colour = colours.get(line[:1])
        shown = harmless(line.removesuffix("\r").replace("\t", "    "))
        say(paint(shown, colour) if colour else shown)
    if file.cut:
        say(f"({harmless(file.path)} is cut here; in a pipe it is whole)")
