"""What a forge promises: where pull requests are opened, checked and talked about."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from backend_stub.domain.errors import CallError
from foundry_tui.contract.pull_request import Comment, PullRequest
from foundry_tui.contract.records import ErrorKind

LONGEST_LIMIT = 3_600
"""Seconds after which a forge is asked again, whatever it said: none limits for longer, and strange answers may."""


class ForgeError(CallError):
    """The forge did not do it; the message says what to do."""

    kind = ErrorKind.GIT


class ForgeLimitedError(ForgeError):
    """The forge takes no more requests for a while: until the time `until` (ms), where it says so."""

    def __init__(self, message: str, *, until: int | None = None) -> None:
        super().__init__(message)
        self.until = until


@dataclass(frozen=True)
class Proposal:
    """A pull request that is wanted: what of `head` is to come into `base`, or (None) into the forge's own default.

    `title` and `body` are those of a new one; one that is open keeps its own, unless a person has `said` others, and
    stays a draft or none, unless `draft` says what it is to be.
    """

    head: str
    base: str | None
    title: str
    body: str
    draft: bool | None = None
    said: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Head:
    """Where a pull request comes from, and the branch `base` that it is to go to.

    `branch` is one of the same repository, or of a fork: then `fork` is the name of the fork's owner.
    """

    pull_request: PullRequest
    branch: str
    base: str
    fork: str | None = None


@dataclass(frozen=True)
class Issue:
    """What somebody reported; title and text are theirs, whole."""

    title: str
    text: str
    url: str


@dataclass(frozen=True)
class FailedCheck:
    """A check that failed: the end of its `log`, "" where there is none to be had, and whether it had a beginning that
    was `cut`; `url` is where people read it.
    """

    name: str
    url: str
    log: str = ""
    cut: bool = False


class Forge(Protocol):
    """A forge, through its own tool and with the person's own login. `remote` is the URL that branches are pushed to.

    Every method raises `ForgeError`, and asks nobody anything. gh is the only side so far: the demo's pull requests are
    made up by its `WayHome`, as its script says, and no forge is asked.
    """

    async def expect_usable(self, remote: str) -> None:
        """Raise `ForgeError` when it is known without asking the forge that nothing can be opened there."""
        ...

    async def propose(self, remote: str, proposal: Proposal) -> PullRequest:
        """Open a pull request, or refresh the one of this head that is open; doing it again opens no second one."""
        ...

    async def look(self, remote: str, number: int) -> PullRequest:
        """The pull request as it is now."""
        ...

    async def comments(self, remote: str, number: int) -> Sequence[Comment]:
        """What was said about lines of it, oldest first."""
        ...

    async def find(self, remote: str, head: str) -> PullRequest | None:
        """The open pull request of this repository's own branch, if there is one."""
        ...

    async def head(self, remote: str, number: int) -> Head:
        """Where a pull request comes from."""
        ...

    async def issue(self, remote: str, number: int) -> Issue:
        """An issue; one that is a pull request is a `ForgeError`."""
        ...

    async def failed_checks(
        self, remote: str, number: int, names: Collection[str], logs: int, most: int
    ) -> Sequence[FailedCheck]:
        """The checks that failed on the newest commit of a pull request, those of these names or all: the first `logs`
        with at most `most` characters of their logs.
        """
        ...
