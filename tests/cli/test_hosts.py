"""`hosts`, `--host` and what doctor says of hosts, where there is one."""

from tests.cli.command_line import Cli


def test_hosts_are_listed_for_people_scripts_and_pipes(cli: Cli) -> None:
    task = cli.create("look around", "--provider", "demo")
    (host,) = cli("hosts", "--json", code=0).json["hosts"]
    assert host["name"] == task["host"] and host["state"] == "up"
    row = cli("hosts", code=0).out.rstrip("\n").split("\t")
    assert row[:3] == [host["name"], "up", host["host_id"]]
    assert str(cli.repository) in row[-1]
    checks = {check["name"]: check for check in cli("doctor", "--json").json["checks"]}
    assert checks[f"host {host['name']}"]["state"] == "ok"


def test_a_host_can_be_asked_for(cli: Cli) -> None:
    name = cli("hosts", "--json", code=0).json["hosts"][0]["name"]
    assert cli.create("here", "--provider", "demo", "--host", name)["host"] == name
    done = cli("create", "there", "--provider", "demo", "--host", "nowhere", code=1)
    assert "nowhere" in done.err and name in done.err
    assert len(cli("list", "--filter", f"host:{name}", code=0).out.splitlines()) == 1
    assert cli("list", "--filter", f"!host:{name}", code=0).out == ""
