"""Which folder of this machine is a repository: judged by looking at folders, never by running git."""

from pathlib import Path


def repository_around(folder: Path) -> Path | None:
    """The repository that a folder is, or is in: the nearest with a `.git`, or a bare one. Raises `OSError`."""
    return next((each for each in (folder, *folder.parents) if _is_repository(each)), None)


def _is_repository(folder: Path) -> bool:
    if (folder / ".git").exists():
        return True
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
