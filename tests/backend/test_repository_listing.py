"""The files that git tells of a worktree and of a branch, whatever they are called."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from backend_stub.repository.listing import files_of, files_of_branch
from tests.git import git, make_code, make_repository

pytestmark = pytest.mark.anyio


async def test_a_worktree_has_what_git_knows_and_what_it_does_not_ignore(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code")
    (code / "new").mkdir()
    for name in ("new/ü \t.py", ".env"):
        (code / name).write_text("")
    Path(os.fsdecode(os.fsencode(code) + b"/caf\xe9")).write_text("")
    git(code, "clone", "-q", str(code), "inner")
    (code / "a.txt").unlink()
    assert await files_of(str(code)) == (".gitignore", "b.txt", "caf\udce9", "new/ü \t.py")


async def test_a_file_with_conflicts_is_told_once(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code")
    for branch, base, text in (("one", "main", "1"), ("two", "main", "2")):
        git(code, "checkout", "-q", "-b", branch, base)
        (code / "b.txt").write_text(text)
        git(code, "commit", "-q", "-a", "-m", branch)
    with suppress(subprocess.CalledProcessError):
        git(code, "merge", "-q", "one")
    assert git(code, "ls-files", "-u")
    assert await files_of(str(code)) == (".gitignore", "a.txt", "b.txt")


async def test_a_branch_has_its_own_files_also_in_a_bare_repository(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code")
    git(code, "checkout", "-q", "-b", "side")
    (code / "c.txt").write_text("")
    git(code, "add", "--all")
    git(code, "commit", "-q", "-m", "third")
    git(tmp_path, "clone", "-q", "--bare", str(code), "bare")
    for folder in (code, tmp_path / "bare"):
        assert await files_of_branch(str(folder), "main") == (".gitignore", "a.txt", "b.txt")
        assert await files_of_branch(str(folder), "gone") == (".gitignore", "a.txt", "b.txt", "c.txt")
    assert await files_of_branch(str(make_repository(tmp_path / "empty")), None) == ()
