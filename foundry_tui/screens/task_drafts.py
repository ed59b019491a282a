"""What was written into the dialog of a new task and not sent."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from foundry_tui.client.creations import files_key
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.unsent_text import draft_attachments

if TYPE_CHECKING:
    from foundry_tui.client.commands import Drafts

LAST = ""
"""Where the draft that was closed last is kept, whatever its repository."""


class TaskDrafts:
    """The drafts of one dialog, kept among the client's, so they outlive the app.

    `given` is the request that the dialog began from: what was made of it is kept for when it is given again.
    """

    def __init__(self, drafts: "Drafts", given: CreateTask | None) -> None:
        self._drafts = drafts
        self._given = given

    def first(self, repo: str) -> CreateTask | None:
        """What the dialog begins with: the given request, or what was made of it; else the repository's or the last."""
        keys = (repo, LAST) if self._given is None else (self._again,)
        draft = next((draft for key in keys if (draft := self._drafts.get(key)) is not None), None)
        if draft is not None or self._given is None:
            return draft
        files = self._drafts.get(files_key(self._given.task_id or ""))
        return replace(self._given, attachments=files.attachments) if files is not None else self._given

    def keep_files(self, task_id: str, files: Sequence[str]) -> None:
        """Keep what files were attached to a task that was asked for, should it be refused."""
        if files:
            self._drafts.put(files_key(task_id), CreateTask(repo="", prompt="", attachments=draft_attachments(files)))

    def keep(self, repo: str, draft: CreateTask | None, *, of_repo: bool) -> None:
        """Keep this draft, None for nothing written; `of_repo`: as its repository's too."""
        for key in {self._again} if self._given is not None else {LAST, repo} if of_repo else {LAST}:
            if draft is not None:
                self._drafts.put(key, draft)
            else:
                self._drafts.discard(key)

    def forget(self, repos: Iterable[str]) -> None:
        """What was written has been handed over."""
        for key in {LAST, *repos, *([self._again] if self._given is not None else [])}:
            self._drafts.discard(key)

    def begin_anew(self) -> None:
        """What is written from now on is made of no request."""
        self._given = None

    @property
    def _again(self) -> str:
        return f"again:{sha256(msgspec.json.encode(self._given)).hexdigest()}"
