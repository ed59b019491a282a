"""What agents say and do in the demo: their turns, and what they offer."""

from typing import Any


def turn(seconds: float, reply: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A turn of so many seconds (speed 1) that ends with this reply."""
    return {"ms": seconds * 1000, "reply": reply, "steps": list(steps), **more}


def _used(tokens: int, dollars: float) -> dict[str, Any]:
    return {"used": tokens, "size": 200_000, "cost": {"amount": dollars, "currency": "USD"}}


AGENT: dict[str, Any] = {
    "commands": [
        {"name": "compact", "description": "Make the conversation shorter"},
        {"name": "review", "description": "Review what was changed", "hint": "what to look at"},
        {"name": "init", "description": "Write down what there is to know of this repository"},
    ],
    "accepts": {"image": True, "embedded": True, "steering": True},
}
"""What every agent of the demo offers beside its models and modes."""

PULL_REQUEST: dict[str, Any] = {"ms": 600, "checks": {"state": "passing", "passed": 5}, "checks_ms": 12_000}
"""How a pull request goes that a person opens: its checks run for some seconds, and pass."""
APPROVED: dict[str, Any] = {"ms": 1, "checks": {"state": "passing", "passed": 5}, "review": "approved"}
FAILING: dict[str, Any] = {
    "ms": 1,
    "checks": {"state": "failing", "passed": 4, "failed": 1, "names": ["links"]},
    "logs": {"links": "README.ja.md:3: docs/start.ja.md does not exist\n1 of 2 links leads nowhere\n"},
}
"""How those go that were opened before."""

FIX_LOGIN = turn(
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
            },
            {
                "path": "tests/test_auth.py",
                "new": "def test_refreshed_first(client):\n    assert client.reset().history == []\n",
            },
        ],
    },
    {"tool": "Run pytest tests/test_auth.py", "kind": "execute", "content": "14 passed in 0.31s"},
    {"usage": _used(31_000, 0.18)},
)

END_TO_END = turn(
    2,
    "All 212 end-to-end tests passed ten times in a row; the flaky one waited for an animation.",
    {"tool": "Read Makefile", "kind": "read", "content": "e2e: docker compose up -d && pytest e2e", "ms": 1},
    {"thought": "The target starts containers, so I ask first.", "ms": 1},
    {"usage": _used(22_000, 0.11), "ms": 1},
    {
        "permission": "Run make e2e?",
        "kind": "execute",
        "text": "docker compose -f e2e.yml up -d --wait\nfor run in $(seq 10); do\n"
        "    pytest e2e -q -n 4 --maxfail=3 || break\ndone\ndocker compose -f e2e.yml down --volumes",
        "paths": ["e2e.yml"],
        "ms": 1,
    },
    {"tool": "Run make e2e", "kind": "execute", "content": "212 passed in 48.1s\n" * 10, "ms": 6000},
)

RELEASE = turn(
    3,
    "The release is prepared as you said: the changelog is written, and nothing else has to change for it.",
    {"tool": "Read CHANGELOG.md", "kind": "read", "content": "41 entries since 2.3", "ms": 1},
    {
        "form": "What should the release say?",
        "fields": [
            {"name": "version", "type": "string", "title": "Version", "required": True, "default": "2.4.0"},
            {
                "name": "channel",
                "type": "select",
                "title": "Channel",
                "required": True,
                "default": "stable",
                "choices": [{"value": "stable", "name": "Stable"}, {"value": "beta", "name": "Beta"}],
            },
            {"name": "announce", "type": "boolean", "title": "Announce it", "required": False, "default": True},
        ],
        "ms": 1,
    },
    {
        "tool": "Edit CHANGELOG.md",
        "kind": "edit",
        "edit": {"path": "CHANGELOG.md", "old": "", "new": "- Sums are rounded once.\n"},
    },
)

CONNECT_TRACKER = turn(
    3,
    "Connected: errors of the checkout are told to the tracker from now on.",
    {"thought": "The tracker wants me to be let in by a person.", "ms": 1},
    {"url": "https://tracker.example/connect?app=shop", "message": "Let Foundry into the tracker", "ms": 1},
)

ROUNDING = turn(
    0.1,
    "Sums are rounded once, at the end, and half to even as the law has it; 31 tests cover the limits.",
    {
        "tool": "Edit billing/sums.py",
        "kind": "edit",
        "edit": {
            "path": "billing/sums.py",
            "old": "total = sum(round(each, 2) for each in lines)\n",
            "new": "total = sum(lines).quantize(CENT, ROUND_HALF_EVEN)\n",
        },
        "ms": 1,
    },
    {"tool": "Run pytest billing", "kind": "execute", "content": "31 passed in 0.8s", "ms": 1},
    {"usage": _used(58_000, 0.42), "ms": 1},
)

TRANSLATION = turn(
    0.05,
    "翻訳しました。見出しと例はそのままです。",
    {
        "tool": "Write README.ja.md",
        "kind": "edit",
        "edit": {"path": "README.ja.md", "new": "# shop\n\n買い物をする所です。[使い方](docs/start.ja.md)\n"},
        "ms": 1,
    },
)

COUPON = turn(
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


def dark_mode() -> dict[str, Any]:
    """A turn that says, edits and says again for most of a minute."""
    parts = ("headers", "forms", "tables", "charts", "dialogs", "footers")
    steps: list[dict[str, Any]] = [{"plan": [f"Make the colours of the {part} variables" for part in parts], "ms": 1}]
    for number, part in enumerate(parts):
        old = f".{part} {{\n  color: #111;\n  background: #fff;\n}}\n"
        new = f".{part} {{\n  color: var(--text);\n  background: var(--ground);\n}}\n"
        steps += [
            {"thought": f"The {part} use fixed colours; they become variables."},
            {
                "tool": f"Edit styles/{part}.css",
                "kind": "edit",
                "edit": {"path": f"styles/{part}.css", "old": old, "new": new},
            },
            {
                "message": f"The {part} are done: both themes keep a contrast of 4.5 to 1, and what was written by "
                f"hand in styles/{part}.css is two variables now, so that the next theme needs no change here."
            },
            {"usage": _used(40_000 + 9_000 * number, 0.2 + 0.07 * number), "ms": 1},
        ]
    return turn(50, "Dark mode is there, follows the system's setting, and is kept per user.", *steps)


def long_turn() -> dict[str, Any]:
    """A turn whose transcript is longer than any screen."""
    files = [f"checkout/{name}.py" for name in ("cart", "address", "shipping", "payment", "review", "receipt")]
    steps: list[dict[str, Any]] = [{"plan": [f"Move {file}" for file in files]}]
    for number in range(240):
        file = files[number % len(files)]
        steps.append({"tool": f"Read {file}", "kind": "read", "content": f"lines {number * 20 + 1}-{number * 20 + 20}"})
        if number % 4 == 3:
            steps.append(
                {"message": f"Part {number // 4 + 1} of {file} stands on its own now; its imports are sorted."}
            )
    steps += [
        {"tool": f"Write {file}", "kind": "edit", "edit": {"path": file, "new": "def step(order):\n    ...\n"}, "ms": 1}
        for file in files
    ]
    return turn(30, "The module is split; every step has a file, and the tests pass unchanged.", *steps)
