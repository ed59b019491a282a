"""`completion`: shell completion of commands, options and task ids for bash, zsh and fish."""

import click
from click.shell_completion import get_completion_class

from foundry_tui.cli.output import say, say_json
from foundry_tui.cli.parameters import json_option


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(ctx: click.Context, shell: str, as_json: bool) -> None:
    """Print the completion script of a shell: commands, options, statuses and task ids.

    \b
    Examples:
      foundry completion bash > ~/.local/share/bash-completion/completions/foundry
      foundry completion zsh > ~/.zfunc/_foundry
      foundry completion fish > ~/.config/fish/completions/foundry.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root().command
    # of its class, only bash asks the shell for its version when asked for its source
    script = found(root, {}, "foundry", "_FOUNDRY_COMPLETE").source()
    if as_json:
        say_json({"shell": shell, "script": script})
    else:
        say(script.rstrip("\n"))
