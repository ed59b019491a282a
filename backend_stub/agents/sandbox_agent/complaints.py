"""Why an agent refused a request or failed a turn, in one sentence for a person that says what to do next.

The protocol leaves it to agents where they put the reason: `data` of an error may be of any JSON type, and a message
may be JSON in a string. So the words are looked for, and what they are about is told by the status of HTTP in them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import Raw, Struct

from foundry_tui.contract.codec import decode

LONGEST = 600
"""Characters of an agent's words that a sentence quotes; the task's log has them whole."""
AUTH_REQUIRED = -32000
INTERNAL_ERROR = -32603
_INVALID = frozenset({-32600, -32601, -32602})
"""JSON-RPC's own words for a request that will never be understood."""

LOGINS: Mapping[str, str] = {
    "amp": "amp login",
    "claude": "foundry agent login claude",
    "codex": "foundry agent login codex",
    "cursor": "cursor-agent login",
    "gemini": "foundry agent login gemini",
    "opencode": "foundry agent login opencode",
    "pi": "pi /login",
}
"""The command that logs in, by agent, run in the person's own terminal."""

_WORDS = (
    "message",
    "details",
    "detail",
    "error",
    "errors",
    "reason",
    "error_description",
    "description",
    "title",
    "body",
)
_STATUSES = ("status", "statusCode", "status_code", "httpStatus", "http_status", "code", "error_code")
_NESTED = ("error", "data", "response", "cause", "details", "body")
_AFTER = {"retry_after": 1.0, "retryAfter": 1.0, "retry-after": 1.0, "retry_after_ms": 0.001, "retryAfterMs": 0.001}
"""Where agents say when to try again, and the seconds of one unit."""
_ADDED = "agentStderr"
"""What sandbox-agent adds to the data of an error: everything that the agent printed so far."""
_SAYS_NOTHING = frozenset({"", "error", "internal error", "server error", "unknown error", "request failed"})
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_PREFIX = re.compile(r"(?i)^(?:internal|server) error: (?=\S)")

_STATUS = re.compile(
    r"(?i)(?:\b(?:status|error|http|code)(?:/[\d.]+)?(?: code)?[ :=(]{1,3}([45]\d\d)\b)"
    r"|\b([45]\d\d) (?:unauthorized|forbidden|payment|too many|internal|bad gateway|service|gateway|overloaded)"
)
_LOGIN = re.compile(
    r"(?i)unauthori[sz]ed|authenticat|not (?:logged|signed) in|\blog ?in\b|\bsign ?in\b|/login\b"
    r"|(?:invalid|incorrect|missing|no|set|without) [^.]{0,30}api[ _-]?key"
    r"|api[ _-]?key [^.]{0,30}(?:missing|not|invalid)"
)
_LIMIT = re.compile(r"(?i)too many requests|rate.?limit|usage limit|quota|exceeded retry limit")
_FAULT = re.compile(
    r"(?i)overloaded|internal server error|server had an error|high demand|bad gateway|service unavailable"
    r"|gateway time-?out"
)
_NETWORK = re.compile(
    r"(?i)ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|fetch failed|network error|stream disconnected"
    r"|connection (?:refused|reset|error|closed|timed out)|error sending request|dns error"
    r"|(?:cannot|could not|unable to|failed to) connect"
)
_DEAD = re.compile(r"(?i)\bprocess\b|transport|exited|EPIPE|broken pipe|\bclosed\b")
_WHEN = re.compile(r"(?i)(?:try again|retry|resets?)(?: after| in| at)\b[^.;,]*\d")


class About(Enum):
    """What a complaint is about: who can mend it, and how."""

    LOGIN = "login"
    LIMIT = "limit"
    FAULT = "fault"
    NETWORK = "network"
    INVALID = "invalid"
    OTHER = "other"


class RpcError(Struct, frozen=True):
    """The error of a JSON-RPC answer; `data` is whatever the agent put there."""

    code: int = 0
    message: str = ""
    data: object = None


class AuthMethod(Struct, frozen=True):
    """A way to log in that the agent told of in its handshake."""

    id: str = ""
    name: str = ""
    description: str | None = None
    type: str | None = None
    args: tuple[str, ...] = ()


class Complaint(Struct, frozen=True):
    """An agent's error understood: what it is about, its `words` without a full stop, and what to do `next`."""

    about: About
    words: str
    next: str
    internal: bool = False
    """Whether it speaks of the agent's own state, which another process may mend."""
    dead: bool = False
    """Whether something of the agent is gone by all that it says, so that nothing else mends it."""


def rpc_error(raw: Raw) -> RpcError:
    """The error of an answer, whatever shape the agent gave it."""
    value = _any(raw)
    if not isinstance(value, dict):
        return RpcError(message=value if isinstance(value, str) else "", data=None if isinstance(value, str) else value)
    code, message = value.get("code"), value.get("message")
    return RpcError(
        code=int(code) if isinstance(code, int | float) or (isinstance(code, str) and _NUMBER.fullmatch(code)) else 0,
        message=message if isinstance(message, str) else _said(message),
        data=value.get("data"),
    )


def auth_methods(raw: Raw) -> tuple[AuthMethod, ...]:
    """The ways to log in that can be read among those of a handshake."""
    methods = _any(raw)
    found = []
    for method in methods if isinstance(methods, list) else ():
        try:
            found.append(msgspec.convert(method, AuthMethod))
        except msgspec.ValidationError:
            continue
    return tuple(found)


def understood(error: RpcError, agent: str, methods: Sequence[AuthMethod], *, opening: bool = False) -> Complaint:
    """What this error means. `opening`: it answered the handshake or the opening of a session, not a prompt."""
    data = error.data
    if isinstance(data, dict):
        data = {name: value for name, value in data.items() if name != _ADDED}
    words = _sentence(error, data)
    status = _status(error, data, words)
    again = "retry" if opening else "send the prompt again"
    if (
        status == 401
        or (opening and error.code == AUTH_REQUIRED)
        or (status is None and not _LIMIT.search(words) and _LOGIN.search(words))
    ):
        return Complaint(About.LOGIN, words, f"{how_to_log_in(agent, methods)}, then {again}", internal=True)
    if status == 403:
        account = f"check what the account may use, or {how_to_log_in(agent, methods)}, then {again}"
        return Complaint(About.LOGIN, words, account, internal=True)
    if status == 402:
        return Complaint(About.OTHER, words, f"look after the account's plan or credit, then {again}")
    if status == 429 or (status is None and _LIMIT.search(words)):
        return Complaint(About.LIMIT, words, f"the model's provider was asked too often: {again} {_when(data, words)}")
    # Where nobody has answered there is no status, and some agents then say 500.
    unanswered = _NETWORK.search(words) is not None and (status is None or status <= 500)
    if not unanswered and ((status is not None and status >= 500) or _FAULT.search(words)):
        return Complaint(About.FAULT, words, f"the model's provider has a fault of its own: {again} later")
    if unanswered:
        return Complaint(
            About.NETWORK, words, f"the model's provider cannot be reached: look at the network, then {again}"
        )
    if error.code in _INVALID:
        return Complaint(About.INVALID, words, "")
    internal = error.code == INTERNAL_ERROR
    dead = internal and (words.lower() in _SAYS_NOTHING or _DEAD.search(words) is not None)
    return Complaint(About.OTHER, words, "", internal=internal, dead=dead)


def how_to_log_in(agent: str, methods: Sequence[AuthMethod]) -> str:
    """How to log in with this agent, in words that follow "to go on, …"; names the exact command where it is known."""
    command = LOGINS.get(agent)
    terminal = next((method for method in methods if method.type == "terminal" and method.args), None)
    if command is None and terminal is not None:
        how = f"log in by running {agent}'s own command with `{' '.join(terminal.args)}` in a terminal"
    else:
        how = (
            f"log in with `{command}` in a terminal" if command else f"log in with {agent}'s own command in a terminal"
        )
    offers = [_offer(method) for method in methods if method.name or method.id]
    return how + (f" ({agent} offers: {'; '.join(offers)})" if offers else "")


def _offer(method: AuthMethod) -> str:
    name = method.name or method.id
    return f"{name}, {' '.join(method.description.split()).rstrip('.')}" if method.description else name


def _any(raw: Raw | bytes) -> Any:
    """A value of any shape, or its text where it cannot be read."""
    try:
        return decode(raw, Any)
    except msgspec.DecodeError:
        return bytes(raw).decode(errors="replace")


def _sentence(error: RpcError, data: object) -> str:
    message, detail = _unwrapped(error.message), _said(data)
    if message.strip(" .").lower() in _SAYS_NOTHING:
        if not detail and data not in (None, {}, [], "", True, False):
            detail = json.dumps(data, ensure_ascii=False)
        message, detail = detail or message, ""
    if detail and detail not in message:
        message = detail if message in detail else f"{message.rstrip('. ')}: {detail}"
    message = _PREFIX.sub("", message)
    words = " ".join(message.split()).rstrip(". ") or f"error {error.code}"
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def _said(value: object) -> str:
    """The words in a value of any shape, looked for where agents put them."""
    if isinstance(value, str):
        return _unwrapped(value)
    if isinstance(value, dict):
        return next((text for name in _WORDS if name in value and (text := _said(value[name]))), "")
    if isinstance(value, list):
        return next((text for each in value if (text := _said(each))), "")
    return ""


def _unwrapped(text: str) -> str:
    """A text without the JSON that an agent left in it: `401 {"error": {"message": "bad key"}}` is `401: bad key`."""
    start = 0 if text.startswith("[") else text.find("{")
    try:
        value, end = json.JSONDecoder().raw_decode(text, max(start, 0))
    except (ValueError, RecursionError):
        return text.strip()
    said = _said(value)
    if not said:
        return text.strip()
    before, after = text[:start].rstrip(" :"), text[end:].strip()
    return " ".join(part for part in (f"{before}:" if before else "", said, after) if part)


def _status(error: RpcError, data: object, words: str) -> int | None:
    """The status of HTTP that the error came with, if any."""
    for number in (error.code, *_numbers(data)):
        if 400 <= number <= 599:
            return number
    text = f"{error.message} {words}"
    match = _STATUS.search(text)
    return int(match[1] or match[2]) if match else None


def _numbers(value: object, depth: int = 0) -> Iterator[int]:
    if not isinstance(value, dict) or depth > 4:
        return
    for name in _STATUSES:
        number = value.get(name)
        if isinstance(number, int) or (isinstance(number, str) and number.isdecimal() and len(number) == 3):
            yield int(number)
    for name in _NESTED:
        yield from _numbers(value.get(name), depth + 1)


def _when(data: object, words: str) -> str:
    if _WHEN.search(words):
        return "when it says"
    seconds = _after(data)
    return "in a while" if seconds is None else f"in {seconds:.0f} s"


def _after(value: object, depth: int = 0) -> float | None:
    """Seconds after which to try again, as far as the agent's data say so."""
    if not isinstance(value, dict) or depth > 4:
        return None
    for name, unit in _AFTER.items():
        number = value.get(name)
        if isinstance(number, str) and number.isdecimal():
            number = int(number)
        if isinstance(number, int | float):
            return number * unit
    return next((found for each in value.values() if (found := _after(each, depth + 1)) is not None), None)
