"""Git's rules for branch names, as a check that runs on every key stroke without running git."""

import re

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")


def branch_problem(name: str) -> str | None:
    """Why git would refuse a branch of this name, in a few words; None if it would take it.

    The rules are those of `git check-ref-format --branch`, without its expansion of `@{-1}`.
    """
    if not name:
        return "a branch needs a name"
    if name.startswith("-"):
        return "cannot begin with a dash"
    if name == "HEAD":
        return "HEAD means something else to git"
    if (bad := _FORBIDDEN.search(name)) is not None:
        character = bad.group()
        shown = (
            "a space" if character == " " else repr(character) if character < " " or character == "\x7f" else character
        )
        return f"cannot contain {shown}"
    if ".." in name:
        return "cannot contain .."
    if "@{" in name:
        return "cannot contain @{"
    if name.startswith("/") or name.endswith("/") or "//" in name:
        return "has an empty part around a slash"
    if name.endswith("."):
        return "cannot end with a dot"
    for part in name.split("/"):
        if part.startswith("."):
            return "no part can begin with a dot"
        if part.endswith(".lock"):
            return "no part can end with .lock"
    return None
