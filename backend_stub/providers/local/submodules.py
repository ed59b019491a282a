"""Filling the submodules of a new worktree, from what the main repository has of them where that will do.

git keeps a worktree's submodules apart from the main repository's, so each is cloned: from `modules/NAME` of the main
repository when that has the commit (hard links, no network), else from its own URL. `.foundry/submodules` with the word
`off` leaves them empty. What of them would be lost is found in `losses.py`.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.repository.git import TREE_TIMEOUT, Told, run_git
from backend_stub.repository.git_errors import explain
from backend_stub.repository.nofollow import UnusableError
from backend_stub.repository.setup_files import FOLDER, read_list

SWITCH = "submodules"
"""The switch's name in `.foundry/`."""
_DEEPEST = 8
_LOCAL = ("-c", "protocol.file.allow=always")
"""For clones of what lies in the main repository's own git folder, and of nothing else."""


@dataclass(frozen=True)
class _Submodule:
    """One of a work tree's submodules: its path there, and where the main repository keeps it, or None."""

    name: str
    path: str
    url: str
    local: Path | None


async def fill_submodules(worktree: Path, common: Path, log: Callable[[str], None], told: Told) -> None:
    """Fill what `.gitmodules` of the worktree names, and what these name; `common` is the repository's git folder.

    Says in the log what it took. Raises `GitError` that names the submodule which cannot be had.
    """
    if await _is_off(worktree, log):
        log(f"submodules are left empty: {FOLDER}/{SWITCH} says off")
        return
    began = time.monotonic()
    filled = await _fill(worktree, common / "modules", log, told, depth=0)
    if not filled:
        return
    near = sum(filled)
    took = round((time.monotonic() - began) * 1000)
    log(f"filled {len(filled)} submodules in {took} ms: {near} from the repository itself, {len(filled) - near} by URL")


async def _is_off(worktree: Path, log: Callable[[str], None]) -> bool:
    try:
        said = (await anyio.to_thread.run_sync(read_list, worktree, SWITCH) or b"").strip()
    except UnusableError as error:
        log(str(error))
        return False
    if said not in (b"", b"on", b"off"):
        log(f"{FOLDER}/{SWITCH} is not understood: it says on or off")
    return said == b"off"


async def _fill(folder: Path, modules: Path, log: Callable[[str], None], told: Told, *, depth: int) -> list[bool]:
    """Fill one work tree's submodules and theirs; of each whether the main repository had it."""
    filled: list[bool] = []
    for submodule in await _submodules(folder, modules):
        inside, further = folder / submodule.path, modules / submodule.name / "modules"
        near = submodule.local is not None and await _fill_from_here(folder, submodule, submodule.local, told)
        if not near:
            await _fill_by_url(folder, submodule, told)
        if not await anyio.to_thread.run_sync(os.path.lexists, inside / ".git"):
            log(f"the submodule {submodule.path} is left empty: git does not accept what .gitmodules says of it")
            continue
        filled.append(near)
        if depth < _DEEPEST and await anyio.to_thread.run_sync(os.path.isfile, inside / ".gitmodules"):
            filled += await _fill(inside, further, log, told, depth=depth + 1)
    return filled


async def _submodules(folder: Path, modules: Path) -> list[_Submodule]:
    """Those of a work tree that its index has, by name and path as `.gitmodules` gives them."""
    told = await run_git(
        str(folder),
        "config",
        "--file",
        ".gitmodules",
        "-z",
        "--get-regexp",
        r"^submodule\..*\.(path|url)$",
        accept=(0, 1),
    )
    settings = dict(pair.split("\n", 1) for pair in told.text.split("\0") if "\n" in pair)
    staged = await run_git(str(folder), "ls-files", "--stage", "-z")
    commits = {
        path: entry.split(" ")[1]
        for entry, _, path in (line.partition("\t") for line in staged.text.split("\0"))
        if entry.startswith("160000 ")
    }
    found = []
    for key, path in settings.items():
        if not key.endswith(".path") or path not in commits:
            continue
        name = key.removeprefix("submodule.").removesuffix(".path")
        local = modules / name
        # git refuses such names too; a `=` would end the name of the setting that has it.
        usable = ".." not in name.split("/") and "=" not in name and not name.startswith("/")
        has_it = usable and await _has(local, commits[path])
        url = settings.get(f"submodule.{name}.url", path)
        found.append(_Submodule(name, path, url, local if has_it else None))
    return found


async def _has(git_dir: Path, commit: str) -> bool:
    if not await anyio.to_thread.run_sync(os.path.isdir, git_dir):
        return False
    seen = await run_git(
        str(git_dir.parent),
        f"--git-dir={git_dir}",
        "-c",
        f"core.worktree={git_dir}",
        "cat-file",
        "-e",
        f"{commit}^{{commit}}",
        accept=(0, 1, 128),
    )
    return seen.exit_code == 0


async def _fill_from_here(folder: Path, submodule: _Submodule, local: Path, told: Told) -> bool:
    """Clone what the main repository has, and give it back the URL that it was cloned from; False if that fails."""
    try:
        await run_git(
            str(folder),
            *_LOCAL,
            "-c",
            f"submodule.{submodule.name}.url={local}",
            *_update(submodule),
            told=told,
            timeout=TREE_TIMEOUT,
        )
        url = await run_git(
            str(local.parent), "config", "--file", str(local / "config"), "--get", "remote.origin.url", accept=(0, 1)
        )
        if url.text.strip():
            await run_git(str(folder / submodule.path), "remote", "set-url", "origin", "--", url.text.strip())
        await _know_the_remote(folder / submodule.path, local, told)
    except GitError:
        return False
    return True


async def _know_the_remote(inside: Path, local: Path, told: Told) -> None:
    """Have a clone's remote branches be the remote's, as the main repository knows them. As it was cloned they are the
    person's own branches there, of which nobody else need have a commit.
    """
    await run_git(str(inside), "remote", "set-head", "origin", "--delete", told=told, accept=range(256))
    refs = "+refs/remotes/origin/*:refs/remotes/origin/*"
    words = ("fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--", str(local), refs)
    await run_git(str(inside), *_LOCAL, *words, told=told, timeout=TREE_TIMEOUT)


async def _fill_by_url(folder: Path, submodule: _Submodule, told: Told) -> None:
    done = await run_git(str(folder), *_update(submodule), told=told, timeout=TREE_TIMEOUT, accept=range(256))
    if done.exit_code == 0:
        return
    refused = re.search(r"transport '\w+' not allowed", done.stderr)
    cloning = ("clone", "--", submodule.url)
    why = await anyio.to_thread.run_sync(explain, cloning, str(folder), done.exit_code, done.stderr)
    reason = f"git does not take submodules from {submodule.url} ({refused[0]})." if refused else why.message
    path = submodule.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    raise GitError(
        f"the submodule {path} cannot be filled: {reason} Fill it in the repository itself (git submodule "
        f"update --init), from where it is taken then, or leave submodules empty: the word off in {FOLDER}/{SWITCH}",
        retryable=why.retryable and refused is None,
    )


def _update(submodule: _Submodule) -> tuple[str, ...]:
    # Made active for this command alone: `--init` would write it into the person's own configuration.
    active = f"submodule.active=:(top,literal){submodule.path}"
    return ("-c", active, "submodule", "--quiet", "update", "--checkout", "--force", "--", submodule.path)
