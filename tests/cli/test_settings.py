"""`config` and `doctor` from outside, and the help of every command."""

import os
import subprocess
from pathlib import Path

import pytest

from foundry_tui.cli.command_table import COMMANDS
from foundry_tui.settings.config import KEYS
from tests.cli.command_line import Cli
from tests.world import FOUNDRY


def test_init_writes_what_load_takes_and_keeps_what_is_there(cli: Cli) -> None:
    file = Path(cli("config", "init", code=0).out.strip())
    assert file == cli.folder / "config" / "foundry" / "config.toml"
    text = file.read_text()
    assert all(f"# {key.name} = " in text and key.help in text for key in KEYS)
    cli("config", "show", code=0)
    # every example is a value that it takes, once its comment sign is gone
    taken = (line.removeprefix("# ") if " = " in line or line == "# [[rules]]" else line for line in text.splitlines())
    file.write_text("\n".join(taken))
    cli("config", "show", code=0)
    assert "exists" in cli("config", "init", code=1).err


def test_show_says_where_each_value_comes_from(cli: Cli) -> None:
    file = Path(cli("config", "init").out.strip())
    file.write_text("[provision]\nstage_attempts = 5\n")
    rows = {row[0]: row for row in cli("config", "show", code=0).rows}
    assert rows["provision.stage_attempts"][1:3] == ["5", f"{file}:2"]
    assert rows["provision.provider"][1:3] == ["demo", "FOUNDRY_PROVIDER"]
    assert rows["app.bell"][1:3] == ["true", "default"]
    told = cli("config", "show", "--json", code=0).json
    assert told["file"] == str(file)
    assert told["settings"]["provision.stage_attempts"]["value"] == 5


def test_path_says_where_the_file_would_be(cli: Cli) -> None:
    assert cli("config", "path", code=0).out.strip().endswith("config/foundry/config.toml")
    assert cli("config", "path", "--json", code=0).json["exists"] is False


def test_a_wrong_setting_stops_every_command_and_names_its_place(cli: Cli) -> None:
    file = Path(cli("config", "init").out.strip())
    file.write_text("[backend]\nlisten_on = 'x'\n")
    for words in (("list",), ("backend", "start"), ("config", "show"), ("statusline",), ("statusline", "--json")):
        assert f"{file}:2: no key listen_on" in cli(*words, code=2).err
    assert f"{file}:2" in cli("doctor", code=1).out


@pytest.mark.parametrize("variable", ["FOUNDRY_PROVIDER", "FOUNDRY_AGENT", "FOUNDRY_HOST"])
def test_a_variable_that_is_no_text_is_named(cli: Cli, variable: str) -> None:
    done = cli("create", "x", environ={variable: "a\udcff"}, code=2)
    assert (done.out, f"{variable}: " in done.err, "no UTF-8" in done.err) == ("", True, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "9" * 10_000, "integer string conversion"),
        ("# much\n" * 200_000, "more than 1,048,576 characters"),
    ],
    ids=["deep", "number", "long"],
)
def test_a_config_that_no_file_of_ours_would_be_is_refused_in_words(cli: Cli, text: str, why: str) -> None:
    file = Path(cli("config", "init").out.strip())
    file.write_text(text)
    for words in (("config", "show"), ("statusline",)):
        refused = cli(*words, code=2).err
        assert why in refused
        assert str(file) in refused


@pytest.mark.parametrize("name", ["FOUNDRY_CONFIG", "FOUNDRY_TOKEN_FILE", "FOUNDRY_CA_FILE"])
def test_a_device_in_the_place_of_a_file_is_not_read_without_end(shared: Cli, name: str) -> None:
    address = {"FOUNDRY_BACKEND": "https://127.0.0.1:1"}
    refused = shared("list", environ={**address, name: "/dev/zero"}, code=2)
    assert "more than 1,048,576 characters" in refused.err
    assert "/dev/zero" in refused.err


def test_doctor_knows_the_agents_of_the_config(cli: Cli) -> None:
    file = Path(cli("config", "init").out.strip())
    file.write_text('[agents.own]\ncommand = ["git"]\n')
    checks = {check["name"]: check for check in cli("doctor", "--json", code=0).json["checks"]}
    assert "own" in checks["agents"]["found"].split(", ")


def test_doctor_is_content_with_a_good_machine_and_changes_nothing(cli: Cli) -> None:
    done = cli("doctor", "--json", code=0).json
    assert done["ok"] is True
    assert {"foundry", "git", "config", "data folder", "backend"} <= {check["name"] for check in done["checks"]}
    assert not (cli.folder / "data").exists()
    cli("list", code=0)
    names = {check["name"]: check for check in cli("doctor", "--json", code=0).json["checks"]}
    assert names["provider demo"]["found"] == "ready"
    assert "pid" in names["backend"]["found"]


def test_doctor_says_what_is_missing_and_what_to_do(cli: Cli) -> None:
    bare = cli.folder / "bare"
    bare.mkdir()
    rows = {row[0]: row for row in cli("doctor", environ={"PATH": str(bare)}, code=1).rows}
    assert rows["git"][1] == "wrong"
    assert "install git" in rows["git"][3]
    assert rows["sandbox-agent"][1:] == ["note", "not found", "foundry agent install"]
    assert "foundry agent install claude" in rows["agents"][3]
    (bare / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
    (bare / "git").chmod(0o755)
    rows = {row[0]: row for row in cli("doctor", environ={"PATH": str(bare)}, code=1).rows}
    assert "2.30.2" in rows["git"][2]
    assert "too old" in rows["git"][2]
    named = {row[0]: row for row in cli("doctor", environ={"FOUNDRY_BACKEND": "127.0.0.1:9"}, code=1).rows}
    assert named["backend"][1] == "wrong"


def test_a_data_folder_that_cannot_be_written_is_wrong(cli: Cli) -> None:
    file = cli.folder / "file"
    file.touch()
    environ = {"FOUNDRY_DATA_DIR": str(file / "data")}
    rows = {row[0]: row for row in cli("doctor", environ=environ, code=1).rows}
    assert rows["data folder"][1] == "wrong"
    assert str(file / "data") in cli("list", environ=environ, code=6).err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_examples(cli: Cli, command: str) -> None:
    text = cli(command, "--help", code=0).out
    assert "Usage: foundry" in text
    assert "Examples:" in text or "Commands:" in text
    _, _, commands = text.partition("\nCommands:")
    assert "..." not in commands, "what a command does is not cut"


def test_help_lists_all_commands_and_exit_codes(cli: Cli) -> None:
    text = cli("--help", code=0).out
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert "Exit codes" in text
    assert cli("-h", code=0).out == text


def test_what_is_no_command_is_exit_2(cli: Cli) -> None:
    assert "No such command" in cli("lits", code=2).err
    assert cli("--nonsense", code=2).err


def test_the_app_without_a_terminal_is_exit_2(cli: Cli) -> None:
    for words in ((), ("demo",)):
        done = cli(*words, code=2)
        assert "terminal" in done.err
    assert not cli.log.exists()


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    cli("list", code=0)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [FOUNDRY, "config", "show"],
        env=cli.environ,
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=cli.repository,
        timeout=30,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
