"""Brings a checkout, mostly the person's own, from one commit of its branch to the next: files, index and branch move
together or not at all, whatever ends this process. Meanwhile the checkout is locked for git, as git itself does it.
"""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.snapshot import joined_names, split_names
from backend_stub.providers.local.way_home.journal import AFTER, Journal, discard, keep_before
from backend_stub.providers.local.way_home.place import HEADS, Place, listed, said_by
from backend_stub.repository.files import read_text
from backend_stub.repository.git_errors import explain

_LOCK = "index.lock"
_NEW_INDEX = "foundry.index.new"
_MARK = "foundry lands the task "
"""How the text of a lock begins that is ours or another task's."""


class CutLandingError(GitError):
    """Another task's landing was cut in a checkout, and has left it half changed."""


async def expect_whole(place: Place, checkout: Path) -> None:
    """Raises `CutLandingError` where a lock of another task's is on the checkout.

    It is called where no other operation changes checkouts, so that a kill must have left the lock.
    """
    git_dir = Path(await place.text("rev-parse", "--absolute-git-dir", folder=checkout))
    lock = git_dir / _LOCK
    said = await anyio.to_thread.run_sync(read_text, lock)
    if said is None or not said.startswith(_MARK) or said == _mark(place):
        return
    other = said.removeprefix(_MARK).split(" ", 1)[0]
    raise CutLandingError(
        f"The landing of the task {other} was cut in {checkout}, and goes on as its backend starts again. Nothing was "
        f"changed by this one. See that it ends (foundry history {other}), then do this again; where that backend is "
        f"gone for good, look there with git status and remove {lock}.",
        retryable=False,
    )


async def bring(place: Place, checkout: Path, target: str, old: str, new: str) -> None:
    """Have a checkout without changes, which is on the branch `target`, be at `new` with it.

    Raises `GitError`; then all is as it was.
    """
    journal = await _prepared(place, checkout, target, old, new)
    with anyio.CancelScope(shield=True):
        try:
            await _hold(place, journal)
        except GitError:
            # Nothing was touched yet, and is not to be put back over what a person does from now on.
            await anyio.to_thread.run_sync(discard, place.own)
            raise
        await _move(place, journal)


async def go_on(place: Place, journal: Journal) -> None:
    """Do what a journal says, or what is left of it; who cancels waits for its end.

    Raises `GitError`; then all is as it was.
    """
    with anyio.CancelScope(shield=True):
        await _hold(place, journal)
        await _move(place, journal)


async def _hold(place: Place, journal: Journal) -> None:
    """Hold the checkout's lock. Raises `GitError`."""
    try:
        await anyio.to_thread.run_sync(_lock, place, Path(journal.about["git_dir"]), journal.checkout)
    except OSError as error:
        raise GitError(
            f"{journal.checkout} cannot be locked, as it has to be while its files change: {error.strerror or error}. "
            "See to that, then land again.",
            retryable=False,
        ) from error


async def _move(place: Place, journal: Journal) -> None:
    """Files, index and branch, in this order. Raises `GitError`; then each of them is as it was."""
    about, index_moved = journal.about, False
    try:
        changed = await anyio.to_thread.run_sync(journal.make)
        if changed:
            raise GitError(
                f"{listed(changed)} in {journal.checkout} changed while the task was being landed. All else there is "
                "as it was. Commit or stash it, then land again.",
                retryable=False,
            )
        await _set_index(place, journal, about["old"], about["new"])
        index_moved = True
        await move_branch(place, about["target"], about["old"], about["new"])
    except (GitError, OSError) as error:
        await take_back(place, journal, index_moved=index_moved)
        if isinstance(error, GitError):
            raise
        raise GitError(
            f"{journal.checkout} could not be brought to the new commit: {error.strerror or error}. All there is as it "
            "was. See to that, then land again.",
            retryable=False,
        ) from error
    await _let_go(place, journal, f"is at the new commit of {about['target']}")
    # Gits before 2.36 know no such command.
    words = ("hook", "run", "--ignore-missing", "post-merge", "--", "0")
    await place.git(*words, accept=range(256), folder=journal.checkout)


async def move_branch(place: Place, target: str, old: str, new: str) -> None:
    """Have the branch be at `new`, unless it has left `old`. Raises `GitError`."""
    try:
        await place.git("update-ref", "-m", "foundry: land", f"{HEADS}{target}", new, old)
    except GitError:
        if await place.commit_of(f"{HEADS}{target}") in ("", old):
            raise
        raise GitError(
            f"{target} has moved while the task was being landed. Nothing was changed. Land again.", retryable=False
        ) from None


async def take_back(place: Place, journal: Journal, *, index_moved: bool = True) -> None:
    """Have files and index be what they were, unless the branch has moved already. Raises `GitError`.

    `index_moved` False: the index is known to be what it was, which saves room on a disk that has none left.
    """
    about = journal.about
    if about and await place.holds(about["new"], f"{HEADS}{about['target']}"):
        await _let_go(place, journal, f"is at the new commit of {about['target']}")
        return
    if about and journal.is_made and index_moved:
        with journal.taking_back(), suppress(GitError):
            await _set_index(place, journal, about["new"], about["old"])
    await anyio.to_thread.run_sync(journal.take_back)
    await _let_go(place, journal, "is as it was")


async def _let_go(place: Place, journal: Journal, stands: str) -> None:
    """The files of the checkout are whole, as `stands` says: nothing holds it any more. Raises `GitError`."""
    git_dir = journal.about.get("git_dir")
    try:
        if git_dir is not None:
            await anyio.to_thread.run_sync(_unlock, place, Path(git_dir))
        await anyio.to_thread.run_sync(discard, place.own)
    except OSError as error:
        lock = f" Where {Path(git_dir, _LOCK)} is left, remove it." if git_dir is not None else ""
        raise GitError(
            f"{journal.checkout} {stands}, but what was kept for that could not be removed: "
            f"{error.strerror or error}.{lock} The next operation tries again.",
            retryable=False,
        ) from error


async def left_half_way(place: Place) -> Journal | None:
    """What an operation has left half-way in a checkout. Raises `GitError`."""
    journal = await anyio.to_thread.run_sync(Journal.read, place.own)
    return journal if journal is not None and (journal.about or not journal.is_made) else None


async def settle(place: Place) -> None:
    """An operation that left a checkout half-way will not go on: have that be as it was."""
    journal = await left_half_way(place)
    if journal is not None:
        await take_back(place, journal)


async def _prepared(place: Place, checkout: Path, target: str, old: str, new: str) -> Journal:
    """The files as git makes them, made apart from the checkout."""
    git_dir = Path(await place.text("rev-parse", "--absolute-git-dir", folder=checkout))
    if (what := await place.in_progress(git_dir)) is not None:
        raise GitError(
            f"A {what} is under way in {checkout}. End it there (git {what} --continue or --abort), then land.",
            retryable=False,
        )
    listing = await place.text("diff-tree", "-r", "-z", "--name-status", "--no-renames", old, new)
    fields = listing.split("\0")
    changes = dict(zip(fields[1::2], fields[::2], strict=False))
    await anyio.to_thread.run_sync(lambda: place.own.mkdir(mode=0o700, exist_ok=True))
    await anyio.to_thread.run_sync(keep_before, place.own, checkout, changes)
    added = [name for name, how in changes.items() if how == "A"]
    in_the_way = await anyio.to_thread.run_sync(_files, checkout, added)
    if in_the_way:
        raise GitError(
            f"{listed(in_the_way)} in {checkout}, which git ignores there, is in the way of what the task has made. "
            "Move it away, then land.",
            retryable=False,
        )
    index, apart = await _index_of(place, git_dir, checkout, old, new), place.own / AFTER
    variables = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(apart), "GIT_INDEX_FILE": str(index)}
    left_out = await _left_out(place, checkout, variables)
    there = [name for name, how in changes.items() if how != "D" and name not in left_out]
    given = joined_names(there)
    await place.git("checkout-index", "-f", "-z", "--stdin", folder=apart, given=given, variables=variables)
    gone = [name for name, how in changes.items() if how == "D"]
    names = [*gone, *await anyio.to_thread.run_sync(_there, apart, there)]
    about = {"git_dir": str(git_dir), "target": target, "old": old, "new": new}
    return await anyio.to_thread.run_sync(Journal.write, place.own, checkout, names, about)


async def _left_out(place: Place, checkout: Path, variables: Mapping[str, str]) -> Collection[str]:
    """The files of an index that a sparse checkout does not have."""
    if not await place.is_sparse(checkout):
        return ()
    listed = split_names(await place.git("ls-files", "-t", "-z", folder=checkout, variables=variables))
    return frozenset(entry[2:] for entry in listed if entry.startswith("S "))


async def _index_of(place: Place, git_dir: Path, checkout: Path, old: str, new: str) -> Path:
    """A copy of the checkout's index, brought from one commit to the other. Raises `GitError`."""
    index = place.own / "new.index"

    def copy() -> None:
        index.unlink(missing_ok=True)
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)
        if (git_dir / "index").exists():
            shutil.copy2(git_dir / "index", index)

    await anyio.to_thread.run_sync(copy)
    variables = {"GIT_INDEX_FILE": str(index)}
    words = ("read-tree", "-i", "-m", old, new)
    done = await place.git(*words, accept=(0, 128), folder=checkout, variables=variables)
    if done.exit_code != 0:
        raise GitError(
            f"{checkout} could not be brought to the new commit: {said_by(done)}. Nothing was changed there.",
            retryable=False,
        )
    return index


async def _set_index(place: Place, journal: Journal, old: str, new: str) -> None:
    """Bring the index from one commit to the other, in one move, while it is locked by us."""
    git_dir = Path(journal.about["git_dir"])
    index = await _index_of(place, git_dir, journal.checkout, old, new)
    variables = {"GIT_INDEX_FILE": str(index)}
    refresh = ("update-index", "-q", "--refresh")
    await place.git(*refresh, accept=(0, 1), folder=journal.checkout, variables=variables)

    def put() -> None:
        new = git_dir / _NEW_INDEX
        shutil.copyfile(index, new)
        if (git_dir / "index").exists():
            shutil.copymode(git_dir / "index", new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.rename(git_dir / "index")

    await anyio.to_thread.run_sync(put)


def _there(folder: Path, names: Sequence[str]) -> Sequence[str]:
    """In a thread: those of the names at which something is."""
    return [name for name in names if os.path.lexists(folder / name)]


def _files(folder: Path, names: Sequence[str]) -> Sequence[str]:
    """The same without folders: those that have nothing else give way."""
    return [name for name in _there(folder, names) if (folder / name).is_symlink() or not (folder / name).is_dir()]


def _lock(place: Place, git_dir: Path, checkout: Path) -> None:
    """In a thread: hold git's own lock of the checkout, in our name; it may be ours from before a kill."""
    lock = git_dir / _LOCK
    if _is_ours(place, lock):
        return
    made = git_dir / f"foundry.{_LOCK}.new"
    made.write_text(_mark(place))
    try:
        try:
            os.link(made, lock)
        except FileExistsError:
            raise
        except OSError:
            # A file system without links.
            with lock.open("x") as file:
                file.write(_mark(place))
    except FileExistsError:
        raise explain(("merge",), str(checkout), 128, f"Unable to create '{lock}': File exists.") from None
    finally:
        made.unlink(missing_ok=True)


def _unlock(place: Place, git_dir: Path) -> None:
    (git_dir / _NEW_INDEX).unlink(missing_ok=True)
    (git_dir / f"foundry.{_LOCK}.new").unlink(missing_ok=True)
    if _is_ours(place, git_dir / _LOCK):
        (git_dir / _LOCK).unlink()


def _is_ours(place: Place, lock: Path) -> bool:
    try:
        return lock.read_bytes() == _mark(place).encode()
    except OSError:
        return False


def _mark(place: Place) -> str:
    return f"{_MARK}{place.record.task_id} here, and goes on as its backend starts again\n"
