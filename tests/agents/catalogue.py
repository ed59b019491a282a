"""The real agents that the tests run: how each is set up for a model on loopback, its tools' words."""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.agents.model import Call

IMAGES_TOO = {"input": ["text", "image"], "output": ["text"]}
Files = Mapping[str, str]
"""Texts by their path in the home folder."""


class Agent(NamedTuple):
    """One agent, as `foundry agent install` gets it.

    `files` and `environ` set it up for a model at a URL. `write`, `read` and `run` are calls of its own tools, for a
    file (by its absolute path) and for a command. `other` is a model that it offers beside the one it begins with.
    `tells_usage`: it tells how much of its context is used. `login` is the command with which a person logs in.
    `configured` is the command that makes it an agent where sandbox-agent does not know it. `minutes`: it names the
    file of a conversation by the minute, and writes over one that it loads in the minute in which it began it.
    `init_asks`: its command `/init` asks its model, else it is done at once.
    """

    name: str
    files: Callable[[str], Files]
    environ: Callable[[str], Mapping[str, str]]
    write: Callable[[Path, str], Call]
    read: Callable[[Path], Call]
    run: Callable[[str], Call]
    other: str
    login: str
    configured: tuple[str, ...] = ()
    minutes: bool = False
    tells_usage: bool = True
    init_asks: bool = True


def _codex_files(url: str) -> Files:
    # It asks for each command that is not known to be harmless, and may run them anywhere: some machines let no
    # sandbox be made in them.
    return {
        ".codex/config.toml": f"""\
model = "stub"
model_provider = "stub"
approval_policy = "untrusted"
sandbox_mode = "danger-full-access"
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "STUB_KEY"
request_max_retries = 1
stream_max_retries = 1
"""
    }


def _codex_write(path: Path, text: str) -> Call:
    return Call("exec_command", {"cmd": f"printf %s {shlex.quote(text)} > {shlex.quote(str(path))}"})


def _opencode_files(url: str) -> Files:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "stub",
        "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
        "models": {
            name: {
                "name": name,
                "attachment": True,
                "modalities": IMAGES_TOO,
                "limit": {"context": 100_000, "output": 10_000},
            }
            for name in ("stub", "other")
        },
    }
    settings = {
        "model": "stub/stub",
        "small_model": "stub/stub",
        "provider": {"stub": provider},
        "permission": {"edit": "ask", "bash": "ask"},
        "autoupdate": False,
        "share": "disabled",
    }
    return {".config/opencode/opencode.json": json.dumps(settings)}


def _claude_files(url: str) -> Files:
    variables = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_MAX_RETRIES": "1"}
    return {".claude/settings.json": json.dumps({"env": variables})}


def _gemini_files(url: str) -> Files:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"maxAttempts": 1}}
    return {".gemini/settings.json": json.dumps(settings)}


AGENTS: Mapping[str, Agent] = {
    agent.name: agent
    for agent in (
        Agent(
            name="codex",
            files=_codex_files,
            environ=lambda url: {"STUB_KEY": "none"},
            write=_codex_write,
            read=lambda path: Call("exec_command", {"cmd": f"cat {shlex.quote(str(path))}"}),
            run=lambda command: Call("exec_command", {"cmd": command}),
            other="gpt-5.4",
            login="foundry agent login codex",
        ),
        Agent(
            name="claude",
            files=_claude_files,
            environ=lambda url: {"IS_SANDBOX": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
            write=lambda path, text: Call("Write", {"file_path": str(path), "content": text}),
            read=lambda path: Call("Read", {"file_path": str(path)}),
            other="sonnet",
            run=lambda command: Call("Bash", {"command": command, "description": "Runs a command"}),
            login="foundry agent login claude",
        ),
        Agent(
            name="opencode",
            files=_opencode_files,
            environ=lambda url: {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"},
            write=lambda path, text: Call("write", {"filePath": str(path), "content": text}),
            read=lambda path: Call("read", {"filePath": str(path)}),
            other="stub/other",
            run=lambda command: Call("bash", {"command": command, "description": "Runs a command"}),
            login="foundry agent login opencode",
        ),
        Agent(
            name="gemini",
            configured=("gemini", "--experimental-acp", "--model", "gemini-2.5-pro"),
            files=_gemini_files,
            environ=lambda url: {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": url},
            write=lambda path, text: Call("write_file", {"file_path": str(path), "content": text}),
            read=lambda path: Call("read_file", {"file_path": str(path)}),
            other="gemini-3-flash-preview",
            tells_usage=False,
            init_asks=False,
            run=lambda command: Call("run_shell_command", {"command": command, "description": "Runs a command"}),
            login="foundry agent login gemini",
            minutes=True,
        ),
    )
}
