"""What a repository's remotes have now, asked within a time that a stage can spare."""

from collections.abc import Collection

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.repository.git import Told, branches_of_remote, run_git


async def main_remote(folder: str, told: Told) -> str | None:
    """The remote that branches come from and go to: `origin`, or the only one. None where there is no such one."""
    remotes = (await run_git(folder, "remote", told=told, bare=True)).text.split()
    return "origin" if "origin" in remotes else remotes[0] if len(remotes) == 1 else None


async def fetch(folder: str, call: Call, told: Told, patience: float, *refspecs: str, remote: str = "") -> bool:
    """Fetch from the remote, if there is any, within so many seconds; whether that went well. Failure is logged."""
    if not remote and not (await run_git(folder, "remote", told=told, bare=True)).text.strip():
        return True
    call.detail("fetching")
    try:
        await run_git(
            folder,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            *((remote, *refspecs) if remote else ()),
            told=told,
            timeout=patience,
            bare=True,
        )
    except GitError as error:
        call.log(f"fetching failed, going on with what is known: {error.message}")
        return False
    return True


async def remote_branches(call: Call, told: Told, patience: float) -> Collection[str]:
    """The branches of a repository that is not cloned yet; none when its remote does not answer in time."""
    if call.repo.remote is None:
        return ()
    call.detail("asking the remote")
    try:
        return await branches_of_remote(call.repo.remote, told=told, timeout=patience)
    except GitError as error:
        call.log(f"asking the remote failed, going on without its branches: {error.message}")
        return ()
