"""The table of commands, each imported when it is called, and the options that stand before them."""

from importlib import import_module
from typing import NamedTuple

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.problems import EXIT_CODES


class _Row(NamedTuple):
    module: str
    attribute: str
    help: str


COMMANDS: dict[str, _Row] = {
    "demo": _Row("demo", "demo", "Open the app on a scripted world; nothing is touched or left behind."),
    "create": _Row("create", "create", "Create a task."),
    "list": _Row("tasks", "list_tasks", "List tasks: all, or those of a status, repository or filter."),
    "show": _Row("tasks", "show", "Show one task whole."),
    "watch": _Row("watch", "watch", "Follow a task until it is ready, or reaches a status or stage."),
    "history": _Row("history", "history", "Show what happened to a task, or to all."),
    "logs": _Row("history", "logs", "Show what the provider printed while preparing a task."),
    "transcript": _Row("conversation", "transcript", "Show what was said and done in a task's session."),
    "prompt": _Row("conversation", "prompt", "Say something to a task's agent."),
    "queue": _Row("conversation", "queue", "Show the prompts that wait to be delivered, or change one."),
    "options": _Row("options", "options", "Show what a task's agent lets one choose (model, mode, …), or set it."),
    "stop": _Row("conversation", "stop", "Stop what a task's agent is doing."),
    "answer": _Row("change", "answer", "Answer what a task's agent asks: a permission, a form, a page."),
    "retry": _Row("change", "retry", "Go on from the stage that failed, or send a failed prompt again."),
    "restart-agent": _Row("change", "restart_agent", "End a task's agent and begin it anew."),
    "archive": _Row("change", "archive", "Release a task's sandbox and keep the task for reading."),
    "kill": _Row("change", "kill", "Stop a task and destroy its sandbox."),
    "rename": _Row("change", "rename", "Give a task another title."),
    "prune": _Row("change", "prune", "Forget an archived or killed task."),
    "attach": _Row("sandbox", "attach", "Open a shell in a task's sandbox."),
    "path": _Row("sandbox", "path", "Print the folder of a task's sandbox."),
    "diff": _Row("sandbox", "diff", "Show what a task changed."),
    "comment": _Row("comments", "comment", "Keep a comment on lines that a task changed."),
    "comments": _Row("comments", "comments", "Show a task's comments, or send them to its agent."),
    "commit": _Row("way_home", "commit", "Commit what a task changed."),
    "update": _Row("way_home", "update", "Bring the base into a task's branch."),
    "push": _Row("way_home", "push", "Push a task's branch."),
    "pr": _Row("way_home", "pull_request", "Commit, push, and open or refresh a task's pull request."),
    "hand-over": _Row("way_home", "hand_over", "Give the agent failed checks' logs, or reviewers' comments."),
    "land": _Row("way_home", "land", "Bring a task's commits into the local base branch."),
    "apply": _Row("way_home", "apply", "Make a task's changes in your own checkout, uncommitted."),
    "checkpoints": _Row("checkpoints", "checkpoints", "List the states of a task's files that can be gone back to."),
    "undo": _Row("checkpoints", "undo", "Make a task's files what they were before a prompt, or at a checkpoint."),
    "trust": _Row("trust", "trust", "Let a repository's own set-up run in its tasks' sandboxes."),
    "status": _Row("status", "status", "Say how the backend and the tasks are doing."),
    "statusline": _Row("statusline", "statusline", "Print one short line for tmux or a shell prompt."),
    "agent": _Row("agent", "agent", "List, install and log in to the coding agents that tasks can use."),
    "hosts": _Row("hosts", "hosts", "List the machines that have a backend."),
    "backend": _Row("backend", "backend", "Run, start, stop and explain the backend process."),
    "doctor": _Row("doctor", "doctor", "Check everything that Foundry needs."),
    "config": _Row("config", "config_group", "Show, locate and begin the config file."),
    "help": _Row("help", "help_command", "Explain the config file, the demo's script, the exit codes, or a command."),
    "completion": _Row("completion", "completion", "Print the completion script of a shell."),
}


class _Commands(click.Group):
    """The commands of the table, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command = getattr(import_module(f"foundry_tui.cli.commands.{row.module}"), row.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand:
            # Click would suggest from the commands that it holds, which are none.
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from foundry_tui.contract.versions import VERSION

        click.echo(f"foundry {VERSION}")
        ctx.exit()


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.",
)
@click.option("--backend", metavar="ADDRESS", help="Another backend: unix:PATH, HOST:PORT or URL (FOUNDRY_BACKEND).")
@click.option("--token-file", metavar="FILE", help="File with the token of a backend on TCP (FOUNDRY_TOKEN_FILE).")
@click.option("--token-keyring", metavar="ENTRY", help="Entry of the keyring with that token (FOUNDRY_TOKEN_KEYRING).")
@click.option("--ca-file", metavar="FILE", help="Certificates to trust at an https:// address (FOUNDRY_CA_FILE).")
@click.option("--theme", metavar="NAME", help="Colour theme of the app (FOUNDRY_THEME).")
@click.option(
    "--ascii", "ascii_only", is_flag=True, default=None, help="Draw the app with plain ASCII (FOUNDRY_ASCII)."
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def foundry(
    ctx: click.Context,
    backend: str | None,
    token_file: str | None,
    token_keyring: str | None,
    ca_file: str | None,
    theme: str | None,
    ascii_only: bool | None,
) -> None:
    """Create coding-agent tasks, and watch them come to life.

    Without a command it opens the app, starting the backend in the background if none runs.

    \b
    Examples:
      foundry                                          open the app
      foundry demo                                     look around without touching anything
      foundry create "fix the login redirect" --follow
      foundry create -F prompt.md --wait running --json
      foundry list
    """
    flags = {
        "backend.address": backend,
        "backend.token_file": token_file,
        "backend.token_keyring": token_keyring,
        "backend.ca_file": ca_file,
        "app.theme": theme,
        "app.ascii": ascii_only,
    }
    ctx.obj = Context(flags)
    if ctx.invoked_subcommand is None:
        from foundry_tui.cli.startup.launch import launch

        ctx.exit(launch(flags))
