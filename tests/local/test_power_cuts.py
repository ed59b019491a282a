"""Operations in the person's own checkout that a power cut ends at any moment: whole, or not at all."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.errors import CallError
from foundry_tui.contract.records import Operation, OperationKind, OperationState, OperationStep, TaskDetail
from foundry_tui.contract.replace import replace
from tests.git import git
from tests.local.power_cut import cut
from tests.local.test_way_home import Told, change, sandbox
from tests.local.world import LocalWorld

pytestmark = pytest.mark.slow

PARTS = 60
"""Moments at which each operation is cut, spread over all that it has."""
AFTERWARDS = ("goes on", "is changed", "is given up", "is killed")
"""What happens at the next start: it goes on; a person has changed a file meanwhile; a person has cancelled it, or has
killed the task.
"""

GONE = {"old/gone.txt", "old/moved.txt", "was/a/folder.txt", "wasfile"}
MADE = {"a.txt", "moved ü.txt", "new/b.txt", "run.sh", "was/a", "wasfile/deep.bin"}
_OF_GIT = {"HEAD", "index", "refs", "stash"}


class Kept(Told):
    """Progress that is on the disk, as a task's rows are."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            held = json.loads(path.read_text())
            self.notes, self.steps = held["notes"], held["steps"]

    async def step(self, name: str) -> None:
        await super().step(name)
        self._keep()

    async def note(self, name: str, value: str) -> None:
        await super().note(name, value)
        self._keep()

    def _keep(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"notes": dict(self.notes), "steps": self.steps}))
        new.rename(self._path)


class Scene:
    """A repository, and a task that has made, changed, moved and removed files, and turned folders into files."""

    def __init__(self, world: LocalWorld, kind: str) -> None:
        self.world, self.kind = world, kind
        self.notes, self.said = world.folder / "notes.json", world.folder / "said"
        repository = world.repository
        for name in ("old/gone.txt", "old/moved.txt", "was/a/folder.txt", "wasfile", "mine.txt", "run.sh"):
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            change(repository, name, f"{name}\n" * 20, commit=True)
        change(repository, "stashed.txt", "1\n")
        git(repository, "stash", "push", "--quiet", "--include-untracked")
        self.task: TaskDetail = anyio.run(self._make)
        assert self.task.sandbox is not None
        folder = Path(self.task.sandbox.cwd)
        change(folder, "a.txt", "ours\n")
        (folder / "old/gone.txt").unlink()
        (folder / "old/moved.txt").rename(folder / "moved ü.txt")
        (folder / "was/a/folder.txt").unlink()
        (folder / "was/a").rmdir()
        (folder / "was/a").symlink_to("../a.txt")
        (folder / "wasfile").unlink()
        (folder / "wasfile").mkdir()
        change(folder, "wasfile/deep.bin", "\0" * 5_000)
        (folder / "run.sh").chmod(0o755)
        (folder / "new").mkdir()
        change(folder, "new/b.txt", "b\n")
        if kind == "land":
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--message=ours")
        else:
            # What a person has not committed stays beside it.
            change(repository, "mine.txt", "mine\n")
            change(repository, "unknown.txt", "mine too\n")
        self.folder, self.repository = folder, repository
        self.before = self.state()
        self.made = {name: _held(folder / name) for name in MADE}

    async def _make(self) -> TaskDetail:
        async with self.world.provider() as provider:
            return (await sandbox(self.world, provider))[0]

    def state(self) -> dict[str, str]:
        """Everything in the checkout that an operation could harm, told by name."""
        repository = self.repository
        paths = (path for path in repository.rglob("*") if ".git" not in path.parts)
        files = (path for path in paths if path.is_symlink() or not path.is_dir())
        return {
            **{path.relative_to(repository).as_posix(): _held(path) for path in files},
            "HEAD": git(repository, "symbolic-ref", "HEAD"),
            "index": git(repository, "ls-files", "--stage"),
            "refs": git(repository, "for-each-ref"),
            "stash": git(repository, "stash", "list"),
        }

    def operate(self, begin: Callable[[], None] = lambda: None, afterwards: str = "goes on") -> None:
        """Begin it or go on; what is said of a failure is kept in `said`."""
        self.said.unlink(missing_ok=True)

        async def go() -> None:
            told = Kept(self.notes)
            operation = Operation(
                operation_id=f"o-{self.task.task_id}",
                task_id=self.task.task_id,
                kind=OperationKind(self.kind),
                request={"how": "merge"} if self.kind == "land" else {},
                state=OperationState.RUNNING,
                steps=tuple(OperationStep(name=each, state=OperationState.RUNNING) for each in told.steps),
                at=1,
                revision=1,
            )
            async with self.world.provider() as provider:
                begin()
                try:
                    if afterwards == "is killed":
                        await self.world.kill(provider, replace(self.task, operations=(operation,)))
                    elif afterwards == "is given up":
                        await provider.way_home.abandon(self.world.call(self.task), operation, told)
                    else:
                        await provider.way_home.operate(self.world.call(self.task), operation, told)
                except CallError as failure:
                    self.said.write_text(failure.message)

        anyio.run(go)

    def check_sound(self) -> None:
        """Git is well, and nothing of ours lies about."""
        assert not list((self.repository / ".git").rglob("*.lock"))
        assert not [path for path in self.repository.rglob("*") if "foundry" in path.name]
        git(self.repository, "fsck", "--no-dangling", "--no-progress")

    def outcome(self, but: str = "") -> str:
        """Whether all of the checkout is as before or as after it, but for a file that a person has changed."""
        state = self.state()
        files = {name: state[name] for name in state if name not in _OF_GIT}
        as_before = {name: held for name, held in self.before.items() if name not in _OF_GIT}
        as_after = {name: held for name, held in as_before.items() if name not in GONE}
        as_after |= self.made
        for each in (files, as_before, as_after):
            each.pop(but, None)
        assert state["stash"] == self.before["stash"]
        assert state["HEAD"] == self.before["HEAD"]
        same_index, same_refs = (state[name] == self.before[name] for name in ("index", "refs"))
        if files == as_before:
            assert same_index
            assert same_refs
            return "before"
        assert files == as_after
        if self.kind == "apply":
            assert same_index
            assert same_refs
            return "after"
        tip = git(self.repository, "rev-parse", str(self.task.branch))
        assert git(self.repository, "rev-parse", "main") == tip
        assert git(self.repository, "diff", "--cached", "main") == ""
        return "after"


def _held(path: Path) -> str:
    held = f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes().decode("latin-1")
    return f"{held} {path.lstat().st_mode:o}"


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with LocalWorld(tmp_path / "world") as world:
        yield Scene(world, request.param)


_moments: dict[str, int] = {}
"""By operation: how many it has."""


@pytest.fixture
def moments(scene: Scene, tmp_path: Path) -> int:
    """How many moments the scene's operation has, found out once by one that is not cut."""
    if scene.kind not in _moments:
        with LocalWorld(tmp_path / "whole") as world:
            whole = Scene(world, scene.kind)
            assert not cut(whole.operate, told=tmp_path / "moments")
            assert whole.outcome() == "after", whole.said.read_text()
            whole.check_sound()
        _moments[scene.kind] = int((tmp_path / "moments").read_text())
    return _moments[scene.kind]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scene", ["apply", "land"], indirect=True)
def test_a_power_cut_leaves_the_checkout_whole(
    scene: Scene, part: int, moments: int, tell: Callable[[str], None]
) -> None:
    moment = 1 + part * moments // PARTS
    # So that those of which only each sixth is run have all of them.
    afterwards = AFTERWARDS[(part + part // 6) % len(AFTERWARDS)]
    assert cut(partial(scene.operate), moment)
    touched = "a.txt" if afterwards == "is changed" else ""
    if touched:
        change(scene.repository, touched, "a person's\n")
    scene.operate(afterwards=afterwards)
    outcome = scene.outcome(but=touched)
    if touched:
        assert (scene.repository / touched).read_text() == "a person's\n"
        assert scene.said.exists() == (outcome == "before")
        assert outcome == "after" or "a.txt" in scene.said.read_text()
    elif afterwards == "goes on":
        assert outcome == "after", scene.said.read_text()
    elif scene.kind == "apply" and afterwards == "is given up":
        assert outcome == "before"
    scene.check_sound()
    if outcome == "before" and afterwards != "is killed":
        if touched:
            git(scene.repository, "checkout", "--quiet", touched)
        scene.notes.unlink()
        scene.operate()
        assert scene.outcome() == "after", scene.said.read_text()
        scene.check_sound()
    tell(f"{scene.kind} cut at moment {moment} of {moments}, and {afterwards}: {outcome}")
