"""What the backend is told by its environment: time-outs, attempts, back-off, and the default provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from backend_stub.domain.errors import SettingError
from foundry_tui.contract.rules import VARIABLE as RULES
from foundry_tui.contract.rules import ConfiguredRule, configured_rules

DEFAULT_TIMEOUT_MS = {
    "ensure_name": 30_000,
    "create_sandbox": 180_000,
    "ensure_agent": 180_000,
    "create_session": 180_000,
    "release_sandbox": 60_000,
    "destroy_sandbox": 60_000,
}
_PARTS = {"ensure_name": "FOUNDRY_FETCH_TIMEOUT_MS", "create_sandbox": "FOUNDRY_SETUP_TIMEOUT_MS"}
"""Settings that grant time to a part of a stage: where they are set, the stage has that time on top of its own."""
DEFAULT_ATTEMPTS = 3
DEFAULT_BACKOFF_MS = 500
MAX_BACKOFF_MS = 60_000
DEFAULT_MAX_PROVISIONING = 64
DEFAULT_IDLE_MINUTES = 60
IDLE_VARIABLE = "FOUNDRY_AGENTS_IDLE_MINUTES"
MOST_IDLE_MINUTES = 1_000_000
SILENCE_MS = 60_000
"""From how long on an agent's silence in a turn is told."""
MAX_QUEUED_PROMPTS = 100
"""Prompts that wait in one session at most."""
MAX_QUEUED_TEXT = 4 * 1024 * 1024
"""Characters that these may have together."""
MAX_QUEUED_ATTACHMENTS = 64 * 1024 * 1024
"""Bytes that the attachments of these may have together."""


@dataclass(frozen=True)
class Settings:
    """What the backend is told; see `read_settings`."""

    timeout_ms: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_TIMEOUT_MS))
    """How long one attempt of a call may take, by the call's name."""
    attempts: int = DEFAULT_ATTEMPTS
    """Of each call that is tried again: a stage (a task keeps the number that it was made with), opening a session,
    finding an agent, telling it options, releasing a sandbox."""
    backoff_ms: int = DEFAULT_BACKOFF_MS
    """The wait before the second attempt, which doubles with each further one."""
    max_provisioning: int = DEFAULT_MAX_PROVISIONING
    provider: str | None = None
    """The provider of tasks that name none."""
    rules: tuple[ConfiguredRule, ...] = ()
    """Those of the config about what agents may do without a question."""
    idle_ms: int = DEFAULT_IDLE_MINUTES * 60_000
    """After how long without a word an agent is ended until the next prompt; 0 for never."""

    def backoff(self, attempt: int, jitter: float) -> int:
        """Milliseconds to wait after this attempt failed: the doubled wait, and by `jitter` up to as much again.

        It is never less than the setting says. Clients wait otherwise, from 0 on (`foundry_tui/client/backoff.py`):
        many of them must not come back together.
        """
        wait: int = self.backoff_ms * 2 ** min(max(attempt - 1, 0), 20)
        return min(max(MAX_BACKOFF_MS, self.backoff_ms), round(wait * (1 + jitter)))

    def is_due(self, at: int | None, attempt: int, now: int) -> bool:
        """Whether it is time for the attempt after this one, which was to be made `at`.

        A time further away than the longest wait is one that a clock set back left behind.
        """
        return at is None or not now < at <= now + self.backoff(attempt, 1.0)


def read_settings(environ: Mapping[str, str], max_provisioning: int | None = None) -> Settings:
    """Settings from `FOUNDRY_*` variables; raises `SettingError`.

    `FOUNDRY_STAGE_TIMEOUT_MS` is for every call, `FOUNDRY_STAGE_TIMEOUT_MS_CREATE_SANDBOX` and the like for one.
    """
    common = number(environ, "FOUNDRY_STAGE_TIMEOUT_MS", None)
    timeouts = {
        call: (number(environ, f"FOUNDRY_STAGE_TIMEOUT_MS_{call.upper()}", common) or default)
        + (number(environ, _PARTS.get(call, ""), None) or 0)
        for call, default in DEFAULT_TIMEOUT_MS.items()
    }
    backoff = number(environ, "FOUNDRY_STAGE_BACKOFF_MS", None, least=0)
    limit = max_provisioning or number(environ, "FOUNDRY_MAX_PROVISIONING", None) or DEFAULT_MAX_PROVISIONING
    try:
        rules = configured_rules(environ)
    except msgspec.DecodeError as error:
        raise SettingError(f"{RULES} cannot be read: {error}") from error
    return Settings(
        timeout_ms=timeouts,
        attempts=number(environ, "FOUNDRY_STAGE_ATTEMPTS", None) or DEFAULT_ATTEMPTS,
        backoff_ms=DEFAULT_BACKOFF_MS if backoff is None else backoff,
        max_provisioning=limit,
        provider=environ.get("FOUNDRY_PROVIDER") or None,
        rules=rules,
        idle_ms=_idle_ms(environ),
    )


def _idle_ms(environ: Mapping[str, str]) -> int:
    text = environ.get(IDLE_VARIABLE) or str(DEFAULT_IDLE_MINUTES)
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes <= MOST_IDLE_MINUTES:
        raise SettingError(f"{IDLE_VARIABLE} must be minutes from 0 (never) to {MOST_IDLE_MINUTES}, not {text[:50]!r}")
    return round(minutes * 60_000)


def number(environ: Mapping[str, str], name: str, default: int | None, least: int = 1) -> int | None:
    """The whole number in this variable, or `default` when it is empty or not set; raises `SettingError`."""
    text = environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < least:
        raise SettingError(f"{name} must be a whole number from {least} to 999999999, not {text[:50]!r}")
    return int(text)
