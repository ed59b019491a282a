"""What a task starts from, as git and the forge tell of it."""

from dataclasses import dataclass

from foundry_tui.contract.pull_request import PullRequest


@dataclass(frozen=True)
class Start:
    """The `branch` that a task works on itself, None where it gets a new one, and the `base` that this is to go to,
    None for the one that it would have anyway. `title` and `url` are those of the pull request or issue, `text` is what
    the issue says. `pull_request` is the open one of the branch.
    """

    branch: str | None = None
    base: str | None = None
    title: str | None = None
    text: str = ""
    url: str | None = None
    pull_request: PullRequest | None = None
