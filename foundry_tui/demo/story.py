"""What happens in the demo: its tasks, how each goes, and when; the same for the same seed."""

import random
from typing import Any, Literal

from msgspec import Struct

REPOSITORIES = ("shop", "website", "billing")
STAGE_SECONDS = 6.0
"""The time-out of a stage at speed 1; whatever is to succeed takes less."""
ATTEMPTS = 3
BACKOFF_SECONDS = 1.5
CUT_AT = 24.0
CUT_FOR = 4.0
"""When and for how long the connection drops, in seconds at speed 1."""
FAST_FROM = 60
"""More tasks than this are prepared in a hurry, many at once."""


class Act(Struct, frozen=True, kw_only=True):
    """Something done at `at` seconds (speed 1). `task` counts the story's tasks from 0; `text` is the act's own."""

    at: float
    kind: Literal["create", "session", "archive", "kill"]
    task: int
    text: str = ""


class Opening(Struct, frozen=True, kw_only=True):
    """A task as it is asked for."""

    repo: str
    prompt: str
    title: str | None = None
    branch: str | None = None


class Story(Struct, frozen=True, kw_only=True):
    """The whole demo: `script` is what FOUNDRY_DEMO_SCRIPT is to hold."""

    openings: tuple[Opening, ...]
    acts: tuple[Act, ...]
    script: dict[str, Any]
    max_provisioning: int


class _Scene(Struct, frozen=True, kw_only=True):
    at: float
    repo: str
    prompt: str
    calls: dict[str, Any] = {}
    title: str | None = None
    branch: str | None = None
    then: tuple[tuple[float, Literal["session", "archive", "kill"], str], ...] = ()


def _turn(seconds: float, reply: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ms": seconds * 1000, "reply": reply, "steps": list(steps), **more}


_FIX_LOGIN = _turn(
    9,
    "The redirect loop is gone: the session cookie is now refreshed before the reset token is checked, and a test "
    "covers both orders. Two files changed.",
    {"thought": "The loop needs two requests to show, so I look at what the first one leaves behind."},
    {"plan": ["Reproduce the loop in a test", "Find where the cookie is refreshed", "Mend the order", "Run the tests"]},
    {
        "tool": "Search for reset_token",
        "kind": "search",
        "content": "app/auth.py:41\napp/auth.py:88\ntests/test_auth.py:17",
    },
    {"tool": "Read app/auth.py", "kind": "read", "content": "118 lines"},
    {
        "tool": "Edit app/auth.py",
        "kind": "edit",
        "content": "refresh first, check then",
        "edits": [
            {
                "path": "app/auth.py",
                "old": "    check(request.reset_token)\n    refresh(session)\n",
                "new": "    refresh(session)\n    check(request.reset_token)\n",
            }
        ],
    },
    {"tool": "Run pytest tests/test_auth.py", "kind": "execute", "content": "14 passed in 0.31s"},
)

_SANDBOX_LOG = ["pulling image python:3.12", "cloning at main", "installing 48 packages", "ready"]


def _scenes() -> list[_Scene]:
    """The tasks that show what can happen; seconds at speed 1."""
    return [
        _Scene(
            at=0.0,
            repo="shop",
            prompt="fix the login redirect that loops after a password reset",
            calls={
                "create_sandbox": {"ms": 2200, "log": _SANDBOX_LOG},
                "turn": _FIX_LOGIN,
                "would_lose": ["app/auth.py is not committed", "1 commit of fix/login is not pushed"],
            },
        ),
        _Scene(
            at=0.1,
            repo="website",
            prompt="docs: explain how the retry policy works, with one example for each kind of error",
            calls={
                "turn": _turn(4, "The page is written: docs/retries.md, with three examples that are run as tests.")
            },
            then=((16.0, "archive", ""),),
        ),
        _Scene(
            at=0.2,
            repo="billing",
            prompt="migrate the invoices table to integer cents",
            calls={
                "create_sandbox": {
                    "ms": 1400,
                    "fail": "no space left on the sandbox host: 31 GB needed, 2 GB free",
                    "log": ["pulling image postgres:16", "restoring the test database (28 GB)"],
                }
            },
        ),
        _Scene(
            at=0.4,
            repo="shop",
            prompt="run the end-to-end tests and mend what is flaky",
            calls={
                "turn": _turn(
                    8,
                    "All 212 end-to-end tests passed ten times in a row; the flaky one waited for an animation.",
                    {"tool": "Read Makefile", "kind": "read", "content": "e2e: docker compose up -d && pytest e2e"},
                    {"thought": "The target starts containers, so I ask first."},
                    {
                        "permission": "Run make e2e?",
                        "kind": "execute",
                        "text": "docker compose -f e2e.yml up -d --wait\nfor run in $(seq 10); do\n"
                        "    pytest e2e -q -n 4 --maxfail=3 || break\ndone\ndocker compose -f e2e.yml down --volumes",
                        "paths": ["e2e.yml"],
                    },
                )
            },
        ),
        _Scene(
            at=0.6,
            repo="shop",
            prompt="upgrade the HTTP client and mend what breaks",
            calls={
                "create_sandbox": {
                    "ms": 1500,
                    "fail": "the image registry did not answer",
                    "times": 2,
                    "log": _SANDBOX_LOG,
                },
                "turn": _turn(14, "Upgraded; three call sites used the old time-out argument."),
            },
        ),
        _Scene(
            at=0.8,
            repo="website",
            prompt="find the memory leak in the image worker",
            calls={"ensure_agent": {"hang": "before"}},
        ),
        _Scene(
            at=1.0,
            repo="website",
            prompt="add a dark mode to the settings page",
            calls={
                "turn": _turn(
                    45,
                    "Dark mode is there, follows the system's setting, and is kept per user.",
                    *(
                        step
                        for part in ("header", "forms", "tables", "charts", "dialogs", "footer")
                        for step in (
                            {"thought": f"The {part} use fixed colours; they become variables."},
                            {
                                "tool": f"Edit styles/{part}.css",
                                "kind": "edit",
                                "content": f"{part}: 12 colours replaced",
                            },
                            {"message": f"The {part} are done: both themes keep a contrast of 4.5 to 1."},
                        )
                    ),
                )
            },
            then=((12.0, "session", "review"), (12.2, "session", "tests")),
        ),
        _Scene(
            at=2.0,
            repo="billing",
            prompt="rewrite the nightly billing job so that it can go on where it stopped",
            calls={"turn": {"ms": 5000, "fail": "the model refused: the conversation is longer than its context"}},
        ),
        _Scene(
            at=3.0,
            repo="shop",
            prompt="READMEを日本語に翻訳する",
            calls={"turn": _turn(7, "翻訳しました。見出しと例はそのままです。")},
        ),
        _Scene(
            at=4.0,
            repo="billing",
            prompt="rotate the payment provider's keys",
            calls={
                "create_session": {
                    "ms": 900,
                    "fail": "the agent has no credentials: sign in with its own login command",
                    "retryable": False,
                }
            },
        ),
        _Scene(
            at=5.0,
            repo="website",
            prompt="profile the search page and make it twice as fast",
            calls={
                "ensure_agent": {"hang": "before", "times": 1},
                "turn": _turn(12, "The search page answers in 80 ms instead of 210: one query instead of 34."),
            },
        ),
        _Scene(
            at=7.0,
            repo="shop",
            prompt="refactor the checkout module into one file a step",
            title="Split the checkout module",
            branch="refactor/checkout-steps",
            calls={"turn": _long_turn()},
        ),
        _Scene(
            at=9.0,
            repo="billing",
            prompt="try the new bundler on the invoice preview 🚀",
            then=((22.0, "kill", ""),),
        ),
        _Scene(
            at=14.0,
            repo="website",
            prompt="chore: bring the dependencies up to date",
            calls={"turn": _turn(10, "41 packages are up to date; two majors are left for you to decide.")},
        ),
        _Scene(
            at=30.0,
            repo="shop",
            prompt="add a test for the coupon that is used twice at the same moment",
            calls={
                "turn": _turn(
                    12,
                    "The test shows the race, and a unique index ends it.",
                    {
                        "permission": "Apply the migration to the local database?",
                        "kind": "edit",
                        "edits": [
                            {
                                "path": "migrations/0042_one_use_of_a_coupon.sql",
                                "new": "CREATE UNIQUE INDEX one_use\n    ON coupon_uses (coupon_id, cart_id);\n",
                            },
                            {
                                "path": "shop/coupons.py",
                                "old": "    if not coupon.is_used(cart):\n        coupon.use(cart)\n",
                                "new": "    with suppress(AlreadyUsed):\n        coupon.use(cart)\n",
                            },
                        ],
                    },
                )
            },
        ),
    ]


def _long_turn() -> dict[str, Any]:
    files = [f"checkout/{name}.py" for name in ("cart", "address", "shipping", "payment", "review", "receipt")]
    steps: list[dict[str, Any]] = [{"plan": [f"Move {file}" for file in files]}]
    for number in range(240):
        file = files[number % len(files)]
        steps.append({"tool": f"Read {file}", "kind": "read", "content": f"lines {number * 20 + 1}-{number * 20 + 20}"})
        if number % 4 == 3:
            steps.append(
                {"message": f"Part {number // 4 + 1} of {file} stands on its own now; its imports are sorted."}
            )
    return _turn(30, "The module is split; every step has a file, and the tests pass unchanged.", *steps)


_VERBS = ("fix", "add", "refactor", "speed up", "document", "test", "rename", "remove")
_THINGS = (
    "the date picker", "the export", "the audit log", "the price filter", "the onboarding mail", "the rate limiter",
    "the currency switch", "the upload", "the feature flags", "the sitemap", "the invoice footer", "the address form",
)  # fmt: skip
_PLACES = ("on mobile", "in the admin area", "for guests", "behind the proxy", "in the importer", "under load")


def tell(seed: int, speed: float, tasks: int | None = None) -> Story:
    """The story of this seed, `speed` times as fast, with `tasks` tasks in all (None: those of the scenes)."""
    chance = random.Random(seed)
    scenes = _scenes()
    if tasks is not None:
        scenes = scenes[:tasks]
    many = tasks is not None and tasks > FAST_FROM
    filler = [_filler(chance, number, hurry=many) for number in range((tasks or 0) - len(scenes))]
    everything = [*scenes, *filler]
    acts: list[Act] = []
    for number, scene in enumerate(everything):
        acts.append(Act(at=scene.at / speed, kind="create", task=number))
        acts += [Act(at=at / speed, kind=kind, task=number, text=text) for at, kind, text in scene.then]
    stages = ("ensure_name", "create_sandbox", "ensure_agent", "create_session")
    entries: list[dict[str, Any]] = []
    for scene in scenes:
        # every stage of a scene has its own length, so that no two tasks move in step
        lengths: dict[str, Any] = {stage: {"ms": chance.randint(500, 2600)} for stage in stages}
        entries.append({"match": scene.prompt, **lengths, **scene.calls})
    entries += [{"match": text, **calls} for text, calls in _FILLER_CALLS.items()]
    default: dict[str, Any] = {stage: {"ms": 300 if many else 1500} for stage in stages}
    default |= {"release_sandbox": {"ms": 800}, "destroy_sandbox": {"ms": 1200}}
    default["turn"] = _turn(6, "Done. The change is small, and the tests pass.", {"thought": "A small change will do."})
    return Story(
        openings=tuple(
            Opening(repo=scene.repo, prompt=scene.prompt, title=scene.title, branch=scene.branch)
            for scene in everything
        ),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        script=_scaled({"default": default, "tasks": entries}, speed),
        max_provisioning=64 if many else 5,
    )


_FILLER_CALLS: dict[str, dict[str, Any]] = {
    "in the importer": {"create_sandbox": {"ms": 300, "fail": "the importer's image is not built", "retryable": False}},
    "under load": {"turn": {"ms": 4000, "reply": "Measured, and halved.", "permission": "Start the load generator?"}},
    "behind the proxy": {"turn": {"ms": 600_000, "reply": "Done."}},
}


def _filler(chance: random.Random, number: int, *, hurry: bool) -> _Scene:
    prompt = f"{chance.choice(_VERBS)} {chance.choice(_THINGS)} {chance.choice(_PLACES)} ({number + 1})"
    at = chance.uniform(0.5, 3.0) if hurry else chance.uniform(5.0, 45.0)
    return _Scene(at=at, repo=chance.choice(REPOSITORIES), prompt=prompt)


def _scaled(value: Any, speed: float) -> Any:
    """The script with every length of time divided by `speed`."""
    if isinstance(value, dict):
        return {
            key: max(1, round(item / speed)) if key == "ms" else _scaled(item, speed) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_scaled(item, speed) for item in value]
    return value
