"""Getting the pinned sandbox-agent binary from npm into the data folder, checked against the hashes kept here."""

import base64
import hashlib
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from foundry_tui.client.private_files import make_folder
from foundry_tui.contract.agents import SANDBOX_AGENT, VARIABLE
from foundry_tui.process import npm as npm_client
from foundry_tui.process.npm import InstallError

VERSION = "0.4.2"
NPM_TIMEOUT = 300.0
_MEMBER = "package/bin/sandbox-agent"


class Package(NamedTuple):
    """An npm package of one platform; `integrity` is npm's hash of its archive, `binary` SHA-256 of the file in it."""

    name: str
    integrity: str
    binary: str


PACKAGES: Mapping[tuple[str, str], Package] = {
    ("linux", "x86_64"): Package(
        "@sandbox-agent/cli-linux-x64",
        "sha512-H9Rbqq0DRkCHvakzefJUDrDa2y+vJjlYd5/tefzKbQ34locE13TGNygRLxdEVXpBECjK9wVdBwTVEphQNsOcjw==",
        "bab098abef874ade481aa7b50463662814fbf27294399f545307fedb638f029b",
    ),
    ("linux", "arm64"): Package(
        "@sandbox-agent/cli-linux-arm64",
        "sha512-TGmTUexMoubmWQyTeaOJu0rDVl2h0Ifh1pZ0ceZy7u/6Eoqs2n46CbfQtasUxZJf10uxPgRyzEDhcdDrTYVQUA==",
        "50361f87b9a6ce74bacaf07fd8f77866288bee88fc46fd1622f82f62b8f9dc5a",
    ),
    ("darwin", "x86_64"): Package(
        "@sandbox-agent/cli-darwin-x64",
        "sha512-dDg/EwWsdgVVbJiiCX1scSNRRA48u77SsC7Tuqrfzx4fIJMLuLiIcmEtXQyCBWysSyQNV2Cr+PYXXQfCb3xg8g==",
        "9e2b56ff24d721b257732b7328ed81defa41189efd3a3701dcec0c85ea57b151",
    ),
    ("darwin", "arm64"): Package(
        "@sandbox-agent/cli-darwin-arm64",
        "sha512-+L1O8SI7k/LLhyB4dG0ghmz1cJHa0WtVjuRTrEE2gw/5EbGLWopPBsCVCmQ7snrQ4fPwtaiZDhfExcEj1VI7aw==",
        "2af3bc330871812453c0a541aaa072f961a3f3211675bb865cf8585dd8d535bd",
    ),
}
"""By system and machine, as `platform_key` gives them."""


def platform_key() -> tuple[str, str]:
    """This machine as the table names it."""
    machine = platform.machine().lower()
    return sys.platform, {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)


def install(data_dir: Path, *, npm: str = "npm", tell: Callable[[str], None] = lambda _: None) -> Path:
    """Put the pinned binary into `data_dir/bin` and give back its path; one that is there and right is kept.

    Raises `InstallError`.
    """
    key = platform_key()
    package = PACKAGES.get(key)
    if package is None:
        raise InstallError(
            f"there is no {SANDBOX_AGENT} for {key[0]} on {key[1]}", hint=f"build one, and name it in {VARIABLE}"
        )
    target = data_dir / "bin" / SANDBOX_AGENT
    if target.is_file() and sha256(target) == package.binary:
        target.chmod(0o755)
        return target
    program = npm_client.find(hint=f"install Node.js, or put {SANDBOX_AGENT} {VERSION} on the PATH", program=npm)
    with tempfile.TemporaryDirectory(prefix="foundry-agent-") as folder:
        archive = _download(program, package, Path(folder), tell)
        if integrity(archive) != package.integrity:
            raise InstallError(
                f"{package.name}@{VERSION} is not what it should be: its hash differs, nothing was installed"
            )
        tell("the hash is right")
        try:
            _extract(archive, package, target)
        except OSError as error:
            raise InstallError(
                f"{SANDBOX_AGENT} cannot be put into {target.parent}: {error.strerror or error}",
                hint="make room, or look at its rights",
            ) from None
    return target


def _download(npm: str, package: Package, folder: Path, tell: Callable[[str], None]) -> Path:
    """The package's archive."""
    getting = f"{package.name}@{VERSION}"
    arguments = ["pack", "--json", "--pack-destination", str(folder), getting]
    complaint = npm_client.run(npm, arguments, folder, getting=getting, seconds=NPM_TIMEOUT, tell=tell)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise InstallError(f"npm could not get {getting}: {complaint}", hint="look at the network and npm")
    return archives[0]


def _extract(archive: Path, package: Package, target: Path) -> None:
    """Write the one file that is wanted beside its place, check it, and move it there whole."""
    make_folder(target.parent)
    with tarfile.open(archive) as tar, tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        new = Path(file.name)
        try:
            member = tar.extractfile(_MEMBER)
            if member is None:
                raise InstallError(f"{package.name}@{VERSION} has no {_MEMBER} in it")
            shutil.copyfileobj(member, file)
            file.flush()
            os.fsync(file.fileno())
            if sha256(new) != package.binary:
                raise InstallError(f"the binary in {package.name}@{VERSION} is not what it should be")
            new.chmod(0o700)
            new.replace(target)
        except KeyError:
            raise InstallError(f"{package.name}@{VERSION} has no {_MEMBER} in it") from None
        finally:
            new.unlink(missing_ok=True)


def integrity(path: Path) -> str:
    """npm's hash of a file: SHA-512 in base 64, with its name before it."""
    return "sha512-" + base64.b64encode(_digest(path, "sha512").digest()).decode()


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    return _digest(path, "sha256").hexdigest()


def _digest(path: Path, name: str) -> "hashlib._Hash":
    with path.open("rb") as file:
        return hashlib.file_digest(file, name)


def is_pinned(path: Path) -> bool:
    """Whether the file is the binary that `install` would put there."""
    package = PACKAGES.get(platform_key())
    return package is not None and sha256(path) == package.binary
