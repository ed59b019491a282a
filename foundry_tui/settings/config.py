"""Settings: config file, environment and flags, in that order of strength, each key checked and documented once.

`KEYS` is the table of all keys: what `foundry config show` and `foundry config init` print, and where the
environment variables go. The Structs hold the checked values.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.client.connection import Target
from foundry_tui.client.named_file import read_named_file
from foundry_tui.contract import mcp, rules
from foundry_tui.contract.agents import CONFIGURED, AgentCommand
from foundry_tui.contract.mcp import ConfiguredServer
from foundry_tui.contract.rules import ConfiguredRule
from foundry_tui.contract.sockets import socket_path_problem
from foundry_tui.settings.errors import ConfigError as ConfigError
from foundry_tui.settings.errors import FileError as FileError
from foundry_tui.settings.handed_over import (
    agent_of,
    agents_of_environ,
    rules_of,
    rules_of_environ,
    server_of,
    servers_of_environ,
)
from foundry_tui.settings.paths import absolute, config_file, default_data_dir, runtime_dir
from foundry_tui.settings.sections import AgentLife, App, Backend, Local, Provision
from foundry_tui.settings.token import read_token

SOCKET_NAME = "backend.sock"
LOCK_NAME = "lock"
"""The file in the data folder that says who has it."""
PROBE_SECONDS = 1.0
"""How long a backend may take to accept a connection; one that takes longer is busy, and counts as there."""

BACKEND_SECTIONS = ("provision", "local", "agents")
"""The sections of `KEYS` that our own backend is told of by its environment."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, checked. `keys` maps ids of the app's actions to their keys, comma-separated.

    `agents` are the `[agents.NAME]` of our own backend, `agent_life` what else stands in `[agents]`, `mcp` its
    `[mcp.NAME]`, `rules` its `[[rules]]`.
    """

    backend: Backend = Backend()
    provision: Provision = Provision()
    local: Local = Local()
    app: App = App()
    keys: dict[str, str] = {}
    agents: dict[str, AgentCommand] = {}
    agent_life: AgentLife = AgentLife()
    mcp: dict[str, ConfiguredServer] = {}
    rules: tuple[ConfiguredRule, ...] = ()

    def value(self, key: "Key") -> object:
        """What this setting is; None where nobody has set it."""
        return getattr(self.agent_life if key.section == "agents" else getattr(self, key.section), key.name)


class Key(NamedTuple):
    """One documented setting: `[section] name` in the file, `env` in the environment.

    `example` is TOML, and need not be the default, which stands where the setting is used.
    """

    section: str
    name: str
    env: str
    example: str
    help: str

    @property
    def flag(self) -> str:
        """The option of the command line that says the same."""
        return "--backend" if self.name == "address" else f"--{self.name.replace('_', '-')}"


KEYS: tuple[Key, ...] = (
    Key("backend", "address", "FOUNDRY_BACKEND", '"127.0.0.1:8420"',
        "Another backend, never started by us: unix:PATH, HOST:PORT or URL."),
    Key("backend", "token_file", "FOUNDRY_TOKEN_FILE", '"~/.config/foundry/token"',
        "File with the token that a backend on TCP asks for."),
    Key("backend", "token_keyring", "FOUNDRY_TOKEN_KEYRING", '"work"',
        "Entry of the system's keyring with that token, put there by: keyring set foundry work. Goes before the file."),
    Key("backend", "ca_file", "FOUNDRY_CA_FILE", '"~/.config/foundry/ca.pem"',
        "Certificates to trust at an https:// address, a self-signed one too. Absent: the system's."),
    Key("backend", "data_dir", "FOUNDRY_DATA_DIR", '"~/foundry-data"',
        "Folder of the database, the sandboxes and the log. Absent: the platform's data folder."),
    Key("backend", "listen", "FOUNDRY_LISTEN", '"unix:~/foundry.sock"',
        "Where our own backend listens: unix:PATH or HOST:PORT. Absent: a socket in the runtime folder."),
    Key("backend", "allow_remote", "FOUNDRY_ALLOW_REMOTE", '["foundry.example.org"]',
        "Names that clients on other machines ask our own backend by; commas between them in the variable."),
    Key("backend", "tls_cert", "FOUNDRY_TLS_CERT", '"~/foundry.pem"',
        "Certificate, with its chain, that our own backend shows on TCP."),
    Key("backend", "tls_key", "FOUNDRY_TLS_KEY", '"~/foundry.key"',
        "Key of that certificate, without a passphrase. Absent: in the certificate's file."),
    Key("backend", "insecure", "FOUNDRY_INSECURE", "true",
        "Let other machines talk to our own backend without TLS."),
    Key("backend", "database", "FOUNDRY_DATABASE", '"postgresql://localhost/foundry"',
        "PostgreSQL that tasks are kept in, shared by several backends. Absent: SQLite in the data folder."),
    Key("backend", "host", "FOUNDRY_HOST", '"build-7"',
        "What this machine is called where several have a backend. Absent: the machine's name."),
    Key("backend", "max_provisioning", "FOUNDRY_MAX_PROVISIONING", "8",
        "How many stages may run at once."),
    Key("provision", "provider", "FOUNDRY_PROVIDER", '"demo"',
        "Provider of tasks created here that name none, also on another backend."),
    Key("provision", "stage_timeout_ms", "FOUNDRY_STAGE_TIMEOUT_MS", "180000",
        "Milliseconds that one attempt of a stage may take. Absent: each stage's own."),
    Key("provision", "stage_attempts", "FOUNDRY_STAGE_ATTEMPTS", "3",
        "Attempts of a stage, or of another call to a task's provider or agent, before that fails."),
    Key("provision", "stage_backoff_ms", "FOUNDRY_STAGE_BACKOFF_MS", "1000",
        "Milliseconds before the second attempt; doubles with each further one."),
    Key("local", "agent", "FOUNDRY_AGENT", '"codex"',
        "Agent of tasks created here that name none, also on another backend. Absent: the first that is installed."),
    Key("local", "sandbox_agent", "FOUNDRY_SANDBOX_AGENT", '"~/bin/sandbox-agent"',
        "The sandbox-agent binary. Absent: the one that foundry agent install put there."),
    Key("local", "permissions", "FOUNDRY_PERMISSIONS", '"reads"',
        "What agents may do without a question in such tasks: ask (nothing), reads, or all."),
    Key("local", "copy_files", "FOUNDRY_COPY_FILES", '[".env"]',
        "Untracked files that each sandbox gets, written as in .gitignore; commas between them in the variable."),
    Key("local", "setup_timeout_ms", "FOUNDRY_SETUP_TIMEOUT_MS", "600000",
        "Milliseconds that the repository's set-up script may take, beside what its stage may."),
    Key("local", "fetch_timeout_ms", "FOUNDRY_FETCH_TIMEOUT_MS", "10000",
        "Milliseconds that fetching from a remote may take before a task goes on without it."),
    Key("local", "bubblewrap", "FOUNDRY_BUBBLEWRAP", "true",
        "Run agents under bubblewrap, where it is installed."),
    Key("local", "writable", "FOUNDRY_SANDBOX_WRITABLE", '["~/.cache"]',
        "Further folders that an agent under bubblewrap may write to; commas between them in the variable."),
    Key("app", "theme", "FOUNDRY_THEME", '"foundry-dark"',
        "Colour theme, by its name in the palette; absent: the one chosen last in the app, else one that fits."),
    Key("app", "ascii", "FOUNDRY_ASCII", "true",
        "Draw with plain ASCII characters. Absent: where the locale is not UTF-8."),
    Key("app", "notifications", "FOUNDRY_NOTIFICATIONS", "false",
        "Tell of tasks out of view when they become ready, fail or ask."),
    Key("app", "bell", "FOUNDRY_BELL", "false",
        "Ring the terminal's bell with a notification."),
    Key("app", "terminal_notifications", "FOUNDRY_TERMINAL_NOTIFICATIONS", "false",
        "Have the terminal show a notification (OSC 9 and OSC 777)."),
    Key("agents", "idle_minutes", "FOUNDRY_AGENTS_IDLE_MINUTES", "60",
        "Minutes after which an agent that nobody says anything to is ended until its next prompt; 0 for never."),
)  # fmt: skip


_TOLD = {("provision", "provider"), ("local", "agent"), ("backend", "host"), ("backend", "database"), ("app", "theme")}
"""Texts that are sent or kept, and not names of files, which may be any bytes."""

S = TypeVar("S", bound=Struct)


class Origin(NamedTuple):
    """A value as it was found, with the words for where."""

    value: object
    where: str


class Loaded(Struct, frozen=True):
    """Settings with what explains them: the file looked at, whether it exists, and where each value came from."""

    settings: Settings
    file: Path
    exists: bool
    origins: dict[str, str]


def data_dir(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """Where our own backend's data lie."""
    named = settings.backend.data_dir
    return absolute(named) if named else default_data_dir(environ)


def load(flags: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The settings in force. `flags` maps `section.name` to a value; None there means not given.

    Raises `ConfigError` that names the file and line, the variable or the flag that is wrong.
    """
    file = config_file(environ)
    found: dict[tuple[str, str], Origin] = {}
    key_map: dict[str, str] = {}
    agents: dict[str, AgentCommand] = {}
    servers: dict[str, ConfiguredServer] = {}
    ruled: tuple[ConfiguredRule, ...] = ()
    text = _read(file)
    if text is not None:
        found, key_map, agents, servers, ruled = _from_file(file, text)
    if environ.get(CONFIGURED):
        agents = agents_of_environ(environ)
    if environ.get(mcp.VARIABLE):
        servers = servers_of_environ(environ)
    if environ.get(rules.VARIABLE):
        ruled = rules_of_environ(environ)
    for key in KEYS:
        value = environ.get(key.env)
        if value:
            found[key.section, key.name] = Origin(_parts(value) if key.example.startswith("[") else value, key.env)
        given = (flags or {}).get(f"{key.section}.{key.name}")
        if given is not None:
            found[key.section, key.name] = Origin(given, key.flag)
    sections = {
        "backend": _section(Backend, "backend", found),
        "provision": _section(Provision, "provision", found),
        "local": _section(Local, "local", found),
        "app": _section(App, "app", found),
        "agent_life": _section(AgentLife, "agents", found),
    }
    tables = {"keys": key_map, "agents": agents, "mcp": servers, "rules": ruled}
    settings = msgspec.convert({**sections, **tables}, Settings)
    origins = {f"{section}.{name}": origin.where for (section, name), origin in found.items()}
    handed_over = {"agents": CONFIGURED, "mcp": mcp.VARIABLE, "rules": rules.VARIABLE}
    origins |= {table: variable for table, variable in handed_over.items() if environ.get(variable)}
    return Loaded(settings, file, text is not None, origins)


def _is_text(value: object) -> bool:
    """Whether it is no text that came as bytes which are no UTF-8."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def as_environ(settings: Settings) -> dict[str, str]:
    """What our own backend is told by its environment: the agents, the MCP servers, the rules, and the settings of
    `BACKEND_SECTIONS` that are given.
    """
    told: dict[str, str] = {}
    if settings.agents:
        told[CONFIGURED] = msgspec.json.encode(settings.agents).decode()
    if settings.mcp:
        told[mcp.VARIABLE] = msgspec.json.encode(settings.mcp).decode()
    if settings.rules:
        told[rules.VARIABLE] = msgspec.json.encode(settings.rules).decode()
    for key in KEYS:
        value = settings.value(key)
        if key.section not in BACKEND_SECTIONS or value is None:
            continue
        if isinstance(value, bool):
            told[key.env] = str(int(value))
        elif isinstance(value, tuple):
            told[key.env] = ",".join(os.path.expanduser(part) for part in value)  # noqa: PTH111 - as in `absolute`
        else:
            told[key.env] = os.path.expanduser(str(value))  # noqa: PTH111 - as in `absolute`
    return told


def _read(file: Path) -> str | None:
    try:
        return read_named_file(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None


def _from_file(
    file: Path, text: str
) -> tuple[
    dict[tuple[str, str], Origin],
    dict[str, str],
    dict[str, AgentCommand],
    dict[str, ConfiguredServer],
    tuple[ConfiguredRule, ...],
]:
    from foundry_tui.contract.toml import read_toml

    try:
        document = read_toml(text)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    known = {(key.section, key.name) for key in KEYS}
    sections = [*dict.fromkeys(key.section for key in KEYS), "mcp", "rules", "keys"]
    found: dict[tuple[str, str], Origin] = {}
    key_map: dict[str, str] = {}
    agents: dict[str, AgentCommand] = {}
    servers: dict[str, ConfiguredServer] = {}
    for section, values in document.items():
        if section not in sections:
            raise ConfigError(f"{_at(file, text, section)}: no section [{section}]; there are: {', '.join(sections)}")
        if section == "rules":
            continue
        if not isinstance(values, dict):
            raise ConfigError(f"{_at(file, text, section)}: {section} is a section: write [{section}]")
        for name, value in values.items():
            where = _at(file, text, section, name)
            if section == "keys":
                if not isinstance(value, str):
                    raise ConfigError(f'{where}: keys.{name} takes a text such as "ctrl+n"')
                key_map[name] = value
            elif section == "agents" and (section, name) not in known:
                agents[name] = agent_of(where, name, value)
            elif section == "mcp":
                servers[name] = server_of(where, name, value)
            elif (section, name) not in known:
                names = ", ".join(key.name for key in KEYS if key.section == section)
                raise ConfigError(f"{where}: no key {name} in [{section}]; there are: {names}")
            else:
                found[section, name] = Origin(value, where)
    ruled = rules_of(file, text, document["rules"]) if "rules" in document else ()
    return found, key_map, agents, servers, ruled


def _at(file: Path, text: str, section: str, name: str | None = None) -> str:
    """`file:line` of a section's heading or of a key in it; the heading where the key is written otherwise."""
    bare = re.escape(section)
    heading = re.compile(rf"\s*(\[+\s*[\"']?{bare}[\"']?\s*[\].]|[\"']?{bare}[\"']?\s*[.=])")
    key = re.compile(rf"\s*(?:{bare}\s*\.\s*)?[\"']?{re.escape(name or '')}[\"']?\s*[.=]")
    inside, found = False, 1
    for number, line in enumerate(text.splitlines(), start=1):
        if heading.match(line):
            inside, found = True, number
            if name is None:
                break
        elif line.lstrip().startswith("["):
            inside = False
        if name is not None and inside and key.match(line):
            found = number
            break
    return f"{file}:{found}"


def _section(struct: type[S], section: str, found: Mapping[tuple[str, str], Origin]) -> S:
    values: dict[str, object] = {}
    for (of, name), origin in found.items():
        if of != section:
            continue
        try:
            # one key at a time, so that the message can name where this one stands
            one = msgspec.convert({name: origin.value}, struct, strict=not origin.where.startswith(("FOUNDRY_", "--")))
        except msgspec.ValidationError as error:
            reason = str(error).partition(" - at ")[0]
            raise ConfigError(f"{origin.where}: {section}.{name} is {origin.value!r}: {reason}") from None
        values[name] = getattr(one, name)
        if (section, name) in _TOLD and not _is_text(values[name]):
            raise ConfigError(f"{origin.where}: {section}.{name} is no UTF-8 text")
    return msgspec.convert(values, struct)


def target(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Target, bool]:
    """The backend that is meant, with its token, and whether it is our own (started when it does not run).

    Raises `ConfigError` for an address that is none, and where there is no token or certificate to be had.
    """
    backend = settings.backend
    if backend.address is None:
        found = _from_here(listening(settings, environ), backend.tls_cert)
    else:
        found = _address(backend.address)
        if found.is_tls and backend.ca_file is not None:
            found = replace(found, ca_file=str(absolute(backend.ca_file)))
    _check_trust(found)
    if found.uds is None:
        found = found.with_token(_token(backend))
    return found, backend.address is None


def listening(settings: Settings, environ: Mapping[str, str] = os.environ) -> Target:
    """Where our own backend listens; raises `ConfigError` for an address that is none.

    That is where the settings say; else where the one that has the data folder listens now, which may have been
    started with another runtime folder, or none, as by cron or over ssh; else a socket in the runtime folder.
    """
    if settings.backend.listen:
        return _address(settings.backend.listen)
    try:
        own = f"unix:{runtime_dir(environ) / SOCKET_NAME}"
    except ConfigError:
        held = _held_socket(data_dir(settings, environ), "")
        if held is None:
            raise
        return held
    return _held_socket(data_dir(settings, environ), own) or _address(own)


def _held_socket(folder: Path, own: str) -> Target | None:
    """The Unix socket that the data folder's lock file names, if it is not `own` and somebody listens there."""
    try:
        held = msgspec.json.decode((folder / LOCK_NAME).read_bytes())  # noqa: TID251  # no type is met
    except (OSError, msgspec.DecodeError):
        return None
    listening = held.get("listening") if isinstance(held, dict) else None
    if not isinstance(listening, str) or not listening.startswith("unix:/") or listening == own:
        return None
    path = listening.removeprefix("unix:")
    if socket_path_problem(path) is not None:
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(path)
        except TimeoutError:
            pass
        except OSError:
            return None
    return _address(listening)


def _address(text: str) -> Target:
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if path and (problem := socket_path_problem(absolute(path))) is not None:
            raise FileError(f"{problem}; set XDG_RUNTIME_DIR or backend.listen to another one")
        text = f"unix:{absolute(path) if path else ''}"
    try:
        return Target.parse(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _from_here(place: Target, certificate: str | None) -> Target:
    """How our own backend is reached from its machine: by loopback if it listens everywhere, by its certificate."""
    if place.uds is not None:
        return place
    url = place.base_url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    if certificate is None:
        return replace(place, base_url=url)
    url = url.replace("http://", "https://", 1)
    return replace(place, base_url=url, ca_file=str(absolute(certificate)), pinned=True)


def _check_trust(place: Target) -> None:
    if place.ca_file is None:
        return
    from foundry_tui.client.tls import trust

    try:
        trust(place.ca_file, pinned=place.pinned)
    except OSError as error:
        raise FileError(f"the certificate {place.ca_file} cannot be used: {error.strerror or error}") from None


def _token(backend: Backend) -> str | None:
    if backend.token_keyring is not None:
        from foundry_tui.settings.keyring import read_token as from_keyring

        return from_keyring(backend.token_keyring)
    return None if backend.token_file is None else read_token(absolute(backend.token_file))


def without_address(settings: Settings) -> Settings:
    """The same settings with our own backend meant."""
    return replace(settings, backend=replace(settings.backend, address=None))
