"""`checkpoints` and `undo`: the states of a task's files that were kept, and the way back to one."""

from collections.abc import Iterator

import click

from foundry_tui.cli.commands.way_home import operate
from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.diffs import changes_since
from foundry_tui.cli.follow.words import iso_time
from foundry_tui.cli.output import clock_time, is_terminal, may_ask, say_json, say_row, table, tell
from foundry_tui.cli.parameters import Utf8Text, json_option, pass_context, task_argument, timeout_option
from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.checkpoints import LAST, Checkpoint, CheckpointList
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.operations import Undo
from foundry_tui.view.checkpoints import occasion_of, set_back, size_of

FILES_NAMED = 10
"""Files that the question before an undo names."""


@click.command()
@task_argument
@json_option
@pass_context
def checkpoints(context: Context, task: str, as_json: bool) -> None:
    """List the states of a task's files that were kept, before and after each turn that changed something.

    In a pipe: checkpoint_id, when, at, files, added, removed and prompt_id, tab-separated; the numbers count what
    differs from the checkpoint before. They are commits under refs/foundry/ of the repository until the task is pruned.

    \b
    Examples:
      foundry checkpoints 0193a2b4
      foundry diff 0193a2b4 --since "$(foundry checkpoints 0193a2b4 | head -1 | cut -f1)"
    """
    task_id = context.task_id(task)
    document, found = context.read(task_path(task_id, "/checkpoints"), CheckpointList, task)
    if as_json:
        say_json(document)
    elif not is_terminal():
        for each in found.checkpoints:
            counts = (each.files, each.added, each.removed)
            say_row((each.checkpoint_id, each.when, iso_time(each.at), *counts, each.prompt_id))
    elif found.checkpoints:
        table(("CHECKPOINT", "AT", "WHEN", "CHANGED"), list(map(_row, found.checkpoints)), stretch=(2,))
    else:
        tell("No turn has changed anything yet.")


def _row(each: Checkpoint) -> tuple[str, str, str, str]:
    return harmless(each.checkpoint_id), clock_time(each.at), occasion_of(each), size_of(each)


@click.command()
@task_argument
@click.option("--to", type=Utf8Text(), metavar="CHECKPOINT", help="A checkpoint; before the last prompt if absent.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, on a terminal.")
@click.option("--wait", is_flag=True, help="While a turn runs: do it after that, instead of refusing.")
@timeout_option
@json_option
@pass_context
def undo(
    context: Context, task: str, to: str | None, yes: bool, wait: bool, timeout: float | None, as_json: bool
) -> None:
    """Make a task's files those of a checkpoint again; by default what they were before the last prompt.

    What they are now is kept as a checkpoint first, whose id is printed: undo goes back to it the same way. Ignored
    files, commits, the index and the branch stay as they are. On a terminal it asks first and names what would change.

    \b
    Examples:
      foundry undo 0193a2b4
      foundry undo 0193a2b4 --to "$(foundry undo 0193a2b4)"   # and back again
    """
    task_id = context.task_id(task)
    if not yes and may_ask():
        for line in _changes(context, task_id, task, to or LAST):
            tell(line)
        if not click.confirm("Make the files what they were then?", err=True):
            raise CommandError("nothing was done")
    operate(context, task, Undo(checkpoint_id=to, wait=wait), timeout, as_json=as_json)


def _changes(context: Context, task_id: str, given: str, since: str) -> Iterator[str]:
    """What would become of the files, a line for each of some."""
    found = changes_since(context, task_id, given, since)[1].files
    changes = "file changes" if len(found) == 1 else "files change"
    yield f"{len(found)} {changes}:" if found else "No file differs from then."
    for file in found[:FILES_NAMED]:
        yield f"  {harmless(set_back(file))}"
    if len(found) > FILES_NAMED:
        yield f"  and {len(found) - FILES_NAMED} more: foundry diff {given} --stat --since {since}"
