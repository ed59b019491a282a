"""What was written into the dialog of a new task and not sent."""

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from foundry_tui.contract.requests import CreateTask

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
        return next((draft for key in keys if (draft := self._drafts.get(key)) is not None), self._given)

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
