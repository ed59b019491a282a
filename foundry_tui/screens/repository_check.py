"""Whether a text names a repository in which tasks can be made, judged by its folder; git is not run."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from foundry_tui.contract.records import Repo
from foundry_tui.contract.repositories import is_remote
from foundry_tui.process.repositories import repository_around
from foundry_tui.view.new_task import Remark, find_repo, location


class RepositoryChoice(Struct, frozen=True, kw_only=True):
    """What the text of a repository field means. `value` is sent to the backend, None if that cannot be; `repo` is the
    repository where the backend knows it already.
    """

    value: str | None
    remark: Remark
    repo: Repo | None = None


def judge(text: str, repos: Iterable[Repo], folder: Path) -> RepositoryChoice:
    """What the text of the field means; paths are relative to `folder`."""
    text = text.strip()
    if not text:
        return RepositoryChoice(value=None, remark=Remark("choose a repository: a folder or a git URL", bad=True))
    known = find_repo(text, repos)
    if known is not None:
        where = location(known)
        return RepositoryChoice(value=where, remark=Remark(where if text == known.label else known.label), repo=known)
    if is_remote(text):
        return RepositoryChoice(value=text, remark=Remark("a git URL that is new here"))
    try:
        path = (folder / Path(text).expanduser()).resolve()
        if not path.exists():
            return RepositoryChoice(value=None, remark=Remark("there is no such folder", bad=True))
        if not path.is_dir():
            return RepositoryChoice(value=None, remark=Remark("this is a file, not a folder", bad=True))
        root = repository_around(path)
    except (OSError, RuntimeError, ValueError) as trouble:
        return RepositoryChoice(value=None, remark=Remark(f"cannot be looked at: {trouble}", bad=True))
    if root is None:
        return RepositoryChoice(value=None, remark=Remark("this folder is no git repository", bad=True))
    known = find_repo(str(root), repos)
    where = "" if root == path else f" at {root}"
    return RepositoryChoice(value=str(root), remark=Remark(f"{known.label if known else root.name}{where}"), repo=known)


def folders_below(text: str, folder: Path, limit: int = 40) -> list[str]:
    """Folders that continue a path being typed, as it is typed; hidden ones only if a dot was typed."""
    head, slash, tail = text.rpartition("/")
    if not slash:
        return []
    try:
        base = folder / Path(head or "/").expanduser()
        names = sorted(
            entry.name
            for entry in base.iterdir()
            if entry.name.lower().startswith(tail.lower())
            and (tail.startswith(".") or not entry.name.startswith("."))
            and entry.is_dir()
        )
    except (OSError, RuntimeError):
        return []
    return [f"{head}/{name}" for name in names[:limit]]
