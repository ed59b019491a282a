"""Settings: their order of strength, their checks, their places."""

from pathlib import Path

import pytest

from backend_stub.domain.errors import SettingError
from backend_stub.domain.settings import read_settings
from foundry_tui.cli.commands.config import RULES
from foundry_tui.contract.agents import AgentCommand, configured_agents
from foundry_tui.contract.mcp import ConfiguredServer, configured_servers
from foundry_tui.contract.rules import configured_rules
from foundry_tui.settings import config, paths, sections
from foundry_tui.settings.config import ConfigError
from foundry_tui.settings.token import read_token


def env(folder: Path, **more: str) -> dict[str, str]:
    return {
        "XDG_CONFIG_HOME": str(folder / "c"),
        "XDG_DATA_HOME": str(folder / "d"),
        "XDG_RUNTIME_DIR": str(folder / "r"),
        **more,
    }


def write(folder: Path, text: str) -> Path:
    file = folder / "c" / "foundry" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    loaded = config.load({}, env(tmp_path))
    assert loaded.settings == config.Settings()
    assert not loaded.exists
    assert loaded.file == tmp_path / "c" / "foundry" / "config.toml"
    assert loaded.origins == {}


def test_the_environment_overrides_the_file_and_flags_override_both(tmp_path: Path) -> None:
    file = write(tmp_path, '[backend]\nmax_provisioning = 1\ndatabase = "a"\n[provision]\nstage_attempts = 1\n')
    environ = env(tmp_path, FOUNDRY_MAX_PROVISIONING="2", FOUNDRY_DATABASE="b")
    loaded = config.load({"backend.max_provisioning": 3, "backend.listen": None}, environ)
    assert loaded.settings.backend.max_provisioning == 3
    assert loaded.settings.backend.database == "b"
    assert loaded.settings.provision.stage_attempts == 1
    assert loaded.origins == {
        "backend.max_provisioning": "--max-provisioning",
        "backend.database": "FOUNDRY_DATABASE",
        "provision.stage_attempts": f"{file}:5",
    }


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert config.load({}, env(tmp_path, FOUNDRY_PROVIDER="")).settings.provision.provider is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[backend]\n\nlisten = 1\n", 3, "backend.listen is 1"),
        ("[backend]\nlisten = 'x'\nlisen = 'y'\n", 3, "no key lisen in [backend]"),
        ("# hello\n[bakend]\nx = 1\n", 2, "no section [bakend]"),
        ("backend.max_provisioning = 0\n", 1, "backend.max_provisioning is 0"),
        ("[agents.gemini]\ncommand = 'gemini'\n", 1, "agents.gemini: Expected `array`, got `str`"),
        ("[app]\nascii = true\n[agents.own]\ncommand = ['./own']\n", 3, "agents.own: the command begins with './own'"),
        ("[agents]\n'a b' = { command = ['a'] }\n", 2, "agents.a b"),
        ("[mcp.db]\nurl = 'x'\nmore = 1\n", 1, "mcp.db: Object contains unknown field `more`"),
        ("[mcp]\ndb = {}\n", 2, "mcp.db: it has either a command or a url"),
        ("[[rules]]\nallow = 'make'\n[[rules]]\nalow = 'make'\n", 3, "rules: Object contains unknown field `alow`"),
        ("[[rules]]\nallow = 'a && b'\n", 1, "'a && b' is not one simple command"),
        ("[[rules]]\nallow = 'FOO=1 make'\n", 1, "is not one simple command"),
        ("[[rules]]\nkind = 'write'\nallow = '*'\n", 1, "rules.kind: Invalid enum value 'write'"),
        ("[[rules]]\nkind = 'edit'\ndeny = 'docs/*'\n", 1, 'no command is known: write deny = "*"'),
        ("[[rules]]\nallow = 'a'\ndeny = 'b'\n", 1, "either allow or deny"),
        ("[app]\n[rules]\nallow = 'make'\n", 2, "write [[rules]]"),
        ("[provision]\nstage_attempts = '3'\n", 2, "provision.stage_attempts is '3'"),
        ("[app]\nbell = 'yes'\n", 2, "app.bell is 'yes'"),
        ("app = 3\n", 1, "app is a section"),
        ("[keys]\nquit = 3\n", 2, "keys.quit takes a text"),
        ("[backend]\nprovider = 'demo'\n[provision]\nprovider = 'demo'\n", 2, "no key provider in [backend]"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_by_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        config.load({}, env(tmp_path))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert words in str(caught.value)


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, "[backend]\nlisten = \n")
    with pytest.raises(ConfigError, match="line 2") as caught:
        config.load({}, env(tmp_path))
    assert str(file) in str(caught.value)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"FOUNDRY_STAGE_ATTEMPTS: provision.stage_attempts is 'many'"):
        config.load({}, env(tmp_path, FOUNDRY_STAGE_ATTEMPTS="many"))


def test_keys_of_the_file_reach_the_app(tmp_path: Path) -> None:
    write(tmp_path, '[keys]\nnew_task = "ctrl+n"\n')
    assert config.load({}, env(tmp_path)).settings.keys == {"new_task": "ctrl+n"}


def test_agents_of_the_variable_go_before_those_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, '[agents.gemini]\ncommand = ["gemini"]\n')
    environ = env(tmp_path, FOUNDRY_AGENTS='{"own": {"command": ["own"]}}')
    loaded = config.load(environ=environ)
    assert list(loaded.settings.agents) == ["own"]
    assert loaded.origins["agents"] == "FOUNDRY_AGENTS"
    with pytest.raises(config.ConfigError, match="FOUNDRY_AGENTS: "):
        config.load(environ={**environ, "FOUNDRY_AGENTS": "gemini"})


def test_agents_of_the_file_reach_the_backend(tmp_path: Path) -> None:
    write(tmp_path, '[agents.gemini]\ncommand = ["gemini", "--experimental-acp"]\nenv = { KEY = "x" }\n')
    settings = config.load({}, env(tmp_path)).settings
    gemini = AgentCommand(command=("gemini", "--experimental-acp"), env={"KEY": "x"})
    assert settings.agents == {"gemini": gemini}
    assert configured_agents(config.as_environ(settings)) == settings.agents


def test_rules_of_the_file_reach_the_backend(tmp_path: Path) -> None:
    write(tmp_path, '[[rules]]\nallow = "pytest *"\nrepository = "shop"\n[[rules]]\ndeny = "*"\nkind = "fetch"\n')
    loaded = config.load(environ=env(tmp_path))
    assert [(each.word, each.pattern, each.repository, each.kind) for each in loaded.settings.rules] == [
        ("allow", "pytest *", "shop", None),
        ("deny", "*", None, "fetch"),
    ]
    told = config.as_environ(loaded.settings)
    assert configured_rules(told) == loaded.settings.rules
    again = config.load(environ=env(tmp_path, FOUNDRY_RULES=told["FOUNDRY_RULES"]))
    assert (again.settings.rules, again.origins["rules"]) == (loaded.settings.rules, "FOUNDRY_RULES")
    with pytest.raises(ConfigError, match="FOUNDRY_RULES: "):
        config.load(environ=env(tmp_path, FOUNDRY_RULES='[{"allow": "a; b"}]'))


def test_mcp_servers_of_the_file_reach_the_backend(tmp_path: Path) -> None:
    write(tmp_path, '[mcp.files]\ncommand = ["npx", "files"]\nenv = { KEY = "x" }\n[mcp.web]\nurl = "https://x"\n')
    settings = config.load({}, env(tmp_path)).settings
    assert settings.mcp["files"] == ConfiguredServer(command=("npx", "files"), env={"KEY": "x"})
    assert settings.mcp["web"].transport == "http"
    assert configured_servers(config.as_environ(settings)) == settings.mcp


def test_the_table_of_keys_and_the_structs_are_one(tmp_path: Path) -> None:
    table = {(key.section, key.name) for key in config.KEYS}
    structs = {
        "backend": sections.Backend,
        "provision": sections.Provision,
        "local": sections.Local,
        "app": sections.App,
        "agents": sections.AgentLife,
    }
    assert table == {(section, name) for section, struct in structs.items() for name in struct.__struct_fields__}
    assert len({key.env for key in config.KEYS}) == len(config.KEYS)


def test_each_example_of_the_table_is_a_value_that_it_takes(tmp_path: Path) -> None:
    for key in config.KEYS:
        write(tmp_path, f"[{key.section}]\n{key.name} = {key.example}\n")
        settings = config.load({}, env(tmp_path)).settings
        assert settings.value(key) is not None


def test_what_holds_for_all_agents_stands_beside_them(tmp_path: Path) -> None:
    write(tmp_path, '[agents]\nidle_minutes = 0.5\ngemini.command = ["gemini"]\n')
    settings = config.load({}, env(tmp_path)).settings
    assert (settings.agent_life.idle_minutes, list(settings.agents)) == (0.5, ["gemini"])
    told = config.as_environ(settings)
    assert read_settings(told).idle_ms == 30_000
    assert (read_settings({}).idle_ms, read_settings({"FOUNDRY_AGENTS_IDLE_MINUTES": "0"}).idle_ms) == (3_600_000, 0)
    for wrong in ("soon", "-1", "nan"):
        with pytest.raises(SettingError, match="FOUNDRY_AGENTS_IDLE_MINUTES"):
            read_settings({"FOUNDRY_AGENTS_IDLE_MINUTES": wrong})
    write(tmp_path, "[agents]\nidle_minutes = -1\n")
    with pytest.raises(ConfigError, match=r"agents\.idle_minutes is -1"):
        config.load({}, env(tmp_path))


def test_the_runtime_folder_is_the_users(tmp_path: Path) -> None:
    assert paths.runtime_dir(env(tmp_path)) == tmp_path / "r" / "foundry"
    assert paths.default_data_dir(env(tmp_path)) == tmp_path / "d" / "foundry"


def test_a_relative_xdg_folder_is_ignored(tmp_path: Path) -> None:
    assert paths.config_file({"XDG_CONFIG_HOME": "here", "HOME": str(tmp_path)}).is_absolute()


def test_our_own_backend_is_on_a_socket_of_the_runtime_folder(tmp_path: Path) -> None:
    environ = env(tmp_path)
    target, own = config.target(config.load({}, environ).settings, environ)
    assert own
    assert str(target) == f"unix:{tmp_path}/r/foundry/backend.sock"


def test_a_named_backend_is_not_our_own(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    environ = env(tmp_path, FOUNDRY_BACKEND="127.0.0.1:8420", FOUNDRY_TOKEN_FILE=str(token))
    target, own = config.target(config.load({}, environ).settings, environ)
    assert not own
    assert (target.base_url, target.token) == ("http://127.0.0.1:8420", "secret")
    assert "secret" not in repr(target)


@pytest.mark.parametrize("address", ["nowhere", "unix:", "ftp://x:1", "127.0.0.1:port"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    environ = env(tmp_path, FOUNDRY_BACKEND=address)
    with pytest.raises(ConfigError):
        config.target(config.load({}, environ).settings, environ)


@pytest.mark.parametrize("content", ["", "\n \n", "two\nlines", "ünicode"])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(ConfigError, match="holds no token"):
        read_token(file)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nope cannot be read"):
        read_token(tmp_path / "nope")


def test_what_the_backend_is_told_by_its_environment(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[provision]\nstage_attempts = 2\n[local]\nbubblewrap = true\ncopy_files = [".env", "a b"]\n'
        "[app]\nbell = false\n",
    )
    environ = env(tmp_path, FOUNDRY_SANDBOX_WRITABLE="/a, /b", FOUNDRY_PERMISSIONS="reads")
    settings = config.load({}, environ).settings
    assert settings.local.writable == ("/a", "/b")
    assert config.as_environ(settings) == {
        "FOUNDRY_STAGE_ATTEMPTS": "2",
        "FOUNDRY_BUBBLEWRAP": "1",
        "FOUNDRY_COPY_FILES": ".env,a b",
        "FOUNDRY_SANDBOX_WRITABLE": "/a,/b",
        "FOUNDRY_PERMISSIONS": "reads",
    }


def test_the_rules_of_the_template_are_rules(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in RULES.splitlines()]
    write(tmp_path, "\n".join(line for line in lines if line.startswith(("[[rules]]", "allow =", "deny =", "kind ="))))
    told = config.load(environ=env(tmp_path)).settings.rules
    assert [(each.word, each.pattern, each.kind) for each in told] == [
        ("allow", "pytest *", None),
        ("deny", "git push*", "execute"),
    ]
