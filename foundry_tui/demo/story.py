"""What happens in the demo: its tasks, how each goes, and when; the same for the same seed."""

import random
from typing import Any, Literal

from msgspec import Struct

from foundry_tui.demo.scenes import Scene, scenes
from foundry_tui.demo.turns import AGENT, PULL_REQUEST, turn

FILES: dict[str, dict[str, str]] = {
    "shop": {
        "README.md": "# shop\n\nWhere things are bought.\n",
        "app/auth.py": "def login(request, session):\n    check(request.reset_token)\n    refresh(session)\n",
        "Makefile": "e2e:\n\tpytest e2e\n",
    },
    "website": {"README.md": "# website\n", "styles/forms.css": "input { color: #111; }\n"},
    "billing": {"README.md": "# billing\n", "billing/job.py": "def nightly():\n    ...\n"},
}
"""What is in each repository."""
REPOSITORIES = tuple(FILES)
STAGE_SECONDS = 6.0
"""The time-out of a stage at speed 1; whatever is to succeed takes less."""
BACKOFF_SECONDS = 1.5
CUT_AT = 18.0
CUT_FOR = 2.5
"""When and for how long the connection drops, in seconds at speed 1."""
FAST_FROM = 60
"""More tasks than this are prepared in a hurry, many at once."""


class Act(Struct, frozen=True, kw_only=True):
    """Something done at `at` seconds (speed 1); below 0 it was done before the demo is opened.

    `task` counts the story's tasks from 0; `text` is the act's own.
    """

    at: float
    kind: Literal["create", "session", "archive", "kill", "pull_request"]
    task: int
    text: str = ""


class Opening(Struct, frozen=True, kw_only=True):
    """A task as it is asked for."""

    repo: str
    prompt: str
    title: str | None = None
    branch: str | None = None
    agent: str | None = None


class Story(Struct, frozen=True, kw_only=True):
    """The whole demo: `script` is what FOUNDRY_DEMO_SCRIPT is to hold."""

    openings: tuple[Opening, ...]
    acts: tuple[Act, ...]
    script: dict[str, Any]
    max_provisioning: int


_VERBS = ("fix", "add", "refactor", "speed up", "document", "test", "rename", "remove")
_THINGS = (
    "the date picker", "the export", "the audit log", "the price filter", "the onboarding mail", "the rate limiter",
    "the currency switch", "the upload", "the feature flags", "the sitemap", "the invoice footer", "the address form",
)  # fmt: skip
_PLACES = ("on mobile", "in the admin area", "for guests", "behind the proxy", "in the importer", "under load")


def tell(seed: int, speed: float, tasks: int | None = None) -> Story:
    """The story of this seed, `speed` times as fast, with `tasks` tasks in all (None: those of the scenes)."""
    chance = random.Random(seed)
    told = scenes()
    if tasks is not None:
        told = told[:tasks]
    many = tasks is not None and tasks > FAST_FROM
    filler = [_filler(chance, number, hurry=many) for number in range((tasks or 0) - len(told))]
    everything = [*told, *filler]
    acts: list[Act] = []
    for number, scene in enumerate(everything):
        acts.append(Act(at=scene.at / speed, kind="create", task=number))
        acts += [Act(at=at / speed, kind=kind, task=number, text=text) for at, kind, text in scene.then]
    stages = ("ensure_name", "create_sandbox", "ensure_agent", "create_session")
    entries: list[dict[str, Any]] = []
    for scene in told:
        # every stage of a scene has its own length, so that no two tasks move in step
        lengths: dict[str, Any] = {stage: {"ms": chance.randint(500, 2600)} for stage in stages}
        entries.append({"match": scene.prompt, "files": sorted(FILES[scene.repo]), **lengths, **scene.calls})
    entries += [{"match": text, **calls} for text, calls in _FILLER_CALLS.items()]
    default: dict[str, Any] = {stage: {"ms": 300 if many else 1500} for stage in stages}
    default |= {"release_sandbox": {"ms": 800}, "destroy_sandbox": {"ms": 1200}}
    default["turn"] = turn(6, "Done. The change is small, and the tests pass.", {"thought": "A small change will do."})
    default["later"] = turn(4, LATER, {"thought": "This goes beyond what I was made with."})
    default |= {"pull_request": PULL_REQUEST, "files": sorted(set.intersection(*map(set, FILES.values())))}
    return Story(
        openings=tuple(
            Opening(repo=scene.repo, prompt=scene.prompt, title=scene.title, branch=scene.branch, agent=scene.agent)
            for scene in everything
        ),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        script=_scaled({"agent": AGENT, "default": default, "tasks": entries}, speed),
        max_provisioning=64 if many else 12,
    )


LATER = "I have read that. I am simulated, so I have only one story to tell: a real agent would go on with it."
"""What the demo's agent says to each prompt but a task's first."""

_FILLER_CALLS: dict[str, dict[str, Any]] = {
    "in the importer": {
        "create_sandbox": {"ms": 300, "fail": "the importer's image is not built", "retryable": False, "times": 1}
    },
    "under load": {"turn": {"ms": 4000, "reply": "Measured, and halved.", "permission": "Start the load generator?"}},
    "behind the proxy": {"turn": {"ms": 600_000, "reply": "Done."}},
}


def _filler(chance: random.Random, number: int, *, hurry: bool) -> Scene:
    prompt = f"{chance.choice(_VERBS)} {chance.choice(_THINGS)} {chance.choice(_PLACES)} ({number + 1})"
    at = chance.uniform(0.5, 3.0) if hurry else chance.uniform(5.0, 45.0)
    return Scene(at=at, repo=chance.choice(REPOSITORIES), prompt=prompt)


def _scaled(value: Any, speed: float) -> Any:
    """The script with every length of time divided by `speed`."""
    if isinstance(value, dict):
        return {
            key: max(1, round(item / speed)) if key in ("ms", "checks_ms") else _scaled(item, speed)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_scaled(item, speed) for item in value]
    return value
