"""Where the branch of a task's worktree begins: at the base if it is a new one, else where it stands already."""

from dataclasses import dataclass

from backend_stub.domain.errors import GitError
from backend_stub.repository.checkouts import commit_of, expect_free, no_such_branch
from backend_stub.repository.git import Told, run_git
from backend_stub.repository.location import is_text

HEADS, ORIGIN = "refs/heads/", "refs/remotes/origin/"


@dataclass(frozen=True)
class Plan:
    """What is to be made: a worktree of `repository` (a folder) on `branch`, to be compared with `base`.

    The branch is a new one from there, or one that `exists`, here or at the `remote`. `forward`: the remote's is meant,
    so that one here which is behind that is brought there. A `cloned` repository is ours: what it has of a branch that
    the remote has too may be old.
    """

    task_id: str
    repository: str
    branch: str
    base: str
    cloned: bool
    exists: bool = False
    forward: bool = False
    remote: str = "origin"


@dataclass(frozen=True)
class Beginning:
    """The ref (or commit) that the worktree is compared with, the commit where the two part, and the commit that the
    branch is at; `is_new`: it is to be made there.
    """

    base: str
    base_commit: str
    commit: str
    is_new: bool = True


async def beginning_of(plan: Plan, common: str, told: Told) -> Beginning:
    """Raises `GitError` with what is wrong with the branch or the base. `common` is the repository's git folder."""
    base, base_commit = await _base(plan, common, told)
    here = await commit_of(common, HEADS + plan.branch, told)
    if not plan.exists:
        if here:
            raise GitError(f"the branch {plan.branch} exists already; choose another", retryable=False)
        return Beginning(base, base_commit, base_commit)
    theirs = f"refs/remotes/{plan.remote}/{plan.branch}"
    there = await commit_of(common, theirs, told)
    commit = here or there
    if commit is None:
        raise no_such_branch(plan.branch, plan.repository)
    await expect_free(common, plan.branch, told, but_for=plan.repository if plan.cloned else None)
    if here is not None and there is not None and (plan.forward or plan.cloned):
        commit = await _forwarded(plan, common, here, there, told)
    if base == HEADS + plan.branch:
        # Compared with itself it would never have changed.
        base = theirs if there is not None and theirs.startswith(ORIGIN) else commit
    parted = await run_git(common, "merge-base", "--", base_commit, commit, told=told, accept=(0, 1), bare=True)
    return Beginning(base, parted.text.strip() or commit, commit, is_new=here is None)


async def _forwarded(plan: Plan, common: str, here: str, there: str, told: Told) -> str:
    """Bring the branch here, which no worktree has, to where its remote's is; its commit by then."""
    if here == there or await _holds(common, there, here, told):
        return here
    if not await _holds(common, here, there, told):
        raise GitError(
            f"Your branch {plan.branch} and the remote's have gone different ways. Bring them together (git switch "
            f"{plan.branch}, git pull --rebase), switch away from it, then retry.",
            retryable=False,
        )
    words = ("update-ref", "-m", "foundry: fast-forward", HEADS + plan.branch, there, here)
    await run_git(common, *words, told=told, bare=True)
    return there


async def _holds(common: str, commit: str, tip: str, told: Told) -> bool:
    """Whether the tip has all of the commit."""
    done = await run_git(
        common, "merge-base", "--is-ancestor", commit, tip, told=told, accept=(0, 1, 128), bare=True
    )  # fmt: skip
    return done.exit_code == 0


async def _base(plan: Plan, common: str, told: Told) -> tuple[str, str]:
    """What the task is compared with, as it will be known from anywhere, and its commit.

    A local branch, else the remote's, else any other name of a commit; in a clone the remote's comes first. What the
    remote's has beyond a local one that nobody has committed to is begun with: it is that branch, as it is by now.
    """
    local, remote = HEADS + plan.base, ORIGIN + plan.base
    for name in (remote, local) if plan.cloned else (local, remote):
        commit = await commit_of(common, name, told)
        if commit:
            theirs = await commit_of(common, remote, told) if name == local else None
            newest = theirs if theirs is not None and await _holds(common, commit, theirs, told) else commit
            return name if is_text(name) else commit, newest
    # In the folder that was named, which has a HEAD of its own where it is a linked worktree.
    commit = await commit_of(plan.repository, plan.base, told)
    if commit:
        return commit, commit
    some = await run_git(common, "rev-list", "--max-count=1", "--all", told=told, bare=True)
    if not some.text.strip():
        raise GitError(f"{plan.repository} has no commit yet; make one first", retryable=False)
    raise GitError(f"the base branch {plan.base} does not exist in {plan.repository}", retryable=False)
