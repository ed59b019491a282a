"""The gallery: the real app in each of its states, drawn into `screenshots/`; run `python -m tests.gallery [NAME…]`.

Clock and frame stand still and the worlds are made by hand, so the same code always draws the same pictures.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.statistics import ConnectionEvent, Diagnostics, Latency, RefreshReason, TopicDiagnostics
from foundry_tui.client.store import Store
from foundry_tui.contract.agents import INSTALLABLE, how_to_get
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets.composer import Composer
from tests.app import checkpoint_scenes, question_scenes, task_scenes, way_home_scenes
from tests.app.diff_scenes import REVIEW, diff_of
from tests.app.factories import NOW, SECOND
from tests.app.harness import FakeCommands, make_app, make_store, rest
from tests.app.list_scenes import AWAY, every_state, many, store_of, store_of_every_state, store_of_speaking
from tests.app.offers import AGENTS, DEFAULTS
from tests.png_stamp import digest_of, stamp_of, stamped

FOLDER = Path(__file__).parent.parent / "screenshots"
FONT = "DejaVu Sans Mono"

WIDE, MEDIUM, NARROW = (120, 34), (100, 32), (60, 34)


class Shot(Struct, frozen=True):
    """One picture: its file's name, what it shows, and how the app is brought there."""

    name: str
    caption: str
    store: Callable[[], Store]
    keys: Sequence[str] = ()
    size: tuple[int, int] = WIDE
    opens: bool = False
    """Whether the task of `task_scenes` is opened before keys are pressed."""
    theme: str = "foundry-dark"
    ascii: bool = False
    agents: bool = False
    """Whether the backend has told of agents, and what they offered."""
    ours: bool = False
    """Whether the backend is one that the app may start."""
    without_agent: bool = False
    """Whether no agent is installed."""
    attached: Sequence[str] = ()
    """Files that are attached in the composer."""
    png: bool = False
    """Whether a PNG is made too, for the README."""


def _status(status: TaskStatus) -> Callable[[], Store]:
    return lambda: task_scenes.status_scene(status)


_LONG_PROMPT = "Fix the login redirect: after signing in people land on /undefined"

SHOTS: tuple[Shot, ...] = (
    Shot("tasks", "Every task on one line, by what it needs from you.", store_of_every_state, png=True),
    Shot(
        "create",
        "`n`, a prompt, `ctrl+enter`: creating never waits for anything.",
        lambda: store_of(every_state()),
        ("n", *_LONG_PROMPT),
        agents=True,
        png=True,
    ),
    Shot(
        "choices",
        "Agent, model and mode are chosen from what the agent offered last; what asks nothing is yellow.",
        lambda: store_of(every_state()),
        (
            *("n", *"Fix it", "tab", *"claude", "tab", *"Opus", "tab", *"Bypass permissions"),
            *("ctrl+o", "tab", "tab", "tab", *"all"),
        ),
        agents=True,
    ),
    Shot(
        "choices-narrow",
        "The same on 60 columns.",
        lambda: store_of(every_state()),
        ("n", *"Fix it", "tab", "tab", "down"),
        NARROW,
        agents=True,
    ),
    Shot(
        "journey",
        "The next frame: the task stands there, and its stages move while it is prepared.",
        _status(TaskStatus.CREATE_SANDBOX),
        opens=True,
        png=True,
    ),
    Shot(
        "ready",
        "Ready: the work at the left, what was said and done, and a line to go on.",
        _status(TaskStatus.IDLE),
        opens=True,
        png=True,
    ),
    Shot(
        "failed",
        "Failed: what failed, why, how often it was tried, the last log lines, and the keys that help.",
        _status(TaskStatus.ERROR),
        opens=True,
        png=True,
    ),
    Shot(
        "permission",
        "The agent asks; you answer where you are.",
        task_scenes.permission_scene,
        opens=True,
        png=True,
    ),
    Shot("form", "The agent asks for a form.", question_scenes.form_scene, opens=True),
    Shot(
        "form-filled",
        "`1` fills it in: what does not fit is said beside its field while you type.",
        question_scenes.form_scene,
        ("1", "v", "1", "tab", "down", "space", "ctrl+s"),
        opens=True,
    ),
    Shot("form-answered", "What was filled in stays in the conversation.", question_scenes.filled_scene, opens=True),
    Shot(
        "page", "The agent asks for a page: shown whole, opened by `o` alone.", question_scenes.page_scene, opens=True
    ),
    Shot("commands", "`/` lists the agent's commands.", task_scenes.naming_scene, ("i", "slash", "t"), opens=True),
    Shot(
        "files",
        "`@` names a file of the sandbox, found by a few letters.",
        task_scenes.naming_scene,
        ("i", *"compare @login"),
        opens=True,
    ),
    Shot(
        "review",
        "The changes as one diff, old and new side by side; `m` on a line writes a comment, all go as one prompt.",
        _status(TaskStatus.IDLE),
        ("d", "right_square_bracket", "right_square_bracket", *("n", "n", "m"), *"Where is this logged?", "ctrl+s"),
        size=(160, 40),
        opens=True,
    ),
    Shot("waiting", "A stage between two attempts counts down to the next.", task_scenes.waiting_scene, opens=True),
    Shot("sessions", "Several sessions with one task's agents.", task_scenes.sessions_scene, opens=True),
    Shot("new-session", "`t` adds a session; enter takes what it shows.", _status(TaskStatus.IDLE), ("t",), opens=True),
    Shot("silent", "A long silence stands beside the work.", task_scenes.silent_scene, opens=True),
    Shot(
        "search",
        "`/` searches in what was said and done; `n` and `N` go from match to match.",
        _status(TaskStatus.IDLE),
        ("slash", *"next"),
        opens=True,
    ),
    Shot("history", "Every event, in order, with its time.", _status(TaskStatus.IDLE), ("h",), opens=True),
    Shot("log", "The stage log: what the provider printed.", _status(TaskStatus.IDLE), ("l",), opens=True),
    Shot(
        "checkpoints",
        "`Z` lists what can be gone back to; `z` undoes the last turn.",
        _status(TaskStatus.IDLE),
        ("Z",),
        opens=True,
    ),
    Shot("pending", "Created, and not yet answered by the backend.", task_scenes.pending_scene, opens=True),
    Shot("refused", "Refused by the backend: nothing typed is lost.", task_scenes.refused_scene, opens=True),
    Shot("deleted", "Removed elsewhere while you looked at it.", task_scenes.deleted_scene, opens=True),
    Shot("turn-failed", "A turn that failed.", task_scenes.turn_failed_scene, opens=True),
    Shot(
        "preview",
        "The preview of a task that failed; `space` opens and closes it.",
        store_of_every_state,
        ("end", "left_square_bracket", "down"),
        (140, 34),
    ),
    Shot("filter", "`/` filters as you type.", store_of_every_state, ("slash", *"repo:bill !status:done api")),
    Shot(
        "select",
        "`v` marks tasks, to act on all of them at once.",
        store_of_every_state,
        ("v", "down", "space"),
    ),
    Shot("says", "What each task says, with the preview beside it.", store_of_speaking, ("j",), (160, 34)),
    *(
        Shot(f"says-{width}", f"What each task says, in {width} columns.", store_of_speaking, ("j",), (width, 34))
        for width in (60, 80, 120, 220)
    ),
    Shot("says-light", "The same in the light theme.", store_of_speaking, ("j",), theme="foundry-light"),
    Shot("says-ascii", "The same in ASCII.", store_of_speaking, ("j",), ascii=True),
    Shot("repositories", "`b` groups by repository.", store_of_every_state, ("b",)),
    Shot("kill", "What destroys work asks first.", store_of_every_state, ("x",)),
    Shot("thousand", "A thousand tasks.", lambda: store_of(list(many(1_000)))),
    Shot(
        "help", "`?`: the keys of this screen, and why some do nothing now.", store_of_every_state, ("question_mark",)
    ),
    Shot(
        "way-home",
        "`H`: what can be done next with the work, what it would do, and why not otherwise.",
        way_home_scenes.menu_scene,
        ("H",),
        opens=True,
    ),
    Shot(
        "way-home-running",
        "An operation shows its steps while it runs; closed, it goes on.",
        way_home_scenes.running_scene,
        ("H",),
        opens=True,
    ),
    Shot(
        "way-home-failed",
        "What failed says why, once; nothing of it is left half-way.",
        way_home_scenes.failed_scene,
        ("H",),
        NARROW,
        opens=True,
    ),
    Shot(
        "way-home-proposed",
        "A pull request with its checks and its review.",
        way_home_scenes.proposed_scene,
        ("H",),
        opens=True,
    ),
    Shot(
        "way-home-met",
        "What the pull request met with goes to the agent: `F` has it mend failed checks, `A` answer reviewers.",
        way_home_scenes.met_scene,
        ("H",),
        opens=True,
    ),
    Shot("diagnostics", "`f12`: connections, freshness and counts.", store_of_every_state, ("f12",)),
    Shot("empty", "The first start teaches the first key.", lambda: make_store([])),
    Shot(
        "no-agent",
        "Where no agent is installed, that is said first.",
        lambda: make_store([]),
        without_agent=True,
        ours=True,
    ),
    Shot(
        "create-from",
        "A task starts from what exists, too: a branch, a pull request or an issue.",
        lambda: store_of(every_state()),
        ("n", *"make the checks pass", "ctrl+o", *["tab"] * 5, *"pr 212"),
    ),
    Shot(
        "no-agent-create",
        "The new-task dialog says so before a prompt is written.",
        lambda: store_of(every_state()),
        ("n", *_LONG_PROMPT),
        without_agent=True,
        ours=True,
    ),
    Shot(
        "install-agent",
        "`f3` installs one; what was written is kept.",
        lambda: make_store([]),
        ("f3", "down"),
        without_agent=True,
        ours=True,
    ),
    Shot("offline", "No backend, and what helps.", lambda: make_store([], freshness=AWAY)),
    Shot(
        "offline-tasks",
        "The backend is away: what was known stays readable, and `B` starts it again.",
        lambda: store_of(every_state(), AWAY),
        ours=True,
    ),
    Shot(
        "offline-task",
        "A task when the backend is away: no second is counted that nobody knows of.",
        task_scenes.away_scene,
        opens=True,
    ),
    Shot(
        "unsent", "Created while the backend is away: kept, and sent by itself.", task_scenes.unsent_scene, opens=True
    ),
    Shot(
        "attached",
        "Pasted paths are attached; `backspace` takes them off. What was said, and what waits, tells what it has.",
        task_scenes.attached_scene,
        ("i",),
        opens=True,
        attached=("/home/ada/Desktop/login page.png", "/tmp/trace.txt"),
    ),
    Shot("light", "The light theme.", store_of_every_state, theme="foundry-light", png=True),
    Shot("light-task", "A task in the light theme.", task_scenes.permission_scene, opens=True, theme="foundry-light"),
    Shot("ansi", "The terminal's own 16 colours.", store_of_every_state, theme="ansi-dark"),
    Shot("ascii", "`--ascii`.", store_of_every_state, ascii=True),
    Shot("narrow", "Sixty columns.", store_of_every_state, size=NARROW),
    Shot("narrow-task", "A task in sixty columns.", task_scenes.permission_scene, size=NARROW, opens=True),
)


def _report() -> Diagnostics:
    """Diagnostics of an app that lost its connection once."""
    live = Freshness(FreshnessState.LIVE, NOW - 40 * SECOND)

    def topic(name: str, listeners: int, applied: int) -> TopicDiagnostics:
        return TopicDiagnostics(
            topic=name,
            listeners=listeners,
            link="live",
            freshness=live,
            last_refresh=RefreshReason.EVENT,
            refreshed_at=NOW - 2 * SECOND,
            connections=2,
            reconnects=1,
            events_applied=applied,
            dropped_stale=3,
            bytes=applied * 640,
            latency=Latency(last=12, p50=11, p99=48, count=applied),
        )

    steps = (("connecting", ""), ("live", "resumed"), ("waiting", "the connection was closed; trying again in 0.21 s"))
    log = [
        ConnectionEvent(at=NOW - (60 - number * 9) * SECOND, topic="tasks", kind=kind, detail=detail)
        for number, (kind, detail) in enumerate((*steps, *steps[:2]))
    ]
    return Diagnostics(
        at=NOW,
        freshness=live,
        topics=(topic("tasks", 1, 1_204), topic(f"task:{task_scenes.TASK}", 1, 31)),
        log=tuple(log),
        tasks=16,
        creations=2,
        flushes=982,
        unsettled_commands=1,
    )


async def draw(shot: Shot, *, toasts: bool = False) -> str:
    """The picture as SVG; with what is told in passing only if `toasts`, since that goes away with time."""
    options = Options(theme=shot.theme, ascii=shot.ascii, bell=False, terminal_notifications=False)
    commands = FakeCommands()
    if shot.agents:
        commands.agents_told, commands.default_agents, commands.providers = AGENTS, DEFAULTS, {"local": "ready"}
    commands.files = {task_scenes.TASK: task_scenes.FILES}
    if shot.without_agent:
        commands.providers = {"local": "ready", "demo": "ready"}
        commands.agents_told = tuple(
            AgentInfo(name=name, provider="local", state=AgentState.MISSING, how=how_to_get(name))
            for name in INSTALLABLE
        )
    commands.kept = {task_scenes.TASK: checkpoint_scenes.KEPT}
    commands.diffs = {task_scenes.TASK: diff_of(*REVIEW)}
    run_backend = (lambda: True) if shot.ours else None
    app = make_app(shot.store(), commands=commands, options=options, run_backend=run_backend)
    app.diagnostics = _report
    async with app.run_test(size=shot.size, notifications=toasts) as pilot:
        await _hold_still(app, pilot)
        if shot.opens:
            app.open_task(task_scenes.TASK)
            await pilot.pause()
        if shot.attached:
            app.screen.query_one(Composer).chips.add(shot.attached)
        for key in shot.keys:
            await pilot.press(key)
            await _hold_still(app, pilot)
        await _hold_still(app, pilot)
        return tidy(app.export_screenshot(title="Foundry"))


async def _hold_still(app: FoundryApp, pilot: Pilot[None]) -> None:
    for field in (*app.screen.query(Input), *app.screen.query(TextArea)):
        field.cursor_blink = False
    await app.workers.wait_for_complete()
    rest(app)
    await pilot.pause()


def tidy(svg: str) -> str:
    """The picture without fonts from the network, in a font that most machines have."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", FONT)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def draw_all(wanted: Sequence[str] = ()) -> dict[str, str]:
    """Pictures by their names: those wanted, or all."""
    # Times of day are drawn too.
    os.environ["TZ"] = "UTC"
    time.tzset()
    return {shot.name: asyncio.run(draw(shot)) for shot in SHOTS if not wanted or shot.name in wanted}


def captions() -> str:
    """The page that shows all pictures."""
    lines = [
        "# Pictures",
        "",
        "The real app on worlds made by hand; `python -m tests.gallery` draws them anew, and a test sees that they are",
        "current. `demo.cast` is a recording of the demo for asciinema's player, made by `foundry demo --cast FILE`.",
    ]
    for shot in SHOTS:
        lines += ["", f"## {shot.name}", "", shot.caption, "", f"![{shot.caption.replace('`', '')}]({shot.name}.svg)"]
    return "\n".join(lines) + "\n"


def png_of(svg: str) -> bytes:
    """The picture as PNG, twice as large, for sharp letters on any screen."""
    import resvg_py

    fonts = [
        str(folder)
        for folder in (Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts"))
        if folder.is_dir()
    ]
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, font_dirs=fonts, font_family=FONT, monospace_family=FONT))


def is_drawn_from(picture: Path, svg: str) -> bool:
    """Whether this PNG is there and was made from this SVG."""
    return picture.is_file() and stamp_of(picture.read_bytes()) == digest_of(svg)


def main(wanted: Sequence[str]) -> int:
    FOLDER.mkdir(exist_ok=True)
    pictures, names = draw_all(wanted), {shot.name for shot in SHOTS}
    for stale in (*FOLDER.glob("*.svg"), *FOLDER.glob("*.png")):
        if stale.stem not in names:
            stale.unlink()
    for shot in SHOTS:
        if shot.name not in pictures:
            continue
        svg, path = pictures[shot.name], FOLDER / f"{shot.name}.svg"
        changed = not path.exists() or path.read_text() != svg
        path.write_text(svg)
        picture = FOLDER / f"{shot.name}.png"
        if shot.png and not is_drawn_from(picture, svg):
            picture.write_bytes(stamped(png_of(svg), svg))
        print(f"{'drawn  ' if changed else 'current'}  {path.name}")
    (FOLDER / "README.md").write_text(captions())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
