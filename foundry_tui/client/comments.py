"""Comments on a task's changes that were not sent yet: kept in a file for each task, which several processes share."""

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.client.private_files import make_folder
from foundry_tui.client.shared_file import alone, lock_of, put_aside, replace_file
from foundry_tui.contract import codec


class Comment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person says about lines of a file; about the whole file where `first` and `last` are 0."""

    comment_id: str
    path: str
    first: int
    last: int
    text: str
    code: str = ""
    """The lines as they were, without what the diff puts before them; empty where they were not known."""
    old: bool = False
    """The lines are those of the file before the changes, where they are no more."""
    changed: bool = False
    """Some of the lines were changed by the task."""

    def at(self, first: int, last: int) -> "Comment":
        """The same comment on lines that have other numbers by now."""
        return self if (first, last) == (self.first, self.last) else replace(self, first=first, last=last)


Comments = tuple[Comment, ...]


class KeptComments:
    """The comments of each task, in files of this folder (None: they are kept as long as this object)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, Comments] = {}
        self._counts: dict[str, int] = {}

    @classmethod
    def beside(cls, file: Path | None) -> "KeptComments":
        """Those that are kept beside the file of what a backend has not answered."""
        return cls(file.with_name(f"{file.name}.comments") if file is not None else None)

    def of(self, task_id: str) -> Comments:
        """The comments of a task, oldest first. Raises `OSError`, once also for a file that had to be put aside."""
        path = self._path(task_id)
        comments = self._held.get(task_id, ()) if path is None else _read(path)
        self._counts[task_id] = len(comments)
        return comments

    def count(self, task_id: str) -> int:
        """How many a task had when they were read last, and that is once if nobody did; none where they cannot be."""
        if task_id not in self._counts:
            try:
                self.of(task_id)
            except OSError:
                # It is said where they are read to be shown.
                self._counts[task_id] = 0
        return self._counts[task_id]

    def put(self, task_id: str, comment: Comment) -> Comments:
        """Keep a comment, in the place of the one of this id; the answer is all of them. Raises `OSError`."""

        def change(known: Comments) -> Comments:
            if any(each.comment_id == comment.comment_id for each in known):
                return tuple(comment if each.comment_id == comment.comment_id else each for each in known)
            return (*known, comment)

        return self._change(task_id, change)

    def remove(self, task_id: str, comments: Sequence[Comment]) -> Comments:
        """Forget these, unless their text is another by now; the answer is the others. Raises `OSError`."""
        gone = {(each.comment_id, each.text) for each in comments}
        return self._change(
            task_id, lambda known: tuple(each for each in known if (each.comment_id, each.text) not in gone)
        )

    def forget(self, task_id: str) -> None:
        """The task is gone for good, and with it what was not sent. What cannot be removed stays."""
        self._held.pop(task_id, None)
        self._counts.pop(task_id, None)
        if (path := self._path(task_id)) is not None:
            for file in (path, lock_of(path)):
                with suppress(OSError):
                    file.unlink()

    def _change(self, task_id: str, change: Callable[[Comments], Comments]) -> Comments:
        path = self._path(task_id)
        if path is None:
            comments = self._held[task_id] = change(self._held.get(task_id, ()))
        else:
            make_folder(path.parent)
            with alone(path):
                comments = change(_read(path))
                if comments:
                    replace_file(path, msgspec.json.encode(comments))
                else:
                    path.unlink(missing_ok=True)
        self._counts[task_id] = len(comments)
        return comments

    def _path(self, task_id: str) -> Path | None:
        return self._folder / f"{task_id}.json" if self._folder is not None else None


def _read(path: Path) -> Comments:
    try:
        return codec.decode(path.read_bytes(), Comments)
    except FileNotFoundError:
        return ()
    except msgspec.DecodeError:
        # The next comment would overwrite it.
        why = f"those of before cannot be read, and are in {put_aside(path)} now"
        raise OSError(errno.EBADMSG, why, str(path)) from None
