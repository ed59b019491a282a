"""`options`: what the agent of a task's session lets one choose, listed and set."""

import click

from foundry_tui.cli.commands.conversation import named_session, on_session, session_option, session_to_read
from foundry_tui.cli.context import Context
from foundry_tui.cli.output import is_terminal, say, say_json, say_row, table, tell
from foundry_tui.cli.parameters import Setting, json_option, pass_context, task_argument
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.blocking import segment
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.options import SWITCH, OptionValue, find_option, value_of, value_word
from foundry_tui.contract.records import (
    OptionChoice,
    OptionType,
    SessionCommand,
    SessionDetail,
    SessionOption,
    SessionSummary,
)
from foundry_tui.contract.requests import SetOption


@click.command()
@task_argument
@click.argument("settings", metavar="[OPTION=VALUE]…", type=Setting(), nargs=-1)
@click.option("--commands", is_flag=True, help="List the agent's commands instead, which prompts can begin with.")
@session_option
@json_option
@pass_context
def options(
    context: Context,
    task: str,
    settings: tuple[tuple[str, str], ...],
    commands: bool,
    session: str | None,
    as_json: bool,
) -> None:
    """Show what a task's agent lets one choose (model, mode, …), or set it, also while the agent works.

    OPTION is an option_id or a category such as model or mode, VALUE a choice by its value or its name. A value that is
    no choice is refused, and the choices are named (exit 1); nothing is set then. In a pipe one option a line,
    tab-separated: option_id, value, choices with commas between. --json is {session_id, options}.

    With --commands it lists what a prompt can begin with, in a pipe one a line: /NAME, what may follow, description;
    --json is then {session_id, commands}.

    \b
    Examples:
      foundry options 0193a2b4
      foundry options fix/login-redirect model=opus mode=plan
      foundry options fix/login-redirect --commands
      foundry prompt fix/login-redirect "/review the tests" --wait
    """
    if commands and settings:
        raise click.UsageError("--commands only lists: leave OPTION=VALUE out.")
    detail = context.task(task)
    session_id = named_session(detail, session, task) if session else session_to_read(detail, task)
    known = on_session(context, task, session_id, "GET", "", SessionDetail)
    if commands:
        _list_commands(session_id, known.commands, as_json=as_json)
        return
    offered = known.options
    meant = [_meant(offered, name, given, task) for name, given in settings]
    for option, chosen in meant:
        path = f"/options/{segment(option.option_id)}"
        on_session(context, task, session_id, "POST", path, SessionSummary, SetOption(value=chosen))
    if settings:
        offered = on_session(context, task, session_id, "GET", "", SessionDetail).options
    if as_json:
        say_json({"session_id": session_id, "options": offered})
    elif not is_terminal():
        for each in offered:
            say_row((each.option_id, value_word(each.value), ", ".join(_choices(each))))
    elif offered:
        _table(offered)
    else:
        say("The agent has offered nothing to choose.")
    for each in offered:
        if each.error is not None:
            tell(f"foundry: the agent did not take what was chosen for {each.option_id}: {harmless(each.error)}")


def _list_commands(session_id: str, commands: tuple[SessionCommand, ...], *, as_json: bool) -> None:
    rows = [(f"/{each.name}", each.hint or "", each.description) for each in commands]
    if as_json:
        say_json({"session_id": session_id, "commands": commands})
    elif not is_terminal():
        for row in rows:
            say_row(row)
    elif rows:
        table(("COMMAND", "", "DESCRIPTION"), rows, stretch=(1, 2))
    else:
        say("The agent has no commands.")


def _table(offered: tuple[SessionOption, ...]) -> None:
    """One choice a row, under its option; those that are chosen are marked."""
    rows: list[tuple[str, ...]] = []
    colours: list[dict[int, tuple[str, ...]]] = []
    for option in offered:
        choices = option.choices
        if option.type is OptionType.BOOLEAN:
            choices = tuple(OptionChoice(value=value, name=option.name) for value in _choices(option))
        for place, choice in enumerate(choices):
            chosen = choice.value == value_word(option.value)
            rows.append(
                (
                    "" if place else option.option_id,
                    "*" if chosen else "",
                    choice.value,
                    choice.name,
                    choice.description or "",
                )
            )
            colours.append({1: ("green",), 2: ("green",)} if chosen else {})
    table(("OPTION", "", "CHOICE", "NAME", "DESCRIPTION"), rows, stretch=(3, 4), colours=colours)


def _meant(offered: tuple[SessionOption, ...], name: str, given: str, task: str) -> tuple[SessionOption, OptionValue]:
    """The option and the value that these words mean; raises `CommandError` that names what there is."""
    option = find_option(offered, name)
    if option is None:
        there = ", ".join(each.option_id for each in offered) or "none at all"
        raise CommandError(
            f"the agent offers no option {name!r}; it offers {there}", hint=f"see: foundry options {task}"
        )
    value = value_of(option, given)
    choices = _choices(option)
    if value_word(value) not in choices:
        raise CommandError(f"{option.option_id} cannot be {given!r}; choose one of {', '.join(choices)}")
    return option, value


def _choices(option: SessionOption) -> list[str]:
    """The values that an option can have, as one writes them."""
    if option.type is OptionType.BOOLEAN:
        return [value_word(value) for value in dict.fromkeys(SWITCH.values())]
    return [choice.value for choice in option.choices]
