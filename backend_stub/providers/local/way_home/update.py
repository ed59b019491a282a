"""Brings the base into a worktree's branch, by rebase or merge; conflicts leave all as it was."""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done, Progress
from backend_stub.providers.local.checkpoints import LocalCheckpoints
from backend_stub.providers.local.snapshot import joined_names, split_names
from backend_stub.providers.local.way_home.place import HEADS, ORIGIN, Place, base_of, listed, refused, short
from backend_stub.repository.nofollow import UnusableError, folder_below
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.records import OperationKind

HEAD, BRANCH = "head", "branch"
_BEGUN = "update.json"
"""In the operation's own folder while the branch may have to be put back: the notes that say how."""


async def update(
    place: Place, call: Call, checkpoints: LocalCheckpoints, progress: Progress, *, how: str, resolve: str
) -> Done:
    """Raises `GitError`, with the files in conflict unless these are for the agent."""
    await progress.step("fetch")
    branch = await place.branch() if HEAD not in progress.notes else ""
    if HEAD not in progress.notes:
        await place.expect_nothing_in_progress()
        files = await place.dirty()
        if files:
            raise GitError(
                f"{len(files)} {'file is' if len(files) == 1 else 'files are'} not committed ({listed(files, 3)}). "
                "Commit first, then update.",
                retryable=False,
            )
    base = await _fetched_base(place, progress)
    await progress.step(how)
    if HEAD in progress.notes:
        await _end_half(place, call, checkpoints, progress.notes, base)
        head = await place.commit_of("HEAD")
        if await place.holds(base, "HEAD"):
            await _forget_begun(place)
            return Done(result={"sha": head, "base": short(base), "before": progress.notes[HEAD]})
        if await place.holds(progress.notes[HEAD], "HEAD"):
            # Whatever came since is somebody's work.
            await progress.note(HEAD, head)
        else:
            await place.git("reset", "--quiet", "--keep", progress.notes[HEAD])
    else:
        await progress.note(BRANCH, branch)
        await progress.note(HEAD, await place.commit_of("HEAD"))
        await progress.tell(f"{branch} on {short(base)}")
    before = progress.notes[HEAD]
    await anyio.to_thread.run_sync(_note_begun, place.own, progress.notes)
    title = f"Merge {short(base)} into {progress.notes.get(BRANCH, branch)}"
    words = ("rebase", "--quiet", base) if how == "rebase" else ("merge", "--quiet", "-m", title, base)
    done = await place.git(*words, accept=(0, 1, 2, 128))
    if done.exit_code == 0:
        await _forget_begun(place)
        return Done(result={"sha": await place.commit_of("HEAD"), "base": short(base), "before": before})
    conflicts = await _conflicts(place)
    try:
        await take_back(place, call, checkpoints, progress.notes)
    except (GitError, OSError) as error:
        why = error.message if isinstance(error, GitError) else f"{error.strerror or error}."
        raise GitError(
            f"The {how} was cut, and what it left in {place.folder} could not be taken back: {why} See to that, then "
            "update again: that takes it back first, as long as nobody has gone on there.",
            retryable=False,
        ) from error
    if not conflicts:
        raise refused(f"The {how} was refused", done)
    if resolve == "agent":
        return Done(result={"conflicts": conflicts, "handed_over": True}, prompt=_prompt(how, base, conflicts))
    of = "on" if how == "rebase" else "of"
    raise GitError(
        f"The {how} {of} {short(base)} meets conflicts in {listed(conflicts)}. Nothing was changed. Have the agent "
        "resolve them (update --resolve agent), or do it in the sandbox.",
        retryable=False,
    )


async def take_back(place: Place, call: Call, checkpoints: LocalCheckpoints, notes: Mapping[str, str]) -> None:
    """End a rebase or merge that is half-way, so that the branch is where it was."""
    await _end_half(place, call, checkpoints, notes, await base_of(place))
    before = notes.get(HEAD)
    if before is not None and await place.commit_of("HEAD") != before:
        # It was clean as this began; what somebody has changed since is rather left than lost.
        await place.git("reset", "--quiet", "--keep", before)
    await _forget_begun(place)


async def settle(place: Place, call: Call, checkpoints: LocalCheckpoints) -> None:
    """Take back what an earlier update has left half-way, where even that had failed, as it does on a full disk.

    What is neither under way any more nor as it was left, somebody has ended.
    """
    notes = await anyio.to_thread.run_sync(_begun, place.own)
    if notes is None:
        return
    if await place.in_progress() in ("rebase", "merge") or await _is_as_left(place, call, notes):
        await take_back(place, call, checkpoints, notes)


async def _is_as_left(place: Place, call: Call, notes: Mapping[str, str]) -> bool:
    """Whether the branch is where it was, with files that were changed by the end of the last update and not since."""
    ends = [each.finished_at for each in call.task.operations if each.kind is OperationKind.UPDATE and each.finished_at]
    if not ends or await place.commit_of("HEAD") != notes.get(HEAD):
        return False
    files = await place.dirty()

    def newest() -> int:
        return max((_changed_at(place.folder / name) for name in files), default=0)

    return bool(files) and await anyio.to_thread.run_sync(newest) < (ends[-1] + 1) * 1_000_000


def _changed_at(path: Path) -> int:
    """In a thread: when a file was changed last; of one that is gone its folder tells, and tells rather too late."""
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    return there.lstat().st_ctime_ns


def _note_begun(own: Path, notes: Mapping[str, str]) -> None:
    """In a thread; raises `OSError`."""
    own.mkdir(mode=0o700, exist_ok=True)
    new = own / f"{_BEGUN}.new"
    new.write_bytes(encode(dict(notes)))
    new.replace(own / _BEGUN)


def _begun(own: Path) -> Mapping[str, str] | None:
    """In a thread: the notes of an update that has neither been done nor taken back."""
    try:
        return decode((own / _BEGUN).read_bytes(), dict[str, str])
    except (OSError, msgspec.DecodeError):
        return None


async def _forget_begun(place: Place) -> None:
    await anyio.to_thread.run_sync(lambda: (place.own / _BEGUN).unlink(missing_ok=True))


async def _end_half(
    place: Place, call: Call, checkpoints: LocalCheckpoints, notes: Mapping[str, str], base: str | None
) -> None:
    """Have nothing be half-way any more. What git itself cannot take back, since it was cut while it wrote files, is
    put back by us; before that all is kept in a checkpoint, as some of it may be somebody's work.
    """
    await place.take_over()
    what = await place.in_progress()
    if what in ("rebase", "merge"):
        await place.git(what, "--abort", accept=(0, 1, 128))
    before = notes.get(HEAD)
    if before is None or base is None:
        return
    unended = await place.in_progress() in ("rebase", "merge")
    if not unended and await place.commit_of("HEAD") != before:
        return
    ours = {name for old in (base, await place.text("merge-base", "--", before, base, accept=(0, 1))) if old
            for name in await _differing(place, old, before)}  # fmt: skip
    half = ours.intersection(await place.dirty())
    if not unended and not half:
        return
    of = await checkpoints.open(call)
    if of is not None:
        kept = await of.keep_now(place.operation_id)
        call.log(f"the {what or 'update'} was cut half-way; what the files were then is kept as {kept.id}")
    if unended:
        await anyio.to_thread.run_sync(_forget, place.git_dir)
        branch = notes.get(BRANCH, place.record.branch)
        await place.git("symbolic-ref", "HEAD", f"{HEADS}{branch}")
        # It may have been cut at its very end, with the branch moved already: all that follows is of where that was.
        await place.git("update-ref", "-m", "foundry: update cut", "HEAD", before)
    await place.git("read-tree", before)
    there = frozenset(await _differing(place, before, None))
    await anyio.to_thread.run_sync(_remove, place.folder, [name for name in ours if name not in there])
    given = joined_names(name for name in ours if name in there)
    await place.git("checkout-index", "-f", "-u", "-z", "--stdin", given=given)


async def _differing(place: Place, old: str, new: str | None) -> Sequence[str]:
    """The files that differ between two commits; all of one."""
    words = ("ls-tree", "-r", "-z", "--name-only", old) if new is None else (
        "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)  # fmt: skip
    return split_names(await place.git(*words))


def _forget(git_dir: Path) -> None:
    """In a thread: what git noted of a rebase or a merge."""
    for name in ("rebase-merge", "rebase-apply"):
        shutil.rmtree(git_dir / name, ignore_errors=True)
    for name in ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "REBASE_HEAD", "CHERRY_PICK_HEAD"):
        (git_dir / name).unlink(missing_ok=True)


def _remove(folder: Path, names: Sequence[str]) -> None:
    """In a thread: files that are no part of the branch. What a link leads to is no part of the worktree either."""
    for name in names:
        *above, last = name.split("/")
        with suppress(OSError, UnusableError), folder_below(folder, above) as inner:
            os.unlink(last, dir_fd=inner)


async def _fetched_base(place: Place, progress: Progress) -> str:
    """The ref to bring in, as the remote has it now."""
    base = place.record.base
    name = place.record.base_name
    remotes = (await place.text("remote")).split("\n")
    if base.startswith("refs/") and "origin" in remotes:
        remote = f"{ORIGIN}{name}"
        if base.startswith(ORIGIN) or await place.commit_of(remote):
            await progress.tell(f"origin/{name}")
            words = ("fetch", "--quiet", "origin", f"+{HEADS}{name}:{remote}")
            done = await place.git(*words, accept=(0, 1, 128))
            if done.exit_code != 0:
                raise await place.explained(words, done.stderr, "origin")
            return remote
    if not await place.commit_of(base):
        raise GitError(f"The base {name} that the task began from is gone.", retryable=False)
    return base


async def _conflicts(place: Place) -> Sequence[str]:
    names = await place.text("diff", "--name-only", "-z", "--diff-filter=U", accept=(0, 128))
    return list(dict.fromkeys(name for name in names.split("\0") if name))


def _prompt(how: str, base: str, conflicts: Sequence[str]) -> str:
    names = "\n".join(f"- {name}" for name in conflicts)
    command = f"git rebase {short(base)}" if how == "rebase" else f"git merge {short(base)}"
    return (
        f"The branch has to be brought up to date with {short(base)}, and that meets conflicts in:\n{names}\n\n"
        f"Run `{command}`, resolve the conflicts so that both sides' intentions are kept, run the tests, and finish "
        f"the {how}."
    )
