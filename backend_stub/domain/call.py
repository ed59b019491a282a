"""What every call to a provider or an agent is given."""

from collections.abc import Callable
from dataclasses import dataclass

from foundry_tui.contract.records import Repo, TaskDetail


@dataclass(frozen=True)
class Call:
    """What every call is given: the task as it stands, its repository, and where to tell what happens.

    `log` keeps a line on the task's stage log; `detail` says in a few words what is being done now. Both return
    at once and may be called from the event loop only. `trust`: whoever made the task trusts the set-up that it gets.
    """

    task: TaskDetail
    repo: Repo
    log: Callable[[str], None]
    detail: Callable[[str], None]
    trust: bool = False
