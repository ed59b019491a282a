"""Which repository `--repo` means, judged by looking at the folder; git is not run."""

import re

from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.repositories import is_remote
from foundry_tui.process.repositories import repository_around
from foundry_tui.settings.paths import absolute


def repository_of(given: str) -> str:
    """What to tell the backend: a git URL or a repo_id as it is, a folder as the root of its repository.

    Raises `CommandError` for a folder that is no repository, one that does not exist, and what is no text.
    """
    place = _place_of(given)
    try:
        place.encode()
    except UnicodeEncodeError:
        raise CommandError(
            f"{place} is no UTF-8 text", hint="name the folder of a git repository with --repo by a path that is"
        ) from None
    return place


def _place_of(given: str) -> str:
    path = absolute(given)
    if not path.exists():
        if is_remote(given):
            return given
        if "/" not in given and not given.startswith((".", "~")) and re.fullmatch(r"[A-Za-z0-9][\w.~-]*", given):
            # an id that only the backend can know
            return given
        raise CommandError(f"{path} does not exist", hint="name the folder of a git repository with --repo")
    if not path.is_dir():
        raise CommandError(f"{path} is no folder", hint="name the folder of a git repository with --repo")
    try:
        found = repository_around(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be looked at: {error.strerror}") from None
    if found is None:
        raise CommandError(
            f"{path} is no git repository", hint="go to one, name one with --repo, or make one: git init"
        )
    return str(found)
