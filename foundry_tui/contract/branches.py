"""Rules for names of branches: what git takes, and which names cannot stand beside each other in one repository."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator

_COMPONENT_BYTES = 250
_NAME_BYTES = 1_000


def check_branch(name: str) -> str | None:
    """What is wrong with a branch name by git's rules (`git check-ref-format --branch`), or None.

    Beyond those rules, a name that no file system can hold is refused too. `$(id)` is legal: names never meet a
    shell.
    """
    if not name:
        return "A branch name cannot be empty."
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "A branch name must be valid Unicode text."
    if name == "HEAD":
        return "A branch cannot be called HEAD: git uses that name itself."
    if name.startswith("-"):
        return "A branch name cannot begin with a dash."
    for char in name:
        if char < " " or char == "\x7f":
            return "A branch name cannot contain control characters, tabs or line breaks."
        if char == " ":
            return "A branch name cannot contain spaces; use dashes."
        if char in "~^:?*[\\":
            return f"A branch name cannot contain {char}"
    return _wrong_sequence(name) or _wrong_component(name, size)


def conflicting_branch(name: str, taken: Iterable[str]) -> str | None:
    """The taken branch that `name` cannot stand beside in one repository, or None.

    That is the same name, the same but for case or Unicode composition (one file on many file systems), or one
    that is a folder of the other (`a` and `a/b`).
    """
    wanted = fold_branch(name)
    folders = set(_parents(wanted))
    for other in taken:
        folded = fold_branch(other)
        if folded == wanted or folded in folders or folded.startswith(wanted + "/"):
            return other
    return None


def near_branches(names: Collection[str], branches: Iterable[str]) -> list[str]:
    """Those of the branches that one of these names cannot stand beside; see `conflicting_branch`."""
    wanted = {fold_branch(name) for name in names}
    folders = {parent for name in wanted for parent in _parents(name)}
    found = []
    for branch in branches:
        folded = fold_branch(branch)
        if folded in wanted or folded in folders or any(parent in wanted for parent in _parents(folded)):
            found.append(branch)
    return found


def fold_branch(name: str) -> str:
    """The name as file systems compare it that do not tell case or Unicode composition apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _wrong_sequence(name: str) -> str | None:
    if ".." in name:
        return "A branch name cannot contain two dots in a row."
    if "@{" in name:
        return "A branch name cannot contain @{"
    if name.startswith("/") or name.endswith("/") or "//" in name:
        return "A branch name cannot begin or end with a slash or have two in a row."
    if name.endswith("."):
        return "A branch name cannot end with a dot."
    return None


def _wrong_component(name: str, size: int) -> str | None:
    for part in name.split("/"):
        if part.startswith("."):
            return "No part of a branch name can begin with a dot."
        if part.endswith(".lock"):
            return "No part of a branch name can end with .lock"
        # git writes `<part>.lock` beside it, and file names end at 255 bytes.
        if len(part.encode()) > _COMPONENT_BYTES:
            return f"No part of a branch name can be longer than {_COMPONENT_BYTES} bytes."
    if size > _NAME_BYTES:
        return f"A branch name can have at most {_NAME_BYTES} bytes."
    return None


def _parents(name: str) -> Iterator[str]:
    place = name.find("/")
    while place > 0:
        yield name[:place]
        place = name.find("/", place + 1)
