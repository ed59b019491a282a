"""Why gh did not do it, as a sentence with what to do; and for how long a forge takes no more requests."""

import re

import msgspec

from backend_stub.domain.forge import LONGEST_LIMIT, ForgeError, ForgeLimitedError
from backend_stub.repository.git_errors import without_credentials
from foundry_tui.contract.codec import decode

_LOGIN = re.compile(r"gh auth login|HTTP 401|Bad credentials", re.IGNORECASE)
_RATE = re.compile(r"rate limit|RATE_LIMITED|abuse detection|HTTP 429", re.IGNORECASE)
_CERTIFICATE = re.compile(r"x509:|certificate|tls: ", re.IGNORECASE)
_AWAY = re.compile(
    r"error connecting to|dial tcp|no such host|connection re(?:fused|set)|timeout|timed out|HTTP 5|\bEOF\b",
    re.IGNORECASE,
)
_NO_NUMBER = re.compile(r"Could not resolve to an? (?P<what>.+) with the number of (?P<number>\d+)", re.IGNORECASE)
_UNKNOWN = re.compile(r"Could not resolve to a Repository|HTTP 404", re.IGNORECASE)
_NOTHING_NEW = re.compile(r"No commits between", re.IGNORECASE)
_NO_BASE = re.compile(r"Base ref must be a branch", re.IGNORECASE)
_GARBLED = re.compile(r"invalid character|unexpected end of JSON|cannot unmarshal", re.IGNORECASE)
_RETRY_AFTER = re.compile(r"^retry-after:\s*(\d{1,7})\s*$", re.IGNORECASE | re.MULTILINE)
_EMPTY_LINE = re.compile(r"\r?\n\r?\n")


def refused(host: str, repository: str, exit_code: int, errors: str) -> ForgeError:
    """What the end of gh means that was run for `repository` (OWNER/NAME) at `host`, by what it printed."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = without_credentials(" · ".join(lines[-3:]))[:400] or f"exit code {exit_code}"
    if exit_code == 4 or _LOGIN.search(errors):
        return ForgeError(f"gh is not logged in to {host}. Log in: gh auth login --hostname {host}.", retryable=False)
    if _RATE.search(errors):
        return ForgeLimitedError(f"{host} takes no more requests for now (its rate limit is used up). Try again later.")
    if (missing := _NO_NUMBER.search(errors)) is not None:
        what, other = ("pull request", "an issue") if missing["what"] == "PullRequest" else ("issue", "a pull request")
        return ForgeError(
            f"{repository} on {host} has no {what} #{missing['number']}. Look at the number; it may be {other}.",
            retryable=False,
        )
    if _UNKNOWN.search(errors):
        return ForgeError(
            f"{host} knows no repository {repository}, or your login there may not see it. See: gh auth status.",
            retryable=False,
        )
    if _NOTHING_NEW.search(errors):
        return ForgeError("The branch has no commit that the base does not have: nothing to propose.", retryable=False)
    if _NO_BASE.search(errors):
        return ForgeError(
            f"{repository} at {host} has no branch of the base's name. Push the base there, then do this again; or, "
            f"where it has another name by now, open one by hand (gh pr create --repo {host}/{repository} --base NAME "
            "--head BRANCH), and do this again to go on with that one.",
            retryable=False,
        )
    if _CERTIFICATE.search(errors):
        return ForgeError(
            f"{host} shows a certificate that is not trusted here: {said}. Check the clock and the proxy; for a host "
            "with a certificate of its own, have SSL_CERT_FILE name it where the backend starts.",
            retryable=False,
        )
    if _AWAY.search(errors):
        return ForgeError(f"{host} cannot be reached: {said}. Check the network, then do this again.")
    if _GARBLED.search(errors):
        return ForgeError(f"{host} answered gh what is no JSON: {said}. Check the proxy, then do this again.")
    return ForgeError(f"gh was refused by {host}: {said}", retryable=False)


def limited(host: str, answer: str, now: int) -> ForgeLimitedError:
    """The same for a rate limit, with its end: by what `gh api --include rate_limit` printed at the time `now` (ms)."""
    told = _seconds(answer, now)
    seconds = None if told is None else min(told, LONGEST_LIMIT)
    when = "later" if seconds is None else f"in {max(1, -(-seconds // 60))} min"
    return ForgeLimitedError(
        f"{host} takes no more requests for now (its rate limit is used up). Try again {when}.",
        until=None if seconds is None else now + seconds * 1000,
    )


def _seconds(answer: str, now: int) -> int | None:
    """The seconds until requests are taken again, as far as the answer says."""
    head, *body = _EMPTY_LINE.split(answer, maxsplit=1)
    told = _RETRY_AFTER.search(head)
    if told is not None:
        return int(told[1])
    try:
        resources = decode("".join(body), _Limits).resources
    except msgspec.DecodeError:
        return None
    used_up = [each.reset for each in resources.values() if each.remaining == 0]
    return max(0, max(used_up) - now // 1000) if used_up else None


class _Limit(msgspec.Struct):
    remaining: int = 1
    reset: int = 0


class _Limits(msgspec.Struct):
    resources: dict[str, _Limit] = {}
