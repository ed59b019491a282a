"""Pushes a worktree's branch to its upstream, or to `origin`."""

import re

from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Progress
from backend_stub.providers.local.way_home.place import HEADS, Place, listed
from backend_stub.providers.local.way_home.submodules import expect_pushable
from backend_stub.repository.git_errors import without_credentials

_MOVED = re.compile(r"\((?:fetch first|non-fast-forward|stale info)\)|tip of your current branch is behind")
_AROUND = ("hint:", "To ", "error: failed to push some refs")
_DECLINED = re.compile(r"\([^)]*declined\)|GH006|protected branch")


HAD = "had"
"""The note of what the remote's branch was known to have before."""


async def push(place: Place, progress: Progress, *, force_with_lease: bool) -> tuple[dict[str, str], bool]:
    """Where the branch was pushed to, and which commit; and whether that is another one than was known to be there.

    Raises `GitError`.
    """
    await progress.step("push")
    branch = await place.branch()
    remote, name = await upstream(place, branch)
    commit = await place.commit_of("HEAD")
    if not commit:
        raise GitError(f"The branch {branch} has no commit yet.", retryable=False)
    await expect_pushable(place, branch, remote)
    await progress.tell(f"{branch} to {remote}")
    if HAD not in progress.notes:
        await progress.note(HAD, await place.commit_of(f"refs/remotes/{remote}/{name}"))
    lease = ("--force-with-lease",) if force_with_lease else ()
    words = ("push", *lease, "--", remote, f"{commit}:{HEADS}{name}")
    done = await place.git(*words, accept=(0, 1, 128))
    if done.exit_code != 0:
        raise _refused(place, done.stderr, remote, name) or await place.explained(words, done.stderr, remote, "--push")
    return {"remote": remote, "branch": name, "sha": commit}, progress.notes[HAD] != commit


async def upstream(place: Place, branch: str) -> tuple[str, str]:
    """The remote and the branch there that this one is pushed to."""
    remotes = (await place.text("remote")).split("\n")
    remote = await place.text("config", "--get", f"branch.{branch}.remote", accept=(0, 1))
    merge = await place.text("config", "--get", f"branch.{branch}.merge", accept=(0, 1))
    if remote in remotes and merge.startswith(HEADS):
        theirs = merge.removeprefix(HEADS)
        # Made from the remote's base, a branch has that for its upstream; what is on it does not belong there yet.
        return remote, branch if theirs == place.record.base_name else theirs
    known = [each for each in remotes if each]
    if "origin" in known or len(known) == 1:
        return ("origin" if "origin" in known else known[0]), branch
    if known:
        raise GitError(
            f"There are several remotes ({listed(known)}) and none is called origin. Say which one {branch} goes to: "
            f"git branch --set-upstream-to REMOTE/{branch} {branch}.",
            retryable=False,
        )
    raise GitError(
        "The repository has no remote to push to. Add one: git remote add origin URL. Or land the task instead.",
        retryable=False,
    )


def _refused(place: Place, stderr: str, remote: str, branch: str) -> GitError | None:
    """Why what was reached does not take it; None when nothing says so."""
    said = _reason(stderr)
    if _DECLINED.search(stderr):
        return GitError(
            f"{remote} does not take this push to {branch}: {said}. Do what it asks for; or give the branch another "
            f"name (git branch --move {branch} NAME), then push again.",
            retryable=False,
        )
    if _MOVED.search(stderr):
        return GitError(
            f"{remote} has commits on {branch} that the sandbox does not have. Have the agent bring them in (git pull "
            f"--rebase {remote} {branch}), then push again; or push with force-with-lease if they are to be replaced: "
            f"foundry push {place.record.task_id} --force-with-lease.",
            retryable=False,
        )
    if "failed to push some refs" in stderr:
        return GitError(f"The push to {remote} was refused, by a hook or by git itself: {said}.", retryable=False)
    return None


def _reason(stderr: str) -> str:
    """The last lines of what a remote, or a hook, said of its refusal, without git's own around them."""
    lines = (line.strip().removeprefix("remote:").strip() for line in stderr.splitlines())
    told = [line for line in lines if line and not line.startswith(_AROUND)]
    said = [line for line in told if not line.startswith("! [")] or told
    return without_credentials(" · ".join(said[-4:])[:600]).rstrip(".") or "it does not say why"
