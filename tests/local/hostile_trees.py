"""Folders of files that chance makes hard to keep: names, modes, links, encodings, attributes, repositories inside."""

import os
import random
import shutil
import stat
from pathlib import Path

NAMES = (
    *(
        b"a",
        b"b.txt",
        b"c.o",
        b"d",
        b"new\nline",
        b'quo"te',
        b"tab\there",
        b"\xff\xfe",
        "ü".encode(),
        "u\u0308".encode(),
    ),
    *(b"-x", b"sp ace ", b"back\\slash", b"git~1", b"*", b":(glob)x", b"CON", b"a:b", b"#x", b"!y", b"x.lock", b"HEAD"),
)
CONTENTS = (
    *(b"", b"x", b"one\ntwo\n", b"one\r\ntwo\r\n", b"one\r\ntwo\nthree\r", b"\xe4\xf6\xfc\n", b"\0\1\2\0", b"$Id$\n"),
    *(b"$Id: 0123 $\r\n", "ü\r\n".encode("utf-16"), b"\xef\xbb\xbfbom\r\n", b"ref: x\n", bytes(range(256)) * 20),
)
ATTRIBUTES = (
    b"* text=auto eol=crlf\n",
    b"* text eol=lf\n*.txt ident\n",
    b"* filter=bad ident working-tree-encoding=UTF-16\n",
    b"[attr]odd filter=bad\n*.o odd\nb* -text\n",
)
IGNORES = (b"b*\n", b"*.o\n!c.o\n", b"d/\n", b"/a\n*te\n", b"*\n!.gitignore\n")


def fill(folder: bytes, chance: random.Random, depth: int = 0, *, repositories: bool = True) -> None:
    """Make files in the folder, and the folder where it is not there yet."""
    os.makedirs(folder, exist_ok=True)
    for name in chance.sample(NAMES, chance.randint(1, 4)):
        path = os.path.join(folder, name)
        if os.path.lexists(path):
            continue
        kind = chance.random()
        if kind < 0.25 and depth < 2:
            fill(path, chance, depth + 1, repositories=repositories)
            if repositories and chance.random() < 0.1:
                # A repository inside, without a commit.
                for part in (b".git/objects", b".git/refs"):
                    os.makedirs(os.path.join(path, part))
                _write(os.path.join(path, b".git/HEAD"), b"ref: refs/heads/main\n")
        elif kind < 0.4:
            os.symlink(chance.choice((b"a", b"../a", b"nowhere", b".", b"/etc/hostname", b"d", b"x\ny")), path)
        else:
            _write(path, chance.choice(CONTENTS))
            os.chmod(path, chance.choice((0o644, 0o755)))
    for name, rules, often in ((b".gitattributes", ATTRIBUTES, 0.3), (b".gitignore", IGNORES, 0.2)):
        path = os.path.join(folder, name)
        if chance.random() < often and not (os.path.isdir(path) or os.path.islink(path)):
            _write(path, chance.choice(rules))


def change(folder: bytes, chance: random.Random) -> None:
    """Change, remove and replace some of what is in the folder; folders become files, and files folders."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False) and os.path.lexists(os.path.join(entry.path, b".git")):
            continue
        if entry.is_dir(follow_symlinks=False) and chance.random() < 0.6:
            change(entry.path, chance)
            continue
        what = chance.random()
        if what < 0.3:
            continue
        if what < 0.4 and entry.is_file(follow_symlinks=False):
            os.chmod(entry.path, entry.stat().st_mode ^ stat.S_IXUSR)
            continue
        if _has_repository(entry.path):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
        if what < 0.6:
            _write(entry.path, chance.choice(CONTENTS))
        elif what < 0.75:
            fill(entry.path, chance, 1, repositories=False)
        elif what < 0.85:
            os.symlink(b"elsewhere", entry.path)
    fill(folder, chance, 1, repositories=False)


def seen(folder: bytes) -> dict[bytes, tuple[str, bytes]]:
    """All files in a folder by their paths in it, to the byte: kind and content. What is git's own is left out."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for top, inner, files in os.walk(folder):
        if b".git" in inner:
            inner.remove(b".git")
        for name in (*files, *(each for each in inner if os.path.islink(os.path.join(top, each)))):
            path = os.path.join(top, name)
            where = os.path.relpath(path, folder)
            if where == b".git":
                continue
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                found[where] = ("link", os.readlink(path))
            elif not stat.S_ISREG(mode):
                found[where] = ("pipe" if stat.S_ISFIFO(mode) else "socket", b"")
            else:
                found[where] = (
                    "x" if os.stat(path).st_mode & stat.S_IXUSR else "-",
                    Path(os.fsdecode(path)).read_bytes(),
                )
    return found


def _has_repository(path: bytes) -> bool:
    return any(b".git" in (*inner, *files) for _, inner, files in os.walk(path))


def _write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
