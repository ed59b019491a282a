"""Where the backend listens: a Unix socket that only its user can reach, or TCP with a token."""

import errno
import ipaddress
import logging
import math
import os
import re
import resource
import socket
import ssl
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend_stub.domain.errors import StartError
from backend_stub.log import Sparing
from foundry_tui.contract.sockets import LOOPBACK_NAMES, socket_path_problem
from foundry_tui.contract.tokens import is_token

logger = logging.getLogger(__name__)

SPARE = 4
MOST_SPARE = 256
"""The descriptors that no connection gets: this part of all, and no more than so many."""


class Listener(socket.socket):
    """A listening socket that takes no connection whose descriptor is one of the last `SPARE` share.

    Those are for the database, for git and for agents; whoever connects then is turned away, so that nothing fails.
    """

    _log = Sparing(logger)
    _exhausted_at = -math.inf

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            connection, peer = super().accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and time.monotonic() < self._exhausted_at + 0.5:
                # asyncio was told already and pauses, but first it asks once more for each place of the backlog
                raise BlockingIOError from error
            self._exhausted_at = time.monotonic()
            raise
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and connection.fileno() >= most - min(MOST_SPARE, most // SPARE):
            connection.close()
            self._log.warning("a connection was turned away: all but the last of %d descriptors are in use", most)
            raise BlockingIOError
        return connection, peer


@dataclass(frozen=True)
class Reach:
    """Who may come over TCP and how: `names` beside those of loopback, and TLS with a certificate or nothing."""

    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False


@dataclass(frozen=True)
class Endpoint:
    """An open socket; `listening` has the form of `--listen`, with the port that was given.

    `hosts` are the names under which it may be asked over TCP; `tls` is None where it speaks plain HTTP.
    """

    socket: Listener
    listening: str
    hosts: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = None
    path: Path | None = None

    def remove(self) -> None:
        """Take the socket's file away."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()


def open_endpoint(listen: str, reach: Reach) -> Endpoint:
    """Listen on `unix:PATH` or `HOST:PORT`; raises `StartError`.

    Beyond loopback TCP wants names to be asked by, and TLS or a word that it shall do without. A stale socket file is
    replaced, a live one is not.
    """
    if listen.startswith("unix:"):
        if reach.certificate is not None:
            raise StartError(f"{listen} has no use for TLS: leave --tls-cert out, or listen on HOST:PORT")
        return _open_unix(Path(listen.removeprefix("unix:")))
    return _open_tcp(listen, reach)


def read_token(path: Path) -> str:
    """The token in a file; raises `StartError` when there is none."""
    try:
        token = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise StartError(f"the token file {path} cannot be read: {error.strerror or error}") from error
    if not token:
        raise StartError(f"the token file {path} is empty: put a secret of your choice into it")
    if not is_token(token):
        raise StartError(f"the token in {path} must be one word of visible ASCII characters")
    return token


def _open_unix(path: Path) -> Endpoint:
    if path == Path():
        raise StartError("--listen unix: names no path: write unix:PATH")
    path = path.absolute()
    if (problem := socket_path_problem(path)) is not None:
        raise StartError(f"{problem}: choose another one with --listen")
    folder = path.parent
    try:
        # Only a folder that we make ourselves is narrowed; one that exists belongs to whoever made it.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_stale(path)
    except OSError as error:
        raise StartError(f"the socket {path} cannot be made ({error.strerror}): check {folder}") from error
    made = Listener(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise StartError(f"the socket {path} cannot be made ({error.strerror}): check {folder}") from error
    finally:
        os.umask(before)
    made.listen(512)
    return Endpoint(made, f"unix:{path}", path=path)


def _clear_stale(path: Path) -> None:
    """Remove a socket file that nobody answers on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path} exists and is no socket: move it away, or choose another path with --listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except (TimeoutError, BlockingIOError):
            # Its queue is full: busy, but there.
            pass
    raise StartError(f"another backend answers on the socket {path}: stop it, or choose another path with --listen")


def _open_tcp(listen: str, reach: Reach) -> Endpoint:
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit() and len(port) <= 5) or int(port) > 65_535:
        raise StartError(f"{listen!r} is no address: use unix:PATH or HOST:PORT")
    if not _is_loopback(host):
        _check_remote(listen, reach)
    hosts = frozenset({host.lower(), *LOOPBACK_NAMES, *(_host_name(name) for name in reach.names)})
    tls = _tls(reach)
    made: Listener | None = None
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = Listener(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, int(port)))
        made.listen(512)
    except (OSError, UnicodeError) as error:
        if made is not None:
            made.close()
        if isinstance(error, UnicodeError):
            raise StartError(f"{listen!r} is no address: its host is no name") from error
        raise StartError(f"{listen} cannot be listened on: {error.strerror or error}") from error
    bound = made.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return Endpoint(made, f"{shown}:{bound}", hosts, tls)


def _check_remote(listen: str, reach: Reach) -> None:
    reached = f"{listen} can be reached from other machines, so it is refused"
    if not reach.names:
        raise StartError(
            f"{reached}: listen on 127.0.0.1, or allow it by the name that clients ask for: --allow-remote NAME"
        )
    if reach.certificate is None and not reach.insecure:
        raise StartError(
            f"{reached} without TLS: give a certificate with --tls-cert and --tls-key, or say --insecure to send the "
            "token and all texts in the clear"
        )


def _host_name(name: str) -> str:
    """A name or address as the Host header has it, without a port."""
    host = name.lower().removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", host):
            raise StartError(
                f"--allow-remote {name!r} is no host name: give it as clients do, without a port"
            ) from None
    return host


def _tls(reach: Reach) -> ssl.SSLContext | None:
    if reach.certificate is None:
        if reach.key is not None:
            raise StartError(f"the key {reach.key} needs its certificate: name it with --tls-cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    for file in filter(None, (reach.certificate, reach.key)):
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            raise StartError(f"{file} cannot be read: {error.strerror}") from error
    try:
        # without this a key with a passphrase would be asked for on the terminal
        context.load_cert_chain(reach.certificate, reach.key, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        key = f"the key {reach.key}" if reach.key is not None else "its key (put it there too, or name --tls-key)"
        raise StartError(
            f"{reach.certificate} and {key} are no certificate and its key in PEM form, without a passphrase: {error}"
        ) from error
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
