"""The tasks that show what can happen in the demo, and when they are asked for."""

from typing import Any, Literal

from msgspec import Struct

from foundry_tui.demo import turns
from foundry_tui.demo.turns import turn

ATTEMPTS = 3
"""How often a stage is tried before its task has failed: what fails so often goes on when a person retries it."""

EARLIER = -1.0
"""The time of a scene that was there before the demo is opened: it is prepared at once, and stands where it came to."""

_NO_WAIT = {stage: {"ms": 1} for stage in ("ensure_name", "create_sandbox", "ensure_agent", "create_session")}
_SANDBOX_LOG = ["pulling image python:3.12", "cloning at main", "installing 48 packages", "ready"]


class Scene(Struct, frozen=True, kw_only=True):
    """One task: when it is asked for (in seconds at speed 1), what each call of it does, and what comes `then`."""

    at: float
    repo: str
    prompt: str
    calls: dict[str, Any] = {}
    title: str | None = None
    branch: str | None = None
    agent: str | None = None
    then: tuple[tuple[float, Literal["session", "archive", "kill", "pull_request"], str], ...] = ()


def _earlier(repo: str, prompt: str, agent: str, calls: dict[str, Any] | None = None, **more: Any) -> Scene:
    """A scene that was there before."""
    return Scene(at=EARLIER, repo=repo, prompt=prompt, agent=agent, calls={**_NO_WAIT, **(calls or {})}, **more)


def scenes() -> list[Scene]:
    """All of them, those first that a demo of few tasks has too."""
    return [*_first(), *_that_were_there(), *_that_come()]


def _first() -> list[Scene]:
    """One that is prepared as one looks, one that works, one that asks."""
    return [
        Scene(
            at=0.5,
            repo="shop",
            prompt="fix the login redirect that loops after a password reset",
            agent="claude",
            calls={
                "create_sandbox": {"ms": 2200, "log": _SANDBOX_LOG},
                "turn": turns.FIX_LOGIN,
                "would_lose": ["app/auth.py is not committed", "1 commit of fix/login is not pushed"],
            },
        ),
        _earlier(
            "website",
            "add a dark mode to the settings page",
            "claude",
            {"turn": turns.dark_mode()},
            then=((12.0, "session", "review"), (12.2, "session", "tests")),
        ),
        _earlier("shop", "connect the error tracker", "opencode", {"turn": turns.CONNECT_TRACKER}),
        _earlier("shop", "prepare release 2.4", "codex", {"turn": turns.RELEASE}),
        _earlier("shop", "run the end-to-end tests and mend what is flaky", "claude", {"turn": turns.END_TO_END}),
    ]


def _that_were_there() -> list[Scene]:
    """Ready, failed and done. What has failed goes on with what its screen advises."""
    docs = turn(0.05, "The page is written: docs/retries.md, with three examples that are run as tests.")
    overflow = "the model refused: the conversation is longer than its context"
    no_login = "the agent has no credentials: sign in with `foundry agent login codex`, then retry"
    return [
        _earlier(
            "shop",
            "refactor the checkout module into one file a step",
            "codex",
            {"turn": turns.long_turn()},
            title="Split the checkout module",
            branch="refactor/checkout-steps",
        ),
        _earlier(
            "billing",
            "round sums as the law wants it",
            "claude",
            {"turn": turns.ROUNDING, "pull_request": turns.APPROVED},
            title="Rounding of sums",
            then=((EARLIER, "pull_request", ""),),
        ),
        _earlier(
            "shop",
            "READMEを日本語に翻訳する",
            "gemini",
            {"turn": turns.TRANSLATION, "pull_request": turns.FAILING},
            then=((EARLIER, "pull_request", ""),),
        ),
        _earlier(
            "billing",
            "rotate the payment provider's keys",
            "codex",
            {
                "create_session": {"ms": 1, "fail": no_login, "retryable": False, "times": 1},
                "turn": turn(5, "The new keys are in the vault, and the old ones end in an hour."),
            },
        ),
        _earlier(
            "billing",
            "rewrite the nightly billing job so that it can go on where it stopped",
            "claude",
            {
                "turn": turn(
                    0.02,
                    "The job keeps its place after each invoice, and goes on from there.",
                    fail=overflow,
                    times=1,
                )
            },
        ),
        _earlier(
            "website",
            "docs: explain how the retry policy works, with one example for each kind of error",
            "claude",
            {"turn": docs},
            then=((EARLIER, "archive", ""),),
        ),
        _earlier("billing", "try the new bundler on the invoice preview 🚀", "opencode", then=((EARLIER, "kill", ""),)),
    ]


def _that_come() -> list[Scene]:
    """What happens as one looks: retries, time-outs, failures, a question."""
    return [
        Scene(
            at=0.6,
            repo="shop",
            prompt="upgrade the HTTP client and mend what breaks",
            agent="codex",
            calls={
                "create_sandbox": {
                    "ms": 1500,
                    "fail": "the image registry did not answer",
                    "times": 2,
                    "log": _SANDBOX_LOG,
                },
                "turn": turn(14, "Upgraded; three call sites used the old time-out argument."),
            },
        ),
        Scene(
            at=0.8,
            repo="billing",
            prompt="migrate the invoices table to integer cents",
            agent="claude",
            calls={
                "create_sandbox": {
                    "ms": 1400,
                    "fail": "no space left on the sandbox host: 31 GB needed, 2 GB free",
                    "times": ATTEMPTS,
                    "log": ["pulling image postgres:16", "restoring the test database (28 GB)"],
                },
                "turn": turn(8, "All 2.1 million invoices are in cents, and every sum is what it was."),
            },
        ),
        Scene(
            at=1.0,
            repo="website",
            prompt="find the memory leak in the image worker",
            agent="gemini",
            calls={
                "ensure_agent": {"hang": "before", "times": ATTEMPTS},
                "turn": turn(8, "The worker kept every decoded image: it lets them go once they are written."),
            },
        ),
        Scene(
            at=5.0,
            repo="website",
            prompt="profile the search page and make it twice as fast",
            agent="claude",
            calls={
                "ensure_agent": {"hang": "before", "times": 1},
                "turn": turn(12, "The search page answers in 80 ms instead of 210: one query instead of 34."),
            },
        ),
        Scene(
            at=9.0,
            repo="website",
            prompt="chore: bring the dependencies up to date",
            agent="opencode",
            calls={"turn": turn(10, "41 packages are up to date; two majors are left for you to decide.")},
            then=((36.0, "archive", ""),),
        ),
        Scene(
            at=30.0,
            repo="shop",
            prompt="add a test for the coupon that is used twice at the same moment",
            agent="claude",
            calls={"turn": turns.COUPON},
        ),
    ]
