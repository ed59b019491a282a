"""Getting coding agents from npm into the data folder: pinned, checked by npm against our locks, whole or not at all.

Each agent has a lock of npm's in `agent_locks/`, which names every package with its version and hash, and no registry:
npm takes its own. An agent lies in `agents/NAME-VERSION/`; what `agents/NAME` points to is the one that is used. So an
installation that is killed leaves a folder that nothing points to, which the next one removes.
"""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from foundry_tui.client.private_files import make_folder, open_file
from foundry_tui.contract.agents import installed_programs
from foundry_tui.process import npm
from foundry_tui.process.npm import InstallError

NPM_SECONDS = 1800.0
"""How long npm may take; an agent is up to 220 MB."""
OLDEST_NODE = 20
_NEW = ".new-"


class Package(NamedTuple):
    """What npm gets in one go: its version, and the programs in it, by name, as paths in the folder that npm fills.

    `{machine}` in a path is this machine as npm's packages are named. `needs_node`: its program is a script of Node's.
    """

    version: str
    programs: Mapping[str, str]
    needs_node: bool = False


_CODEX = "node_modules/@zed-industries/codex-acp-{machine}/bin/codex-acp"

PACKAGES: Mapping[str, Package] = {
    "claude": Package(
        "0.49.0",
        {
            "claude-agent-acp": "node_modules/.bin/claude-agent-acp",
            "claude": "node_modules/@anthropic-ai/claude-agent-sdk-{machine}/claude",
        },
        needs_node=True,
    ),
    # The launcher brings codex itself; sandbox-agent wants to see its program all the same.
    "codex": Package("0.16.0", {"codex-acp": _CODEX, "codex": _CODEX}),
    "opencode": Package("1.18.33", {"opencode": "node_modules/opencode-{machine}/bin/opencode"}),
    "gemini": Package("0.61.0", {"gemini": "node_modules/.bin/gemini"}, needs_node=True),
    # No agent, but what logs in to codex.
    "codex-cli": Package("0.171.0", {"codex": "node_modules/.bin/codex"}, needs_node=True),
}
"""By the name of the agent."""


class Installed(NamedTuple):
    """An agent in the data folder; `programs` is the folder of its programs, by their names."""

    name: str
    version: str
    programs: Path


def machine() -> str:
    """This machine, as npm's packages of binaries are named."""
    return f"{sys.platform}-{'arm64' if platform.machine().lower() in ('arm64', 'aarch64') else 'x64'}"


def is_installed(name: str, data_dir: Path) -> bool:
    """Whether this agent is there in the version that is wanted, whole; looks at some files."""
    folder = installed_programs(name, data_dir).parent
    package = PACKAGES[name]
    return folder.resolve().name == f"{name}-{package.version}" and _is_whole(folder, package)


def install(name: str, data_dir: Path, *, tell: Callable[[str], None] = lambda _: None) -> Installed:
    """Put the agent into the data folder; one that is there in the wanted version is kept.

    None of the packages' code is run. Takes seconds to minutes. Raises `InstallError`.
    """
    package = PACKAGES[name]
    link = installed_programs(name, data_dir).parent
    done = Installed(name, package.version, link / "bin")
    if is_installed(name, data_dir):
        return done
    program = _npm(package)
    try:
        with _alone(link.parent):
            if not is_installed(name, data_dir):
                tell(f"getting {name} {package.version} from npm, which takes a minute or two")
                _get(program, name, package, link)
    except OSError as error:
        raise InstallError(
            f"{name} cannot be put into {link.parent}: {error.strerror or error}",
            hint="make room, or look at its rights",
        ) from None
    return done


def lock_of(name: str) -> str:
    """npm's lock of this package, as JSON."""
    return resources.files(__package__).joinpath("agent_locks", f"{name}.json").read_text()


def _npm(package: Package) -> str:
    hint = f"install Node.js {OLDEST_NODE} or newer, with npm"
    program = npm.find(hint=hint)
    if package.needs_node:
        node = npm.find("node", hint=hint)
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=False, timeout=30
        ).stdout.strip()
        if (
            said.startswith("v")
            and said[1:].partition(".")[0].isdigit()
            and int(said[1:].partition(".")[0]) < OLDEST_NODE
        ):
            raise InstallError(f"Node.js {said} is too old", hint=f"install Node.js {OLDEST_NODE} or newer")
    return program


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of agents; what killed installations have left in it is removed."""
    make_folder(folder)
    handle = open_file(folder / ".lock", os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f"{_NEW}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _get(program: str, name: str, package: Package, link: Path) -> None:
    before = link.resolve()
    folder = link.with_name(f"{name}-{package.version}")
    with tempfile.TemporaryDirectory(dir=link.parent, prefix=_NEW, ignore_cleanup_errors=True) as scratch:
        new = Path(scratch) / "agent"
        new.mkdir(mode=0o700)
        _fill(program, name, package, new)
        # What is to be taken as whole has to be so after a power cut too.
        os.sync()
        if folder.exists():
            folder.rename(Path(scratch) / "broken")
        new.rename(folder)
        pointer = Path(scratch) / "link"
        pointer.symlink_to(folder.name)
        pointer.replace(link)
    for other in link.parent.glob(f"{name}-[0-9]*"):
        # Agents that run may still read what they were started from.
        if other not in (folder, before):
            shutil.rmtree(other, ignore_errors=True)


def _fill(program: str, name: str, package: Package, new: Path) -> None:
    lock = lock_of(name)
    (new / "package-lock.json").write_text(lock)
    (new / "package.json").write_text(json.dumps({"name": name, "private": True, **json.loads(lock)["packages"][""]}))
    options = ("--include=optional", "--no-global", "--no-audit", "--no-fund", "--loglevel=warn")
    getting = f"{name} {package.version}"
    complaint = npm.run(program, ["ci", *options], new, getting=getting, seconds=NPM_SECONDS)
    (new / "bin").mkdir()
    for program, path in package.programs.items():
        (new / "bin" / program).symlink_to(Path("..") / path.format(machine=machine()))
    if not _is_whole(new, package):
        # npm leaves out what is not for this machine, and also what it could not fetch of it.
        raise InstallError(
            f"npm got no program of {getting} for {machine()}: {complaint or 'it does not say why'}",
            hint=f"try again; if that does not help, {name} is not made for this machine",
        )


def _is_whole(folder: Path, package: Package) -> bool:
    return all(shutil.which(str((folder / "bin" / program).absolute())) for program in package.programs)
