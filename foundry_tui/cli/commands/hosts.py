"""`hosts`: the machines that have a backend on the same tasks."""

import time

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.output import Colours, is_terminal, say_json, say_row, table
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.contract.hosts import HostList, HostState
from foundry_tui.view.ages import age

COLOURS = {HostState.UP: ("green",), HostState.DRAINING: ("yellow",), HostState.LOST: ("red",)}


@click.command()
@json_option
@pass_context
def hosts(context: Context, as_json: bool) -> None:
    """List the machines that have a backend on these tasks, by name: one, unless the database is PostgreSQL.

    A task's sandbox is on one of them, which `foundry create --host NAME` chooses. `up` takes tasks, `draining` is
    about to stop, of `lost` nothing was heard for some seconds. RUNNING is how many tasks it is at work on, of LIMIT
    that it prepares at once.

    In a pipe, one a line, tab-separated: name, state, host_id, running, limit, when it was heard of last, its providers
    and the repositories that lie on it, with commas between them.

    \b
    Examples:
      foundry hosts
      foundry hosts --json | jq -r '.hosts[] | select(.state == "up") | .name'
    """
    document, found = context.read("/v1/hosts", HostList)
    if as_json:
        say_json(document)
        return
    if not is_terminal():
        for host in found.hosts:
            lists = (",".join(host.providers), ",".join(host.repositories))
            say_row((host.name, host.state, host.host_id, host.running, host.limit, host.at, *lists))
        return
    now = round(time.time() * 1000)
    rows = [
        (
            host.name,
            str(host.state),
            f"{host.running}/{host.limit}",
            age(now - host.at),
            ", ".join(host.providers),
            ", ".join(host.repositories) or "none",
        )
        for host in found.hosts
    ]
    colours: list[Colours] = [{1: COLOURS.get(host.state, ("dim",))} for host in found.hosts]
    table(("HOST", "STATE", "RUNNING", "HEARD", "PROVIDERS", "REPOSITORIES"), rows, stretch=(5,), colours=colours)
