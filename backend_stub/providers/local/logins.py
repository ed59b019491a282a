"""Whether an agent is known to have no login: it keeps none where it keeps them, and is told of none.

Only what is sure counts. An agent may have its login where nobody can look (a keyring, an enterprise's helper), or need
none for a model of its own; then it says itself what it lacks, when it is asked to work.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from foundry_tui.contract.agents import login_begun
from foundry_tui.contract.codec import decode

LARGEST = 1 << 20
"""Bytes of a settings file that are looked at."""


def lacks_login(agent: str, environ: Mapping[str, str]) -> bool:
    """Whether this agent is known to have no login. Looks at some small files of the home folder."""
    look = _LOOKS.get(agent)
    return look is not None and not look(environ)


def kept_at(agent: str, data_dir: Path, environ: Mapping[str, str]) -> float:
    """When a login of this agent, or a setting that may stand for one, was kept last, in seconds since the epoch; when
    Foundry began one, where it is kept where nobody can look. 0 where nothing is known.
    """
    places = _PLACES.get(agent)
    files = (login_begun(agent, data_dir), *(places(environ) if places is not None else ()))
    return max(map(_written_at, files))


def _claude(environ: Mapping[str, str]) -> bool:
    home = _home(environ)
    folder = Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    if sys.platform == "darwin" or _is_there(folder / ".credentials.json"):
        # On macOS it is in the keychain.
        return True
    return _any_set(environ, _CLAUDE) or any(
        _claude_settings(_read(place))
        for place in (
            folder / "settings.json",
            folder / ".claude.json",
            home / ".claude.json",
            Path("/etc/claude-code/managed-settings.json"),
        )
    )


_CLAUDE = re.compile(
    r"ANTHROPIC_(API_KEY|AUTH_TOKEN|CUSTOM_HEADERS|FOUNDRY_\w+|BEDROCK_\w+|VERTEX_\w+)"
    r"|CLAUDE_CODE_(OAUTH_\w+|USE_\w+|API_KEY_FILE_DESCRIPTOR)|AWS_BEARER_TOKEN_BEDROCK"
)


def _claude_settings(text: str) -> bool:
    settings = _json(text)
    variables = settings.get("env")
    named = isinstance(variables, dict) and _any_set({str(name): str(variables[name]) for name in variables}, _CLAUDE)
    return named or any(settings.get(name) for name in ("apiKeyHelper", "primaryApiKey", "forceLoginMethod"))


def _codex(environ: Mapping[str, str]) -> bool:
    folder = Path(environ.get("CODEX_HOME") or _home(environ) / ".codex")
    settings = _read(folder / "config.toml")
    return (
        _is_there(folder / "auth.json")
        or _any_set(environ, re.compile(r"OPENAI_API_KEY|CODEX_(API_KEY|ACCESS_TOKEN)"))
        # A model of one's own may need none, and a keyring is not looked into.
        or re.search(r"(?m)^\s*(model_provider|cli_auth_credentials_store|oss_provider|profile)\s*=", settings)
        is not None
    )


def _gemini(environ: Mapping[str, str]) -> bool:
    home = _home(environ)
    folder = Path(environ.get("GEMINI_CLI_HOME") or home) / ".gemini"
    key = re.compile(r"GEMINI_API_KEY|GOOGLE_(API_KEY|APPLICATION_CREDENTIALS|GENAI_USE_\w+|GEMINI_BASE_URL)")
    words = re.compile(r"(?m)^\s*(export\s+)?(GEMINI|GOOGLE)_")
    chosen = _json(_read(folder / "settings.json")).get("security")
    auth = chosen.get("auth") if isinstance(chosen, dict) else None
    # Of a key that was chosen it keeps in its settings only that; the key may be in a keyring.
    return (
        _any_set(environ, key)
        or any(_is_there(folder / name) for name in ("oauth_creds.json", "google_accounts.json"))
        or any(words.search(_read(place)) for place in (folder / ".env", home / ".env"))
        or (isinstance(auth, dict) and bool(auth.get("selectedType")))
    )


def _claude_files(environ: Mapping[str, str]) -> Sequence[Path]:
    folder = Path(environ.get("CLAUDE_CONFIG_DIR") or _home(environ) / ".claude")
    return (folder / ".credentials.json", folder / "settings.json")


def _codex_files(environ: Mapping[str, str]) -> Sequence[Path]:
    folder = Path(environ.get("CODEX_HOME") or _home(environ) / ".codex")
    return (folder / "auth.json", folder / "config.toml")


def _gemini_files(environ: Mapping[str, str]) -> Sequence[Path]:
    folder = Path(environ.get("GEMINI_CLI_HOME") or _home(environ)) / ".gemini"
    return (folder / "oauth_creds.json", folder / "settings.json", folder / ".env")


def _opencode_files(environ: Mapping[str, str]) -> Sequence[Path]:
    data = environ.get("XDG_DATA_HOME") or _home(environ) / ".local/share"
    settings = environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config"
    return (Path(data) / "opencode/auth.json", Path(settings) / "opencode/opencode.json")


_PLACES: Mapping[str, Callable[[Mapping[str, str]], Sequence[Path]]] = {
    "claude": _claude_files,
    "codex": _codex_files,
    "gemini": _gemini_files,
    "opencode": _opencode_files,
}
"""The files that change when a person has logged in."""
_LOOKS: Mapping[str, Callable[[Mapping[str, str]], bool]] = {"claude": _claude, "codex": _codex, "gemini": _gemini}
"""Whether there may be a login. Others are not looked at: opencode has models that need none."""


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME", "~")).expanduser()


def _is_there(file: Path) -> bool:
    """Whether there is such a file, or nobody can say."""
    try:
        return file.exists()
    except OSError:
        return True


def _written_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0


def _any_set(variables: Mapping[str, str], names: re.Pattern[str]) -> bool:
    return any(value and names.fullmatch(name) for name, value in variables.items())


def _read(file: Path) -> str:
    """The text of a small file, empty where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _json(text: str) -> dict[str, Any]:
    try:
        found = decode(text.encode(), dict[str, Any])
    except msgspec.DecodeError:
        return {}
    return found
